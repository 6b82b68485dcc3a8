//! `query` and `query_range`: from parameters to the engine, and its answer as JSON.

use std::sync::Arc;
use std::time::Duration;

use gocompat::strconv::format_float_f;
use http::StatusCode;
use promql::{Origin, QueryOptions, QueryOutput, QueryStats, SampleStats, TraceNode, Value};
use storage::ExemplarSeries;

use crate::app::{App, Call};
use crate::error::{ApiError, ErrorKind};
use crate::json::Json;
use crate::matrix;
use crate::options::QueryEngine;
use crate::outlet::{Gone, Outlet};
use crate::params;
use crate::reply::{Notes, Reply};
use crate::syntax::parse_options;

/// A week at 60 s or a year at an hour; more would only make a client slow.
const POINTS_MAX: i128 = 11_000;

/// `GET|POST /api/v1/query`
pub(crate) fn instant(app: &App, call: &Call) -> Reply {
    answer_instant(app, call).into()
}

fn answer_instant(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let limit = params::limit(&call.form)?;
    let now = i128::from(app.deps.clock.now_ms()) * 1_000_000;
    let time = params::time_or(&call.form, "time", now)?;
    let options = query_options(call)?;
    let (engine, query) = (&app.deps.engine, call.form.first("query"));
    let output = engine.instant(&*app.deps.queryable, query, params::time_ms(time), &options)?;
    Ok(answer(app, call, output, limit))
}

/// `GET|POST /api/v1/query_range`
pub(crate) fn range(app: &App, call: &Call) -> Reply {
    answer_range(app, call).into()
}

fn answer_range(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let form = &call.form;
    let limit = params::limit(form)?;
    let time = |name: &str| {
        params::parse_time(form.first(name)).map_err(|error| ApiError::parameter(name, error))
    };
    let (start, end) = (time("start")?, time("end")?);
    if end < start {
        let message = "end timestamp must not be before start time";
        return Err(ApiError::parameter("end", message.to_owned()));
    }
    let step_ns = params::parse_duration_ns(form.first("step"))
        .map_err(|error| ApiError::parameter("step", error))?;
    // The engine counts in milliseconds; upstream divides by zero below one.
    let step_ms = step_ns / 1_000_000;
    if step_ms <= 0 {
        let message = "zero or negative query resolution step widths are not accepted. Try a \
                       positive integer";
        return Err(ApiError::parameter("step", message.to_owned()));
    }
    if (end - start) / i128::from(step_ns) > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query \
             resolution (?step=XX)",
        ));
    }
    let options = query_options(call)?;
    let (start_ms, end_ms) = (params::time_ms(start), params::time_ms(end));
    let (engine, query) = (&app.deps.engine, form.first("query"));
    let output = engine.range(
        &*app.deps.queryable,
        query,
        start_ms,
        end_ms,
        step_ms,
        &options,
    )?;
    Ok(answer(app, call, output, limit))
}

/// `GET|POST /api/v1/query_exemplars`: exemplars of all series that a selector of the query takes.
pub(crate) fn exemplars(app: &App, call: &Call) -> Reply {
    answer_exemplars(app, call).into()
}

fn answer_exemplars(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let start = params::time_or(&call.form, "start", params::TIME_MIN_NS)?;
    let end = params::time_or(&call.form, "end", params::TIME_MAX_NS)?;
    if end < start {
        return Err(ApiError::bad_data(
            "end timestamp must not be before start timestamp",
        ));
    }
    let query = call.form.first("query");
    let expr = promql_syntax::parse(query, &parse_options(app))
        .map_err(|errors| ApiError::bad_data(errors.to_string()))?;
    let selectors = expr.selectors().into_iter();
    let selectors: Vec<_> = selectors.map(|s| s.matchers.clone()).collect();
    if selectors.is_empty() {
        return Ok(Reply::empty(StatusCode::NO_CONTENT));
    }
    let (start_ms, end_ms) = (params::time_ms(start), params::time_ms(end));
    let found = app.deps.exemplars.exemplars(start_ms, end_ms, &selectors);
    let found = found?;
    Ok(Reply::data(|json| {
        json.array(|json| {
            found
                .iter()
                .for_each(|series| exemplar_series(json, series))
        });
    }))
}

