//! Appending, memory and restart at the size of the goal: 390 targets of 1,000 series, 480 rows.
//!
//! `cargo bench --profile bench-fast -p tsdb -- [groups] [series] [rows]`. Values are like a
//! Telegraf fleet's: half constant, a quarter counters, the rest gauges, 8 % noisy floats. Prints
//! nanoseconds per appended sample, resident bytes a series and the time that a restart takes.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Labels, METRIC_NAME, Matcher};
use storage::{Appender, Batch, Queryable, Sample, Samples, SelectHints, StorageStatus};
use tsdb::{Db, Options};

const START_MS: i64 = 1_700_006_400_000;

/// Resident bytes of this process.
fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|n| n.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
    };
    field("RssAnon:")
}

fn labels_of(group: usize, series: usize) -> Labels {
    let host = format!("host-{group:03}.example.org");
    let metric = format!("telegraf_metric_{:03}_total", series % 190);
    let device = format!("device{}", series / 190);
    Labels::from_pairs([
        (METRIC_NAME, metric.as_str()),
        ("datacenter", "eu-central"),
        ("device", &device),
        ("host", &host),
        ("instance", &host),
        ("job", "telegraf"),
        ("role", if group.is_multiple_of(3) { "db" } else { "web" }),
    ])
}

struct Values(fastrand::Rng, Vec<f64>);

impl Values {
    fn next(&mut self, series: usize) -> f64 {
        let value = &mut self.1[series];
        match series % 12 {
            0..6 => {}
            6..9 => *value += self.0.f64().mul_add(2_000.0, 1.0).floor(),
            9 | 10 => *value += f64::from(self.0.i32(-3..4)) * f64::from(self.0.u8(..) < 80),
            _ => *value = 100.0 * self.0.f64(),
        }
        *value
    }
}

fn open(path: &std::path::Path) -> Arc<Db> {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = Options::new(path);
    options.background = false;
    Db::open(disk::RealDisk::shared(), options, clock, &registry).expect("open the database")
}

fn main() {
    let numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let numbers: Vec<usize> = numbers.collect();
    let number = |at: usize, default| numbers.get(at).copied().unwrap_or(default);
    let (groups, series, rows) = (number(0, 390), number(1, 1_000), number(2, 480));
    let dir = tempfile::tempdir().expect("a scratch folder");
    let before = resident_bytes();
    let db = open(dir.path());
    let took = append_all(&db, groups, series, rows);
    let samples = (groups * series * rows) as f64;
    println!(
        "append: {:.1} ns a sample",
        took.as_nanos() as f64 / samples
    );
    let bytes = (resident_bytes() - before) / (groups * series) as f64;
    println!("head: {bytes:.0} bytes a series, resident (anonymous)");
    let size = disk::size_of_dir(&disk::RealDisk, dir.path()).expect("its size");
    println!("disk: {:.3} bytes a sample", size as f64 / samples);
    query(&db);
    drop(db);
    let began = Instant::now();
    let db = open(dir.path());
    println!(
        "restart after a kill: {:.2} s",
        began.elapsed().as_secs_f64()
    );
    println!("corruptions: {}", db.corruption_count());
    query(&db);
    // From 721 rows on, there is a block to write.
    let began = Instant::now();
    db.maintain();
    println!("maintenance: {:.2} s", began.elapsed().as_secs_f64());
    for block in db.blocks() {
        let bytes = block.size_bytes as f64 / block.samples as f64;
        println!(
            "block: {} samples, {bytes:.3} bytes a sample",
            block.samples
        );
    }
    let bytes = (resident_bytes() - before) / (groups * series) as f64;
    println!("head: {bytes:.0} bytes a series, resident (anonymous)");
    query(&db);
}

fn append_all(db: &Db, groups: usize, series: usize, rows: usize) -> Duration {
    let mut began = Instant::now();
    let mut targets: Vec<_> = (0..groups)
        .map(|at| {
            let host = format!("host-{at:03}.example.org");
            let labels = Labels::from_pairs([("instance", host.as_str()), ("job", "telegraf")]);
            let group = db.open_group(&labels).expect("a group");
            let refs = (0..series).map(|s| db.series(group, &labels_of(at, s)).expect("a series"));
            let samples: Vec<_> = refs.map(|series| Sample { series, value: 0.0 }).collect();
            let start = (0..series).map(|s| (s * 1_000) as f64).collect();
            (
                group,
                samples,
                Values(fastrand::Rng::with_seed(at as u64), start),
            )
        })
        .collect();
    let new = began.elapsed().as_nanos() as f64 / (groups * series) as f64;
    println!("new series: {new:.0} ns each");
    let mut took = Duration::ZERO;
    for row in 0..rows {
        for (at, (group, samples, values)) in targets.iter_mut().enumerate() {
            for (series, sample) in samples.iter_mut().enumerate() {
                sample.value = values.next(series);
            }
            began = Instant::now();
            let outcome = db.append(Batch::of(
                *group,
                START_MS + 15_000 * row as i64 + at as i64 * 30,
                samples,
            ));
            took += began.elapsed();
            assert_eq!(outcome.expect("room").appended, series);
        }
    }
    took
}

fn query(db: &Db) {
    let all = (i64::MIN, i64::MAX);
    for (what, matchers, range) in [
        (
            "one metric",
            vec![Matcher::equal(METRIC_NAME, "telegraf_metric_006_total")],
            all,
        ),
        (
            "one host",
            vec![Matcher::equal("host", "host-007.example.org")],
            all,
        ),
        (
            "all, last 5 minutes",
            vec![],
            (db.stats(0).head.max_time_ms - 300_000, i64::MAX),
        ),
    ] {
        let began = Instant::now();
        let querier = db.querier(range.0, range.1).expect("a querier");
        let set = querier.select(false, &SelectHints::default(), &matchers);
        let set = set.expect("series");
        let selected = began.elapsed();
        let mut samples = Samples::default();
        let mut count = 0;
        for series in &set.series {
            samples.clear();
            series
                .read(range.0, range.1, &mut samples)
                .expect("samples");
            count += samples.len();
        }
        println!(
            "query {what}: {} series selected in {:.1} ms, {count} samples read in {:.1} ms",
            set.series.len(),
            selected.as_secs_f64() * 1e3,
            (began.elapsed() - selected).as_secs_f64() * 1e3,
        );
    }
}
