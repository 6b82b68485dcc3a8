//! The series that generated queries are asked over, as Prometheus's blocks.
//!
//! A data set is what one seed gives: the oracle's random floats, pods that come and go, series
//! with information about targets, and native histograms if the peer knows them. Each set lies in
//! a block of its own, [`SET_MS`] after the one before, so that one pair of servers answers
//! queries over all of them.

use std::path::Path;

use anyhow::Context as _;
use fastrand::Rng;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Labels, METRIC_NAME, STALE_NAN};
use naive::random::{self, DataOptions, SPAN_MS, START_MS};
use promblock::{BlockWriter, Sample, Ulid, Value, WriterOptions};

/// From one data set to the next: what a block spans.
pub(super) const SET_MS: i64 = 2 * 3_600_000;
/// Between two samples of the series that are made here.
const INTERVAL_MS: i64 = 15_000;

/// Series with their samples.
pub(super) type Series = Vec<(Labels, Vec<Sample>)>;

/// What the peer can take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Whole numbers that do not overflow and counters far from zero, at times that no window
    /// begins at.
    pub(super) is_tame: bool,
    /// With native histograms.
    pub(super) histograms: bool,
}

impl Kind {
    /// What counters begin with: far enough from zero that nobody extrapolates them to it.
    fn counted(self) -> f64 {
        if self.is_tame { 1e6 } else { 0.0 }
    }
}

/// The data set of a seed, `set` blocks after the first one.
pub(super) fn set(seed: u64, set: i64, kind: Kind) -> Series {
    let mut rng = Rng::with_seed(seed);
    let options = DataOptions {
        whole: kind.is_tame,
        counted: kind.counted(),
        extreme: !kind.is_tame,
        // Every other set has edges wherever there can be some.
        grid_ms: if kind.is_tame || rng.bool() { 1 } else { 5_000 },
    };
    let mut series: Series = random::data(&mut rng, options)
        .into_iter()
        .map(|(labels, samples)| {
            let float = |(time_ms, value)| sample(time_ms, Value::Float(value));
            (labels, samples.into_iter().map(float).collect())
        })
        .collect();
    pods(&mut rng, kind, &mut series);
    information(&mut rng, &mut series);
    if kind.histograms {
        histograms(&mut rng, &mut series);
    }
    for (_, samples) in &mut series {
        for sample in samples {
            sample.timestamp_ms += set * SET_MS;
            // Queries ask at multiples of 100 ms.
            if kind.is_tame && sample.timestamp_ms % 100 == 0 {
                sample.timestamp_ms += 1;
            }
        }
    }
    series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    series
}

/// Writes the series as a block of Prometheus's into `folder`.
pub(super) fn write(mut series: Series, folder: &Path) -> anyhow::Result<()> {
    series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let first_ms = series.iter().filter_map(|(_, samples)| samples.first());
    let first_ms = first_ms.map(|sample| sample.timestamp_ms).min();
    let first_ms = u64::try_from(first_ms.context("a block without samples")?)?;
    let ulid = Ulid::new(first_ms, u128::from(first_ms));
    let mut block = BlockWriter::create(&disk::RealDisk, folder, WriterOptions::new(ulid))?;
    for (labels, samples) in series {
        block.add_series(&labels, samples)?;
    }
    block.finish()?;
    Ok(())
}

pub(super) fn sample(timestamp_ms: i64, value: Value) -> Sample {
    Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value,
    }
}

