//! `cargo xtask compare`: Promontory and a Prometheus scrape the same pages and answer the same
//! queries; every difference in labels, timestamps and values is shown.
//!
//! The two never scrape at the same moment, so the page carries timestamps of its own: a new page
//! every [`TICK`] of real time, stamped [`TICK_DATA_MS`] after the one before, and both servers
//! scrape several times a tick, so that both see every page. The page holds series with resets,
//! gaps, NaN, infinities and buckets, and, if a node_exporter can be started, all that it exposes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::ask::{self, encode, now_ms};
use crate::page;
use crate::process::{Server, free_address, get};

/// The queries, one a line.
const QUERIES: &str = include_str!("../queries/compare.txt");

/// Real time from page to page. Both servers scrape every 200 ms.
const TICK: Duration = Duration::from_millis(1_000);
/// Time between the stamps of two pages.
const TICK_DATA_MS: i64 = 15_000;
/// Pages; together they cover 15 minutes.
const TICKS: i64 = 60;
/// The order of a floating point sum is not defined by PromQL, and versions before 3 summed
/// without compensation.
const RELATIVE_TOLERANCE: f64 = 1e-12;

/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What to compare.
#[derive(Debug)]
pub struct CompareOptions {
    /// Promontory's binary.
    pub promontory: PathBuf,
    /// The Prometheus to compare with.
    pub prometheus: PathBuf,
    /// A node_exporter; without one, its metrics are missing from the page and queries on them
    /// compare empty answers.
    pub node_exporter: Option<PathBuf>,
}

/// How many comparisons were equal, and the differences.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Equal answers.
    pub equal: usize,
    /// Query and what differs.
    pub different: Vec<(String, String)>,
    /// Queries that the peer is too old for.
    pub skipped: usize,
    /// Equal answers that were not empty.
    pub with_data: usize,
}

/// Runs the comparison and reports to `out`.
///
/// # Errors
/// If a server cannot be run. Differences are not errors.
pub async fn run(options: &CompareOptions, out: &mut impl Write) -> anyhow::Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let exporter = match &options.node_exporter {
        Some(binary) => Some(start_exporter(binary, scratch.path())?),
        None => None,
    };
    let (sender, receiver) = watch::channel(Arc::new(String::new()));
    let address = serve_page(receiver).await?;
    let config = scratch.path().join("prometheus.yml");
    std::fs::write(&config, configuration(&address))?;

    let start_ms = now_ms() - 40 * 60_000;
    sender.send_replace(Arc::new(page_at(0, start_ms, exporter.as_ref()).await));
    let promontory = start("promontory", &options.promontory, scratch.path(), &config).await?;
    let prometheus = start("prometheus", &options.prometheus, scratch.path(), &config).await?;
    let major = major_version(&prometheus).await?;
    for server in [&promontory, &prometheus] {
        wait_until_scraped(server).await?;
    }
    writeln!(out, "comparing with Prometheus {major}; {TICKS} pages…")?;
    for tick in 0..TICKS {
        sender.send_replace(Arc::new(page_at(tick, start_ms, exporter.as_ref()).await));
        tokio::time::sleep(TICK).await;
    }
    both_saw_every_page(&promontory, &prometheus).await?;
    let outcome = compare_all(&promontory, &prometheus, start_ms, major).await?;
    report(out, &outcome)?;
    Ok(outcome)
}

fn configuration(address: &str) -> String {
    format!(
        "global:\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  evaluation_interval: 15s\n\
         scrape_configs:\n- job_name: page\n  static_configs:\n  - targets: ['{address}']\n    \
         labels: {{instance: page}}\n"
    )
}

async fn start(name: &str, binary: &Path, scratch: &Path, config: &Path) -> anyhow::Result<Server> {
    let address = free_address()?;
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", scratch.join(name).display()),
        format!("--web.listen-address={address}"),
    ];
    let log = scratch.join(format!("{name}.log"));
    let mut server = Server::start(name, binary, &arguments, &address, &log)?;
    if let Err(error) = server.wait_ready(Duration::from_secs(60)).await {
        bail!(
            "{error:#}\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
    }
    Ok(server)
}

fn start_exporter(binary: &Path, scratch: &Path) -> anyhow::Result<Server> {
    let address = free_address()?;
    let arguments = [format!("--web.listen-address={address}")];
    Server::start(
        "node_exporter",
        binary,
        &arguments,
        &address,
        &scratch.join("exporter.log"),
    )
}

