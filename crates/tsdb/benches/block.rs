//! Blocks of a simulated Telegraf fleet: bytes, rates, look-ups. `cargo bench -p tsdb --bench block`.
//!
//! Prints a table; takes hosts and minutes as arguments (default 8 hosts, 120 minutes, and 450
//! hosts with a few samples for the index).
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench that a person reads"
)]

use std::path::Path;
use std::time::Instant;

use bench::fleet::{FleetOptions, Host};
use model::{Labels, MatchOp, Matcher};
use storage::{Samples, Series};
use tsdb::block::{
    Block, BlockError, BlockParams, BlockSource, Compaction, GroupInput, PageCache,
    SAMPLES_AT_FLUSH, SeriesInput, Times, Ulid, merge_blocks, write_block,
};

/// Hosts scraped every 15 seconds, one group each.
struct Fleet {
    options: FleetOptions,
    scrapes: usize,
    start_ms: i64,
    host: usize,
    series: Vec<(Labels, Vec<f64>)>,
    next: usize,
    /// Seconds spent on making data, to be taken off.
    made: f64,
}

impl Fleet {
    fn new(hosts: usize, scrapes: usize, start_ms: i64) -> Fleet {
        let options = FleetOptions {
            hosts,
            ..FleetOptions::default()
        };
        Fleet {
            options,
            scrapes,
            start_ms,
            host: 0,
            series: Vec::new(),
            next: 0,
            made: 0.0,
        }
    }

    fn scrape(&mut self) {
        let mut host = Host::new(&self.options, self.host);
        let instance = format!("host-{:04}.example.com:9273", self.host);
        let mut page = String::new();
        self.series.clear();
        // A block after the first goes on where that one ended.
        for _ in 0..self.start_ms / 7_200_000 * self.scrapes as i64 {
            host.advance();
        }
        for scrape in 0..self.scrapes {
            page.clear();
            host.render(&mut page);
            let lines = page.lines().filter(|l| !l.starts_with('#'));
            for (at, line) in lines.enumerate() {
                let (name, value) = line.rsplit_once(' ').unwrap();
                if scrape == 0 {
                    self.series
                        .push((labels(name, &instance), Vec::with_capacity(self.scrapes)));
                }
                self.series[at].1.push(value.parse().unwrap());
            }
            host.advance();
        }
        self.series.sort_by(|a, b| a.0.cmp(&b.0));
    }
}

fn labels(text: &str, instance: &str) -> Labels {
    let (name, rest) = text.split_once('{').unwrap_or((text, ""));
    let pairs = rest.trim_end_matches('}').split("\",").filter_map(|pair| {
        let (name, value) = pair.split_once("=\"")?;
        Some((name, value.trim_end_matches('"')))
    });
    Labels::from_pairs(pairs.chain([
        ("__name__", name),
        ("instance", instance),
        ("job", "telegraf"),
    ]))
}

impl BlockSource for Fleet {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        if self.host == self.options.hosts {
            return Ok(false);
        }
        let start = Instant::now();
        self.scrape();
        let phase = self.host as i64 * 337 % 15_000;
        let mut rng = fastrand::Rng::with_seed(self.host as u64);
        group.key = Labels::from_pairs([("instance", format!("{:04}", self.host).as_str())]);
        group.timestamps.clear();
        group.timestamps.extend((0..self.scrapes as i64).map(|i| {
            // One scrape in 25 is late.
            let late = if rng.u8(..) < 10 { rng.i64(3..150) } else { 0 };
            self.start_ms + phase + i * 15_000 + late
        }));
        self.host += 1;
        self.next = 0;
        self.made += start.elapsed().as_secs_f64();
        Ok(true)
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        let Some((labels, values)) = self.series.get(self.next) else {
            return Ok(false);
        };
        self.next += 1;
        series.labels = labels.clone();
        series.times = Times::Every;
        series.values.clone_from(values);
        Ok(true)
    }
}

fn write(dir: &Path, fleet: &mut Fleet) -> std::sync::Arc<Block> {
    let params = BlockParams {
        ulid: Ulid::new(fleet.start_ms + 1),
        min_ms: fleet.start_ms,
        max_ms: fleet.start_ms + fleet.scrapes.max(480) as i64 * 15_000 + 20_000,
        compaction: Compaction::default(),
        samples_per_chunk_max: SAMPLES_AT_FLUSH,
    };
    let start = Instant::now();
    let meta = write_block(&disk::RealDisk, dir, &params, fleet)
        .unwrap()
        .unwrap();
    let seconds = start.elapsed().as_secs_f64() - fleet.made;
    let samples = meta.stats.num_samples;
    println!(
        "write: {samples} samples of {} series in {seconds:.2} s, {:.1} million samples/s",
        meta.stats.num_series,
        samples as f64 / seconds / 1e6
    );
    open(dir, &meta.ulid.to_string())
}

