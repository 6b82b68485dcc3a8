//! Histograms as text: for readers, and in the test language of PromQL.

use std::fmt;

use gocompat::strconv::format_float_g;

use super::{Bucket, CounterResetHint, FloatHistogram, Span};

/// How far apart buckets may lie to be written as one list, with zeros between them.
const LIST_LENGTH_MAX: u32 = 1 << 16;

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let (lower, upper) = (format_float_g(self.lower), format_float_g(self.upper));
        write!(
            f,
            "{open}{lower},{upper}{close}:{}",
            format_float_g(self.count)
        )
    }
}

/// Count, sum and populated buckets, as upstream prints them in messages.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, sum) = (format_float_g(self.count), format_float_g(self.sum));
        write!(f, "{{count:{count}, sum:{sum}")?;
        let zero = (self.zero_count != 0.0).then(|| self.zero_bucket());
        let buckets = self.negative().rev().chain(zero).chain(self.positive());
        for bucket in buckets.filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

impl FloatHistogram {
    /// The histogram as the test language writes it: `{{schema:1 count:2 buckets:[1 1]}}`. None if
    /// its buckets lie so far apart that no list can hold them.
    #[must_use]
    pub fn test_expression(&self) -> Option<String> {
        let mut compact = self.clone();
        compact.compact(LIST_LENGTH_MAX);
        let mut parts: Vec<String> = Vec::new();
        if self.schema != 0 {
            parts.push(format!("schema:{}", self.schema));
        }
        for (key, value) in [
            ("count", self.count),
            ("sum", self.sum),
            ("z_bucket", self.zero_count),
            ("z_bucket_w", self.zero_threshold),
        ] {
            if value != 0.0 {
                parts.push(format!("{key}:{}", format_float_g(value)));
            }
        }
        if self.uses_custom_buckets() {
            parts.push(format!("custom_values:{}", list(&self.custom_values)));
        }
        let hint = match self.counter_reset_hint {
            CounterResetHint::Unknown => None,
            CounterResetHint::Reset => Some("reset"),
            CounterResetHint::NotReset => Some("not_reset"),
            CounterResetHint::Gauge => Some("gauge"),
        };
        parts.extend(hint.map(|hint| format!("counter_reset_hint:{hint}")));
        let positive = (&compact.positive_spans, &compact.positive_buckets);
        let negative = (&compact.negative_spans, &compact.negative_buckets);
        for ((spans, buckets), (offset_key, buckets_key)) in [
            (positive, ("offset", "buckets")),
            (negative, ("n_offset", "n_buckets")),
        ] {
            match spans.as_slice() {
                [] => {}
                &[Span { offset, .. }] => {
                    if offset != 0 {
                        parts.push(format!("{offset_key}:{offset}"));
                    }
                    parts.push(format!("{buckets_key}:{}", list(buckets)));
                }
                _ => return None,
            }
        }
        Some(format!("{{{{{}}}}}", parts.join(" ")))
    }
}

fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|&v| format_float_g(v)).collect();
    format!("[{}]", values.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::CUSTOM_BUCKETS_SCHEMA;

    #[test]
    fn texts() {
        let histogram = FloatHistogram {
            counter_reset_hint: CounterResetHint::Gauge,
            schema: 1,
            zero_threshold: 0.01,
            zero_count: 2.0,
            count: 9.5,
            sum: 1e6,
            positive_spans: vec![
                Span {
                    offset: -2,
                    length: 1,
                },
                Span {
                    offset: 1,
                    length: 1,
                },
            ],
            positive_buckets: vec![1.0, 3.5],
            negative_spans: vec![Span {
                offset: 1,
                length: 2,
            }],
            negative_buckets: vec![3.0, 0.0],
            ..FloatHistogram::default()
        };
        assert_eq!(
            histogram.to_string(),
            "{count:9.5, sum:1e+06, [-1.414213562373095,-1):3, [-0.01,0.01]:2, \
             (0.35355339059327373,0.5]:1, (0.7071067811865475,1]:3.5}"
        );
        assert_eq!(
            histogram.test_expression().unwrap(),
            "{{schema:1 count:9.5 sum:1e+06 z_bucket:2 z_bucket_w:0.01 counter_reset_hint:gauge \
             offset:-2 buckets:[1 0 3.5] n_offset:1 n_buckets:[3]}}"
        );
        let custom = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![1.0, 2.5],
            ..FloatHistogram::default()
        };
        assert_eq!(
            custom.test_expression().unwrap(),
            "{{schema:-53 custom_values:[1 2.5]}}"
        );
    }

    #[test]
    fn far_apart_is_no_list() {
        let far = Span {
            offset: i32::MAX / 2,
            length: 1,
        };
        let histogram = FloatHistogram {
            positive_spans: vec![Span::default(), far, far],
            positive_buckets: vec![1.0, 1.0],
            ..FloatHistogram::default()
        };
        assert_eq!(histogram.test_expression(), None);
    }
}