/// Serves whatever page is current, with keep-alive.
async fn serve_page(receiver: watch::Receiver<Arc<String>>) -> anyhow::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let receiver = receiver.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                // Requests of a scraper fit in one read.
                while stream.read(&mut request).await.is_ok_and(|n| n > 0) {
                    let page = Arc::clone(&receiver.borrow());
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\
                         Content-Length: {}\r\n\r\n",
                        page.len()
                    );
                    let answer = [head.as_bytes(), page.as_bytes()].concat();
                    if stream.write_all(&answer).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok(address)
}

/// The page of one tick: the demo series and the exporter's, every line stamped.
async fn page_at(tick: i64, start_ms: i64, exporter: Option<&Server>) -> String {
    let timestamp_ms = start_ms + tick * TICK_DATA_MS;
    let mut text = page::demo(tick, timestamp_ms);
    if let Some(exporter) = exporter
        && let Ok((200, body)) = get(&format!("{}/metrics", exporter.url)).await
    {
        text.push_str(&page::stamped(&body, timestamp_ms));
    }
    text
}

/// A server scrapes only some seconds after it is ready: discovery takes its time.
async fn wait_until_scraped(server: &Server) -> anyhow::Result<()> {
    for _ in 0..300 {
        if pages_seen(server).await? > 0 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{} has not scraped in 30 s", server.name)
}

async fn pages_seen(server: &Server) -> anyhow::Result<i64> {
    let query = encode("count_over_time(tick[1h])");
    let answer = json(server, &format!("/api/v1/query?query={query}")).await?;
    let count = answer["data"]["result"][0]["value"][1].as_str();
    Ok(count.map_or(0, |count| count.parse().unwrap_or(0)))
}

async fn both_saw_every_page(ours: &Server, theirs: &Server) -> anyhow::Result<()> {
    for server in [ours, theirs] {
        let count = pages_seen(server).await?;
        if count != TICKS {
            bail!(
                "{} saw {count} of {TICKS} pages: the machine is too busy",
                server.name
            );
        }
    }
    Ok(())
}

pub(crate) async fn major_version(server: &Server) -> anyhow::Result<u32> {
    let answer = json(server, "/api/v1/status/buildinfo").await?;
    let version = answer["data"]["version"].as_str().unwrap_or_default();
    // A build from source without release flags says nothing: take it for the newest.
    Ok(version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .unwrap_or(3))
}

async fn compare_all(
    ours: &Server,
    theirs: &Server,
    start_ms: i64,
    major: u32,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    for line in QUERIES
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (line, newer) = strip(line, "@3 ");
        let (query, instant_only) = strip(line, "!i ");
        if newer && major < 3 {
            outcome.skipped += 1;
            continue;
        }
        let query = encode(query);
        // Off the grid of samples by 7.3 seconds.
        let at = (start_ms + 45 * TICK_DATA_MS + 7_300) as f64 / 1e3;
        let mut paths = vec![format!("/api/v1/query?query={query}&time={at:.3}")];
        if !instant_only {
            let from = (start_ms + 10 * TICK_DATA_MS + 7_300) as f64 / 1e3;
            paths.push(format!(
                "/api/v1/query_range?query={query}&start={from:.3}&end={at:.3}&step=30"
            ));
        }
        for path in paths {
            compare_one(ours, theirs, line, &path, &mut outcome).await?;
        }
    }
    let window = format!("start={}&end={}", start_ms / 1000, start_ms / 1000 + 3_600);
    for path in [
        format!("/api/v1/series?match[]=demo_gauge&{window}"),
        format!("/api/v1/series?match[]=%7Bzone%3D~%22eu.*%22%7D&match[]=tick&{window}"),
        format!("/api/v1/labels?match[]=demo_gauge&{window}"),
        format!("/api/v1/label/zone/values?{window}"),
        format!("/api/v1/label/zone/values?match[]=demo_gauge%7Bshard%3D%221%22%7D&{window}"),
        format!("/api/v1/label/mode/values?match[]=node_cpu_seconds_total&{window}"),
        "/api/v1/metadata?metric=demo_counter_total".to_owned(),
        format!("/api/v1/label/__name__/values?match[]=%7Bjob%3D%22page%22%7D&{window}"),
    ] {
        compare_one(ours, theirs, &path, &path, &mut outcome).await?;
    }
    Ok(outcome)
}

fn strip<'a>(line: &'a str, mark: &str) -> (&'a str, bool) {
    line.strip_prefix(mark)
        .map_or((line, false), |rest| (rest, true))
}

