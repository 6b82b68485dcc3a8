//! Writes chunks of histograms, of whole numbers or of floats.
//!
//! A chunk has one shape. Where the shape changes, or the counter was reset, a chunk ends: readers
//! take every histogram but the first of a chunk for one without a reset.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Histogram};

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

/// A whole number with the step that led to it.
#[derive(Debug, Clone, Copy, Default)]
struct Stepped {
    value: i64,
    step: i64,
}

impl Stepped {
    fn begin(value: i64) -> Stepped {
        Stepped { value, step: 0 }
    }

    fn put(&mut self, out: &mut BitWriter, value: i64) {
        let step = value.wrapping_sub(self.value);
        out.put_varbit(step.wrapping_sub(self.step));
        *self = Stepped { value, step };
    }
}

/// A histogram to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AnyHistogram<'a> {
    Whole(&'a Histogram),
    Float(&'a FloatHistogram),
}

/// What the histograms of a chunk have in common.
#[derive(Debug, Clone, Copy)]
struct Shape<'a> {
    schema: i32,
    zero_threshold: f64,
    positive_spans: &'a [Span],
    negative_spans: &'a [Span],
    custom_values: &'a [f64],
}

impl<'a> AnyHistogram<'a> {
    fn shape(self) -> Shape<'a> {
        match self {
            AnyHistogram::Whole(h) => Shape {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                positive_spans: &h.positive_spans,
                negative_spans: &h.negative_spans,
                custom_values: &h.custom_values,
            },
            AnyHistogram::Float(h) => Shape {
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                positive_spans: &h.positive_spans,
                negative_spans: &h.negative_spans,
                custom_values: &h.custom_values,
            },
        }
    }

    fn sum(self) -> f64 {
        match self {
            AnyHistogram::Whole(h) => h.sum,
            AnyHistogram::Float(h) => h.sum,
        }
    }

    fn is_stale(self) -> bool {
        model::is_stale_nan(self.sum())
    }

    fn hint(self) -> CounterResetHint {
        match self {
            AnyHistogram::Whole(h) => h.counter_reset_hint,
            AnyHistogram::Float(h) => h.counter_reset_hint,
        }
    }

    /// Buckets above and below zero.
    fn bucket_counts(self) -> (usize, usize) {
        match self {
            AnyHistogram::Whole(h) => (h.positive_buckets.len(), h.negative_buckets.len()),
            AnyHistogram::Float(h) => (h.positive_buckets.len(), h.negative_buckets.len()),
        }
    }

    /// Of a staleness marker nothing but the sum counts.
    fn to_owned(self) -> Owned {
        let (is_stale, sum) = (self.is_stale(), self.sum());
        match self {
            AnyHistogram::Whole(_) if is_stale => Owned::Whole(Histogram {
                sum,
                ..Histogram::default()
            }),
            AnyHistogram::Float(_) if is_stale => Owned::Float(FloatHistogram {
                sum,
                ..FloatHistogram::default()
            }),
            AnyHistogram::Whole(h) => Owned::Whole(h.clone()),
            AnyHistogram::Float(h) => Owned::Float(h.clone()),
        }
    }
}

#[derive(Debug)]
enum Owned {
    Whole(Histogram),
    Float(FloatHistogram),
}

impl Owned {
    fn as_ref(&self) -> AnyHistogram<'_> {
        match self {
            Owned::Whole(h) => AnyHistogram::Whole(h),
            Owned::Float(h) => AnyHistogram::Float(h),
        }
    }
}

