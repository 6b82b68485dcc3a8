//! A configuration as YAML, as `/api/v1/status/config` shows it.
//!
//! The keys, their order, what is left out when it is empty, and the quoting are those of upstream,
//! so that tools that compare two servers' configurations find no difference where there is none.
//! Two things differ: sections that are not supported yet (`otlp`) are not shown, and long texts
//! are not folded.

mod emit;

use model::Labels;
use model::format_duration_ms as duration;
use relabel::Rule;

use self::emit::{Map, Yaml};
use crate::scalar::format_size;
use crate::types::{
    Config, FileSdConfig, GlobalConfig, ScrapeConfig, ScrapeLimits, ScrapeProtocol, StorageConfig,
    TargetGroup,
};

/// Writes the configuration with its defaults filled in: global first, then the scrape
/// configurations of the main file. What [`crate::load`] made of a text, it makes again of this
/// one. A secret would be masked as `<secret>`; no key that is supported holds one.
#[must_use]
pub fn to_yaml(config: &Config) -> String {
    let mut map = Map::default();
    map.put("global", Yaml::Map(global(&config.global)));
    let mut runtime = Map::default();
    runtime.put("gogc", Yaml::plain(config.runtime.gogc));
    map.put("runtime", Yaml::Map(runtime));
    map.put_list("scrape_config_files", texts(&config.scrape_config_files));
    let main = config
        .scrape_configs
        .iter()
        .take(config.main_scrape_configs);
    map.put_list(
        "scrape_configs",
        main.map(|scrape| Yaml::Map(self::scrape(scrape))).collect(),
    );
    map.put("storage", Yaml::Map(storage(&config.storage)));
    map.to_text()
}

/// Writes one scrape configuration in the same form.
#[must_use]
pub fn scrape_to_yaml(config: &ScrapeConfig) -> String {
    scrape(config).to_text()
}

fn global(global: &GlobalConfig) -> Map {
    let mut map = Map::default();
    map.put(
        "scrape_interval",
        Yaml::text(duration(global.scrape_interval_ms)),
    );
    map.put(
        "scrape_timeout",
        Yaml::text(duration(global.scrape_timeout_ms)),
    );
    map.put_list(
        "scrape_protocols",
        protocols(global.scrape_protocols.as_deref().unwrap_or_default()),
    );
    map.put(
        "evaluation_interval",
        Yaml::text(duration(global.evaluation_interval_ms)),
    );
    put_duration(&mut map, "rule_query_offset", global.rule_query_offset_ms);
    put_text(&mut map, "query_log_file", &global.query_log_file);
    put_text(
        &mut map,
        "scrape_failure_log_file",
        &global.scrape_failure_log_file,
    );
    put_labels(&mut map, "external_labels", &global.external_labels);
    put_limits(&mut map, &global.limits);
    put_number(
        &mut map,
        "keep_dropped_targets",
        global.limits.keep_dropped_targets,
    );
    map.put(
        "metric_name_validation_scheme",
        Yaml::text(global.name_scheme.to_string()),
    );
    if let Some(scheme) = global.escaping_scheme {
        map.put(
            "metric_name_escaping_scheme",
            Yaml::text(scheme.as_str().to_owned()),
        );
    }
    map.put(
        "scrape_native_histograms",
        Yaml::plain(global.scrape_native_histograms),
    );
    for (name, is_on) in [
        (
            "convert_classic_histograms_to_nhcb",
            global.convert_classic_histograms_to_nhcb,
        ),
        (
            "always_scrape_classic_histograms",
            global.always_scrape_classic_histograms,
        ),
    ] {
        if is_on {
            map.put(name, Yaml::plain(true));
        }
    }
    map.put(
        "extra_scrape_metrics",
        Yaml::plain(global.extra_scrape_metrics),
    );
    map
}

