//! The metrics of scraping, with the names, labels and types that Prometheus's dashboards and
//! alerts read.
//!
//! `prometheus_target_scrape_pool_symboltable_items` is left out: there is no symbol table.

use telemetry::{
    Counter, CounterVec, DEFAULT_BUCKETS, GaugeVec, Histogram, HistogramVec, Registry, SummaryVec,
};

const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];
const LENGTH_BUCKETS_S: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

/// Handles of all metrics of one manager.
pub(crate) struct ScrapeMetrics {
    pub(crate) pools: Counter,
    /// Stays at 0: making a pool cannot fail here. Alerts read it.
    _pools_failed: Counter,
    pub(crate) pool_reloads: Counter,
    /// Stays at 0: a reload cannot fail here. Alerts read it.
    _pool_reloads_failed: Counter,
    pub(crate) reload_length: SummaryVec,
    pub(crate) exceeded_target_limit: Counter,
    pub(crate) exceeded_label_limits: Counter,
    pub(crate) exceeded_sample_limit: Counter,
    pub(crate) exceeded_body_size_limit: Counter,
    pub(crate) exceeded_bucket_limit: Counter,
    pub(crate) exemplar_out_of_order: Counter,
    /// Stays at 0: a scrape that fails never grows the cache.
    _cache_flush_forced: Counter,
    pub(crate) sample_duplicate: Counter,
    pub(crate) sample_out_of_order: Counter,
    pub(crate) sample_out_of_bounds: Counter,
    pub(crate) target_limit: GaugeVec,
    pub(crate) targets: GaugeVec,
    pub(crate) syncs: CounterVec,
    pub(crate) sync_failed: CounterVec,
    pub(crate) sync_length: SummaryVec,
    pub(crate) sync_length_histogram: HistogramVec,
    pub(crate) interval_length: SummaryVec,
    pub(crate) interval_length_histogram: HistogramVec,
    pub(crate) scrape_duration: Histogram,
    pub(crate) metadata_entries: GaugeVec,
    pub(crate) metadata_bytes: GaugeVec,
    /// Not one of Prometheus's.
    pub(crate) refused_series: GaugeVec,
}

impl ScrapeMetrics {
    pub(crate) fn new(registry: &Registry) -> ScrapeMetrics {
        let counter = |name, help| registry.counter(name, help);
        let by_job = &["scrape_job"];
        let by_interval = &["interval"];
        ScrapeMetrics {
            pools: counter(
                "prometheus_target_scrape_pools_total",
                "Scrape pools that were to be made.",
            ),
            _pools_failed: counter(
                "prometheus_target_scrape_pools_failed_total",
                "Scrape pools that could not be made.",
            ),
            pool_reloads: counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Reloads of scrape pools.",
            ),
            _pool_reloads_failed: counter(
                "prometheus_target_scrape_pool_reloads_failed_total",
                "Reloads of scrape pools that failed.",
            ),
            reload_length: registry.summary_vec(
                "prometheus_target_reload_length_seconds",
                "How long it took to reload a scrape pool.",
                by_interval,
                &QUANTILES,
            ),
            exceeded_target_limit: counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Syncs and reloads that found more targets than the limit.",
            ),
            exceeded_label_limits: counter(
                "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Scrapes that were refused because of a label limit.",
            ),
            exceeded_sample_limit: counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Scrapes that were refused because of the sample limit.",
            ),
            exceeded_body_size_limit: counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Scrapes that were refused because of the body size limit.",
            ),
            exceeded_bucket_limit: counter(
                "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                "Scrapes that were refused because of the bucket limit of native histograms.",
            ),
            exemplar_out_of_order: counter(
                "prometheus_target_scrapes_exemplar_out_of_order_total",
                "Exemplars that were refused because they were out of order.",
            ),
            _cache_flush_forced: counter(
                "prometheus_target_scrapes_cache_flush_forced_total",
                "Scrape caches that were emptied because failing scrapes made them grow.",
            ),
            sample_duplicate: counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Samples refused because their series had another value at that time.",
            ),
            sample_out_of_order: counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Samples refused because they were out of order.",
            ),
            sample_out_of_bounds: counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Samples refused because they were too old or too far in the future.",
            ),
            target_limit: registry.gauge_vec(
                "prometheus_target_scrape_pool_target_limit",
                "How many targets the scrape pool may have.",
                by_job,
            ),
            targets: registry.gauge_vec(
                "prometheus_target_scrape_pool_targets",
                "How many targets the scrape pool has.",
                by_job,
            ),
            syncs: registry.counter_vec(
                "prometheus_target_scrape_pool_sync_total",
                "Syncs of the scrape pool with what was discovered.",
                by_job,
            ),
            sync_failed: registry.counter_vec(
                "prometheus_target_sync_failed_total",
                "Targets that could not be made of what was discovered.",
                by_job,
            ),
            sync_length: registry.summary_vec(
                "prometheus_target_sync_length_seconds",
                "How long it took to sync the scrape pool.",
                by_job,
                &QUANTILES,
            ),
            sync_length_histogram: registry.histogram_vec(
                "prometheus_target_sync_length_histogram_seconds",
                "How long it took to sync the scrape pool.",
                by_job,
                &LENGTH_BUCKETS_S,
            ),
            interval_length: registry.summary_vec(
                "prometheus_target_interval_length_seconds",
                "Actual time between scrapes.",
                by_interval,
                &QUANTILES,
            ),
            interval_length_histogram: registry.histogram_vec(
                "prometheus_target_interval_length_histogram_seconds",
                "Actual time between scrapes.",
                by_interval,
                &LENGTH_BUCKETS_S,
            ),
            scrape_duration: registry.histogram(
                "prometheus_target_scrape_duration_seconds",
                "Time from the start of a scrape until it was stored; with extra_scrape_metrics.",
                &DEFAULT_BUCKETS,
            ),
            metadata_entries: registry.gauge_vec(
                "prometheus_target_metadata_cache_entries",
                "Metric families whose metadata is known.",
                by_job,
            ),
            metadata_bytes: registry.gauge_vec(
                "prometheus_target_metadata_cache_bytes",
                "Bytes of type, help and unit of the metric families.",
                by_job,
            ),
            refused_series: registry.gauge_vec(
                "promontory_target_refused_series",
                "New series of the target that a limit kept out of its last scrape.",
                &["scrape_job", "instance"],
            ),
        }
    }

    /// Forgets what belongs to a pool that is gone.
    pub(crate) fn remove_pool(&self, job: &str) {
        let job = &[job];
        self.target_limit.remove(job);
        self.targets.remove(job);
        self.syncs.remove(job);
        self.sync_failed.remove(job);
        self.sync_length.remove(job);
        self.sync_length_histogram.remove(job);
        self.metadata_entries.remove(job);
        self.metadata_bytes.remove(job);
    }
}