fn exemplar_series(json: &mut Json, series: &ExemplarSeries) {
    json.object(|json| {
        json.key("seriesLabels").labels(&series.labels);
        json.key("exemplars").array(|json| {
            for exemplar in &series.exemplars {
                json.object(|json| {
                    json.key("labels").labels(&exemplar.labels);
                    json.key("value").value(exemplar.value);
                    json.key("timestamp").time(exemplar.timestamp_ms);
                });
            }
        });
    });
}

fn query_options(call: &Call) -> Result<QueryOptions, ApiError> {
    let form = &call.form;
    let timeout = match form.first("timeout") {
        "" => None,
        text => {
            let ns = params::parse_duration_ns(text)
                .map_err(|error| ApiError::parameter("timeout", error))?;
            // Upstream says one of three things then, by chance; this is the one that fits.
            match u64::try_from(ns) {
                Ok(ns) if ns > 0 => Some(Duration::from_nanos(ns)),
                _ => {
                    let message = "query timed out in query execution";
                    return Err(ApiError::new(ErrorKind::Timeout, message));
                }
            }
        }
    };
    let lookback_delta_ms = match form.first("lookback_delta") {
        "" => None,
        text => {
            let ns = params::parse_duration_ns(text).map_err(|error| {
                ApiError::bad_data(format!("error parsing lookback delta duration: {error}"))
            })?;
            Some(ns / 1_000_000).filter(|&ms| ms > 0)
        }
    };
    Ok(QueryOptions {
        lookback_delta_ms,
        timeout,
        per_step_stats: form.first("stats") == "all",
        trace: form.first("trace") == "1",
        origin: Some(Arc::new(Origin {
            client: call.client,
            method: call.method.to_string(),
            path: call.path.clone(),
        })),
        cancel: call.cancel.clone(),
    })
}

/// Answers with what the engine found, cut at `limit`.
fn answer(app: &App, call: &Call, mut output: QueryOutput, limit: usize) -> Reply {
    let mut notes = Notes {
        warnings: std::mem::take(&mut output.warnings),
        infos: std::mem::take(&mut output.infos),
    };
    if truncate(&mut output.value, limit) {
        notes.truncated();
    }
    let stats = call.form.first("stats");
    if !matches!(stats, "" | "true" | "all") {
        let stats = gocompat::strconv::quote(stats);
        notes.warnings.push(format!(
            "value {stats} for parameter \"stats\" is deprecated and will be rejected in the next \
             major release, use \"true\" or \"all\""
        ));
    }
    let with_stats = !stats.is_empty();
    let engine = Arc::clone(&app.deps.engine);
    Reply::written(Box::new(move |outlet| {
        write_envelope(outlet, &output, &*engine, with_stats, &notes)
    }))
}

/// Cuts vectors and matrices; says whether something was cut.
fn truncate(value: &mut Value, limit: usize) -> bool {
    let over = |count: usize| limit > 0 && count > limit;
    match value {
        Value::Vector(samples) if over(samples.len()) => samples.truncate(limit),
        Value::Matrix(series) if over(series.len()) => series.truncate(limit),
        _ => return false,
    }
    true
}

fn write_envelope(
    outlet: &mut Outlet,
    output: &QueryOutput,
    engine: &dyn QueryEngine,
    with_stats: bool,
    notes: &Notes,
) -> Result<(), Gone> {
    outlet.json.begin_object();
    outlet.json.key("status").text("success");
    outlet.json.key("data").begin_object();
    outlet.json.key("resultType").text(output.value.type_name());
    outlet.json.key("result");
    write_value(outlet, &output.value, engine)?;
    if with_stats {
        write_stats(outlet.json.key("stats"), &output.stats);
    }
    if let Some(trace) = &output.trace {
        let json = outlet.json.key("trace");
        json.array(|json| trace.iter().for_each(|node| write_trace(json, node)));
    }
    outlet.json.end_object();
    notes.write(&mut outlet.json);
    outlet.json.end_object();
    Ok(())
}

