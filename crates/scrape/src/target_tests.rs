use super::*;
use gocompat::Regex;
use relabel::{Action, Rule};

fn origin(config: ScrapeConfig, target: &str, labels: &[(&str, &str)]) -> Origin {
    Origin {
        config: Arc::new(config),
        group: Arc::new(TargetGroup {
            targets: vec![target.to_owned()],
            labels: Labels::from_pairs(labels.iter().copied()),
            source: "0".to_owned(),
        }),
        index: 0,
    }
}

fn job(name: &str) -> ScrapeConfig {
    ScrapeConfig {
        job_name: name.to_owned(),
        scrape_interval_ms: 1_000,
        scrape_timeout_ms: 1_000,
        ..ScrapeConfig::default()
    }
}

fn rule(action: Action, source: &str, regex: &str, target: &str, replacement: &str) -> Rule {
    Rule {
        source_labels: vec![source.to_owned()],
        regex: Regex::new_anchored(regex).unwrap(),
        target_label: target.to_owned(),
        replacement: replacement.to_owned(),
        action,
        ..Rule::default()
    }
}

fn relabelled(origin: &Origin) -> Result<Option<String>, String> {
    let labels = origin.relabelled(&mut LabelsBuilder::default());
    labels
        .map(|labels| labels.map(|labels| labels.to_string()))
        .map_err(|error| error.to_string())
}

