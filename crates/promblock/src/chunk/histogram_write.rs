//! Writes chunks of float histograms.
//!
//! A chunk has one shape. Where the shape changes, or the counter was reset, a chunk ends: readers
//! take every histogram but the first of a chunk for one without a reset.

use model::FloatHistogram;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};

use super::float::Finished;
use super::histogram::{ResetHeader, SCHEMAS};
use super::{Encoding, WindowWriter};
use crate::bits::BitWriter;

/// A chunk is closed at so many bytes, as upstream does, if it has [`SAMPLES_MIN`].
const BYTES_TARGET: usize = 1024;
/// Fewer samples would have the shape outweigh them.
const SAMPLES_MIN: u16 = 10;
/// Largest custom bound, in thousandths, that is written as a whole number.
const BOUND_THOUSANDTHS_MAX: f64 = 33_554_430.0;

#[derive(Debug, Clone, Copy, Default)]
struct Xored {
    value: u64,
    window: WindowWriter,
}

impl Xored {
    fn begin(out: &mut BitWriter, value: f64) -> Xored {
        out.put(value.to_bits(), 64);
        Xored {
            value: value.to_bits(),
            window: WindowWriter::default(),
        }
    }

    fn put(&mut self, out: &mut BitWriter, value: f64) {
        self.window.put(out, self.value, value.to_bits());
        self.value = value.to_bits();
    }
}

/// Why a histogram cannot be stored, or `None`.
pub(crate) fn problem(histogram: &FloatHistogram) -> Option<&'static str> {
    if model::is_stale_nan(histogram.sum) {
        return None;
    }
    let covers = |spans: &[Span], buckets: &[f64]| {
        let count: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        count == buckets.len() as u64
    };
    let is_custom = histogram.schema == CUSTOM_BUCKETS_SCHEMA;
    if !is_custom && !SCHEMAS.contains(&histogram.schema) {
        Some("histogram of an unknown schema")
    } else if !is_custom && !histogram.custom_values.is_empty() {
        Some("histogram with custom bounds but another schema")
    } else if !covers(&histogram.positive_spans, &histogram.positive_buckets)
        || !covers(&histogram.negative_spans, &histogram.negative_buckets)
    {
        Some("histogram whose spans and buckets differ in number")
    } else {
        None
    }
}

/// A chunk of float histograms that grows. Timestamps must increase.
#[derive(Debug)]
pub(crate) struct HistogramChunk {
    out: BitWriter,
    sample_count: u16,
    first_ms: i64,
    last_ms: i64,
    step_ms: i64,
    /// The last histogram that was no staleness marker: what the next one must fit.
    last: FloatHistogram,
    is_stale: bool,
    count: Xored,
    zero_count: Xored,
    sum: Xored,
    buckets: Vec<Xored>,
}

impl HistogramChunk {
    /// A chunk with its first histogram; `header` says how it follows the chunk before.
    pub(crate) fn begin(
        timestamp_ms: i64,
        histogram: &FloatHistogram,
        header: ResetHeader,
    ) -> HistogramChunk {
        let is_stale = model::is_stale_nan(histogram.sum);
        let mut out = BitWriter::new(vec![0, 0, (header as u8) << 6]);
        // Of a marker nothing but the sum counts.
        let shape = if is_stale {
            FloatHistogram {
                sum: histogram.sum,
                ..FloatHistogram::default()
            }
        } else {
            histogram.clone()
        };
        put_shape(&mut out, &shape);
        out.put_varbit(timestamp_ms);
        let count = Xored::begin(&mut out, shape.count);
        let zero_count = Xored::begin(&mut out, shape.zero_count);
        let sum = Xored::begin(&mut out, shape.sum);
        let buckets = shape.positive_buckets.iter().chain(&shape.negative_buckets);
        let buckets = buckets.map(|b| Xored::begin(&mut out, *b)).collect();
        HistogramChunk {
            out,
            sample_count: 1,
            first_ms: timestamp_ms,
            last_ms: timestamp_ms,
            step_ms: 0,
            last: shape,
            is_stale,
            count,
            zero_count,
            sum,
            buckets,
        }
    }

