//! What a query answers.

use std::sync::Arc;

use model::{FloatHistogram, Labels, STALE_NAN_BITS};

/// One series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct VectorSample {
    /// The labels, the metric's name among them if it was kept.
    pub labels: Labels,
    /// The evaluation time in milliseconds, not the time of the sample in storage.
    pub timestamp_ms: i64,
    /// The value; 0 if it is a native histogram.
    pub value: f64,
    /// The value if it is a native histogram.
    pub histogram: Option<Arc<FloatHistogram>>,
}

/// One series over time.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixSeries {
    /// The labels, the metric's name among them if it was kept.
    pub labels: Labels,
    /// The floats. In an answer there are some, or some histograms.
    pub points: Points,
    /// Time in milliseconds and native histogram, oldest first. A time has a float or a histogram.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

/// Floats over time.
#[derive(Debug, Clone)]
pub enum Points {
    /// As they were stored: time in milliseconds and value, oldest first.
    Listed(Vec<(i64, f64)>),
    /// At equally spaced times.
    Spaced {
        /// The time of the first value, in milliseconds.
        first_ms: i64,
        /// The time from a value to the next.
        step_ms: i64,
        /// The values. Where there is none, the staleness marker stands, which never is a value;
        /// not so at the ends.
        values: Vec<f64>,
    },
}

impl Points {
    /// Time in milliseconds and value of each, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, f64)> + '_ {
        let (listed, spaced): (&[_], &[_]) = match self {
            Points::Listed(points) => (points, &[]),
            Points::Spaced { values, .. } => (&[], values),
        };
        let (first_ms, step_ms) = match self {
            Points::Listed(_) => (0, 0),
            Points::Spaced {
                first_ms, step_ms, ..
            } => (*first_ms, *step_ms),
        };
        let spaced = spaced.iter().enumerate();
        let spaced = spaced.filter(|(_, value)| value.to_bits() != STALE_NAN_BITS);
        let spaced = spaced.map(move |(at, &value)| (first_ms + step_ms * at as i64, value));
        listed.iter().copied().chain(spaced)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places() == 0
    }

    /// How many there are at most: also those times count at which there is none.
    #[must_use]
    pub fn places(&self) -> usize {
        match self {
            Points::Listed(points) => points.len(),
            Points::Spaced { values, .. } => values.len(),
        }
    }
}

impl Default for Points {
    fn default() -> Points {
        Points::Listed(Vec::new())
    }
}

impl From<Vec<(i64, f64)>> for Points {
    fn from(points: Vec<(i64, f64)>) -> Points {
        Points::Listed(points)
    }
}

/// The same values at the same times, however they are kept.
impl PartialEq for Points {
    fn eq(&self, other: &Points) -> bool {
        self.iter().eq(other.iter())
    }
}

/// The answer of a query: one of PromQL's four types.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// The evaluation time in milliseconds.
        timestamp_ms: i64,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// The evaluation time in milliseconds.
        timestamp_ms: i64,
        /// The text.
        value: String,
    },
    /// Series at one time. The order matters after `sort` and its like, and is the engine's
    /// otherwise.
    Vector(Vec<VectorSample>),
    /// Series over time, sorted by labels.
    Matrix(Vec<MatrixSeries>),
}

impl Value {
    /// The name that the API gives the type: `scalar`, `string`, `vector` or `matrix`.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Scalar { .. } => "scalar",
            Value::String { .. } => "string",
            Value::Vector(_) => "vector",
            Value::Matrix(_) => "matrix",
        }
    }
}