#[test]
fn defaults_come_from_the_job() {
    let mut config = job("job");
    config.params = vec![("q".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
    let entry = origin(
        config,
        "1.2.3.4:1000",
        &[("custom", "value"), ("__meta_x", "y")],
    );
    assert_eq!(
        relabelled(&entry).unwrap().unwrap(),
        "{__address__=\"1.2.3.4:1000\", \
         __always_scrape_classic_histograms__=\"false\", \
         __convert_classic_histograms_to_nhcb__=\"false\", __metrics_path__=\"/metrics\", \
         __param_q=\"a\", __scheme__=\"http\", __scrape_interval__=\"1s\", \
         __scrape_native_histograms__=\"false\", __scrape_timeout__=\"1s\", custom=\"value\", \
         instance=\"1.2.3.4:1000\", job=\"job\"}"
    );
    assert_eq!(entry.discovered_labels().get("__meta_x"), "y");
}

#[test]
fn labels_of_the_group_win_over_the_job() {
    let entry = origin(
        job("job"),
        "1.2.3.4",
        &[
            ("__scheme__", "https"),
            ("__scrape_interval__", "2s"),
            ("__scrape_timeout__", "500ms"),
            ("__address__", "ignored"),
            ("instance", "me"),
            ("job", "other"),
        ],
    );
    let labels = entry
        .relabelled(&mut LabelsBuilder::default())
        .unwrap()
        .unwrap();
    let target = Target::new(labels, entry);
    assert_eq!(target.url_text, "https://1.2.3.4/metrics");
    assert_eq!((target.interval_ms, target.timeout_ms), (2_000, 500));
    assert_eq!(
        target.public_labels.to_string(),
        "{instance=\"me\", job=\"other\"}"
    );
}

#[test]
fn what_cannot_be_scraped_is_refused_with_upstreams_text() {
    let check = |target: &str, labels: &[(&str, &str)], error: &str| {
        assert_eq!(
            relabelled(&origin(job("job"), target, labels)).unwrap_err(),
            error
        );
    };
    check("", &[], "no address");
    check("http://x", &[], "\"http://x\" is not a valid hostname");
    for (value, error) in [
        (
            "2",
            "error parsing scrape interval: not a valid duration string: \"2\"",
        ),
        ("0s", "scrape interval cannot be 0"),
        (
            "500ms",
            "scrape timeout cannot be greater than scrape interval (\"1s\" > \"500ms\")",
        ),
    ] {
        check("h:1", &[("__scrape_interval__", value)], error);
    }
    for (value, error) in [
        (
            "no",
            "error parsing scrape timeout: not a valid duration string: \"no\"",
        ),
        ("0", "scrape timeout cannot be 0"),
    ] {
        check("h:1", &[("__scrape_timeout__", value)], error);
    }
    check(
        "h:1",
        &[("__scrape_native_histograms__", "maybe")],
        "error parsing scrape native histograms: strconv.ParseBool: parsing \"maybe\": \
         invalid syntax",
    );
}

#[test]
fn relabelling_rewrites_and_drops() {
    let mut config = job("job");
    config.relabel_configs = vec![
        rule(Action::Drop, "skip", "yes", "", "$1"),
        rule(
            Action::Replace,
            "__address__",
            "(.*)",
            "__param_target",
            "$1",
        ),
        rule(Action::Replace, "__param_target", "(.*)", "instance", "$1"),
        rule(Action::Replace, "", "", "__address__", "exporter:9115"),
    ];
    assert_eq!(
        relabelled(&origin(config.clone(), "web", &[("skip", "yes")])),
        Ok(None)
    );
    let entry = origin(config, "web", &[]);
    let labels = entry
        .relabelled(&mut LabelsBuilder::default())
        .unwrap()
        .unwrap();
    let target = Target::new(labels, entry);
    assert_eq!(target.url_text, "http://exporter:9115/metrics?target=web");
    assert_eq!(
        target.public_labels.to_string(),
        "{instance=\"web\", job=\"job\"}"
    );
}

#[test]
fn identity_is_labels_and_url() {
    let make = |config: ScrapeConfig, labels: &[(&str, &str)]| {
        let entry = origin(config, "h:1", labels);
        let labels = entry.relabelled(&mut LabelsBuilder::default()).unwrap();
        Target::new(labels.unwrap(), entry)
    };
    let base = make(job("job"), &[]);
    assert_eq!(base.id, make(job("job"), &[("__meta_any", "1")]).id);
    assert_ne!(base.id, make(job("job"), &[("a", "1")]).id);
    let slower = make(job("job"), &[("__scrape_interval__", "2s")]);
    assert_ne!(base.id, slower.id);
    assert_eq!(base.endpoint(), slower.endpoint());
    assert_eq!(base.group_labels(), slower.group_labels());
    assert_eq!(
        base.group_labels().to_string(),
        "{__address__=\"h:1\", __metrics_path__=\"/metrics\", __scheme__=\"http\", \
         instance=\"h:1\", job=\"job\"}",
        "what stored samples are found by does not grow with the configuration's keys"
    );
    let mut other = job("job");
    other.always_scrape_classic_histograms = true;
    other.scrape_native_histograms = true;
    other.convert_classic_histograms_to_nhcb = true;
    assert_eq!(base.group_labels(), make(other, &[]).group_labels());
    // The second value of a parameter is in no label, but in the URL.
    let mut config = job("job");
    config.params = vec![("q".to_owned(), vec!["a".to_owned(), "b".to_owned()])];
    let two = make(config.clone(), &[]);
    config.params[0].1[1] = "c".to_owned();
    let other = make(config, &[]);
    assert_ne!(two.id, other.id);
    assert_ne!(two.endpoint(), other.endpoint());
}

#[test]
fn unsupported_wishes_are_named() {
    let wish = |name: &str, value: &str| {
        let entry = origin(job("job"), "h:1", &[(name, value)]);
        let labels = entry.relabelled(&mut LabelsBuilder::default()).unwrap();
        Target::new(labels.unwrap(), entry).unsupported()
    };
    assert!(wish("__unix_socket__", "/run/x").is_some());
    assert_eq!(wish("__scrape_native_histograms__", "true"), None);
}

/// Labels win over the configuration, which wins over nothing.
#[test]
fn labels_decide_about_histograms() {
    let mut config = job("job");
    config.scrape_native_histograms = true;
    config.always_scrape_classic_histograms = true;
    let labels = [
        ("__scrape_native_histograms__", "false"),
        ("__convert_classic_histograms_to_nhcb__", "1"),
    ];
    let entry = origin(config.clone(), "h:1", &labels);
    let labels = entry.relabelled(&mut LabelsBuilder::default()).unwrap();
    let options = Target::new(labels.unwrap(), entry).histogram_options(&config);
    let want = HistogramOptions {
        native: false,
        keep_classic: true,
        convert_classic: true,
    };
    assert_eq!(options, want);
}
