//! Which buckets a histogram has.
//!
//! ```text
//! layout = flags schema:signed threshold spans spans n { bound }    ; flags: 1 float counts
//! spans  = n { offset:signed length }
//! ```
//! `threshold` and every `bound` are a value of `codec::row`, the latter against the bound before.

use codec::DecodeError;
use codec::row::{put_value, take_value};
use codec::varint::{self, Reader};
use model::histogram::Span;
use storage::HistogramValue;

use super::TOTALS;

/// More buckets than any histogram has; bounds what damaged bytes can ask for. One of the finest
/// schema that spans all of float64 has 524,288, one that a program fills has some hundred.
pub(crate) const BUCKETS_MAX: usize = 1 << 16;
const FLOAT: u8 = 1;

/// Which buckets a histogram has, and whether it counts in floats.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Layout {
    pub(crate) is_float: bool,
    pub(crate) schema: i32,
    pub(crate) zero_threshold_bits: u64,
    pub(crate) positive: Box<[Span]>,
    pub(crate) negative: Box<[Span]>,
    pub(crate) custom_values: Box<[f64]>,
}

/// The parts of a histogram that are its layout.
struct Parts<'a> {
    is_float: bool,
    schema: i32,
    zero_threshold: f64,
    positive: &'a [Span],
    negative: &'a [Span],
    custom_values: &'a [f64],
}

impl<'a> Parts<'a> {
    fn of(value: HistogramValue<'a>) -> Parts<'a> {
        match value {
            HistogramValue::Integer(h) => Parts {
                is_float: false,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                positive: &h.positive_spans,
                negative: &h.negative_spans,
                custom_values: &h.custom_values,
            },
            HistogramValue::Float(h) => Parts {
                is_float: true,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                positive: &h.positive_spans,
                negative: &h.negative_spans,
                custom_values: &h.custom_values,
            },
        }
    }
}

fn lengths(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.length as usize).sum()
}

impl Layout {
    /// That of a histogram that was validated.
    pub(crate) fn of(value: HistogramValue<'_>) -> Layout {
        let parts = Parts::of(value);
        Layout {
            is_float: parts.is_float,
            schema: parts.schema,
            zero_threshold_bits: parts.zero_threshold.to_bits(),
            positive: parts.positive.into(),
            negative: parts.negative.into(),
            custom_values: parts.custom_values.into(),
        }
    }

    /// Without any bucket, as staleness markers are.
    pub(crate) fn empty(is_float: bool) -> Layout {
        Layout {
            is_float,
            schema: 0,
            zero_threshold_bits: 0,
            positive: Box::default(),
            negative: Box::default(),
            custom_values: Box::default(),
        }
    }

    /// Whether it is that of the histogram.
    pub(crate) fn is_of(&self, value: HistogramValue<'_>) -> bool {
        let parts = Parts::of(value);
        self.is_float == parts.is_float
            && self.schema == parts.schema
            && self.zero_threshold_bits == parts.zero_threshold.to_bits()
            && *self.positive == *parts.positive
            && *self.negative == *parts.negative
            && *self.custom_values == *parts.custom_values
    }

    pub(crate) fn positive_buckets(&self) -> usize {
        lengths(&self.positive)
    }

    /// How many negative buckets a histogram of this layout has.
    pub(crate) fn negative_buckets(&self) -> usize {
        lengths(&self.negative)
    }

    /// How many words a histogram of this layout has.
    pub(crate) fn words(&self) -> usize {
        TOTALS + lengths(&self.positive) + lengths(&self.negative)
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.push(if self.is_float { FLOAT } else { 0 });
        varint::put_signed(out, self.schema.into());
        put_value(out, 0, self.zero_threshold_bits);
        for spans in [&self.positive, &self.negative] {
            varint::put(out, spans.len() as u64);
            for span in spans {
                varint::put_signed(out, span.offset.into());
                varint::put(out, span.length.into());
            }
        }
        varint::put(out, self.custom_values.len() as u64);
        let mut before = 0;
        for bound in &self.custom_values {
            put_value(out, before, bound.to_bits());
            before = bound.to_bits();
        }
    }

    pub(crate) fn take(reader: &mut Reader<'_>) -> Result<Layout, DecodeError> {
        let flags = reader.byte()?;
        if flags > FLOAT {
            return Err(DecodeError("histogram layout"));
        }
        let schema = small(reader.signed()?)?;
        let zero_threshold_bits = take_value(reader, 0)?;
        let positive = take_spans(reader)?;
        let negative = take_spans(reader)?;
        let mut before = 0;
        let bounds = reader.count(reader.rest().len())?;
        let bounds = (0..bounds).map(|_| {
            before = take_value(reader, before)?;
            Ok(f64::from_bits(before))
        });
        Ok(Layout {
            is_float: flags == FLOAT,
            schema,
            zero_threshold_bits,
            positive,
            negative,
            custom_values: bounds.collect::<Result<_, DecodeError>>()?,
        })
    }
}

fn small(value: i64) -> Result<i32, DecodeError> {
    i32::try_from(value).map_err(|_| DecodeError("histogram layout"))
}

fn take_spans(reader: &mut Reader<'_>) -> Result<Box<[Span]>, DecodeError> {
    let count = reader.count(reader.rest().len())?;
    let mut left = BUCKETS_MAX;
    let spans = (0..count).map(|_| {
        let offset = small(reader.signed()?)?;
        let length = reader.count(left)?;
        left -= length;
        Ok(Span {
            offset,
            length: length as u32,
        })
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn round_trips() {
        for shape in 0..4 {
            let integer = example(shape, 1);
            let float = integer.to_float();
            let (integer, float) = (
                HistogramValue::Integer(&integer),
                HistogramValue::Float(&float),
            );
            let layout = Layout::of(integer);
            assert!(layout.is_of(integer) && !layout.is_of(float));
            assert_ne!(layout, Layout::of(float));
            let mut bytes = Vec::new();
            layout.put(&mut bytes);
            let back = Layout::take(&mut Reader::new(&bytes));
            assert_eq!(back, Ok(layout));
            for cut in 0..bytes.len() {
                assert!(Layout::take(&mut Reader::new(&bytes[..cut])).is_err());
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(layout) = Layout::take(&mut Reader::new(&bytes)) {
                prop_assert!(layout.words() <= TOTALS + 2 * BUCKETS_MAX);
            }
        }
    }
}
