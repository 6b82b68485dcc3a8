//! What the order of series costs: by target and then name, as blocks have it, or by name and then
//! target.
//!
//! For the other order every metric is written as a group of its own. All targets are scraped at
//! the same times here, so that such a group can share a column of timestamps; in practice it
//! could not, and would be larger than this.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use model::{Labels, Matcher};
use storage::{Samples, Series as _};
use tokio::time::Instant;
use tsdb::block::Block;

use super::data::{Column, DataSet, Target};
use super::ours;
use super::synthetic::{SyntheticOptions, fleet};

/// One order and what it costs.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) what: &'static str,
    pub(super) bytes_a_sample: f64,
    pub(super) index_bytes_a_series: f64,
    /// Query and milliseconds at best, read from the files.
    pub(super) reads: Vec<(&'static str, f64)>,
}

/// Writes the same hosts in both orders and reads from them.
pub(super) fn measure(hosts: usize, scrapes: usize, folder: &Path) -> anyhow::Result<[Order; 2]> {
    let mut data = fleet(&SyntheticOptions {
        hosts,
        scrapes,
        ..SyntheticOptions::default()
    });
    let times = data.targets[0].timestamps.clone();
    for target in &mut data.targets {
        target.timestamps.clone_from(&times);
    }
    let by_target = one("target, name", &data, &folder.join("target"))?;
    let data = by_name(data);
    let by_name = one("name, target", &data, &folder.join("name"))?;
    Ok([by_target, by_name])
}

fn by_name(data: DataSet) -> DataSet {
    let times = data.targets[0].timestamps.clone();
    let mut series: Vec<Column> = data.targets.into_iter().flat_map(|t| t.series).collect();
    series.sort_by(|a, b| {
        let key = |labels: &Labels| {
            (
                labels.metric_name().to_owned(),
                labels.get("host").to_owned(),
            )
        };
        key(&a.labels).cmp(&key(&b.labels))
    });
    let mut targets: Vec<Target> = Vec::new();
    for column in series {
        let name = column.labels.metric_name();
        if targets.last().is_none_or(|t| t.key.metric_name() != name) {
            targets.push(Target {
                key: Labels::from_pairs([("__name__", name)]),
                timestamps: times.clone(),
                series: Vec::new(),
            });
        }
        if let Some(target) = targets.last_mut() {
            target.series.push(column);
        }
    }
    for target in &mut targets {
        target.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    DataSet { targets }
}

fn one(what: &'static str, data: &DataSet, folder: &Path) -> anyhow::Result<Order> {
    let ours = ours::measure(data, folder)?;
    let name = |value: &str| Matcher::equal("__name__", value);
    let host = || Matcher::equal("host", "web-018.fra1.example.com");
    let queries = [
        ("one metric of one host", vec![name("mem_used"), host()]),
        ("one metric of all hosts", vec![name("mem_used")]),
        (
            "a metric of all containers",
            vec![name("docker_container_mem_usage")],
        ),
        ("a metric of all processors", vec![name("cpu_usage_user")]),
        ("all metrics of one host", vec![host()]),
    ];
    let reads = queries.into_iter().map(|(what, matchers)| {
        let mut ms = f64::MAX;
        for _ in 0..7 {
            // A block that was just opened has nothing in its cache.
            let block = reopened(&ours.block, folder)?;
            let began = Instant::now();
            let read = read(&block, &matchers)?;
            ms = ms.min(began.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(read > 0, "{what}: nothing found");
        }
        Ok((what, ms))
    });
    Ok(Order {
        what,
        bytes_a_sample: ours.bytes as f64 / data.sample_count() as f64,
        index_bytes_a_series: ours.index_bytes as f64 / data.series_count() as f64,
        reads: reads.collect::<anyhow::Result<_>>()?,
    })
}

fn reopened(block: &Arc<Block>, folder: &Path) -> anyhow::Result<Arc<Block>> {
    let folder = folder.join(block.meta().ulid.to_string());
    let cache = tsdb::block::PageCache::new(32 << 20);
    Block::open(&disk::RealDisk, &folder, &cache).context("open again")
}

fn read(block: &Arc<Block>, matchers: &[Matcher]) -> anyhow::Result<usize> {
    let mut samples = Samples::default();
    let mut count = 0;
    for series in block.select(matchers, i64::MIN, i64::MAX, 0)? {
        samples.clear();
        series.read(i64::MIN, i64::MAX, &mut samples)?;
        count += samples.len();
    }
    Ok(count)
}
