//! Series descriptions: a metric, and values that expand to one sample a step.

use std::sync::Arc;

use model::histogram::{FloatHistogram, Span};

use super::{Parser, Result, Stop};
use crate::ast::BinaryOp;
use crate::lexer::{HistogramKey, Kind};
use crate::series::{SequenceValue, SeriesDescription, VALUES_MAX, combine};

impl Parser<'_> {
    pub(super) fn series_description(&mut self) -> Result<SeriesDescription> {
        let labels = self.metric()?;
        let mut values = Vec::new();
        if !matches!(self.peek()?, Kind::Space | Kind::End) {
            return self.in_context(Err(Stop::Unexpected), "series values", "");
        }
        while self.accept(Kind::Space)?.is_some() {
            if starts_item(self.peek()?) {
                let item = self.series_item(&mut values);
                self.in_context(item, "series values", "")?;
            }
        }
        Ok(SeriesDescription { labels, values })
    }

    /// One value, or one that expands to several.
    fn series_item(&mut self, values: &mut Vec<SequenceValue>) -> Result<()> {
        match self.peek()? {
            Kind::Blank => {
                self.bump()?;
                let count = match self.accept(Kind::Times)? {
                    Some(_) => self.repetitions(values.len(), 0)?,
                    None => 1,
                };
                values.extend(std::iter::repeat_n(SequenceValue::Omitted, count));
                Ok(())
            }
            Kind::OpenHistogram => self.histogram_item(values),
            _ => self.float_item(values),
        }
    }

    /// `1`, `1x3`, `1+2x3`, `stale`
    fn float_item(&mut self, values: &mut Vec<SequenceValue>) -> Result<()> {
        let mut value = self.float_value()?;
        let mut step = None;
        if let Kind::Op(BinaryOp::Add | BinaryOp::Sub) = self.peek()? {
            step = Some(self.signed_number()?);
        }
        let count = if step.is_some() || self.peek()? == Kind::Times {
            self.expect(Kind::Times)?;
            self.repetitions(values.len(), 1)?
        } else {
            1
        };
        values.reserve(count);
        for _ in 0..count {
            values.push(SequenceValue::Float(value));
            // Not plus zero, which would turn -0 into 0.
            value = step.map_or(value, |step| value + step);
        }
        Ok(())
    }

    fn float_value(&mut self) -> Result<f64> {
        if self.peek()? != Kind::Identifier {
            return self.signed_number();
        }
        let word = self.bump()?;
        if self.text(word) == "stale" {
            return Ok(model::STALE_NAN);
        }
        self.in_context(
            Err(Stop::Unexpected),
            "series values",
            "number or \"stale\"",
        )
    }

    /// How many values `x3` adds: itself and, if there is one, the value at time zero.
    fn repetitions(&mut self, present: usize, extra: usize) -> Result<usize> {
        let count = self.unsigned()?;
        let count = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_add(extra);
        if present.saturating_add(count) > VALUES_MAX {
            self.error_at_last(format!("too many values in series, more than {VALUES_MAX}"));
            return Err(Stop::Reported);
        }
        Ok(count)
    }

    fn unsigned(&mut self) -> Result<u64> {
        let token = self.expect(Kind::Number)?;
        let number = gocompat::strconv::parse_uint(self.text(token), 10);
        Ok(number.unwrap_or_else(|error| {
            self.error_at_last(format!("invalid repetition in series values: {error}"));
            0
        }))
    }

    fn integer(&mut self) -> Result<i64> {
        let is_negative = self.accept(Kind::Op(BinaryOp::Sub))?.is_some();
        let number = self.unsigned()? as i64;
        Ok(if is_negative {
            number.wrapping_neg()
        } else {
            number
        })
    }

    /// A number with or without a sign.
    fn signed_number(&mut self) -> Result<f64> {
        let sign = self.peek()?;
        let is_negative = sign == Kind::Op(BinaryOp::Sub);
        if is_negative || sign == Kind::Op(BinaryOp::Add) {
            self.bump()?;
        }
        let number = self.number_literal()?.value;
        Ok(if is_negative { -number } else { number })
    }

    /// `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3`
    fn histogram_item(&mut self, values: &mut Vec<SequenceValue>) -> Result<()> {
        let first = self.histogram()?;
        let sign = self.peek()?;
        if let Kind::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = sign {
            self.bump()?;
            let step = self.histogram()?;
            self.expect(Kind::Times)?;
            let count = self.repetitions(values.len(), 1)?;
            let is_difference = op == BinaryOp::Sub;
            return self.histogram_sequence(values, first, &step, is_difference, count);
        }
        let count = match self.accept(Kind::Times)? {
            Some(_) => self.repetitions(values.len(), 1)?,
            None => 1,
        };
        let value = first.into_value();
        values.extend(std::iter::repeat_n(value, count));
        Ok(())
    }

    /// `first`, and `count - 1` times the one before plus or minus `step`.
    fn histogram_sequence(
        &mut self,
        values: &mut Vec<SequenceValue>,
        first: HistogramLiteral,
        step: &HistogramLiteral,
        is_difference: bool,
        count: usize,
    ) -> Result<()> {
        let mut current = Arc::new(first.histogram);
        for index in 0..count {
            if index > 0 {
                match combine(&current, &step.histogram, is_difference) {
                    Ok(next) => current = Arc::new(next),
                    Err(message) => {
                        self.error_at_last(message);
                        return Err(Stop::Reported);
                    }
                }
            }
            values.push(SequenceValue::Histogram {
                histogram: Arc::clone(&current),
                // The hint of the step speaks for all of them.
                counter_reset_hint_set: step.hint_set,
            });
        }
        Ok(())
    }

    fn histogram(&mut self) -> Result<HistogramLiteral> {
        self.expect(Kind::OpenHistogram)?;
        let mut description = Description::default();
        let mut had_space = self.accept(Kind::Space)?.is_some();
        if !had_space && self.peek()? != Kind::CloseHistogram {
            self.histogram_entry(&mut description)?;
            loop {
                had_space = self.accept(Kind::Space)?.is_some();
                if self.peek()? == Kind::CloseHistogram {
                    break;
                }
                let entry = match had_space {
                    true => self.histogram_entry(&mut description),
                    false => Err(Stop::Unexpected),
                };
                self.in_context(
                    entry,
                    "histogram description",
                    "histogram description key, e.g. buckets:[5 10 7]",
                )?;
            }
        }
        self.expect(Kind::CloseHistogram)?;
        Ok(description.into_literal())
    }

    /// `schema:1`, `buckets:[1 2]`
    fn histogram_entry(&mut self, description: &mut Description) -> Result<()> {
        let Kind::HistogramKey(key) = self.peek()? else {
            return Err(Stop::Unexpected);
        };
        self.bump()?;
        self.expect(Kind::Colon)?;
        // A key that comes twice is an error, so it does not matter which of the two stays.
        let histogram = &mut description.histogram;
        match key {
            HistogramKey::Schema => histogram.schema = self.integer()? as i32,
            HistogramKey::Sum => histogram.sum = self.signed_number()?,
            HistogramKey::Count => histogram.count = self.signed_number()?,
            HistogramKey::ZeroBucket => histogram.zero_count = self.signed_number()?,
            HistogramKey::ZeroBucketWidth => {
                histogram.zero_threshold = self.number_literal()?.value;
            }
            HistogramKey::CustomValues => histogram.custom_values = self.buckets()?,
            HistogramKey::Buckets => histogram.positive_buckets = self.buckets()?,
            HistogramKey::NegativeBuckets => histogram.negative_buckets = self.buckets()?,
            HistogramKey::Offset => description.offset = self.integer()? as i32,
            HistogramKey::NegativeOffset => description.negative_offset = self.integer()? as i32,
            HistogramKey::CounterResetHint => {
                let Kind::Hint(hint) = self.peek()? else {
                    return Err(Stop::Unexpected);
                };
                self.bump()?;
                histogram.counter_reset_hint = hint;
                description.hint_set = true;
            }
        }
        let bit = 1_u16 << key as u16;
        if description.keys & bit != 0 {
            let name = key.as_str();
            self.error_at(0..0, format!("duplicate key \"{name}\" in histogram"));
        }
        description.keys |= bit;
        Ok(())
    }

    /// Numbers in brackets.
    fn buckets(&mut self) -> Result<Vec<f64>> {
        self.expect(Kind::LeftBracket)?;
        let mut buckets = vec![self.signed_number()?];
        loop {
            let had_space = self.accept(Kind::Space)?.is_some();
            if self.accept(Kind::RightBracket)?.is_some() {
                return Ok(buckets);
            }
            if !had_space {
                return Err(Stop::Unexpected);
            }
            buckets.push(self.signed_number()?);
        }
    }
}

