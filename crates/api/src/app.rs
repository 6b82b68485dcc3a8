//! From a request to a response: routing, parameters, the right thread, and what goes around every
//! answer (readiness, CORS, compression, counting, panics).

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, Ordering};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body as HttpBody;
use promql::{CancelToken, QueryError};
use tokio::sync::{Semaphore, oneshot};

use crate::body::ResponseBody;
use crate::error::{ApiError, ErrorKind};
use crate::form::{Form, decode};
use crate::http_metrics::{HttpMetrics, Observation};
use crate::options::{Dependencies, Options};
use crate::outlet::{self, Encoding, Started};
use crate::reply::{Body, Reply, TEXT};
use crate::routes::{Area, ROUTES, Route, Run, Target, find};
use crate::server::State;
use crate::{cors, lifecycle};

/// A form of 10 MiB is where Go stops too; a longer query is a mistake.
const FORM_BYTES_MAX: usize = 10 << 20;
/// Threads that look up labels, series and targets. Each is short and bound by the processor, so
/// more of them would only wait for each other.
const LOOKUPS_MAX: usize = 32;
/// Threads on which queries wait for the engine, beyond those that it runs: a few, so that its
/// queue is never empty. The others wait without a thread.
const QUERIES_QUEUED_MAX: usize = 16;

/// What all handlers read.
pub(crate) struct App {
    pub(crate) deps: Dependencies,
    pub(crate) options: Options,
    pub(crate) metrics: Arc<HttpMetrics>,
    /// When the server was made, in nanoseconds since 1970.
    pub(crate) start_ns: i64,
    pub(crate) quitting: AtomicBool,
    state: AtomicU8,
    /// When the state was set last, in nanoseconds since 1970.
    state_since_ns: AtomicI64,
    lookups: Arc<Semaphore>,
    queries: Arc<Semaphore>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A request with everything read.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) form: Form,
    /// The query of the URL as it came.
    pub(crate) query: String,
    /// The path as it came.
    pub(crate) path: String,
    /// What the route's placeholder took, decoded.
    pub(crate) param: String,
    pub(crate) method: Method,
    /// The address of the client, if it came over a network.
    pub(crate) client: Option<IpAddr>,
    pub(crate) headers: HeaderMap,
    /// Cancelled when the client goes away.
    pub(crate) cancel: CancelToken,
}

/// Where a request came from: an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);

/// Ends the query of a client that went away: hyper drops the future that holds this.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl App {
    pub(crate) fn new(deps: Dependencies, options: Options) -> App {
        let metrics = HttpMetrics::new(&deps.registry, Arc::clone(&deps.clock));
        let queries = deps.engine.options().max_concurrency + QUERIES_QUEUED_MAX;
        let start_ns = deps.clock.now_ns();
        App {
            start_ns,
            state_since_ns: AtomicI64::new(start_ns),
            metrics: Arc::new(metrics),
            quitting: AtomicBool::new(false),
            state: AtomicU8::new(State::Starting as u8),
            lookups: Arc::new(Semaphore::new(LOOKUPS_MAX)),
            queries: Arc::new(Semaphore::new(queries)),
            deps,
            options,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            _ => State::Stopping,
        }
    }

    pub(crate) fn state_since_ns(&self) -> i64 {
        self.state_since_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
        self.state_since_ns
            .store(self.deps.clock.now_ns(), Ordering::Relaxed);
        let ready = if state == State::Ready { 1.0 } else { 0.0 };
        self.metrics.ready.set(ready);
    }
}

/// Answers one request.
pub(crate) async fn respond<B>(app: Arc<App>, request: Request<B>) -> Response<ResponseBody>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let (at, param) = match find(&app.options.route_prefix, &head.method, path) {
        Target::Route(at, param) => (at, param),
        other => return response(bare(unrouted(other, head.uri.query())), None),
    };
    let route = &ROUTES[at];
    let mut observation = Observation::new(Arc::clone(&app.metrics), at);
    let started = if route.gated && app.state() != State::Ready {
        bare(unavailable(app.state()))
    } else {
        let cancel = CancelToken::new();
        let _guard = CancelOnDrop(cancel.clone());
        let is_form_method = matches!(head.method, Method::POST | Method::PUT);
        let form_body = match route.area {
            Area::Api if is_form_method => read_form(&app, &head.headers, body).await,
            _ => Ok(None),
        };
        let query = head.uri.query().unwrap_or("").to_owned();
        let call = form_body.and_then(|form_body| {
            let param = decode(param.as_bytes(), false).map_err(ApiError::bad_data)?;
            Ok(Call {
                form: Form::parse(form_body.as_deref(), &query),
                path: path.to_owned(),
                param,
                method: head.method.clone(),
                client: head.extensions.get().map(|Client(ip)| *ip),
                headers: head.headers.clone(),
                query,
                cancel,
            })
        });
        let encoding = Encoding::negotiate(&head.headers).filter(|_| route.compressed);
        let started = match call {
            Ok(call) => run(&app, route, call, encoding).await,
            Err(error) => bare(error.into()),
        };
        decorate(&app, route, &head.headers, started)
    };
    observation.set_status(started.status);
    response(started, Some(observation))
}

