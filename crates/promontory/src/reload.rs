//! The configuration in force: where it comes from, who follows it, how it is replaced.
//!
//! A configuration that cannot be loaded changes nothing. One that can is handed to every part in a
//! fixed order; a part that refuses it does not keep the others from taking it, but the reload
//! counts as failed, as Prometheus reports it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use api::{ConfigView, ProcessView};
use config::{Config, LoadOptions, Loaded};
use discovery::DiscoveryManager;
use parking_lot::Mutex;
use promql::{Engine, QueryLog};
use scrape::ScrapeManager;
use storage::StorageStatus as _;
use telemetry::{Gauge, Registry};
use tsdb::{Db, Retention};

use crate::query_files::QueryLogFile;

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    File(PathBuf),
    /// The built-in one.
    Fixed(Box<Config>),
}

impl Source {
    fn name(&self) -> String {
        match self {
            Source::File(path) => path.display().to_string(),
            Source::Fixed(_) => "built-in".to_owned(),
        }
    }

    /// Loads it, and logs what is probably not meant.
    pub(crate) fn load(&self) -> Result<Config, String> {
        match self {
            Source::Fixed(config) => Ok((**config).clone()),
            Source::File(path) => {
                let Loaded {
                    config, warnings, ..
                } = config::load_file(path, &LoadOptions::with_process_env()).map_err(|error| {
                    format!(
                        "couldn't load configuration (--config.file={}): {error}",
                        gocompat::strconv::quote(&self.name())
                    )
                })?;
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
                Ok(config)
            }
        }
    }
}

/// The parts that follow the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Followers {
    pub(crate) db: Arc<Db>,
    /// What the flags say of retention; the configuration wins.
    pub(crate) retention: Retention,
    /// Whether exemplars are kept, as many as the configuration says.
    pub(crate) exemplar_storage: bool,
    /// `global.evaluation_interval`, in milliseconds: the step of subqueries that name none.
    pub(crate) subquery_step_ms: Arc<AtomicI64>,
    /// Writes the query log.
    pub(crate) engine: Arc<Engine>,
    pub(crate) scrape: Arc<ScrapeManager>,
    pub(crate) discovery: Arc<DiscoveryManager>,
}

/// The configuration in force and how it got there.
pub(crate) struct Reloader {
    source: Source,
    followers: Followers,
    clock: clock::SharedClock,
    current: Mutex<Current>,
    is_success: Gauge,
    success_time: Gauge,
    /// Milliseconds since 1970.
    loaded_at_ms: AtomicU64,
}

#[derive(Debug, Default)]
struct Current {
    config: Option<Config>,
    view: ConfigView,
    /// What the last look at a changed file said; the same is not said twice.
    refused: Option<String>,
}

impl Reloader {
    pub(crate) fn new(
        source: Source,
        followers: Followers,
        clock: clock::SharedClock,
        registry: &Registry,
    ) -> Reloader {
        Reloader {
            source,
            followers,
            clock,
            current: Mutex::default(),
            is_success: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            success_time: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
            loaded_at_ms: AtomicU64::new(0),
        }
    }

    /// Loads the configuration again and hands it out.
    pub(crate) fn reload(&self) -> Result<(), String> {
        tracing::info!(filename = %self.source.name(), "Loading configuration file");
        let result = self.source.load().and_then(|config| self.apply(config));
        self.report(&result);
        result
    }

    /// Reloads if what is on disk means something else than what is in force.
    pub(crate) fn reload_if_changed(&self) {
        let loaded = self.source.load();
        let mut current = self.current.lock();
        let is_news = match &loaded {
            Ok(config) => {
                current.refused.take().is_some() || current.config.as_ref() != Some(config)
            }
            Err(error) => current.refused.as_ref() != Some(error),
        };
        current.refused = loaded.as_ref().err().cloned();
        drop(current);
        if is_news {
            tracing::info!("Configuration file change detected, reloading the configuration.");
            let result = loaded.and_then(|config| self.apply(config));
            self.report(&result);
        }
    }

