//! A server in a test: targets by script, paused time, everything stored in memory.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use config::{Config, ScrapeConfig, TargetGroup};
use discovery::TargetSets;
use model::{Labels, Matcher, is_stale_nan};
use parking_lot::Mutex;
use storage::memory::MemoryStore;
use storage::{
    AppendError, AppendOutcome, Appender, Batch, GroupId, Queryable, Samples, SelectHints,
    SeriesLimit, SeriesRef,
};
use telemetry::Registry;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::fetch::{Fetch, FetchError, Fetched, MakeFetch};
use crate::status::{PoolStatus, TargetStatus};
use crate::{ScrapeFeatures, ScrapeManager, ScrapeOptions};

pub(crate) const TEXT: &str = "text/plain; version=0.0.4";

const PROTOBUF: &str = "application/vnd.google.protobuf; \
                        proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Where tests begin: a multiple of every interval that they use.
pub(crate) const START_MS: i64 = 1_764_000_000_000;

/// Wall time that moves with the runtime's paused time.
#[derive(Debug)]
struct RuntimeClock(Instant);

impl clock::Clock for RuntimeClock {
    fn now_ns(&self) -> i64 {
        START_MS * 1_000_000 + i64::try_from(self.monotonic().as_nanos()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How a target answers once.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) after: Duration,
    pub(crate) content_type: String,
    pub(crate) body: Result<Vec<u8>, FetchError>,
}

impl Answer {
    pub(crate) fn page(body: &str) -> Answer {
        Answer {
            after: Duration::ZERO,
            content_type: TEXT.to_owned(),
            body: Ok(body.as_bytes().to_owned()),
        }
    }

    pub(crate) fn protobuf(body: Vec<u8>) -> Answer {
        Answer {
            body: Ok(body),
            ..Answer::page("").content_type(PROTOBUF)
        }
    }

    pub(crate) fn error(text: &str) -> Answer {
        Answer {
            body: Err(FetchError::Other(text.to_owned())),
            ..Answer::page("")
        }
    }

    pub(crate) fn after(self, after: Duration) -> Answer {
        Answer { after, ..self }
    }

    pub(crate) fn content_type(self, content_type: &str) -> Answer {
        Answer {
            content_type: content_type.to_owned(),
            ..self
        }
    }
}

/// What each URL answers, in order; the last answer stays.
type Script = Arc<Mutex<BTreeMap<String, VecDeque<Answer>>>>;

struct ScriptedFetch {
    url: String,
    script: Script,
}

impl Fetch for ScriptedFetch {
    fn fetch<'a>(
        &'a mut self,
        body: &'a mut Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Fetched> + Send + 'a>> {
        Box::pin(async move {
            let answer = {
                let mut script = self.script.lock();
                let answers = script.entry(self.url.clone()).or_default();
                match answers.len() {
                    0 => Answer::error("nothing in the script"),
                    1 => answers[0].clone(),
                    _ => answers.pop_front().unwrap(),
                }
            };
            tokio::time::sleep(answer.after).await;
            body.extend_from_slice(&answer.body?);
            Ok(answer.content_type)
        })
    }
}

/// The store in memory, which can refuse, forget and count.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    pub(crate) memory: MemoryStore,
    pub(crate) appends: AtomicUsize,
    pub(crate) new_series: AtomicUsize,
    pub(crate) is_not_ready: AtomicBool,
    pub(crate) disk_is_full: AtomicBool,
    /// How many series it takes; 0 for all.
    pub(crate) series_max: AtomicUsize,
    known: Mutex<HashSet<Labels>>,
    /// References that are no longer known.
    pub(crate) forgotten: Mutex<Vec<SeriesRef>>,
    /// Exemplars and metadata of all batches, as text.
    pub(crate) besides: Mutex<Vec<String>>,
    /// References handed out anew after that are these many higher.
    pub(crate) shift: AtomicUsize,
}

impl Storage {
    fn note_besides(&self, batch: &Batch<'_>) {
        let mut besides = self.besides.lock();
        for exemplar in batch.exemplars {
            let (series, labels, value) = (exemplar.series.0, exemplar.labels, exemplar.value);
            let at_ms = exemplar.timestamp_ms - START_MS;
            let own = if exemplar.has_own_time { " own" } else { "" };
            besides.push(format!("{series} {labels} {value} at {at_ms}{own}"));
        }
        for of in batch.metadata {
            let model::Metadata { kind, help, unit } = of.metadata;
            besides.push(format!(
                "{} {} {help:?} {unit:?}",
                of.series.0,
                kind.as_str()
            ));
        }
    }

    fn shifted(&self, series: SeriesRef) -> SeriesRef {
        SeriesRef(series.0 % 1_000_000)
    }
}

