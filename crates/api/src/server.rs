//! The server: connections in, answers out, and a graceful end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Client, respond};
use crate::body::ResponseBody;
use crate::lenient::Lenient;
use crate::options::{Dependencies, Options};

/// A head of 1 MiB is what Go takes; hyper refuses longer ones with 431, and URLs over 64 KiB
/// with 414.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// How long running requests may go on after the shutdown began.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// Pause after a failed accept, which is nearly always a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    app: Arc<App>,
}

impl Server {
    /// A server that is [`State::Starting`]. Adds its metrics to the registry of `deps`.
    #[must_use]
    pub fn new(deps: Dependencies, options: Options) -> Server {
        let app = Arc::new(App::new(deps, options));
        Server { app }
    }

    /// Says from now on whether data can be asked for.
    pub fn set_state(&self, state: State) {
        self.app.set_state(state);
    }

    /// Answers one request, as the connections do; for tests and for other transports. Must be
    /// called within a tokio runtime.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        respond(Arc::clone(&self.app), request).await
    }

    /// Accepts connections on all listeners until `shutdown`, then lets running requests end for
    /// a few seconds. Must be called within a tokio runtime.
    pub async fn serve(&self, listeners: Vec<TcpListener>, shutdown: CancellationToken) {
        let max = self
            .app
            .options
            .max_connections
            .clamp(1, Semaphore::MAX_PERMITS);
        let connections = Arc::new(Semaphore::new(max));
        // Ends connections that outlive the grace.
        let abort = CancellationToken::new();
        let accepting: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                let acceptor = Acceptor {
                    app: Arc::clone(&self.app),
                    connections: Arc::clone(&connections),
                    shutdown: shutdown.clone(),
                    abort: abort.clone(),
                };
                tokio::spawn(acceptor.run(listener))
            })
            .collect();
        for task in accepting {
            if let Err(error) = task.await {
                tracing::error!(%error, "a listener failed");
            }
        }
        shutdown.cancelled().await;
        // All permits back means that all connections are closed.
        let all = u32::try_from(max).unwrap_or(u32::MAX);
        let closed = connections.acquire_many(all);
        if tokio::time::timeout(SHUTDOWN_GRACE, closed).await.is_err() {
            tracing::warn!("closing connections that are still answered");
            abort.cancel();
        }
    }
}

struct Acceptor {
    app: Arc<App>,
    connections: Arc<Semaphore>,
    shutdown: CancellationToken,
    abort: CancellationToken,
}

impl Acceptor {
    /// Takes a connection whenever there is room for one; the others wait in the system's queue.
    async fn run(self, listener: TcpListener) {
        loop {
            let next = async {
                let room = Arc::clone(&self.connections).acquire_owned().await.ok()?;
                Some((room, listener.accept().await))
            };
            let (room, accepted) = tokio::select! {
                () = self.shutdown.cancelled() => return,
                next = next => match next {
                    Some(next) => next,
                    None => return,
                },
            };
            match accepted {
                Ok((stream, peer)) => self.start(stream, Client(peer.ip().to_canonical()), room),
                Err(error) => {
                    tracing::warn!(%error, "accepting a connection failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn start(&self, stream: TcpStream, client: Client, room: OwnedSemaphorePermit) {
        // Answers are written whole; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        self.app.metrics.connections_accepted.inc();
        let app = Arc::clone(&self.app);
        let (shutdown, abort) = (self.shutdown.clone(), self.abort.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = answer_all(&app, stream, client, shutdown) => {}
                () = abort.cancelled() => {}
            }
            app.metrics.connections_closed.inc();
            drop(room);
        });
    }
}

/// Answers the requests of one connection until either side ends it.
async fn answer_all(
    app: &Arc<App>,
    stream: TcpStream,
    client: Client,
    shutdown: CancellationToken,
) {
    let service = service_fn(|mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(client);
        let app = Arc::clone(app);
        async move { Ok::<_, Infallible>(respond(app, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also ends connections that idle between two requests.
        .header_read_timeout(app.options.read_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Lenient::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
