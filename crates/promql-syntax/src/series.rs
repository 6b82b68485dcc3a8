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

/// `base` plus or minus `step`: what `{{…}}+{{…}}x3` counts up by. The resolution must not change on
/// the way.
pub(crate) fn combine(
    base: &FloatHistogram,
    step: &FloatHistogram,
    is_difference: bool,
) -> Result<FloatHistogram, String> {
    if base.schema > step.schema {
        return Err(format!(
            "error combining histograms: cannot merge from schema {} to {}",
            step.schema, base.schema
        ));
    }
    let mut result = base.clone();
    let combined = if is_difference {
        result.subtract(step)
    } else {
        result.add(step)
    };
    combined.map_err(|error| error.to_string())?;
    Ok(result)
}
