//! How the engine and a single query are set up.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use storage::MemoryBudget;

use crate::queries::{Origin, QueryList, QueryTracker};

/// What can be switched on by `--enable-feature`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// `promql-experimental-functions`.
    pub experimental_functions: bool,
    /// `promql-extended-range-selectors`: `anchored` and `smoothed`.
    pub extended_range_selectors: bool,
    /// `promql-binop-fill-modifiers`.
    pub binop_fill_modifiers: bool,
    /// `promql-delayed-name-removal`: names go at the end of evaluation only.
    pub delayed_name_removal: bool,
    /// `promql-per-step-stats`: counts per step for queries that ask for all statistics.
    pub per_step_stats: bool,
    /// `use-start-timestamps`: rates and resets look at the starts of counters.
    pub use_start_timestamps: bool,
    /// `type-and-unit-labels`: `__type__` decides what a counter is, and goes with the name.
    pub type_and_unit_labels: bool,
}

/// The default step of a subquery, from its range, both in milliseconds.
#[derive(Clone)]
pub struct SubqueryStep(Arc<dyn Fn(i64) -> i64 + Send + Sync>);

impl SubqueryStep {
    /// The same step for all subqueries; the server uses `global.evaluation_interval`.
    #[must_use]
    pub fn fixed(step_ms: i64) -> SubqueryStep {
        SubqueryStep(Arc::new(move |_| step_ms))
    }

    /// Asked for every subquery without a step, so that a reload of the configuration shows.
    pub fn from_fn(step_ms: impl Fn(i64) -> i64 + Send + Sync + 'static) -> SubqueryStep {
        SubqueryStep(Arc::new(step_ms))
    }

    /// The step for a subquery over `range_ms`; at least a millisecond.
    #[must_use]
    pub fn for_range(&self, range_ms: i64) -> i64 {
        (self.0)(range_ms).max(1)
    }
}

impl fmt::Debug for SubqueryStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubqueryStep")
    }
}

/// How an engine is set up; [`EngineOptions::default`] has Prometheus's defaults.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// The longest that a query may take, queueing included: `--query.timeout`.
    pub timeout: Duration,
    /// Samples that one query may hold in memory at a time: `--query.max-samples`.
    pub max_samples: u64,
    /// The memory that all queries share with storage.
    pub memory: Arc<MemoryBudget>,
    /// Bytes of samples and columns that one query may hold at a time, 0 for no limit:
    /// `--query.max-memory-bytes`.
    pub max_bytes: u64,
    /// The queries that wait or run, for those who look at them.
    pub queries: Arc<QueryList>,
    /// Told which queries run.
    pub tracker: Option<Arc<dyn QueryTracker>>,
    /// Queries that run at a time, others wait: `--query.max-concurrency`.
    pub max_concurrency: usize,
    /// How old the newest sample may be to be the value of now: `--query.lookback-delta`.
    pub lookback_delta_ms: i64,
    /// Step of subqueries that name none.
    pub default_subquery_step: SubqueryStep,
    /// What is switched on.
    pub features: Features,
    /// Times the query and ends it when its time is over.
    pub clock: clock::SharedClock,
    /// Threads for the series of one query, shared by all queries; 0 for one a core.
    pub threads: usize,
}

impl EngineOptions {
    /// Prometheus's defaults: 2 minutes, 50 million samples, 20 queries at a time, 5 minutes of
    /// lookback, subqueries step by a minute, no features.
    #[must_use]
    pub fn new(clock: clock::SharedClock) -> EngineOptions {
        EngineOptions {
            timeout: Duration::from_secs(120),
            max_samples: 50_000_000,
            memory: MemoryBudget::unlimited(),
            max_bytes: 0,
            queries: Arc::default(),
            tracker: None,
            max_concurrency: 20,
            lookback_delta_ms: 300_000,
            default_subquery_step: SubqueryStep::fixed(60_000),
            features: Features::default(),
            clock,
            threads: 0,
        }
    }
}

/// How one query is run.
#[derive(Debug, Clone, Default)]
pub struct QueryOptions {
    /// Instead of the engine's.
    pub lookback_delta_ms: Option<i64>,
    /// Instead of the engine's, if it is shorter.
    pub timeout: Option<Duration>,
    /// Whether samples are counted per step too, if the engine has that switched on.
    pub per_step_stats: bool,
    /// Whether the answer tells what the parts of the query cost.
    pub trace: bool,
    /// Who asks, for the list of queries and the log.
    pub origin: Option<Arc<Origin>>,
    /// Ends the query from another thread.
    pub cancel: CancelToken,
}

/// Ends a query from outside; clones end the same query.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that nobody has pulled yet.
    #[must_use]
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Ends the query soon.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the query shall end.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
