//! Targets that come and go, servers that stop.

use super::support::{Answer, Server, configuration, job};
use config::ScrapeConfig;

/// T03: the markers of a removed target come late and carry the time of the missed scrape.
#[tokio::test(start_paused = true)]
async fn series_of_a_removed_target_end_after_a_while() {
    let server = Server::with_answers(job("j"), &[Answer::page("# TYPE a gauge\na 1\n")]);
    server.run_s(20.0).await;
    let before = server.times_ms("a");
    let missed = before.last().unwrap() + 10_000;
    server.discover(&[("j", &[])]);
    // Up to the sync at 25 s, to the tick after the missed one, and a tenth.
    server.run_s(15.0).await;
    let scraped = server.values("a").len();
    assert!(server.values("a").iter().all(|value| value == "1"));
    server.run_s(25.0).await;
    for name in ["a", "up", "scrape_duration_seconds"] {
        let values = server.values(name);
        assert_eq!(values.len(), scraped + 1, "{name}");
        assert_eq!(values.last().unwrap(), "stale", "{name}");
    }
    assert_eq!(
        server.times_ms("a").last().unwrap() % 10_000,
        missed % 10_000
    );
    assert_eq!(
        server.times_ms("a").last(),
        Some(&(server.times_ms("a")[scraped - 1] + 10_000))
    );
    assert!(server.pool("j").active.is_empty());
    assert_eq!(
        server.metric("prometheus_target_metadata_cache_entries{scrape_job=\"j\"}"),
        Some(0.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_goes_on() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\n")]);
    server.run_s(20.0).await;
    server.discover(&[("j", &[])]);
    server.run_s(5.5).await;
    server.discover(&[("j", &["h:1"])]);
    server.run_s(60.0).await;
    assert!(server.values("a").iter().all(|value| value == "1"));
    assert!(server.values("up").iter().all(|value| value == "1"));
    assert!(server.values("a").len() >= 7);
    let refused = "prometheus_target_scrapes_sample_out_of_order_total";
    assert_eq!(server.metric(refused), Some(0.0));
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_stale_when_the_server_stops() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\n")]);
    server.run_s(20.0).await;
    server.manager.stop().await;
    server.run_s(60.0).await;
    assert_eq!(server.values("a"), ["1", "1"]);
}

#[tokio::test(start_paused = true)]
async fn stopping_cuts_a_running_scrape_off() {
    let slow = Answer::page("a 1\n").after(std::time::Duration::from_secs(3_600));
    let server = Server::with_answers(job("j"), &[slow]);
    server.run_s(20.0).await;
    let before = tokio::time::Instant::now();
    server.manager.stop().await;
    assert!(before.elapsed().is_zero());
    assert!(server.values("up").is_empty());
}

/// As upstream: a job that the configuration no longer names ends without markers.
#[tokio::test(start_paused = true)]
async fn a_removed_job_ends_at_once() {
    let server = Server::with_answers(job("j"), &[Answer::page("# TYPE a gauge\na 1\n")]);
    server.run_s(20.0).await;
    server.manager.apply_config(&configuration(&[])).unwrap();
    server.run_s(60.0).await;
    assert_eq!(server.values("a"), ["1", "1"]);
    assert!(server.manager.pool_names().is_empty());
    for name in ["scrape_pool_targets", "metadata_cache_entries"] {
        let name = format!("prometheus_target_{name}{{scrape_job=\"j\"}}");
        assert_eq!(server.metric(&name), None, "{name}");
    }
}

/// T04: a reload that leaves the target as it is moves nothing.
#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_phase_and_the_cache() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\n")]);
    server.run_s(20.0).await;
    let config = ScrapeConfig {
        scrape_timeout_ms: 5_000,
        enable_compression: false,
        ..job("j")
    };
    let configuration = configuration(&[config]);
    server.manager.apply_config(&configuration).unwrap();
    server.run_s(30.0).await;
    assert_eq!(
        server.values("scrape_series_added"),
        ["1", "0", "0", "0", "0"]
    );
    assert_eq!(server.target().scrape_timeout, "5s");
    assert_eq!(
        server.metric("prometheus_target_scrape_pool_reloads_total"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_interval_keeps_the_series() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\n")]);
    server.run_s(20.0).await;
    let config = ScrapeConfig {
        scrape_interval_ms: 20_000,
        ..job("j")
    };
    server
        .manager
        .apply_config(&configuration(&[config]))
        .unwrap();
    server.run_s(100.0).await;
    let values = server.values("scrape_series_added");
    assert_eq!(
        values.iter().filter(|value| *value != "0").count(),
        1,
        "{values:?}"
    );
    assert!(server.values("a").iter().all(|value| value == "1"));
    let times = server.times_ms("a");
    let [.., before, last] = times[..] else {
        panic!("too few");
    };
    assert_eq!(last - before, 20_000);
    assert_eq!(server.target().scrape_interval, "20s");
    let interval = "prometheus_target_interval_length_seconds_count{interval=\"20s\"}";
    assert!(server.metric(interval).unwrap() >= 3.0);
}

/// New rules look at every series anew; what they drop ends with the next scrape.
#[tokio::test(start_paused = true)]
async fn new_rules_end_what_they_drop() {
    let server = Server::with_answers(job("j"), &[Answer::page("a 1\nb 1\n")]);
    server.run_s(20.0).await;
    let mut config = job("j");
    config.metric_relabel_configs = vec![relabel::Rule {
        source_labels: vec!["__name__".to_owned()],
        regex: gocompat::Regex::new_anchored("b").unwrap(),
        action: relabel::Action::Drop,
        ..relabel::Rule::default()
    }];
    server
        .manager
        .apply_config(&configuration(&[config]))
        .unwrap();
    server.run_s(20.0).await;
    assert_eq!(server.values("a"), ["1", "1", "1", "1"]);
    assert_eq!(server.values("b"), ["1", "1", "stale"]);
}
