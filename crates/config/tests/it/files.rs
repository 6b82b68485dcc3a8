//! Files that include others, and what a configuration takes from its surroundings.

use std::fs;
use std::path::Path;

use config::{Config, LoadOptions, Loaded, load, load_file, parse_target_groups};
use tempfile::TempDir;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Loads `main.yml` of a folder; errors show the folder as `DIR`.
fn load_main(folder: &TempDir) -> Result<Loaded, String> {
    let root = folder.path().to_str().unwrap();
    let options = LoadOptions { env: &|_| None };
    load_file(&folder.path().join("main.yml"), &options)
        .map_err(|error| error.to_string().replace(root, "DIR"))
}

fn jobs(config: &Config) -> Vec<&str> {
    let names = config.scrape_configs.iter();
    names.map(|scrape| scrape.job_name.as_str()).collect()
}

#[test]
fn includes_in_the_order_of_the_globs() {
    let folder = folder(&[
        (
            "main.yml",
            "global: {scrape_interval: 7s, scrape_failure_log_file: g.log}\n\
             scrape_config_files: [d/*.yml, more.yml, none*.yml]\n\
             scrape_configs: [{job_name: main}]\n",
        ),
        (
            "d/b.yml",
            "scrape_configs:\n- job_name: b\n  scrape_failure_log_file: x.log\n",
        ),
        (
            "d/a.yml",
            "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: ['t/*.json']}]\n",
        ),
        ("d/ignored.txt", "nonsense: ["),
        ("more.yml", ""),
    ]);
    let loaded = load_main(&folder).unwrap();
    let config = &loaded.config;
    assert_eq!(jobs(config), ["main", "a", "b"]);
    assert_eq!(config.main_scrape_configs, 1);
    let root = folder.path();
    let shown = |path: &str| root.join(path).to_str().unwrap().to_owned();
    // What is inherited is inherited from `global` of the main file, with its folder.
    assert_eq!(config.scrape_configs[1].scrape_interval_ms, 7_000);
    assert_eq!(
        config.scrape_configs[1].scrape_failure_log_file,
        shown("g.log")
    );
    assert_eq!(
        config.scrape_configs[2].scrape_failure_log_file,
        shown("d/x.log")
    );
    assert_eq!(
        config.scrape_configs[1].file_sd_configs[0].files,
        [shown("d/t/*.json")]
    );
    let read = ["main.yml", "d/a.yml", "d/b.yml", "more.yml"].map(|name| root.join(name));
    assert_eq!(loaded.sources.paths, read);
}

#[test]
fn included_files_are_as_strict() {
    let main = "scrape_config_files: [a.yml, b.yml]\nscrape_configs: [{job_name: main}]\n";
    for (a, b, expected) in [
        (
            "scrape_configs: [{job_name: main}]",
            "",
            "\"DIR/a.yml\": found multiple scrape configs with job name \"main\", \
             first found in main config file (line 1)",
        ),
        (
            "scrape_configs: [{job_name: x}]",
            "scrape_configs:\n- job_name: x",
            "\"DIR/b.yml\": found multiple scrape configs with job name \"x\", \
             first found in \"DIR/a.yml\" (line 2)",
        ),
        (
            "global: {}\nscrape_configs: [{job_name: x, metric_path: y}]",
            "",
            "\"DIR/a.yml\": yaml: unmarshal errors:\n  \
             line 1: field global not found in type config.ScrapeConfigs\n  \
             line 2: field metric_path not found in type config.ScrapeConfig",
        ),
        (
            "",
            "scrape_configs: [",
            "\"DIR/b.yml\": yaml: line 1: unclosed bracket '['",
        ),
        (
            "scrape_configs: [{job_name: x, basic_auth: {username: u}}]",
            "",
            "\"DIR/a.yml\": yaml: unmarshal errors:\n  \
             line 1: scrape_configs[0].basic_auth is not supported yet by Promontory",
        ),
    ] {
        let folder = folder(&[("main.yml", main), ("a.yml", a), ("b.yml", b)]);
        assert_eq!(load_main(&folder).unwrap_err(), expected);
    }
}

