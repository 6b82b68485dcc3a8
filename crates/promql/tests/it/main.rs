//! The engine over a store in memory: tables of queries and their answers.
//!
//! Upstream's own test data is run by `promqltest`; here is what that cannot say: exact digits,
//! exact texts, limits, statistics.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on is to fail where it stands"
)]

mod answers;
mod failures;
mod hostile;
mod limits;
mod native;
mod native_steps;
mod notes;
mod queries;
mod recurring;
mod starts;
mod sums;

use std::fmt::Write as _;

use promql::{Engine, EngineOptions, Features, QueryError, QueryOptions, QueryOutput, Value};
use promql_syntax::{SequenceValue, parse_series_desc};
use storage::memory::MemoryStore;

const MINUTE_MS: i64 = 60_000;

/// An engine and its data.
struct Bench {
    store: MemoryStore,
    engine: Engine,
}

fn engine(change: impl FnOnce(&mut EngineOptions)) -> Engine {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.threads = 2;
    options.features = Features {
        experimental_functions: true,
        extended_range_selectors: true,
        binop_fill_modifiers: true,
        ..Features::default()
    };
    change(&mut options);
    Engine::new(options, &registry)
}

/// Series of the test language, a sample a minute from time zero.
fn load(series: &[&str]) -> MemoryStore {
    let store = MemoryStore::new();
    for text in series {
        let series = parse_series_desc(text).unwrap();
        for (at, value) in series.values.into_iter().enumerate() {
            let time_ms = at as i64 * MINUTE_MS;
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => store.insert(&series.labels, time_ms, value),
                SequenceValue::Histogram { histogram, .. } => {
                    store.insert_histogram(&series.labels, time_ms, (*histogram).clone());
                }
            }
        }
    }
    store
}

fn bench(series: &[&str]) -> Bench {
    Bench {
        store: load(series),
        engine: engine(|_| {}),
    }
}

impl Bench {
    fn with(series: &[&str], change: impl FnOnce(&mut EngineOptions)) -> Bench {
        Bench {
            store: load(series),
            engine: engine(change),
        }
    }

    fn instant(&self, query: &str, minute: i64) -> Result<QueryOutput, QueryError> {
        let options = QueryOptions::default();
        self.engine
            .instant(&self.store, query, minute * MINUTE_MS, &options)
    }

    /// Minutes `from` to `to`, one step a minute.
    fn range(&self, query: &str, from: i64, to: i64) -> Result<QueryOutput, QueryError> {
        let (from, to) = (from * MINUTE_MS, to * MINUTE_MS);
        let options = QueryOptions::default();
        self.engine
            .range(&self.store, query, from, to, MINUTE_MS, &options)
    }

    #[track_caller]
    fn at(&self, minute: i64, query: &str, expected: &str) {
        let got = self
            .instant(query, minute)
            .map(|output| show(&output.value));
        let got = got.unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(got, expected, "{query} at minute {minute}");
    }

    #[track_caller]
    fn over(&self, (from, to): (i64, i64), query: &str, expected: &str) {
        let got = self
            .range(query, from, to)
            .map(|output| show(&output.value));
        let got = got.unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(got, expected, "{query} over minutes {from} to {to}");
    }
}

/// Series and values in one line; the times of points in minutes.
fn show(value: &Value) -> String {
    match value {
        Value::Scalar { value, .. } => format!("{value}"),
        Value::String { value, .. } => format!("{value:?}"),
        Value::Vector(samples) => {
            let samples = samples.iter().map(|s| match &s.histogram {
                None => format!("{} {}", s.labels, s.value),
                Some(histogram) => format!("{} {histogram}", s.labels),
            });
            samples.collect::<Vec<_>>().join("; ")
        }
        Value::Matrix(series) => {
            let series = series.iter().map(|series| {
                let mut text = series.labels.to_string();
                for (time_ms, value) in series.points.iter() {
                    let minutes = time_ms as f64 / MINUTE_MS as f64;
                    let _ = write!(text, " {minutes}:{value}");
                }
                for (time_ms, histogram) in &series.histograms {
                    let minutes = *time_ms as f64 / MINUTE_MS as f64;
                    let _ = write!(text, " {minutes}:{histogram}");
                }
                text
            });
            series.collect::<Vec<_>>().join("; ")
        }
    }
}
