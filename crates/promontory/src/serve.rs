//! From flags to a running server, and to its end.
//!
//! Order at start: the configuration is loaded and checked, the listeners are bound, HTTP answers,
//! the database replays its log; only then are targets scraped and queries answered. At the end:
//! scraping stops, requests end, the database closes, so that what was scraped is on disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use api::{BuildInfo, Dependencies, ReloadRequest, Server, State};
use clock::SystemClock;
use config::{Config, ScrapeConfig, TargetGroup};
use discovery::DiscoveryManager;
use disk::RealDisk;
use gocompat::Regex;
use hostmetrics::{HostCollector, HostOptions};
use promql::{Engine, EngineOptions, SubqueryStep};
use scrape::{GlobalUrlOptions, ScrapeManager, ScrapeOptions};
use storage::{ExemplarQueryable, MemoryBudget, Queryable, StorageAdmin, StorageStatus};
use telemetry::Registry;
use telemetry::logging::{self, Format};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tsdb::{Db, Options as DbOptions, Retention};

use crate::flags::{Flags, Refusal};
use crate::query_files::ActiveQueries;
use crate::reload::{Followers, Reloader, Source, exemplars_max};
use crate::settings::{Settings, bind_address, duration, wal_sync_interval};
use crate::{OWN_VERSION, VERSION, features, process_metrics};

/// How often the start looks whether the log is replayed; it bounds what a restart waits in vain.
const READY_POLL: Duration = Duration::from_millis(5);

/// Requests for a reload that may wait; more are refused by the API.
const RELOADS_MAX: usize = 8;

const SIGNALLED: &str = "Received an OS signal, exiting gracefully...";
const ASKED: &str = "Received termination request via web service, exiting gracefully...";

fn fatal(message: impl Into<String>) -> Refusal {
    Refusal {
        message: message.into(),
        exit_code: 1,
    }
}

/// Runs the server until it is told to end.
pub(crate) fn run(flags: &Flags) -> Result<(), Refusal> {
    let clock = SystemClock::shared();
    start_logging(flags, &clock).map_err(fatal)?;
    let host_name = host_name();
    let settings = Settings::resolve(flags, &host_name)?;
    let (switches, warnings) = features::resolve(&settings.features).map_err(fatal)?;
    for (name, why) in flags.without_effect() {
        tracing::warn!(flag = name, "Flag has no effect: {why}");
    }
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    tracing::info!(
        version = OWN_VERSION,
        compatible_with = VERSION,
        external_url = %settings.external_url.text(),
        "Starting Promontory"
    );
    let source = source(&settings);
    let config = source.load().map_err(|error| {
        tracing::error!("Error loading config");
        Refusal {
            message: error,
            exit_code: 2,
        }
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| fatal(format!("start threads: {error}")))?;
    let plan = Plan {
        flags,
        settings,
        source,
        config,
        switches,
        host_name,
        clock,
    };
    runtime.block_on(plan.serve())
}

fn start_logging(flags: &Flags, clock: &clock::SharedClock) -> Result<(), String> {
    let level = match flags.text("log.level") {
        "debug" => tracing::Level::DEBUG,
        "warn" => tracing::Level::WARN,
        "error" => tracing::Level::ERROR,
        _ => tracing::Level::INFO,
    };
    let format = match flags.text("log.format") {
        "json" => Format::Json,
        _ => Format::Logfmt,
    };
    logging::init(level, format, Arc::clone(clock))
}

/// This machine's name, as the kernel knows it.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

fn source(settings: &Settings) -> Source {
    match &settings.config_file {
        Some(path) => Source::File(path.clone()),
        None => {
            tracing::info!(
                "No configuration file: scraping this server and the machine that it runs on"
            );
            Source::Fixed(Box::new(builtin(settings)))
        }
    }
}

/// The configuration without a file: this server, and its machine under the job `node`.
fn builtin(settings: &Settings) -> Config {
    let port = settings.listen_addresses[0]
        .rsplit_once(':')
        .map_or("9090", |(_, port)| port);
    let own = format!("localhost:{port}");
    let mut config = config::builtin(&own, &format!("{}/metrics", settings.route_prefix));
    for scrape in &mut config.scrape_configs {
        scrape.scrape_interval_ms = BUILTIN_INTERVAL_MS;
        scrape.scrape_timeout_ms = BUILTIN_INTERVAL_MS;
    }
    config.scrape_configs.push(ScrapeConfig {
        job_name: "node".to_owned(),
        metrics_path: format!("{}/metrics/host", settings.route_prefix),
        scrape_interval_ms: BUILTIN_INTERVAL_MS,
        scrape_timeout_ms: BUILTIN_INTERVAL_MS,
        static_configs: vec![TargetGroup {
            targets: vec![own],
            source: "0".to_owned(),
            ..TargetGroup::default()
        }],
        ..ScrapeConfig::default()
    });
    config.main_scrape_configs = config.scrape_configs.len();
    config
}

/// A newcomer shall see a chart within seconds; two targets cost nothing.
const BUILTIN_INTERVAL_MS: i64 = 5_000;

/// Everything that is known before the first thread starts.
struct Plan<'a> {
    flags: &'a Flags,
    settings: Settings,
    source: Source,
    config: Config,
    switches: features::Switches,
    host_name: String,
    clock: clock::SharedClock,
}

