//! The engine's face: takes a query, waits for its turn, evaluates, measures.

use storage::Queryable;

use crate::error::QueryError;
use crate::options::{EngineOptions, QueryOptions};
use crate::stats::QueryStats;
use crate::value::Value;

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
}

/// Evaluates queries. Shared by all who ask; calls block until the answer is there.
#[derive(Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine that counts in `registry`.
    #[must_use]
    pub fn new(options: EngineOptions, registry: &telemetry::Registry) -> Engine {
        let _ = registry;
        Engine { options }
    }

    /// How it was set up.
    #[must_use]
    pub fn options(&self) -> &EngineOptions {
        &self.options
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
        let _ = (storage, query, time_ms, options);
        Err(QueryError::Execution("evaluation follows".to_owned()))
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
        let _ = (storage, query, start_ms, end_ms, step_ms, options);
        Err(QueryError::Execution("evaluation follows".to_owned()))
    }
}
