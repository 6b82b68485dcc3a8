//! What a histogram has to be like before it is stored.

use gocompat::strconv::format_float_g;

use super::layout::Count;
use super::{
    CUSTOM_BUCKETS_SCHEMA, EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, FloatHistogram,
    Histogram, Span,
};

/// What is wrong with a histogram, or with two that are to be combined. Texts are upstream's.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum HistogramError {
    /// Exponential and custom bounds do not combine.
    #[error(
        "cannot apply this operation on histograms with a mix of exponential and custom bucket \
         schemas"
    )]
    IncompatibleSchemas,
    /// Resolution can only be taken away, and from exponential schemas only.
    #[error("cannot reduce resolution from schema {from} to {to}")]
    NotCoarser {
        /// The schema of the histogram.
        from: i32,
        /// The schema that was asked for.
        to: i32,
    },
    /// The histogram must not be stored.
    #[error("{0}")]
    Invalid(String),
}

fn invalid(text: impl Into<String>) -> HistogramError {
    HistogramError::Invalid(text.into())
}

impl FloatHistogram {
    /// Checks that buckets and spans fit each other, that nothing is negative that is counted, and
    /// that only those parts are used that the schema has. The count may differ from what the
    /// buckets add up to: floats are not exact.
    ///
    /// # Errors
    /// [`HistogramError::Invalid`] says what is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        match self.schema {
            CUSTOM_BUCKETS_SCHEMA => self.validate_custom()?,
            EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX => self.validate_exponential()?,
            schema => return Err(invalid_schema(schema)),
        }
        if self.count < 0.0 {
            return Err(invalid(format!(
                "observation count is  {}: histogram's observation count is negative",
                format_float_g(self.count)
            )));
        }
        on_side(
            "positive side",
            check_counts(&self.positive_buckets, format_float_g),
        )
    }

    fn validate_exponential(&self) -> Result<(), HistogramError> {
        on_side(
            "positive side",
            check_spans(&self.positive_spans, self.positive_buckets.len()),
        )?;
        on_side(
            "negative side",
            check_spans(&self.negative_spans, self.negative_buckets.len()),
        )?;
        on_side(
            "negative side",
            check_counts(&self.negative_buckets, format_float_g),
        )?;
        if self.zero_count < 0.0 {
            return Err(invalid(format!(
                "zero bucket has observation count of {}: {NEGATIVE_BUCKET}",
                format_float_g(self.zero_count)
            )));
        }
        no_bounds(&self.custom_values)
    }

    fn validate_custom(&self) -> Result<(), HistogramError> {
        check_custom_layout(
            &self.custom_values,
            &self.positive_spans,
            self.positive_buckets.len(),
        )?;
        check_custom_rest(
            self.zero_count != 0.0,
            self.zero_threshold,
            &self.negative_spans,
            self.negative_buckets.len(),
        )
    }
}

impl Histogram {
    /// As [`FloatHistogram::validate`]. Here the count has to be what the buckets add up to, but
    /// for observations of NaN, which are in no bucket: they make the sum NaN.
    ///
    /// # Errors
    /// [`HistogramError::Invalid`] says what is wrong.
    pub fn validate(&self) -> Result<(), HistogramError> {
        let buckets = self.positive_buckets.len();
        match self.schema {
            CUSTOM_BUCKETS_SCHEMA => {
                check_custom_layout(&self.custom_values, &self.positive_spans, buckets)?;
                check_custom_rest(
                    self.zero_count != 0,
                    self.zero_threshold,
                    &self.negative_spans,
                    self.negative_buckets.len(),
                )?;
            }
            EXPONENTIAL_SCHEMA_MIN..=EXPONENTIAL_SCHEMA_MAX => {
                on_side("positive side", check_spans(&self.positive_spans, buckets))?;
                on_side(
                    "negative side",
                    check_spans(&self.negative_spans, self.negative_buckets.len()),
                )?;
                let counts = check_counts(&self.negative_buckets, |count| count.to_string());
                on_side("negative side", counts)?;
                no_bounds(&self.custom_values)?;
            }
            schema => return Err(invalid_schema(schema)),
        }
        let counts = check_counts(&self.positive_buckets, |count| count.to_string());
        on_side("positive side", counts)?;
        self.validate_count()
    }

    fn validate_count(&self) -> Result<(), HistogramError> {
        let in_buckets = self
            .positive_buckets
            .iter()
            .chain(&self.negative_buckets)
            .fold(self.zero_count, |sum, &count| {
                sum.wrapping_add(count.cast_unsigned())
            });
        let count = self.count;
        let rule = if self.sum.is_nan() {
            if in_buckets <= count {
                return Ok(());
            }
            "be at least the number of observations found in the buckets"
        } else {
            if in_buckets == count {
                return Ok(());
            }
            "equal the number of observations found in the buckets (in absence of NaN)"
        };
        Err(invalid(format!(
            "{in_buckets} observations found in buckets, but the Count field is {count}: \
             histogram's observation count should {rule}"
        )))
    }
}

