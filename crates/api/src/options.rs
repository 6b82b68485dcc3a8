//! What the server is given: the parts that it asks, and how it behaves.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use config::ScrapeConfig;
use gocompat::Regex;
use model::Labels;
use promql::{Engine, EngineOptions, QueryError, QueryOptions, QueryOutput};
use scrape::{PoolStatus, ScrapeManager, TargetMetadata};
use storage::{ExemplarQueryable, Queryable, StorageAdmin, StorageStatus};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Where the API reads scrape pools and targets.
pub trait TargetSource: Send + Sync {
    /// All pools, sorted by name.
    fn snapshot(&self) -> Vec<PoolStatus>;

    /// The names of all pools.
    fn pool_names(&self) -> Vec<String>;

    /// The configuration of a pool.
    fn pool_config(&self, name: &str) -> Option<Arc<ScrapeConfig>>;

    /// What all active targets say about their families, in the order of the snapshot.
    fn metadata(&self) -> Vec<TargetMetadata>;
}

impl TargetSource for ScrapeManager {
    fn snapshot(&self) -> Vec<PoolStatus> {
        ScrapeManager::snapshot(self)
    }

    fn pool_names(&self) -> Vec<String> {
        ScrapeManager::pool_names(self)
    }

    fn pool_config(&self, name: &str) -> Option<Arc<ScrapeConfig>> {
        ScrapeManager::pool_config(self, name)
    }

    fn metadata(&self) -> Vec<TargetMetadata> {
        ScrapeManager::metadata(self)
    }
}

/// What evaluates queries; [`Engine`], and stand-ins in tests.
pub trait QueryEngine: Send + Sync {
    /// How it was set up.
    fn options(&self) -> &EngineOptions;

    /// Threads on which pieces of a large answer are written, if there are any.
    fn pool(&self) -> Option<&rayon::ThreadPool> {
        None
    }

    /// Evaluates `query` at one time; blocks until the answer is there.
    ///
    /// # Errors
    /// Every [`QueryError`].
    fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError>;

    /// Evaluates `query` at every step from start to end, both in milliseconds.
    ///
    /// # Errors
    /// Every [`QueryError`].
    fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError>;
}

impl QueryEngine for Engine {
    fn options(&self) -> &EngineOptions {
        Engine::options(self)
    }

    fn pool(&self) -> Option<&rayon::ThreadPool> {
        Some(Engine::pool(self))
    }

    fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        Engine::instant(self, storage, query, time_ms, options)
    }

    fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        Engine::range(self, storage, query, start_ms, end_ms, step_ms, options)
    }
}

/// What the API needs of the configuration that is in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ConfigView {
    /// The configuration as YAML, defaults filled in and secrets masked.
    pub yaml: Arc<str>,
    /// `global.external_labels`
    pub external_labels: Labels,
}

/// What the process says of itself at the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessView {
    /// Whether the last reload of the configuration worked.
    pub reload_success: bool,
    /// When the configuration in force was loaded, in seconds since 1970.
    pub config_time_s: i64,
    /// Threads of the process; shown where Prometheus shows goroutines.
    pub thread_count: u64,
    /// What else the operator should know now, a sentence each; `/api/v1/notifications`.
    pub notices: Vec<String>,
}

/// Asks for a reload of the configuration; the answer goes back through the sender.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// A closure that the server calls from many threads.
pub type Source<T> = Arc<dyn Fn() -> T + Send + Sync>;

/// The parts that the server asks.
#[derive(Clone)]
pub struct Dependencies {
    /// Samples.
    pub queryable: Arc<dyn Queryable>,
    /// What storage says of itself.
    pub storage: Arc<dyn StorageStatus>,
    /// Exemplars.
    pub exemplars: Arc<dyn ExemplarQueryable>,
    /// Deletes and copies what storage has.
    pub admin: Arc<dyn StorageAdmin>,
    /// Evaluates queries.
    pub engine: Arc<dyn QueryEngine>,
    /// Pools and targets.
    pub targets: Arc<dyn TargetSource>,
    /// What `/metrics` shows; the server adds its own.
    pub registry: telemetry::Registry,
    /// Time.
    pub clock: clock::SharedClock,
    /// The configuration in force.
    pub config: Source<ConfigView>,
    /// The process.
    pub process: Source<ProcessView>,
    /// The text of `/metrics/host` in format 0.0.4, or why there is none; `None` if this server
    /// does not watch its host.
    pub host_metrics: Option<Source<Result<String, String>>>,
    /// Receives what `POST /-/reload` asks for; a dropped receiver answers with an error.
    pub reload: mpsc::Sender<ReloadRequest>,
    /// Cancelled by `POST /-/quit`.
    pub quit: CancellationToken,
}

impl fmt::Debug for Dependencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependencies").finish_non_exhaustive()
    }
}

/// What `/version` and `/api/v1/status/buildinfo` say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildInfo {
    /// The version that clients compare: of Prometheus, whose API this is.
    pub version: String,
    /// The commit.
    pub revision: String,
    /// The branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When it was built, `20260801-12:00:00`.
    pub build_date: String,
    /// The compiler; shown where Prometheus shows Go's version.
    pub go_version: String,
}

/// How the server behaves; comes from flags.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name in `… is Healthy.`: `Prometheus Server`, which scripts look for.
    pub app_name: String,
    /// The path under which browsers see this server: begins with a slash and does not end with
    /// one; empty for the root. Redirects go there.
    pub external_path: String,
    /// The path under which everything is served, in the same form: `--web.route-prefix`.
    pub route_prefix: String,
    /// `--web.page-title`
    pub page_title: String,
    /// `--web.cors.origin`, fully anchored.
    pub cors_origin: Regex,
    /// Connections at a time over all listeners: `--web.max-connections`.
    pub max_connections: usize,
    /// How long reading a request may take, and how long a connection may idle:
    /// `--web.read-timeout`.
    pub read_timeout: Duration,
    /// `--web.enable-lifecycle`
    pub enable_lifecycle: bool,
    /// `--web.enable-admin-api`
    pub enable_admin_api: bool,
    /// All flags with their values, for `/api/v1/status/flags`.
    pub flags: BTreeMap<String, String>,
    /// What was built when.
    pub build: BuildInfo,
    /// The current folder at start.
    pub current_dir: String,
    /// This machine's name.
    pub host_name: String,
    /// What is switched on besides the API and the language, by area; `/api/v1/features`.
    pub features: BTreeMap<String, BTreeMap<String, bool>>,
}

impl Default for Options {
    /// What Prometheus does without flags.
    fn default() -> Options {
        Options {
            app_name: "Prometheus Server".to_owned(),
            external_path: String::new(),
            route_prefix: String::new(),
            page_title: "Prometheus Time Series Collection and Processing Server".to_owned(),
            cors_origin: Regex::any(),
            max_connections: 512,
            read_timeout: Duration::from_secs(300),
            enable_lifecycle: false,
            enable_admin_api: false,
            flags: BTreeMap::new(),
            build: BuildInfo::default(),
            current_dir: String::new(),
            host_name: String::new(),
            features: BTreeMap::new(),
        }
    }
}
