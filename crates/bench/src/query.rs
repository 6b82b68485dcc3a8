//! `cargo xtask bench query`: how long the queries of dashboards and alerts take.
//!
//! Both servers start on the same samples, in blocks and, ours, in the head; neither merges
//! blocks meanwhile, and neither scrapes. A query is asked once to see that the answers are equal,
//! and then by turns, each server the same number of times; its figure is the median, from the
//! request to the last byte of the answer.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::ask::{encode, now_ms};
use crate::backfill::{self, WINDOW_MS};
use crate::compare::difference;
use crate::fleet::FleetOptions;
use crate::process::{Server, free_address, get_timed};

/// The queries, one a line.
const QUERIES: &str = include_str!("../queries/dashboards.txt");

/// Sums of floats in another order differ in the last digits.
const RELATIVE_TOLERANCE: f64 = 1e-9;
/// As long as Prometheus lets a query take.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Resolution of a dashboard.
const STEP_S: i64 = 60;
const WIDE_STEPS: i64 = 40;

/// What to run.
#[derive(Debug, Clone)]
pub struct QueryOptions {
    /// The fleet whose samples are queried.
    pub fleet: FleetOptions,
    /// Hours of samples; an even number, at least 2.
    pub hours: i64,
    /// How often each query is timed.
    pub runs: usize,
    /// Servers to run: name and binary. The first is Promontory.
    pub servers: Vec<(String, PathBuf)>,
}

/// The figures of one query.
#[derive(Debug, Clone)]
pub struct QueryResult {
    /// As it stands in the list.
    pub query: String,
    /// Series in the answer.
    pub series: usize,
    /// Median times, a server each.
    pub medians: Vec<Duration>,
    /// What differs between the answers.
    pub difference: Option<String>,
}

/// Fills data folders, asks, and writes a table to `out`.
///
/// # Errors
/// If a folder cannot be filled, a server cannot be run, or a query fails.
pub async fn run(options: &QueryOptions, out: &mut impl Write) -> anyhow::Result<Vec<QueryResult>> {
    ensure!(
        options.hours >= 2 && options.hours % 2 == 0,
        "--hours must be even"
    );
    ensure!(options.runs > 0, "--runs must not be 0");
    let scratch = tempfile::tempdir().context("make a scratch folder")?;
    let end_ms = now_ms().div_euclid(WINDOW_MS) * WINDOW_MS;
    let folder = |at: usize| Some(scratch.path().join(&options.servers.get(at)?.0));
    let (ours, theirs) = (folder(0).context("no server")?, folder(1));
    let (fleet, windows) = (options.fleet.clone(), options.hours * 3_600_000 / WINDOW_MS);
    let filling = tokio::task::spawn_blocking(move || {
        backfill::fill(&fleet, end_ms, windows, &ours, theirs.as_deref())
    });
    let filled = filling.await??;
    writeln!(
        out,
        "{} series, {} samples in {} hours; bytes a sample, log included: {:.2} in Promontory, {:.2} in Prometheus",
        filled.series,
        filled.samples,
        options.hours,
        filled.promontory_bytes as f64 / filled.samples as f64,
        filled.prometheus_bytes as f64 / filled.samples as f64,
    )?;
    let config = scratch.path().join("prometheus.yml");
    std::fs::write(&config, "global:\n  scrape_interval: 15s\n")?;
    let mut servers = Vec::new();
    for (name, binary) in &options.servers {
        let address = free_address()?;
        let arguments = [
            format!("--config.file={}", config.display()),
            format!(
                "--storage.tsdb.path={}",
                scratch.path().join(name).display()
            ),
            format!("--web.listen-address={address}"),
            "--storage.tsdb.min-block-duration=2h".to_owned(),
            "--storage.tsdb.max-block-duration=2h".to_owned(),
            "--log.level=warn".to_owned(),
        ];
        let log = scratch.path().join(format!("{name}.log"));
        let mut server = Server::start(name, binary, &arguments, &address, &log)?;
        server.wait_ready(TIMEOUT).await?;
        servers.push(server);
    }

    let mut results = Vec::new();
    header(out, options)?;
    for line in QUERIES.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let path = path(line, end_ms, options.hours)?;
        let result = time_one(&servers, line, &path, options.runs).await?;
        row(out, &result)?;
        results.push(result);
    }
    footer(out, &servers, &results)?;
    Ok(results)
}

