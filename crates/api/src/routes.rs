//! All routes in one table, and which of them a request means.
//!
//! What does not match is answered as upstream's two routers do together: paths that are not clean
//! are redirected (307), a slash too many or too few and wrong case are redirected (301, or 307 if
//! it is no GET), other methods get 405 with `Allow`, the rest 404.

use http::{Method, StatusCode};

use crate::app::{App, Call};
use crate::reply::Reply;
use crate::{
    admin, federate, labels, lifecycle, metadata, page, queries, query, rules, status, syntax,
    targets, unsupported,
};

/// Methods as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Methods(u8);

const GET: Methods = Methods(1);
const HEAD: Methods = Methods(2);
const POST: Methods = Methods(4);
const PUT: Methods = Methods(8);
const OPTIONS: Methods = Methods(16);
const DELETE: Methods = Methods(32);
const GET_HEAD: Methods = Methods(1 | 2);
const GET_POST: Methods = Methods(1 | 4);
const POST_PUT: Methods = Methods(4 | 8);

/// Methods by name, sorted, as `Allow` lists them.
const NAMES: [(Methods, &str); 6] = [
    (DELETE, "DELETE"),
    (GET, "GET"),
    (HEAD, "HEAD"),
    (OPTIONS, "OPTIONS"),
    (POST, "POST"),
    (PUT, "PUT"),
];

impl Methods {
    fn of(method: &Method) -> Methods {
        let named = NAMES.iter().find(|(_, name)| *name == method.as_str());
        named.map_or(Methods(0), |(bit, _)| *bit)
    }

    fn has(self, other: Methods) -> bool {
        self.0 & other.0 != 0
    }
}

/// How a route is answered.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// At once: reads memory only.
    Inline(fn(&App, &Call) -> Reply),
    /// On a thread for work that takes time.
    Blocking(fn(&App, &Call) -> Reply),
    /// On a thread for queries, which may have to wait for each other.
    Query(fn(&App, &Call) -> Reply),
    /// Waits for the reload of the configuration.
    Reload,
}

/// Where a route lives and what goes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Area {
    /// Below the route prefix; as it is.
    Root,
    /// Below `/api/v1`: compressed, with CORS.
    Api,
    /// Below `/api/v1`, for receivers: neither.
    Receiver,
}

/// One route.
pub(crate) struct Route {
    pub(crate) area: Area,
    /// `:name` takes one segment, `*rest` at the end takes what remains.
    pub(crate) path: &'static str,
    pub(crate) methods: Methods,
    /// Whether it answers 503 until the server is ready.
    pub(crate) gated: bool,
    pub(crate) compressed: bool,
    pub(crate) run: Run,
}

impl Route {
    /// The value of the label `handler`.
    pub(crate) fn label(&self) -> String {
        match self.area {
            Area::Root => self.path.to_owned(),
            Area::Api | Area::Receiver => format!("{API}{}", self.path),
        }
    }
}

const API: &str = "/api/v1";

const fn root(path: &'static str, run: Run) -> Route {
    Route {
        area: Area::Root,
        path,
        methods: GET,
        gated: false,
        compressed: false,
        run,
    }
}

const fn api(methods: Methods, path: &'static str, run: Run) -> Route {
    Route {
        area: Area::Api,
        path,
        methods,
        gated: true,
        compressed: true,
        run,
    }
}

const fn receiver(path: &'static str, run: Run) -> Route {
    Route {
        area: Area::Receiver,
        methods: POST,
        compressed: false,
        ..api(POST, path, run)
    }
}

const fn uncompressed(route: Route) -> Route {
    Route {
        compressed: false,
        ..route
    }
}

/// Answers whatever state the server is in.
const fn always(route: Route) -> Route {
    Route {
        gated: false,
        ..uncompressed(route)
    }
}

use Run::{Blocking, Inline, Query, Reload};

