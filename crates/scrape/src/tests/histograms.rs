//! Native histograms: from protobuf pages, from converted classic ones, and how they end.

use super::support::{Answer, Server, job};
use config::ScrapeConfig;

/// A field of bytes; all lengths here are below 128.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

/// A page of one family of one metric.
fn page(name: &str, kind: u8, metric: &[u8]) -> Vec<u8> {
    let kind = [3 << 3, kind].to_vec();
    let family = [field(1, name.as_bytes()), kind, field(4, metric)].concat();
    let mut page = vec![u8::try_from(family.len()).unwrap()];
    page.extend(family);
    page
}

/// A histogram of schema 0 with these counts above 1 and this count of all, and a classic bucket.
fn histogram(counts: &[u8], count: u8) -> Vec<u8> {
    let mut before = 0_i8;
    let deltas = counts.iter().map(|&count| {
        let count = i8::try_from(count).unwrap();
        let delta = count - std::mem::replace(&mut before, count);
        ((delta << 1) ^ (delta >> 7)).cast_unsigned()
    });
    let deltas: Vec<u8> = deltas.collect();
    let classic = field(
        3,
        &[&[1 << 3, count, 2 << 3 | 1][..], &2_f64.to_le_bytes()].concat(),
    );
    let span = [1 << 3, 2, 2 << 3, u8::try_from(counts.len()).unwrap()];
    let parts = [
        vec![1 << 3, count],
        classic,
        field(12, &span),
        field(13, &deltas),
    ];
    page("h", 4, &field(7, &parts.concat()))
}

fn native_job() -> ScrapeConfig {
    ScrapeConfig {
        scrape_native_histograms: true,
        ..job("j")
    }
}

/// T03, T06: a histogram ends as one, whether it is gone or the scrape fails.
#[tokio::test(start_paused = true)]
async fn native_histograms_come_and_end() {
    let good = Answer::protobuf(histogram(&[1, 2], 3));
    let answers = [
        good.clone(),
        Answer::page("a 1\n"),
        good.clone(),
        Answer::error("gone"),
        good,
        Answer::protobuf(page(
            "h",
            1,
            &field(2, &[&[9][..], &5_f64.to_le_bytes()].concat()),
        )),
    ];
    let server = Server::with_answers(native_job(), &answers);
    server.run_s(60.0).await;
    let shown = "{count:3, sum:0, (1,2]:1, (2,4]:2}";
    let shown = server
        .histograms("h")
        .iter()
        .all(|h| h == shown || h == "stale");
    assert!(shown, "{:?}", server.histograms("h"));
    let stale = server
        .histograms("h")
        .iter()
        .map(|h| h == "stale")
        .collect::<Vec<_>>();
    assert_eq!(stale, [false, true, false, true, false]);
    // At last it is a gauge, which is no end.
    assert_eq!(server.values("h"), ["5"]);
    assert_eq!(server.values("up"), ["1", "1", "1", "0", "1", "1"]);
    assert_eq!(server.values("scrape_samples_scraped")[0], "1");
    assert_eq!(
        server.values("scrape_series_added"),
        ["1", "1", "1", "0", "0", "0"]
    );
    assert_eq!(server.histograms("h_bucket"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_removed_target_ends_its_histograms() {
    let server = Server::with_answers(native_job(), &[Answer::protobuf(histogram(&[3], 3))]);
    server.run_s(10.0).await;
    server.discover(&[("j", &[])]);
    server.run_s(40.0).await;
    let all = server.histograms("h");
    assert_eq!(all.last().map(String::as_str), Some("stale"), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn limits_of_histograms() {
    let five = Answer::protobuf(histogram(&[1, 1, 1, 1, 1], 5));
    let of = |buckets, factor, samples| {
        let mut config = native_job();
        config.native_histogram_bucket_limit = buckets;
        config.native_histogram_min_bucket_factor = factor;
        config.limits.sample_limit = samples;
        config.always_scrape_classic_histograms = true;
        Server::with_answers(config, std::slice::from_ref(&five))
    };
    for (buckets, factor, samples, want) in [
        (
            0,
            0.0,
            0,
            Ok("{count:5, sum:0, (1,2]:1, (2,4]:1, (4,8]:1, (8,16]:1, (16,32]:1}"),
        ),
        (
            5,
            0.0,
            5,
            Ok("{count:5, sum:0, (1,2]:1, (2,4]:1, (4,8]:1, (8,16]:1, (16,32]:1}"),
        ),
        (
            3,
            0.0,
            0,
            Ok("{count:5, sum:0, (1,4]:2, (4,16]:2, (16,64]:1}"),
        ),
        (0, 16.0, 0, Ok("{count:5, sum:0, (1,16]:4, (16,256]:1}")),
        (0, 0.0, 4, Err("sample limit exceeded")),
    ] {
        let server = of(buckets, factor, samples);
        server.run_s(10.0).await;
        let got = match server.target().last_error.as_str() {
            "" => Ok(server.histograms("h")),
            error => Err(error.to_owned()),
        };
        assert_eq!(got, want.map(|h| vec![h.to_owned()]).map_err(str::to_owned));
        // The histogram, its count, sum, bucket, and the bucket of all.
        assert_eq!(
            server.values("scrape_samples_post_metric_relabeling"),
            ["5"]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_with_a_histogram_that_cannot_be_is_refused() {
    let server = Server::with_answers(native_job(), &[Answer::protobuf(histogram(&[1, 2], 4))]);
    server.run_s(10.0).await;
    assert_eq!(
        server.target().last_error,
        "3 observations found in buckets, but the Count field is 4: histogram's observation count \
         should equal the number of observations found in the buckets (in absence of NaN)"
    );
    assert_eq!(server.histograms("h"), [""; 0]);
    let counts = ["scraped", "post_metric_relabeling"].map(|what| {
        let name = format!("scrape_samples_{what}");
        server.values(&name)
    });
    assert_eq!(counts, [["1"], ["0"]]);
    assert_eq!(server.values("scrape_series_added"), ["0"]);
}

#[tokio::test(start_paused = true)]
async fn classic_histograms_are_converted() {
    let text =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 3\nh_count 3\nh_sum 2\n";
    let text = Answer::page(text);
    let mut config = native_job();
    config.convert_classic_histograms_to_nhcb = true;
    let converted = "{count:3, sum:2, [-Inf,1]:1, (1,+Inf]:2}";
    for (limit, want, error) in [
        (0, &[converted, converted, "stale"][..], ""),
        (1, &[], "histogram bucket limit exceeded"),
    ] {
        config.native_histogram_bucket_limit = limit;
        let answers = [text.clone(), text.clone(), Answer::page("b 1\n")];
        let server = Server::with_answers(config.clone(), &answers);
        server.run_s(15.0).await;
        assert_eq!(server.target().last_error, error);
        server.run_s(15.0).await;
        assert_eq!(server.histograms("h"), want);
        assert_eq!(server.values("h_count"), [""; 0]);
        let refused = "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total";
        let want = if error.is_empty() { 0.0 } else { 2.0 };
        assert_eq!(server.metric(refused), Some(want));
    }
}
