//! What the server counts of itself, under Prometheus's names.

use std::time::Duration;

use http::StatusCode;
use telemetry::{Counter, CounterVec, Gauge, Histogram, Registry};

use crate::error::client_closed_request;
use crate::routes::ROUTES;

/// Seconds that a request may take, as upstream's buckets cut them.
const DURATION_BUCKETS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];
/// 100 bytes to 1 GB.
const SIZE_BUCKETS: [f64; 8] = [1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];

struct PerRoute {
    label: String,
    ok: Counter,
    duration: Histogram,
    size: Histogram,
}

/// The server's metrics; one child per route is there from the start.
pub(crate) struct HttpMetrics {
    requests: CounterVec,
    by_route: Vec<PerRoute>,
    pub(crate) ready: Gauge,
    pub(crate) federation_errors: Counter,
    pub(crate) federation_warnings: Counter,
    pub(crate) connections_accepted: Counter,
    pub(crate) expositions: Expositions,
    pub(crate) connections_closed: Counter,
    clock: clock::SharedClock,
}

impl HttpMetrics {
    pub(crate) fn new(registry: &Registry, clock: clock::SharedClock) -> HttpMetrics {
        let requests = registry.counter_vec(
            "prometheus_http_requests_total",
            "Counter of HTTP requests.",
            &["handler", "code"],
        );
        let durations = registry.histogram_vec(
            "prometheus_http_request_duration_seconds",
            "Histogram of latencies for HTTP requests.",
            &["handler"],
            &DURATION_BUCKETS,
        );
        let sizes = registry.histogram_vec(
            "prometheus_http_response_size_bytes",
            "Histogram of response size for HTTP requests.",
            &["handler"],
            &SIZE_BUCKETS,
        );
        let by_route = ROUTES.iter().map(|route| {
            let label = route.label();
            PerRoute {
                ok: requests.with(&[&label, "200"]),
                duration: durations.with(&[&label]),
                size: sizes.with(&[&label]),
                label,
            }
        });
        let listener = |name, help| registry.counter_vec(name, help, &["listener_name"]);
        HttpMetrics {
            by_route: by_route.collect(),
            requests,
            ready: registry.gauge(
                "prometheus_ready",
                "Whether startup was fully completed and the server is ready for normal operation.",
            ),
            federation_errors: registry.counter(
                "prometheus_web_federation_errors_total",
                "Total number of errors that occurred while sending federation responses.",
            ),
            federation_warnings: registry.counter(
                "prometheus_web_federation_warnings_total",
                "Total number of warnings that occurred while sending federation responses.",
            ),
            connections_accepted: listener(
                "net_conntrack_listener_conn_accepted_total",
                "Total number of connections opened to the listener of a given name.",
            )
            .with(&["http"]),
            connections_closed: listener(
                "net_conntrack_listener_conn_closed_total",
                "Total number of connections closed that were made to the listener of a given name.",
            )
            .with(&["http"]),
            expositions: Expositions::new(registry),
            clock,
        }
    }
}

/// Own metrics that are asked for.
pub(crate) struct Expositions {
    ok: Counter,
    in_flight: Gauge,
}

impl Expositions {
    fn new(registry: &Registry) -> Expositions {
        let requests = registry.counter_vec(
            "promhttp_metric_handler_requests_total",
            "Total number of scrapes by HTTP status code.",
            &["code"],
        );
        // There is nothing that could fail, but upstream shows these two as well.
        for code in ["500", "503"] {
            let _ = requests.with(&[code]);
        }
        Expositions {
            ok: requests.with(&["200"]),
            in_flight: registry.gauge(
                "promhttp_metric_handler_requests_in_flight",
                "Current number of scrapes being served.",
            ),
        }
    }

    /// Counts one while `write` writes it.
    pub(crate) fn count<T>(&self, write: impl FnOnce() -> T) -> T {
        self.in_flight.add(1.0);
        let written = write();
        self.in_flight.add(-1.0);
        self.ok.inc();
        written
    }
}

/// One request under way; counted when it is dropped.
pub(crate) struct Observation {
    metrics: std::sync::Arc<HttpMetrics>,
    route: usize,
    status: StatusCode,
    bytes: usize,
    start: Duration,
}

impl Observation {
    /// Of the route at that place in [`ROUTES`]. Until a status is set it is the one of a client
    /// that went away.
    pub(crate) fn new(metrics: std::sync::Arc<HttpMetrics>, route: usize) -> Observation {
        Observation {
            start: metrics.clock.monotonic(),
            metrics,
            route,
            status: client_closed_request(),
            bytes: 0,
        }
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = status;
    }

    pub(crate) fn add_bytes(&mut self, count: usize) {
        self.bytes += count;
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let metrics = &self.metrics.by_route[self.route];
        let duration = self.metrics.clock.monotonic().saturating_sub(self.start);
        metrics.duration.observe(duration.as_secs_f64());
        metrics.size.observe(self.bytes as f64);
        if self.status == StatusCode::OK {
            metrics.ok.inc();
        } else {
            let labels = [metrics.label.as_str(), self.status.as_str()];
            self.metrics.requests.with(&labels).inc();
        }
    }
}
