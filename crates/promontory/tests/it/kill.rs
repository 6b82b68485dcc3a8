//! SIGKILL at random moments under load: every scrape that a query has shown is there afterwards.
//!
//! `cargo xtask kill --times 300` is the long form; it sets [`TIMES`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bench::process::{Server, free_address};

use crate::pages;
use crate::server::{query, ready, start};

/// Environment variable that says how often the server is killed.
const TIMES: &str = "PROMONTORY_KILLS";
/// How often without it: every kind of moment comes up, and it takes some ten seconds.
const TIMES_DEFAULT: usize = 40;
/// Targets, and series of each.
const TARGETS: usize = 3;
const SERIES: usize = 8;

/// What has been seen: the value of every series of a target at a time.
type Seen = BTreeMap<(String, i64), Scrape>;

#[derive(Debug, Clone, Default, PartialEq)]
struct Scrape {
    values: BTreeMap<String, String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_that_was_shown_survives_a_kill() {
    let kills: usize = match std::env::var(TIMES) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => TIMES_DEFAULT,
    };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let scrapes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&scrapes);
    let target = pages::serve(Arc::new(move |path: &str| {
        let number = counted.fetch_add(1, Ordering::Relaxed);
        let name = path.trim_start_matches('/');
        let lines: String = (0..SERIES)
            .map(|n| {
                format!(
                    "shown{{target=\"{name}\",n=\"{n}\"}} {}\n",
                    number * 10 + n as u64
                )
            })
            .collect();
        pages::page(&lines)
    }))
    .await;
    let folder = tempfile::tempdir().unwrap();
    write_config(folder.path(), &target);
    let address = free_address().unwrap();
    let mut seen = Seen::new();
    for kill in 0..kills {
        let mut server = start(folder.path(), &address, &[]);
        if kill % 7 == 3 {
            // While it still reads its log.
            tokio::time::sleep(Duration::from_millis(random.u64(0..60))).await;
            server.kill().unwrap();
            continue;
        }
        ready(&mut server, folder.path()).await;
        check(&server, &seen, kill).await;
        tokio::time::sleep(Duration::from_millis(random.u64(50..500))).await;
        seen.extend(shown(&server).await);
        server.kill().unwrap();
    }
    let mut server = start(folder.path(), &address, &[]);
    ready(&mut server, folder.path()).await;
    check(&server, &seen, kills).await;
    assert!(seen.len() > kills, "only {} scrapes were seen", seen.len());
    println!(
        "{kills} kills: {} scrapes were shown and are there, of {} that were served",
        seen.len(),
        scrapes.load(Ordering::Relaxed)
    );
}

fn write_config(folder: &Path, target: &str) {
    let mut jobs = String::new();
    for n in 0..TARGETS {
        jobs.push_str(&format!(
            "- job_name: j{n}\n  metrics_path: /t{n}\n  static_configs: [{{targets: ['{target}']}}]\n"
        ));
    }
    let config =
        format!("global: {{scrape_interval: 50ms, scrape_timeout: 50ms}}\nscrape_configs:\n{jobs}");
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
}

/// All that a query shows now. Of each scrape it must show everything or nothing.
async fn shown(server: &Server) -> Seen {
    let mut seen = Seen::new();
    for series in query(server, "shown[1h]").await {
        let labels = &series["metric"];
        let text = |name: &str| labels[name].as_str().unwrap().to_owned();
        for point in series["values"].as_array().unwrap() {
            let time_ms = (point[0].as_f64().unwrap() * 1e3).round() as i64;
            let scrape = seen.entry((text("target"), time_ms)).or_default();
            let value = point[1].as_str().unwrap().to_owned();
            scrape.values.insert(text("n"), value);
        }
    }
    for (at, scrape) in &seen {
        assert_eq!(
            scrape.values.len(),
            SERIES,
            "a part of a scrape is shown at {at:?}: {scrape:?}"
        );
    }
    seen
}

async fn check(server: &Server, seen: &Seen, kill: usize) {
    let now = shown(server).await;
    for (at, scrape) in seen {
        assert_eq!(
            now.get(at),
            Some(scrape),
            "after {kill} kills, of {} scrapes that were shown",
            seen.len()
        );
    }
}
