//! What the server says of itself: metrics with the names that Prometheus's dashboards read, and
//! logs in its two formats.
//!
//! A component makes its metrics from a [`Registry`] when it is built and keeps the handles; a
//! handle is a few atomics behind an `Arc`. Nothing is global: two servers in one process (tests)
//! have two registries.

pub mod logging;
mod metrics;
mod summary;

pub use metrics::{
    Counter, CounterVec, DEFAULT_BUCKETS, Gauge, GaugeVec, Histogram, HistogramVec, Registry,
    SummaryVec,
};
pub use summary::Summary;
