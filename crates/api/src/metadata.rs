//! `metadata` and `targets/metadata`: what targets say about their families.

use std::collections::{BTreeMap, BTreeSet};

use model::Metadata;
use scrape::FamilyMetadata;

use crate::app::{App, Call};
use crate::error::ApiError;
use crate::params::parse_atoi;
use crate::reply::Reply;

/// A count that may be absent; negative ones are as if absent.
fn count(call: &Call, name: &str) -> Result<Option<usize>, ApiError> {
    match call.form.first(name) {
        "" => Ok(None),
        text => parse_atoi(text)
            .map(|count| usize::try_from(count).ok())
            .map_err(|_| ApiError::bad_data(format!("{name} must be a number"))),
    }
}

/// The families of a target, or the one that is asked for.
fn wanted<'a>(families: &'a [FamilyMetadata], metric: &str) -> &'a [FamilyMetadata] {
    if metric.is_empty() {
        return families;
    }
    match families.iter().position(|family| *family.name == *metric) {
        Some(at) => &families[at..=at],
        None => &[],
    }
}

/// `GET /api/v1/metadata`
pub(crate) fn by_metric(app: &App, call: &Call) -> Reply {
    answer_by_metric(app, call).into()
}

fn answer_by_metric(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let limit = count(call, "limit")?.unwrap_or(usize::MAX);
    let per_metric = count(call, "limit_per_metric")?.filter(|&count| count > 0);
    let per_metric = per_metric.unwrap_or(usize::MAX);
    let targets = app.deps.targets.metadata();
    let mut by_name: BTreeMap<&str, Vec<&Metadata>> = BTreeMap::new();
    // Nearly all targets of a job say the same: texts that are one allocation are compared once.
    let mut seen = BTreeSet::new();
    for target in &targets {
        for family in wanted(&target.families, call.form.first("metric")) {
            if !seen.insert((&*family.name, std::sync::Arc::as_ptr(&family.metadata))) {
                continue;
            }
            let said = by_name.entry(&family.name).or_default();
            if said.len() < per_metric && !said.contains(&&*family.metadata) {
                said.push(&family.metadata);
            }
        }
    }
    Ok(Reply::data(|json| {
        json.object(|json| {
            for (name, said) in by_name.iter().take(limit) {
                json.key(name).array(|json| {
                    for metadata in said {
                        json.object(|json| {
                            json.key("type").text(metadata.kind.as_str());
                            json.key("unit").text(&metadata.unit);
                            json.key("help").text(&metadata.help);
                        });
                    }
                });
            }
        });
    }))
}

/// `GET /api/v1/targets/metadata`
pub(crate) fn by_target(app: &App, call: &Call) -> Reply {
    answer_by_target(app, call).into()
}

fn answer_by_target(app: &App, call: &Call) -> Result<Reply, ApiError> {
    let limit = count(call, "limit")?.unwrap_or(usize::MAX);
    let matchers = match call.form.first("match_target") {
        "" => Vec::new(),
        text => promql_syntax::parse_metric_selector(text)
            .map_err(|errors| ApiError::parameter("match_target", errors.to_string()))?,
    };
    let metric = call.form.first("metric");
    let targets = app.deps.targets.metadata();
    let matching = targets.iter().filter(|target| {
        matchers
            .iter()
            .all(|matcher| matcher.matches(target.labels.get(matcher.name())))
    });
    let mut written = 0;
    Ok(Reply::data(|json| {
        json.array(|json| {
            for target in matching {
                // The limit is looked at between targets only, as upstream.
                if written >= limit {
                    break;
                }
                for family in wanted(&target.families, metric) {
                    written += 1;
                    json.object(|json| {
                        json.key("target").labels(&target.labels);
                        if metric.is_empty() {
                            json.key("metric").text(&family.name);
                        }
                        json.key("type").text(family.metadata.kind.as_str());
                        json.key("help").text(&family.metadata.help);
                        json.key("unit").text(&family.metadata.unit);
                    });
                }
            }
        });
    }))
}
