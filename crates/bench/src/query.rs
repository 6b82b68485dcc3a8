//! `cargo xtask bench query`: how long the queries of dashboards and alerts take.
//!
//! All servers have the same samples: Promontory in blocks and, the last two hours, in the head;
//! Prometheus all in blocks, which spares it a head to look through; VictoriaMetrics imported and
//! merged. None scrapes or merges meanwhile, and the cache of answers that VictoriaMetrics has is
//! off. VictoriaMetrics has no native histograms and is not asked for them.
//!
//! Every query meets servers that were just started, so that none pays for what another query
//! left behind. It is asked once to see that the answers are equal (VictoriaMetrics
//! extrapolates in another way by design; of its answer only the series are counted), and then by
//! turns, each server the same number of times. Time is the median, from the request to the last
//! byte of the answer; memory is the median of how far the process rose above what was resident
//! after its start, mapped files included; CPU time is the mean.

mod data;
mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::ask::encode;
use crate::backfill::phase_ms;
use crate::compare::difference;
use crate::fleet::FleetOptions;
use crate::process::{Server, free_address, get_timed};
use crate::storage::peers::wait_for_health;

/// The queries, one a line.
const QUERIES: &str = include_str!("../queries/dashboards.txt");

/// How the server is called that is not compared by value.
pub const VICTORIAMETRICS: &str = "victoriametrics";
/// How Prometheus is called.
const PROMETHEUS: &str = "prometheus";
/// In every query about native histograms.
const NATIVE_NAME: &str = "rpc_duration_seconds";
/// Hosts whose series are 400,000.
pub const HOSTS_FULL: usize = 428;
/// Hours that the goals are about.
pub const HOURS_FULL: i64 = 6;

/// Sums of floats in another order differ in the last digits.
const RELATIVE_TOLERANCE: f64 = 1e-9;
/// As long as Prometheus lets a query take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Resolution of a dashboard.
const STEP_S: i64 = 60;
const WIDE_STEPS: i64 = 40;
/// The kind of a range query over native histograms. Until version 3 Prometheus interpolated in their
/// buckets and extrapolated their rates otherwise: of its answers only the series are counted.
const NATIVE: &str = "native";
/// How long before the end of the data queries end, about.
const BEFORE_END_MS: i64 = 3_000;

/// What to run.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// The fleet whose samples are queried.
    pub fleet: FleetOptions,
    /// Hours of samples; an even number, at least 2.
    pub hours: i64,
    /// How often each query is timed.
    pub runs: usize,
    /// Where the data are kept for the next run; else they are made anew and removed.
    pub keep: Option<PathBuf>,
    /// Servers to run: name and binary. The first is Promontory.
    pub servers: Vec<(String, PathBuf)>,
}

/// What one server took for one query.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Median time.
    pub time: Duration,
    /// Mean CPU time; the kernel counts hundredths of a second.
    pub cpu_s: f64,
    /// Median of the most that was resident above what was after the start.
    pub memory_bytes: u64,
    /// The same of the process's own memory, without mapped files.
    pub own_bytes: u64,
    /// Series in its answer.
    pub series: usize,
}

/// The figures of one query.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// As it stands in the list.
    pub query: String,
    /// A server each; `None` for a peer that refuses the query.
    pub costs: Vec<Option<Cost>>,
    /// What differs between the answers.
    pub difference: Option<String>,
}

/// Fills data folders, asks, and writes a table to `out`.
///
/// # Errors
/// If a folder cannot be filled, a server cannot be run, or Promontory refuses a query.
pub async fn run(options: &QueryOptions, out: &mut impl Write) -> anyhow::Result<Vec<QueryResult>> {
    ensure!(
        options.hours >= 2 && options.hours % 2 == 0,
        "--hours must be even"
    );
    ensure!(options.runs > 0, "--runs must not be 0");
    let scratch = tempfile::tempdir().context("make a scratch folder")?;
    let folder = options.keep.as_deref().unwrap_or(scratch.path());
    let data = data::prepare(options, folder, out).await?;
    std::fs::write(
        folder.join("prometheus.yml"),
        "global:\n  scrape_interval: 15s\n",
    )?;

    let mut results = Vec::new();
    report::header(out, options)?;
    for line in QUERIES.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let path = path(
            line,
            query_end_ms(data.end_ms, &options.fleet),
            options.hours,
        )?;
        let mut servers = Vec::new();
        for (name, binary) in &options.servers {
            servers.push(start(name, binary, folder).await?);
        }
        let result = time_one(&servers, line, &path, options.runs, out).await?;
        report::row(out, &result)?;
        results.push(result);
    }
    report::footer(out, options, &results, data.series)?;
    Ok(results)
}

