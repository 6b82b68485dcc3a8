//! What an exposition says about a metric besides its samples.

use std::fmt;

/// The type of a metric family. The text form is what the API and the UI show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MetricType {
    /// Goes up, and back to zero on restart.
    Counter,
    /// Any value.
    Gauge,
    /// Buckets, sum and count that only go up.
    Histogram,
    /// Buckets that go up and down.
    GaugeHistogram,
    /// Precomputed quantiles, sum and count.
    Summary,
    /// Constant 1 with information in labels.
    Info,
    /// A set of booleans.
    Stateset,
    /// Not said.
    #[default]
    Unknown,
}

impl MetricType {
    /// The lower-case name used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MetricType::Counter => "counter",
            MetricType::Gauge => "gauge",
            MetricType::Histogram => "histogram",
            MetricType::GaugeHistogram => "gaugehistogram",
            MetricType::Summary => "summary",
            MetricType::Info => "info",
            MetricType::Stateset => "stateset",
            MetricType::Unknown => "unknown",
        }
    }
}

impl MetricType {
    /// The type of that name; of any other one nothing is known.
    #[must_use]
    pub fn from_name(name: &str) -> MetricType {
        use MetricType as T;
        let all = [
            T::Counter,
            T::Gauge,
            T::Histogram,
            T::GaugeHistogram,
            T::Summary,
            T::Info,
            T::Stateset,
        ];
        let found = all.into_iter().find(|kind| kind.as_str() == name);
        found.unwrap_or(T::Unknown)
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Type, help text and unit of a metric family.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Metadata {
    /// The family's type.
    pub kind: MetricType,
    /// The help text, unescaped.
    pub help: String,
    /// The unit (OpenMetrics), empty if not said.
    pub unit: String,
}
