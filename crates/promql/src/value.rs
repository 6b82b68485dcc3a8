//! What a query answers.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

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
    /// Time in milliseconds and value, oldest first. In an answer there are some, or some
    /// histograms.
    pub points: Vec<(i64, f64)>,
    /// Time in milliseconds and native histogram, oldest first. A time has a float or a histogram.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
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
