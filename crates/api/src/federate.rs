//! `/federate`: the newest sample of matching series, as text for another server to scrape.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gocompat::strconv::format_float_g;
use http::StatusCode;
use http::header::HeaderValue;
use model::names::is_legacy_metric_name;
use model::{Labels, METRIC_NAME, Matcher, is_stale_nan};
use storage::{Samples, SelectHints, StorageError};

use crate::app::{App, Call};
use crate::escaping::Scheme;
use crate::reply::{EXPOSITION, Reply};

/// A series with its newest sample.
struct Newest {
    labels: Labels,
    timestamp_ms: i64,
    value: f64,
}

/// `GET /federate`
pub(crate) fn federate(app: &App, call: &Call) -> Reply {
    if let Some(error) = call.form.error() {
        let message = format!("error parsing form values: {error}");
        return Reply::plain_error(StatusCode::BAD_REQUEST, &message);
    }
    // Selectors that match everything are allowed here, as upstream.
    let sets = match promql_syntax::parse_metric_selectors(call.form.all("match[]")) {
        Ok(sets) => sets,
        Err(errors) => {
            return Reply::plain_error(StatusCode::BAD_REQUEST, &errors.to_string());
        }
    };
    match collect(app, call, &sets) {
        Ok(found) => exposition(app, call, found),
        Err(error) => {
            app.metrics.federation_errors.inc();
            let status = match error {
                StorageError::NotReady => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            Reply::plain_error(status, &error.to_string())
        }
    }
}

/// Newest samples by metric name, then labels. Native histograms have no form in text and are left
/// out, as are series that ended.
fn collect(app: &App, call: &Call, sets: &[Vec<Matcher>]) -> Result<Vec<Newest>, StorageError> {
    let max_ms = app.deps.clock.now_ms();
    let min_ms = max_ms - app.deps.engine.options().lookback_delta_ms;
    let querier = app.deps.queryable.querier(min_ms, max_ms)?;
    let hints = SelectHints {
        start_ms: min_ms,
        end_ms: max_ms,
        ..SelectHints::default()
    };
    let mut found = Vec::new();
    let mut samples = Samples::default();
    for set in sets {
        let selected = querier.select(true, &hints, set)?;
        app.metrics
            .federation_warnings
            .add(selected.warnings.len() as f64);
        for series in selected.series {
            if call.cancel.is_canceled() {
                return Ok(Vec::new());
            }
            samples.clear();
            series.read(min_ms, max_ms, &mut samples)?;
            let newest = samples.timestamps.last().zip(samples.values.last());
            let Some((&timestamp_ms, &value)) = newest else {
                continue;
            };
            let histogram_is_newer = samples
                .histograms
                .last()
                .is_some_and(|(at_ms, _)| *at_ms > timestamp_ms);
            if !histogram_is_newer && !is_stale_nan(value) {
                let labels = series.labels().clone();
                found.push(Newest {
                    labels,
                    timestamp_ms,
                    value,
                });
            }
        }
    }
    found.sort_by(|a, b| {
        let by_name = a.labels.metric_name().cmp(b.labels.metric_name());
        by_name.then_with(|| a.labels.cmp(&b.labels))
    });
    // A series that several selectors match.
    found.dedup_by(|a, b| a.labels == b.labels);
    Ok(found)
}

fn exposition(app: &App, call: &Call, found: Vec<Newest>) -> Reply {
    let scheme = Scheme::negotiate(&call.headers);
    let external_labels = (app.deps.config)().external_labels;
    let mut added: BTreeMap<&str, &str> = external_labels.iter().collect();
    // An empty instance keeps the scraping server from adding its own.
    added.entry("instance").or_insert("");
    let mut text = String::new();
    let mut last_name = "";
    for newest in &found {
        let name = newest.labels.metric_name();
        if name.is_empty() {
            tracing::warn!(metric = %newest.labels, "ignoring nameless metric during federation");
            continue;
        }
        if name != last_name {
            text.push_str("# TYPE ");
            push_name(&mut text, &scheme.escape(name));
            text.push_str(" untyped\n");
            last_name = name;
        }
        push_sample(&mut text, newest, scheme, &added);
    }
    let kind = match scheme {
        Scheme::Underscores => EXPOSITION,
        _ => HeaderValue::try_from(format!(
            "text/plain; version=0.0.4; charset=utf-8; escaping={}",
            scheme.as_str()
        ))
        .unwrap_or(EXPOSITION),
    };
    Reply::new(StatusCode::OK, kind, text)
}

fn push_sample(text: &mut String, newest: &Newest, scheme: Scheme, added: &BTreeMap<&str, &str>) {
    let name = scheme.escape(newest.labels.metric_name());
    let mut separator = '{';
    if is_legacy_metric_name(&name) {
        text.push_str(&name);
    } else {
        text.push(separator);
        push_name(text, &name);
        separator = ',';
    }
    let own = newest
        .labels
        .iter()
        .filter(|(name, _)| *name != METRIC_NAME);
    let missing = added.iter().filter(|(name, _)| !newest.labels.has(name));
    for (name, value) in own.chain(missing.map(|(name, value)| (*name, *value))) {
        text.push(separator);
        push_name(text, &scheme.escape(name));
        text.push_str("=\"");
        push_escaped(text, value);
        text.push('"');
        separator = ',';
    }
    let value = match newest.value {
        // Minus zero loses its sign, as upstream.
        0.0 => "0".to_owned(),
        value => format_float_g(value),
    };
    let _ = writeln!(text, "}} {value} {}", newest.timestamp_ms);
}

fn push_name(text: &mut String, name: &str) {
    if is_legacy_metric_name(name) {
        text.push_str(name);
    } else {
        text.push('"');
        push_escaped(text, name);
        text.push('"');
    }
}

fn push_escaped(text: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '"' => text.push_str("\\\""),
            c => text.push(c),
        }
    }
}
