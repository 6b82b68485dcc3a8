//! `cargo xtask bench ingest`: what it costs a server to scrape a fleet.
//!
//! The servers run side by side, each scraping every host of the same fleet; the kernel counts CPU
//! time, memory and disk writes of each process. Figures are of the time after the first scrapes,
//! in which every series is new; what starting cost is printed beside them.
//!
//! Promontory alone starts with hours of history ([`crate::preload`]): with more than three in its
//! head, so that a block is due, and with blocks of two hours of which some may be merged. That
//! is measured before the scrapes are ([`maintenance`]): its CPU time, its most memory, and the
//! bytes that a sample costs in a block. Since every sample goes once through a flush and once
//! through each merge, and through the log and the head's files as it is scraped, the sum is what
//! a sample costs the disk in all.

mod maintenance;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::fleet::FleetOptions;
use crate::preload::{PreloadOptions, preload};
use crate::process::{Server, Usage, free_address, get};
use crate::server::FleetServer;

/// What to run.
#[derive(Debug, Clone)]
pub struct IngestOptions {
    /// The fleet that is scraped.
    pub fleet: FleetOptions,
    /// Scrape interval.
    pub interval_s: u64,
    /// How long to measure, after the first scrapes.
    pub seconds: u64,
    /// Answers of the fleet are late by up to this.
    pub jitter_ms: u64,
    /// Hours of history before; by default so many that blocks can be merged (9 to 28, by the time
    /// of day) without a peer, else none.
    pub history_hours: Option<u64>,
    /// Servers to run: name and binary.
    pub servers: Vec<(String, PathBuf)>,
}

/// The figures of one server.
#[derive(Debug, Clone)]
pub struct IngestResult {
    /// The server's name.
    pub name: String,
    /// Series in its head at the end.
    pub series: u64,
    /// Samples appended while measured.
    pub samples: u64,
    /// CPU seconds per million of them.
    pub cpu_s_per_million: f64,
    /// CPU seconds before that: start and first scrapes.
    pub cpu_start_s: f64,
    /// Resident memory at the end and the peak.
    pub rss_bytes: u64,
    /// The most it ever had.
    pub rss_peak_bytes: u64,
    /// Bytes that went to the disk per sample.
    pub disk_bytes_per_sample: f64,
}

/// Runs the servers and measures; a table is written to `out`.
///
/// # Errors
/// If a server does not start, dies, or appends nothing.
pub async fn run(
    options: &IngestOptions,
    out: &mut impl Write,
) -> anyhow::Result<Vec<IngestResult>> {
    let fleet =
        FleetServer::start(&options.fleet, Duration::from_millis(options.jitter_ms)).await?;
    let scratch = tempfile::tempdir().context("make a scratch folder")?;
    std::fs::write(scratch.path().join("fleet.json"), fleet.file_sd().await)?;
    let config = scratch.path().join("prometheus.yml");
    std::fs::write(&config, configuration(options.interval_s))?;

    let is_alone = options.servers.len() == 1;
    let history_hours = options.history_hours.unwrap_or_else(|| {
        if is_alone {
            maintenance::hours_to_merge()
        } else {
            0
        }
    });
    if history_hours > 0 && !is_alone {
        bail!("only Promontory can be given a history");
    }
    let hosts = options.fleet.hosts;
    writeln!(
        out,
        "{hosts} hosts, {} containers each, every {} s, {history_hours} h of history…",
        options.fleet.containers, options.interval_s
    )?;
    let fleet = Arc::new(fleet);
    let folder = scratch.path().join(&options.servers[0].0);
    if history_hours > 0 {
        let preloaded = maintenance::history(history_hours, options.interval_s);
        preload_fleet(&fleet, folder.clone(), preloaded, out).await?;
    }
    let mut servers = Vec::new();
    for (name, binary) in &options.servers {
        servers.push(start(name, binary, scratch.path(), &config).await?);
    }
    // Every target has its place in the interval; after two intervals all have been scraped.
    tokio::time::sleep(Duration::from_secs(2 * options.interval_s)).await;
    let maintained = match history_hours {
        0 => None,
        _ => Some(maintenance::watch(&servers[0], &folder).await?),
    };
    let mut before = Vec::new();
    for server in &servers {
        before.push((server.usage()?, samples_appended(server).await?));
    }
    tokio::time::sleep(Duration::from_secs(options.seconds)).await;
    let mut results = Vec::new();
    for (server, (usage, samples)) in servers.iter().zip(before) {
        results.push(result(server, usage, samples).await?);
    }
    write_table(out, &results)?;
    if let Some(maintained) = maintained {
        maintained.write(&results[0], out)?;
    }
    Ok(results)
}