impl Plan<'_> {
    async fn serve(self) -> Result<(), Refusal> {
        let registry = Registry::new(Arc::clone(&self.clock));
        process_metrics::register(&registry, self.clock.now_seconds());
        let listeners = self.bind().await?;
        let memory = MemoryBudget::new(memory_budget_bytes(self.flags));
        let db = self.open_db(&memory, &registry)?;
        let subquery_step_ms = Arc::new(AtomicI64::new(self.config.global.evaluation_interval_ms));
        let engine = Arc::new(Engine::new(
            self.engine_options(&subquery_step_ms, memory)?,
            &registry,
        ));
        let scrape = ScrapeManager::new(
            Arc::<Db>::clone(&db),
            Arc::clone(&self.clock),
            &registry,
            self.scrape_options(),
        );
        let discovery = Arc::new(DiscoveryManager::new(
            "scrape",
            Arc::clone(&self.clock),
            &registry,
        ));
        let followers = Followers {
            db: Arc::clone(&db),
            retention: flag_retention(self.flags),
            exemplar_storage: self.switches.exemplar_storage,
            subquery_step_ms,
            engine: Arc::clone(&engine),
            scrape: Arc::clone(&scrape),
            discovery: Arc::clone(&discovery),
        };
        let reloader = Arc::new(Reloader::new(
            self.source.clone(),
            followers,
            Arc::clone(&self.clock),
            &registry,
        ));
        let (reload, reloads) = mpsc::channel(RELOADS_MAX);
        let quit = CancellationToken::new();
        let deps = Dependencies {
            queryable: Arc::<Db>::clone(&db) as Arc<dyn Queryable>,
            storage: Arc::<Db>::clone(&db) as Arc<dyn StorageStatus>,
            exemplars: Arc::<Db>::clone(&db) as Arc<dyn ExemplarQueryable>,
            admin: Arc::<Db>::clone(&db) as Arc<dyn StorageAdmin>,
            engine,
            targets: Arc::<ScrapeManager>::clone(&scrape),
            registry,
            clock: Arc::clone(&self.clock),
            config: {
                let reloader = Arc::clone(&reloader);
                Arc::new(move || reloader.view())
            },
            process: {
                let reloader = Arc::clone(&reloader);
                Arc::new(move || reloader.process_view(process_metrics::thread_count()))
            },
            host_metrics: Some(host_metrics()),
            reload,
            quit: quit.clone(),
        };
        let server = Server::new(deps, self.api_options()?);
        let stop_http = CancellationToken::new();
        let http = tokio::spawn({
            let (server, stop_http) = (server.clone(), stop_http.clone());
            async move { server.serve(listeners, stop_http).await }
        });

        let started = async {
            while !db.is_ready() {
                tokio::time::sleep(READY_POLL).await;
            }
            let result = reloader.apply(self.config.clone());
            reloader.report(&result);
            server.set_state(State::Ready);
            tracing::info!("Server is ready to receive web requests.");
        };
        let mut signals = Signals::new().map_err(fatal)?;
        let end = tokio::select! {
            () = started => None,
            () = signals.end() => Some(SIGNALLED),
            () = quit.cancelled() => Some(ASKED),
        };
        let scraping = tokio::spawn(Arc::clone(&scrape).run(discovery.subscribe()));
        let end = match end {
            Some(end) => end,
            None => self.follow(&reloader, reloads, &quit, &mut signals).await,
        };
        tracing::info!("{end}");
        server.set_state(State::Stopping);
        discovery.stop();
        scrape.stop().await;
        scraping.abort();
        stop_http.cancel();
        let _ = http.await;
        tokio::task::spawn_blocking(move || db.close())
            .await
            .map_err(|error| fatal(format!("close storage: {error}")))?;
        tracing::info!("See you next time!");
        Ok(())
    }

    /// Reloads when asked to, until the server shall end; returns why it shall.
    async fn follow(
        &self,
        reloader: &Arc<Reloader>,
        mut requests: mpsc::Receiver<ReloadRequest>,
        quit: &CancellationToken,
        signals: &mut Signals,
    ) -> &'static str {
        let never = Duration::from_secs(u64::from(u32::MAX));
        let mut look = tokio::time::interval(self.settings.auto_reload.unwrap_or(never));
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        look.tick().await;
        loop {
            tokio::select! {
                Some(request) = requests.recv() => {
                    let result = blocking(reloader, Reloader::reload).await;
                    // Whoever asked may have gone.
                    let _ = request.send(result.unwrap_or_else(Err));
                }
                event = signals.next() => match event {
                    Event::Reload => {
                        let _ = blocking(reloader, Reloader::reload).await;
                    }
                    Event::End => return SIGNALLED,
                },
                _ = look.tick() => {
                    let _ = blocking(reloader, Reloader::reload_if_changed).await;
                }
                () = quit.cancelled() => return ASKED,
            }
        }
    }

    async fn bind(&self) -> Result<Vec<TcpListener>, Refusal> {
        let mut listeners = Vec::new();
        for address in &self.settings.listen_addresses {
            let resolved = bind_address(address).map_err(fatal)?;
            let listener = TcpListener::bind(&resolved[..])
                .await
                .map_err(|error| fatal(format!("listen tcp {address}: bind: {error}")))?;
            tracing::info!(address = %address, "Listening");
            listeners.push(listener);
        }
        Ok(listeners)
    }

    fn open_db(&self, memory: &Arc<MemoryBudget>, registry: &Registry) -> Result<Arc<Db>, Refusal> {
        let flags = self.flags;
        let mut options = DbOptions::new(PathBuf::from(flags.text("storage.tsdb.path")));
        options.retention = flag_retention(flags);
        if self.switches.exemplar_storage {
            options.exemplars_max = exemplars_max(&self.config);
        }
        options.store_starts = self.switches.start_storage;
        options.starts_as_zeros = self.switches.starts_as_zeros;
        options.store_metadata = self.switches.metadata_records;
        options.no_lockfile = flags.is_on("storage.tsdb.no-lockfile");
        options.memory = Arc::clone(memory);
        options.head_series_max = flags.count("storage.head-series-limit");
        options.group_new_series_max = flags.count("storage.target-new-series-limit");
        if let Some(ms) = flags.duration_ms("storage.tsdb.min-block-duration") {
            options.block_duration_min_ms = ms;
        }
        if let Some(ms) = flags.duration_ms("storage.tsdb.max-block-duration") {
            options.block_duration_max_ms = ms;
        }
        match flags.bytes("storage.tsdb.wal-segment-size") {
            0 => {}
            bytes => options.wal_segment_bytes = bytes,
        }
        options.wal_sync_interval = wal_sync_interval(flags);
        let disk = Arc::new(RealDisk);
        Db::open(disk, options, Arc::clone(&self.clock), registry)
            .map_err(|error| fatal(format!("opening storage failed: {error}")))
    }

    fn engine_options(
        &self,
        subquery_step_ms: &Arc<AtomicI64>,
        memory: Arc<MemoryBudget>,
    ) -> Result<EngineOptions, Refusal> {
        let flags = self.flags;
        let mut options = EngineOptions::new(Arc::clone(&self.clock));
        options.timeout = duration(flags, "query.timeout");
        options.max_samples = flags.count("query.max-samples");
        options.memory = memory;
        options.max_bytes = flags.bytes("query.max-memory-bytes");
        options.max_concurrency =
            usize::try_from(flags.count("query.max-concurrency")).unwrap_or(usize::MAX);
        options.lookback_delta_ms = flags
            .duration_ms("query.lookback-delta")
            .unwrap_or(options.lookback_delta_ms);
        options.features = self.switches.promql;
        let step_ms = Arc::clone(subquery_step_ms);
        options.default_subquery_step =
            SubqueryStep::from_fn(move |_| step_ms.load(Ordering::Relaxed));
        let folder = PathBuf::from(flags.text("storage.tsdb.path"));
        let clock = Arc::clone(&self.clock);
        let active = ActiveQueries::open(&folder, options.max_concurrency, clock)
            .map_err(|error| fatal(format!("create active query log: {error}")))?;
        options.tracker = Some(Arc::new(active));
        Ok(options)
    }

    fn scrape_options(&self) -> ScrapeOptions {
        let url = &self.settings.external_url;
        ScrapeOptions {
            discovery_reload_interval: duration(self.flags, "scrape.discovery-reload-interval"),
            global_url: GlobalUrlOptions {
                listen_address: self.settings.listen_addresses[0].clone(),
                host: url.host.clone(),
                scheme: url.scheme.clone(),
            },
            features: self.switches.scrape(),
            ..ScrapeOptions::default()
        }
    }

    fn api_options(&self) -> Result<api::Options, Refusal> {
        let flags = self.flags;
        let origin = flags.text("web.cors.origin");
        let cors_origin = Regex::new_anchored(origin).map_err(|error| Refusal {
            message: format!(
                "could not compile CORS regex string {}: {error}",
                gocompat::strconv::quote(origin)
            ),
            exit_code: 2,
        })?;
        let current_dir = std::env::current_dir().unwrap_or_default();
        Ok(api::Options {
            external_path: self.settings.external_url.path.clone(),
            route_prefix: self.settings.route_prefix.clone(),
            page_title: flags.text("web.page-title").to_owned(),
            cors_origin,
            max_connections: usize::try_from(flags.count("web.max-connections"))
                .unwrap_or(usize::MAX),
            read_timeout: duration(flags, "web.read-timeout"),
            enable_lifecycle: flags.is_on("web.enable-lifecycle"),
            enable_admin_api: flags.is_on("web.enable-admin-api"),
            flags: flags.map(),
            build: BuildInfo {
                version: VERSION.to_owned(),
                revision: format!("promontory-{OWN_VERSION}"),
                branch: "promontory".to_owned(),
                ..BuildInfo::default()
            },
            current_dir: current_dir.display().to_string(),
            host_name: self.host_name.clone(),
            features: features::map(&self.switches),
            ..api::Options::default()
        })
    }
}