/// Every route that there is.
pub(crate) static ROUTES: &[Route] = &[
    // The page.
    root("/", Inline(page::home)),
    root("/graph", Inline(page::graph)),
    root("/query", Inline(page::index)),
    root("/alerts", Inline(page::index)),
    root("/rules", Inline(page::index)),
    root("/targets", Inline(page::index)),
    root("/service-discovery", Inline(page::index)),
    root("/alertmanager-discovery", Inline(page::index)),
    root("/status", Inline(page::index)),
    root("/tsdb-status", Inline(page::index)),
    root("/config", Inline(page::index)),
    root("/flags", Inline(page::index)),
    root("/assets/*filepath", Inline(page::asset)),
    root("/favicon.svg", Inline(page::asset)),
    root("/favicon.ico", Inline(page::asset)),
    root("/manifest.json", Inline(page::asset)),
    // The process.
    root("/version", Inline(status::version)),
    Route {
        compressed: true,
        ..root("/metrics", Blocking(status::metrics))
    },
    Route {
        compressed: true,
        ..root("/metrics/host", Blocking(status::host_metrics))
    },
    Route {
        gated: true,
        compressed: true,
        ..root("/federate", Query(federate::federate))
    },
    Route {
        methods: GET_HEAD,
        ..root("/-/healthy", Inline(lifecycle::healthy))
    },
    Route {
        methods: GET_HEAD,
        gated: true,
        ..root("/-/ready", Inline(lifecycle::ready))
    },
    root("/-/reload", Inline(lifecycle::only_post)),
    Route {
        methods: POST_PUT,
        ..root("/-/reload", Reload)
    },
    root("/-/quit", Inline(lifecycle::only_post)),
    Route {
        methods: POST_PUT,
        ..root("/-/quit", Inline(lifecycle::quit))
    },
    // Queries.
    api(OPTIONS, "/*path", Inline(lifecycle::options)),
    api(GET_POST, "/query", Query(query::instant)),
    api(GET_POST, "/query_range", Query(query::range)),
    api(GET, "/queries", Inline(queries::list)),
    api(DELETE, "/queries/:id", Inline(queries::cancel)),
    api(GET_POST, "/query_exemplars", Inline(query::exemplars)),
    api(GET_POST, "/format_query", Inline(syntax::format_query)),
    api(GET_POST, "/parse_query", Inline(syntax::parse_query)),
    // Series and what is known of them.
    api(GET_POST, "/series", Blocking(labels::series)),
    api(GET_POST, "/labels", Blocking(labels::names)),
    api(GET, "/label/:name/values", Blocking(labels::values)),
    api(GET, "/metadata", Blocking(metadata::by_metric)),
    // Targets.
    api(GET, "/scrape_pools", Blocking(targets::pools)),
    api(GET, "/scrape_pools/config", Inline(targets::pool_config)),
    api(GET, "/targets", Blocking(targets::targets)),
    api(GET, "/targets/metadata", Blocking(metadata::by_target)),
    api(
        GET,
        "/targets/relabel_steps",
        Inline(targets::relabel_steps),
    ),
    // Rules and alerts.
    api(GET, "/alerts", Inline(rules::alerts)),
    api(GET, "/rules", Inline(rules::rules)),
    api(GET, "/alertmanagers", Inline(rules::alertmanagers)),
    // Status.
    api(GET, "/status/config", Inline(status::config)),
    api(GET, "/status/runtimeinfo", Inline(status::runtime_info)),
    api(GET, "/status/buildinfo", Inline(status::build_info)),
    api(GET, "/status/flags", Inline(status::flags)),
    api(GET, "/status/tsdb", Blocking(status::tsdb)),
    api(GET, "/status/tsdb/blocks", Blocking(status::blocks)),
    api(
        GET,
        "/status/self_metrics",
        Inline(unsupported::self_metrics),
    ),
    api(GET, "/features", Inline(status::features)),
    always(api(GET, "/status/walreplay", Inline(status::replay))),
    always(api(GET, "/notifications", Inline(status::notifications))),
    always(api(
        GET,
        "/notifications/live",
        Inline(status::notifications_live),
    )),
    // What changes stored samples.
    api(
        POST_PUT,
        "/admin/tsdb/delete_series",
        Blocking(admin::delete_series),
    ),
    api(
        POST_PUT,
        "/admin/tsdb/clean_tombstones",
        Blocking(admin::clean_tombstones),
    ),
    api(POST_PUT, "/admin/tsdb/snapshot", Blocking(admin::snapshot)),
    // What is refused.
    receiver("/read", Inline(unsupported::remote_read)),
    receiver("/write", Inline(unsupported::remote_write)),
    receiver("/otlp/v1/metrics", Inline(unsupported::otlp)),
    uncompressed(api(
        GET_POST,
        "/search/metric_names",
        Inline(unsupported::search),
    )),
    uncompressed(api(
        GET_POST,
        "/search/label_names",
        Inline(unsupported::search),
    )),
    uncompressed(api(
        GET_POST,
        "/search/label_values",
        Inline(unsupported::search),
    )),
    api(GET, "/openapi.yaml", Inline(unsupported::openapi)),
];

