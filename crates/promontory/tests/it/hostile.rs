//! Queries of hostile size beside scrapes: they end, and no scrape is missed or late.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::process::{Server, free_address};
use serde_json::Value;

use crate::pages;
use crate::server::{ask, encoded, query, ready, send, start};

/// Series on each side of the joins. The full hundred thousand are measured by hand:
/// `docs/queries.md`.
const SERIES: usize = 4_000;

/// How soon a query ends that is cancelled. The best of a few: this machine does other things, too.
const CANCELED_MAX: Duration = Duration::from_millis(50);

/// Longer than all of this should take, for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

async fn ask_range(server: &Server, text: &str, start: f64, end: f64, step: &str) -> (u16, Value) {
    let form = format!(
        "query={}&start={start}&end={end}&step={step}",
        encoded(text)
    );
    send(server, "POST", "/api/v1/query_range", &form).await
}

/// Fires what is hostile until the time is over; says how often it was answered, and refused.
async fn fire(server: &Server, until: Instant) -> (usize, usize) {
    let now = now_s(server).await;
    let long = format!("{}one{}", "abs(".repeat(150), ")".repeat(150));
    let chain = vec!["one"; 150].join(" or ");
    let hostile = [
        ("(".repeat(100_000), "1"),
        (vec!["one"; 100_000].join(" + "), "1"),
        (long, "0.1"),
        (chain, "0.1"),
        ("one * on (i) group_left many".to_owned(), "0.01"),
        ("many * on (j) one".to_owned(), "0.01"),
        ("vector(1)".to_owned(), "0.0001"),
        (
            "max_over_time(max_over_time(one[100d:1ms])[100d:1ms])".to_owned(),
            "1",
        ),
        (
            "sum by (i) (rate({__name__=~\".+\"}[1h]))".to_owned(),
            "0.01",
        ),
        ("count_values(\"v\", one) or sort(many)".to_owned(), "0.01"),
    ];
    let (mut answered, mut refused) = (0, 0);
    while Instant::now() < until {
        for (text, step) in &hostile {
            let (status, answer) = ask_range(server, text, now - 3.0, now + 7.0, step).await;
            match status {
                200 => answered += 1,
                400 | 422 | 503 => refused += 1,
                _ => panic!("{status} {answer} to {:.80}", text),
            }
        }
    }
    (answered, refused)
}

async fn now_s(server: &Server) -> f64 {
    let (_, answer) = ask(server, "/api/v1/query?query=time()").await;
    answer["data"]["result"][1]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Starts a query that takes long, cancels it once it runs, and says how long it then took to end.
async fn cancel_one(server: &Server) -> Duration {
    let now = now_s(server).await;
    // Forty million windows, which take no memory.
    let text = "sum(quantile_over_time(0.9, many[1h]))";
    let slow = async {
        let answer = ask_range(server, text, now, now + 10.0, "0.001").await;
        (Instant::now(), answer)
    };
    let cancel = async {
        let id = loop {
            let (_, list) = ask(server, "/api/v1/queries").await;
            let active = list["data"]["active"].as_array().unwrap();
            let is_ours = |query: &&Value| query["query"] == text;
            if let Some(query) = active.iter().find(is_ours)
                && query["state"] == "running"
            {
                break query["id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        // Well under way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        let (status, _) = send(server, "DELETE", &format!("/api/v1/queries/{id}"), "").await;
        assert_eq!(status, 204);
        began
    };
    let ((ended, (status, answer)), began) = tokio::join!(slow, cancel);
    assert_eq!(status, 499, "{answer}");
    assert_eq!(answer["errorType"], "canceled", "{answer}");
    ended.saturating_duration_since(began)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_queries_do_not_disturb_scrapes() {
    let all = tokio::time::timeout(PATIENCE, hostile_beside_scrapes());
    all.await.unwrap();
}

async fn hostile_beside_scrapes() {
    let mut page = String::new();
    for i in 0..SERIES {
        let _ = writeln!(
            page,
            "one{{i=\"{i}\"}} {i}\nmany{{i=\"{}\",j=\"{i}\"}} 1",
            i / 4
        );
    }
    let target = pages::serve(Arc::new(move |_: &str| pages::page(&page))).await;
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n\
         - job_name: page\n  static_configs: [{{targets: ['{target}']}}]\n\
         - job_name: itself\n  static_configs: [{{targets: ['{address}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let flags = ["--query.max-memory-bytes=32MB", "--query.timeout=20s"];
    let mut server = start(folder.path(), &address, &flags);
    ready(&mut server, folder.path()).await;
    while query(&server, "count(up == 1) == 2 and count(many)")
        .await
        .is_empty()
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let began = now_s(&server).await;
    let until = Instant::now() + Duration::from_secs(3);
    let (first, second) = tokio::join!(fire(&server, until), fire(&server, until));
    let (answered, refused) = (first.0 + second.0, first.1 + second.1);
    assert!(
        answered > 0 && refused > 0,
        "{answered} answered, {refused} refused"
    );
    let mut cancelled = Vec::new();
    for _ in 0..4 {
        cancelled.push(cancel_one(&server).await);
    }
    cancelled.sort();
    assert!(cancelled[0] < CANCELED_MAX, "{cancelled:?}");
    // Every scrape was there, at its time, and in time.
    let seconds = (now_s(&server).await - began).ceil() as u64 + 1;
    for series in query(&server, &format!("up[{seconds}s]")).await {
        let values = series["values"].as_array().unwrap();
        assert!(values.len() as u64 >= seconds - 2, "{series}");
        assert!(values.iter().all(|point| point[1] == "1"), "{series}");
        let times: Vec<f64> = values
            .iter()
            .map(|point| point[0].as_f64().unwrap())
            .collect();
        let is_late = |two: &[f64]| (two[1] - two[0] - 1.0).abs() > 0.5;
        assert!(!times.windows(2).any(is_late), "{times:?}");
    }
    let took = format!("max(max_over_time(scrape_duration_seconds[{seconds}s])) < 1");
    assert!(!query(&server, &took).await.is_empty());
}