/// A server over its part of the data, ready to answer.
async fn start(name: &str, binary: &Path, folder: &Path) -> anyhow::Result<Server> {
    let address = free_address()?;
    let log = folder.join(format!("{name}.log"));
    let own = folder.join(name);
    if name == VICTORIAMETRICS {
        let arguments = data::victoriametrics_arguments(&own, &address);
        let mut server = Server::start(name, binary, &arguments, &address, &log)?;
        wait_for_health(&mut server).await?;
        return Ok(server);
    }
    let mut arguments = vec![
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", own.display()),
        format!("--web.listen-address={address}"),
        "--storage.tsdb.min-block-duration=2h".to_owned(),
        "--storage.tsdb.max-block-duration=2h".to_owned(),
        "--storage.tsdb.retention.time=100y".to_owned(),
        "--log.level=warn".to_owned(),
    ];
    if name == PROMETHEUS {
        arguments.push("--enable-feature=native-histograms".to_owned());
    }
    let mut server = Server::start(name, binary, &arguments, &address, &log)?;
    server.wait_ready(TIMEOUT).await?;
    Ok(server)
}

/// When queries end: off the grid of samples, at which versions before 3 begin their windows
/// elsewhere. All steps are whole seconds, so it is enough that the milliseconds are nobody's.
fn query_end_ms(data_end_ms: i64, fleet: &FleetOptions) -> i64 {
    let hosts = fleet.hosts as i64;
    let taken = |ms: i64| (0..hosts).any(|host| (phase_ms(host, hosts) - ms) % 1_000 == 0);
    let off_ms = (17..1_000).find(|&ms| !taken(ms)).unwrap_or(17);
    data_end_ms - BEFORE_END_MS + off_ms
}

/// What to ask for a line of the list.
fn path(line: &str, end_ms: i64, hours: i64) -> anyhow::Result<String> {
    let (kind, query) = line.split_once(' ').context("a kind and a query")?;
    let seconds = |ms: i64| format!("{}.{:03}", ms / 1_000, ms % 1_000);
    let (query, end) = (encode(query), seconds(end_ms));
    let span_s = (hours - 1) * 3600;
    let step_s = match kind {
        "instant" => return Ok(format!("/api/v1/query?query={query}&time={end}")),
        "range" | NATIVE => STEP_S,
        "wide" => span_s / (WIDE_STEPS - 1),
        _ => bail!("unknown kind of query: {line}"),
    };
    let start = seconds(end_ms - span_s / step_s * step_s * 1_000);
    Ok(format!(
        "/api/v1/query_range?query={query}&start={start}&end={end}&step={step_s}"
    ))
}

/// Figures of one server that are not summed up yet.
#[derive(Debug, Default)]
struct Taken {
    times: Vec<Duration>,
    peaks: Vec<u64>,
    own_peaks: Vec<u64>,
    resident_before: u64,
    own_before: u64,
    cpu_before_s: f64,
    answer: Option<Value>,
}

