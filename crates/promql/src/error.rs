//! Why a query failed, by what the caller can do. Texts are those that users of Prometheus know.

use storage::{MemoryRefused, StorageError};

/// Why a query gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// The text is no valid query: `1:5: parse error: …`.
    #[error("{0}")]
    Parse(String),
    /// The text is valid but cannot be asked in this way: a range query of a range vector, a
    /// duration that is not positive, a step of zero.
    #[error("{0}")]
    BadData(String),
    /// It took longer than allowed; holds what was going on.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// Somebody cancelled it; holds what was going on.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// Its time was over before its turn came.
    #[error("context deadline exceeded")]
    TimeoutInQueue,
    /// Somebody cancelled it before its turn came.
    #[error("context canceled")]
    CanceledInQueue,
    /// More samples than allowed were in memory at one time.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// The memory that all queries share does not do; it may later, or for a smaller query.
    #[error(transparent)]
    Memory(#[from] MemoryRefused),
    /// It needs more bytes than one query may have.
    #[error(
        "query refused: it needs more memory than the {bytes_max} bytes that \
         --query.max-memory-bytes allows"
    )]
    TooManyBytes {
        /// What it may have.
        bytes_max: u64,
    },
    /// Storage could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The query cannot be evaluated over this data: many-to-many matching, duplicate label sets.
    #[error("{0}")]
    Execution(String),
}