fn open(dir: &Path, ulid: &str) -> std::sync::Arc<Block> {
    let cache = PageCache::new(32 << 20);
    let start = Instant::now();
    let block = Block::open(&disk::RealDisk, &dir.join(ulid), &cache).unwrap();
    println!("open: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    block
}

fn sizes(what: &str, block: &Block) {
    let stats = block.meta().stats;
    let (size, index) = (block.size_bytes() as f64, block.index_bytes() as f64);
    println!(
        "{what}: {:.4} bytes a sample without index, {:.4} with; index {:.2} bytes a series",
        (size - index) / stats.num_samples as f64,
        size / stats.num_samples as f64,
        index / stats.num_series as f64
    );
}

fn read(block: &std::sync::Arc<Block>) {
    let start = Instant::now();
    let all = block.select(&[], i64::MIN, i64::MAX, 0).unwrap();
    let listed = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let (mut samples, mut count) = (Samples::default(), 0);
    for series in &all {
        samples.clear();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        count += samples.len();
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "read all: {} series listed in {:.1} ms, {:.1} million samples/s",
        all.len(),
        listed * 1e3,
        count as f64 / seconds / 1e6
    );
}

fn look_up(block: &std::sync::Arc<Block>, what: &str, matchers: &[Matcher]) {
    let mut found = 0;
    let mut best = [f64::MAX; 2];
    for _ in 0..5 {
        let start = Instant::now();
        // Nothing but ids: values of a label that does not exist.
        let none = block.label_values("no_such_label", matchers, 0).unwrap();
        best[0] = best[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        found = block.select(matchers, i64::MIN, i64::MAX, 0).unwrap().len();
        best[1] = best[1].min(start.elapsed().as_secs_f64());
        assert!(none.is_empty());
    }
    println!(
        "  {what:<48} {found:>7} series {:>10.1} us {:>10.1} us",
        best[0] * 1e6,
        best[1] * 1e6
    );
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let hosts = numbers.first().copied().unwrap_or(8);
    let scrapes = numbers.get(1).copied().unwrap_or(480);
    let dir = tempfile::tempdir().unwrap();

    println!("# {hosts} hosts, {scrapes} scrapes a block");
    let blocks: Vec<_> = (0..4)
        .map(|at| write(dir.path(), &mut Fleet::new(hosts, scrapes, at * 7_200_000)))
        .collect();
    sizes("flushed", &blocks[0]);
    read(&blocks[0]);
    let start = Instant::now();
    let merged = merge_blocks(&disk::RealDisk, dir.path(), Ulid::new(0), &blocks)
        .unwrap()
        .unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "merge of 4: {:.1} million samples/s",
        merged.stats.num_samples as f64 / seconds / 1e6
    );
    let merged = open(dir.path(), &merged.ulid.to_string());
    sizes("merged", &merged);
    read(&merged);

    println!("# 450 hosts, 4 scrapes");
    let block = write(dir.path(), &mut Fleet::new(450, 4, 900_000_000));
    sizes("index", &block);
    read(&block);
    println!("  look-up (best of 5): ids only, with labels");
    let regex = |name: &str, pattern: &str| Matcher::new(MatchOp::Regex, name, pattern).unwrap();
    let not = |name: &str, value: &str| Matcher::new(MatchOp::NotEqual, name, value).unwrap();
    let name = |value: &str| Matcher::equal("__name__", value);
    for (what, matchers) in [
        ("name", vec![name("cpu_usage_user")]),
        ("host", vec![Matcher::equal("host", "web-0004")]),
        (
            "name and host",
            vec![name("cpu_usage_user"), Matcher::equal("host", "web-0004")],
        ),
        (
            "name and host=~a|b",
            vec![name("cpu_usage_user"), regex("host", "web-0004|db-0005")],
        ),
        (
            "name and host=~web-.*",
            vec![name("cpu_usage_user"), regex("host", "web-.*")],
        ),
        (
            "name=~docker_container_net_.*",
            vec![regex("__name__", "docker_container_net_.*")],
        ),
        ("name=~.*_bytes", vec![regex("__name__", ".*_bytes")]),
        (
            "name and cpu!=",
            vec![name("cpu_usage_user"), not("cpu", "cpu0")],
        ),
        (
            "host and cpu absent",
            vec![
                Matcher::equal("host", "web-0004"),
                Matcher::equal("cpu", ""),
            ],
        ),
        (
            "container_id=~.*a7f.*",
            vec![regex("container_id", ".*a7f.*")],
        ),
        ("everything", vec![]),
    ] {
        look_up(&block, what, &matchers);
    }
}