fn invalid_schema(schema: i32) -> HistogramError {
    invalid(format!(
        "histogram has an invalid schema, which must be between {EXPONENTIAL_SCHEMA_MIN} and \
         {EXPONENTIAL_SCHEMA_MAX} for exponential buckets, or {CUSTOM_BUCKETS_SCHEMA} for custom \
         buckets, got schema {schema}"
    ))
}

fn no_bounds(bounds: &[f64]) -> Result<(), HistogramError> {
    if bounds.is_empty() {
        return Ok(());
    }
    Err(invalid(
        "histogram with exponential schema must not have custom bounds",
    ))
}

fn check_custom_layout(
    bounds: &[f64],
    spans: &[Span],
    buckets: usize,
) -> Result<(), HistogramError> {
    on_side("custom buckets", check_bounds(bounds))?;
    on_side("custom buckets", check_custom_spans(bounds, spans, buckets))
}

fn check_custom_rest(
    has_zero_count: bool,
    zero_threshold: f64,
    negative_spans: &[Span],
    negative_buckets: usize,
) -> Result<(), HistogramError> {
    let text = if has_zero_count {
        "custom buckets: must have zero count of 0"
    } else if zero_threshold != 0.0 {
        "custom buckets: must have zero threshold of 0"
    } else if !negative_spans.is_empty() {
        "custom buckets: must not have negative spans"
    } else if negative_buckets > 0 {
        "custom buckets: must not have negative buckets"
    } else {
        return Ok(());
    };
    Err(invalid(text))
}

fn check_custom_spans(bounds: &[f64], spans: &[Span], buckets: usize) -> Result<(), String> {
    if let Some(at) = spans.iter().position(|span| span.offset < 0) {
        return Err(negative_offset(at, spans[at]));
    }
    check_spans(spans, buckets)?;
    let lengths = spans
        .iter()
        .map(|s| i64::from(s.length) + i64::from(s.offset));
    let length: i64 = lengths.sum();
    let bounds = bounds.len();
    if i64::try_from(bounds + 1).is_ok_and(|most| most < length) {
        return Err(format!(
            "only {bounds} custom bounds defined which is insufficient to cover total span \
             length of {length}: histogram custom bounds are too few"
        ));
    }
    Ok(())
}

const NEGATIVE_BUCKET: &str = "histogram has a bucket whose observation count is negative";

fn on_side(side: &str, checked: Result<(), String>) -> Result<(), HistogramError> {
    checked.map_err(|text| invalid(format!("{side}: {text}")))
}

