//! The PromQL engine: answers queries over any [`storage::Queryable`], as Prometheus 3.14 does.

mod engine;
mod error;
mod options;
mod stats;
mod value;

pub use engine::{Engine, QueryOutput};
pub use error::QueryError;
pub use options::{CancelToken, EngineOptions, Features, QueryOptions, SubqueryStep};
pub use stats::{QueryStats, SampleStats, Timings};
pub use value::{MatrixSeries, Value, VectorSample};