impl Appender for Storage {
    fn open_group(&self, labels: &Labels) -> Result<GroupId, AppendError> {
        if self.is_not_ready.load(Relaxed) {
            return Err(AppendError::NotReady);
        }
        self.memory.open_group(labels)
    }

    fn close_group(&self, group: GroupId) {
        self.memory.close_group(group);
    }

    fn series(&self, group: GroupId, labels: &Labels) -> Result<SeriesRef, AppendError> {
        self.new_series.fetch_add(1, Relaxed);
        let series_max = self.series_max.load(Relaxed);
        let mut known = self.known.lock();
        if series_max > 0 && known.len() >= series_max && !known.contains(labels) {
            let series_max = series_max as u64;
            return Err(SeriesLimit::Group { series_max }.into());
        }
        known.insert(labels.clone());
        let series = self.memory.series(group, labels)?;
        Ok(SeriesRef(
            series.0 + 1_000_000 * self.shift.load(Relaxed) as u64,
        ))
    }

    fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError> {
        if self.disk_is_full.load(Relaxed) {
            return Err(AppendError::DiskFull);
        }
        self.appends.fetch_add(1, Relaxed);
        let forgotten = self.forgotten.lock();
        let (mut samples, mut unknown) = (Vec::new(), Vec::new());
        for sample in batch.samples {
            if forgotten.contains(&sample.series) {
                unknown.push(sample.series);
            } else {
                samples.push(storage::Sample {
                    series: self.shifted(sample.series),
                    ..*sample
                });
            }
        }
        self.note_besides(&batch);
        let mut outcome = self.memory.append(Batch {
            samples: &samples,
            exemplars: &[],
            metadata: &[],
            ..batch
        })?;
        outcome.unknown = unknown;
        Ok(outcome)
    }
}

/// A manager with everything around it.
pub(crate) struct Server {
    pub(crate) manager: Arc<ScrapeManager>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) registry: Registry,
    script: Script,
    sets: watch::Sender<Arc<TargetSets>>,
}

/// A job with an interval of 10 s.
pub(crate) fn job(name: &str) -> ScrapeConfig {
    ScrapeConfig {
        job_name: name.to_owned(),
        scrape_interval_ms: 10_000,
        scrape_timeout_ms: 10_000,
        ..ScrapeConfig::default()
    }
}

pub(crate) fn configuration(jobs: &[ScrapeConfig]) -> Config {
    Config {
        scrape_configs: jobs.to_vec(),
        ..Config::default()
    }
}

pub(crate) fn group(targets: &[&str], labels: &[(&str, &str)]) -> Arc<TargetGroup> {
    Arc::new(TargetGroup {
        targets: targets.iter().map(|&target| target.to_owned()).collect(),
        labels: Labels::from_pairs(labels.iter().copied()),
        source: "0".to_owned(),
    })
}

impl Server {
    /// A running manager with these jobs and no targets.
    pub(crate) fn new(jobs: &[ScrapeConfig]) -> Server {
        Server::with_features(jobs, ScrapeFeatures::default())
    }

    pub(crate) fn with_features(jobs: &[ScrapeConfig], features: ScrapeFeatures) -> Server {
        let clock = Arc::new(RuntimeClock(Instant::now()));
        let registry = Registry::new(Arc::clone(&clock) as clock::SharedClock);
        let storage = Arc::new(Storage::default());
        let script = Script::default();
        let for_fetch = Arc::clone(&script);
        let make_fetch: MakeFetch = Box::new(move |target, _| {
            Box::new(ScriptedFetch {
                url: target.url_text.clone(),
                script: Arc::clone(&for_fetch),
            })
        });
        let options = ScrapeOptions {
            host_name: Some("test".to_owned()),
            features,
            ..ScrapeOptions::default()
        };
        let appender = Arc::clone(&storage) as Arc<dyn Appender>;
        let manager = ScrapeManager::with_fetch(appender, clock, &registry, options, make_fetch);
        manager.apply_config(&configuration(jobs)).unwrap();
        let (sets, updates) = watch::channel(Arc::default());
        tokio::spawn(Arc::clone(&manager).run(updates));
        Server {
            manager,
            storage,
            registry,
            script,
            sets,
        }
    }

    /// One job `j` with one target `h:1`, which answers so.
    pub(crate) fn with_answers(job: ScrapeConfig, answers: &[Answer]) -> Server {
        let name = job.job_name.clone();
        let server = Server::new(&[job]);
        server.answer("h:1", answers);
        server.discover(&[(&name, &["h:1"])]);
        server
    }

    /// What a target answers from now on.
    pub(crate) fn answer(&self, target: &str, answers: &[Answer]) {
        let answers = answers.iter().cloned().collect();
        let url = format!("http://{target}/metrics");
        self.script.lock().insert(url, answers);
    }

