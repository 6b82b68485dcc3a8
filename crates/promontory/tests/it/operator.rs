//! What an operator does: start without anything, register hosts by a file, change the configuration.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bench::process::{Server, free_address};
use serde_json::Value;

use crate::pages;
use crate::server::{ask, query, ready, start};

/// Longer than anything here should take, for a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Asks until the answer is as wanted; shows the last one if it never is.
pub(crate) async fn until(server: &Server, question: &str, wanted: impl Fn(&[Value]) -> bool) {
    let mut last = Vec::new();
    for _ in 0..PATIENCE.as_millis() / 100 {
        last = query(server, question).await;
        if wanted(&last) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{question} still answers {last:?}");
}

fn value(rows: &[Value]) -> &str {
    rows.first()
        .and_then(|row| row["value"][1].as_str())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_configuration_it_watches_itself_and_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let address = free_address().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_promontory"));
    let arguments = [
        format!("--web.listen-address={address}"),
        format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ),
    ];
    let log = folder.path().join("log");
    let mut server = Server::start("promontory", binary, &arguments, &address, &log).unwrap();
    ready(&mut server, folder.path()).await;
    until(&server, "sum(up)", |rows| value(rows) == "2").await;
    // What a dashboard for node_exporter asks first.
    for name in [
        "node_cpu_seconds_total",
        "node_memory_MemAvailable_bytes",
        "node_load1",
        "node_filesystem_avail_bytes",
        "node_network_receive_bytes_total",
        "node_uname_info",
        "node_boot_time_seconds",
    ] {
        let rows = query(&server, &format!("count({name}{{job=\"node\"}})")).await;
        assert!(!rows.is_empty(), "{name}");
    }
    let (status, page) = ask(&server, "/query").await;
    assert_eq!(status, 200);
    assert!(page.as_str().unwrap().contains("Promontory"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_registers_is_scraped_and_a_broken_file_loses_none() {
    let target = pages::serve(Arc::new(|_: &str| pages::page("a 1\n"))).await;
    let folder = tempfile::tempdir().unwrap();
    let fleet = folder.path().join("fleet.json");
    let hosts = |names: &[&str]| {
        let groups: Vec<String> = names
            .iter()
            .map(|name| {
                format!("{{\"targets\": [\"{target}\"], \"labels\": {{\"host\": \"{name}\"}}}}")
            })
            .collect();
        // As scripts do it: a new file takes the old one's place.
        let new = folder.path().join("fleet.new");
        std::fs::write(&new, format!("[{}]", groups.join(","))).unwrap();
        std::fs::rename(&new, &fleet).unwrap();
    };
    hosts(&["one"]);
    let config = "global: {scrape_interval: 300ms, scrape_timeout: 300ms}\nscrape_configs:\n\
                  - job_name: fleet\n  file_sd_configs: [{files: [fleet.json]}]\n";
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let address = free_address().unwrap();
    let mut server = start(folder.path(), &address, &[]);
    ready(&mut server, folder.path()).await;
    until(&server, "sum(up)", |rows| value(rows) == "1").await;

    hosts(&["one", "two"]);
    until(&server, "up{host=\"two\"}", |rows| value(rows) == "1").await;

    std::fs::write(&fleet, "[{\"targets\": ").unwrap();
    let errors = "prometheus_sd_file_read_errors_total";
    let broken = async {
        for _ in 0..PATIENCE.as_millis() / 100 {
            let (_, answer) = ask(&server, "/api/v1/notifications").await;
            let text = answer["data"][0]["text"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if !text.is_empty() {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        String::new()
    };
    let text = broken.await;
    assert!(
        text.starts_with("Targets of job fleet are not read anew from "),
        "{text}"
    );
    let (_, metrics) = ask(&server, "/metrics").await;
    let count = metrics
        .as_str()
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix(errors));
    assert!(count.is_some_and(|count| count.trim() != "0"), "{count:?}");
    // Both hosts are still scraped.
    until(&server, "sum(count_over_time(up[1s]))", |rows| {
        value(rows).parse().unwrap_or(0.0) >= 4.0
    })
    .await;

    hosts(&["two"]);
    until(&server, "up", |rows| rows.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_configuration_changes_nothing_and_is_reported() {
    let scrapes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&scrapes);
    let target = pages::serve(Arc::new(move |path: &str| {
        counted.fetch_add(1, Ordering::Relaxed);
        pages::page(&format!("a{{path=\"{path}\"}} 1\n"))
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    let config = |job: &str| {
        format!(
            "global: {{scrape_interval: 300ms, scrape_timeout: 300ms}}\nscrape_configs:\n\
             - job_name: {job}\n  metrics_path: /{job}\n  static_configs: [{{targets: ['{target}']}}]\n"
        )
    };
    std::fs::write(&file, config("first")).unwrap();
    let address = free_address().unwrap();
    let flags = [
        "--web.enable-lifecycle",
        "--config.auto-reload",
        "--config.auto-reload-interval=1s",
    ];
    let mut server = start(folder.path(), &address, &flags);
    ready(&mut server, folder.path()).await;
    until(&server, "a{job=\"first\"}", |rows| rows.len() == 1).await;

    std::fs::write(&file, "scrape_configs: [{job_name: x, nonsense: 1}]\n").unwrap();
    let success = |wanted: &'static str| {
        let server = &server;
        async move {
            for _ in 0..PATIENCE.as_millis() / 100 {
                let (_, metrics) = ask(server, "/metrics").await;
                let line = format!("prometheus_config_last_reload_successful {wanted}");
                if metrics.as_str().unwrap().lines().any(|l| l == line) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("the last reload is not reported as {wanted}");
        }
    };
    success("0").await;
    let (_, info) = ask(&server, "/api/v1/status/runtimeinfo").await;
    assert_eq!(info["data"]["reloadConfigSuccess"], false);
    let before = scrapes.load(Ordering::Relaxed);
    until(&server, "a{job=\"first\"}", |_| {
        scrapes.load(Ordering::Relaxed) > before + 2
    })
    .await;

    std::fs::write(&file, config("second")).unwrap();
    success("1").await;
    until(&server, "a{job=\"second\"}", |rows| rows.len() == 1).await;
    // A job that is gone ends without a staleness marker, as in Prometheus, but it ends.
    let gone = "count_over_time(a{job=\"first\"}[1s])";
    until(&server, gone, |rows| rows.is_empty()).await;
}