fn check_spans(spans: &[Span], buckets: usize) -> Result<(), String> {
    let later = spans.iter().enumerate().skip(1);
    if let Some((at, span)) = later.clone().find(|(_, span)| span.offset < 0) {
        return Err(negative_offset(at, *span));
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed != buckets as u64 {
        return Err(format!(
            "spans need {needed} buckets, have {buckets} buckets: histogram spans specify \
             different number of buckets than provided"
        ));
    }
    Ok(())
}

fn negative_offset(at: usize, span: Span) -> String {
    format!(
        "span number {} with offset {}: histogram has a span whose offset is negative",
        at + 1,
        span.offset
    )
}

fn check_counts<T: Count>(buckets: &[T], text: fn(T) -> String) -> Result<(), String> {
    match buckets.iter().position(|&count| count < T::default()) {
        None => Ok(()),
        Some(at) => Err(format!(
            "bucket number {} has observation count of {}: {NEGATIVE_BUCKET}",
            at + 1,
            text(buckets[at])
        )),
    }
}

fn check_bounds(bounds: &[f64]) -> Result<(), String> {
    let mut previous = f64::NEG_INFINITY;
    for (at, &bound) in bounds.iter().enumerate() {
        if bound.is_nan() {
            return Err("histogram custom bounds must not be NaN".to_owned());
        }
        if at > 0 && bound <= previous {
            return Err(format!(
                "previous bound is {previous:.6} and current is {bound:.6}: histogram custom \
                 bounds must be in strictly increasing order"
            ));
        }
        previous = bound;
    }
    if previous == f64::INFINITY {
        return Err(
            "last +Inf bound must not be explicitly defined: histogram custom bounds must be \
             finite"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(pairs: &[(i32, u32)]) -> Vec<Span> {
        let spans = pairs
            .iter()
            .map(|&(offset, length)| Span { offset, length });
        spans.collect()
    }

    #[test]
    fn texts_are_upstreams() {
        let exponential = FloatHistogram {
            positive_spans: spans(&[(-3, 1), (2, 1)]),
            positive_buckets: vec![1.0, 2.0],
            ..FloatHistogram::default()
        };
        let custom = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![1.0, 2.0],
            positive_spans: spans(&[(0, 2)]),
            positive_buckets: vec![1.0, 2.0],
            ..FloatHistogram::default()
        };
        assert_eq!(exponential.validate(), Ok(()));
        assert_eq!(custom.validate(), Ok(()));
        #[track_caller]
        fn check(of: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram), text: &str) {
            let mut histogram = of.clone();
            change(&mut histogram);
            assert_eq!(histogram.validate().unwrap_err().to_string(), text);
        }
        check(
            &exponential,
            |h| h.schema = 9,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential \
             buckets, or -53 for custom buckets, got schema 9",
        );
        check(
            &exponential,
            |h| h.positive_spans[1].offset = -1,
            "positive side: span number 2 with offset -1: histogram has a span whose offset is \
             negative",
        );
        check(
            &exponential,
            |h| h.negative_buckets.push(1.0),
            "negative side: spans need 0 buckets, have 1 buckets: histogram spans specify \
             different number of buckets than provided",
        );
        check(
            &exponential,
            |h| h.positive_buckets[1] = -2.5,
            "positive side: bucket number 2 has observation count of -2.5: histogram has a bucket \
             whose observation count is negative",
        );
        check(
            &exponential,
            |h| h.zero_count = -1.0,
            "zero bucket has observation count of -1: histogram has a bucket whose observation \
             count is negative",
        );
        check(
            &exponential,
            |h| h.count = -1.0,
            "observation count is  -1: histogram's observation count is negative",
        );
        check(
            &custom,
            |h| h.custom_values = vec![1.0, 1.0],
            "custom buckets: previous bound is 1.000000 and current is 1.000000: histogram custom \
             bounds must be in strictly increasing order",
        );
        check(
            &custom,
            |h| h.custom_values[1] = f64::INFINITY,
            "custom buckets: last +Inf bound must not be explicitly defined: histogram custom \
             bounds must be finite",
        );
        check(
            &custom,
            |h| h.custom_values.clear(),
            "custom buckets: only 0 custom bounds defined which is insufficient to cover total \
             span length of 2: histogram custom bounds are too few",
        );
        check(
            &custom,
            |h| h.zero_threshold = 1.0,
            "custom buckets: must have zero threshold of 0",
        );
    }

    #[test]
    fn whole_numbers_have_to_add_up() {
        let exponential = Histogram {
            count: 6,
            zero_count: 1,
            positive_spans: spans(&[(-3, 1), (2, 1)]),
            positive_buckets: vec![1, 2],
            negative_spans: spans(&[(0, 1)]),
            negative_buckets: vec![2],
            ..Histogram::default()
        };
        let custom = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3,
            custom_values: vec![1.0, 2.0],
            positive_spans: spans(&[(0, 2)]),
            positive_buckets: vec![1, 2],
            ..Histogram::default()
        };
        #[track_caller]
        fn check(of: &Histogram, change: impl FnOnce(&mut Histogram), text: &str) {
            let mut histogram = of.clone();
            change(&mut histogram);
            let error = histogram.validate().err().map(|error| error.to_string());
            assert_eq!(error.unwrap_or_default(), text);
        }
        check(&exponential, |_| {}, "");
        check(&custom, |_| {}, "");
        check(
            &exponential,
            |h| h.count = 7,
            "6 observations found in buckets, but the Count field is 7: histogram's observation \
             count should equal the number of observations found in the buckets (in absence of NaN)",
        );
        let not_a_number = |h: &mut Histogram, count| (h.sum, h.count) = (f64::NAN, count);
        check(&exponential, |h| not_a_number(h, 7), "");
        check(
            &exponential,
            |h| not_a_number(h, 5),
            "6 observations found in buckets, but the Count field is 5: histogram's observation \
             count should be at least the number of observations found in the buckets",
        );
        check(
            &exponential,
            |h| h.positive_buckets[1] = -2,
            "positive side: bucket number 2 has observation count of -2: histogram has a bucket \
             whose observation count is negative",
        );
        check(
            &exponential,
            |h| h.negative_buckets.push(1),
            "negative side: spans need 1 buckets, have 2 buckets: histogram spans specify \
             different number of buckets than provided",
        );
        check(
            &custom,
            |h| h.zero_count = 1,
            "custom buckets: must have zero count of 0",
        );
        check(
            &exponential,
            |h| h.schema = -5,
            "histogram has an invalid schema, which must be between -4 and 8 for exponential \
             buckets, or -53 for custom buckets, got schema -5",
        );
    }
}
