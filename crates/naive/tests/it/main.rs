//! The engine against the oracle, to the bit: random data, random queries.
//!
//! A failure names its seed and its query; `NAIVE_SEED` runs that seed alone, `NAIVE_CASES` more
//! seeds than usual.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on is to fail where it stands"
)]

use std::fmt::Write as _;

use fastrand::Rng;
use naive::random::{self, DataOptions, Dialect};
use naive::{Matrix, Naive, Refusal, Starts};
use promql::{Engine, EngineOptions, QueryOptions, Value};
use promql_syntax::ParseOptions;
use storage::memory::MemoryStore;

/// Data sets; each is asked [`QUERIES`] queries.
const CASES: u64 = 60;
const QUERIES: usize = 60;
const SAME_LABELSET: &str = "vector cannot contain metrics with the same labelset";
const LOOKBACK_MS: i64 = 90_000;

fn engine(with_starts: bool) -> Engine {
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(clock::SharedClock::clone(&clock));
    let mut options = EngineOptions::new(clock);
    options.threads = 2;
    options.lookback_delta_ms = LOOKBACK_MS;
    options.features.experimental_functions = true;
    options.features.use_start_timestamps = with_starts;
    Engine::new(options, &registry)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn engine_and_oracle_agree_to_the_bit() {
    let engines = [engine(false), engine(true)];
    let (first, count) = match number("NAIVE_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("NAIVE_CASES").unwrap_or(CASES)),
    };
    let (mut with_data, mut errors, mut report) = (0, 0, String::new());
    let mut failures = 0;
    for seed in first..first + count {
        let mut rng = Rng::with_seed(seed);
        let data = random::data(&mut rng, DataOptions::default());
        let starts = random::starts(&mut rng, &data);
        let store = store(&data, &starts);
        let with_starts = rng.bool();
        let engine = &engines[usize::from(with_starts)];
        let used = with_starts.then_some(&starts);
        for _ in 0..QUERIES {
            let steps = Steps::random(&mut rng);
            let query = random::query(&mut rng, steps.dialect());
            match compare(engine, &store, (&data, used), &query, steps) {
                Ok(Agreed::Points(points)) => with_data += usize::from(points > 0),
                Ok(Agreed::Error) => errors += 1,
                Err(difference) => {
                    failures += 1;
                    if failures < 10 {
                        writeln!(report, "NAIVE_SEED={seed} {query}\n  {difference}").unwrap();
                    }
                }
            }
        }
    }
    assert!(failures == 0, "{failures} differences\n{report}");
    // Queries that find nothing, or cannot be answered, prove little.
    let all = count as usize * QUERIES;
    assert!(with_data * 2 > all, "{with_data} of {all} queries had data");
    assert!(errors * 5 < all, "{errors} of {all} queries had errors");
}

#[derive(Debug, Clone, Copy)]
struct Steps {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Steps {
    fn random(rng: &mut Rng) -> Steps {
        let start_ms = random::START_MS + rng.i64(-60_000..random::SPAN_MS);
        let step_ms = [1_000, 7_000, 15_000, 60_000, 133_337][rng.usize(..5)];
        let count = if rng.u8(..4) == 0 { 0 } else { rng.i64(1..25) };
        Steps {
            start_ms,
            end_ms: start_ms + step_ms * count,
            step_ms,
        }
    }

    fn is_single(self) -> bool {
        self.start_ms == self.end_ms
    }

    fn dialect(self) -> Dialect {
        let dialect = Dialect::CORE | Dialect::EDGES | Dialect::STARTS;
        if self.is_single() {
            dialect | Dialect::ORDER
        } else {
            dialect
        }
    }
}

/// The data for the engine.
fn store(data: &Matrix, starts: &Starts) -> MemoryStore {
    let store = MemoryStore::new();
    for (labels, samples) in data {
        let of_series = starts.get(labels);
        for &(time_ms, value) in samples {
            let start_ms = of_series.and_then(|starts| starts.get(&time_ms));
            let start_ms = start_ms.copied().unwrap_or(0);
            store.insert_with_start(labels, time_ms, value, start_ms);
        }
    }
    store
}

enum Agreed {
    Points(usize),
    Error,
}

fn compare(
    engine: &Engine,
    store: &MemoryStore,
    (data, starts): (&Matrix, Option<&Starts>),
    query: &str,
    steps: Steps,
) -> Result<Agreed, String> {
    let allowed = ParseOptions {
        experimental_functions: true,
        ..ParseOptions::default()
    };
    let parsed = promql_syntax::parse(query, &allowed);
    let expr = parsed.map_err(|error| format!("not well-formed: {error}"))?;
    let Steps {
        start_ms,
        end_ms,
        step_ms,
    } = steps;
    let options = QueryOptions::default();
    let answer = if steps.is_single() {
        engine.instant(store, query, start_ms, &options)
    } else {
        engine.range(store, query, start_ms, end_ms, step_ms, &options)
    };
    let oracle = Naive::new(data, start_ms, end_ms, LOOKBACK_MS);
    let oracle = match starts {
        Some(starts) => oracle.with_starts(starts),
        None => oracle,
    };
    let wanted = oracle.range(&expr, step_ms);
    match (wanted, answer) {
        (Ok(wanted), Ok(output)) => {
            let got = by_labels(output.value);
            match difference(&wanted, &got) {
                None => Ok(Agreed::Points(got.values().map(Vec::len).sum())),
                Some(what) => Err(format!("{start_ms}..{end_ms} by {step_ms}: {what}")),
            }
        }
        (Err(Refusal::Error(_)), Err(_)) => Ok(Agreed::Error),
        // PromQL looks for equal label sets among all steps of a function over ranges, the oracle
        // at each step.
        (Ok(_), Err(error)) if !steps.is_single() && error.to_string().contains(SAME_LABELSET) => {
            Ok(Agreed::Error)
        }
        (wanted, answer) => Err(format!(
            "{start_ms}..{end_ms} by {step_ms}: oracle {wanted:?}\n  engine {:?}",
            answer.map(|output| output.value)
        )),
    }
}

fn by_labels(value: Value) -> Matrix {
    match value {
        Value::Scalar {
            timestamp_ms,
            value,
        } => [(model::Labels::empty(), vec![(timestamp_ms, value)])].into(),
        Value::Vector(samples) => samples
            .into_iter()
            .map(|s| (s.labels, vec![(s.timestamp_ms, s.value)]))
            .collect(),
        Value::Matrix(series) => series
            .into_iter()
            .map(|s| (s.labels, s.points.iter().collect()))
            .collect(),
        Value::String { .. } => Matrix::new(),
    }
}

/// The first difference; NaN equals NaN, 0 does not equal -0.
fn difference(wanted: &Matrix, got: &Matrix) -> Option<String> {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    for (labels, points) in wanted {
        let Some(others) = got.get(labels) else {
            return Some(format!("{labels} is missing; wanted {points:?}"));
        };
        let equal = |(a, b): (&(i64, f64), &(i64, f64))| a.0 == b.0 && same(a.1, b.1);
        if points.len() != others.len() || !points.iter().zip(others).all(equal) {
            let at = points.iter().zip(others).position(|pair| !equal(pair));
            return Some(match at {
                Some(at) => format!("{labels}: wanted {:?}, got {:?}", points[at], others[at]),
                None => format!("{labels}: wanted {points:?}, got {others:?}"),
            });
        }
    }
    let more = got.iter().find(|(labels, _)| !wanted.contains_key(labels));
    more.map(|(labels, points)| format!("{labels} is too many: {points:?}"))
}
