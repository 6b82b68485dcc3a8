//! The manager: who runs, who listens, and when an update is passed on.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use config::{Config, FileSdConfig, ScrapeConfig, TargetGroup};
use parking_lot::Mutex;
use telemetry::Registry;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::{FileMetrics, ManagerMetrics};
use crate::provider::FileProvider;
use crate::{FileError, TargetSets};

/// Updates that follow each other are passed on no faster than this; each one that does follow
/// makes it longer, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Runs the providers that the configuration names and publishes what they find.
pub struct DiscoveryManager {
    shared: Arc<Shared>,
    end: CancellationToken,
    /// Whether the task that passes updates on runs; it is started with the first configuration,
    /// because a manager can be made outside of a runtime.
    is_publishing: Mutex<bool>,
}

struct Shared {
    sets: watch::Sender<Arc<TargetSets>>,
    jobs: Mutex<BTreeMap<String, Sources>>,
    changed: Notify,
    metrics: ManagerMetrics,
    file_metrics: FileMetrics,
    clock: clock::SharedClock,
}

/// Where the targets of one job come from.
#[derive(Debug, Default)]
struct Sources {
    static_groups: Vec<Arc<TargetGroup>>,
    files: Vec<Arc<FileProvider>>,
}

impl DiscoveryManager {
    /// A manager without providers; `name` is the label `name` of its metrics (`scrape`).
    #[must_use]
    pub fn new(name: &str, clock: clock::SharedClock, registry: &Registry) -> DiscoveryManager {
        let (sets, _) = watch::channel(Arc::default());
        let shared = Shared {
            sets,
            jobs: Mutex::default(),
            changed: Notify::new(),
            metrics: ManagerMetrics::new(name, registry),
            file_metrics: FileMetrics::new(registry),
            clock,
        };
        DiscoveryManager {
            shared: Arc::new(shared),
            end: CancellationToken::new(),
            is_publishing: Mutex::new(false),
        }
    }

    /// Starts what is new in the configuration, keeps what is unchanged, stops the rest, and
    /// publishes at once. Reads the files of new file discoveries before it returns, so that no
    /// target is missing meanwhile. Must be called within a tokio runtime.
    pub fn apply_config(&self, config: &Config) {
        self.start_publishing();
        let mut jobs = self.shared.jobs.lock();
        let mut before = std::mem::take(&mut *jobs);
        // Providers by configuration: those that run, and those that this configuration adds.
        let mut providers: Vec<Arc<FileProvider>> = before
            .values()
            .flat_map(|sources| &sources.files)
            .cloned()
            .collect();
        for scrape in &config.scrape_configs {
            let old = before.remove(&scrape.job_name).unwrap_or_default();
            let sources = self.sources(scrape, &old, &mut providers);
            jobs.insert(scrape.job_name.clone(), sources);
        }
        for job in before.keys() {
            self.shared.metrics.forget(job);
        }
        drop(jobs);
        // What no job names any more ends here, with its last reference.
        drop((before, providers));
        self.shared.publish(Publish::Always);
    }

