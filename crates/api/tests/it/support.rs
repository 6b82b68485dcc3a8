//! A server over stand-ins: storage in vectors, an engine that knows a few queries by heart, two
//! pools, a clock that stands at 1,000 s.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use api::{
    BuildInfo, ConfigView, Dependencies, Options, ProcessView, QueryEngine, ReloadRequest, Server,
    State, TargetSource,
};
use bytes::Bytes;
use clock::ManualClock;
use config::ScrapeConfig;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Full};
use model::histogram::Span;
use model::{FloatHistogram, Labels, Matcher, Metadata, MetricType, STALE_NAN};
use promql::{
    EngineOptions, MatrixSeries, Points, QueryError, QueryOptions, QueryOutput, QueryStats, Value,
    VectorSample,
};
use scrape::{FamilyMetadata, Health, PoolStatus, TargetMetadata, TargetStatus};
use storage::memory::MemoryStore;
use storage::{
    BlockStatus, Exemplar, ExemplarQueryable, ExemplarSeries, HeadStats, NamedCount, Queryable,
    ReplayProgress, StorageAdmin, StorageError, StorageStatus, TsdbStats,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) const NOW_MS: i64 = 1_000_000;

/// A server and the ends of what it was given.
pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) registry: telemetry::Registry,
    pub(crate) reloads: Option<mpsc::Receiver<ReloadRequest>>,
    pub(crate) quit: CancellationToken,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Rig {
    pub(crate) fn new() -> Rig {
        Rig::with(|_| {})
    }

    /// With changed options; ready.
    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Rig {
        let clock = ManualClock::at_ms(NOW_MS);
        let registry = telemetry::Registry::new(Arc::clone(&clock) as clock::SharedClock);
        let (reload, reloads) = mpsc::channel(1);
        let quit = CancellationToken::new();
        let deps = Dependencies {
            queryable: Arc::new(store()),
            storage: Arc::new(Storage),
            exemplars: Arc::new(Storage),
            admin: Arc::new(Storage),
            engine: Arc::new(Engine(EngineOptions::new(
                Arc::clone(&clock) as clock::SharedClock
            ))),
            targets: Arc::new(Targets),
            registry: registry.clone(),
            clock,
            config: Arc::new(|| ConfigView {
                yaml: "global:\n  external_labels:\n    zone: <eu>\n".into(),
                external_labels: Labels::from_pairs([("zone", "eu"), ("job", "never used")]),
            }),
            process: Arc::new(|| ProcessView {
                reload_success: true,
                config_time_s: 900,
                thread_count: 7,
                notices: Vec::new(),
            }),
            host_metrics: Some(Arc::new(|| Ok("node_load1 0.5\n".to_owned()))),
            reload,
            quit: quit.clone(),
        };
        let mut options = Options {
            flags: BTreeMap::from([("web.page-title".to_owned(), "a & b".to_owned())]),
            build: BuildInfo {
                version: "3.14.0".to_owned(),
                ..BuildInfo::default()
            },
            current_dir: "/srv".to_owned(),
            host_name: "box".to_owned(),
            features: BTreeMap::from([(
                "tsdb".to_owned(),
                BTreeMap::from([("a&b".to_owned(), true)]),
            )]),
            ..Options::default()
        };
        change(&mut options);
        let server = Server::new(deps, options);
        server.set_state(State::Ready);
        Rig {
            server,
            registry,
            reloads: Some(reloads),
            quit,
        }
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let response = self.server.handle(request).await;
        let (head, body) = response.into_parts();
        Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            bytes: body.collect().await.unwrap().to_bytes(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request("GET", path, &[], "")).await
    }

    /// A form in the body.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Answer {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        self.send(request("POST", path, &kind, form)).await
    }

    pub(crate) fn metric(&self, line_start: &str) -> Option<String> {
        let mut text = String::new();
        self.registry.expose(&mut text);
        let line = text.lines().find(|line| line.starts_with(line_start))?;
        Some(line[line_start.len()..].trim().to_owned())
    }
}

pub(crate) fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Full<Bytes>> {
    // Braces, quotes and the like are not allowed in a URI; clients encode them.
    let mut encoded = String::new();
    for c in path.chars() {
        match c {
            '{' | '}' | '"' | ' ' | '<' | '>' | '\\' | '`' | '|' | '^' => {
                encoded.push_str(&format!("%{:02X}", c as u32));
            }
            c => encoded.push(c),
        }
    }
    let mut builder = Request::builder().method(method).uri(encoded);
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder
        .body(Full::new(Bytes::from(body.to_owned())))
        .unwrap()
}

pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

/// `up` of two instances (one has ended), `http.requests` under a name that needs quotes, a metric
/// of long ago, and one without `instance`.
fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let up = |instance| labels(&[("__name__", "up"), ("instance", instance), ("job", "a")]);
    store.insert(&up("one"), NOW_MS - 10_000, 1.0);
    store.insert(&up("one"), NOW_MS - 5_000, 1.0);
    store.insert(&up("two"), NOW_MS - 10_000, 1.0);
    store.insert(&up("two"), NOW_MS - 5_000, STALE_NAN);
    let dotted = labels(&[
        ("__name__", "http.requests"),
        ("path", "/<a>\"\n"),
        ("job", "b"),
    ]);
    store.insert(&dotted, NOW_MS - 1_000, 1_234_567.0);
    store.insert(&labels(&[("__name__", "old"), ("job", "c")]), 1_000, 2.0);
    store.insert(
        &labels(&[("__name__", "sum"), ("zone", "own")]),
        NOW_MS,
        f64::NAN,
    );
    store
}

#[derive(Debug)]
struct Storage;

/// Refuses what starts at 13 ms, to show how failures look.
impl StorageAdmin for Storage {
    fn delete_series(
        &self,
        matchers: &[Matcher],
        min_ms: i64,
        _max_ms: i64,
    ) -> Result<(), StorageError> {
        assert!(!matchers.is_empty());
        match min_ms {
            13 => Err(StorageError::Io("disk on fire".to_owned())),
            _ => Ok(()),
        }
    }

    fn clean_tombstones(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn snapshot(&self, _name: &str, skip_head: bool) -> Result<(), StorageError> {
        match skip_head {
            true => Ok(()),
            false => Err(StorageError::Io("no room for the head".to_owned())),
        }
    }
}

/// Two exemplars of a series; the selectors are among the labels of the first one.
impl ExemplarQueryable for Storage {
    fn exemplars(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Result<Vec<ExemplarSeries>, StorageError> {
        let texts = selectors.iter().map(|matchers| {
            let texts: Vec<String> = matchers.iter().map(Matcher::to_string).collect();
            texts.join(",")
        });
        let asked = texts.collect::<Vec<_>>().join(" or ");
        let exemplar = |labels, value, timestamp_ms| Exemplar {
            labels,
            value,
            timestamp_ms,
        };
        Ok(vec![ExemplarSeries {
            labels: labels(&[("__name__", "a_total"), ("path", "<&>")]),
            exemplars: vec![
                exemplar(labels(&[("asked", &asked)]), 0.5, start_ms),
                exemplar(Labels::empty(), f64::INFINITY, end_ms),
            ],
        }])
    }
}

impl StorageStatus for Storage {
    fn is_ready(&self) -> bool {
        true
    }

    fn replay_progress(&self) -> ReplayProgress {
        ReplayProgress {
            min: 1,
            max: 5,
            current: 3,
        }
    }

    fn stats(&self, limit: usize) -> TsdbStats {
        let list = |name: &str| {
            let row = |at| NamedCount {
                name: format!("{name}{at}"),
                value: 10 - at,
            };
            (0..3u64).take(limit).map(row).collect::<Vec<_>>()
        };
        TsdbStats {
            head: HeadStats {
                series: 4,
                label_pairs: 9,
                chunks: 5,
                min_time_ms: 1_000,
                max_time_ms: NOW_MS,
            },
            series_by_metric: list("m"),
            values_by_label: list("l"),
            bytes_by_label: list("b"),
            series_by_pair: list("a=<"),
        }
    }

    fn blocks(&self) -> Vec<BlockStatus> {
        vec![BlockStatus {
            ulid: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            min_time_ms: 0,
            max_time_ms: 7_200_000,
            series: 2,
            samples: 960,
            size_bytes: 1_024,
        }]
    }

    fn retention_text(&self) -> String {
        "15d".to_owned()
    }