/// What goes around the answers of an area.
fn decorate(app: &App, route: &Route, request: &HeaderMap, mut started: Started) -> Started {
    if route.compressed {
        outlet::vary_by_encoding(&mut started.headers);
    }
    if route.area == Area::Api {
        cors::allow(&app.options.cors_origin, request, &mut started.headers);
    }
    started
}

fn response(started: Started, observation: Option<Observation>) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::new(started.body, observation));
    *response.status_mut() = started.status;
    *response.headers_mut() = started.headers;
    response
}

/// A reply as it is; what is written is not.
fn bare(reply: Reply) -> Started {
    let bytes = match reply.body {
        Body::Bytes(bytes) => bytes,
        Body::Written(_) => Bytes::new(),
    };
    outlet::whole(reply.status, reply.headers, bytes, None)
}

fn unrouted(target: Target<'_>, query: Option<&str>) -> Reply {
    let allow = |methods: String| HeaderValue::try_from(methods).unwrap_or(TEXT);
    match target {
        Target::Redirect(status, path) => match query {
            Some(query) => Reply::redirect(status, &format!("{path}?{query}")),
            None => Reply::redirect(status, &path),
        },
        Target::NotAllowed(methods) => Reply::method_not_allowed(allow(methods)),
        Target::Options(methods) => Reply::empty(StatusCode::OK).with(ALLOW, allow(methods)),
        Target::Route(..) | Target::NotFound => Reply::not_found(),
    }
}

/// What needs data is answered so until there is data, and when there is none any more.
fn unavailable(state: State) -> Reply {
    let stopping = if state == State::Stopping {
        "true"
    } else {
        "false"
    };
    Reply::new(StatusCode::SERVICE_UNAVAILABLE, TEXT, "Service Unavailable").with(
        HeaderName::from_static("x-prometheus-stopping"),
        HeaderValue::from_static(stopping),
    )
}

/// The body, if it is a form; other bodies are not looked at.
async fn read_form<B>(app: &App, headers: &HeaderMap, body: B) -> Result<Option<Bytes>, ApiError>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("");
    let kind = kind
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => {}
        "multipart/form-data" => {
            let message =
                "multipart forms are not supported, send application/x-www-form-urlencoded";
            return Err(ApiError::bad_data(message));
        }
        _ => return Ok(None),
    }
    let reading = Limited::new(body, FORM_BYTES_MAX).collect();
    match tokio::time::timeout(app.options.read_timeout, reading).await {
        Ok(Ok(collected)) => Ok(Some(collected.to_bytes())),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(
            ApiError::bad_data("error parsing form values: http: POST too large"),
        ),
        Ok(Err(error)) => Err(ApiError::bad_data(format!(
            "error parsing form values: {error}"
        ))),
        Err(_) => Err(ApiError::bad_data(
            "error parsing form values: reading the body timed out",
        )),
    }
}

async fn run(app: &Arc<App>, route: &Route, call: Call, encoding: Option<Encoding>) -> Started {
    match route.run {
        Run::Inline(handler) => {
            let answer = catch_unwind(AssertUnwindSafe(|| handler(app, &call)));
            let reply = answer.unwrap_or_else(|_| panicked(&call.path));
            outlet::whole_or_empty(reply, encoding)
        }
        Run::Reload => bare(lifecycle::reload(app).await),
        Run::Blocking(handler) => {
            on_thread(app, Arc::clone(&app.lookups), handler, call, encoding).await
        }
        Run::Query(handler) => {
            on_thread(app, Arc::clone(&app.queries), handler, call, encoding).await
        }
    }
}

/// Runs the handler on a thread of the blocking pool, when `gate` lets it.
async fn on_thread(
    app: &Arc<App>,
    gate: Arc<Semaphore>,
    handler: fn(&App, &Call) -> Reply,
    call: Call,
    encoding: Option<Encoding>,
) -> Started {
    let patience = app.deps.engine.options().timeout;
    let permit = match tokio::time::timeout(patience, gate.acquire_owned()).await {
        Ok(Ok(permit)) => permit,
        // The gates are never closed.
        Ok(Err(_)) | Err(_) => {
            return bare(ApiError::from(QueryError::TimeoutInQueue).into());
        }
    };
    let path = call.path.clone();
    let (start, started) = oneshot::channel();
    let on_it = Arc::clone(app);
    // Not awaited: a large answer is still being written when its head has left.
    tokio::task::spawn_blocking(move || {
        let reply = handler(&on_it, &call);
        // Writing waits for the client, which must not keep others from asking.
        drop(permit);
        if outlet::send(reply, encoding, start).is_err() {
            tracing::debug!(path = call.path, "the client went away");
        }
    });
    // The sender is dropped unused only if the handler panics.
    started.await.unwrap_or_else(|_| bare(panicked(&path)))
}

/// The answer of a handler that has a bug. The panic itself went to the log.
fn panicked(path: &str) -> Reply {
    tracing::error!(path, "panic while serving request");
    let message = "internal error while serving the request, see the log of the server";
    ApiError::new(ErrorKind::Internal, message).into()
}
