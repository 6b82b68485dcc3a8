//! Pages of 64 columns of 480 values: bytes and rates. `cargo bench -p codec`.

#![allow(clippy::print_stdout, reason = "its figures are its output")]

use std::time::Instant;

use codec::columns::{DecodeScratch, Page, Scratch, encode};
use fastrand::Rng;

const COLUMNS: usize = 64;
const VALUES: usize = 480;
const ROUNDS: usize = 20;

fn main() {
    type Step = fn(&mut Rng, f64) -> f64;
    let kinds: [(&str, Step); 6] = [
        ("constant", |_, before| before),
        ("rare change", |rng, before| {
            before + f64::from(u8::from(rng.u8(..) < 3))
        }),
        ("counter", |rng, before| {
            before + f64::from(rng.u32(0..5_000))
        }),
        ("gauge of pages", |rng, before| {
            before + (f64::from(rng.u32(0..41)) - 20.0) * 4_096.0
        }),
        ("percentage", |rng, _| {
            100.0 * f64::from(rng.u32(0..1_500)) / f64::from(1_498 + rng.u32(0..5))
        }),
        ("noise", |rng, _| rng.f64()),
    ];
    println!(
        "{:<16} {:>12} {:>14} {:>14}",
        "", "bytes/value", "encode M/s", "decode M/s"
    );
    for (what, step) in kinds {
        let mut rng = Rng::with_seed(1);
        let mut values = Vec::with_capacity(COLUMNS * VALUES);
        for _ in 0..COLUMNS {
            let mut value = f64::from(rng.u32(0..1 << 30)) * 4_096.0;
            for _ in 0..VALUES {
                values.push(value);
                value = step(&mut rng, value);
            }
        }
        measure(what, &values);
    }
}

fn measure(what: &str, values: &[f64]) {
    let counts = [VALUES; COLUMNS];
    let (mut scratch, mut page) = (Scratch::default(), Vec::new());
    let start = Instant::now();
    for _ in 0..ROUNDS {
        page.clear();
        encode(values, &counts, &mut scratch, &mut page);
    }
    let encoded = start.elapsed().as_secs_f64();
    let (mut scratch, mut out) = (DecodeScratch::default(), Vec::new());
    let start = Instant::now();
    for _ in 0..ROUNDS {
        out.clear();
        let parsed = Page::parse(&page, &counts).expect("just encoded");
        for column in 0..COLUMNS {
            parsed
                .decode(&page, column, VALUES, &mut scratch, &mut out)
                .expect("just encoded");
        }
    }
    let decoded = start.elapsed().as_secs_f64();
    assert_eq!(out.len(), values.len());
    let millions = (ROUNDS * values.len()) as f64 / 1e6;
    println!(
        "{what:<16} {:>12.3} {:>14.1} {:>14.1}",
        page.len() as f64 / values.len() as f64,
        millions / encoded,
        millions / decoded
    );
}