/// Runs a step of the reloader on a thread that may wait for files.
async fn blocking<T: Send + 'static>(
    reloader: &Arc<Reloader>,
    step: fn(&Reloader) -> T,
) -> Result<T, String> {
    let reloader = Arc::clone(reloader);
    tokio::task::spawn_blocking(move || step(&reloader))
        .await
        .map_err(|error| format!("the reload broke off: {error}"))
}

/// The memory budget: what the flag says, or three quarters of what there is. The rest is for what
/// no budget covers: scrapes, answers, the allocator, and the kernel's cache of the blocks. 0 for
/// no limit.
fn memory_budget_bytes(flags: &Flags) -> u64 {
    if flags.is_given("storage.memory-budget") {
        return flags.bytes("storage.memory-budget");
    }
    let there_is = hostmetrics::memory_limit_bytes("/".as_ref());
    there_is.map_or(0, |bytes| bytes / 4 * 3)
}

/// What the flags say of retention: 15 days unless a time or a size is given.
fn flag_retention(flags: &Flags) -> Retention {
    let size_bytes = flags.bytes("storage.tsdb.retention.size");
    let default_ms = if size_bytes > 0 {
        0
    } else {
        Retention::default().time_ms
    };
    Retention {
        time_ms: flags
            .duration_ms("storage.tsdb.retention.time")
            .unwrap_or(default_ms),
        size_bytes,
        percentage: 0.0,
    }
}

fn host_metrics() -> api::Source<Result<String, String>> {
    let collector = HostCollector::new(HostOptions::default());
    Arc::new(move || {
        let mut text = String::new();
        collector.collect(&mut text);
        Ok(text)
    })
}

/// The signals that the server listens to.
struct Signals {
    hangup: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Signals, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("listen to signals: {error}"));
        Ok(Signals {
            hangup: listen(SignalKind::hangup())?,
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Event {
        tokio::select! {
            _ = self.hangup.recv() => Event::Reload,
            _ = self.interrupt.recv() => Event::End,
            _ = self.terminate.recv() => Event::End,
        }
    }

    /// Waits for a signal to end; what asks for a reload meanwhile comes too early to matter, as
    /// the start has read the configuration.
    async fn end(&mut self) {
        while self.next().await == Event::Reload {}
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Reload,
    End,
}