    /// Publishes targets by job.
    pub(crate) fn discover(&self, jobs: &[(&str, &[&str])]) {
        let sets = jobs
            .iter()
            .map(|(job, targets)| ((*job).to_owned(), vec![group(targets, &[])]));
        self.sets.send_replace(Arc::new(sets.collect()));
    }

    pub(crate) fn discover_groups(&self, job: &str, groups: &[Arc<TargetGroup>]) {
        let sets = TargetSets::from([(job.to_owned(), groups.to_vec())]);
        self.sets.send_replace(Arc::new(sets));
    }

    /// Lets time pass.
    pub(crate) async fn run_s(&self, seconds: f64) {
        tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    }

    pub(crate) fn pool(&self, name: &str) -> PoolStatus {
        let pools = self.manager.snapshot().into_iter();
        pools.into_iter().find(|pool| pool.name == name).unwrap()
    }

    /// The only target of the only pool.
    pub(crate) fn target(&self) -> TargetStatus {
        let [pool] = &self.manager.snapshot()[..] else {
            panic!("not one pool");
        };
        let [target] = &pool.active[..] else {
            panic!("not one target");
        };
        target.clone()
    }

    /// All series with this metric name: labels without the name, times, values.
    fn series(&self, name: &str) -> Vec<(String, Vec<i64>, Vec<f64>)> {
        let querier = self.storage.memory.querier(i64::MIN, i64::MAX).unwrap();
        let found = querier
            .select(
                true,
                &SelectHints::default(),
                &[Matcher::equal("__name__", name)],
            )
            .unwrap();
        let read = |series: &dyn storage::Series| {
            let mut samples = Samples::default();
            series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
            let labels = series.labels().without(|name| name == "__name__");
            (labels.to_string(), samples.timestamps, samples.values)
        };
        found.series.iter().map(|series| read(&**series)).collect()
    }

    /// The values of the only series of this name, as text; `stale` is a marker.
    pub(crate) fn values(&self, name: &str) -> Vec<String> {
        let series = self.series(name);
        assert!(series.len() <= 1, "{name}: {series:?}");
        let values = series.into_iter().flat_map(|(_, _, values)| values);
        values.map(shown).collect()
    }

    /// The native histograms of the only series of this name; `stale` is a marker.
    pub(crate) fn histograms(&self, name: &str) -> Vec<String> {
        let querier = self.storage.memory.querier(i64::MIN, i64::MAX).unwrap();
        let matchers = [Matcher::equal("__name__", name)];
        let found = querier.select(true, &SelectHints::default(), &matchers);
        let found = found.unwrap();
        let [series] = &found.series[..] else {
            assert!(found.series.is_empty(), "more than one {name}");
            return Vec::new();
        };
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        let histograms = samples.histograms.iter();
        let shown = histograms.map(|(_, histogram)| match histogram.is_stale() {
            true => "stale".to_owned(),
            false => histogram.to_string(),
        });
        shown.collect()
    }

    /// When the counters of the only series of this name started, of its first series if there are
    /// several.
    pub(crate) fn starts(&self, name: &str) -> Vec<i64> {
        let querier = self.storage.memory.querier(i64::MIN, i64::MAX).unwrap();
        let matchers = [Matcher::equal("__name__", name)];
        let found = querier.select(true, &SelectHints::default(), &matchers);
        let mut samples = Samples::default();
        if let Some(series) = found.unwrap().series.first() {
            series.read(i64::MIN, i64::MAX, &mut samples).unwrap();
        }
        samples.starts
    }

    /// The times of the only series of this name, in milliseconds since the test began.
    pub(crate) fn times_ms(&self, name: &str) -> Vec<i64> {
        let series = self.series(name);
        assert!(series.len() <= 1, "{name}: {series:?}");
        let times = series.into_iter().flat_map(|(_, times, _)| times);
        times.map(|time| time - START_MS).collect()
    }

    /// Labels and values of all series of this name.
    pub(crate) fn all(&self, name: &str) -> Vec<String> {
        let series = self.series(name).into_iter();
        series
            .map(|(labels, _, values)| {
                let values: Vec<String> = values.into_iter().map(shown).collect();
                format!("{labels} {}", values.join(" "))
            })
            .collect()
    }

    /// The value of a metric of the server's own.
    pub(crate) fn metric(&self, line_start: &str) -> Option<f64> {
        let mut text = String::new();
        self.registry.expose(&mut text);
        let line = text.lines().find_map(|line| {
            let rest = line.strip_prefix(line_start)?;
            rest.strip_prefix(' ')
        });
        line.map(|value| value.parse().unwrap())
    }
}

fn shown(value: f64) -> String {
    if is_stale_nan(value) {
        "stale".to_owned()
    } else {
        value.to_string()
    }
}
