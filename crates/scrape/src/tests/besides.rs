//! What goes into a batch besides samples, if it is switched on.

use super::support::{Answer, Server, job};
use crate::ScrapeFeatures;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A server whose only target answers with these pages.
fn server(features: ScrapeFeatures, pages: &[&str]) -> Server {
    let pages = pages.iter();
    let answers: Vec<Answer> = pages
        .map(|page| Answer::page(page).content_type(OPENMETRICS))
        .collect();
    let server = Server::with_features(&[job("j")], features);
    server.answer("h:1", &answers);
    server.discover(&[("j", &["h:1"])]);
    server
}

fn besides(server: &Server) -> Vec<String> {
    std::mem::take(&mut *server.storage.besides.lock())
}

const PAGE: &str = "# HELP a_seconds how long
# TYPE a_seconds counter
# UNIT a_seconds seconds
a_seconds_total{x=\"1\"} 1 # {t=\"0\"} 0.5
a_seconds_created{x=\"1\"} 2.5
a_seconds_total{x=\"2\"} 1 # {t=\"1\"} 0.5 100
# TYPE g gauge
g 1
# EOF
";

#[tokio::test(start_paused = true)]
async fn nothing_is_read_unless_it_is_switched_on() {
    let server = server(ScrapeFeatures::default(), &[PAGE]);
    server.run_s(25.0).await;
    assert_eq!(besides(&server), Vec::<String>::new());
    assert_eq!(server.starts("g"), Vec::<i64>::new());
    assert_eq!(server.values("a_seconds_created")[0], "2.5");
}

#[tokio::test(start_paused = true)]
async fn exemplars_come_with_the_time_of_their_sample_or_their_own() {
    let features = ScrapeFeatures {
        exemplars: true,
        ..ScrapeFeatures::default()
    };
    let page = PAGE.replace("t=\"0\"", "t=\"0\",u=\"2\"");
    let server = server(features, &[&page]);
    server.run_s(15.0).await;
    let found = besides(&server);
    // The five series of the report are there before.
    let stamp_ms = server.times_ms("g")[0];
    assert_eq!(
        found[0],
        format!("5 {{t=\"0\", u=\"2\"}} 0.5 at {stamp_ms}")
    );
    // Some time in 1970.
    assert!(found[1].starts_with("7 {t=\"1\"} 0.5 at -"), "{found:?}");
    assert!(found[1].ends_with(" own"), "{found:?}");
}

#[tokio::test(start_paused = true)]
async fn created_lines_are_starts() {
    let features = ScrapeFeatures {
        starts: true,
        ..ScrapeFeatures::default()
    };
    let server = server(features, &[PAGE]);
    server.run_s(35.0).await;
    assert!(server.values("a_seconds_created").is_empty());
    let all = server.starts("a_seconds_total");
    assert!(
        all.len() >= 2 && all.iter().all(|&start| start == 2_500),
        "{all:?}"
    );
    assert_eq!(server.starts("g"), Vec::<i64>::new());
}

#[tokio::test(start_paused = true)]
async fn metadata_comes_when_it_is_news() {
    let features = ScrapeFeatures {
        metadata: true,
        ..ScrapeFeatures::default()
    };
    let more = PAGE.replace("a_seconds_total{x=\"2\"}", "a_seconds_total{x=\"3\"}");
    let changed = more.replace("how long", "how long it took");
    let server = server(features, &[PAGE, PAGE, &more, &changed, PAGE]);
    let first = "counter \"how long\" \"seconds\"";
    let then = "counter \"how long it took\" \"seconds\"";
    server.run_s(10.0).await;
    // The five of the report are there before, the series of the start is of no family, and the
    // gauge has no help.
    let expected = [
        format!("5 {first}"),
        format!("7 {first}"),
        "8 gauge \"\" \"\"".to_owned(),
    ];
    assert_eq!(besides(&server), expected);
    server.run_s(10.0).await;
    assert_eq!(besides(&server), Vec::<String>::new());
    server.run_s(10.0).await;
    let [new] = &besides(&server)[..] else {
        panic!("one series is new");
    };
    assert!(new.ends_with(first), "{new}");
    server.run_s(10.0).await;
    let news = besides(&server);
    assert!(
        news.len() == 2 && news.iter().all(|of| of.ends_with(then)),
        "{news:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn type_and_unit_become_labels() {
    let features = ScrapeFeatures {
        type_and_unit_labels: true,
        ..ScrapeFeatures::default()
    };
    let page = "# TYPE a_seconds counter
# UNIT a_seconds seconds
a_seconds_total{__type__=\"mine\"} 1
# TYPE b unknown
b{__type__=\"mine\"} 2
# EOF
";
    let server = server(features, &[page]);
    server.run_s(10.0).await;
    for (name, expected) in [
        (
            "a_seconds_total",
            "{__type__=\"counter\", __unit__=\"seconds\", instance=\"h:1\", job=\"j\"} 1",
        ),
        // Nobody says what it is; the unit holds on, as in Prometheus.
        (
            "b",
            "{__type__=\"mine\", __unit__=\"seconds\", instance=\"h:1\", job=\"j\"} 2",
        ),
    ] {
        assert_eq!(server.all(name)[0], expected);
    }
}
