//! `series`, `labels` and `label/<name>/values`: what exists.

use std::collections::BTreeSet;

use gocompat::strconv::quote;
use model::{Labels, Matcher, NameScheme};
use storage::{Querier, SelectHints, StorageError};

use crate::app::{App, Call};
use crate::error::{ApiError, ErrorKind};
use crate::escaping::unescape_values;
use crate::params;
use crate::reply::{Notes, Reply};

/// Series after which it is looked whether anybody still waits.
const SERIES_PER_CHECK: usize = 4096;

/// `GET|POST /api/v1/labels`
pub(crate) fn names(app: &App, call: &Call) -> Reply {
    texts(app, call, |querier, matchers, limit| {
        querier.label_names(matchers, limit)
    })
    .into()
}

/// `GET /api/v1/label/<name>/values`
pub(crate) fn values(app: &App, call: &Call) -> Reply {
    let name = unescape_values(&call.param);
    if !NameScheme::Utf8.is_valid_label_name(&name) {
        return ApiError::bad_data(format!("invalid label name: {}", quote(&name))).into();
    }
    let ask = |querier: &dyn Querier, matchers: &[Matcher], limit| {
        querier.label_values(&name, matchers, limit)
    };
    texts(app, call, ask).into()
}

/// The texts that `ask` finds for any of the selectors, sorted.
fn texts(
    app: &App,
    call: &Call,
    ask: impl Fn(&dyn Querier, &[Matcher], usize) -> Result<Vec<String>, StorageError>,
) -> Result<Reply, ApiError> {
    let limit = params::limit(&call.form)?;
    let (min_ms, max_ms) = params::time_range_ms(&call.form)?;
    let sets = params::matcher_sets(&call.form).map_err(ApiError::bad_data)?;
    let querier = app.deps.queryable.querier(min_ms, max_ms)?;
    let hint = params::limit_hint(limit);
    let mut found = match sets.as_slice() {
        [] => ask(&*querier, &[], hint)?,
        [only] => ask(&*querier, only, hint)?,
        many => {
            let mut union = BTreeSet::new();
            for set in many {
                union.extend(ask(&*querier, set, hint)?);
            }
            union.into_iter().collect()
        }
    };
    let mut notes = Notes::default();
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.truncated();
    }
    Ok(Reply::data_with_notes(&notes, |json| {
        json.array(|json| {
            for text in &found {
                json.text(text);
            }
        });
    }))
}

/// `GET|POST /api/v1/series`
pub(crate) fn series(app: &App, call: &Call) -> Reply {
    answer_series(app, call).into()
}

fn answer_series(app: &App, call: &Call) -> Result<Reply, ApiError> {
    if let Some(error) = call.form.error() {
        return Err(ApiError::bad_data(format!(
            "error parsing form values: {error}"
        )));
    }
    if call.form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let limit = params::limit(&call.form)?;
    let (min_ms, max_ms) = params::time_range_ms(&call.form)?;
    let sets =
        params::matcher_sets(&call.form).map_err(|error| ApiError::parameter("match[]", error))?;
    let querier = app.deps.queryable.querier(min_ms, max_ms)?;
    let hints = SelectHints {
        start_ms: min_ms,
        end_ms: max_ms,
        function: "series",
        limit: params::limit_hint(limit),
        ..SelectHints::default()
    };
    let mut notes = Notes::default();
    let mut found: Vec<Labels> = Vec::new();
    for set in &sets {
        let selected = querier.select(true, &hints, set)?;
        notes.warnings.extend(selected.warnings);
        for (at, series) in selected.series.iter().enumerate() {
            if at % SERIES_PER_CHECK == 0 && call.cancel.is_canceled() {
                return Err(ApiError::new(ErrorKind::Canceled, "context canceled"));
            }
            found.push(series.labels().clone());
        }
    }
    if sets.len() > 1 {
        found.sort();
        found.dedup();
    }
    if limit > 0 && found.len() > limit {
        found.truncate(limit);
        notes.truncated();
    }
    Ok(Reply::written(Box::new(move |outlet| {
        outlet.json.begin_object();
        outlet.json.key("status").text("success");
        outlet.json.key("data").begin_array();
        for labels in &found {
            outlet.json.labels(labels);
            outlet.relieve()?;
        }
        outlet.json.end_array();
        notes.write(&mut outlet.json);
        outlet.json.end_object();
        Ok(())
    })))
}