/// What a request means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target<'p> {
    /// The route at that place of [`ROUTES`], with what its `:name` or `*rest` took; encoded.
    Route(usize, &'p str),
    /// Another path, without the query.
    Redirect(StatusCode, String),
    /// The methods that would do.
    NotAllowed(String),
    /// The answer to `OPTIONS`: the same.
    Options(String),
    NotFound,
}

/// Finds what `method` and the encoded `path` mean below `prefix`.
pub(crate) fn find<'p>(prefix: &str, method: &Method, path: &'p str) -> Target<'p> {
    let clean = clean(path);
    if clean != path {
        return Target::Redirect(StatusCode::TEMPORARY_REDIRECT, clean);
    }
    if !prefix.is_empty() && path == "/" && method == Method::GET {
        return Target::Redirect(StatusCode::FOUND, prefix.to_owned());
    }
    let Some(below) = path
        .strip_prefix(prefix)
        .filter(|below| below.starts_with('/') || below.is_empty())
    else {
        return Target::NotFound;
    };
    let (is_api, below) = match below.strip_prefix(API) {
        Some(rest) if rest.starts_with('/') => (true, rest),
        _ => (false, below),
    };
    let wanted = Methods::of(method);
    if let Some((at, rest)) = lookup(is_api, wanted, below) {
        return Target::Route(at, rest);
    }
    if let Some(fixed) = nearly(is_api, wanted, below) {
        let status = match *method {
            Method::GET => StatusCode::MOVED_PERMANENTLY,
            _ => StatusCode::TEMPORARY_REDIRECT,
        };
        let area = if is_api { API } else { "" };
        return Target::Redirect(status, format!("{prefix}{area}{fixed}"));
    }
    match allowed(is_api, below) {
        Some(allow) if wanted == OPTIONS => Target::Options(allow),
        Some(allow) => Target::NotAllowed(allow),
        None => Target::NotFound,
    }
}

fn in_area(is_api: bool) -> impl Iterator<Item = (usize, &'static Route)> {
    let routes = ROUTES.iter().enumerate();
    routes.filter(move |(_, route)| (route.area != Area::Root) == is_api)
}

fn lookup(is_api: bool, method: Methods, path: &str) -> Option<(usize, &str)> {
    in_area(is_api)
        .filter(|(_, route)| route.methods.has(method))
        .find_map(|(at, route)| Some((at, taken(route.path, path)?)))
}

/// What a pattern's placeholder takes of a path that matches; empty if it has none.
fn taken<'p>(pattern: &str, path: &'p str) -> Option<&'p str> {
    if let Some((before, _)) = pattern.split_once('*') {
        return path.strip_prefix(before);
    }
    let Some((before, named)) = pattern.split_once(':') else {
        return (pattern == path).then_some("");
    };
    let after = named.find('/').map_or("", |at| &named[at..]);
    let segment = path.strip_prefix(before)?.strip_suffix(after)?;
    (!segment.is_empty() && !segment.contains('/')).then_some(segment)
}

/// The path that was meant: without its last slash, or in the right case.
fn nearly(is_api: bool, method: Methods, path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("/".to_owned());
    }
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    if trimmed.len() < path.len()
        && !trimmed.is_empty()
        && lookup(is_api, method, trimmed).is_some()
    {
        return Some(trimmed.to_owned());
    }
    in_area(is_api)
        .filter(|(_, route)| route.methods.has(method))
        .find(|(_, route)| route.path.len() > 1 && route.path.eq_ignore_ascii_case(trimmed))
        .map(|(_, route)| route.path.to_owned())
}