/// Many short lives, most of which end with a staleness marker.
fn pods(rng: &mut Rng, kind: Kind, series: &mut Series) {
    let mut born_ms = START_MS;
    for pod in 0..24 {
        born_ms += rng.i64(0..SPAN_MS / 12);
        let (x, y) = (["1", "2", "3"][rng.usize(..3)], ["p", "q"][rng.usize(..2)]);
        let name = format!("pod-{pod}");
        let labels = [(METRIC_NAME, "pods"), ("pod", &name), ("x", x), ("y", y)];
        let count = rng.i64(1..30);
        let time_ms = |n: i64| born_ms + n * INTERVAL_MS;
        let mut value = kind.counted();
        let mut samples: Vec<Sample> = (0..count)
            .map(|n| {
                value += f64::from(rng.u8(..20));
                sample(time_ms(n), Value::Float(value))
            })
            .collect();
        if rng.u8(..4) > 0 {
            samples.push(sample(time_ms(count), Value::Float(STALE_NAN)));
        }
        series.push((Labels::from_pairs(labels), samples));
    }
}

/// `m` with two targets, and information about them that changes now and then.
fn information(rng: &mut Rng, series: &mut Series) {
    for (instance, x) in [("i1", "1"), ("i2", "2"), ("i3", "1")] {
        let labels = [
            (METRIC_NAME, "m"),
            ("instance", instance),
            ("job", "j"),
            ("x", x),
        ];
        let mut value = 0.0;
        let values = (0..SPAN_MS / INTERVAL_MS).map(|n| {
            value += f64::from(rng.u8(..9));
            sample(START_MS + n * INTERVAL_MS, Value::Float(value))
        });
        series.push((Labels::from_pairs(labels), values.collect()));
    }
    let half = SPAN_MS / INTERVAL_MS / 2;
    for (name, label, instance, value, span) in [
        ("target_info", "zone", "i1", "eu", 0..half),
        ("target_info", "zone", "i1", "us", half..2 * half),
        ("target_info", "zone", "i2", "eu", 0..2 * half),
        ("build_info", "version", "i1", "1", 0..2 * half),
        ("rack_info", "rack", "i2", "r7", half / 2..half),
        ("rack_info", "x", "i3", "9", 0..half),
    ] {
        let labels = [
            (METRIC_NAME, name),
            ("instance", instance),
            ("job", "j"),
            (label, value),
        ];
        let ends_ms = START_MS + span.end * INTERVAL_MS;
        let mut samples: Vec<Sample> = span
            .map(|n| sample(START_MS + n * INTERVAL_MS, Value::Float(1.0)))
            .collect();
        samples.push(sample(ends_ms, Value::Float(STALE_NAN)));
        series.push((Labels::from_pairs(labels), samples));
    }
}

/// `n` with exponential buckets, `k` with custom ones, `mixed` with both and with floats.
fn histograms(rng: &mut Rng, series: &mut Series) {
    for name in ["n", "k", "mixed"] {
        for x in ["1", "2", "3"] {
            for y in ["p", "q"] {
                if rng.u8(..5) > 0 {
                    let labels = [(METRIC_NAME, name), ("x", x), ("y", y)];
                    series.push((Labels::from_pairs(labels), changing(rng, name)));
                }
            }
        }
    }
}

/// A series of histograms whose shape changes now and then.
fn changing(rng: &mut Rng, name: &str) -> Vec<Sample> {
    let mut shape = Shape::new(rng, name == "k");
    let is_gauge = rng.u8(..5) == 0;
    let mut at_ms = START_MS + rng.i64(0..4) * 1_000;
    let mut samples = Vec::new();
    while at_ms < START_MS + SPAN_MS {
        let is_mixed = name == "mixed";
        let value = match rng.u8(..60) {
            0 => {
                at_ms += rng.i64(0..12) * INTERVAL_MS;
                None
            }
            1 => Some(Value::Float(STALE_NAN)),
            2 | 3 => {
                let is_custom = if is_mixed { rng.bool() } else { name == "k" };
                shape = Shape::new(rng, is_custom);
                None
            }
            4..14 if is_mixed => Some(Value::Float(f64::from(rng.u8(..100)))),
            _ => None,
        };
        let value = value.unwrap_or_else(|| {
            shape.observe(rng);
            let mut histogram = shape.histogram.clone();
            if is_gauge {
                histogram.counter_reset_hint = CounterResetHint::Gauge;
            }
            Value::Histogram(Box::new(histogram))
        });
        samples.push(sample(at_ms, value));
        at_ms += INTERVAL_MS;
    }
    samples
}