/// A histogram literal that is being read.
#[derive(Default)]
struct Description {
    histogram: FloatHistogram,
    offset: i32,
    negative_offset: i32,
    hint_set: bool,
    /// One bit for each [`HistogramKey`] seen.
    keys: u16,
}

impl Description {
    fn into_literal(self) -> HistogramLiteral {
        let mut histogram = self.histogram;
        histogram.positive_spans = one_span(self.offset, histogram.positive_buckets.len());
        histogram.negative_spans = one_span(self.negative_offset, histogram.negative_buckets.len());
        HistogramLiteral {
            histogram,
            hint_set: self.hint_set,
        }
    }
}

fn one_span(offset: i32, length: usize) -> Vec<Span> {
    match u32::try_from(length) {
        Ok(0) | Err(_) => Vec::new(),
        Ok(length) => vec![Span { offset, length }],
    }
}

struct HistogramLiteral {
    histogram: FloatHistogram,
    hint_set: bool,
}

impl HistogramLiteral {
    fn into_value(self) -> SequenceValue {
        SequenceValue::Histogram {
            histogram: Arc::new(self.histogram),
            counter_reset_hint_set: self.hint_set,
        }
    }
}

/// Whether a value can begin with such a token.
fn starts_item(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Blank
            | Kind::Identifier
            | Kind::Number
            | Kind::Duration
            | Kind::OpenHistogram
            | Kind::Op(BinaryOp::Add | BinaryOp::Sub)
    )
}