    fn corruption_count(&self) -> u64 {
        2
    }
}

/// Knows queries by heart.
struct Engine(EngineOptions);

/// Large enough to be streamed in many chunks.
pub(crate) const MANY: usize = 40_000;
/// Series that `columns` answers with, and points of each.
pub(crate) const COLUMNS: usize = 150;
pub(crate) const COLUMN_POINTS: usize = 1_000;

/// Buckets of all four kinds of bounds that there are, and an empty one.
fn histogram() -> FloatHistogram {
    let span = |length| vec![Span { offset: 0, length }];
    FloatHistogram {
        count: 7.0,
        sum: 0.25,
        zero_threshold: 0.125,
        zero_count: 1.0,
        positive_spans: span(3),
        positive_buckets: vec![2.0, 0.0, 3.5],
        negative_spans: span(1),
        negative_buckets: vec![0.5],
        ..FloatHistogram::default()
    }
}

impl Engine {
    fn answer(
        &self,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let metric = labels(&[("__name__", "up"), ("path", "<&>"), ("job", "a")]);
        let mut stats = QueryStats::default();
        stats.timings.exec_total_time = 0.25;
        stats.samples.total_queryable_samples = 3;
        stats.samples.samples_read = 2;
        stats.samples.peak_samples = 1;
        if options.per_step_stats {
            stats.samples.total_queryable_samples_per_step = Some(vec![(time_ms, 3)]);
        }
        let mut output = QueryOutput {
            value: Value::Vector(Vec::new()),
            warnings: Vec::new(),
            infos: Vec::new(),
            stats,
            trace: None,
        };
        output.value = match query {
            "1" => Value::Scalar {
                timestamp_ms: time_ms,
                value: 1.0,
            },
            "1e-7" => Value::Scalar {
                timestamp_ms: time_ms,
                value: 1e-7,
            },
            "\"a<b\"" => Value::String {
                timestamp_ms: time_ms,
                value: "a<b".to_owned(),
            },
            "empty" => Value::Vector(Vec::new()),
            "up" => Value::Vector(
                [f64::NAN, 1e-7, -0.0]
                    .into_iter()
                    .map(|value| VectorSample {
                        labels: metric.clone(),
                        timestamp_ms: time_ms,
                        value,
                        histogram: None,
                    })
                    .collect(),
            ),
            "histogram" => Value::Vector(vec![VectorSample {
                labels: metric,
                timestamp_ms: time_ms,
                value: 0.0,
                histogram: Some(Arc::new(histogram())),
            }]),
            "histograms" => Value::Matrix(vec![MatrixSeries {
                labels: metric,
                points: vec![(0, 1.0)].into(),
                histograms: vec![(1_000, Arc::new(histogram()))],
            }]),
            "range" => Value::Matrix(vec![
                MatrixSeries {
                    labels: metric,
                    points: vec![(0, 1.0), (1_500, f64::INFINITY)].into(),
                    histograms: Vec::new(),
                },
                MatrixSeries {
                    labels: Labels::empty(),
                    points: vec![(1, 2.5)].into(),
                    histograms: Vec::new(),
                },
            ]),
            "many" => Value::Vector(
                (0..MANY)
                    .map(|at| VectorSample {
                        labels: labels(&[("at", &at.to_string())]),
                        timestamp_ms: time_ms,
                        value: at as f64,
                        histogram: None,
                    })
                    .collect(),
            ),
            "columns" => Value::Matrix(
                (0..COLUMNS)
                    .map(|at| MatrixSeries {
                        labels: labels(&[("at", &at.to_string())]),
                        points: Points::Spaced {
                            first_ms: time_ms,
                            step_ms: 500,
                            values: vec![at as f64; COLUMN_POINTS],
                        },
                        histograms: Vec::new(),
                    })
                    .collect(),
            ),
            "annotated" => {
                output.warnings = (0..12)
                    .map(|at| format!("PromQL warning: w{at:02} (1:1)"))
                    .collect();
                output.infos = (0..11)
                    .map(|at| format!("PromQL info: i{at:02} (1:1)"))
                    .collect();
                Value::Vector(Vec::new())
            }
            "options" => Value::String {
                timestamp_ms: time_ms,
                value: format!("{:?} {:?}", options.lookback_delta_ms, options.timeout),
            },
            "" => {
                let message = "unknown position: parse error: no expression found in input";
                return Err(QueryError::Parse(message.to_owned()));
            }
            "1++" => {
                let message = "1:4: parse error: unexpected end of input";
                return Err(QueryError::Parse(message.to_owned()));
            }
            "timeout" => return Err(QueryError::Timeout("expression evaluation")),
            "canceled" => return Err(QueryError::Canceled("expression evaluation")),
            "big" => return Err(QueryError::TooManySamples),
            "broken" => return Err(storage::StorageError::Corrupt("block x".to_owned()).into()),
            "closed" => return Err(storage::StorageError::NotReady.into()),
            "many-to-many" => {
                let message = "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)";
                return Err(QueryError::Execution(message.to_owned()));
            }
            "wait" => {
                while !options.cancel.is_canceled() {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                CANCELED.store(true, std::sync::atomic::Ordering::SeqCst);
                return Err(QueryError::Canceled("expression evaluation"));
            }
            _ => panic!("a bug in the engine"),
        };
        Ok(output)
    }
}

/// Whether the query `wait` was cancelled.
pub(crate) static CANCELED: std::sync::atomic::AtomicBool =
    std::sync::atomic::AtomicBool::new(false);

impl QueryEngine for Engine {
    fn options(&self) -> &EngineOptions {
        &self.0
    }

