//! The PromQL engine: answers queries over any [`storage::Queryable`], as Prometheus 3.14 does.
//!
//! A query goes through three forms. `promql_syntax` parses it; `planner` turns the tree into a
//! plan, in which durations are numbers and what is the same at all steps is marked; `eval` walks
//! over the plan once, with all steps at a time. A series' values over the steps are one
//! `column`. Functions over ranges move a `window` over the samples of a series instead of
//! reading them again at every step.
//!
//! Vectors are a `flow` as long as nobody needs all of their series at once: batches of series are
//! made in parallel while those of the batch before are taken in order. So an aggregation holds
//! its groups, not its input, and its compensated sums come out the same to the bit whatever the
//! number of threads.
//!
//! Results, errors, notes and their order are upstream's wherever upstream's are determined; the
//! order in which it walks over its hash tables is not.
//!
//! Native histograms lie beside the floats of a column and have ways of their own (`native`), so
//! that series of floats do not pay for them.
//!
//! Limits: samples in memory, gaps between them, steps, time and queries at a time are bounded
//! (`context`, `gate`); a histogram counts by its size.

mod aggregate;
mod annotations;
mod classic;
mod column;
mod context;
mod dates;
mod engine;
mod error;
mod eval;
mod extended;
mod flow;
mod functions;
mod gate;
mod gomath;
mod metrics;
mod native;
mod options;
mod plan;
mod planner;
mod point;
mod queries;
mod source;
mod stats;
mod stored;
mod trace;
mod value;
mod window;

pub use engine::{Engine, QueryOutput};
pub use error::QueryError;
pub use options::{CancelToken, EngineOptions, Features, QueryOptions, SubqueryStep};
pub use queries::{
    ActiveQuery, Asked, Origin, QueryList, QueryLog, QueryRecord, QueryTracker, SlowQuery,
};
pub use stats::{QueryStats, SampleStats, Timings};
pub use trace::TraceNode;
pub use value::{MatrixSeries, Points, Value, VectorSample};
