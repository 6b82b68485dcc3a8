//! `cargo xtask bench restart`: how long a server is blind after a crash and after a clean stop.
//!
//! Promontory alone starts on two hours of 15 s rows that were appended through its library
//! ([`crate::preload`]), and scrapes on for a few intervals. With a peer both scrape the same fleet
//! side by side at a short interval until every target has its rows; a row a second takes eight
//! minutes. Then all are killed, and one after the other, each with the machine for itself, is
//! started on what it left, stopped cleanly and started once more. What a query had returned
//! before the kill is asked for again: the same time, the same count of series and samples.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use crate::ask::{json, now_ms, number};
use crate::fleet::FleetOptions;
use crate::ingest;
use crate::preload::PreloadOptions;
use crate::process::{Server, get};
use crate::server::FleetServer;

/// What to run.
#[derive(Debug, Clone)]
pub struct RestartOptions {
    /// The fleet that is scraped.
    pub fleet: FleetOptions,
    /// Scrape interval; by default 15 s after preloaded rows, and 1 s to fill by scraping.
    pub interval_s: Option<u64>,
    /// Scrapes of every target before the kill.
    pub rows: u64,
    /// Servers to run: name and binary.
    pub servers: Vec<(String, PathBuf)>,
}

/// The figures of one restart.
#[derive(Debug, Clone)]
pub struct RestartResult {
    /// The server's name.
    pub name: String,
    /// Whether it was killed; else it was asked to stop.
    pub killed: bool,
    /// How long stopping took.
    pub stop: Duration,
    /// From the start of the process to `/-/ready`.
    pub ready: Duration,
    /// From the start of the process to the first query that found something.
    pub first_answer: Duration,
    /// From the start of the process to the first query that found every scrape.
    pub whole: Duration,
    /// Resident memory before the kill.
    pub rss_before_bytes: u64,
    /// The most resident memory until the server was ready.
    pub rss_peak_at_ready_bytes: u64,
    /// The most resident memory until `whole`, pages that the first queries mapped among it.
    pub rss_peak_bytes: u64,
    /// What was held before the kill.
    pub before: Held,
    /// What was found after the restart.
    pub after: Held,
}

/// What queries at one time return.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Series of the fleet.
    pub series: u64,
    /// Their samples.
    pub samples: u64,
}

/// Scrapes of all targets, counted by their `up`.
const SCRAPES: &str = "sum(count_over_time(up{job=\"telegraf\"}[3h]))";
/// Scrapes of the target that has the fewest.
const ROWS: &str = "min(count_over_time(up{job=\"telegraf\"}[3h]))";
const SERIES: &str = "count({job=\"telegraf\"})";
/// Names of the metrics that the fleet has.
const NAMES: &str = "/api/v1/label/__name__/values?match[]=%7Bjob%3D%22telegraf%22%7D";
/// A replay that takes longer is a failure.
const REPLAY_MAX: Duration = Duration::from_secs(300);
/// How often a starting server is asked; what is measured is no finer.
const POLL: Duration = Duration::from_millis(20);
/// Counting a million samples of one metric takes a while.
const COUNT_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs the servers and measures; a table is written to `out`.
///
/// # Errors
/// If a server does not start, dies by itself, or does not come back in [`REPLAY_MAX`].
pub async fn run(
    options: &RestartOptions,
    out: &mut impl Write,
) -> anyhow::Result<Vec<RestartResult>> {
    let fleet = FleetServer::start(&options.fleet, Duration::ZERO).await?;
    let scratch = tempfile::tempdir().context("make a scratch folder")?;
    std::fs::write(scratch.path().join("fleet.json"), fleet.file_sd().await)?;
    let config = scratch.path().join("prometheus.yml");
    let is_alone = options.servers.len() == 1;
    let interval_s = options.interval_s.unwrap_or(if is_alone { 15 } else { 1 });
    std::fs::write(&config, ingest::configuration(interval_s))?;
    writeln!(
        out,
        "{} hosts, {} containers each, {} rows, then every {interval_s} s…",
        options.fleet.hosts, options.fleet.containers, options.rows
    )?;
    let fleet = Arc::new(fleet);
    if is_alone {
        let preloaded = PreloadOptions::of(options.rows, now_ms());
        let folder = scratch.path().join(&options.servers[0].0);
        ingest::preload_fleet(&fleet, folder, preloaded, out).await?;
    }
    let mut running = Vec::new();
    for (name, binary) in &options.servers {
        running.push(ingest::start(name, binary, scratch.path(), &config).await?);
    }
    match is_alone {
        true => tokio::time::sleep(Duration::from_secs(2 * interval_s)).await,
        false => fill(options.rows, interval_s, &running).await?,
    }

    // What had this time was scraped, and is appended or given up, when the count begins.
    let at_ms = now_ms();
    tokio::time::sleep(Duration::from_secs(2 * interval_s)).await;
    let mut before = Vec::new();
    for server in &running {
        // Before the queries: what they read of mapped files is memory, too.
        let usage = server.usage()?;
        let scrapes = ask(server, SCRAPES, at_ms).await?;
        before.push((held(server, at_ms).await?, scrapes, usage));
    }
    for server in &mut running {
        server.kill()?;
    }
    let mut results = Vec::new();
    for ((name, binary), (before, scrapes, usage)) in options.servers.iter().zip(before) {
        let restart = Restart {
            name,
            binary,
            scratch: scratch.path(),
            config: &config,
            at_ms,
            scrapes,
        };
        let mut stop = Duration::ZERO;
        for killed in [true, false] {
            let (mut server, mut result) = restart.run().await?;
            result.killed = killed;
            result.stop = stop;
            result.rss_before_bytes = usage.rss_bytes;
            result.before = before;
            results.push(result);
            stop = server.stop(REPLAY_MAX).await?;
        }
    }
    write_table(out, &results)?;
    Ok(results)
}