/// Why a histogram cannot be stored, or `None`.
pub(crate) fn problem(histogram: AnyHistogram<'_>) -> Option<&'static str> {
    if histogram.is_stale() {
        return None;
    }
    let shape = histogram.shape();
    let covers = |spans: &[Span], buckets: usize| {
        let count: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
        count == buckets as u64
    };
    let (positive, negative) = histogram.bucket_counts();
    let is_custom = shape.schema == CUSTOM_BUCKETS_SCHEMA;
    if !is_custom && !SCHEMAS.contains(&shape.schema) {
        Some("histogram of an unknown schema")
    } else if !is_custom && !shape.custom_values.is_empty() {
        Some("histogram with custom bounds but another schema")
    } else if !covers(shape.positive_spans, positive) || !covers(shape.negative_spans, negative) {
        Some("histogram whose spans and buckets differ in number")
    } else {
        None
    }
}

/// What was written last of count, zero count and buckets, positive ones first.
#[derive(Debug)]
enum Counts {
    Whole {
        count: Stepped,
        zero_count: Stepped,
        /// Differences to the bucket before.
        buckets: Vec<Stepped>,
    },
    Float {
        count: Xored,
        zero_count: Xored,
        buckets: Vec<Xored>,
    },
}

/// A chunk of histograms that grows. Timestamps must increase.
#[derive(Debug)]
pub(crate) struct HistogramChunk {
    out: BitWriter,
    sample_count: u16,
    first_ms: i64,
    timestamp: Stepped,
    /// The last histogram that was no staleness marker: what the next one must fit.
    last: Owned,
    is_stale: bool,
    sum: Xored,
    counts: Counts,
}

impl HistogramChunk {
    /// A chunk with its first histogram; `header` says how it follows the chunk before.
    pub(crate) fn begin(
        timestamp_ms: i64,
        histogram: AnyHistogram<'_>,
        header: ResetHeader,
    ) -> HistogramChunk {
        let is_stale = histogram.is_stale();
        let last = histogram.to_owned();
        let mut out = BitWriter::new(vec![0, 0, (header as u8) << 6]);
        put_shape(&mut out, last.as_ref().shape());
        out.put_varbit(timestamp_ms);
        let (sum, counts) = match &last {
            Owned::Whole(h) => begin_whole(&mut out, h),
            Owned::Float(h) => begin_float(&mut out, h),
        };
        HistogramChunk {
            out,
            sample_count: 1,
            first_ms: timestamp_ms,
            timestamp: Stepped::begin(timestamp_ms),
            last,
            is_stale,
            sum,
            counts,
        }
    }

    /// How a new chunk that begins with `histogram` is to be marked, if this one cannot take it.
    pub(crate) fn must_end_before(&self, histogram: AnyHistogram<'_>) -> Option<ResetHeader> {
        let last = self.last.as_ref();
        if !is_same_kind(last, histogram) {
            return Some(header_of(histogram));
        }
        let is_full = self.sample_count == u16::MAX
            || self.out.bytes.len() >= BYTES_TARGET && self.sample_count >= SAMPLES_MIN;
        let was_gauge = last.hint() == CounterResetHint::Gauge;
        let is_gauge = histogram.hint() == CounterResetHint::Gauge;
        if histogram.is_stale() {
            return is_full.then_some(header_of(last));
        }
        let has_shape = has_shape_of(histogram.shape(), last.shape());
        if is_gauge != was_gauge || self.is_stale || !has_shape {
            return Some(header_of(histogram));
        }
        if is_gauge {
            return is_full.then_some(ResetHeader::Gauge);
        }
        if histogram.hint() == CounterResetHint::Reset || is_lower(histogram, last) {
            return Some(ResetHeader::Reset);
        }
        is_full.then_some(ResetHeader::NotReset)
    }

    /// Adds a histogram of the same kind and shape, or a staleness marker of the same kind.
    pub(crate) fn push(&mut self, timestamp_ms: i64, histogram: AnyHistogram<'_>) {
        let out = &mut self.out;
        self.timestamp.put(out, timestamp_ms);
        self.is_stale = histogram.is_stale();
        let now = histogram.to_owned();
        match (&mut self.counts, &now) {
            (
                Counts::Whole {
                    count,
                    zero_count,
                    buckets,
                },
                Owned::Whole(h),
            ) => {
                count.put(out, h.count.cast_signed());
                zero_count.put(out, h.zero_count.cast_signed());
                self.sum.put(out, h.sum);
                for (bucket, difference) in buckets.iter_mut().zip(differences(h)) {
                    bucket.put(out, difference);
                }
            }
            (
                Counts::Float {
                    count,
                    zero_count,
                    buckets,
                },
                Owned::Float(h),
            ) => {
                count.put(out, h.count);
                zero_count.put(out, h.zero_count);
                self.sum.put(out, h.sum);
                let values = h.positive_buckets.iter().chain(&h.negative_buckets);
                for (bucket, value) in buckets.iter_mut().zip(values) {
                    bucket.put(out, *value);
                }
            }
            _ => unreachable!("must_end_before ends a chunk before a histogram of another kind"),
        }
        if !self.is_stale {
            self.last = now;
        }
        self.sample_count += 1;
    }

    pub(crate) fn finish(mut self) -> Finished {
        self.out.bytes[..2].copy_from_slice(&self.sample_count.to_be_bytes());
        Finished {
            encoding: match self.counts {
                Counts::Whole { .. } => Encoding::Histogram,
                Counts::Float { .. } => Encoding::FloatHistogram,
            },
            data: self.out.bytes,
            min_ms: self.first_ms,
            max_ms: self.timestamp.value,
        }
    }
}

fn begin_whole(out: &mut BitWriter, h: &Histogram) -> (Xored, Counts) {
    out.put_varbit_unsigned(h.count);
    out.put_varbit_unsigned(h.zero_count);
    let sum = Xored::begin(out, h.sum);
    let buckets = differences(h).map(|difference| {
        out.put_varbit(difference);
        Stepped::begin(difference)
    });
    let counts = Counts::Whole {
        count: Stepped::begin(h.count.cast_signed()),
        zero_count: Stepped::begin(h.zero_count.cast_signed()),
        buckets: buckets.collect(),
    };
    (sum, counts)
}

fn begin_float(out: &mut BitWriter, h: &FloatHistogram) -> (Xored, Counts) {
    let count = Xored::begin(out, h.count);
    let zero_count = Xored::begin(out, h.zero_count);
    let sum = Xored::begin(out, h.sum);
    let buckets = h.positive_buckets.iter().chain(&h.negative_buckets);
    let counts = Counts::Float {
        count,
        zero_count,
        buckets: buckets.map(|b| Xored::begin(out, *b)).collect(),
    };
    (sum, counts)
}

/// Buckets as differences to the bucket before; either side begins at 0.
fn differences(h: &Histogram) -> impl Iterator<Item = i64> + '_ {
    [&h.positive_buckets, &h.negative_buckets]
        .into_iter()
        .flat_map(|buckets| {
            let mut before = 0_i64;
            buckets
                .iter()
                .map(move |&count| count.wrapping_sub(std::mem::replace(&mut before, count)))
        })
}

