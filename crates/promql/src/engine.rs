//! The engine's face: takes a query, waits for its turn, evaluates, measures.
//!
//! A query is evaluated on the thread that asks, or on one of its own if it is nested so deeply
//! that the caller's stack might not do; the series of a selector are spread over the threads of a
//! pool that all queries share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::RwLock;
use promql_syntax::{Expr, ParseOptions, ast::ValueType};
use storage::Queryable;

use crate::annotations::Annotations;
use crate::column::Steps;
use crate::context::{Budget, Charge, Counts, Deadline, EVALUATION, EXECUTION, STEPS_MAX};
use crate::error::QueryError;
use crate::eval::{Evaluator, Scope, Shared, sort_by_labels};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::options::{EngineOptions, QueryOptions};
use crate::plan::Node;
use crate::planner::{QueryTimes, plan};
use crate::queries::{Asked, Listed, QueryLog, QueryRecord};
use crate::stats::{QueryStats, SampleStats};
use crate::trace::{Trace, TraceNode};
use crate::value::Value;

/// Queries nested deeper than this get a stack of their own.
const INLINE_DEPTH_MAX: usize = 24;

/// Enough for [`promql_syntax::DEPTH_MAX`] levels at 80 KiB each, several times what evaluation
/// takes in a debug build. Only what is used becomes memory.
const DEEP_STACK_BYTES: usize = promql_syntax::DEPTH_MAX * (80 << 10);

/// An answer with what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryOutput {
    /// The answer.
    pub value: Value,
    /// What is probably wrong with the query or its data, and what storage said; sorted, not capped.
    pub warnings: Vec<String>,
    /// What may be wrong.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
    /// What its parts cost, if that was asked for: those at the top of the tree.
    pub trace: Option<Vec<TraceNode>>,
}

/// Evaluates queries. Shared by all who ask; calls block until the answer is there.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
    pool: rayon::ThreadPool,
    gate: Gate,
    metrics: Metrics,
    log: RwLock<Option<Arc<dyn QueryLog>>>,
}

impl Engine {
    /// An engine that counts in `registry`.
    ///
    /// # Panics
    /// If the operating system gives it no threads.
    #[must_use]
    pub fn new(options: EngineOptions, registry: &telemetry::Registry) -> Engine {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(options.threads)
            .thread_name(|index| format!("promql-{index}"))
            .build()
            .expect("a process that cannot start threads cannot serve");
        Engine {
            pool,
            gate: Gate::new(options.max_concurrency),
            metrics: Metrics::new(registry, options.max_concurrency),
            log: RwLock::default(),
            options,
        }
    }

    /// From now on every query that ends goes to `log`, or to none.
    pub fn set_query_log(&self, log: Option<Arc<dyn QueryLog>>) {
        let is_on = if log.is_some() { 1.0 } else { 0.0 };
        self.metrics.log_enabled.set(is_on);
        *self.log.write() = log;
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The threads on which series are made, for those who write answers down in pieces.
    #[must_use]
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Evaluates `query` at one time.
    ///
    /// # Errors
    /// Every [`QueryError`].
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        query: &str,
        time_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        let times = QueryTimes {
            start_ms: time_ms,
            end_ms: time_ms,
            step_ms: 0,
        };
        let expr = self.parse(query, times)?;
        self.run(storage, query, &expr, times, options)
    }

