//! What of a page is stored, and when.

use super::support::{Answer, START_MS, Server, job};
use config::ScrapeConfig;

#[tokio::test(start_paused = true)]
async fn a_scrape_is_one_batch_at_one_time() {
    let server = Server::with_answers(
        job("j"),
        &[Answer::page("# TYPE a counter\na 1\nb{x=\"y\"} 2.5\n")],
    );
    server.run_s(35.0).await;
    let times = server.times_ms("a");
    assert!(times.len() >= 3, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10_000));
    for name in [
        "b",
        "up",
        "scrape_duration_seconds",
        "scrape_samples_scraped",
        "scrape_samples_post_metric_relabeling",
        "scrape_series_added",
    ] {
        assert_eq!(server.times_ms(name), times, "{name}");
    }
    let appends = server
        .storage
        .appends
        .load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(appends, times.len());
    assert_eq!(
        server.all("b")[0].split(" 2.5").next().unwrap(),
        "{instance=\"h:1\", job=\"j\", x=\"y\"}"
    );
    assert_eq!(server.values("up")[..3], ["1", "1", "1"]);
    assert_eq!(server.values("scrape_samples_scraped")[..2], ["2", "2"]);
    assert_eq!(server.values("scrape_series_added")[..3], ["2", "0", "0"]);
    assert!(server.values("scrape_timeout_seconds").is_empty());
    let target = server.target();
    assert_eq!(target.health.as_str(), "up");
    assert_eq!(target.last_error, "");
    let last_ms = target.last_scrape_ns.unwrap() / 1_000_000 - START_MS;
    assert_eq!(Some(&last_ms), times.last());
}

#[tokio::test(start_paused = true)]
async fn series_that_vanish_go_stale() {
    let pages = ["a 1\nb 1\nc 1\n", "a 2\nc 2\n", "c 3\n", "a 4\nc 4\n"];
    let server = Server::with_answers(job("j"), &pages.map(Answer::page));
    server.run_s(40.0).await;
    assert_eq!(server.values("a"), ["1", "2", "stale", "4"]);
    assert_eq!(server.values("b"), ["1", "stale"]);
    assert_eq!(server.values("c"), ["1", "2", "3", "4"]);
    assert_eq!(server.values("scrape_series_added"), ["3", "0", "0", "1"]);
    assert_eq!(server.times_ms("b"), server.times_ms("c")[..2]);
}

/// A series that is written in another way is still there.
#[tokio::test(start_paused = true)]
async fn another_text_of_the_same_series_is_no_end() {
    let pages = ["a{x=\"1\",y=\"2\"} 1\n", "a{y=\"2\",x=\"1\"} 2\n"];
    let server = Server::with_answers(job("j"), &pages.map(Answer::page));
    server.run_s(20.0).await;
    assert_eq!(server.values("a"), ["1", "2"]);
}

/// T08
#[tokio::test(start_paused = true)]
async fn bounds_and_quantiles_are_normalised() {
    let page = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\n\
                # TYPE s summary\ns{quantile=\"1e-1\"} 1\n";
    let server = Server::with_answers(job("j"), &[Answer::page(page)]);
    server.run_s(10.0).await;
    let labels = |name: &str| -> Vec<String> {
        let all = server.all(name).into_iter();
        all.map(|line| line.split_once("job=\"j\", ").unwrap().1.to_owned())
            .collect()
    };
    assert_eq!(labels("h_bucket"), ["le=\"+Inf\"} 1", "le=\"1.0\"} 1"]);
    assert_eq!(labels("s"), ["quantile=\"0.1\"} 1"]);
}

/// T03: series with timestamps of their own end without a marker, unless that is asked for.
#[tokio::test(start_paused = true)]
async fn exposed_timestamps() {
    let first = START_MS - 5_000;
    let pages = [
        format!("a 1 {first}\nb 1\n"),
        format!("a 2 {}\nb 2\n", first + 1_000),
        "b 3\n".to_owned(),
    ];
    let answers: Vec<Answer> = pages.iter().map(|page| Answer::page(page)).collect();
    // (honor_timestamps, track_timestamps_staleness, values of a, whether its times are exposed)
    let cases: [(bool, bool, &[&str], bool); 3] = [
        (true, false, &["1", "2"], true),
        (true, true, &["1", "2", "stale"], true),
        (false, false, &["1", "2", "stale"], false),
    ];
    for (honor, track, values, exposed) in cases {
        let config = ScrapeConfig {
            honor_timestamps: honor,
            track_timestamps_staleness: track,
            ..job("j")
        };
        let server = Server::with_answers(config, &answers);
        server.run_s(30.0).await;
        assert_eq!(server.values("a"), values, "{honor} {track}");
        assert_eq!(server.times_ms("a")[..2] == [-5_000, -4_000], exposed);
    }
}

/// As upstream: a series that begins to have timestamps of its own is ended once, since nothing
/// would end it later.
#[tokio::test(start_paused = true)]
async fn a_series_that_begins_to_have_timestamps() {
    let with_time = format!("a 2 {START_MS}\n");
    let server = Server::with_answers(job("j"), &["a 1\n", &with_time, "a 3\n"].map(Answer::page));
    server.run_s(30.0).await;
    // The sample with the old time is refused; its series ends at the time of that scrape.
    assert_eq!(server.values("a"), ["1", "stale", "3"]);
    assert_eq!(server.values("scrape_series_added"), ["1", "0", "0"]);

    // One that this server refuses anyway, and a second one of the same series.
    let page = "a 1 99999999999999\na 2\n";
    let server = Server::with_answers(job("j"), &[Answer::page(page)]);
    server.run_s(30.0).await;
    assert_eq!(server.values("a"), ["2", "stale"]);
}

