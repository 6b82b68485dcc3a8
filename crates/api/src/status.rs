//! The server about itself.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use storage::NamedCount;

use crate::app::{App, Call};
use crate::error::ApiError;
use crate::json::Json;
use crate::options::BuildInfo;
use crate::params::{format_rfc3339, parse_atoi};
use crate::reply::{EXPOSITION, Reply, TEXT};
use crate::server::State;

/// Rows of a top list when none is asked for, and at most.
const TOP_DEFAULT: usize = 10;
const TOP_MAX: usize = 10_000;

/// `GET /metrics`
pub(crate) fn metrics(app: &App, _: &Call) -> Reply {
    let mut text = String::new();
    let registry = &app.deps.registry;
    app.metrics.expositions.count(|| registry.expose(&mut text));
    Reply::new(StatusCode::OK, EXPOSITION, text)
}

/// `GET /metrics/host`
pub(crate) fn host_metrics(app: &App, _: &Call) -> Reply {
    let Some(host_metrics) = &app.deps.host_metrics else {
        return Reply::not_found();
    };
    match host_metrics() {
        Ok(text) => Reply::new(StatusCode::OK, EXPOSITION, text),
        Err(error) => Reply::plain_error(StatusCode::INTERNAL_SERVER_ERROR, &error),
    }
}

/// `GET /version`
pub(crate) fn version(app: &App, _: &Call) -> Reply {
    let mut json = Json::new();
    write_build(&mut json, &app.options.build);
    let mut body = json.into_bytes();
    body.push(b'\n');
    Reply::new(StatusCode::OK, TEXT, body)
}

/// `GET /api/v1/status/buildinfo`
pub(crate) fn build_info(app: &App, _: &Call) -> Reply {
    Reply::data(|json| write_build(json, &app.options.build))
}

fn write_build(json: &mut Json, build: &BuildInfo) {
    json.object(|json| {
        json.key("version").text(&build.version);
        json.key("revision").text(&build.revision);
        json.key("branch").text(&build.branch);
        json.key("buildUser").text(&build.build_user);
        json.key("buildDate").text(&build.build_date);
        json.key("goVersion").text(&build.go_version);
    });
}

/// `GET /api/v1/status/config`
pub(crate) fn config(app: &App, _: &Call) -> Reply {
    let view = (app.deps.config)();
    Reply::data(|json| json.object(|json| json.key("yaml").text(&view.yaml)))
}

/// `GET /api/v1/status/flags`
pub(crate) fn flags(app: &App, _: &Call) -> Reply {
    Reply::data(|json| {
        json.object(|json| {
            for (name, value) in &app.options.flags {
                json.key(name).text(value);
            }
        });
    })
}

/// `GET /api/v1/features`; operators stay readable: `>=` is not escaped.
pub(crate) fn features(app: &App, _: &Call) -> Reply {
    let features = crate::features::features(&app.options, app.deps.engine.options().features);
    let mut inner = String::from("{");
    for (at, (area, features)) in features.iter().enumerate() {
        let separator = if at > 0 { "," } else { "" };
        let _ = write!(inner, "{separator}\"{area}\":{{");
        for (at, (name, on)) in features.iter().enumerate() {
            let separator = if at > 0 { "," } else { "" };
            let _ = write!(inner, "{separator}\"{name}\":{on}");
        }
        inner.push('}');
    }
    inner.push('}');
    Reply::data(|json| json.raw(inner.as_bytes()))
}

/// `GET /api/v1/status/runtimeinfo`. Go's own figures are those of a server that does not limit
/// itself.
pub(crate) fn runtime_info(app: &App, _: &Call) -> Reply {
    let process = (app.deps.process)();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let storage = &app.deps.storage;
    Reply::data(|json| {
        json.object(|json| {
            json.key("startTime").text(&format_rfc3339(app.start_ns));
            json.key("CWD").text(&app.options.current_dir);
            json.key("hostname").text(&app.options.host_name);
            json.key("serverTime")
                .text(&format_rfc3339(app.deps.clock.now_ns()));
            json.key("reloadConfigSuccess").bool(process.reload_success);
            let config_ns = process.config_time_s.saturating_mul(1_000_000_000);
            json.key("lastConfigTime").text(&format_rfc3339(config_ns));
            json.key("corruptionCount").uint(storage.corruption_count());
            json.key("goroutineCount").uint(process.thread_count);
            json.key("GOMAXPROCS").uint(threads as u64);
            json.key("GOMEMLIMIT").int(i64::MAX);
            json.key("GOGC").text("");
            json.key("GODEBUG").text("");
            json.key("storageRetention").text(&storage.retention_text());
        });
    })
}