/// Waits until every target has its rows; a machine that cannot scrape so often gets half as much
/// time again, and then goes on with what there is.
async fn fill(wanted: u64, interval_s: u64, servers: &[Server]) -> anyhow::Result<()> {
    let planned = Duration::from_secs(wanted * interval_s);
    let deadline = Instant::now() + planned * 3 / 2 + Duration::from_secs(60);
    tokio::time::sleep(planned).await;
    while Instant::now() < deadline {
        let mut fewest = u64::MAX;
        for server in servers {
            // Nothing is found before the first scrape.
            let rows = ask(server, ROWS, now_ms()).await.unwrap_or(0);
            fewest = fewest.min(rows);
        }
        if fewest >= wanted {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    Ok(())
}

struct Restart<'a> {
    name: &'a str,
    binary: &'a Path,
    scratch: &'a Path,
    config: &'a Path,
    /// The time that all queries ask for.
    at_ms: i64,
    /// Scrapes that were there before the kill.
    scrapes: u64,
}

impl Restart<'_> {
    /// Starts the server on what it left and measures until everything is there.
    async fn run(&self) -> anyhow::Result<(Server, RestartResult)> {
        let began = Instant::now();
        let (mut server, _) = ingest::spawn(self.name, self.binary, self.scratch, self.config)?;
        let (mut ready, mut first_answer) = (None, None);
        let mut peak_at_ready = 0;
        let is_ready = format!("{}/-/ready", server.url);
        let whole = loop {
            if began.elapsed() > REPLAY_MAX {
                bail!("{} has not all its data after {REPLAY_MAX:?}", self.name);
            }
            server.still_runs()?;
            if ready.is_none() && get(&is_ready).await.is_ok_and(|(status, _)| status == 200) {
                ready = Some(began.elapsed());
                // Before any query: what it reads of mapped files would be in it.
                peak_at_ready = server.usage()?.rss_peak_bytes;
            }
            if ready.is_none() {
                tokio::time::sleep(POLL).await;
                continue;
            }
            // Refused and empty answers are what is waited out.
            let scrapes = ask(&server, SCRAPES, self.at_ms).await.unwrap_or(0);
            if scrapes > 0 {
                first_answer.get_or_insert(began.elapsed());
            }
            if scrapes >= self.scrapes {
                break began.elapsed();
            }
            tokio::time::sleep(POLL).await;
        };
        let usage = server.usage()?;
        let after = held(&server, self.at_ms).await?;
        let result = RestartResult {
            name: self.name.to_owned(),
            killed: true,
            stop: Duration::ZERO,
            ready: ready.unwrap_or(whole),
            first_answer: first_answer.unwrap_or(whole),
            whole,
            rss_before_bytes: 0,
            rss_peak_at_ready_bytes: peak_at_ready,
            rss_peak_bytes: usage.rss_peak_bytes,
            before: after,
            after,
        };
        Ok((server, result))
    }
}

async fn held(server: &Server, at_ms: i64) -> anyhow::Result<Held> {
    let names = json(server, NAMES, COUNT_TIMEOUT).await?;
    let names = names["data"].as_array().context("no names")?;
    let mut samples = 0;
    // One by one: a count over time forgets the name, and two metrics may have the same labels.
    for name in names.iter().filter_map(|name| name.as_str()) {
        let query = format!("sum(count_over_time({name}{{job=\"telegraf\"}}[3h]))");
        samples += ask(server, &query, at_ms).await?;
    }
    Ok(Held {
        series: ask(server, SERIES, at_ms).await?,
        samples,
    })
}

async fn ask(server: &Server, query: &str, at_ms: i64) -> anyhow::Result<u64> {
    Ok(number(server, query, at_ms, COUNT_TIMEOUT).await? as u64)
}

fn write_table(out: &mut impl Write, results: &[RestartResult]) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:<12} {:<6} {:>7} {:>8} {:>9} {:>9} {:>10} {:>8} {:>8} {:>9} {:>11} {:>8}",
        "server",
        "after",
        "stop s",
        "ready s",
        "answer s",
        "whole s",
        "before MB",
        "ready MB",
        "peak MB",
        "series",
        "samples",
        "missing"
    )?;
    for row in results {
        let missing = i128::from(row.before.samples) - i128::from(row.after.samples);
        writeln!(
            out,
            "{:<12} {:<6} {:>7.2} {:>8.2} {:>9.2} {:>9.2} {:>10.1} {:>8.1} {:>8.1} {:>9} {:>11} {:>8}",
            row.name,
            if row.killed { "kill" } else { "stop" },
            row.stop.as_secs_f64(),
            row.ready.as_secs_f64(),
            row.first_answer.as_secs_f64(),
            row.whole.as_secs_f64(),
            row.rss_before_bytes as f64 / 1e6,
            row.rss_peak_at_ready_bytes as f64 / 1e6,
            row.rss_peak_bytes as f64 / 1e6,
            row.after.series,
            row.after.samples,
            missing
        )?;
    }
    Ok(())
}