#[test]
fn files_that_cannot_be_read() {
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(
        load_main(&nothing).unwrap_err(),
        "open DIR/main.yml: no such file or directory"
    );
    let folder = folder(&[("main.yml/x", "")]);
    assert_eq!(
        load_main(&folder).unwrap_err(),
        "open DIR/main.yml: is a directory"
    );
    fs::remove_dir_all(folder.path().join("main.yml")).unwrap();
    fs::write(folder.path().join("main.yml"), b"a: 1\nb: \xff\n").unwrap();
    assert_eq!(
        load_main(&folder).unwrap_err(),
        "parsing YAML file DIR/main.yml: yaml: line 2: invalid UTF-8"
    );
    fs::write(
        folder.path().join("main.yml"),
        "scrape_config_files: ['[.yml']\n",
    )
    .unwrap();
    assert_eq!(
        load_main(&folder).unwrap_err(),
        "\"DIR/[.yml\": open DIR/[.yml: syntax error in pattern"
    );
}

#[test]
fn external_labels_take_the_environment() {
    let text = "global: {external_labels: {a: '${HOST}-1', b: $NONE, c: $$x, d: '$EMPTY.'}}";
    let env = |name: &str| match name {
        "HOST" => Some("h".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let loaded = load(text, Path::new("a.yml"), &LoadOptions { env: &env }).unwrap();
    let labels: Vec<_> = loaded.config.global.external_labels.iter().collect();
    assert_eq!(labels, [("a", "h-1"), ("c", "$x"), ("d", ".")]);
    assert_eq!(
        loaded.warnings,
        [
            "external label b uses the environment variable NONE, which is empty or not set",
            "external label d uses the environment variable EMPTY, which is empty or not set",
        ]
    );
}

/// As in upstream, where the dump leaves such a key out and so does not show it.
#[test]
fn a_path_without_value_is_empty() {
    let text = "scrape_configs: [{job_name: a, metrics_path: ~, scheme: ~}]";
    let options = LoadOptions { env: &|_| None };
    let loaded = load(text, Path::new("a.yml"), &options).unwrap();
    let scrape = &loaded.config.scrape_configs[0];
    assert_eq!(
        (scrape.metrics_path.as_str(), scrape.scheme.as_str()),
        ("", "")
    );
}

#[test]
fn what_has_no_effect_is_said() {
    let text = "\
runtime: {gogc: 50}
storage:
  tsdb: {chunk_encoding: {floats: xor}, stale_series_compaction_threshold: 0.5}
  exemplars: {max_exemplars: 10}
scrape_configs:
- {job_name: a}
";
    let options = LoadOptions { env: &|_| None };
    let loaded = load(text, Path::new("a.yml"), &options).unwrap();
    let said: Vec<&str> = loaded
        .warnings
        .iter()
        .filter_map(|warning| warning.split_once(" has no effect").map(|(key, _)| key))
        .collect();
    assert_eq!(
        said,
        [
            "runtime.gogc",
            "storage.tsdb.chunk_encoding.floats",
            "storage.tsdb.stale_series_compaction_threshold",
        ]
    );
}

#[test]
fn target_groups() {
    let path = Path::new("/t.yml");
    let groups = parse_target_groups(
        "- targets: [a:1, 'http://b']\n  labels: {x: 1}\n- targets: []\n- {}\n",
        path,
    )
    .unwrap();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0].targets, ["a:1", "http://b"]);
    assert_eq!(groups[0].labels.get("x"), "1");
    assert_eq!(parse_target_groups("", path).unwrap(), []);
    for (text, expected) in [
        ("- ", "\"/t.yml\": nil target group item found (line 1)"),
        (
            "targets: [a]",
            "\"/t.yml\": yaml: unmarshal errors:\n  \
             line 1: cannot unmarshal !!map into []*targetgroup.Group",
        ),
        (
            "- target: [a]\n- labels: x",
            "\"/t.yml\": yaml: unmarshal errors:\n  \
             line 1: field target not found in type struct { Targets []string \
             \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }\n  \
             line 2: cannot unmarshal !!str `x` into model.LabelSet",
        ),
    ] {
        let error = parse_target_groups(text, path).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}
