//! The database's own metrics, under the names that dashboards and alerts know.

use std::sync::Weak;

use storage::AppendOutcome;
use telemetry::{Counter, Gauge, Histogram, Registry, Summary};

use crate::db::Inner;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted as it happens; the rest is asked when it is shown.
pub(crate) struct Metrics {
    samples_appended: Counter,
    histograms_appended: Counter,
    late_appended: Counter,
    out_of_order: Counter,
    out_of_bounds: Counter,
    too_old: Counter,
    pub(crate) compactions: Counter,
    pub(crate) compactions_failed: Counter,
    pub(crate) compactions_triggered: Counter,
    pub(crate) compaction_seconds: Histogram,
    pub(crate) tombstone_cleanup_seconds: Histogram,
    pub(crate) late_seconds: Histogram,
    pub(crate) head_truncate_seconds: Summary,
    pub(crate) time_retentions: Counter,
    pub(crate) size_retentions: Counter,
    pub(crate) reloads: Counter,
    pub(crate) reload_failures: Counter,
    pub(crate) wal_fsync_seconds: Summary,
    pub(crate) wal_truncate_seconds: Summary,
    pub(crate) wal_truncations: Counter,
    pub(crate) wal_truncations_failed: Counter,
    pub(crate) checkpoints: Counter,
    pub(crate) checkpoints_failed: Counter,
    pub(crate) replay_seconds: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Ten minutes to twelve hours.
const LATE_SECONDS: [f64; 7] = [
    600.0, 1_800.0, 3_600.0, 7_200.0, 10_800.0, 21_600.0, 43_200.0,
];
const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

impl Metrics {
    /// Declares what is counted.
    pub(crate) fn new(registry: &Registry) -> Metrics {
        let typed = |name, help| registry.counter_vec(name, help, &["type"]).with(&["float"]);
        let appended = registry.counter_vec(
            "prometheus_tsdb_head_samples_appended_total",
            "Samples that were appended.",
            &["type"],
        );
        let counter = |name, help| registry.counter(name, help);
        let summary = |name, help| registry.summary(name, help, &QUANTILES);
        let buckets: Vec<f64> = (0..14).map(|power| f64::from(1 << power)).collect();
        Metrics {
            samples_appended: appended.with(&["float"]),
            histograms_appended: appended.with(&["histogram"]),
            late_appended: typed(
                "prometheus_tsdb_head_out_of_order_samples_appended_total",
                "Samples within the out-of-order window that were appended.",
            ),
            out_of_order: typed(
                "prometheus_tsdb_out_of_order_samples_total",
                "Samples that were refused because their series has newer ones.",
            ),
            out_of_bounds: typed(
                "prometheus_tsdb_out_of_bound_samples_total",
                "Samples that were refused because the head takes none so old.",
            ),
            too_old: typed(
                "prometheus_tsdb_too_old_samples_total",
                "Samples that were refused because they lie before the out-of-order window.",
            ),
            compactions: counter(
                "prometheus_tsdb_compactions_total",
                "Blocks that were written from the head or from other blocks.",
            ),
            compactions_failed: counter(
                "prometheus_tsdb_compactions_failed_total",
                "Blocks that could not be written.",
            ),
            compactions_triggered: counter(
                "prometheus_tsdb_compactions_triggered_total",
                "Times that the need for new blocks was looked at.",
            ),
            compaction_seconds: registry.histogram(
                "prometheus_tsdb_compaction_duration_seconds",
                "How long writing blocks took.",
                &buckets,
            ),
            tombstone_cleanup_seconds: registry.histogram(
                "prometheus_tsdb_tombstone_cleanup_seconds",
                "How long writing blocks without what is deleted took.",
                &telemetry::DEFAULT_BUCKETS,
            ),
            late_seconds: registry.histogram(
                "prometheus_tsdb_sample_ooo_delta",
                "By how many seconds samples are out of order, whether they are taken or not.",
                &LATE_SECONDS,
            ),
            head_truncate_seconds: summary(
                "prometheus_tsdb_head_gc_duration_seconds",
                "How long forgetting old series took.",
            ),
            time_retentions: counter(
                "prometheus_tsdb_time_retentions_total",
                "Blocks that were removed because they were too old.",
            ),
            size_retentions: counter(
                "prometheus_tsdb_size_retentions_total",
                "Blocks that were removed because the data took too many bytes.",
            ),
            reloads: counter(
                "prometheus_tsdb_reloads_total",
                "Times that the list of blocks was read or changed.",
            ),
            reload_failures: counter(
                "prometheus_tsdb_reloads_failures_total",
                "Blocks that could not be opened.",
            ),
            wal_fsync_seconds: summary(
                "prometheus_tsdb_wal_fsync_duration_seconds",
                "How long syncing the log took.",
            ),
            wal_truncate_seconds: summary(
                "prometheus_tsdb_wal_truncate_duration_seconds",
                "How long removing old segments of the log took.",
            ),
            wal_truncations: counter(
                "prometheus_tsdb_wal_truncations_total",
                "Times that old segments of the log were removed.",
            ),
            wal_truncations_failed: counter(
                "prometheus_tsdb_wal_truncations_failed_total",
                "Times that old segments of the log could not be removed.",
            ),
            checkpoints: counter(
                "prometheus_tsdb_checkpoint_creations_total",
                "Checkpoints that were begun.",
            ),
            checkpoints_failed: counter(
                "prometheus_tsdb_checkpoint_creations_failed_total",
                "Checkpoints that could not be written.",
            ),
            replay_seconds: registry.gauge(
                "prometheus_tsdb_data_replay_duration_seconds",
                "How long reading the data at start took.",
            ),
        }
    }

