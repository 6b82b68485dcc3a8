//! The numbers of discovery, under upstream's names.

use telemetry::{Counter, CounterVec, Gauge, GaugeVec, Registry, Summary};

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// Of the manager; all carry its name.
pub(crate) struct ManagerMetrics {
    name: String,
    discovered_targets: GaugeVec,
    last_update_timestamp: GaugeVec,
    pub(crate) received_updates: Counter,
    pub(crate) sent_updates: Counter,
    pub(crate) delayed_updates: Counter,
}

impl ManagerMetrics {
    pub(crate) fn new(name: &str, registry: &Registry) -> ManagerMetrics {
        let by_name = ["name"];
        let by_config = ["name", "config"];
        let counter = |counters: CounterVec| counters.with(&[name]);
        // No configuration of the supported kinds can fail to start; one that could would say so.
        let failed: Gauge = registry
            .gauge_vec(
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                &by_name,
            )
            .with(&[name]);
        failed.set(0.0);
        ManagerMetrics {
            name: name.to_owned(),
            discovered_targets: registry.gauge_vec(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                &by_config,
            ),
            last_update_timestamp: registry.gauge_vec(
                "prometheus_sd_last_update_timestamp_seconds",
                "Timestamp of the last update sent to the SD consumers.",
                &by_config,
            ),
            received_updates: counter(registry.counter_vec(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the SD providers.",
                &by_name,
            )),
            sent_updates: counter(registry.counter_vec(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the SD consumers.",
                &by_name,
            )),
            delayed_updates: counter(registry.counter_vec(
                "prometheus_sd_updates_delayed_total",
                "Total number of update events that couldn't be sent immediately.",
                &by_name,
            )),
        }
    }

    /// Notes what was sent for a job.
    pub(crate) fn sent(&self, job: &str, targets: usize, now_s: f64) {
        let labels = [self.name.as_str(), job];
        self.discovered_targets.with(&labels).set(targets as f64);
        self.last_update_timestamp.with(&labels).set(now_s);
    }

    /// Forgets a job that is gone.
    pub(crate) fn forget(&self, job: &str) {
        let labels = [self.name.as_str(), job];
        self.discovered_targets.remove(&labels);
        self.last_update_timestamp.remove(&labels);
    }
}

/// Of all file providers together.
#[derive(Clone)]
pub(crate) struct FileMetrics {
    pub(crate) read_errors: Counter,
    pub(crate) watcher_errors: Counter,
    pub(crate) scan_duration: Summary,
    mtime: GaugeVec,
}

impl FileMetrics {
    pub(crate) fn new(registry: &Registry) -> FileMetrics {
        FileMetrics {
            read_errors: registry.counter(
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
            ),
            watcher_errors: registry.counter(
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
            ),
            scan_duration: registry.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "The duration of the File-SD scan in seconds.",
                &QUANTILES,
            ),
            mtime: registry.gauge_vec(
                "prometheus_sd_file_mtime_seconds",
                "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
                &["filename"],
            ),
        }
    }

    pub(crate) fn read(&self, file: &str, mtime_s: f64) {
        self.mtime.with(&[file]).set(mtime_s);
    }

    pub(crate) fn forget(&self, file: &str) {
        self.mtime.remove(&[file]);
    }
}