/// A duration as Go prints it, which is what the label `interval` holds: `1m0s`, not `1m`.
pub(crate) fn go_duration(duration_ms: i64) -> String {
    if duration_ms.unsigned_abs() < 1_000 {
        return if duration_ms == 0 {
            "0s".to_owned()
        } else {
            format!("{duration_ms}ms")
        };
    }
    let sign = if duration_ms < 0 { "-" } else { "" };
    let total_ms = duration_ms.unsigned_abs();
    let (hours, minutes) = (total_ms / 3_600_000, total_ms / 60_000 % 60);
    let seconds = gocompat::strconv::format_float_f((total_ms % 60_000) as f64 / 1_000.0);
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (ms, text) in [
            (0, "0s"),
            (100, "100ms"),
            (1_500, "1.5s"),
            (15_000, "15s"),
            (60_000, "1m0s"),
            (3_600_000, "1h0m0s"),
            (5_405_007, "1h30m5.007s"),
        ] {
            assert_eq!(go_duration(ms), text);
        }
    }

    /// T34: the names that the mixin's alerts read are there from the start where they have no
    /// labels.
    #[test]
    fn names_that_alerts_read() {
        let registry = Registry::new(clock::ManualClock::at_ms(0));
        let metrics = ScrapeMetrics::new(&registry);
        metrics.interval_length.with(&["15s"]).observe(15.0);
        metrics.sync_length.with(&["j"]).observe(0.1);
        let mut text = String::new();
        registry.expose(&mut text);
        for name in [
            "prometheus_target_scrape_pool_exceeded_target_limit_total 0",
            "prometheus_target_scrape_pool_exceeded_label_limits_total 0",
            "prometheus_target_scrapes_exceeded_body_size_limit_total 0",
            "prometheus_target_scrapes_exceeded_sample_limit_total 0",
            "prometheus_target_scrapes_sample_duplicate_timestamp_total 0",
            "prometheus_target_scrapes_sample_out_of_order_total 0",
            "# TYPE prometheus_target_interval_length_seconds summary",
            "prometheus_target_interval_length_seconds{interval=\"15s\",quantile=\"0.9\"} 15",
            "prometheus_target_sync_length_seconds_sum{scrape_job=\"j\"} 0.1",
        ] {
            assert!(text.contains(name), "{name} in {text}");
        }
        metrics.remove_pool("j");
        text.clear();
        registry.expose(&mut text);
        assert!(!text.contains("scrape_job=\"j\""), "{text}");
    }
}