/// The mark of a chunk that begins with `histogram` and does not simply go on.
pub(crate) fn header_of(histogram: AnyHistogram<'_>) -> ResetHeader {
    match histogram.hint() {
        CounterResetHint::Gauge => ResetHeader::Gauge,
        CounterResetHint::Reset => ResetHeader::Reset,
        CounterResetHint::Unknown | CounterResetHint::NotReset => ResetHeader::Unknown,
    }
}

fn is_same_kind(a: AnyHistogram<'_>, b: AnyHistogram<'_>) -> bool {
    std::mem::discriminant(&a) == std::mem::discriminant(&b)
}

fn has_shape_of(a: Shape<'_>, b: Shape<'_>) -> bool {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && bits(a.custom_values) == bits(b.custom_values)
}

/// Whether any count went down, which is what a counter does at a reset only.
fn is_lower(now: AnyHistogram<'_>, before: AnyHistogram<'_>) -> bool {
    fn any<T: PartialOrd>(now: &[T], before: &[T]) -> bool {
        now.iter().zip(before).any(|(now, before)| now < before)
    }
    match (now, before) {
        (AnyHistogram::Whole(now), AnyHistogram::Whole(before)) => {
            now.count < before.count
                || now.zero_count < before.zero_count
                || any(&now.positive_buckets, &before.positive_buckets)
                || any(&now.negative_buckets, &before.negative_buckets)
        }
        (AnyHistogram::Float(now), AnyHistogram::Float(before)) => {
            now.count < before.count
                || now.zero_count < before.zero_count
                || any(&now.positive_buckets, &before.positive_buckets)
                || any(&now.negative_buckets, &before.negative_buckets)
        }
        (AnyHistogram::Whole(_), AnyHistogram::Float(_))
        | (AnyHistogram::Float(_), AnyHistogram::Whole(_)) => false,
    }
}

fn put_shape(out: &mut BitWriter, shape: Shape<'_>) {
    put_zero_threshold(out, shape.zero_threshold);
    out.put_varbit(i64::from(shape.schema));
    for spans in [shape.positive_spans, shape.negative_spans] {
        out.put_varbit_unsigned(spans.len() as u64);
        for span in spans {
            out.put_varbit_unsigned(u64::from(span.length));
            out.put_varbit(i64::from(span.offset));
        }
    }
    if shape.schema == CUSTOM_BUCKETS_SCHEMA {
        out.put_varbit_unsigned(shape.custom_values.len() as u64);
        for bound in shape.custom_values {
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
