//! The engine's own metrics, under Prometheus's names.

use telemetry::{Counter, Gauge, HistogramVec, Registry, SummaryVec};

use crate::stats::QueryStats;

pub(crate) struct Metrics {
    pub(crate) queries: Gauge,
    pub(crate) log_enabled: Gauge,
    pub(crate) log_failures: Counter,
    samples: Counter,
    samples_read: Counter,
    durations: SummaryVec,
    duration_histograms: HistogramVec,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, max_concurrency: usize) -> Metrics {
        let concurrent_max = registry.gauge(
            "prometheus_engine_queries_concurrent_max",
            "How many queries may run at a time.",
        );
        concurrent_max.set(max_concurrency as f64);
        let log_enabled = registry.gauge(
            "prometheus_engine_query_log_enabled",
            "Whether queries are logged to a file.",
        );
        let log_failures = registry.counter(
            "prometheus_engine_query_log_failures_total",
            "Queries that could not be logged.",
        );
        let metrics = Metrics {
            log_enabled,
            log_failures,
            queries: registry.gauge(
                "prometheus_engine_queries",
                "Queries that run or wait for their turn.",
            ),
            samples: registry.counter(
                "prometheus_engine_query_samples_total",
                "Samples that queries looked at; a window counts in full at every step.",
            ),
            samples_read: registry.counter(
                "prometheus_engine_query_samples_read_total",
                "Samples that queries read; of a window only what is new at a step.",
            ),
            durations: registry.summary_vec(
                "prometheus_engine_query_duration_seconds",
                "How long the parts of queries took.",
                &["slice"],
                &[0.5, 0.9, 0.99],
            ),
            duration_histograms: registry.histogram_vec(
                "prometheus_engine_query_duration_histogram_seconds",
                "How long the parts of queries took, as a histogram.",
                &["slice"],
                &[0.01, 0.1, 1.0, 10.0],
            ),
        };
        // They are there before there is a query.
        for slice in ["queue_time", "prepare_time", "inner_eval", "result_sort"] {
            let _ = metrics.durations.with(&[slice]);
            let _ = metrics.duration_histograms.with(&[slice]);
        }
        metrics
    }

    pub(crate) fn observe(&self, slice: &str, seconds: f64) {
        self.durations.with(&[slice]).observe(seconds);
        self.duration_histograms.with(&[slice]).observe(seconds);
    }

    pub(crate) fn count(&self, stats: &QueryStats) {
        self.samples
            .add(stats.samples.total_queryable_samples as f64);
        self.samples_read.add(stats.samples.samples_read as f64);
    }
}
