//! A scrape pool: the targets of one job and their loops.
//!
//! A sync makes targets of what was discovered and compares them with those that are scraped: what
//! has the same identity keeps its loop, what is new gets one, what is gone loses it. A target of
//! which only the timing changed is a new target, but keeps its loop and with it its cache.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{HttpClientConfig, ScrapeConfig, TargetGroup};
use model::{Labels, LabelsBuilder};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::failure_log::FailureLog;
use crate::metrics::go_duration;
use crate::shared::Shared;
use crate::status::{GlobalUrlOptions, PoolStatus, TargetMetadata};
use crate::target::{Origin, Target};
use crate::target_loop::{self, LoopSettings, LoopTokens};

/// The targets of one job.
pub(crate) struct Pool {
    config: Arc<ScrapeConfig>,
    server_seed: u64,
    failure_log: Option<Arc<FailureLog>>,
    rules_epoch: u64,
    /// By identity.
    active: BTreeMap<u64, Active>,
    dropped: Vec<Origin>,
    dropped_count: usize,
    /// Why no target is scraped.
    error: Option<Arc<str>>,
    /// Ends all loops.
    token: CancellationToken,
}

/// A target that is scraped.
struct Active {
    target: Arc<Target>,
    settings: watch::Sender<Arc<LoopSettings>>,
    removed: CancellationToken,
}

/// What a sync found.
#[derive(Default)]
struct Found {
    targets: BTreeMap<u64, Target>,
    dropped: Vec<Origin>,
    dropped_count: usize,
    failed: usize,
}

impl Pool {
    pub(crate) fn new(
        shared: &Shared,
        config: Arc<ScrapeConfig>,
        server_seed: u64,
        failure_log: Option<Arc<FailureLog>>,
    ) -> Pool {
        shared.metrics.pools.inc();
        let pool = Pool {
            config,
            server_seed,
            failure_log,
            rules_epoch: 0,
            active: BTreeMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
            error: None,
            token: shared.shutdown.child_token(),
        };
        pool.show_target_limit(shared);
        pool
    }

    pub(crate) fn config(&self) -> &Arc<ScrapeConfig> {
        &self.config
    }

    /// Makes the targets those of `groups`. Must be called within a tokio runtime.
    pub(crate) fn sync(&mut self, shared: &Arc<Shared>, groups: &[Arc<TargetGroup>]) {
        let started = shared.clock.monotonic();
        let found = self.find_targets(groups);
        let config = Arc::clone(&self.config);
        let job = &[config.job_name.as_str()];
        let metrics = &shared.metrics;
        metrics.sync_failed.with(job).add(found.failed as f64);
        self.dropped = found.dropped;
        self.dropped_count = found.dropped_count;
        self.replace_targets(shared, found.targets);
        self.check_target_limit(shared);
        self.publish();

        metrics.targets.with(job).set(self.active.len() as f64);
        let length_s = (shared.clock.monotonic() - started).as_secs_f64();
        metrics.sync_length.with(job).observe(length_s);
        metrics.sync_length_histogram.with(job).observe(length_s);
        metrics.syncs.with(job).inc();
    }

    /// Takes up a new configuration of the job. Targets follow with the next sync.
    pub(crate) fn reload(&mut self, shared: &Shared, config: Arc<ScrapeConfig>) {
        let started = shared.clock.monotonic();
        let metrics = &shared.metrics;
        metrics.pool_reloads.inc();
        if !has_same_rules(&self.config, &config) {
            self.rules_epoch += 1;
        }
        self.config = config;
        self.show_target_limit(shared);
        self.check_target_limit(shared);
        let length_s = (shared.clock.monotonic() - started).as_secs_f64();
        metrics
            .reload_length
            .with(&[&go_duration(self.config.scrape_interval_ms)])
            .observe(length_s);
    }

    /// Takes up what a reload changed outside of the job's own configuration, and passes
    /// everything on to the loops.
    pub(crate) fn update(&mut self, server_seed: u64, failure_log: Option<Arc<FailureLog>>) {
        self.server_seed = server_seed;
        self.failure_log = failure_log;
        self.publish();
    }

    /// Ends all loops at once, without staleness markers.
    pub(crate) fn stop(self, shared: &Shared) {
        self.token.cancel();
        shared.metrics.remove_pool(&self.config.job_name);
    }

    /// The pool as the API shows it.
    pub(crate) fn status(&self, options: &GlobalUrlOptions) -> PoolStatus {
        let name = &self.config.job_name;
        PoolStatus {
            name: name.clone(),
            config: Arc::clone(&self.config),
            active: self
                .sorted_targets()
                .map(|target| target.status(name, options))
                .collect(),
            dropped: self.dropped.iter().map(Origin::discovered_labels).collect(),
            dropped_count: self.dropped_count,
            error: self.error.as_deref().map(str::to_owned),
        }
    }

    /// What the targets say about their families.
    pub(crate) fn metadata(&self) -> impl Iterator<Item = TargetMetadata> {
        self.sorted_targets().map(|target| TargetMetadata {
            scrape_pool: self.config.job_name.clone(),
            labels: target.public_labels.clone(),
            families: target.families.lock().sorted(),
        })
    }

