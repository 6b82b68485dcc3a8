//! Prints what a block or a data directory holds, a sample a line.
//!
//! `cargo run -p promblock --example dump -- <folder>`

#![allow(clippy::print_stdout, reason = "printing is all that it does")]

use std::path::Path;

use disk::RealDisk;
use promblock::{Block, Sample, Value};

fn print(labels: &model::Labels, sample: &Sample) {
    let at = sample.timestamp_ms;
    match &sample.value {
        Value::Float(value) => println!("{labels} {value} {at}"),
        Value::Histogram(histogram) => println!("{labels} {histogram:?} {at}"),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).ok_or("which folder?")?;
    let disk = RealDisk;
    let block = Block::open(&disk, Path::new(&dir))?;
    for series in block.series() {
        let series = series?;
        for sample in block.samples(&series) {
            print(series.labels(), &sample?);
        }
    }
    Ok(())
}