    /// Evaluates `query` at `start_ms`, every `step_ms` after it, to `end_ms`. A step of zero is
    /// an error; how many steps are sensible is for the caller to say.
    ///
    /// # Errors
    /// Every [`QueryError`].
    pub fn range(
        &self,
        storage: &dyn Queryable,
        query: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        if step_ms <= 0 {
            return Err(QueryError::BadData(
                "zero or negative query resolution step widths are not accepted. Try a positive \
                 integer"
                    .to_owned(),
            ));
        }
        let times = QueryTimes {
            start_ms,
            end_ms,
            step_ms,
        };
        let expr = self.parse(query, times)?;
        let value_type = expr.value_type();
        if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::BadData(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                value_type.documented()
            )));
        }
        self.run(storage, query, &expr, times, options)
    }

    fn parse(&self, query: &str, times: QueryTimes) -> Result<Expr, QueryError> {
        let features = self.options.features;
        let options = ParseOptions {
            experimental_functions: features.experimental_functions,
            duration_expressions: true,
            extended_range_selectors: features.extended_range_selectors,
            binop_fill_modifiers: features.binop_fill_modifiers,
        };
        let mut expr = promql_syntax::parse(query, &options)
            .map_err(|errors| QueryError::Parse(errors.to_string()))?;
        let QueryTimes {
            start_ms,
            end_ms,
            step_ms,
        } = times;
        promql_syntax::resolve_durations(&mut expr, start_ms, end_ms, step_ms)
            .map_err(|error| QueryError::BadData(error.to_string()))?;
        Ok(expr)
    }

    /// Evaluates, and lets the list of queries and the log know.
    fn run(
        &self,
        storage: &dyn Queryable,
        query: &str,
        expr: &Expr,
        times: QueryTimes,
        options: &QueryOptions,
    ) -> Result<QueryOutput, QueryError> {
        self.metrics.queries.add(1.0);
        let _counted = OnDrop(|| self.metrics.queries.add(-1.0));
        let timeout = options
            .timeout
            .unwrap_or(self.options.timeout)
            .min(self.options.timeout);
        let clock = clock::SharedClock::clone(&self.options.clock);
        let deadline = Deadline::new(clock, timeout, options.cancel.clone());
        let mut stats = QueryStats::default();
        let asked = Asked {
            start_ms: times.start_ms,
            end_ms: times.end_ms,
            step_ms: times.step_ms,
        };
        let listed = self.options.queries.enter(
            query,
            asked,
            self.options.clock.now_ms(),
            options.origin.clone(),
            options.cancel.clone(),
        );
        let run = Run {
            storage,
            query,
            times,
            options,
            deadline: &deadline,
            listed: &listed,
        };
        let evaluated = self.run_listed(&run, expr, &mut stats);
        stats.timings.exec_total_time = deadline.elapsed().as_secs_f64();
        let error = evaluated.as_ref().err().map(ToString::to_string);
        listed.ended(deadline.elapsed(), error.as_deref());
        let log = self.log.read().clone();
        if let Some(log) = log {
            let record = QueryRecord {
                query,
                asked,
                origin: options.origin.as_deref(),
                stats: &stats,
                error: error.as_deref(),
                ended_ns: self.options.clock.now_ns(),
            };
            if let Err(error) = log.write(&record) {
                self.metrics.log_failures.inc();
                tracing::error!(err = %error, "can't log query");
            }
        }
        let (value, annotations, trace) = evaluated?;
        let (warnings, infos) = annotations.into_texts(query);
        Ok(QueryOutput {
            value,
            warnings,
            infos,
            stats,
            trace: trace.map(|trace| trace.into_nodes(query)),
        })
    }

    /// Waits, evaluates on a stack that is large enough, and counts.
    fn run_listed(
        &self,
        run: &Run<'_>,
        expr: &Expr,
        stats: &mut QueryStats,
    ) -> Result<Evaluated, QueryError> {
        let Run {
            query,
            deadline,
            listed,
            ..
        } = *run;
        let place = self.gate.enter(deadline);
        stats.timings.exec_queue_time = deadline.elapsed().as_secs_f64();
        self.metrics
            .observe("queue_time", stats.timings.exec_queue_time);
        let place = place?;
        listed.runs();
        let tracker = self.options.tracker.as_ref();
        tracker.inspect(|tracker| tracker.begin(place.number, query));
        // Before the place is free again.
        let _tracked = OnDrop(|| {
            tracker.inspect(|tracker| tracker.end(place.number));
        });
        deadline.check(EXECUTION)?;

        let evaluate = || {
            let plan = plan(expr, run.times)?;
            self.evaluate(run, &plan, stats)
        };
        let evaluated = caught(|| on_sufficient_stack(depth(expr), evaluate));
        let total = deadline.elapsed().as_secs_f64();
        stats.timings.eval_total_time = total - stats.timings.exec_queue_time;
        self.metrics.count(stats);
        evaluated
    }

    fn evaluate(
        &self,
        run: &Run<'_>,
        plan: &Node,
        stats: &mut QueryStats,
    ) -> Result<Evaluated, QueryError> {
        let Run {
            storage,
            times,
            options,
            deadline,
            ..
        } = *run;
        let lookback_ms = options
            .lookback_delta_ms
            .filter(|&ms| ms > 0)
            .unwrap_or(self.options.lookback_delta_ms);
        let started = deadline.elapsed();
        let mut read = None;
        plan.time_range((times.start_ms, times.end_ms), lookback_ms, &mut read);
        let (min_ms, max_ms) = read.unwrap_or((0, 0));
        let querier = storage.querier(min_ms, max_ms)?;
        let prepared = deadline.elapsed();
        stats.timings.query_preparation_time = (prepared - started).as_secs_f64();
        self.metrics
            .observe("prepare_time", stats.timings.query_preparation_time);

        let budget = Budget::new(self.options.max_samples, &self.options.memory)
            .within(self.options.max_bytes, run.listed.usage());
        let shared = Shared {
            querier: &*querier,
            pool: &self.pool,
            deadline,
            budget: &budget,
            features: self.options.features,
            lookback_ms,
            subquery_step: &self.options.default_subquery_step,
        };
        let instant = times.step_ms == 0;
        let steps = Steps::new(times.start_ms, times.end_ms, times.step_ms);
        if steps.count > STEPS_MAX {
            return Err(QueryError::TooManySamples);
        }
        let per_step = options.per_step_stats && self.options.features.per_step_stats;
        let mut held = Charge::none(&budget);
        // As they are counted, and as they are told.
        held.add_bytes(3 * Counts::bytes_for(per_step, steps.count))?;
        let mut scope = Scope {
            steps,
            counts: Counts::new(per_step, steps.count),
            // The series of a range are sorted at the end anyway.
            ordered: instant || steps.is_single(),
        };
        let mut evaluator = Evaluator::new(&shared, plan);
        evaluator.trace = options.trace.then(Trace::default);
        let value = evaluator.value(plan, &mut scope, instant);
        let evaluated = deadline.elapsed();
        stats.timings.inner_eval_time = (evaluated - prepared).as_secs_f64();
        self.metrics
            .observe("inner_eval", stats.timings.inner_eval_time);
        stats.samples = samples(scope.counts, steps, budget.peak());
        let mut value = value?;
        deadline.check(EVALUATION)?;
        if let Value::Matrix(series) = &mut value {
            sort_by_labels(series, &self.pool, |series| &series.labels);
            stats.timings.result_sort_time = (deadline.elapsed() - evaluated).as_secs_f64();
            self.metrics
                .observe("result_sort", stats.timings.result_sort_time);
        }
        let (annotations, trace) = evaluator.finish();
        Ok((value, annotations, trace))
    }
}

