//! How long wide and long queries take when storage costs next to nothing:
//! `cargo run --profile bench-fast -p promql --example wide -- [PART [RUNS]]`, for the queries in
//! which PART occurs.
//!
//! 396,000 series (450 hosts of 110 metrics on 8 processors), a sample every 15 seconds, copied when
//! they are read: metrics are by turns a counter that is reset once, and a gauge with decimals.

#![allow(clippy::print_stdout, reason = "a tool that prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use model::{Labels, METRIC_NAME, MatchOp, Matcher};
use promql::{Engine, EngineOptions, QueryOptions, Value};
use storage::{Querier, Queryable, Samples, SelectHints, Series, SeriesSet, StorageError};

const INTERVAL_MS: i64 = 15_000;
const HOUR_MS: i64 = 3_600_000;

type ByName = BTreeMap<String, Vec<Labels>>;

#[derive(Debug, Clone)]
struct MadeUp(Arc<ByName>, Arc<[Samples; 2]>);

struct OneSeries {
    labels: Labels,
    samples: Arc<[Samples; 2]>,
    is_gauge: bool,
}

impl Series for OneSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let samples = &self.samples[usize::from(self.is_gauge)];
        let low = samples.timestamps.partition_point(|t| *t < min_ms);
        let high = samples.timestamps.partition_point(|t| *t <= max_ms);
        out.timestamps
            .extend_from_slice(&samples.timestamps[low..high]);
        out.values.extend_from_slice(&samples.values[low..high]);
        Ok(())
    }
}

/// A counter and a gauge.
fn samples() -> [Samples; 2] {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut counter, mut gauge) = (Samples::default(), Samples::default());
    let mut total = 0.0;
    for at in 0..6 * HOUR_MS / INTERVAL_MS + 1 {
        total = if at == 700 {
            0.0
        } else {
            total + f64::from(random.u16(..))
        };
        counter.push(at * INTERVAL_MS, total);
        gauge.push(at * INTERVAL_MS, f64::from(random.u16(..)) / 100.0);
    }
    [counter, gauge]
}

impl Queryable for MadeUp {
    fn querier(&self, _min_ms: i64, _max_ms: i64) -> Result<Box<dyn Querier>, StorageError> {
        Ok(Box::new(self.clone()))
    }
}

impl Querier for MadeUp {
    fn select(
        &self,
        _sorted: bool,
        _hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        let named = matchers
            .iter()
            .find(|m| m.name() == METRIC_NAME && m.op() == MatchOp::Equal);
        let lists: Vec<&Vec<Labels>> = match named {
            Some(name) => self.0.get(name.value()).into_iter().collect(),
            None => self.0.values().collect(),
        };
        let series = lists.into_iter().flatten();
        let series = series.map(|labels| -> Box<dyn Series> {
            Box::new(OneSeries {
                labels: labels.clone(),
                samples: Arc::clone(&self.1),
                is_gauge: labels.metric_name().ends_with(['1', '3', '5', '7', '9']),
            })
        });
        Ok(SeriesSet {
            series: series.collect(),
            warnings: Vec::new(),
        })
    }

    fn label_names(&self, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    fn label_values(&self, _: &str, _: &[Matcher], _: usize) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

fn made_up() -> MadeUp {
    let mut by_name = ByName::new();
    for metric in 0..110 {
        let name = format!("metric_{metric:03}");
        let mut series = Vec::new();
        for (host, cpu) in (0..450).flat_map(|host| (0..8).map(move |cpu| (host, cpu))) {
            series.push(Labels::from_pairs([
                (METRIC_NAME, name.as_str()),
                ("host", &format!("host-{host:04}.example.org")),
                ("cpu", &format!("cpu{cpu}")),
                (
                    "instance",
                    &format!("10.0.{}.{}:9273", host / 250, host % 250),
                ),
                ("job", "telegraf"),
                ("dc", "fra1"),
            ]));
        }
        series.sort();
        by_name.insert(name, series);
    }
    MadeUp(Arc::new(by_name), Arc::new(samples()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let part = arguments.first().map_or("", String::as_str);
    let runs: u32 = arguments.get(1).map_or(Ok(5), |runs| runs.parse())?;
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let engine = Engine::new(EngineOptions::new(clock), &registry);
    let store = made_up();
    let ten_minutes = (39 * INTERVAL_MS, INTERVAL_MS);
    let six_hours = (6 * HOUR_MS, 60_000);
    let at_once = (0, INTERVAL_MS);
    for (query, (end_ms, step_ms)) in [
        (r#"count({__name__=~".+"})"#, ten_minutes),
        (r#"sum by (host) ({__name__=~".+"})"#, ten_minutes),
        (r#"{__name__=~".+"}"#, at_once),
        ("sum by (cpu) (rate(metric_002[5m]))", six_hours),
        ("sum by (host) (rate(metric_002[5m]))", six_hours),
        ("rate(metric_002[5m])", six_hours),
        ("irate(metric_002[5m])", six_hours),
        ("rate(metric_002[5m]) / rate(metric_004[5m])", six_hours),
        ("metric_001 / metric_003", six_hours),
        ("metric_001 / metric_003 * 100 > 5", six_hours),
        (
            "metric_001 / ignoring(cpu) group_left sum without (cpu) (metric_003)",
            six_hours,
        ),
        ("topk(5, metric_001)", six_hours),
        ("quantile(0.95, metric_001)", six_hours),
        ("count by (host, cpu) (metric_001)", six_hours),
        ("100 - avg by (host) (metric_001)", six_hours),
        ("avg_over_time(metric_001[1h])", six_hours),
        ("max_over_time(metric_001[1h])", six_hours),
        ("quantile_over_time(0.9, metric_001[10m])", six_hours),
        ("deriv(metric_001[30m])", six_hours),
        (
            "max_over_time(sum(rate(metric_002[1m]))[30m:1m])",
            six_hours,
        ),
    ] {
        if !query.contains(part) {
            continue;
        }
        let (mut best_ms, mut cpu_ms) = (f64::INFINITY, f64::INFINITY);
        let mut count = 0;
        for _ in 0..runs {
            let (start, cpu_start_ms) = (Instant::now(), cpu_time_ms());
            let output =
                engine.range(&store, query, 0, end_ms, step_ms, &QueryOptions::default())?;
            best_ms = best_ms.min(start.elapsed().as_secs_f64() * 1e3);
            cpu_ms = cpu_ms.min(cpu_time_ms() - cpu_start_ms);
            if let Value::Matrix(series) = &output.value {
                count = series.len();
            }
        }
        println!("{best_ms:8.1} ms {cpu_ms:8.1} ms of CPU {count:7} series  {query}");
    }
    Ok(())
}

/// What all threads have run, where the system tells.
fn cpu_time_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let texts =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
    let times = texts.filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    times.sum::<f64>() / 1e6
}
