//! Inputs of the engine's target: how a query lies in bytes, and the data that it is asked of.

use std::fmt::Write as _;

use fastrand::Rng;
use naive::random::{self, DataOptions, Dialect};
use promql_syntax::{SequenceValue, parse_series_desc};
use storage::memory::MemoryStore;

/// What one input asks for.
#[derive(Debug)]
pub struct Asked {
    /// The query's text.
    pub query: String,
    /// The first step.
    pub start_ms: i64,
    /// The last step; the same as the first of an instant query.
    pub end_ms: i64,
    /// 0 for an instant query.
    pub step_ms: i64,
    /// Which of the engines answers: see [`ENGINES`].
    pub engine: usize,
}

/// Engines that differ in what is switched on, and in how much memory a query may take.
pub const ENGINES: usize = 4;

/// Bytes before the text, or before the seed of the grammar.
const HEAD_BYTES: usize = 4;

/// The query of an input: four bytes that choose, then the text, or a seed of the grammar.
#[must_use]
pub fn asked(input: &[u8]) -> Option<Asked> {
    let (head, rest) = input.split_at_checked(HEAD_BYTES)?;
    let steps = i64::from(head[1]);
    let step_ms = [1, 1_000, 7_000, 60_000, 133_337, 1_000_000_007][usize::from(head[2] % 6)];
    let start_ms = random::START_MS + 10_000 * (i64::from(head[3]) - 16);
    let query = match head[0] & 1 {
        0 => std::str::from_utf8(rest).ok()?.to_owned(),
        _ => {
            let seed = rest.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
                (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            random::query(&mut Rng::with_seed(seed), EVERYTHING)
        }
    };
    let is_instant = head[1] == 0;
    Some(Asked {
        query,
        start_ms,
        end_ms: start_ms + step_ms * steps,
        step_ms: if is_instant { 0 } else { step_ms },
        engine: usize::from(head[0] >> 1) % ENGINES,
    })
}

/// An input that asks for a text.
#[must_use]
pub fn text_input(steps: u8, step: u8, engine: u8, query: &str) -> Vec<u8> {
    let mut input = vec![engine << 1, steps, step, 40];
    input.extend_from_slice(query.as_bytes());
    input
}

const EVERYTHING: Dialect = Dialect::WHOLE
    .with(Dialect::RECENT)
    .with(Dialect::EXPERIMENTAL)
    .with(Dialect::HISTOGRAMS)
    .with(Dialect::EDGES)
    .with(Dialect::STARTS)
    .with(Dialect::ORDER);

/// Series of the grammar's names: counters, gauges and classic histograms with gaps, markers, NaN
/// and infinities, native histograms with both kinds of buckets, series that mix them with floats.
#[must_use]
pub fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let mut rng = Rng::with_seed(7);
    let data = random::data(&mut rng, DataOptions::default());
    let starts = random::starts(&mut rng, &data);
    for (labels, samples) in &data {
        let starts = starts.get(labels);
        for &(time_ms, value) in samples {
            let start_ms = starts.and_then(|starts| starts.get(&time_ms));
            store.insert_with_start(labels, time_ms, value, start_ms.copied().unwrap_or(0));
        }
    }
    let mut texts: Vec<String> = NATIVE.iter().map(|&text| text.to_owned()).collect();
    for pod in 0..40 {
        let mut text = format!("pods{{x=\"{}\",pod=\"p{pod}\"}}", pod % 3);
        // Each lives for a while.
        let _ = write!(text, " _x{pod} {pod}+7x9 stale");
        texts.push(text);
    }
    texts.push("target_info{x=\"1\",instance=\"i\",job=\"j\",version=\"1.0\"} 1x80".to_owned());
    for text in &texts {
        let series = parse_series_desc(text).expect("series of ours");
        for (at, value) in series.values.into_iter().enumerate() {
            let at_ms = random::START_MS + 15_000 * at as i64;
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => store.insert(&series.labels, at_ms, value),
                SequenceValue::Histogram { histogram, .. } => {
                    store.insert_histogram(&series.labels, at_ms, (*histogram).clone());
                }
            }
        }
    }
    store
}

const NATIVE: &[&str] = &[
    "n{x=\"1\",y=\"p\"} {{schema:0 sum:5 count:4 z_bucket:1 z_bucket_w:0.001 buckets:[1 2 1]}}+{{schema:0 sum:5 count:4 z_bucket:1 buckets:[1 2 1]}}x70",
    "n{x=\"2\",y=\"p\"} {{schema:2 sum:5 count:4 buckets:[1 2 1] n_buckets:[1 0 3]}}+{{schema:2 sum:1 count:2 buckets:[1 0 1]}}x20 stale {{schema:1 count:1 sum:NaN buckets:[1]}}x20",
    "n{x=\"3\",y=\"q\"} _x5 {{schema:3 sum:-1 count:3 offset:-4 buckets:[3] counter_reset_hint:gauge}}x40",
    "k{x=\"1\",y=\"q\"} {{schema:-53 sum:1 count:5 custom_values:[1 5 10] buckets:[1 2 1 1]}}+{{schema:-53 sum:1 count:2 custom_values:[1 5 10] buckets:[1 0 1 0]}}x60",
    "k{x=\"2\",y=\"q\"} {{schema:-53 sum:1 count:2 custom_values:[1 2] buckets:[1 1]}}x30 {{schema:-53 sum:1 count:4 custom_values:[1 2 4] buckets:[1 1 2]}}x30",
    "mixed{x=\"1\"} 1 2 {{schema:0 sum:1 count:1 buckets:[1]}} 3 _ {{schema:0 sum:2 count:2 buckets:[2]}}x30 5+5x20",
];