    /// Counts what became of a batch, and late samples and histograms since the last time.
    pub(crate) fn count(&self, outcome: &AppendOutcome, late: &AtomicU64, histograms: &AtomicU64) {
        if late.load(Relaxed) > 0 {
            self.late_appended.add(late.swap(0, Relaxed) as f64);
        }
        let mut floats = outcome.appended as f64;
        if histograms.load(Relaxed) > 0 {
            let histograms = histograms.swap(0, Relaxed) as f64;
            self.histograms_appended.add(histograms);
            floats = (floats - histograms).max(0.0);
        }
        self.samples_appended.add(floats);
        // These are rare, and adding to a counter is not free.
        for (counter, count) in [
            (&self.out_of_order, outcome.out_of_order),
            (&self.out_of_bounds, outcome.out_of_bounds),
            (&self.too_old, outcome.too_old),
        ] {
            if count > 0 {
                counter.add(count as f64);
            }
        }
    }
}

/// Declares what is asked when it is shown. A database that is gone shows zeros.
pub(crate) fn register(registry: &Registry, db: &Weak<Inner>) {
    let gauge = |name, help, value: fn(&Inner) -> f64| {
        let db = Weak::clone(db);
        registry.gauge_fn(name, help, move || {
            db.upgrade().map_or(0.0, |db| value(&db))
        });
    };
    let counter = |name, help, value: fn(&Inner) -> &AtomicU64| {
        let db = Weak::clone(db);
        registry.counter_fn(name, help, move || {
            db.upgrade()
                .map_or(0.0, |db| value(&db).load(Relaxed) as f64)
        });
    };
    register_exemplars(gauge, counter);
    register_head(gauge, counter);
    register_disk(registry, db, gauge);
    register_limits(registry, db);
}

/// What keeps samples or series out, and the memory. Prometheus has no such metrics.
fn register_limits(registry: &Registry, db: &Weak<Inner>) {
    let gauge = |name, help, value: fn(&Inner) -> f64| {
        let db = Weak::clone(db);
        registry.gauge_fn(name, help, move || {
            db.upgrade().map_or(0.0, |db| value(&db))
        });
    };
    let counter = |name, help, value: fn(&Inner) -> u64| {
        let db = Weak::clone(db);
        registry.counter_fn(name, help, move || {
            db.upgrade().map_or(0.0, |db| value(&db) as f64)
        });
    };
    gauge(
        "promontory_tsdb_disk_full",
        "1 if the disk is full and no samples are taken, 0 otherwise.",
        |db| f64::from(u8::from(db.room().is_full())),
    );
    counter(
        "promontory_tsdb_disk_full_refused_batches_total",
        "Batches that were refused because the disk was full.",
        |db| db.room().refused(),
    );
    gauge(
        "promontory_tsdb_head_series_limit",
        "Series that the head may hold; 0 for no limit.",
        |db| db.head.gate.head_max() as f64,
    );
    counter(
        "promontory_tsdb_head_limit_refused_series_total",
        "New series that were refused because the head held as many as it may.",
        |db| db.head.gate.refused()[0],
    );
    counter(
        "promontory_tsdb_target_limit_refused_series_total",
        "New series that were refused because their target had brought too many within an hour.",
        |db| db.head.gate.refused()[1],
    );
    counter(
        "promontory_tsdb_memory_refused_series_total",
        "New series that were refused because the memory budget was used up.",
        |db| db.head.gate.refused()[2],
    );
    gauge(
        "promontory_memory_budget_bytes",
        "Memory that head, caches and queries may take; 0 for no limit.",
        |db| db.options.memory.bytes_max().unwrap_or(0) as f64,
    );
    gauge(
        "promontory_memory_head_bytes",
        "Memory of the head.",
        |db| db.options.memory.head_bytes() as f64,
    );
    gauge(
        "promontory_memory_caches_bytes",
        "Memory of cached pages of blocks.",
        |db| db.blocks.cache.bytes() as f64,
    );
    gauge(
        "promontory_memory_queries_bytes",
        "Memory that running queries have reserved.",
        |db| db.options.memory.query_bytes() as f64,
    );
    counter(
        "promontory_memory_refused_queries_total",
        "Queries that were refused because the memory budget was used up.",
        |db| db.options.memory.refused_queries(),
    );
}

fn min_ms(db: &Inner) -> i64 {
    db.head.time_range().map_or(0, |(min_ms, _)| min_ms)
}

fn max_ms(db: &Inner) -> i64 {
    db.head.time_range().map_or(0, |(_, max_ms)| max_ms)
}

fn lowest_ms(db: &Inner) -> i64 {
    let blocks = db.blocks.all();
    let oldest = blocks.first().map(|block| block.meta().min_time);
    let head = db.head.time_range().map(|(min_ms, _)| min_ms);
    let late = db.head.late_range().map(|(min_ms, _)| min_ms);
    let all = oldest.into_iter().chain(head).chain(late);
    all.min().unwrap_or(0)
}

fn seconds(ms: i64) -> f64 {
    ms.div_euclid(1_000) as f64
}

fn register_head(
    gauge: impl Fn(&'static str, &'static str, fn(&Inner) -> f64),
    counter: impl Fn(&'static str, &'static str, fn(&Inner) -> &AtomicU64),
) {
    gauge("prometheus_tsdb_head_series", "Series in the head.", |db| {
        db.head.series_count() as f64
    });
    gauge("prometheus_tsdb_head_chunks", "Chunks in the head.", |db| {
        db.head.chunk_count() as f64
    });
    gauge(
        "prometheus_tsdb_head_native_histogram_series",
        "Series of the head that have native histograms.",
        |db| db.head.histogram_counts().0 as f64,
    );
    gauge(
        "prometheus_tsdb_head_native_histogram_buckets",
        "Buckets of the newest native histogram of each series.",
        |db| db.head.histogram_counts().1 as f64,
    );
    gauge(
        "prometheus_tsdb_head_min_time",
        "Oldest sample of the head, in milliseconds.",
        |db| min_ms(db) as f64,
    );
    gauge(
        "prometheus_tsdb_head_max_time",
        "Newest sample of the head, in milliseconds.",
        |db| max_ms(db) as f64,
    );
    gauge(
        "prometheus_tsdb_head_min_time_seconds",
        "Oldest sample of the head, in seconds.",
        |db| seconds(min_ms(db)),
    );
    gauge(
        "prometheus_tsdb_head_max_time_seconds",
        "Newest sample of the head, in seconds.",
        |db| seconds(max_ms(db)),
    );
    counter(
        "prometheus_tsdb_head_series_created_total",
        "Series that were made in the head.",
        |db| &db.head.counts.series_created,
    );
    counter(
        "prometheus_tsdb_head_series_removed_total",
        "Series that the head forgot.",
        |db| &db.head.counts.series_removed,
    );
    counter(
        "prometheus_tsdb_head_series_not_found_total",
        "Samples whose series the head did not hold.",
        |db| &db.head.counts.series_not_found,
    );
    counter(
        "prometheus_tsdb_head_chunks_created_total",
        "Columns that were sealed.",
        |db| &db.head.counts.chunks_created,
    );
    counter(
        "prometheus_tsdb_head_chunks_removed_total",
        "Sealed columns that the head forgot.",
        |db| &db.head.counts.chunks_removed,
    );
    counter(
        "prometheus_tsdb_head_truncations_total",
        "Times that the head forgot what is in blocks.",
        |db| &db.head.counts.truncations,
    );
    counter(
        "prometheus_tsdb_wal_corruptions_total",
        "Damaged records of the log and damaged chunks that were met.",
        |db| &db.head.counts.corruptions,
    );
    counter(
        "prometheus_tsdb_wal_replay_unknown_refs_total",
        "Records of the log that lack what they build on.",
        |db| &db.head.counts.unknown_refs,
    );
}

fn register_exemplars(
    gauge: impl Fn(&'static str, &'static str, fn(&Inner) -> f64),
    counter: impl Fn(&'static str, &'static str, fn(&Inner) -> &AtomicU64),
) {
    counter(
        "prometheus_tsdb_exemplar_exemplars_appended_total",
        "Exemplars that were taken.",
        |db| &db.head.exemplars.appended,
    );
    counter(
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        "Exemplars that were refused because their series has newer ones.",
        |db| &db.head.exemplars.out_of_order,
    );
    gauge(
        "prometheus_tsdb_exemplar_max_exemplars",
        "How many exemplars are kept at most.",
        |db| db.head.exemplars.figures().max as f64,
    );
    gauge(
        "prometheus_tsdb_exemplar_exemplars_in_storage",
        "Exemplars that are kept.",
        |db| db.head.exemplars.figures().count as f64,
    );
    gauge(
        "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
        "Series that have exemplars.",
        |db| db.head.exemplars.figures().series as f64,
    );
    gauge(
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "When the oldest of the exemplars was observed.",
        |db| db.head.exemplars.figures().oldest_ms as f64 / 1000.0,
    );
}

fn register_disk(
    registry: &Registry,
    db: &Weak<Inner>,
    gauge: impl Fn(&'static str, &'static str, fn(&Inner) -> f64),
) {
    gauge(
        "prometheus_tsdb_blocks_loaded",
        "Blocks that are open.",
        |db| db.blocks.all().len() as f64,
    );
    gauge(
        "prometheus_tsdb_storage_blocks_bytes",
        "Bytes of all blocks.",
        |db| db.blocks.size_bytes() as f64,
    );
    gauge(
        "prometheus_tsdb_lowest_timestamp",
        "Oldest time of all data, in milliseconds.",
        |db| lowest_ms(db) as f64,
    );
    gauge(
        "prometheus_tsdb_lowest_timestamp_seconds",
        "Oldest time of all data, in seconds.",
        |db| seconds(lowest_ms(db)),
    );
    gauge(
        "prometheus_tsdb_retention_limit_bytes",
        "Bytes that may be used; 0 for no limit.",
        |db| db.retention().size_bytes as f64,
    );
    gauge(
        "prometheus_tsdb_retention_limit_seconds",
        "How long data are kept; 0 for ever.",
        |db| seconds(db.retention().time_ms),
    );
    gauge(
        "prometheus_tsdb_retention_limit_percentage",
        "Share of the file system that may be used; 0 for no limit.",
        |db| db.retention().percentage,
    );
    gauge(
        "prometheus_tsdb_wal_segment_current",
        "Segment of the log that is written.",
        |db| db.head.wal.current() as f64,
    );
    gauge(
        "prometheus_tsdb_wal_storage_size_bytes",
        "Bytes of the log.",
        |db| db.size_of(db.head.wal.dir()) as f64,
    );
    gauge(
        "prometheus_tsdb_head_chunks_storage_size_bytes",
        "Bytes of the files of sealed chunks.",
        |db| db.size_of(db.head.chunks_dir()) as f64,
    );
    let db = Weak::clone(db);
    registry.counter_fn(
        "prometheus_tsdb_wal_writes_failed_total",
        "Writes and syncs of the log that failed.",
        move || db.upgrade().map_or(0.0, |db| db.head.wal.failures() as f64),
    );
}
