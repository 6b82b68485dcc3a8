//! Reads chunks of native histograms, of whole numbers and of floats, with and without start
//! timestamps.
//!
//! The shape (schema, spans, bounds) is written once a chunk. Whole numbers go by the change of
//! their change and buckets by the difference to the bucket before; floats go by changed bits.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Histogram};

use super::Window;
use super::start::Starts;
use crate::bits::BitReader;
use crate::error::Bad;
use crate::{Sample, Value};

/// Schemas that Prometheus writes today.
pub(crate) const SCHEMAS: std::ops::RangeInclusive<i32> = -9..=8;

/// What the two bits of a chunk's header mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResetHeader {
    Unknown = 0b00,
    NotReset = 0b01,
    Reset = 0b10,
    Gauge = 0b11,
}

/// An integer with the step that led to it.
#[derive(Debug, Clone, Copy, Default)]
struct Stepped {
    value: i64,
    step: i64,
}

impl Stepped {
    fn begin(value: i64) -> Stepped {
        Stepped { value, step: 0 }
    }

    fn advance(&mut self, bits: &mut BitReader<'_>) -> Result<(), Bad> {
        self.step = self.step.wrapping_add(bits.varbit()?);
        self.value = self.value.wrapping_add(self.step);
        Ok(())
    }
}

/// A float with its window.
#[derive(Debug, Clone, Copy, Default)]
struct Xored {
    value: u64,
    window: Window,
}

impl Xored {
    fn begin(bits: &mut BitReader<'_>) -> Result<Xored, Bad> {
        Ok(Xored {
            value: bits.bits(64)?,
            window: Window::default(),
        })
    }

    fn advance(&mut self, bits: &mut BitReader<'_>) -> Result<(), Bad> {
        self.value = self.window.value(bits, self.value)?;
        Ok(())
    }

    fn float(self) -> f64 {
        f64::from_bits(self.value)
    }
}

/// Count, zero count and buckets, positive ones first.
#[derive(Debug)]
enum Counts {
    Whole {
        count: Stepped,
        zero_count: Stepped,
        buckets: Vec<Stepped>,
    },
    Float {
        count: Xored,
        zero_count: Xored,
        buckets: Vec<Xored>,
    },
}

#[derive(Debug)]
pub(super) struct Decoder<'a> {
    bits: BitReader<'a>,
    is_float: bool,
    is_gauge: bool,
    starts: Option<Starts>,
    timestamp: Stepped,
    sum: Xored,
    /// Schema, spans and bounds; `None` before the first sample.
    shape: Option<FloatHistogram>,
    positive_count: usize,
    counts: Counts,
}

impl<'a> Decoder<'a> {
    /// `header` holds the counter reset in its two highest bits.
    pub(super) fn new(
        bits: BitReader<'a>,
        is_float: bool,
        header: u8,
        start_header: Option<u8>,
    ) -> Decoder<'a> {
        Decoder {
            bits,
            is_float,
            is_gauge: header >> 6 == ResetHeader::Gauge as u8,
            starts: start_header.map(Starts::new),
            timestamp: Stepped::default(),
            sum: Xored::default(),
            shape: None,
            positive_count: 0,
            counts: Counts::Whole {
                count: Stepped::default(),
                zero_count: Stepped::default(),
                buckets: Vec::new(),
            },
        }
    }

    pub(super) fn next(&mut self) -> Result<Sample, Bad> {
        let before_ms = self.timestamp.value;
        let is_first = self.shape.is_none();
        if is_first {
            self.begin()?;
        } else {
            self.advance()?;
        }
        let timestamp_ms = self.timestamp.value;
        let start_timestamp_ms = match &mut self.starts {
            Some(starts) => starts.next(&mut self.bits, before_ms, timestamp_ms)?,
            None => 0,
        };
        Ok(Sample {
            timestamp_ms,
            start_timestamp_ms,
            value: self.value(is_first),
        })
    }

    fn begin(&mut self) -> Result<(), Bad> {
        let bits = &mut self.bits;
        let shape = read_shape(bits)?;
        let bits_each = if self.is_float { 64 } else { 1 };
        let positive = bucket_count(bits, &shape.positive_spans, bits_each)?;
        let negative = bucket_count(bits, &shape.negative_spans, bits_each)?;
        let total = positive + negative;
        self.positive_count = positive;
        self.timestamp = Stepped::begin(bits.varbit()?);
        if self.is_float {
            let (count, zero_count) = (Xored::begin(bits)?, Xored::begin(bits)?);
            self.sum = Xored::begin(bits)?;
            self.counts = Counts::Float {
                count,
                zero_count,
                buckets: (0..total)
                    .map(|_| Xored::begin(bits))
                    .collect::<Result<_, _>>()?,
            };
        } else {
            let count = Stepped::begin(bits.varbit_unsigned()? as i64);
            let zero_count = Stepped::begin(bits.varbit_unsigned()? as i64);
            self.sum = Xored::begin(bits)?;
            let bucket = |_| Ok(Stepped::begin(bits.varbit()?));
            self.counts = Counts::Whole {
                count,
                zero_count,
                buckets: (0..total).map(bucket).collect::<Result<_, _>>()?,
            };
        }
        self.shape = Some(shape);
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Bad> {
        let bits = &mut self.bits;
        self.timestamp.advance(bits)?;
        match &mut self.counts {
            Counts::Whole {
                count, zero_count, ..
            } => {
                count.advance(bits)?;
                zero_count.advance(bits)?;
            }
            Counts::Float {
                count, zero_count, ..
            } => {
                count.advance(bits)?;
                zero_count.advance(bits)?;
            }
        }
        self.sum.advance(bits)?;
        if model::is_stale_nan(self.sum.float()) {
            return Ok(());
        }
        match &mut self.counts {
            Counts::Whole { buckets, .. } => buckets
                .iter_mut()
                .try_for_each(|bucket| bucket.advance(bits)),
            Counts::Float { buckets, .. } => buckets
                .iter_mut()
                .try_for_each(|bucket| bucket.advance(bits)),
        }
    }

    fn value(&self, is_first: bool) -> Value {
        let sum = self.sum.float();
        let shape = self.shape.as_ref().filter(|_| !model::is_stale_nan(sum));
        let hint = match (self.is_gauge, is_first) {
            (true, _) => CounterResetHint::Gauge,
            // Whether the chunk before is still there is not known.
            (false, true) => CounterResetHint::Unknown,
            (false, false) => CounterResetHint::NotReset,
        };
        match &self.counts {
            Counts::Whole {
                count,
                zero_count,
                buckets,
            } => {
                let mut histogram = Histogram {
                    sum,
                    ..Histogram::default()
                };
                if let Some(shape) = shape {
                    let (positive, negative) = buckets.split_at(self.positive_count);
                    histogram = Histogram {
                        counter_reset_hint: hint,
                        schema: shape.schema,
                        zero_threshold: shape.zero_threshold,
                        zero_count: zero_count.value.cast_unsigned(),
                        count: count.value.cast_unsigned(),
                        sum,
                        positive_spans: shape.positive_spans.clone(),
                        negative_spans: shape.negative_spans.clone(),
                        positive_buckets: absolute(positive.iter().map(|b| b.value)),
                        negative_buckets: absolute(negative.iter().map(|b| b.value)),
                        custom_values: shape.custom_values.clone(),
                    };
                }
                Value::IntegerHistogram(Box::new(histogram))
            }
            Counts::Float {
                count,
                zero_count,
                buckets,
            } => {
                let mut histogram = FloatHistogram::default();
                if let Some(shape) = shape {
                    let (positive, negative) = buckets.split_at(self.positive_count);
                    histogram.clone_from(shape);
                    histogram.counter_reset_hint = hint;
                    histogram.count = count.float();
                    histogram.zero_count = zero_count.float();
                    histogram.positive_buckets = positive.iter().map(|b| b.float()).collect();
                    histogram.negative_buckets = negative.iter().map(|b| b.float()).collect();
                }
                histogram.sum = sum;
                Value::Histogram(Box::new(histogram))
            }
        }
    }
}

