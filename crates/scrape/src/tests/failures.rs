//! Scrapes that fail: nothing of them is stored, everything before ends, and it is said why.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::support::{Answer, Server, TEXT, job};
use crate::Health;
use config::{ScrapeConfig, ScrapeLimits, ScrapeProtocol};

#[tokio::test(start_paused = true)]
async fn a_target_that_does_not_answer_is_down() {
    let answers = [
        Answer::page("a 1\n"),
        Answer::error("connection refused"),
        Answer::error("connection refused"),
        Answer::page("a 2\nb 2\n"),
    ];
    let server = Server::with_answers(job("j"), &answers);
    server.run_s(25.0).await;
    let target = server.target();
    assert_eq!(target.health.as_str(), "down");
    assert_eq!(target.last_error, "connection refused");
    server.run_s(15.0).await;
    assert_eq!(server.values("a"), ["1", "stale", "2"]);
    assert_eq!(server.values("up"), ["1", "0", "0", "1"]);
    assert_eq!(
        server.values("scrape_samples_scraped"),
        ["1", "0", "0", "2"]
    );
    // The series was known before; it does not count as new again.
    assert_eq!(server.values("scrape_series_added"), ["1", "0", "0", "1"]);
    assert_eq!(server.target().last_error, "");
}

/// T06: a limit fails the whole scrape; nothing of the page is stored, not even a series.
#[tokio::test(start_paused = true)]
async fn limits_roll_the_whole_scrape_back() {
    let none = ScrapeLimits::default();
    // (limits, page, error, scraped, counter)
    let cases = [
        (
            ScrapeLimits {
                sample_limit: 2,
                ..none
            },
            "a 2\nnew 1\nnew2 1\n",
            "sample limit exceeded",
            "3",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
        ),
        (
            ScrapeLimits {
                label_limit: 3,
                ..none
            },
            "a 2\nnew{x=\"1\"} 1\n",
            "label_limit exceeded (metric: new, number of labels: 4, limit: 3)",
            "2",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
        (
            ScrapeLimits {
                label_name_length_limit: 8,
                ..none
            },
            "a 2\nnew{too_long_by_far=\"1\"} 1\n",
            "label_name_length_limit exceeded (metric: new, label name: too_long_by_far, \
             length: 15, limit: 8)",
            "2",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
        (
            ScrapeLimits {
                label_value_length_limit: 5,
                ..none
            },
            "a 2\nnew{x=\"123456\"} 1\n",
            "label_value_length_limit exceeded (metric: new, label name: x, value: \"123456\", \
             length: 6, limit: 5)",
            "2",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
        ),
    ];
    for (limits, page, error, scraped, counter) in cases {
        let config = ScrapeConfig { limits, ..job("j") };
        let server = Server::with_answers(config, &[Answer::page("a 1\n"), Answer::page(page)]);
        server.run_s(10.0).await;
        let series_before = server.storage.new_series.load(Relaxed);
        server.run_s(10.0).await;
        assert_eq!(server.target().last_error, error);
        assert_eq!(server.values("a"), ["1", "stale"]);
        assert!(server.values("new").is_empty());
        assert_eq!(server.storage.new_series.load(Relaxed), series_before);
        assert_eq!(server.values("up"), ["1", "0"]);
        assert_eq!(server.values("scrape_samples_scraped"), ["1", scraped]);
        assert_eq!(server.metric(counter), Some(1.0), "{counter}");
    }
}

/// As a Prometheus 3.14 reported it: a page that is refused counts up to where it broke, and what
/// it holds is new only once.
#[tokio::test(start_paused = true)]
async fn reports_of_refused_pages() {
    let page = "good 1\nx{job=\"z\",instance=\"\"} 1\nbad\n";
    let server = Server::with_answers(job("j"), &[Answer::page(page)]);
    server.run_s(30.0).await;
    assert_eq!(server.values("up"), ["0", "0", "0"]);
    assert_eq!(server.values("scrape_samples_scraped"), ["2", "2", "2"]);
    let kept = "scrape_samples_post_metric_relabeling";
    assert_eq!(server.values(kept), ["2", "2", "2"]);
    assert_eq!(server.values("scrape_series_added"), ["2", "0", "0"]);
}

/// Relabelling comes before the limit, and what it drops does not count.
#[tokio::test(start_paused = true)]
async fn the_sample_limit_counts_what_relabelling_leaves() {
    let mut config = job("j");
    config.limits.sample_limit = 2;
    config.metric_relabel_configs = vec![relabel::Rule {
        source_labels: vec!["__name__".to_owned()],
        regex: gocompat::Regex::new_anchored("go_.*").unwrap(),
        action: relabel::Action::Drop,
        ..relabel::Rule::default()
    }];
    let server = Server::with_answers(config, &[Answer::page("go_a 1\nb 1\nc 1\ngo_d 1\n")]);
    server.run_s(20.0).await;
    assert_eq!(server.values("up"), ["1", "1"]);
}

/// The words on the targets page, as a Prometheus 3.14 that scraped these pages showed them.
#[tokio::test(start_paused = true)]
async fn malformed_pages_are_refused_with_upstreams_words() {
    let openmetrics = "application/openmetrics-text; version=1.0.0";
    let cases: &[(&str, &str, &str)] = &[
        (
            TEXT,
            "a 1\nb",
            "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"b\\n\"",
        ),
        (
            TEXT,
            "a\n",
            "expected value after metric, got \"\\n\" (\"INVALID\") while parsing: \"a\\n\"",
        ),
        (
            TEXT,
            "a{b='c'} 1\n",
            "expected label value, got \"'\" (\"INVALID\") while parsing: \"a{b='\"",
        ),
        (
            TEXT,
            "a{b=\"c\" 1\n",
            "expected label name, got \"1\" (\"INVALID\") while parsing: \"a{b=\\\"c\\\" 1\"",
        ),
        (
            TEXT,
            "a{b=\n\"c\"} 1\n",
            "expected label value, got \"\\n\" (\"INVALID\") while parsing: \"a{b=\\n\"",
        ),
        (
            TEXT,
            "a{} true\n",
            "strconv.ParseFloat: parsing \"true\": invalid syntax while parsing: \"a{} true\"",
        ),
        (
            TEXT,
            "a 1 2.5\n",
            "expected next entry after timestamp, got \".\" (\"INVALID\") while parsing: \"a 1 2.\"",
        ),
        (
            TEXT,
            "a 1 1 1\n",
            "expected next entry after timestamp, got \"1\\n\" (\"TIMESTAMP\") while parsing: \"a 1 1 1\\n\"",
        ),
        (
            TEXT,
            "# TYPE a nonsense\n",
            "invalid metric type \"nonsense\"",
        ),
        (
            TEXT,
            "{a=\"ok\"} 1\n",
            "metric name not set while parsing: \"{a=\\\"ok\\\"} 1\"",
        ),
        (
            TEXT,
            "<html><body>404</body></html>\n",
            "expected a valid start token, got \"<\" (\"INVALID\") while parsing: \"<\"",
        ),
        (
            TEXT,
            "0a 1\n",
            "expected a valid start token, got \"0\" (\"INVALID\") while parsing: \"0\"",
        ),
        (
            TEXT,
            "a{x=\"1\",x=\"2\"} 1\n",
            "label name \"x\" is not unique: invalid sample",
        ),
        (
            TEXT,
            "a{\"x\"=\"1\"}1_000\n",
            "unsupported character in float while parsing: \"a{\\\"x\\\"=\\\"1\\\"}1_000\"",
        ),
        (openmetrics, "a 1\n", "data does not end with # EOF"),
        (
            openmetrics,
            "a 1\n# EOF\nb 1\n",
            "unexpected data after # EOF",
        ),
        (
            openmetrics,
            "# UNIT a seconds\n# EOF\n",
            "unit \"seconds\" not a suffix of metric \"a\"",
        ),
        (
            openmetrics,
            "\na 1\n# EOF\n",
            "expected a valid start token, got \"\\n\" (\"INVALID\") while parsing: \"\\n\"",
        ),
    ];
    for (content_type, page, error) in cases {
        let answers = [
            Answer::page("before 1\n"),
            Answer::page(page).content_type(content_type),
        ];
        let server = Server::with_answers(job("j"), &answers);
        server.run_s(20.0).await;
        assert_eq!(server.target().last_error, *error, "{page:?}");
        assert_eq!(server.values("before"), ["1", "stale"], "{page:?}");
        assert!(server.values("a").is_empty(), "{page:?}");
        assert_eq!(server.values("up"), ["1", "0"]);
    }
}

/// T07: without a content type there is no page, unless the job says what to take it for.
#[tokio::test(start_paused = true)]
async fn the_content_type_decides() {
    let fallback = Some(ScrapeProtocol::PrometheusText0_0_4);
    let cases: &[(&str, Option<ScrapeProtocol>, &str)] = &[
        (
            "",
            None,
            "non-compliant scrape target sending blank Content-Type and no \
             fallback_scrape_protocol specified for target",
        ),
        ("", fallback, ""),
        (
            "application/json",
            None,
            "received unsupported Content-Type \"application/json\" and no \
             fallback_scrape_protocol specified for target",
        ),
        ("application/json", fallback, ""),
        ("text/plain", None, ""),
    ];
    for (content_type, fallback, error) in cases {
        let config = ScrapeConfig {
            fallback_scrape_protocol: *fallback,
            ..job("j")
        };
        let answer = Answer::page("a 1\n").content_type(content_type);
        let server = Server::with_answers(config, &[answer]);
        server.run_s(10.0).await;
        assert_eq!(server.target().last_error, *error, "{content_type}");
        let up = if error.is_empty() { "1" } else { "0" };
        assert_eq!(server.values("up"), [up]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_reported_as_minus_one() {
    let mut config = job("j");
    config.extra_scrape_metrics = true;
    let answer = Answer {
        body: Err(crate::fetch::FetchError::BodySizeLimit),
        ..Answer::page("")
    };
    let server = Server::with_answers(config, &[answer]);
    server.run_s(10.0).await;
    assert_eq!(server.target().last_error, "body size limit exceeded");
    assert_eq!(server.values("scrape_body_size_bytes"), ["-1"]);
    assert_eq!(
        server.metric("prometheus_target_scrapes_exceeded_body_size_limit_total"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn series_that_storage_forgot_are_resolved_again() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\nb 1\n")]);
    server.run_s(10.0).await;
    // References are handed out in order: up and the others of the report, a, b.
    *server.storage.forgotten.lock() = vec![storage::SeriesRef(0), storage::SeriesRef(5)];
    server.storage.shift.store(1, Relaxed);
    server.run_s(20.0).await;
    for name in ["a", "b", "up"] {
        assert_eq!(server.values(name), ["1", "1", "1"], "{name}");
    }
    assert_eq!(server.values("scrape_series_added"), ["2", "0", "0"]);
    let duplicates = "prometheus_target_scrapes_sample_duplicate_timestamp_total";
    assert_eq!(server.metric(duplicates), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn storage_that_takes_nothing_loses_the_scrape_but_not_the_loop() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\n")]);
    server.storage.is_not_ready.store(true, Relaxed);
    server.run_s(10.0).await;
    assert_eq!(server.target().last_error, "TSDB not ready");
    server.storage.is_not_ready.store(false, Relaxed);
    server.run_s(10.0).await;
    assert_eq!(server.target().last_error, "");
    server.storage.disk_is_full.store(true, Relaxed);
    server.run_s(10.0).await;
    assert_eq!(
        server.target().last_error,
        "write to the log failed: no space left on device"
    );
    server.storage.disk_is_full.store(false, Relaxed);
    server.run_s(10.0).await;
    assert_eq!(server.values("a"), ["1", "1"]);
    assert_eq!(server.values("scrape_series_added"), ["1", "0"]);
}

#[tokio::test(start_paused = true)]
async fn new_series_beyond_a_limit_are_left_out_and_the_others_go_on() {
    let page = "a 1\nb 1\nc{x=\"y\"} 1 5\nb 2\n";
    let server = Server::with_answers(job("j"), &[Answer::page(page)]);
    // The report and one more.
    server.storage.series_max.store(6, Relaxed);
    server.run_s(20.0).await;
    assert_eq!(server.values("a"), ["1", "1"]);
    assert_eq!(server.values("up"), ["1", "1"]);
    assert_eq!(server.values("b"), [""; 0]);
    assert_eq!(server.values("scrape_series_added"), ["1", "0"]);
    let target = server.target();
    assert_eq!(target.health, Health::Up);
    assert_eq!(
        target.last_error,
        "2 new series refused: the target has reached its limit of 6 new series an hour"
    );
    let mut metrics = String::new();
    server.registry.expose(&mut metrics);
    let gauge = "promontory_target_refused_series{scrape_job=\"j\",instance=\"h:1\"} 2";
    let gauges = metrics
        .lines()
        .filter(|line| line.starts_with("promontory_target"));
    assert_eq!(gauges.collect::<Vec<_>>(), [gauge]);

    server.storage.series_max.store(0, Relaxed);
    server.run_s(10.0).await;
    assert_eq!((server.values("a").len(), server.values("b").len()), (3, 1));
    assert_eq!(server.values("scrape_series_added"), ["1", "0", "2"]);
    assert_eq!(server.target().last_error, "");
    metrics.clear();
    server.registry.expose(&mut metrics);
    assert!(!metrics.contains("promontory_target_refused_series{"));
}

#[tokio::test(start_paused = true)]
async fn failures_are_logged_to_a_file() {
    let path = std::env::temp_dir().join(format!("promontory-failures-{}", std::process::id()));
    let mut config = job("j");
    config.scrape_failure_log_file = path.to_str().unwrap().to_owned();
    let server = Server::with_answers(config, &[Answer::error("no \"route\"")]);
    server.run_s(10.0).await;
    let log = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (_, rest) = log.split_once("\"level\"").unwrap();
    assert_eq!(
        rest,
        ":\"ERROR\",\"source\":\"scrape\",\"msg\":\"no \\\"route\\\"\",\"job_name\":\"j\",\
         \"target\":\"http://h:1/metrics\"}\n"
    );
    let mut config = job("j");
    config.scrape_failure_log_file = "/no/such/folder/log".to_owned();
    let refused = server
        .manager
        .apply_config(&super::support::configuration(&[config]));
    assert!(refused.unwrap_err().to_string().contains("/no/such/folder"));
}

/// A scrape that takes longer than the interval is followed at once, and ticks do not queue.
#[tokio::test(start_paused = true)]
async fn slow_scrapes_skip_ticks() {
    let slow = Answer::page("a 1\n").after(Duration::from_millis(25_000));
    let answers = [Answer::page("a 0\n"), slow, Answer::page("a 2\n")];
    let server = Server::with_answers(job("j"), &answers);
    server.run_s(60.0).await;
    let times = server.times_ms("a");
    let first = times[0];
    let since: Vec<i64> = times.iter().map(|time| time - first).collect();
    // The slow scrape begins at 10 s and ends at 35 s: the tick of 30 s is served late, that of
    // 20 s never.
    assert_eq!(since[..2], [0, 10_000]);
    assert!((34_998..=35_000).contains(&since[2]), "{since:?}");
    assert_eq!(since[3], 40_000);
}
