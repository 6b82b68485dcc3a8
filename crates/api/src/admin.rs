//! `admin/tsdb/*`: what an operator may do to stored samples. Off unless `--web.enable-admin-api`.

use http::StatusCode;
use storage::StorageError;

use crate::app::{App, Call};
use crate::error::{ApiError, ErrorKind};
use crate::params::{self, format_rfc3339};
use crate::reply::Reply;

fn enabled(app: &App) -> Result<(), ApiError> {
    match app.options.enable_admin_api {
        true => Ok(()),
        false => Err(ApiError::new(ErrorKind::Unavailable, "admin APIs disabled")),
    }
}

fn internal(error: &StorageError) -> ApiError {
    ApiError::new(ErrorKind::Internal, error.to_string())
}

/// `POST|PUT /api/v1/admin/tsdb/delete_series`. All selectors are read before anything is deleted.
pub(crate) fn delete_series(app: &App, call: &Call) -> Reply {
    answer_delete(app, call).into()
}

fn answer_delete(app: &App, call: &Call) -> Result<Reply, ApiError> {
    enabled(app)?;
    if let Some(error) = call.form.error() {
        let message = format!("error parsing form values: {error}");
        return Err(ApiError::bad_data(message));
    }
    let texts: Vec<_> = call.form.all("match[]").collect();
    if texts.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (min_ms, max_ms) = params::time_range_ms(&call.form)?;
    let sets = promql_syntax::parse_metric_selectors(texts)
        .map_err(|errors| ApiError::parameter("match[]", errors.to_string()))?;
    for matchers in &sets {
        let deleted = app.deps.admin.delete_series(matchers, min_ms, max_ms);
        deleted.map_err(|error| internal(&error))?;
    }
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST|PUT /api/v1/admin/tsdb/clean_tombstones`
pub(crate) fn clean_tombstones(app: &App, _: &Call) -> Reply {
    let clean = || {
        enabled(app)?;
        let cleaned = app.deps.admin.clean_tombstones();
        cleaned.map_err(|error| internal(&error))?;
        Ok(Reply::empty(StatusCode::NO_CONTENT))
    };
    clean().into()
}

/// `POST|PUT /api/v1/admin/tsdb/snapshot`
pub(crate) fn snapshot(app: &App, call: &Call) -> Reply {
    answer_snapshot(app, call).into()
}

fn answer_snapshot(app: &App, call: &Call) -> Result<Reply, ApiError> {
    enabled(app)?;
    let skip_head = match call.form.first("skip_head") {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
        text => {
            let text = gocompat::strconv::quote(text);
            return Err(ApiError::parameter(
                "skip_head",
                format!(
                    "unable to parse boolean: strconv.ParseBool: parsing {text}: invalid syntax"
                ),
            ));
        }
    };
    let name = snapshot_name(app.deps.clock.now_ns(), fastrand::u64(..) >> 1);
    let taken = app.deps.admin.snapshot(&name, skip_head);
    taken.map_err(|error| {
        let message = format!("create snapshot: {error}");
        ApiError::new(ErrorKind::Internal, message)
    })?;
    Ok(Reply::data(|json| {
        json.object(|json| json.key("name").text(&name));
    }))
}

/// `20151103T132158Z-` and 16 digits: the names sort by time.
fn snapshot_name(now_ns: i64, random: u64) -> String {
    let second_ns = now_ns.div_euclid(1_000_000_000) * 1_000_000_000;
    let time = format_rfc3339(second_ns).replace(['-', ':'], "");
    format!("{time}-{random:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upstreams() {
        let name = snapshot_name(1_446_557_318_999_999_999, 0xbeef);
        assert_eq!(name, "20151103T132838Z-000000000000beef");
    }
}
