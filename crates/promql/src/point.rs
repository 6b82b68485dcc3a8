//! One value of a series: a number or a native histogram.

use std::sync::Arc;

use model::FloatHistogram;

/// A native histogram as it is handed around: computing with one makes a new one.
pub(crate) type Histogram = Arc<FloatHistogram>;

/// What a series has at one step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Point {
    Float(f64),
    Histogram(Histogram),
}

impl Point {
    /// As annotations call its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Point::Float(_) => "float",
            Point::Histogram(_) => "histogram",
        }
    }
}

impl From<FloatHistogram> for Point {
    fn from(histogram: FloatHistogram) -> Point {
        Point::Histogram(Arc::new(histogram))
    }
}
