//! Limits of series: what they keep out, what goes on, and where the culprit is named.

use std::sync::Arc;
use std::time::Duration;

use bench::process::{Server, free_address, get};
use serde_json::Value;

use crate::operator::until;
use crate::pages;
use crate::server::{ask, ready, start};

/// Waits until a notice is shown.
pub(crate) async fn notice(server: &Server, begins: &str) -> String {
    for _ in 0..200 {
        let (_, answer) = ask(server, "/api/v1/notifications").await;
        let notices = answer["data"].as_array().unwrap().iter();
        let mut texts = notices.filter_map(|notice| notice["text"].as_str());
        if let Some(text) = texts.find(|text| text.starts_with(begins)) {
            return text.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no notice that begins with {begins:?}");
}

#[tokio::test]
async fn a_target_with_too_many_series_is_named_and_keeps_its_old_ones() {
    let target = pages::serve(Arc::new(|path: &str| {
        let count = if path == "/many" { 100 } else { 3 };
        let lines: String = (0..count)
            .map(|n| format!("m{{n=\"{n}\"}} {n}\n"))
            .collect();
        pages::page(&lines)
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n\
         - job_name: many\n  metrics_path: /many\n  static_configs: [{{targets: ['{target}']}}]\n\
         - job_name: few\n  metrics_path: /few\n  static_configs: [{{targets: ['{target}']}}]\n"
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let address = free_address().unwrap();
    let flags = [
        "--storage.target-new-series-limit=20",
        "--storage.memory-budget=1GB",
    ];
    let mut server = start(folder.path(), &address, &flags);
    ready(&mut server, folder.path()).await;

    let text = notice(&server, "New series are refused").await;
    let wanted = format!(
        "New series are refused, the latest of {{instance=\"{target}\", job=\"many\"}}: the \
         target has reached its limit of 20 new series an hour."
    );
    assert_eq!(text, wanted);
    let count = |job: &str| format!("count(m{{job=\"{job}\"}})");
    for (job, series) in [("many", "15"), ("few", "3")] {
        // Five of the twenty are those of the report. A scrape may take longer than its tenth of
        // a second on a busy machine; the next one will do.
        let is = |wanted: &'static str| {
            move |rows: &[Value]| rows.first().is_some_and(|row| row["value"][1] == wanted)
        };
        until(&server, &count(job), is(series)).await;
        until(&server, &format!("up{{job=\"{job}\"}}"), is("1")).await;
    }
    let (_, targets) = ask(&server, "/api/v1/targets").await;
    let active = targets["data"]["activeTargets"].as_array().unwrap();
    let of = |job: &str| {
        active
            .iter()
            .find(|target| target["scrapePool"] == job)
            .unwrap()
    };
    let error = "85 new series refused: the target has reached its limit of 20 new series an hour";
    assert_eq!(of("many")["lastError"], error);
    assert_eq!(of("many")["health"], "up");
    assert_eq!(of("few")["lastError"], Value::String(String::new()));
    let (_, metrics) = get(&format!("{}/metrics", server.url)).await.unwrap();
    for line in [
        format!("promontory_target_refused_series{{scrape_job=\"many\",instance=\"{target}\"}} 85"),
        "promontory_memory_budget_bytes 1.073741824e+09".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    assert!(!metrics.contains("promontory_target_refused_series{scrape_job=\"few\""));
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    let said = log
        .lines()
        .filter(|line| line.contains("New series are refused"));
    assert_eq!(said.count(), 1, "it is said once, not at every scrape");
}
