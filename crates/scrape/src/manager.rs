//! The manager: pools by job, fed with target sets.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use config::{Config, ScrapeConfig};
use discovery::TargetSets;
use parking_lot::Mutex;
use storage::Appender;
use telemetry::Registry;
use tokio::sync::{Notify, watch};

use crate::besides::ScrapeFeatures;
use crate::failure_log::FailureLog;
use crate::fetch::{HttpFetch, MakeFetch};
use crate::host_name;
use crate::metrics::ScrapeMetrics;
use crate::pool::Pool;
use crate::schedule::server_seed;
use crate::shared::Shared;
use crate::status::{GlobalUrlOptions, PoolStatus, TargetMetadata};

/// Settings that come from flags.
#[derive(Debug, Clone)]
pub struct ScrapeOptions {
    /// The least time between two syncs of targets (`--scrape.discovery-reload-interval`).
    pub discovery_reload_interval: Duration,
    /// The `User-Agent` of scrapes.
    pub user_agent: String,
    /// How this server is reached.
    pub global_url: GlobalUrlOptions,
    /// What is read besides samples.
    pub features: ScrapeFeatures,
    /// The host name that spreads scrape times; the system's fully qualified one if `None`.
    pub host_name: Option<String>,
}

impl Default for ScrapeOptions {
    fn default() -> ScrapeOptions {
        ScrapeOptions {
            discovery_reload_interval: Duration::from_secs(5),
            user_agent: concat!("Promontory/", env!("CARGO_PKG_VERSION")).to_owned(),
            global_url: GlobalUrlOptions::default(),
            features: ScrapeFeatures::default(),
            host_name: None,
        }
    }
}

/// Why a configuration was not applied.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// A log of failures could not be opened; nothing was changed.
    #[error("open scrape failure log {path}: {source}")]
    FailureLog {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// All scrape pools of the server.
pub struct ScrapeManager {
    shared: Arc<Shared>,
    options: ScrapeOptions,
    host_name: OnceLock<String>,
    state: Mutex<State>,
    /// A configuration was applied: targets have to be made anew.
    reconfigured: Notify,
}

/// What a configuration says, and the pools that came of it.
#[derive(Default)]
struct State {
    configs: BTreeMap<String, Arc<ScrapeConfig>>,
    failure_logs: BTreeMap<String, Arc<FailureLog>>,
    server_seed: u64,
    pools: BTreeMap<String, Pool>,
}

impl std::fmt::Debug for ScrapeManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapeManager").finish_non_exhaustive()
    }
}

impl ScrapeManager {
    /// A manager without pools. Samples go to `appender`, metrics to `registry`.
    #[must_use]
    pub fn new(
        appender: Arc<dyn Appender>,
        clock: clock::SharedClock,
        registry: &Registry,
        options: ScrapeOptions,
    ) -> Arc<ScrapeManager> {
        let user_agent = options.user_agent.clone();
        let make_fetch: MakeFetch =
            Box::new(move |target, config| Box::new(HttpFetch::new(target, config, &user_agent)));
        ScrapeManager::with_fetch(appender, clock, registry, options, make_fetch)
    }

    /// A manager that asks targets in its own way.
    pub(crate) fn with_fetch(
        appender: Arc<dyn Appender>,
        clock: clock::SharedClock,
        registry: &Registry,
        options: ScrapeOptions,
        make_fetch: MakeFetch,
    ) -> Arc<ScrapeManager> {
        let metrics = ScrapeMetrics::new(registry);
        let features = options.features;
        Arc::new(ScrapeManager {
            shared: Arc::new(Shared::new(appender, clock, metrics, make_fetch, features)),
            options,
            host_name: OnceLock::new(),
            state: Mutex::default(),
            reconfigured: Notify::new(),
        })
    }

    /// Changes the pools that the configuration changes and ends those that it no longer names;
    /// new ones start with their first target set. Logs of failures are opened anew.
    ///
    /// # Errors
    /// If nothing was changed.
    pub fn apply_config(&self, config: &Config) -> Result<(), ScrapeError> {
        let failure_logs = open_failure_logs(config)?;
        let host_name = self.host_name.get_or_init(|| {
            let given = self.options.host_name.clone();
            given.unwrap_or_else(host_name::fully_qualified)
        });
        let mut state = self.state.lock();
        state.server_seed = server_seed(host_name, &config.global.external_labels);
        state.failure_logs = failure_logs;
        state.configs = config
            .scrape_configs
            .iter()
            .map(|config| (config.job_name.clone(), Arc::new(config.clone())))
            .collect();
        for (name, mut pool) in std::mem::take(&mut state.pools) {
            let Some(config) = state.configs.get(&name) else {
                pool.stop(&self.shared);
                continue;
            };
            if **config != **pool.config() {
                pool.reload(&self.shared, Arc::clone(config));
            }
            pool.update(state.server_seed, state.failure_log_of(config));
            state.pools.insert(name, pool);
        }
        drop(state);
        self.reconfigured.notify_one();
        Ok(())
    }