fn write_value(outlet: &mut Outlet, value: &Value, engine: &dyn QueryEngine) -> Result<(), Gone> {
    match value {
        // These two are not written as samples are: never an exponent, no zeros in the time
        // (promql/value.go, Scalar.MarshalJSON and String.MarshalJSON).
        Value::Scalar {
            timestamp_ms,
            value,
        } => write_timed_text(&mut outlet.json, *timestamp_ms, &format_float_f(*value)),
        Value::String {
            timestamp_ms,
            value,
        } => write_timed_text(&mut outlet.json, *timestamp_ms, value),
        Value::Vector(samples) => {
            outlet.json.begin_array();
            for sample in samples {
                outlet.json.object(|json| {
                    json.key("metric").labels(&sample.labels);
                    match &sample.histogram {
                        None => json.key("value").point(sample.timestamp_ms, sample.value),
                        Some(histogram) => json
                            .key("histogram")
                            .histogram_point(sample.timestamp_ms, histogram),
                    }
                });
                outlet.relieve()?;
            }
            outlet.json.end_array();
        }
        Value::Matrix(all) => matrix::write(outlet, all, engine.pool())?,
    }
    Ok(())
}

fn write_timed_text(json: &mut Json, time_ms: i64, text: &str) {
    json.array(|json| {
        json.float(time_ms as f64 / 1000.0);
        json.text(text);
    });
}

/// A part of a query. No deeper than the query, whose depth the parser bounds.
fn write_trace(json: &mut Json, node: &TraceNode) {
    json.object(|json| {
        json.key("text").text(&node.text);
        json.key("start").uint(node.start as u64);
        json.key("end").uint(node.end as u64);
        json.key("seconds").float(node.seconds);
        json.key("series").uint(node.series);
        json.key("steps").uint(node.steps);
        json.key("samples").uint(node.samples);
        json.key("bytes").uint(node.bytes);
        json.key("lazy").bool(node.is_lazy);
        json.key("children").array(|json| {
            node.children
                .iter()
                .for_each(|node| write_trace(json, node));
        });
    });
}

pub(crate) fn write_stats(json: &mut Json, stats: &QueryStats) {
    let timings = &stats.timings;
    json.object(|json| {
        json.key("timings").object(|json| {
            json.key("evalTotalTime").float(timings.eval_total_time);
            json.key("resultSortTime").float(timings.result_sort_time);
            json.key("queryPreparationTime")
                .float(timings.query_preparation_time);
            json.key("innerEvalTime").float(timings.inner_eval_time);
            json.key("execQueueTime").float(timings.exec_queue_time);
            json.key("execTotalTime").float(timings.exec_total_time);
        });
        json.key("samples")
            .object(|json| write_sample_stats(json, &stats.samples));
    });
}

fn write_sample_stats(json: &mut Json, samples: &SampleStats) {
    let per_step = |json: &mut Json, key: &str, steps: &Option<Vec<(i64, u64)>>| {
        let Some(steps) = steps.as_ref().filter(|steps| !steps.is_empty()) else {
            return;
        };
        json.key(key).array(|json| {
            for &(time_ms, count) in steps {
                json.array(|json| {
                    json.time(time_ms);
                    json.uint(count);
                });
            }
        });
    };
    per_step(
        json,
        "totalQueryableSamplesPerStep",
        &samples.total_queryable_samples_per_step,
    );
    json.key("totalQueryableSamples")
        .uint(samples.total_queryable_samples);
    per_step(json, "samplesReadPerStep", &samples.samples_read_per_step);
    json.key("samplesRead").uint(samples.samples_read);
    json.key("peakSamples").uint(samples.peak_samples);
}