    fn sorted_targets(&self) -> impl Iterator<Item = &Target> {
        let mut targets: Vec<&Target> = self.active.values().map(|a| &*a.target).collect();
        targets.sort_by(|a, b| {
            let by_url = a.url_text.cmp(&b.url_text);
            by_url.then_with(|| a.public_labels.cmp(&b.public_labels))
        });
        targets.into_iter()
    }

    fn find_targets(&self, groups: &[Arc<TargetGroup>]) -> Found {
        let mut found = Found::default();
        let mut builder = LabelsBuilder::default();
        let keep = match self.config.limits.keep_dropped_targets {
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        for group in groups {
            for index in 0..group.targets.len() {
                let origin = Origin {
                    config: Arc::clone(&self.config),
                    group: Arc::clone(group),
                    index,
                };
                match origin.relabelled(&mut builder) {
                    Ok(Some(labels)) => {
                        let target = Target::new(labels, origin);
                        found.targets.entry(target.id).or_insert(target);
                    }
                    Ok(None) => {
                        if found.dropped.len() < keep {
                            found.dropped.push(origin);
                        }
                        found.dropped_count += 1;
                    }
                    Err(error) => {
                        found.failed += 1;
                        tracing::error!(
                            scrape_pool = self.config.job_name,
                            err = format!("instance {index} in group {}: {error}", group.source),
                            "Creating target failed"
                        );
                    }
                }
            }
        }
        found
    }

    fn replace_targets(&mut self, shared: &Arc<Shared>, targets: BTreeMap<u64, Target>) {
        // Targets that are gone, of which some come back with another timing.
        let mut gone: BTreeMap<(String, Labels), Vec<Active>> = BTreeMap::new();
        for (id, active) in std::mem::take(&mut self.active) {
            if targets.contains_key(&id) {
                self.active.insert(id, active);
            } else {
                let endpoint = active.target.endpoint();
                gone.entry(endpoint).or_default().push(active);
            }
        }
        for (id, target) in targets {
            if let Some(active) = self.active.get(&id) {
                active.target.set_origin(target.into_origin());
            } else if let Some(active) = gone.get_mut(&target.endpoint()).and_then(Vec::pop) {
                let target = Arc::new(target.continuing(&active.target));
                self.active.insert(id, Active { target, ..active });
            } else {
                let active = self.start(shared, target);
                self.active.insert(id, active);
            }
        }
        for active in gone.into_values().flatten() {
            active.removed.cancel();
        }
    }

    fn start(&self, shared: &Arc<Shared>, target: Target) -> Active {
        let target = Arc::new(target);
        let (settings, updates) = watch::channel(self.settings_for(&target));
        let removed = self.token.child_token();
        let tokens = LoopTokens {
            pool: self.token.clone(),
            removed: removed.clone(),
        };
        let task = target_loop::run(Arc::clone(shared), updates, tokens);
        shared.tasks.spawn(task);
        Active {
            target,
            settings,
            removed,
        }
    }

    fn settings_for(&self, target: &Arc<Target>) -> Arc<LoopSettings> {
        let unsupported = || target.unsupported().map(Arc::from);
        Arc::new(LoopSettings {
            config: Arc::clone(&self.config),
            target: Arc::clone(target),
            server_seed: self.server_seed,
            forced_error: self.error.clone().or_else(unsupported),
            failure_log: self.failure_log.clone(),
            rules_epoch: self.rules_epoch,
        })
    }

    /// Passes settings on to the loops that have others.
    fn publish(&self) {
        for active in self.active.values() {
            let settings = self.settings_for(&active.target);
            active.settings.send_if_modified(|current| {
                let is_new = !current.is_same(&settings);
                if is_new {
                    *current = settings;
                }
                is_new
            });
        }
    }

    fn check_target_limit(&mut self, shared: &Shared) {
        let (limit, count) = (self.config.limits.target_limit, self.active.len());
        self.error = (limit > 0 && count as u64 > limit).then(|| {
            shared.metrics.exceeded_target_limit.inc();
            Arc::from(format!(
                "target_limit exceeded (number of targets: {count}, limit: {limit})"
            ))
        });
    }

    fn show_target_limit(&self, shared: &Shared) {
        let gauge = shared.metrics.target_limit.with(&[&self.config.job_name]);
        gauge.set(self.config.limits.target_limit as f64);
    }
}

/// Whether what a page becomes by the one configuration is what it becomes by the other. Label
/// limits count: they are checked once a series.
fn has_same_rules(a: &ScrapeConfig, b: &ScrapeConfig) -> bool {
    let rules = |config: &ScrapeConfig| ScrapeConfig {
        // Where and how targets are asked, and what is checked on every scrape, changes nothing
        // about a series. What relabelling does to targets shows in their identity.
        scrape_interval_ms: 0,
        scrape_timeout_ms: 0,
        params: Vec::new(),
        scrape_protocols: Vec::new(),
        scrape_failure_log_file: String::new(),
        metrics_path: String::new(),
        scheme: String::new(),
        enable_compression: false,
        extra_scrape_metrics: false,
        http: HttpClientConfig::default(),
        static_configs: Vec::new(),
        file_sd_configs: Vec::new(),
        relabel_configs: Vec::new(),
        limits: config::ScrapeLimits {
            body_size_limit: 0,
            sample_limit: 0,
            target_limit: 0,
            keep_dropped_targets: 0,
            ..config.limits
        },
        ..config.clone()
    };
    rules(a) == rules(b)
}
