//! The manager: who runs, who listens, and when an update is passed on.

use std::sync::Arc;

use telemetry::Registry;
use tokio::sync::watch;

use crate::TargetSets;

/// Runs the providers that the configuration names and publishes what they find.
#[derive(Debug)]
pub struct DiscoveryManager {
    sets: watch::Sender<Arc<TargetSets>>,
}

impl DiscoveryManager {
    /// A manager without providers; `name` is the label `name` of its metrics (`scrape`).
    #[must_use]
    pub fn new(name: &str, clock: clock::SharedClock, registry: &Registry) -> DiscoveryManager {
        let _ = (name, clock, registry);
        let (sets, _) = watch::channel(Arc::default());
        DiscoveryManager { sets }
    }

    /// Starts what is new in the configuration, keeps what is unchanged, stops the rest. Must be
    /// called within a tokio runtime.
    pub fn apply_config(&self, config: &config::Config) {
        let _ = config;
    }

    /// The current sets, now and whenever they change; throttled.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<TargetSets>> {
        self.sets.subscribe()
    }

    /// Ends all providers. The published sets stay as they are.
    pub fn stop(&self) {}
}