    /// Follows the target sets until [`ScrapeManager::stop`]; run it as a task.
    ///
    /// The first sets are taken up at once, later ones not more often than
    /// [`ScrapeOptions::discovery_reload_interval`]. When the sender is gone, the last sets stay.
    pub async fn run(self: Arc<Self>, updates: watch::Receiver<Arc<TargetSets>>) {
        let shutdown = self.shared.shutdown.clone();
        shutdown.run_until_cancelled(self.follow(updates)).await;
    }

    async fn follow(&self, mut updates: watch::Receiver<Arc<TargetSets>>) {
        updates.mark_changed();
        let mut is_open = true;
        loop {
            tokio::select! {
                changed = updates.changed(), if is_open => {
                    if changed.is_err() {
                        is_open = false;
                        continue;
                    }
                }
                () = self.reconfigured.notified() => {}
            }
            let sets = Arc::clone(&updates.borrow_and_update());
            // Before discovery has found anything there is nothing to wait for.
            if sets.is_empty() {
                continue;
            }
            self.sync(&sets).await;
            tokio::time::sleep(self.options.discovery_reload_interval).await;
        }
    }

    /// Brings all pools in line with the sets, one after the other.
    async fn sync(&self, sets: &TargetSets) {
        for (name, groups) in sets {
            {
                let mut state = self.state.lock();
                let State {
                    configs,
                    failure_logs,
                    server_seed,
                    pools,
                } = &mut *state;
                let Some(config) = configs.get(name) else {
                    // Discovery is still by the configuration before.
                    tracing::debug!(scrape_pool = name, "No such scrape configuration");
                    continue;
                };
                let pool = pools.entry(name.clone()).or_insert_with(|| {
                    let log = failure_logs.get(&config.scrape_failure_log_file);
                    let config = Arc::clone(config);
                    Pool::new(&self.shared, config, *server_seed, log.cloned())
                });
                pool.sync(&self.shared, groups);
            }
            // Thousands of targets take a while: let others run in between.
            tokio::task::yield_now().await;
        }
    }

    /// Ends all scraping, running scrapes too, without staleness markers; returns when all loops
    /// have ended.
    pub async fn stop(&self) {
        self.shared.shutdown.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// All pools, sorted by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PoolStatus> {
        let state = self.state.lock();
        let pools = state.pools.values();
        pools
            .map(|pool| pool.status(&self.options.global_url))
            .collect()
    }

    /// The names of all pools, sorted.
    #[must_use]
    pub fn pool_names(&self) -> Vec<String> {
        self.state.lock().pools.keys().cloned().collect()
    }

    /// The configuration of a pool.
    #[must_use]
    pub fn pool_config(&self, name: &str) -> Option<Arc<ScrapeConfig>> {
        let state = self.state.lock();
        state.pools.get(name).map(|pool| Arc::clone(pool.config()))
    }

    /// What all active targets say about their families, by pool and target in the order of
    /// [`ScrapeManager::snapshot`].
    #[must_use]
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        let state = self.state.lock();
        state.pools.values().flat_map(Pool::metadata).collect()
    }
}

impl State {
    fn failure_log_of(&self, config: &ScrapeConfig) -> Option<Arc<FailureLog>> {
        self.failure_logs
            .get(&config.scrape_failure_log_file)
            .cloned()
    }
}

fn open_failure_logs(config: &Config) -> Result<BTreeMap<String, Arc<FailureLog>>, ScrapeError> {
    let mut logs = BTreeMap::new();
    for config in &config.scrape_configs {
        let path = &config.scrape_failure_log_file;
        if path.is_empty() || logs.contains_key(path) {
            continue;
        }
        let log = FailureLog::open(path).map_err(|source| ScrapeError::FailureLog {
            path: path.clone(),
            source,
        })?;
        logs.insert(path.clone(), Arc::new(log));
    }
    Ok(logs)
}