/// Bucket counts from their differences.
pub(crate) fn absolute(differences: impl Iterator<Item = i64>) -> Vec<i64> {
    let counts = differences.scan(0i64, |count, difference| {
        *count = count.wrapping_add(difference);
        Some(*count)
    });
    counts.collect()
}

fn read_shape(bits: &mut BitReader<'_>) -> Result<FloatHistogram, Bad> {
    let zero_threshold = match bits.bits(8)? as u8 {
        0 => 0.0,
        255 => bits.f64()?,
        // A power of two, by its exponent: 116 is 2^-128.
        exponent => 2f64.powi(i32::from(exponent) - 244),
    };
    let schema = i32::try_from(bits.varbit()?)
        .ok()
        .filter(|schema| *schema == CUSTOM_BUCKETS_SCHEMA || SCHEMAS.contains(schema))
        .ok_or_else(|| bits.bad("histogram of an unknown schema"))?;
    let positive_spans = read_spans(bits)?;
    let negative_spans = read_spans(bits)?;
    let custom_values = if schema == CUSTOM_BUCKETS_SCHEMA {
        read_bounds(bits)?
    } else {
        Vec::new()
    };
    Ok(FloatHistogram {
        schema,
        zero_threshold,
        positive_spans,
        negative_spans,
        custom_values,
        ..FloatHistogram::default()
    })
}

/// A count of things that take at least `bits_each` bits each.
fn count(bits: &mut BitReader<'_>, bits_each: usize) -> Result<usize, Bad> {
    let count = bits.varbit_unsigned()?;
    usize::try_from(count)
        .ok()
        .filter(|count| *count <= bits.left() / bits_each)
        .ok_or_else(|| bits.bad("count larger than what follows"))
}

fn read_spans(bits: &mut BitReader<'_>) -> Result<Vec<Span>, Bad> {
    let span_count = count(bits, 2)?;
    let mut spans = Vec::with_capacity(span_count);
    for _ in 0..span_count {
        let length = u32::try_from(bits.varbit_unsigned()?);
        let offset = i32::try_from(bits.varbit()?);
        let (Ok(length), Ok(offset)) = (length, offset) else {
            return Err(bits.bad("span out of bounds"));
        };
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn read_bounds(bits: &mut BitReader<'_>) -> Result<Vec<f64>, Bad> {
    let bound_count = count(bits, 5)?;
    let bound = |_| match bits.varbit_unsigned()? {
        0 => bits.f64(),
        thousandths => Ok((thousandths - 1) as f64 / 1000.0),
    };
    (0..bound_count).map(bound).collect()
}

fn bucket_count(bits: &BitReader<'_>, spans: &[Span], bits_each: usize) -> Result<usize, Bad> {
    let buckets: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    usize::try_from(buckets)
        .ok()
        .filter(|count| *count <= bits.left() / bits_each)
        .ok_or_else(|| bits.bad("more buckets than the chunk can hold"))
}
