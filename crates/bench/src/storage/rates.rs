//! How fast columns are encoded and decoded, on one core.
//!
//! Time is what the kernel counts for the thread, so that other jobs of the machine do not show.

use codec::columns::{DecodeScratch, Page, Scratch, encode};
use fastrand::Rng;

const COLUMNS: usize = 64;
const VALUES: usize = 1_920;
/// Each way runs so long, so that the kernel's ticks do not matter.
const MEASURE_S: f64 = 0.3;

/// Of one kind of column.
#[derive(Debug)]
pub(super) struct Rate {
    pub(super) what: &'static str,
    /// Bytes a sample.
    pub(super) bytes: f64,
    /// Million samples a second.
    pub(super) encode: f64,
    /// Million samples a second.
    pub(super) decode: f64,
}

/// Whole numbers of three kinds.
pub(super) fn measure() -> Vec<Rate> {
    assert!(
        cpu_s() > 0.0,
        "this kernel does not count the time of threads"
    );
    type Step = fn(&mut Rng, f64) -> f64;
    let kinds: [(&str, Step); 3] = [
        ("rare change", |rng, before| {
            before + f64::from(u8::from(rng.u8(..) < 3))
        }),
        ("counter", |rng, before| {
            before + f64::from(rng.u32(0..5_000))
        }),
        ("gauge of pages", |rng, before| {
            before + (f64::from(rng.u32(0..41)) - 20.0) * 4_096.0
        }),
    ];
    let rate = |(what, step): (&'static str, Step)| {
        let mut rng = Rng::with_seed(1);
        let mut values = Vec::with_capacity(COLUMNS * VALUES);
        for _ in 0..COLUMNS {
            let mut value = f64::from(rng.u32(0..1 << 30)) * 4_096.0;
            for _ in 0..VALUES {
                values.push(value);
                value = step(&mut rng, value);
            }
        }
        rate_of(what, &values)
    };
    kinds.into_iter().map(rate).collect()
}

fn rate_of(what: &'static str, values: &[f64]) -> Rate {
    let counts = [VALUES; COLUMNS];
    let (mut scratch, mut page) = (Scratch::default(), Vec::new());
    let encode = rounds_a_second(|| {
        page.clear();
        encode(values, &counts, &mut scratch, &mut page);
    });
    let (mut scratch, mut out) = (DecodeScratch::default(), Vec::new());
    let decode = rounds_a_second(|| {
        out.clear();
        let parsed = Page::parse(&page, &counts).expect("just encoded");
        for column in 0..COLUMNS {
            parsed
                .decode(&page, column, VALUES, &mut scratch, &mut out)
                .expect("just encoded");
        }
    });
    assert!(out == values, "whole numbers come back");
    let millions = values.len() as f64 / 1e6;
    Rate {
        what,
        bytes: page.len() as f64 / values.len() as f64,
        encode: millions * encode,
        decode: millions * decode,
    }
}

fn rounds_a_second(mut round: impl FnMut()) -> f64 {
    let began = cpu_s();
    let mut rounds = 0.0;
    loop {
        round();
        rounds += 1.0;
        let passed = cpu_s() - began;
        if passed > MEASURE_S {
            return rounds / passed;
        }
    }
}

/// Seconds that this thread has had a processor for.
pub(super) fn cpu_s() -> f64 {
    let counted = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = counted.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.unwrap_or(0.0) / 1e9
}

/// Bytes of pages of these columns, as a block would cut them.
pub(super) fn page_bytes(columns: &[&[f64]]) -> usize {
    let mut scratch = Scratch::default();
    let (mut page, mut values, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    for batch in columns.chunks(COLUMNS) {
        let longest = batch.iter().map(|c| c.len()).max().unwrap_or(0);
        for from in (0..longest).step_by(VALUES) {
            values.clear();
            counts.clear();
            for column in batch {
                let part = &column[from.min(column.len())..(from + VALUES).min(column.len())];
                values.extend_from_slice(part);
                counts.push(part.len());
            }
            page.clear();
            encode(&values, &counts, &mut scratch, &mut page);
            bytes += page.len();
        }
    }
    bytes
}
