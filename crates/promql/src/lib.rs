//! The PromQL engine: answers queries over any [`storage::Queryable`], as Prometheus 3.14 does.

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
mod options;
mod plan;
mod planner;
mod source;
mod stats;
mod value;
mod window;

pub use engine::{Engine, QueryOutput};
pub use error::QueryError;
pub use options::{CancelToken, EngineOptions, Features, QueryOptions, SubqueryStep};
pub use stats::{QueryStats, SampleStats, Timings};
pub use value::{MatrixSeries, Value, VectorSample};