/// What to ask for a line of the list.
fn path(line: &str, end_ms: i64, hours: i64) -> anyhow::Result<String> {
    let (kind, query) = line.split_once(' ').context("a kind and a query")?;
    // Off the grid of samples.
    let end_s = end_ms / 1000 - 3;
    let span_s = (hours - 1) * 3600;
    let step_s = match kind {
        "instant" => {
            return Ok(format!(
                "/api/v1/query?query={}&time={end_s}",
                encode(query)
            ));
        }
        "range" => STEP_S,
        "wide" => span_s / (WIDE_STEPS - 1),
        _ => bail!("unknown kind of query: {line}"),
    };
    let start_s = end_s - span_s / step_s * step_s;
    Ok(format!(
        "/api/v1/query_range?query={}&start={start_s}&end={end_s}&step={step_s}",
        encode(query)
    ))
}

async fn time_one(
    servers: &[Server],
    line: &str,
    path: &str,
    runs: usize,
) -> anyhow::Result<QueryResult> {
    let mut answers = Vec::new();
    for server in servers {
        let (_, status, body) = get_timed(&format!("{}{path}", server.url), TIMEOUT).await?;
        ensure!(status == 200, "{} answers {line} with {body}", server.name);
        answers.push(serde_json::from_str::<Value>(&body)?);
    }
    let mut times = vec![Vec::new(); servers.len()];
    for _ in 0..runs {
        for (server, times) in servers.iter().zip(&mut times) {
            let (took, ..) = get_timed(&format!("{}{path}", server.url), TIMEOUT).await?;
            times.push(took);
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let first = &answers[0];
    Ok(QueryResult {
        query: line.to_owned(),
        series: first["data"]["result"].as_array().map_or(0, Vec::len),
        medians: times.into_iter().map(median).collect(),
        difference: answers
            .iter()
            .skip(1)
            .find_map(|other| difference(first, other, RELATIVE_TOLERANCE)),
    })
}

fn header(out: &mut impl Write, options: &QueryOptions) -> std::io::Result<()> {
    for (name, _) in &options.servers {
        write!(out, "{:>13} ", format!("{name} ms"))?;
    }
    writeln!(out, "{:>7} {:>7}  query", "ratio", "series")
}

fn row(out: &mut impl Write, result: &QueryResult) -> std::io::Result<()> {
    for median in &result.medians {
        write!(out, "{:>13.1} ", median.as_secs_f64() * 1e3)?;
    }
    let ratio = ratio(result).map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}"));
    writeln!(out, "{ratio:>7} {:>7}  {}", result.series, result.query)?;
    if let Some(difference) = &result.difference {
        writeln!(out, "    DIFFERENT {difference}")?;
    }
    Ok(())
}

/// How many times longer the other server takes.
fn ratio(result: &QueryResult) -> Option<f64> {
    let [ours, theirs, ..] = result.medians.as_slice() else {
        return None;
    };
    Some(theirs.as_secs_f64() / ours.as_secs_f64())
}

fn footer(out: &mut impl Write, servers: &[Server], results: &[QueryResult]) -> anyhow::Result<()> {
    for server in servers {
        let peak_mb = server.usage()?.rss_peak_bytes as f64 / 1e6;
        writeln!(out, "{}: peak memory {peak_mb:.0} MB", server.name)?;
    }
    let ratios: Vec<f64> = results.iter().filter_map(ratio).collect();
    if !ratios.is_empty() {
        let mean = (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        writeln!(
            out,
            "{} queries: geometric mean of the ratios {mean:.1}, smallest {worst:.1}",
            ratios.len()
        )?;
    }
    let different = results.iter().filter(|r| r.difference.is_some()).count();
    writeln!(
        out,
        "{} answers equal, {different} different",
        results.len() - different
    )?;
    Ok(())
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
        let path = path("wide up", 4 * 3_600_000, 4).unwrap();
        assert!(path.ends_with("&start=3633&end=14397&step=276"), "{path}");
    }
}