async fn time_one(
    servers: &[Server],
    line: &str,
    path: &str,
    runs: usize,
    out: &mut impl Write,
) -> anyhow::Result<QueryResult> {
    let mut taken = Vec::new();
    for (at, server) in servers.iter().enumerate() {
        let before = server.usage()?;
        let (_, status, body) = get_timed(&format!("{}{path}", server.url), TIMEOUT).await?;
        ensure!(at > 0 || status == 200, "{line} is answered with {body}");
        let mut answer = None;
        match status {
            200 if server.name == VICTORIAMETRICS && line.contains(NATIVE_NAME) => {}
            200 => answer = Some(serde_json::from_str::<Value>(&body)?),
            _ => writeln!(out, "    {} refuses: {}", server.name, body.trim_end())?,
        }
        taken.push(Taken {
            answer,
            resident_before: before.rss_bytes,
            own_before: before.own_bytes,
            cpu_before_s: server.usage()?.cpu_s,
            ..Taken::default()
        });
    }
    for _ in 0..runs {
        for (server, taken) in servers.iter().zip(&mut taken) {
            if taken.answer.is_none() {
                continue;
            }
            server.reset_peak()?;
            let url = format!("{}{path}", server.url);
            let asked = get_timed(&url, TIMEOUT);
            let (answered, own_peak) = server.own_peak_bytes(asked).await?;
            let (took, ..) = answered?;
            let peak = server.usage()?.rss_peak_bytes;
            taken.times.push(took);
            taken.peaks.push(peak.saturating_sub(taken.resident_before));
            let own = own_peak.saturating_sub(taken.own_before);
            taken.own_peaks.push(own);
        }
    }
    let mut costs = Vec::new();
    for (server, taken) in servers.iter().zip(&mut taken) {
        let Some(answer) = &taken.answer else {
            costs.push(None);
            continue;
        };
        costs.push(Some(Cost {
            time: median(&mut taken.times),
            cpu_s: (server.usage()?.cpu_s - taken.cpu_before_s) / runs as f64,
            memory_bytes: median(&mut taken.peaks),
            own_bytes: median(&mut taken.own_peaks),
            series: series_count(answer),
        }));
    }
    let first = taken[0].answer.clone().unwrap_or_default();
    let others = servers.iter().zip(&taken).skip(1);
    let mut compared = Vec::new();
    for (server, taken) in others {
        let old = line.starts_with(NATIVE) && is_before_3(server).await?;
        if server.name != VICTORIAMETRICS && !old {
            compared.push(taken);
        }
    }
    let difference = compared
        .iter()
        .filter_map(|taken| taken.answer.as_ref())
        .find_map(|other| difference(&first, other, RELATIVE_TOLERANCE));
    Ok(QueryResult {
        query: line.to_owned(),
        costs,
        difference,
    })
}

/// Whether a Prometheus is older than version 3.
async fn is_before_3(server: &Server) -> anyhow::Result<bool> {
    let url = format!("{}/api/v1/status/buildinfo", server.url);
    let (_, _, body) = get_timed(&url, TIMEOUT).await?;
    let answer: Value = serde_json::from_str(&body).unwrap_or_default();
    let version = answer["data"]["version"].as_str();
    Ok(version.is_some_and(|version| version.starts_with("2.")))
}

fn series_count(answer: &Value) -> usize {
    answer["data"]["result"].as_array().map_or(0, Vec::len)
}

fn median<T: Ord + Copy>(values: &mut [T]) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_query() {
        let lines = QUERIES
            .lines()
            .filter(|l| !l.is_empty() && !l.starts_with('#'));
        let mut count = 0;
        for line in lines {
            path(line, 7_200_000, 2).unwrap();
            let query = line.split_once(' ').unwrap().1;
            let options = promql_syntax::ParseOptions::default();
            promql_syntax::parse(query, &options).unwrap_or_else(|e| panic!("{query}: {e}"));
            count += 1;
        }
        assert!(count >= 20);
    }

    #[test]
    fn ranges_have_the_steps_that_they_say() {
        let path = path("wide up", 4 * 3_600_000 - 2_983, 4).unwrap();
        let wanted = "&start=3633.017&end=14397.017&step=276";
        assert!(path.ends_with(wanted), "{path}");
    }

    #[test]
    fn no_sample_stands_at_the_edge_of_a_window() {
        for hosts in [1, 40, 428, 450] {
            let fleet = FleetOptions {
                hosts,
                ..FleetOptions::default()
            };
            let end_ms = query_end_ms(7_200_000, &fleet);
            for host in 0..hosts as i64 {
                let phase_ms = phase_ms(host, hosts as i64);
                assert_ne!((end_ms - phase_ms) % 1_000, 0, "{hosts} {host}");
            }
        }
    }
}