    fn pool(&self) -> Option<&rayon::ThreadPool> {
        static POOL: LazyLock<rayon::ThreadPool> = LazyLock::new(|| {
            let builder = rayon::ThreadPoolBuilder::new().num_threads(2);
            builder.build().unwrap()
        });
        Some(&POOL)
    }

    fn instant(
        &self,
        _: &dyn Queryable,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        self.answer(query, time_ms, options)
    }

    fn range(
        &self,
        _: &dyn Queryable,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        if query == "up[1m]" {
            let message = "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector";
            return Err(QueryError::BadData(message.to_owned()));
        }
        if query == "steps" {
            let text = format!("{start_ms} {end_ms} {step_ms}");
            let value = Value::String {
                timestamp_ms: 0,
                value: text,
            };
            return self
                .answer("empty", 0, options)
                .map(|output| QueryOutput { value, ..output });
        }
        self.answer(query, start_ms, options)
    }
}

struct Targets;

fn pool(name: &str) -> Arc<ScrapeConfig> {
    Arc::new(ScrapeConfig {
        job_name: name.to_owned(),
        ..ScrapeConfig::default()
    })
}

impl TargetSource for Targets {
    fn snapshot(&self) -> Vec<PoolStatus> {
        let target = TargetStatus {
            discovered_labels: labels(&[("__address__", "one:9100"), ("job", "a")]),
            labels: labels(&[("instance", "one:9100"), ("job", "a")]),
            scrape_pool: "a".to_owned(),
            scrape_url: "http://one:9100/metrics?a=1&b=2".to_owned(),
            global_url: "http://one:9100/metrics?a=1&b=2".to_owned(),
            last_error: "connection refused".to_owned(),
            last_scrape_ns: Some(995_000_000_001),
            last_scrape_duration_s: 0.012_5,
            health: Health::Down,
            scrape_interval: "15s".to_owned(),
            scrape_timeout: "10s".to_owned(),
        };
        let never = TargetStatus {
            last_scrape_ns: None,
            last_error: String::new(),
            last_scrape_duration_s: 0.0,
            health: Health::Unknown,
            scrape_pool: "b".to_owned(),
            ..target.clone()
        };
        vec![
            PoolStatus {
                name: "a".to_owned(),
                config: pool("a"),
                active: vec![target],
                dropped: vec![labels(&[("__address__", "gone")])],
                dropped_count: 3,
                error: None,
            },
            PoolStatus {
                name: "b".to_owned(),
                config: pool("b"),
                active: vec![never],
                dropped: Vec::new(),
                dropped_count: 0,
                error: None,
            },
        ]
    }

    fn pool_names(&self) -> Vec<String> {
        vec!["b".to_owned(), "a".to_owned()]
    }

    fn pool_config(&self, name: &str) -> Option<Arc<ScrapeConfig>> {
        ["a", "b"].contains(&name).then(|| pool(name))
    }

    fn metadata(&self) -> Vec<TargetMetadata> {
        let family = |name: &str, kind, help: &str| FamilyMetadata {
            name: name.into(),
            metadata: Arc::new(Metadata {
                kind,
                help: help.to_owned(),
                unit: String::new(),
            }),
        };
        vec![
            TargetMetadata {
                scrape_pool: "a".to_owned(),
                labels: labels(&[("instance", "one:9100"), ("job", "a")]),
                families: vec![
                    family("load", MetricType::Gauge, "Load."),
                    family("requests", MetricType::Counter, "Requests <served>."),
                ],
            },
            TargetMetadata {
                scrape_pool: "b".to_owned(),
                labels: labels(&[("instance", "two:9100"), ("job", "b")]),
                families: vec![
                    family("load", MetricType::Gauge, "Load."),
                    family("requests", MetricType::Unknown, ""),
                ],
            },
        ]
    }
}