async fn compare_one(
    ours: &Server,
    theirs: &Server,
    name: &str,
    path: &str,
    outcome: &mut Outcome,
) -> anyhow::Result<()> {
    let (mine, other) = (json(ours, path).await?, json(theirs, path).await?);
    match difference(&mine, &other, RELATIVE_TOLERANCE) {
        None => {
            outcome.equal += 1;
            outcome.with_data += usize::from(has_data(&mine));
        }
        Some(what) => outcome.different.push((format!("{name}  [{path}]"), what)),
    }
    Ok(())
}

fn has_data(answer: &Value) -> bool {
    let data = &answer["data"];
    let result = data.get("result").unwrap_or(data);
    result.as_array().is_none_or(|rows| !rows.is_empty())
}

async fn json(server: &Server, path: &str) -> anyhow::Result<Value> {
    ask::json(server, path, TIMEOUT).await
}

/// What differs between two answers; the order of series does not matter, nor do warnings, whose
/// texts changed over the versions.
pub(crate) fn difference(mine: &Value, other: &Value, tolerance: f64) -> Option<String> {
    if mine["status"] != other["status"] || mine["errorType"] != other["errorType"] {
        return Some(format!("{mine}\n      against {other}"));
    }
    let (mine, other) = (canonical(&mine["data"]), canonical(&other["data"]));
    unlike(&mine, &other, "data", tolerance)
}

fn canonical(data: &Value) -> Value {
    let mut data = data.clone();
    let sort = |rows: &mut Vec<Value>| {
        rows.sort_by_cached_key(|row| row.get("metric").unwrap_or(row).to_string());
    };
    match &mut data {
        Value::Array(rows) => sort(rows),
        Value::Object(_) => {
            let tuple = matches!(data["resultType"].as_str(), Some("scalar" | "string"));
            if let Some(Value::Array(rows)) = data.get_mut("result")
                && !tuple
            {
                sort(rows);
            }
        }
        _ => {}
    }
    data
}

fn unlike(mine: &Value, other: &Value, at: &str, tolerance: f64) -> Option<String> {
    match (mine, other) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = |m: &serde_json::Map<String, Value>| m.keys().cloned().collect::<Vec<_>>();
            if keys(a) != keys(b) {
                return Some(format!("{at}: {mine} against {other}"));
            }
            a.iter()
                .find_map(|(key, value)| unlike(value, &b[key], &format!("{at}.{key}"), tolerance))
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Some(format!("{at}: {} items against {}", a.len(), b.len()));
            }
            let pairs = a.iter().zip(b).enumerate();
            pairs
                .into_iter()
                .find_map(|(n, (x, y))| unlike(x, y, &format!("{at}[{n}]"), tolerance))
        }
        (Value::String(a), Value::String(b)) if close(a, b, tolerance) => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("{at}: {a} against {b}")),
    }
}

fn close(a: &str, b: &str, tolerance: f64) -> bool {
    if a == b {
        return true;
    }
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(x), Ok(y)) => (x - y).abs() <= tolerance * x.abs().max(y.abs()),
        _ => false,
    }
}

fn report(out: &mut impl Write, outcome: &Outcome) -> anyhow::Result<()> {
    for (query, what) in &outcome.different {
        writeln!(out, "DIFFERENT {query}\n      {what}")?;
    }
    writeln!(
        out,
        "{} answers equal ({} with data), {} queries skipped for the peer's age",
        outcome.equal, outcome.with_data, outcome.skipped
    )?;
    writeln!(
        out,
        "{} passed, {} failed",
        outcome.equal,
        outcome.different.len()
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn tells_differences_and_only_those() {
        let answer = |rows: Value| json!({"status": "success", "data": {"resultType": "vector", "result": rows}});
        let row = |name: &str, value: &str| json!({"metric": {"a": name}, "value": [1.5, value]});
        let base = answer(json!([row("x", "1"), row("y", "0.1")]));
        for (other, equal) in [
            (answer(json!([row("y", "0.1"), row("x", "1")])), true),
            (
                answer(json!([row("x", "1"), row("y", "0.10000000000000002")])),
                true,
            ),
            (
                answer(json!([row("x", "1"), row("y", "0.1000000001")])),
                false,
            ),
            (answer(json!([row("x", "1"), row("z", "0.1")])), false),
            (answer(json!([row("x", "1")])), false),
            (answer(json!([row("x", "1"), row("y", "NaN")])), false),
            (json!({"status": "error", "errorType": "bad_data"}), false),
        ] {
            assert_eq!(
                difference(&base, &other, RELATIVE_TOLERANCE).is_none(),
                equal,
                "{other}"
            );
        }
        assert!(
            QUERIES
                .lines()
                .filter(|l| !l.starts_with('#') && !l.is_empty())
                .count()
                >= 100
        );
    }
}
