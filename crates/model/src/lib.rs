//! The nouns of the field: labels, matchers, samples, histograms, durations, metadata.
//!
//! Everything else speaks in these types. This crate does no I/O, reads no clock and keeps no
//! state; it depends on nothing of ours but [`gocompat`].

pub mod duration;
pub mod histogram;
mod kahan;
pub mod labels;
pub mod matcher;
pub mod metadata;
pub mod names;
pub mod value;

pub use duration::{format_duration_ms, parse_duration_ms};
pub use histogram::{FloatHistogram, Histogram};
pub use kahan::kahan_add;
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use names::NameScheme;
pub use value::{NORMAL_NAN_BITS, STALE_NAN, STALE_NAN_BITS, is_stale_nan};

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";
