//! How fast blocks are written and read, and how many bytes a sample takes.
//!
//! `cargo run --profile bench-fast -p promblock --example throughput -- <empty folder>`

#![allow(clippy::print_stdout, reason = "printing is all that it does")]

use std::path::Path;
use std::time::Instant;

use disk::{RealDisk, size_of_dir};
use model::Labels;
use promblock::{Block, BlockWriter, Sample, Ulid, Value, WriterOptions};

const SERIES: usize = 20_000;
const SAMPLES: i64 = 480;

/// Counters with uneven steps, gauges with a decimal, and constants, each a third.
fn value(random: &mut fastrand::Rng, kind: usize, before: f64) -> f64 {
    match kind {
        0 => before + f64::from(random.u16(0..2000)),
        1 => f64::from(random.u16(0..1000)) / 10.0,
        _ => 1.0,
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which folder?")?;
    let dir = Path::new(&dir);
    let ulid = Ulid::new(1_700_000_000_000, 1);
    let mut random = fastrand::Rng::with_seed(1);
    let names: Vec<String> = (0..SERIES).map(|n| format!("{n:06}")).collect();
    let sets = names
        .iter()
        .map(|name| Labels::from_pairs([("__name__", "m"), ("instance", name), ("job", "node")]));
    let contents: Vec<(Labels, Vec<Sample>)> = sets
        .enumerate()
        .map(|(n, labels)| {
            let mut last = 0.0;
            let samples = (0..SAMPLES).map(|at| {
                last = value(&mut random, n % 3, last);
                Sample {
                    timestamp_ms: 1_700_000_000_000 + at * 15_000,
                    start_timestamp_ms: 0,
                    value: Value::Float(last),
                }
            });
            (labels, samples.collect())
        })
        .collect();
    let count = SERIES as f64 * SAMPLES as f64;

    let began = Instant::now();
    let mut writer = BlockWriter::create(&RealDisk, dir, WriterOptions::new(ulid))?;
    for (labels, samples) in &contents {
        writer.add_series(labels, samples.iter().cloned())?;
    }
    writer.finish()?;
    let took = began.elapsed().as_secs_f64();
    println!(
        "written: {:.1} million samples a second",
        count / took / 1e6
    );

    let block = dir.join(ulid.to_string());
    let began = Instant::now();
    let read = Block::open(&RealDisk, &block)?.verify()?;
    let took = began.elapsed().as_secs_f64();
    println!("read: {:.1} million samples a second", count / took / 1e6);
    assert_eq!(read.num_samples as f64, count);
    let bytes = size_of_dir(&RealDisk, &block)? as f64;
    println!("{:.2} bytes a sample", bytes / count);
    Ok(())
}
