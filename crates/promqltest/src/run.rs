//! Running statements against an engine over a store in memory.

use std::sync::Arc;

use model::Labels;
use promql::{Engine, QueryError, QueryOptions, QueryOutput, Value, VectorSample};
use storage::memory::MemoryStore;

use crate::expect;
use crate::nhcb;
use crate::statement::{Command, Eval, Load, Point, Statement};
use crate::variants;

/// How a statement ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// As expected.
    Passed,
    /// Otherwise.
    Failed(String),
}

/// One `eval` statement, or a statement that could not be carried out.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The number of its line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
    /// How it ended.
    pub verdict: Verdict,
}

/// Runs the statements of one file in order.
pub(crate) fn run(statements: &[Statement], engine: &Engine) -> Vec<Outcome> {
    let mut memory = MemoryStore::new();
    let mut outcomes = Vec::new();
    for statement in statements {
        let verdict = match &statement.command {
            Err(error) => Verdict::Failed(error.clone()),
            Ok(Command::Clear) => {
                memory = MemoryStore::new();
                continue;
            }
            Ok(Command::Load(load)) => match store(load, &memory) {
                Ok(()) => continue,
                Err(error) => Verdict::Failed(error),
            },
            Ok(Command::Eval(eval)) => judge(eval, &memory, engine),
        };
        outcomes.push(Outcome {
            line: statement.line,
            text: statement.text.clone(),
            verdict,
        });
    }
    outcomes
}

fn store(load: &Load, memory: &MemoryStore) -> Result<(), String> {
    for (labels, points) in &load.series {
        let starts = load.starts.iter().find(|(of, _)| of == labels);
        for (step, point) in points.iter().enumerate() {
            let time_ms = load.step_ms * step as i64;
            let start_ms = starts.and_then(|(_, starts)| starts[step]);
            let start_ms = start_ms.map_or(0, |relative_ms| time_ms + relative_ms);
            match point {
                Point::Missing => {}
                Point::Float(value) => {
                    memory.insert_with_start(labels, time_ms, *value, start_ms);
                }
                Point::Histogram { histogram, .. } => {
                    let text = |error| format!("{labels}: {error}");
                    histogram.validate().map_err(text)?;
                    let histogram = (**histogram).clone();
                    memory.insert_histogram_with_start(labels, time_ms, histogram, start_ms);
                }
            }
        }
    }
    if load.with_nhcb {
        for (labels, step, histogram) in nhcb::convert(&load.series)? {
            let time_ms = load.step_ms * step as i64;
            memory.insert_histogram(&labels, time_ms, histogram);
        }
    }
    Ok(())
}

fn judge(eval: &Eval, memory: &MemoryStore, engine: &Engine) -> Verdict {
    let result = if eval.is_range {
        range(eval, memory, engine)
    } else {
        instant(eval, memory, engine)
    };
    match result {
        Ok(()) => Verdict::Passed,
        Err(error) => Verdict::Failed(error),
    }
}

fn range(eval: &Eval, store: &MemoryStore, engine: &Engine) -> Result<(), String> {
    let options = QueryOptions::default();
    let answer = engine.range(
        store,
        &eval.query,
        eval.start_ms,
        eval.end_ms,
        eval.step_ms,
        &options,
    );
    match expect_answer(eval, answer)? {
        Some(output) => {
            expect::check_annotations(eval, &output)?;
            expect::check_value(eval, &output.value)
        }
        None => Ok(()),
    }
}

/// An instant query is asked as it stands, then with its selectors pinned to its time at other
/// times, and each of these as the middle of a range query too.
fn instant(eval: &Eval, store: &MemoryStore, engine: &Engine) -> Result<(), String> {
    let mut queries = vec![(eval.query.clone(), eval.time_ms)];
    queries.extend(variants::pinned(&eval.query, eval.time_ms)?);
    for (query, time_ms) in &queries {
        one_instant(eval, store, engine, query, *time_ms)
            .map_err(|error| format!("{error} [{query} at {time_ms} ms]"))?;
    }
    Ok(())
}

fn one_instant(
    eval: &Eval,
    store: &MemoryStore,
    engine: &Engine,
    query: &str,
    time_ms: i64,
) -> Result<(), String> {
    let options = QueryOptions::default();
    let answer = engine.instant(store, query, time_ms, &options);
    let Some(output) = expect_answer(eval, answer)? else {
        return Ok(());
    };
    expect::check_annotations(eval, &output)?;
    expect::check_value(eval, &output.value)?;
    if eval.instant_only || variants::depends_on_range(query) {
        return Ok(());
    }
    let (start_ms, end_ms) = (time_ms - 60_000, time_ms + 60_000);
    let in_range = engine
        .range(store, query, start_ms, end_ms, 60_000, &options)
        .map_err(|error| format!("as a range query: {error}"))?;
    if eval.is_ordered() {
        return Ok(());
    }
    check_middle(eval, &output.value, &in_range.value, time_ms)
        .map_err(|error| format!("as a range query: {error}"))
}

/// Whether the middle step of a range answer is the instant answer.
fn check_middle(eval: &Eval, instant: &Value, range: &Value, time_ms: i64) -> Result<(), String> {
    let Value::Matrix(series) = range else {
        return Err(format!("it answers with a {}", range.type_name()));
    };
    if let Some(pair) = series.windows(2).find(|w| w[0].labels > w[1].labels) {
        return Err(format!("{} is out of order", pair[1].labels));
    }
    let middle: Vec<VectorSample> = series
        .iter()
        .filter_map(|one| {
            let float = one.points.iter().find(|(t, _)| *t == time_ms);
            let histogram = one.histograms.iter().find(|(t, _)| *t == time_ms);
            (float.is_some() || histogram.is_some()).then(|| VectorSample {
                labels: one.labels.clone(),
                timestamp_ms: time_ms,
                value: float.map_or(0.0, |(_, value)| value),
                histogram: histogram.map(|(_, h)| Arc::clone(h)),
            })
        })
        .collect();
    match (instant, middle.first()) {
        (Value::Scalar { .. }, Some(only)) => expect::check_scalar(eval, only.value),
        (Value::Scalar { .. }, None) => Err(format!("{} is missing", Labels::empty())),
        _ => expect::check_vector(eval, &middle),
    }
}

/// The answer if there is one and should be one; nothing if it failed as it should.
fn expect_answer(
    eval: &Eval,
    answer: Result<QueryOutput, QueryError>,
) -> Result<Option<QueryOutput>, String> {
    match (answer, &eval.fail) {
        (Ok(output), None) => Ok(Some(output)),
        (Ok(_), Some(expected)) => Err(format!("it should have failed with {expected}")),
        (Err(error), None) => Err(error.to_string()),
        (Err(error), Some(expected)) => {
            let text = error.to_string();
            if expected.accepts(&text) {
                return Ok(None);
            }
            Err(format!("it should fail with {expected}, not with {text:?}"))
        }
    }
}
