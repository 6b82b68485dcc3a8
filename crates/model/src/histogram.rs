//! Native histograms: sparse buckets on an exponential or a custom grid.
//!
//! Only the shape lives here for now: the test language of PromQL and the storage interface name
//! it. Arithmetic comes with native histograms in the engine.

/// Schema of histograms with custom bucket bounds (`NHCB`).
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// What a histogram sample says about a reset of its counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CounterResetHint {
    /// Find out by comparing with the sample before.
    #[default]
    Unknown,
    /// A reset happened right before.
    Reset,
    /// No reset happened.
    NotReset,
    /// Not a counter at all.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// Gap to the end of the span before; for the first one, the index of its first bucket.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// A native histogram with absolute float bucket counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FloatHistogram {
    /// What is known of a counter reset.
    pub counter_reset_hint: CounterResetHint,
    /// -4 to 8 (growth factor 2^(2^-schema)), or [`CUSTOM_BUCKETS_SCHEMA`].
    pub schema: i32,
    /// Width of the zero bucket: it holds what lies within plus and minus this.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of all observations; the staleness marker here marks the histogram stale.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets, not cumulated.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets, not cumulated.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, without +Inf.
    pub custom_values: Vec<f64>,
}