fn scrape(scrape: &ScrapeConfig) -> Map {
    let mut map = Map::default();
    map.put("job_name", Yaml::text(scrape.job_name.clone()));
    if scrape.honor_labels {
        map.put("honor_labels", Yaml::plain(true));
    }
    map.put("honor_timestamps", Yaml::plain(scrape.honor_timestamps));
    map.put(
        "track_timestamps_staleness",
        Yaml::plain(scrape.track_timestamps_staleness),
    );
    let mut params = Map::default();
    for (name, values) in &scrape.params {
        params.put(name, Yaml::List(texts(values)));
    }
    map.put_map("params", params);
    map.put(
        "scrape_interval",
        Yaml::text(duration(scrape.scrape_interval_ms)),
    );
    map.put(
        "scrape_timeout",
        Yaml::text(duration(scrape.scrape_timeout_ms)),
    );
    map.put_list("scrape_protocols", protocols(&scrape.scrape_protocols));
    if let Some(protocol) = scrape.fallback_scrape_protocol {
        map.put(
            "fallback_scrape_protocol",
            Yaml::text(protocol.as_str().to_owned()),
        );
    }
    for (name, is_on) in [
        ("scrape_native_histograms", scrape.scrape_native_histograms),
        (
            "always_scrape_classic_histograms",
            scrape.always_scrape_classic_histograms,
        ),
        (
            "convert_classic_histograms_to_nhcb",
            scrape.convert_classic_histograms_to_nhcb,
        ),
    ] {
        map.put(name, Yaml::plain(is_on));
    }
    put_text(
        &mut map,
        "scrape_failure_log_file",
        &scrape.scrape_failure_log_file,
    );
    put_text(&mut map, "metrics_path", &scrape.metrics_path);
    put_text(&mut map, "scheme", &scrape.scheme);
    map.put("enable_compression", Yaml::plain(scrape.enable_compression));
    put_limits(&mut map, &scrape.limits);
    put_number(
        &mut map,
        "native_histogram_bucket_limit",
        scrape.native_histogram_bucket_limit,
    );
    let factor = scrape.native_histogram_min_bucket_factor;
    if factor != 0.0 {
        map.put("native_histogram_min_bucket_factor", Yaml::plain(factor));
    }
    put_number(
        &mut map,
        "keep_dropped_targets",
        scrape.limits.keep_dropped_targets,
    );
    map.put(
        "metric_name_validation_scheme",
        Yaml::text(scrape.name_scheme.to_string()),
    );
    let escaping = scrape.escaping_scheme.as_str().to_owned();
    map.put("metric_name_escaping_scheme", Yaml::text(escaping));
    map.put(
        "extra_scrape_metrics",
        Yaml::plain(scrape.extra_scrape_metrics),
    );
    map.put(
        "follow_redirects",
        Yaml::plain(scrape.http.follow_redirects),
    );
    map.put("enable_http2", Yaml::plain(scrape.http.enable_http2));
    let rules = |rules: &[Rule]| rules.iter().map(rule).collect();
    map.put_list("relabel_configs", rules(&scrape.relabel_configs));
    map.put_list(
        "metric_relabel_configs",
        rules(&scrape.metric_relabel_configs),
    );
    map.put_list(
        "file_sd_configs",
        scrape.file_sd_configs.iter().map(file_sd).collect(),
    );
    map.put_list(
        "static_configs",
        scrape.static_configs.iter().map(group).collect(),
    );
    map
}

fn rule(rule: &Rule) -> Yaml {
    let mut map = Map::default();
    if !rule.source_labels.is_empty() {
        map.put("source_labels", Yaml::Flow(rule.source_labels.clone()));
    }
    map.put("separator", Yaml::text(rule.separator.clone()));
    if rule.regex_given {
        map.put("regex", Yaml::text(rule.regex.as_str().to_owned()));
    }
    put_number(&mut map, "modulus", rule.modulus);
    put_text(&mut map, "target_label", &rule.target_label);
    map.put("replacement", Yaml::text(rule.replacement.clone()));
    map.put("action", Yaml::text(rule.action.to_string()));
    Yaml::Map(map)
}

