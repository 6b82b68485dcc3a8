//! Native histograms between the page and the batch: what a job allows, and what ends a series.

use config::ScrapeConfig;
use exposition::HistogramValue;
use model::histogram::{EXPONENTIAL_SCHEMA_MAX, EXPONENTIAL_SCHEMA_MIN, HistogramError};
use model::{FloatHistogram, Histogram, STALE_NAN};
use storage::{HistogramSample, SeriesRef};

use crate::cache::{Ending, Form};

/// The finest schema that the format reserves. Finer ones than can be stored are made coarser, if
/// a job limits the resolution at all.
const RESERVED_SCHEMA_MAX: i32 = 52;
const RESERVED_SCHEMA_MIN: i32 = -9;

/// A histogram on its way into a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageHistogram {
    pub(crate) series: SeriesRef,
    /// Its own time, if it has one.
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) value: Owned,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Owned {
    Integers(Histogram),
    Floats(FloatHistogram),
}

impl PageHistogram {
    /// The marker of a series that ends; `None` if it has no histograms.
    pub(crate) fn marker(ending: Ending, timestamp_ms: Option<i64>) -> Option<PageHistogram> {
        let value = match ending.form {
            Form::Float => return None,
            Form::Integers => Owned::Integers(Histogram {
                sum: STALE_NAN,
                ..Histogram::default()
            }),
            Form::Floats => Owned::Floats(FloatHistogram {
                sum: STALE_NAN,
                ..FloatHistogram::default()
            }),
        };
        Some(PageHistogram {
            series: ending.series,
            timestamp_ms,
            value,
        })
    }

    pub(crate) fn sample(&self, stamp_ms: i64) -> HistogramSample<'_> {
        HistogramSample {
            series: self.series,
            timestamp_ms: self.timestamp_ms.unwrap_or(stamp_ms),
            value: match &self.value {
                Owned::Integers(histogram) => storage::HistogramValue::Integer(histogram),
                Owned::Floats(histogram) => storage::HistogramValue::Float(histogram),
            },
        }
    }
}

impl Owned {
    pub(crate) fn of(value: HistogramValue<'_>) -> Owned {
        match value {
            HistogramValue::Integer(histogram) => Owned::Integers(histogram.clone()),
            HistogramValue::Float(histogram) => Owned::Floats(histogram.clone()),
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Owned::Integers(_) => Form::Integers,
            Owned::Floats(_) => Form::Floats,
        }
    }

    /// Whether it can be right.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn validate(&self) -> Result<(), HistogramError> {
        match self {
            Owned::Integers(histogram) => histogram.validate(),
            Owned::Floats(histogram) => histogram.validate(),
        }
    }

    fn schema(&self) -> i32 {
        match self {
            Owned::Integers(histogram) => histogram.schema,
            Owned::Floats(histogram) => histogram.schema,
        }
    }

    fn bucket_count(&self) -> usize {
        match self {
            Owned::Integers(h) => h.positive_buckets.len() + h.negative_buckets.len(),
            Owned::Floats(h) => h.positive_buckets.len() + h.negative_buckets.len(),
        }
    }

    fn reduce_resolution(&mut self, schema: i32) -> Result<(), HistogramError> {
        match self {
            Owned::Integers(histogram) => histogram.reduce_resolution(schema),
            Owned::Floats(histogram) => histogram.reduce_resolution(schema),
        }
    }
}

/// What a job allows histograms to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolution {
    /// 0 is no limit.
    buckets_max: u64,
    schema_max: i32,
}

impl Resolution {
    pub(crate) fn of(config: &ScrapeConfig) -> Resolution {
        Resolution {
            buckets_max: config.native_histogram_bucket_limit,
            schema_max: schema_of_factor(config.native_histogram_min_bucket_factor),
        }
    }

    /// Makes the histogram as coarse as it has to be; `false` if it has too many buckets even so.
    ///
    /// # Errors
    /// If it cannot be made coarser.
    pub(crate) fn fit(self, histogram: &mut Owned) -> Result<bool, HistogramError> {
        let schema = histogram.schema();
        let is_exponential = (RESERVED_SCHEMA_MIN..=RESERVED_SCHEMA_MAX).contains(&schema);
        let is_limited = self.schema_max < EXPONENTIAL_SCHEMA_MAX;
        if is_limited && is_exponential && schema > self.schema_max {
            histogram.reduce_resolution(self.schema_max)?;
        }
        if self.buckets_max == 0 {
            return Ok(true);
        }
        while histogram.bucket_count() as u64 > self.buckets_max {
            let schema = histogram.schema();
            if !(EXPONENTIAL_SCHEMA_MIN + 1..=EXPONENTIAL_SCHEMA_MAX).contains(&schema) {
                return Ok(false);
            }
            histogram.reduce_resolution(schema - 1)?;
        }
        Ok(true)
    }
}

/// The finest schema whose buckets grow by at least `factor`.
fn schema_of_factor(factor: f64) -> i32 {
    if factor <= 1.0 {
        return EXPONENTIAL_SCHEMA_MAX;
    }
    let schema = (-gocompat::math::log2(gocompat::math::log2(factor))).floor();
    schema.clamp(
        f64::from(EXPONENTIAL_SCHEMA_MIN),
        f64::from(EXPONENTIAL_SCHEMA_MAX),
    ) as i32
}

#[cfg(test)]
mod tests {
    use model::histogram::{CUSTOM_BUCKETS_SCHEMA, Span};

    use super::*;

    fn with_buckets(schema: i32, buckets: u32) -> Owned {
        Owned::Integers(Histogram {
            schema,
            positive_spans: vec![Span {
                offset: 1,
                length: buckets,
            }],
            positive_buckets: vec![1; buckets as usize],
            ..Histogram::default()
        })
    }

    #[test]
    fn factors_choose_schemas() {
        for (factor, schema) in [
            (0.0, 8),
            (1.0, 8),
            (1.002, 8),
            (1.003, 7),
            (1.09, 3),
            (1.1, 2),
            (2.0, 0),
            (4.0, -1),
            (65_536.0, -4),
            (1e9, -4),
            (f64::INFINITY, -4),
        ] {
            assert_eq!(schema_of_factor(factor), schema, "{factor}");
        }
    }

    #[test]
    fn histograms_are_made_to_fit() {
        #[track_caller]
        fn check(limits: (u64, i32), from: Owned, want: Option<(i32, usize)>) {
            let (buckets_max, schema_max) = limits;
            let resolution = Resolution {
                buckets_max,
                schema_max,
            };
            let mut histogram = from;
            let fits = resolution.fit(&mut histogram).unwrap();
            let got = (histogram.schema(), histogram.bucket_count());
            assert_eq!(fits.then_some(got), want);
        }
        check((0, 8), with_buckets(3, 64), Some((3, 64)));
        check((0, 8), with_buckets(20, 64), Some((20, 64)));
        check((0, 1), with_buckets(3, 64), Some((1, 16)));
        check((0, 1), with_buckets(20, 64), Some((1, 1)));
        check((10, 8), with_buckets(3, 64), Some((0, 8)));
        check((64, 8), with_buckets(3, 64), Some((3, 64)));
        check((1, 8), with_buckets(-3, 5), None);
        check((10, 8), with_buckets(CUSTOM_BUCKETS_SCHEMA, 11), None);
        check(
            (11, 0),
            with_buckets(CUSTOM_BUCKETS_SCHEMA, 11),
            Some((CUSTOM_BUCKETS_SCHEMA, 11)),
        );
    }
}
