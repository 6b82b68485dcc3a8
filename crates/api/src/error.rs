//! Why a call failed, as the API says it.

use http::StatusCode;
use promql::QueryError;
use storage::StorageError;

/// The `errorType` of an answer; decides the status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    BadData,
    Execution,
    Canceled,
    Timeout,
    Internal,
    /// Switched off, or storage is not ready. Upstream maps it to 500, not to 503.
    Unavailable,
    NotFound,
}

impl ErrorKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ErrorKind::BadData => "bad_data",
            ErrorKind::Execution => "execution",
            ErrorKind::Canceled => "canceled",
            ErrorKind::Timeout => "timeout",
            ErrorKind::Internal => "internal",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::NotFound => "not_found",
        }
    }

    pub(crate) fn status(self) -> StatusCode {
        match self {
            ErrorKind::BadData => StatusCode::BAD_REQUEST,
            ErrorKind::Execution => StatusCode::UNPROCESSABLE_ENTITY,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            ErrorKind::Canceled => client_closed_request(),
            ErrorKind::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Internal | ErrorKind::Unavailable => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// 499: nobody waits for the answer.
pub(crate) fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).expect("499 is within the range of statuses")
}

/// Why a call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct ApiError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> ApiError {
        ApiError {
            kind,
            message: message.into(),
        }
    }

    pub(crate) fn bad_data(message: impl Into<String>) -> ApiError {
        ApiError::new(ErrorKind::BadData, message)
    }

    /// A parameter that cannot be understood.
    pub(crate) fn parameter(name: &str, message: String) -> ApiError {
        ApiError::bad_data(format!("invalid parameter \"{name}\": {message}"))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> ApiError {
        let message = error.to_string();
        let kind = match error {
            QueryError::Parse(_) | QueryError::BadData(_) => {
                return ApiError::parameter("query", message);
            }
            QueryError::Timeout(_) => ErrorKind::Timeout,
            QueryError::Canceled(_) | QueryError::CanceledInQueue => ErrorKind::Canceled,
            QueryError::Storage(StorageError::NotReady) => ErrorKind::Unavailable,
            QueryError::Storage(_) => ErrorKind::Internal,
            // Upstream gives a query that waited in vain the same kind.
            QueryError::TooManySamples
            | QueryError::TooManyBytes { .. }
            | QueryError::Memory(_)
            | QueryError::TimeoutInQueue
            | QueryError::Execution(_) => ErrorKind::Execution,
        };
        ApiError { kind, message }
    }
}

/// What the metadata endpoints make of it: they fail in execution.
impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> ApiError {
        let kind = match error {
            StorageError::NotReady => ErrorKind::Unavailable,
            _ => ErrorKind::Execution,
        };
        ApiError::new(kind, error.to_string())
    }
}