/// Preloads the fleet on a thread of its own, and says what that was.
pub(crate) async fn preload_fleet(
    fleet: &Arc<FleetServer>,
    folder: PathBuf,
    options: PreloadOptions,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let began = tokio::time::Instant::now();
    let fleet = Arc::clone(fleet);
    let work = move || preload(&fleet, &folder, options);
    let done = tokio::task::spawn_blocking(work).await??;
    writeln!(
        out,
        "{} samples of {} scrapes preloaded in {:.0} s",
        done.samples,
        done.scrapes,
        began.elapsed().as_secs_f64()
    )?;
    Ok(())
}

/// Scrapes the fleet of `fleet.json` at this interval.
pub(crate) fn configuration(interval_s: u64) -> String {
    format!(
        "global:\n  scrape_interval: {interval_s}s\n  scrape_timeout: {}s\n\
         scrape_configs:\n- job_name: telegraf\n  file_sd_configs:\n  - files: [fleet.json]\n",
        interval_s.min(10)
    )
}

/// Starts a server in the scratch folder, on the data that it has there, and waits for it.
pub(crate) async fn start(
    name: &str,
    binary: &Path,
    scratch: &Path,
    config: &Path,
) -> anyhow::Result<Server> {
    let (mut server, log) = spawn(name, binary, scratch, config)?;
    if let Err(error) = server.wait_ready(Duration::from_secs(60)).await {
        bail!(
            "{error:#}\n{}",
            std::fs::read_to_string(&log).unwrap_or_default()
        );
    }
    Ok(server)
}

/// Starts a server and returns at once; the path is its log's.
pub(crate) fn spawn(
    name: &str,
    binary: &Path,
    scratch: &Path,
    config: &Path,
) -> anyhow::Result<(Server, PathBuf)> {
    let address = free_address()?;
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", scratch.join(name).display()),
        format!("--web.listen-address={address}"),
        "--log.level=warn".to_owned(),
    ];
    let log = scratch.join(format!("{name}.log"));
    let server = Server::start(name, binary, &arguments, &address, &log)?;
    Ok((server, log))
}

async fn result(
    server: &Server,
    before: Usage,
    samples_before: u64,
) -> anyhow::Result<IngestResult> {
    let after = server.usage()?;
    let samples = samples_appended(server).await? - samples_before;
    if samples == 0 {
        bail!("{} appended no sample", server.name);
    }
    let metrics = metrics(server).await?;
    let count = samples as f64;
    Ok(IngestResult {
        name: server.name.clone(),
        series: metrics
            .get("prometheus_tsdb_head_series")
            .copied()
            .unwrap_or(0.0) as u64,
        samples,
        cpu_s_per_million: (after.cpu_s - before.cpu_s) / count * 1e6,
        cpu_start_s: before.cpu_s,
        rss_bytes: after.rss_bytes,
        rss_peak_bytes: after.rss_peak_bytes,
        disk_bytes_per_sample: (after.disk_written_bytes - before.disk_written_bytes) as f64
            / count,
    })
}

fn write_table(out: &mut impl Write, results: &[IngestResult]) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:<12} {:>9} {:>11} {:>14} {:>10} {:>9} {:>9} {:>12}",
        "server",
        "series",
        "samples",
        "CPU-s/million",
        "start CPU",
        "RSS MB",
        "peak MB",
        "disk B/sample"
    )?;
    for row in results {
        writeln!(
            out,
            "{:<12} {:>9} {:>11} {:>14.3} {:>9.1}s {:>9.1} {:>9.1} {:>12.2}",
            row.name,
            row.series,
            row.samples,
            row.cpu_s_per_million,
            row.cpu_start_s,
            row.rss_bytes as f64 / 1e6,
            row.rss_peak_bytes as f64 / 1e6,
            row.disk_bytes_per_sample
        )?;
    }
    Ok(())
}

async fn samples_appended(server: &Server) -> anyhow::Result<u64> {
    let metrics = metrics(server).await?;
    // Older servers have no label `type`.
    let names = [
        "prometheus_tsdb_head_samples_appended_total{type=\"float\"}",
        "prometheus_tsdb_head_samples_appended_total",
    ];
    let value = names.iter().find_map(|name| metrics.get(*name));
    Ok(*value.context("no count of appended samples in /metrics")? as u64)
}

async fn metrics(server: &Server) -> anyhow::Result<BTreeMap<String, f64>> {
    let (status, body) = get(&format!("{}/metrics", server.url)).await?;
    anyhow::ensure!(status == 200, "/metrics answers {status}");
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    Ok(lines
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?)))
        .collect())
}