    /// The current sets, now and whenever they change; throttled.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<TargetSets>> {
        self.shared.sets.subscribe()
    }

    /// The discovery files that cannot be used now, by job. Their last good targets stay.
    #[must_use]
    pub fn file_errors(&self) -> BTreeMap<String, Vec<FileError>> {
        let jobs = self.shared.jobs.lock();
        let errors = jobs.iter().map(|(job, sources)| {
            let errors = sources
                .files
                .iter()
                .flat_map(|provider| provider.found().errors);
            (job.clone(), errors.collect::<Vec<FileError>>())
        });
        errors.filter(|(_, errors)| !errors.is_empty()).collect()
    }

    /// Ends all providers. The published sets stay as they are.
    pub fn stop(&self) {
        self.end.cancel();
        self.shared.jobs.lock().clear();
    }

    fn sources(
        &self,
        scrape: &ScrapeConfig,
        old: &Sources,
        providers: &mut Vec<Arc<FileProvider>>,
    ) -> Sources {
        let mut sources = Sources {
            static_groups: static_groups(&scrape.static_configs, &old.static_groups),
            files: Vec::new(),
        };
        for config in &scrape.file_sd_configs {
            if sources
                .files
                .iter()
                .any(|provider| provider.config == *config)
            {
                continue;
            }
            let running = providers.iter().find(|provider| provider.config == *config);
            let provider = running.cloned().unwrap_or_else(|| {
                let provider = Arc::new(self.start_provider(config, old));
                providers.push(Arc::clone(&provider));
                provider
            });
            sources.files.push(provider);
        }
        sources
    }

    fn start_provider(&self, config: &FileSdConfig, old: &Sources) -> FileProvider {
        let last_good: Vec<Arc<TargetGroup>> = old
            .files
            .iter()
            .flat_map(|provider| provider.found().groups)
            .collect();
        let shared = Arc::downgrade(&self.shared);
        let on_change = move || {
            if let Some(shared) = shared.upgrade() {
                shared.metrics.received_updates.inc();
                shared.changed.notify_one();
            }
        };
        let metrics = &self.shared.file_metrics;
        let clock = Arc::clone(&self.shared.clock);
        FileProvider::start(config, &last_good, metrics, clock, on_change)
    }

    fn start_publishing(&self) {
        let mut is_publishing = self.is_publishing.lock();
        if !*is_publishing {
            *is_publishing = true;
            let shared = Arc::clone(&self.shared);
            let end = self.end.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = end.cancelled() => {}
                    () = shared.pass_on() => {}
                }
            });
        }
    }
}

impl fmt::Debug for DiscoveryManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let jobs = self.shared.jobs.lock();
        f.debug_struct("DiscoveryManager")
            .field("jobs", &*jobs)
            .finish_non_exhaustive()
    }
}

impl Drop for DiscoveryManager {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether subscribers are woken although nothing changed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Publish {
    Always,
    IfChanged,
}

impl Shared {
    /// Publishes whenever a provider found something: at once after a quiet time, then with
    /// growing pauses, so that a source that changes all the time costs little and a host that
    /// registers is not kept waiting.
    async fn pass_on(&self) {
        let mut last: Option<Instant> = None;
        let mut pause = PAUSE_MIN;
        loop {
            self.changed.notified().await;
            if let Some(last) = last {
                if last.elapsed() > PAUSE_MAX {
                    pause = PAUSE_MIN;
                } else if last.elapsed() < pause {
                    self.metrics.delayed_updates.inc();
                    tokio::time::sleep_until(last + pause).await;
                    pause = (pause * 3 / 2).min(PAUSE_MAX);
                }
            }
            self.publish(Publish::IfChanged);
            last = Some(Instant::now());
        }
    }

    fn publish(&self, when: Publish) {
        let sets = Arc::new(self.current());
        let now_s = self.clock.now_seconds();
        for (job, groups) in &*sets {
            let targets = groups.iter().map(|group| group.targets.len()).sum();
            self.metrics.sent(job, targets, now_s);
        }
        self.metrics.sent_updates.inc();
        self.sets.send_if_modified(|published| {
            let is_new = when == Publish::Always || *published != sets;
            if is_new {
                *published = sets;
            }
            is_new
        });
    }

    fn current(&self) -> TargetSets {
        let jobs = self.jobs.lock();
        let sets = jobs.iter().map(|(job, sources)| {
            let files = sources
                .files
                .iter()
                .flat_map(|provider| provider.found().groups);
            let groups = sources.static_groups.iter().cloned().chain(files).collect();
            (job.clone(), groups)
        });
        sets.collect()
    }
}

/// The groups that have targets; those that were there before are the same allocation, so that
/// readers can tell at a glance.
fn static_groups(groups: &[TargetGroup], before: &[Arc<TargetGroup>]) -> Vec<Arc<TargetGroup>> {
    let groups = groups.iter().filter(|group| !group.targets.is_empty());
    let shared = groups.map(|group| {
        let known = before
            .iter()
            .find(|old| old.source == group.source && ***old == *group);
        known.cloned().unwrap_or_else(|| Arc::new(group.clone()))
    });
    shared.collect()
}

#[cfg(test)]
mod tests;
