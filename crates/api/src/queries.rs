//! `queries`: what waits, runs and was slow, and how to end it. No counterpart upstream.
//!
//! Ending a query needs no flag: whoever may ask queries may load the server with them already, and
//! whoever is to stop one in a hurry shall not have to restart it first. Pages of other origins
//! cannot do it: CORS allows them no `DELETE`.

use http::StatusCode;
use promql::{ActiveQuery, SlowQuery};

use crate::app::{App, Call};
use crate::error::{ApiError, ErrorKind};
use crate::json::Json;
use crate::reply::Reply;

/// `GET /api/v1/queries`
pub(crate) fn list(app: &App, _: &Call) -> Reply {
    let queries = &app.deps.engine.options().queries;
    let (active, slow) = (queries.active(), queries.slow());
    Reply::data(|json| {
        json.object(|json| {
            json.key("active").array(|json| {
                for query in &active {
                    json.object(|json| write_query(json, query));
                }
            });
            json.key("slow").array(|json| {
                for query in &slow {
                    json.object(|json| write_slow(json, query));
                }
            });
        });
    })
}

/// `DELETE /api/v1/queries/<id>`
pub(crate) fn cancel(app: &App, call: &Call) -> Reply {
    let queries = &app.deps.engine.options().queries;
    let id = call.param.parse();
    if id.is_ok_and(|id| queries.cancel(id)) {
        return Reply::empty(StatusCode::NO_CONTENT);
    }
    let id = gocompat::strconv::quote(&call.param);
    let message = format!("no query {id} waits or runs");
    ApiError::new(ErrorKind::NotFound, message).into()
}

fn write_query(json: &mut Json, query: &ActiveQuery) {
    let asked = query.asked;
    let kind = if asked.step_ms == 0 {
        "instant"
    } else {
        "range"
    };
    let state = if query.is_running {
        "running"
    } else {
        "queued"
    };
    json.key("id").text(&query.id.to_string());
    json.key("query").text(&query.query);
    json.key("kind").text(kind);
    json.key("state").text(state);
    json.key("start").time(asked.start_ms);
    json.key("end").time(asked.end_ms);
    json.key("step").time(asked.step_ms);
    json.key("since").time(query.since_ms);
    if let Some(origin) = &query.origin {
        let client = origin.client.map(|ip| ip.to_string());
        json.key("client").text(&client.unwrap_or_default());
        json.key("method").text(&origin.method);
        json.key("path").text(&origin.path);
    }
    json.key("series").uint(query.series);
    json.key("samples").uint(query.samples);
    json.key("bytes").uint(query.bytes);
}

fn write_slow(json: &mut Json, slow: &SlowQuery) {
    let SlowQuery {
        query,
        duration_s,
        error,
    } = slow;
    write_query(json, query);
    json.key("duration").float(*duration_s);
    json.key("outcome")
        .text(if error.is_none() { "success" } else { "error" });
    if let Some(error) = error {
        json.key("error").text(error);
    }
}