fn allowed(is_api: bool, path: &str) -> Option<String> {
    let matching = in_area(is_api)
        .filter(|(_, route)| route.methods != OPTIONS && taken(route.path, path).is_some());
    let methods = matching.fold(0, |bits, (_, route)| bits | route.methods.0);
    (methods != 0).then(|| {
        let all = Methods(methods | OPTIONS.0);
        let names = NAMES.iter().filter(|(bit, _)| all.has(*bit));
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    })
}

/// A path without empty, `.` and `..` segments; a slash at its end stays.
fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut clean = format!("/{}", segments.join("/"));
    let ends_open = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if ends_open && clean.len() > 1 {
        clean.push('/');
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(prefix: &str, method: &str, path: &str) -> String {
        let method: Method = method.parse().unwrap();
        match find(prefix, &method, path) {
            Target::Route(at, rest) => format!("{} {rest}", ROUTES[at].label()),
            Target::Redirect(status, to) => format!("{} {to}", status.as_u16()),
            Target::NotAllowed(allow) => format!("405 {allow}"),
            Target::Options(allow) => format!("200 {allow}"),
            Target::NotFound => "404".to_owned(),
        }
    }

    #[test]
    fn requests_find_their_routes() {
        for (method, path, expected) in [
            ("GET", "/", "/ "),
            ("GET", "/-/healthy", "/-/healthy "),
            ("HEAD", "/-/healthy", "/-/healthy "),
            ("HEAD", "/metrics", "405 GET, OPTIONS"),
            ("POST", "/-/healthy", "405 GET, HEAD, OPTIONS"),
            ("OPTIONS", "/metrics", "200 GET, OPTIONS"),
            ("OPTIONS", "/nope", "404"),
            ("PUT", "/-/reload", "/-/reload "),
            ("GET", "/assets/a/b.js", "/assets/*filepath a/b.js"),
            ("POST", "/api/v1/query", "/api/v1/query "),
            ("OPTIONS", "/api/v1/query", "/api/v1/*path query"),
            ("DELETE", "/api/v1/query", "405 GET, OPTIONS, POST"),
            ("PATCH", "/api/v1/nope", "404"),
            ("DELETE", "/api/v1/queries/7", "/api/v1/queries/:id 7"),
            ("GET", "/api/v1/queries/7", "405 DELETE, OPTIONS"),
            ("GET", "/api/v1/write", "405 OPTIONS, POST"),
            (
                "GET",
                "/api/v1/label/job/values",
                "/api/v1/label/:name/values job",
            ),
            (
                "GET",
                "/api/v1/label/a%2Fb/values",
                "/api/v1/label/:name/values a%2Fb",
            ),
            ("GET", "/api/v1/label/a/b/values", "404"),
            ("GET", "/api/v1/label//values", "307 /api/v1/label/values"),
            ("GET", "/api/v1/query/", "301 /api/v1/query"),
            ("POST", "/api/v1/query/", "307 /api/v1/query"),
            ("GET", "/api/v1/", "404"),
            ("GET", "/api/v2/query", "404"),
            ("GET", "//metrics", "307 /metrics"),
            ("GET", "/a/../metrics/./", "307 /metrics/"),
            ("GET", "/../../etc", "307 /etc"),
            ("GET", "/Metrics", "301 /metrics"),
            ("GET", "/nope", "404"),
        ] {
            assert_eq!(found("", method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn everything_lies_under_the_prefix() {
        for (path, expected) in [
            ("/", "302 /p/q"),
            ("/p/q", "301 /p/q/"),
            ("/p/q/", "/ "),
            ("/p/q/metrics", "/metrics "),
            ("/p/q/api/v1/query", "/api/v1/query "),
            ("/p/q/api/v1/query/", "301 /p/q/api/v1/query"),
            ("/metrics", "404"),
            ("/p/qmetrics", "404"),
        ] {
            assert_eq!(found("/p/q", "GET", path), expected, "{path}");
        }
    }
}
