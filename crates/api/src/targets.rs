//! Pools and targets.

use std::collections::BTreeMap;

use gocompat::strconv::quote;
use model::{Labels, LabelsBuilder};
use relabel::Rule;
use scrape::{PoolStatus, TargetStatus};

use crate::app::{App, Call};
use crate::error::ApiError;
use crate::json::Json;
use crate::params::format_rfc3339;
use crate::reply::Reply;

/// What Go prints for a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// `GET /api/v1/scrape_pools`
pub(crate) fn pools(app: &App, _: &Call) -> Reply {
    let mut names = app.deps.targets.pool_names();
    names.sort();
    Reply::data(|json| {
        json.object(|json| {
            json.key("scrapePools").array(|json| {
                for name in &names {
                    json.text(name);
                }
            });
        });
    })
}

/// `GET /api/v1/targets`; its parameters are those of the URL only.
pub(crate) fn targets(app: &App, call: &Call) -> Reply {
    let state = call.form.first_of_url("state").to_lowercase();
    let shows = |wanted: &str| ["", "any", wanted].contains(&state.as_str());
    let pool = call.form.first_of_url("scrapePool");
    let all = app.deps.targets.snapshot();
    let chosen = || {
        all.iter()
            .filter(|status| pool.is_empty() || status.name == pool)
    };
    Reply::data(|json| {
        json.object(|json| {
            json.key("activeTargets").array(|json| {
                if shows("active") {
                    let active = chosen().flat_map(|pool| &pool.active);
                    active.for_each(|target| json.object(|json| write_target(json, target)));
                }
            });
            json.key("droppedTargets").array(|json| {
                if shows("dropped") {
                    chosen().for_each(|pool| write_dropped(json, pool));
                }
            });
            let json = json.key("droppedTargetCounts");
            if shows("dropped") {
                json.object(|json| {
                    for pool in &all {
                        json.key(&pool.name).uint(pool.dropped_count as u64);
                    }
                });
            } else {
                json.null();
            }
        });
    })
}

fn write_target(json: &mut Json, target: &TargetStatus) {
    json.key("discoveredLabels")
        .labels(&target.discovered_labels);
    json.key("labels").labels(&target.labels);
    json.key("scrapePool").text(&target.scrape_pool);
    json.key("scrapeUrl").text(&target.scrape_url);
    json.key("globalUrl").text(&target.global_url);
    json.key("lastError").text(&target.last_error);
    match target.last_scrape_ns {
        Some(ns) => json.key("lastScrape").text(&format_rfc3339(ns)),
        None => json.key("lastScrape").text(NEVER),
    }
    json.key("lastScrapeDuration")
        .float(target.last_scrape_duration_s);
    json.key("health").text(target.health.as_str());
    json.key("scrapeInterval").text(&target.scrape_interval);
    json.key("scrapeTimeout").text(&target.scrape_timeout);
}

fn write_dropped(json: &mut Json, pool: &PoolStatus) {
    for labels in &pool.dropped {
        json.object(|json| {
            json.key("discoveredLabels").labels(labels);
            json.key("scrapePool").text(&pool.name);
        });
    }
}

fn pool_of(app: &App, call: &Call) -> Result<std::sync::Arc<::config::ScrapeConfig>, ApiError> {
    let name = call.form.first("scrapePool");
    app.deps.targets.pool_config(name).ok_or_else(|| {
        let name = quote(name);
        ApiError::bad_data(format!(
            "error retrieving scrape config: scrape pool {name} not found"
        ))
    })
}

fn require_pool_name(call: &Call) -> Result<(), ApiError> {
    match call.form.first("scrapePool") {
        "" => Err(ApiError::bad_data("no scrapePool parameter provided")),
        _ => Ok(()),
    }
}

/// `GET /api/v1/scrape_pools/config`
pub(crate) fn pool_config(app: &App, call: &Call) -> Reply {
    require_pool_name(call)
        .and_then(|()| pool_of(app, call))
        .map(|pool| {
            let yaml = ::config::scrape_to_yaml(&pool);
            Reply::data(|json| json.object(|json| json.key("yaml").text(&yaml)))
        })
        .into()
}

/// `GET /api/v1/targets/relabel_steps`: what every rule of a pool makes of some labels.
pub(crate) fn relabel_steps(app: &App, call: &Call) -> Reply {
    answer_relabel_steps(app, call).into()
}

fn answer_relabel_steps(app: &App, call: &Call) -> Result<Reply, ApiError> {
    require_pool_name(call)?;
    let labels = call.form.first("labels");
    if labels.is_empty() {
        return Err(ApiError::bad_data("no labels parameter provided"));
    }
    let labels: BTreeMap<String, String> = serde_json::from_str(labels)
        .map_err(|error| ApiError::bad_data(format!("error parsing labels: {error}")))?;
    let pool = pool_of(app, call)?;
    let pairs = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let mut builder = LabelsBuilder::new(&Labels::from_pairs(pairs));
    let mut keep = true;
    Ok(Reply::data(|json| {
        json.object(|json| {
            json.key("steps").array(|json| {
                for rule in &pool.relabel_configs {
                    keep = keep && relabel::process(&mut builder, std::slice::from_ref(rule));
                    let output = if keep {
                        builder.build()
                    } else {
                        Labels::empty()
                    };
                    json.object(|json| {
                        json.key("rule").object(|json| write_rule(json, rule));
                        json.key("output").labels(&output);
                        json.key("keep").bool(keep);
                    });
                }
            });
        });
    }))
}

fn write_rule(json: &mut Json, rule: &Rule) {
    if !rule.source_labels.is_empty() {
        json.key("source_labels").array(|json| {
            for label in &rule.source_labels {
                json.text(label);
            }
        });
    }
    json.key("separator").text(&rule.separator);
    json.key("regex").text(rule.regex.as_str());
    if rule.modulus != 0 {
        json.key("modulus").uint(rule.modulus);
    }
    if !rule.target_label.is_empty() {
        json.key("target_label").text(&rule.target_label);
    }
    json.key("replacement").text(&rule.replacement);
    json.key("action").text(rule.action.as_str());
}
