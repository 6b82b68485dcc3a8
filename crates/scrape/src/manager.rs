//! The manager: pools by job, fed with target sets.

use std::sync::Arc;
use std::time::Duration;

use config::{Config, ScrapeConfig};
use discovery::TargetSets;
use storage::Appender;
use telemetry::Registry;
use tokio::sync::watch;

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
    /// The host name that spreads scrape times; the system's fully qualified one if `None`.
    pub host_name: Option<String>,
}

impl Default for ScrapeOptions {
    fn default() -> ScrapeOptions {
        ScrapeOptions {
            discovery_reload_interval: Duration::from_secs(5),
            user_agent: concat!("Promontory/", env!("CARGO_PKG_VERSION")).to_owned(),
            global_url: GlobalUrlOptions::default(),
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
    _appender: Arc<dyn Appender>,
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
        let _ = (clock, registry, options);
        Arc::new(ScrapeManager { _appender: appender })
    }

    /// Changes the pools that the configuration changes and ends those that it no longer names;
    /// new ones start with their first target set.
    ///
    /// # Errors
    /// If nothing was changed.
    pub fn apply_config(&self, config: &Config) -> Result<(), ScrapeError> {
        let _ = config;
        Ok(())
    }

    /// Follows the target sets until [`ScrapeManager::stop`]; run it as a task.
    pub async fn run(self: Arc<Self>, mut updates: watch::Receiver<Arc<TargetSets>>) {
        while updates.changed().await.is_ok() {}
    }

    /// Ends all scraping, running scrapes too, without staleness markers; returns when all loops
    /// have ended.
    pub async fn stop(&self) {}

    /// All pools, sorted by name.
    #[must_use]
    pub fn snapshot(&self) -> Vec<PoolStatus> {
        Vec::new()
    }

    /// The names of all pools, sorted.
    #[must_use]
    pub fn pool_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The configuration of a pool.
    #[must_use]
    pub fn pool_config(&self, name: &str) -> Option<Arc<ScrapeConfig>> {
        let _ = name;
        None
    }

    /// What all active targets say about their families, by pool and target in the order of
    /// [`ScrapeManager::snapshot`].
    #[must_use]
    pub fn metadata(&self) -> Vec<TargetMetadata> {
        Vec::new()
    }
}
