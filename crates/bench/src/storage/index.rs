//! What finding series costs: the index of 400,000 series, and look-ups in it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use disk::{Disk as _, RealDisk};
use model::{LabelsBuilder, MatchOp, Matcher};
use tokio::time::Instant;
use tsdb::block::{Block, BlockParams, Compaction, PageCache, SAMPLES_AT_FLUSH, Ulid, write_block};

use super::data::{Column, DataSet, Slice, Target};
use super::noise::Noise;
use super::synthetic::{SyntheticOptions, fleet};

/// Series of the index that is measured.
pub(super) const SERIES: usize = 400_000;
const CACHE_BYTES: usize = 32 << 20;
const ROLES: [&str; 5] = ["web", "db", "cache", "batch", "k8s-node"];
const PLACES: [&str; 4] = ["fra1", "ams2", "nyc3", "sgp1"];

/// How containers are named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum ContainerIds {
    /// As one role's template: the tenth container of every host has the same name and identifier.
    Templated,
    /// 64 hexadecimal digits that no other has.
    Unique,
}

/// Hosts of one template with one sample a series, until there are [`SERIES`].
pub(super) fn hosts(ids: ContainerIds) -> DataSet {
    let template = fleet(&SyntheticOptions {
        hosts: 1,
        scrapes: 1,
        ..SyntheticOptions::default()
    });
    let template = &template.targets[0].series;
    // Labels that say the same as others would only make the index look better.
    let dropped = |name: &str| {
        [
            "environment",
            "container_status",
            "container_version",
            "server_version",
        ]
        .contains(&name)
    };
    let mut noise = Noise::new(5);
    let mut data = DataSet::default();
    let mut left = SERIES;
    while left > 0 {
        let at = data.targets.len();
        let (role, place) = (ROLES[at % ROLES.len()], PLACES[at % PLACES.len()]);
        let host = format!("{role}-{at:04}.{place}.example.com");
        let instance = format!("{host}:9273");
        let mut renamed = std::collections::HashMap::new();
        let mut target = Target {
            key: model::Labels::from_pairs([("instance", instance.as_str()), ("job", "telegraf")]),
            timestamps: vec![1_000],
            series: Vec::new(),
        };
        for column in template.iter().take(left) {
            let mut labels = LabelsBuilder::new(&column.labels);
            labels.retain(|name, _| !dropped(name));
            labels.set("instance", &instance).set("host", &host);
            if column.labels.has("engine_host") {
                labels.set("engine_host", &host);
            }
            let id = column.labels.get("container_id");
            if !id.is_empty() && ids == ContainerIds::Unique {
                let id = renamed.entry(id).or_insert_with(|| noise.container_id());
                labels.set("container_id", id);
            }
            target.series.push(Column {
                labels: labels.build(),
                scrapes: None,
                values: vec![1.0],
            });
        }
        target.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        left -= target.series.len();
        data.targets.push(target);
    }
    data
}

/// Writes the block.
pub(super) fn write(data: &DataSet, folder: &Path) -> anyhow::Result<Arc<Block>> {
    RealDisk.create_dir_all(folder)?;
    let params = BlockParams {
        ulid: Ulid::new(1),
        min_ms: 0,
        max_ms: 7_200_000,
        compaction: Compaction::default(),
        samples_per_chunk_max: SAMPLES_AT_FLUSH,
    };
    let mut source = Slice::new(data, params.min_ms, params.max_ms);
    let meta = write_block(&RealDisk, folder, &params, &mut source)?.context("an empty block")?;
    let cache = PageCache::new(CACHE_BYTES);
    Ok(Block::open(
        &RealDisk,
        &folder.join(meta.ulid.to_string()),
        &cache,
    )?)
}

/// Bounds that look-ups are to keep.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bound {
    Equality,
    Prefix,
    Infix,
    None,
}

impl Bound {
    pub(super) fn us_max(self) -> Option<f64> {
        match self {
            Bound::Equality => Some(5.0),
            Bound::Prefix => Some(500.0),
            Bound::Infix => Some(5_000.0),
            Bound::None => None,
        }
    }
}

/// A look-up and what it took at best.
#[derive(Debug)]
pub(super) struct LookUp {
    pub(super) what: &'static str,
    pub(super) bound: Bound,
    /// Series found.
    pub(super) series: usize,
    /// Until the set of their numbers was there.
    pub(super) us: f64,
}

/// Looks series up; pages of the index are in the cache.
pub(super) fn look_up(block: &Arc<Block>) -> anyhow::Result<Vec<LookUp>> {
    let regex = |name: &str, pattern: &str| Matcher::new(MatchOp::Regex, name, pattern);
    let name = |value: &str| Matcher::equal("__name__", value);
    let host = || Matcher::equal("host", "k8s-node-0104.fra1.example.com");
    let asked = [
        ("name", Bound::Equality, vec![name("cpu_usage_idle")]),
        ("host", Bound::Equality, vec![host()]),
        (
            "name and host",
            Bound::Equality,
            vec![name("cpu_usage_idle"), host()],
        ),
        (
            "name and host=~a|b",
            Bound::None,
            vec![
                name("mem_used"),
                regex("host", "web-0100.fra1.example.com|db-0101.ams2.example.com")?,
            ],
        ),
        (
            "name and host=~web-.*",
            Bound::Prefix,
            vec![name("docker_container_mem_usage"), regex("host", "web-.*")?],
        ),
        (
            "name=~docker_container_net_.*",
            Bound::Prefix,
            vec![regex("__name__", "docker_container_net_.*")?],
        ),
        (
            "name=~.*_bytes",
            Bound::Infix,
            vec![regex("__name__", ".*_bytes")?],
        ),
        (
            "container_id=~.*a7f.*",
            Bound::Infix,
            vec![regex("container_id", ".*a7f.*")?],
        ),
        (
            "name and cpu!=",
            Bound::None,
            vec![
                name("cpu_usage_idle"),
                Matcher::new(MatchOp::NotEqual, "cpu", "cpu-total")?,
            ],
        ),
        (
            "name and no cpu",
            Bound::None,
            vec![name("net_bytes_recv"), Matcher::equal("cpu", "")],
        ),
    ];
    asked
        .into_iter()
        .map(|(what, bound, matchers)| {
            let series = block.count(&matchers)?;
            let mut us = f64::MAX;
            let began = Instant::now();
            let mut rounds = 0;
            while rounds < 20 || began.elapsed().as_millis() < 50 {
                let began = Instant::now();
                std::hint::black_box(block.count(&matchers)?);
                us = us.min(began.elapsed().as_secs_f64() * 1e6);
                rounds += 1;
            }
            Ok(LookUp {
                what,
                bound,
                series,
                us,
            })
        })
        .collect()
}
