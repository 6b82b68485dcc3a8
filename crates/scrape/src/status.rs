//! What the API and the page read: pools, targets and metadata as they are at one moment.

use std::fmt;
use std::sync::Arc;

use config::ScrapeConfig;
use model::{Labels, Metadata};

/// How a target's last scrape went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// The word that the API uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One scrape pool.
#[derive(Debug, Clone)]
pub struct PoolStatus {
    /// The job's name.
    pub name: String,
    /// The job's configuration.
    pub config: Arc<ScrapeConfig>,
    /// Targets that are scraped, sorted by URL, then labels.
    pub active: Vec<TargetStatus>,
    /// Discovered labels of targets that relabelling dropped, as many as `keep_dropped_targets`
    /// allows.
    pub dropped: Vec<Labels>,
    /// How many targets relabelling dropped.
    pub dropped_count: usize,
    /// Why no target of the pool is scraped (`target_limit`), if so.
    pub error: Option<String>,
}

/// One target that is scraped.
#[derive(Debug, Clone)]
pub struct TargetStatus {
    /// The labels before relabelling.
    pub discovered_labels: Labels,
    /// The labels that its series get.
    pub labels: Labels,
    /// The name of its pool.
    pub scrape_pool: String,
    /// What is fetched, with query parameters.
    pub scrape_url: String,
    /// The same as seen from outside: a loopback host is replaced by the external URL's.
    pub global_url: String,
    /// Why the last scrape failed, or which limit kept new series of it out; empty if all is well.
    pub last_error: String,
    /// When the last scrape began, in nanoseconds since 1970; `None` before the first.
    pub last_scrape_ns: Option<i64>,
    /// How long the last scrape took, in seconds; 0 before the first.
    pub last_scrape_duration_s: f64,
    /// How the last scrape went.
    pub health: Health,
    /// The interval, as `15s`.
    pub scrape_interval: String,
    /// The timeout, as `10s`.
    pub scrape_timeout: String,
}

/// A metric family as a target describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyMetadata {
    /// The family's name.
    pub name: Arc<str>,
    /// Type, help and unit.
    pub metadata: Arc<Metadata>,
}

/// What one active target says about its families.
#[derive(Debug, Clone)]
pub struct TargetMetadata {
    /// The name of its pool.
    pub scrape_pool: String,
    /// The labels that its series get.
    pub labels: Labels,
    /// Its families, sorted by name.
    pub families: Vec<FamilyMetadata>,
}

/// How this server is reached, for [`TargetStatus::global_url`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GlobalUrlOptions {
    /// The address on which this server listens, `0.0.0.0:9090`.
    pub listen_address: String,
    /// Host, with port if there is one, of the external URL.
    pub host: String,
    /// Scheme of the external URL.
    pub scheme: String,
}