/// `GET /api/v1/status/tsdb`
pub(crate) fn tsdb(app: &App, call: &Call) -> Reply {
    answer_tsdb(app, call).into()
}

fn answer_tsdb(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let limit = match call.form.first("limit") {
        "" => TOP_DEFAULT,
        text => parse_atoi(text)
            .ok()
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|&limit| limit > 0)
            .ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?,
    };
    if limit > TOP_MAX {
        return Err(ApiError::bad_data(format!(
            "limit must not exceed {TOP_MAX}"
        )));
    }
    let stats = app.deps.storage.stats(limit);
    Ok(Reply::data(|json| {
        json.object(|json| {
            json.key("headStats").object(|json| {
                json.key("numSeries").uint(stats.head.series);
                json.key("numLabelPairs").uint(stats.head.label_pairs);
                json.key("chunkCount").uint(stats.head.chunks);
                json.key("minTime").int(stats.head.min_time_ms);
                json.key("maxTime").int(stats.head.max_time_ms);
            });
            for (key, list) in [
                ("seriesCountByMetricName", &stats.series_by_metric),
                ("labelValueCountByLabelName", &stats.values_by_label),
                ("memoryInBytesByLabelName", &stats.bytes_by_label),
                ("seriesCountByLabelValuePair", &stats.series_by_pair),
            ] {
                json.key(key)
                    .array(|json| write_top(json, &list[..list.len().min(limit)]));
            }
        });
    }))
}

fn write_top(json: &mut Json, list: &[NamedCount]) {
    for row in list {
        json.object(|json| {
            json.key("name").text(&row.name);
            json.key("value").uint(row.value);
        });
    }
}

/// `GET /api/v1/status/tsdb/blocks`
pub(crate) fn blocks(app: &App, _: &Call) -> Reply {
    let blocks = app.deps.storage.blocks();
    Reply::data(|json| {
        json.object(|json| {
            json.key("blocks").array(|json| {
                for block in &blocks {
                    json.object(|json| {
                        json.key("ulid").text(&block.ulid);
                        json.key("minTime").int(block.min_time_ms);
                        json.key("maxTime").int(block.max_time_ms);
                        json.key("stats").object(|json| {
                            json.key("numSamples").uint(block.samples);
                            json.key("numSeries").uint(block.series);
                        });
                    });
                }
            });
        });
    })
}

/// `GET /api/v1/status/walreplay`, also while it runs.
pub(crate) fn replay(app: &App, _: &Call) -> Reply {
    let progress = app.deps.storage.replay_progress();
    Reply::data(|json| {
        json.object(|json| {
            json.key("min").uint(progress.min);
            json.key("max").uint(progress.max);
            json.key("current").uint(progress.current);
        });
    })
}

/// `GET /api/v1/notifications`: what the operator should know now.
pub(crate) fn notifications(app: &App, _: &Call) -> Reply {
    let mut active = Vec::new();
    let since_ns = app.state_since_ns();
    match app.state() {
        State::Starting => active.push((
            "Prometheus is starting and replaying the write-ahead log (WAL).".to_owned(),
            since_ns,
        )),
        State::Stopping => active.push((
            "Prometheus is shutting down and gracefully stopping all operations.".to_owned(),
            since_ns,
        )),
        State::Ready => {}
    }
    let process = (app.deps.process)();
    let now_ns = app.deps.clock.now_ns();
    if !process.reload_success {
        active.push(("Configuration reload has failed.".to_owned(), now_ns));
    }
    active.extend(process.notices.into_iter().map(|text| (text, now_ns)));
    Reply::data(|json| {
        json.array(|json| {
            for (text, date_ns) in active {
                json.object(|json| {
                    json.key("text").text(&text);
                    json.key("date").text(&format_rfc3339(date_ns));
                    json.key("active").bool(true);
                });
            }
        });
    })
}

/// `GET /api/v1/notifications/live`: 204 says that no more subscribers are taken, so that clients
/// ask `/api/v1/notifications` now and then instead.
pub(crate) fn notifications_live(_: &App, _: &Call) -> Reply {
    let no_cache = HeaderValue::from_static("no-cache");
    Reply::empty(StatusCode::NO_CONTENT).with(CACHE_CONTROL, no_cache)
}
