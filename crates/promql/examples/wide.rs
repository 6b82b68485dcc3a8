//! How long wide and long queries take when storage costs next to nothing:
//! `cargo run --profile bench-fast -p promql --example wide`.
//!
//! 396,000 series (450 hosts of 110 metrics on 8 processors), a sample every 15 seconds, made up
//! while they are read.

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
struct MadeUp(Arc<ByName>);

struct OneSeries(Labels);

impl Series for OneSeries {
    fn labels(&self) -> &Labels {
        &self.0
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let first = min_ms.div_euclid(INTERVAL_MS) * INTERVAL_MS + INTERVAL_MS;
        let times = (first..=max_ms).step_by(INTERVAL_MS as usize);
        out.timestamps.extend(times.clone());
        out.values
            .extend(times.map(|time_ms| time_ms as f64 * 0.001));
        Ok(())
    }
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
        let series = series.map(|labels| Box::new(OneSeries(labels.clone())) as Box<dyn Series>);
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
    MadeUp(Arc::new(by_name))
}

fn main() -> Result<(), Box<dyn Error>> {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let engine = Engine::new(EngineOptions::new(clock), &registry);
    let store = made_up();
    let ten_minutes = (39 * INTERVAL_MS, INTERVAL_MS);
    let six_hours = (6 * HOUR_MS, 60_000);
    for (query, (end_ms, step_ms)) in [
        (r#"count({__name__=~".+"})"#, ten_minutes),
        (r#"sum by (host) ({__name__=~".+"})"#, ten_minutes),
        (r#"{__name__=~".+"}"#, (0, INTERVAL_MS)),
        ("sum by (cpu) (rate(metric_001[5m]))", six_hours),
        ("rate(metric_001[5m])", six_hours),
        ("metric_001 / metric_002", six_hours),
        (
            "metric_001 / ignoring(cpu) group_left sum without (cpu) (metric_002)",
            six_hours,
        ),
        ("topk(5, metric_001)", six_hours),
        ("avg_over_time(metric_001[1h])", six_hours),
    ] {
        let mut best_ms = f64::INFINITY;
        let mut count = 0;
        for _ in 0..3 {
            let start = Instant::now();
            let output =
                engine.range(&store, query, 0, end_ms, step_ms, &QueryOptions::default())?;
            best_ms = best_ms.min(start.elapsed().as_secs_f64() * 1e3);
            if let Value::Matrix(series) = &output.value {
                count = series.len();
            }
        }
        println!("{best_ms:8.1} ms {count:7} series  {query}");
    }
    Ok(())
}