    /// How a new chunk that begins with `histogram` is to be marked, if this one cannot take it.
    pub(crate) fn must_end_before(&self, histogram: &FloatHistogram) -> Option<ResetHeader> {
        let is_full = self.sample_count == u16::MAX
            || self.out.bytes.len() >= BYTES_TARGET && self.sample_count >= SAMPLES_MIN;
        let was_gauge = self.last.counter_reset_hint == CounterResetHint::Gauge;
        let is_gauge = histogram.counter_reset_hint == CounterResetHint::Gauge;
        if model::is_stale_nan(histogram.sum) {
            return is_full.then_some(header_of(&self.last));
        }
        if is_gauge != was_gauge || self.is_stale || !has_shape_of(histogram, &self.last) {
            return Some(header_of(histogram));
        }
        if is_gauge {
            return is_full.then_some(ResetHeader::Gauge);
        }
        let is_reset = histogram.counter_reset_hint == CounterResetHint::Reset
            || is_lower(histogram, &self.last);
        if is_reset {
            return Some(ResetHeader::Reset);
        }
        is_full.then_some(ResetHeader::NotReset)
    }

    /// Adds a histogram of the same shape, or a staleness marker.
    pub(crate) fn push(&mut self, timestamp_ms: i64, histogram: &FloatHistogram) {
        let out = &mut self.out;
        let step_ms = timestamp_ms.wrapping_sub(self.last_ms);
        out.put_varbit(step_ms.wrapping_sub(self.step_ms));
        self.is_stale = model::is_stale_nan(histogram.sum);
        if self.is_stale {
            self.count.put(out, 0.0);
            self.zero_count.put(out, 0.0);
            self.sum.put(out, histogram.sum);
        } else {
            self.count.put(out, histogram.count);
            self.zero_count.put(out, histogram.zero_count);
            self.sum.put(out, histogram.sum);
            let values = histogram
                .positive_buckets
                .iter()
                .chain(&histogram.negative_buckets);
            for (bucket, value) in self.buckets.iter_mut().zip(values) {
                bucket.put(out, *value);
            }
            self.last.clone_from(histogram);
        }
        self.step_ms = step_ms;
        self.last_ms = timestamp_ms;
        self.sample_count += 1;
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.out.bytes[..2].copy_from_slice(&self.sample_count.to_be_bytes());
        Finished {
            encoding: Encoding::FloatHistogram,
            data: self.out.bytes,
            min_ms: self.first_ms,
            max_ms: self.last_ms,
        }
    }
}

/// The mark of a chunk that begins with `histogram` and does not simply go on.
pub(crate) fn header_of(histogram: &FloatHistogram) -> ResetHeader {
    match histogram.counter_reset_hint {
        CounterResetHint::Gauge => ResetHeader::Gauge,
        CounterResetHint::Reset => ResetHeader::Reset,
        CounterResetHint::Unknown | CounterResetHint::NotReset => ResetHeader::Unknown,
    }
}

fn has_shape_of(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && bits(&a.custom_values) == bits(&b.custom_values)
}

/// Whether any count went down, which is what a counter does at a reset only.
fn is_lower(now: &FloatHistogram, before: &FloatHistogram) -> bool {
    let any = |now: &[f64], before: &[f64]| now.iter().zip(before).any(|(n, b)| n < b);
    now.count < before.count
        || now.zero_count < before.zero_count
        || any(&now.positive_buckets, &before.positive_buckets)
        || any(&now.negative_buckets, &before.negative_buckets)
}

fn put_shape(out: &mut BitWriter, shape: &FloatHistogram) {
    put_zero_threshold(out, shape.zero_threshold);
    out.put_varbit(i64::from(shape.schema));
    for spans in [&shape.positive_spans, &shape.negative_spans] {
        out.put_varbit_unsigned(spans.len() as u64);
        for span in spans {
            out.put_varbit_unsigned(u64::from(span.length));
            out.put_varbit(i64::from(span.offset));
        }
    }
    if shape.schema == CUSTOM_BUCKETS_SCHEMA {
        out.put_varbit_unsigned(shape.custom_values.len() as u64);
        for bound in &shape.custom_values {
            put_bound(out, *bound);
        }
    }
}

fn put_zero_threshold(out: &mut BitWriter, threshold: f64) {
    const MANTISSA_BITS: u64 = 52;
    let bits = threshold.to_bits();
    let is_power_of_two = bits & ((1 << MANTISSA_BITS) - 1) == 0;
    let exponent = (bits >> MANTISSA_BITS) as i64 - 1023 + 244;
    if bits == 0 {
        out.put(0, 8);
    } else if is_power_of_two && (1..=254).contains(&exponent) {
        out.put(exponent as u64, 8);
    } else {
        out.put(255, 8);
        out.put(bits, 64);
    }
}

fn put_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    let is_exact = (0.0..=BOUND_THOUSANDTHS_MAX).contains(&thousandths)
        && (thousandths / 1000.0).to_bits() == bound.to_bits();
    if is_exact {
        out.put_varbit_unsigned(thousandths as u64 + 1);
    } else {
        out.put(0, 1);
        out.put(bound.to_bits(), 64);
    }
}