    /// Hands a configuration to all parts.
    pub(crate) fn apply(&self, config: Config) -> Result<(), String> {
        let followers = &self.followers;
        followers
            .db
            .set_retention(retention(&config, followers.retention));
        let window_ms = config.storage.tsdb.out_of_order_time_window_ms;
        followers.db.set_out_of_order_window_ms(window_ms);
        if followers.exemplar_storage {
            followers.db.set_exemplars_max(exemplars_max(&config));
        }
        followers
            .subquery_step_ms
            .store(config.global.evaluation_interval_ms, Ordering::Relaxed);
        let mut failed = false;
        match query_log(&config) {
            Ok(log) => followers.engine.set_query_log(log),
            Err(error) => {
                tracing::error!(%error, "Failed to apply configuration");
                failed = true;
            }
        }
        if let Err(error) = followers.scrape.apply_config(&config) {
            tracing::error!(%error, "Failed to apply configuration");
            failed = true;
        }
        followers.discovery.apply_config(&config);
        let view = ConfigView {
            yaml: config::to_yaml(&config).into(),
            external_labels: config.global.external_labels.clone(),
        };
        let mut current = self.current.lock();
        current.config = Some(config);
        current.view = view;
        drop(current);
        let now_ms = self.clock.now_ms();
        self.loaded_at_ms
            .store(u64::try_from(now_ms).unwrap_or(0), Ordering::Relaxed);
        if failed {
            return Err(format!(
                "one or more errors occurred while applying the new configuration (--config.file={})",
                gocompat::strconv::quote(&self.source.name())
            ));
        }
        Ok(())
    }

    /// Counts and logs how a reload went.
    pub(crate) fn report(&self, result: &Result<(), String>) {
        self.is_success.set(if result.is_ok() { 1.0 } else { 0.0 });
        match result {
            Ok(()) => {
                self.success_time.set(self.clock.now_seconds());
                tracing::info!(
                    filename = %self.source.name(),
                    "Completed loading of configuration file"
                );
            }
            Err(error) => tracing::error!(err = %error, "Error reloading config"),
        }
    }

    pub(crate) fn view(&self) -> ConfigView {
        self.current.lock().view.clone()
    }

    pub(crate) fn process_view(&self, thread_count: u64) -> ProcessView {
        let loaded_at_s = self.loaded_at_ms.load(Ordering::Relaxed) / 1_000;
        ProcessView {
            reload_success: self.is_success.get() == 1.0,
            config_time_s: i64::try_from(loaded_at_s).unwrap_or(0),
            thread_count,
            notices: self.notices(),
        }
    }

    /// What is wrong with storage, and with files that are read again and again.
    fn notices(&self) -> Vec<String> {
        let jobs = self.followers.discovery.file_errors();
        let errors = jobs
            .iter()
            .flat_map(|(job, errors)| errors.iter().map(move |e| (job, e)));
        let files = errors.map(|(job, error)| {
            format!(
                "Targets of job {job} are not read anew from {}: {}",
                error.path.display(),
                error.reason
            )
        });
        self.followers
            .db
            .notices()
            .into_iter()
            .chain(files)
            .collect()
    }
}

/// Exemplars that are kept if the configuration does not say: Prometheus's default.
const EXEMPLARS_DEFAULT: i64 = 100_000;
/// No more are kept, whatever it says: some 2 GB.
const EXEMPLARS_MAX: i64 = 10_000_000;

/// How many exemplars the configuration wants.
pub(crate) fn exemplars_max(config: &Config) -> usize {
    let max = config.storage.max_exemplars.unwrap_or(EXEMPLARS_DEFAULT);
    usize::try_from(max.clamp(0, EXEMPLARS_MAX)).unwrap_or(0)
}

/// The query log of the configuration, opened anew.
fn query_log(config: &Config) -> Result<Option<Arc<dyn QueryLog>>, String> {
    match config.global.query_log_file.as_str() {
        "" => Ok(None),
        path => match QueryLogFile::open(path) {
            Ok(file) => Ok(Some(Arc::new(file))),
            Err(error) => Err(format!("can't create json log file: {path}: {error}")),
        },
    }
}

/// The retention of the configuration, or that of the flags.
fn retention(config: &Config, flags: Retention) -> Retention {
    match config.storage.tsdb.retention {
        None => flags,
        Some(retention) => Retention {
            time_ms: retention.time_ms,
            size_bytes: retention.size_bytes,
            percentage: retention.percentage,
        },
    }
}