fn file_sd(config: &FileSdConfig) -> Yaml {
    let mut map = Map::default();
    map.put("files", Yaml::List(texts(&config.files)));
    put_duration(&mut map, "refresh_interval", config.refresh_interval_ms);
    Yaml::Map(map)
}

fn group(group: &TargetGroup) -> Yaml {
    let mut map = Map::default();
    map.put("targets", Yaml::List(texts(&group.targets)));
    put_labels(&mut map, "labels", &group.labels);
    Yaml::Map(map)
}

fn storage(storage: &StorageConfig) -> Map {
    let mut tsdb = Map::default();
    let window_ms = storage.tsdb.out_of_order_time_window_ms;
    tsdb.put("outofordertimewindow", Yaml::plain(window_ms));
    put_duration(&mut tsdb, "out_of_order_time_window", window_ms);
    let threshold = storage.tsdb.stale_series_compaction_threshold;
    if threshold != 0.0 {
        tsdb.put("stale_series_compaction_threshold", Yaml::plain(threshold));
    }
    let mut encoding = Map::default();
    put_text(&mut encoding, "floats", &storage.tsdb.float_chunk_encoding);
    tsdb.put_map("chunk_encoding", encoding);
    if let Some(given) = storage.tsdb.retention {
        let mut retention = Map::default();
        put_duration(&mut retention, "time", given.time_ms);
        put_size(&mut retention, "size", given.size_bytes);
        if given.percentage != 0.0 {
            retention.put("percentage", Yaml::plain(given.percentage));
        }
        tsdb.put("retention", Yaml::Map(retention));
    }
    let mut map = Map::default();
    map.put("tsdb", Yaml::Map(tsdb));
    if let Some(max_exemplars) = storage.max_exemplars {
        let mut exemplars = Map::default();
        if max_exemplars != 0 {
            exemplars.put("max_exemplars", Yaml::plain(max_exemplars));
        }
        map.put("exemplars", Yaml::Map(exemplars));
    }
    map
}

fn put_limits(map: &mut Map, limits: &ScrapeLimits) {
    put_size(map, "body_size_limit", limits.body_size_limit);
    for (name, limit) in [
        ("sample_limit", limits.sample_limit),
        ("target_limit", limits.target_limit),
        ("label_limit", limits.label_limit),
        ("label_name_length_limit", limits.label_name_length_limit),
        ("label_value_length_limit", limits.label_value_length_limit),
    ] {
        put_number(map, name, limit);
    }
}

fn put_labels(map: &mut Map, name: &str, labels: &Labels) {
    let mut entries = Map::default();
    for (name, value) in labels.iter() {
        entries.put(name, Yaml::text(value.to_owned()));
    }
    map.put_map(name, entries);
}

fn put_number(map: &mut Map, name: &str, value: u64) {
    if value != 0 {
        map.put(name, Yaml::plain(value));
    }
}

fn put_size(map: &mut Map, name: &str, bytes: u64) {
    if bytes != 0 {
        map.put(name, Yaml::text(format_size(bytes)));
    }
}

fn put_duration(map: &mut Map, name: &str, duration_ms: i64) {
    if duration_ms != 0 {
        map.put(name, Yaml::text(duration(duration_ms)));
    }
}

fn put_text(map: &mut Map, name: &str, text: &str) {
    if !text.is_empty() {
        map.put(name, Yaml::text(text.to_owned()));
    }
}

fn texts(texts: &[String]) -> Vec<Yaml> {
    texts.iter().cloned().map(Yaml::text).collect()
}

fn protocols(protocols: &[ScrapeProtocol]) -> Vec<Yaml> {
    let names = protocols
        .iter()
        .map(|protocol| protocol.as_str().to_owned());
    names.map(Yaml::text).collect()
}