/// T09, T10: single samples are refused and counted, the rest is stored, the target is up.
#[tokio::test(start_paused = true)]
async fn refused_samples_do_not_fail_the_scrape() {
    let far = START_MS + 11 * 60 * 1_000;
    let near = START_MS + 9 * 60 * 1_000;
    let pages = [
        format!("a 1 {START_MS}\nb 1\nfar 1 {far}\nnear 1 {near}\nb 1\nb 2\n"),
        format!("a 1 {START_MS}\nb 1\n"),
        format!("a 2 {START_MS}\nb 1\n"),
        format!("a 3 {}\nb 1\n", START_MS - 1),
    ];
    let answers: Vec<Answer> = pages.iter().map(|page| Answer::page(page)).collect();
    let server = Server::with_answers(job("j"), &answers);
    server.run_s(40.0).await;
    assert_eq!(server.values("a"), ["1"]);
    assert_eq!(server.values("b"), ["1", "1", "1", "1"]);
    assert!(server.values("far").is_empty());
    assert_eq!(server.values("near"), ["1"]);
    assert_eq!(server.values("up"), ["1", "1", "1", "1"]);
    assert_eq!(server.values("scrape_samples_scraped")[0], "6");
    let count =
        |what: &str| server.metric(&format!("prometheus_target_scrapes_sample_{what}_total"));
    assert_eq!(count("duplicate_timestamp"), Some(3.0));
    assert_eq!(count("out_of_order"), Some(1.0));
    assert_eq!(count("out_of_bounds"), Some(1.0));
}

/// Several samples of one series are fine if each has its own time.
#[tokio::test(start_paused = true)]
async fn several_timestamps_of_a_series_on_one_page() {
    let page = |at: i64| {
        let first = START_MS + at;
        Answer::page(&format!("a 1 {first}\na 2 {}\n", first + 1_000))
    };
    let server = Server::with_answers(job("j"), &[page(0), page(2_000)]);
    server.run_s(20.0).await;
    assert_eq!(server.times_ms("a"), [0, 1_000, 2_000, 3_000]);
    assert_eq!(
        server.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"),
        Some(0.0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_empty_page_is_no_failure() {
    let answers = [
        Answer::page("a 1\n"),
        Answer::page("").content_type(""),
        Answer::page("a 2\n"),
    ];
    let server = Server::with_answers(job("j"), &answers);
    server.run_s(30.0).await;
    assert_eq!(server.values("a"), ["1", "stale", "2"]);
    assert_eq!(server.values("up"), ["1", "1", "1"]);
    assert_eq!(server.values("scrape_series_added"), ["1", "0", "0"]);
}

#[tokio::test(start_paused = true)]
async fn relabelling_drops_samples_and_is_remembered() {
    let mut config = job("j");
    config.metric_relabel_configs = vec![relabel::Rule {
        source_labels: vec!["__name__".to_owned()],
        regex: gocompat::Regex::new_anchored("go_.*").unwrap(),
        action: relabel::Action::Drop,
        ..relabel::Rule::default()
    }];
    let server = Server::with_answers(config, &[Answer::page("go_a 1\nb 1\ngo_c 1\n")]);
    server.run_s(20.0).await;
    assert!(server.values("go_a").is_empty());
    assert_eq!(server.values("b"), ["1", "1"]);
    assert_eq!(server.values("scrape_samples_scraped"), ["3", "3"]);
    assert_eq!(
        server.values("scrape_samples_post_metric_relabeling"),
        ["1", "1"]
    );
}

#[tokio::test(start_paused = true)]
async fn extra_metrics() {
    let mut config = job("j");
    config.extra_scrape_metrics = true;
    config.limits.sample_limit = 7;
    let server = Server::with_answers(config, &[Answer::page("a 1\n")]);
    server.run_s(10.0).await;
    assert_eq!(server.values("scrape_timeout_seconds"), ["10"]);
    assert_eq!(server.values("scrape_sample_limit"), ["7"]);
    assert_eq!(server.values("scrape_body_size_bytes"), ["4"]);
    assert_eq!(
        server.metric("prometheus_target_scrape_duration_seconds_count"),
        Some(1.0)
    );
}

/// As upstream: what the page says of a report series stays, and nobody complains.
#[tokio::test(start_paused = true)]
async fn a_target_may_expose_series_of_the_report() {
    let server = Server::with_answers(job("j"), &[Answer::page("up 5\na 1\n")]);
    server.run_s(20.0).await;
    assert_eq!(server.values("up"), ["5", "5"]);
    assert_eq!(server.values("scrape_series_added"), ["2", "0"]);
    assert_eq!(
        server.metric("prometheus_target_scrapes_sample_duplicate_timestamp_total"),
        Some(0.0)
    );
}

#[tokio::test(start_paused = true)]
async fn metadata_of_families() {
    let page = "# HELP a Some\\nhelp.\n# TYPE a gauge\na 1\n# TYPE b counter\nb_total 1\n";
    let server = Server::with_answers(job("j"), &[Answer::page(page)]);
    server.run_s(10.0).await;
    let [target] = &server.manager.metadata()[..] else {
        panic!("not one target");
    };
    assert_eq!(target.scrape_pool, "j");
    let families: Vec<String> = target
        .families
        .iter()
        .map(|f| format!("{} {} {:?}", f.name, f.metadata.kind, f.metadata.help))
        .collect();
    assert_eq!(families, ["a gauge \"Some\\nhelp.\"", "b counter \"\""]);
    assert_eq!(
        server.metric("prometheus_target_metadata_cache_entries{scrape_job=\"j\"}"),
        Some(2.0)
    );
}
