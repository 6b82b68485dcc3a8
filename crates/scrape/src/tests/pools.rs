//! Which targets a pool has.

use super::support::{Answer, Server, configuration, group, job};
use config::ScrapeConfig;
use relabel::{Action, Rule};

#[tokio::test(start_paused = true)]
async fn targets_are_unique_and_sorted_and_dropped_ones_are_kept_up_to_a_limit() {
    let mut config = job("j");
    config.limits.keep_dropped_targets = 1;
    config.relabel_configs = vec![Rule {
        source_labels: vec!["__address__".to_owned()],
        regex: gocompat::Regex::new_anchored("x.*").unwrap(),
        action: Action::Drop,
        ..Rule::default()
    }];
    let server = Server::new(&[config]);
    server.discover_groups(
        "j",
        &[
            group(&["b:1", "a:1", "x:1"], &[("__meta_from", "one")]),
            group(&["x:2", "a:1", "bad/address"], &[]),
        ],
    );
    server.run_s(1.0).await;
    let pool = server.pool("j");
    let urls: Vec<&str> = pool.active.iter().map(|t| t.scrape_url.as_str()).collect();
    assert_eq!(urls, ["http://a:1/metrics", "http://b:1/metrics"]);
    assert_eq!(pool.active[0].discovered_labels.get("__meta_from"), "one");
    assert_eq!(pool.active[0].health.as_str(), "unknown");
    assert_eq!(pool.active[0].last_scrape_ns, None);
    assert_eq!(pool.dropped_count, 2);
    assert_eq!(pool.dropped.len(), 1);
    assert_eq!(pool.dropped[0].get("__address__"), "x:1");
    let metric = |name: &str| server.metric(&format!("{name}{{scrape_job=\"j\"}}"));
    assert_eq!(metric("prometheus_target_scrape_pool_targets"), Some(2.0));
    assert_eq!(metric("prometheus_target_sync_failed_total"), Some(1.0));
    assert_eq!(
        metric("prometheus_target_scrape_pool_sync_total"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_pool_with_too_many_targets_scrapes_none() {
    let mut config = job("j");
    config.limits.target_limit = 1;
    let server = Server::new(&[config.clone()]);
    server.answer("a:1", &[Answer::page("m 1\n")]);
    server.answer("b:1", &[Answer::page("m 1\n")]);
    server.discover(&[("j", &["a:1"])]);
    server.run_s(20.0).await;
    server.discover(&[("j", &["a:1", "b:1"])]);
    server.run_s(20.0).await;
    let error = "target_limit exceeded (number of targets: 2, limit: 1)";
    let pool = server.pool("j");
    assert_eq!(pool.error.as_deref(), Some(error));
    assert!(pool.active.iter().all(|target| target.last_error == error));
    let series = server.all("m");
    assert_eq!(series.len(), 1);
    assert!(series[0].ends_with("1 stale"), "{series:?}");
    assert!(
        server.all("up")[1].ends_with(" 0"),
        "{:?}",
        server.all("up")
    );
    let exceeded = "prometheus_target_scrape_pool_exceeded_target_limit_total";
    assert!(server.metric(exceeded).unwrap() >= 1.0);
    // With a higher limit they are scraped again, at once.
    config.limits.target_limit = 2;
    server
        .manager
        .apply_config(&configuration(&[config]))
        .unwrap();
    server.run_s(20.0).await;
    assert_eq!(server.pool("j").error, None);
    assert!(server.all("m").iter().all(|series| series.ends_with(" 1")));
}

#[tokio::test(start_paused = true)]
async fn what_a_target_cannot_have_fails_its_scrapes_alone() {
    let server = Server::new(&[job("j")]);
    server.answer("a:1", &[Answer::page("m 1\n")]);
    server.discover_groups(
        "j",
        &[
            group(&["a:1"], &[]),
            group(&["b:1"], &[("__unix_socket__", "/run/x")]),
        ],
    );
    server.run_s(10.0).await;
    let pool = server.pool("j");
    assert_eq!(pool.active[0].last_error, "");
    assert!(pool.active[1].last_error.contains("__unix_socket__"));
}

#[tokio::test(start_paused = true)]
async fn pools_come_with_their_first_targets() {
    let server = Server::new(&[job("b"), job("a"), job("never")]);
    assert!(server.manager.pool_names().is_empty());
    server.discover(&[("a", &["h:1"]), ("b", &[]), ("unknown", &["h:2"])]);
    server.run_s(1.0).await;
    assert_eq!(server.manager.pool_names(), ["a", "b"]);
    assert_eq!(server.manager.pool_config("a").unwrap().job_name, "a");
    assert!(server.manager.pool_config("never").is_none());
    assert_eq!(
        server.metric("prometheus_target_scrape_pools_total"),
        Some(2.0)
    );
}

/// T39: later sets are taken up every five seconds at most, and the newest wins.
#[tokio::test(start_paused = true)]
async fn syncs_are_throttled() {
    let server = Server::new(&[job("j")]);
    server.discover(&[("j", &["a:1"])]);
    server.run_s(1.0).await;
    server.discover(&[("j", &["b:1"])]);
    server.run_s(1.0).await;
    server.discover(&[("j", &["c:1"])]);
    server.run_s(2.5).await;
    assert_eq!(server.pool("j").active[0].scrape_url, "http://a:1/metrics");
    server.run_s(1.0).await;
    assert_eq!(server.pool("j").active[0].scrape_url, "http://c:1/metrics");
    let syncs = "prometheus_target_scrape_pool_sync_total{scrape_job=\"j\"}";
    assert_eq!(server.metric(syncs), Some(2.0));
}

/// Two targets of a job are not scraped at the same moment.
#[tokio::test(start_paused = true)]
async fn targets_are_spread_over_the_interval() {
    let config = ScrapeConfig { ..job("j") };
    let server = Server::new(&[config]);
    server.answer("a:1", &[Answer::page("a 1\n")]);
    server.answer("b:1", &[Answer::page("b 1\n")]);
    server.discover(&[("j", &["a:1", "b:1"])]);
    server.run_s(10.0).await;
    assert_ne!(server.times_ms("a"), server.times_ms("b"));
}