/// A histogram that goes on counting.
struct Shape {
    histogram: FloatHistogram,
}

impl Shape {
    fn new(rng: &mut Rng, is_custom: bool) -> Shape {
        let span = |rng: &mut Rng| Span {
            offset: rng.i32(-2..4),
            length: rng.u32(1..5),
        };
        let mut histogram = FloatHistogram::default();
        if is_custom {
            histogram.schema = CUSTOM_BUCKETS_SCHEMA;
            let bounds: [&[f64]; 3] = [&[0.1, 1.0, 5.0], &[0.1, 0.5, 1.0, 5.0, 20.0], &[2.0]];
            histogram.custom_values = bounds[rng.usize(..3)].to_vec();
            let length = histogram.custom_values.len() as u32 + 1;
            histogram.positive_spans = vec![Span { offset: 0, length }];
        } else {
            histogram.schema = rng.i32(-1..4);
            histogram.zero_threshold = [1e-128, 0.001, 0.25][rng.usize(..3)];
            histogram.positive_spans = vec![span(rng)];
            if rng.bool() {
                let second = Span {
                    offset: rng.i32(1..4),
                    length: 2,
                };
                histogram.positive_spans.push(second);
            }
            if rng.u8(..3) == 0 {
                histogram.negative_spans = vec![span(rng)];
            }
        }
        let buckets = |spans: &[Span]| vec![0.0; spans.iter().map(|s| s.length as usize).sum()];
        histogram.positive_buckets = buckets(&histogram.positive_spans);
        histogram.negative_buckets = buckets(&histogram.negative_spans);
        Shape { histogram }
    }

    fn observe(&mut self, rng: &mut Rng) {
        let histogram = &mut self.histogram;
        let mut added = 0.0;
        let buckets = histogram.positive_buckets.iter_mut();
        for bucket in buckets.chain(&mut histogram.negative_buckets) {
            let more = f64::from(rng.u8(..4));
            *bucket += more;
            added += more;
        }
        if !histogram.uses_custom_buckets() && rng.bool() {
            histogram.zero_count += 1.0;
            added += 1.0;
        }
        histogram.count += added;
        histogram.sum += added * 1.5 - f64::from(rng.u8(..3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_a_block_that_says_the_same() {
        let kind = Kind {
            is_tame: false,
            histograms: true,
        };
        for seed in 0..8 {
            let series = set(seed, 1, kind);
            let folder = tempfile::tempdir().unwrap();
            write(series.clone(), folder.path()).unwrap();
            let data = promblock::DataDir::open(&disk::RealDisk, folder.path()).unwrap();
            let block = data.blocks()[0].open(&disk::RealDisk).unwrap();
            assert_eq!(block.series_count(), series.len());
            for (labels, samples) in &series {
                let wanted = (START_MS + SET_MS..START_MS + 2 * SET_MS, labels);
                let times = samples.iter().map(|s| s.timestamp_ms);
                assert!(times.clone().all(|t| wanted.0.contains(&t)), "{labels}");
                assert!(times.is_sorted_by(|a, b| a < b), "{labels}");
            }
        }
    }

    #[test]
    fn tame_data_have_no_edges_and_sums_without_rounding() {
        let kind = Kind {
            is_tame: true,
            histograms: false,
        };
        for (labels, samples) in set(3, 0, kind) {
            for sample in samples {
                assert_ne!(sample.timestamp_ms % 100, 0, "{labels}");
                let Value::Float(value) = sample.value else {
                    panic!("a histogram in {labels}");
                };
                assert!(!value.is_finite() || value.fract() == 0.0, "{labels}");
            }
        }
    }
}
