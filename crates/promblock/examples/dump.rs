//! Prints what a block, or a data directory with its head, holds: a sample a line.
//!
//! `cargo run -p promblock --example dump -- <folder>`

#![allow(clippy::print_stdout, reason = "printing is all that it does")]

use std::io::Write;
use std::path::Path;

use disk::RealDisk;
use promblock::{Block, DataDir, Sample, Value};

fn print(out: &mut impl Write, labels: &model::Labels, sample: &Sample) -> std::io::Result<()> {
    let at = sample.timestamp_ms;
    match &sample.value {
        Value::Float(value) => writeln!(out, "{labels} {value} {at}"),
        Value::Histogram(histogram) => writeln!(out, "{labels} {histogram:?} {at}"),
        Value::IntegerHistogram(histogram) => writeln!(out, "{labels} {histogram:?} {at}"),
    }
}

fn print_block(out: &mut impl Write, block: &Block) -> Result<(), Box<dyn std::error::Error>> {
    for series in block.series() {
        let series = series?;
        for sample in block.samples(&series) {
            print(out, series.labels(), &sample?)?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which folder?")?;
    let dir = Path::new(&dir);
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if let Ok(block) = Block::open(&RealDisk, dir) {
        return print_block(&mut out, &block);
    }
    let data = DataDir::open(&RealDisk, dir)?;
    for block in data.blocks() {
        print_block(&mut out, &block.open(&RealDisk)?)?;
    }
    let head = data.open_head(&RealDisk)?;
    for damage in head.damage() {
        writeln!(out, "# {damage}")?;
    }
    for series in head.series() {
        for sample in head.samples(series)? {
            print(&mut out, series.labels(), &sample)?;
        }
    }
    Ok(())
}