/// A value, what there is to say about it, and what its parts cost.
type Evaluated = (Value, Annotations, Option<Trace>);

/// A query that was parsed, and what goes with it.
struct Run<'r> {
    storage: &'r dyn Queryable,
    query: &'r str,
    times: QueryTimes,
    options: &'r QueryOptions,
    deadline: &'r Deadline,
    listed: &'r Listed<'r>,
}

fn samples(counts: Counts, steps: Steps, peak: u64) -> SampleStats {
    let by_step = |of: fn(&(u64, u64)) -> u64| {
        let per_step = counts.per_step.as_ref()?.iter().enumerate();
        Some(
            per_step
                .map(|(step, both)| (steps.at(step), of(both)))
                .collect(),
        )
    };
    SampleStats {
        total_queryable_samples: counts.total,
        samples_read: counts.read,
        peak_samples: peak,
        total_queryable_samples_per_step: by_step(|both| both.0),
        samples_read_per_step: by_step(|both| both.1),
    }
}

/// How many levels an expression has.
fn depth(expr: &Expr) -> usize {
    1 + expr.children().map(depth).max().unwrap_or(0)
}

/// Runs `f` here, or on a thread whose stack is known to do.
fn on_sufficient_stack<T: Send>(
    depth: usize,
    f: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    if depth <= INLINE_DEPTH_MAX {
        return f();
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("promql-deep".to_owned())
            .stack_size(DEEP_STACK_BYTES)
            .spawn_scoped(scope, f)
            .map_err(|error| QueryError::Execution(format!("starting a thread: {error}")))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// A bug that shows in one query ends that query only.
fn caught<T>(f: impl FnOnce() -> Result<T, QueryError>) -> Result<T, QueryError> {
    catch_unwind(AssertUnwindSafe(f)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "panic".to_owned());
        tracing::error!(err = text, "panic during query evaluation");
        Err(QueryError::Execution(format!("unexpected error: {text}")))
    })
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        let caught: Result<(), QueryError> = caught(|| panic!("index 3"));
        assert_eq!(
            caught,
            Err(QueryError::Execution(
                "unexpected error: index 3".to_owned()
            ))
        );
        let deep: Result<(), QueryError> =
            super::caught(|| on_sufficient_stack(100, || panic!("deep")));
        assert_eq!(deep.unwrap_err().to_string(), "unexpected error: deep");
    }
}
