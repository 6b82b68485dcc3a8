//! Series descriptions of the test language.

use std::sync::Arc;

use model::{FloatHistogram, Labels};

/// How many values a series description may expand to.
///
/// `_x1000000000` is a dozen bytes that would take the memory of a server; a year of one sample a
/// minute fits.
pub const VALUES_MAX: usize = 1_000_000;

/// A series of the test language.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesDescription {
    /// Its name and labels.
    pub labels: Labels,
    /// One value for each step of the load, the first at time zero.
    pub values: Vec<SequenceValue>,
}

/// One value of a series description.
#[derive(Debug, Clone, PartialEq)]
pub enum SequenceValue {
    /// `_`: no sample at this step.
    Omitted,
    /// A float; `stale` is [`model::STALE_NAN`].
    Float(f64),
    /// A native histogram.
    Histogram {
        /// The histogram, shared where it is repeated.
        histogram: Arc<FloatHistogram>,
        /// Whether the text names a counter reset hint, so that a test can tell "unknown" from
        /// "do not care".
        counter_reset_hint_set: bool,
    },
}
