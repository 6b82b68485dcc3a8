//! `cargo xtask migrate`: what a real Prometheus has scraped goes into Promontory's format and back,
//! and is the same.
//!
//! Prometheus scrapes a small fleet, in which containers come and go, and itself, with blocks of a
//! few seconds, so that at its end there are blocks, mapped chunks of the head and a log. Its data
//! are imported twice (the second time nothing is left to do) and exported again; `promtool tsdb
//! dump` of the first and the last folder, and our own dump of the one between, must have the same
//! lines.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use crate::fleet::FleetOptions;
use crate::process::{Server, free_address};
use crate::server::FleetServer;

/// How long Prometheus scrapes: four blocks and a head.
const SCRAPING: Duration = Duration::from_secs(25);
/// For its start and its stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// What to run.
#[derive(Debug)]
pub struct MigrateOptions {
    /// Promontory's binary.
    pub promontory: PathBuf,
    /// The Prometheus whose data are carried over.
    pub prometheus: PathBuf,
    /// Its tool.
    pub promtool: PathBuf,
}

/// Runs the migration and reports to `out`.
///
/// # Errors
/// If a program fails, or if anything differs.
pub async fn run(options: &MigrateOptions, out: &mut impl Write) -> anyhow::Result<()> {
    let scratch = tempfile::tempdir()?;
    let [source, ours, back] = ["prometheus", "ours", "back"].map(|name| scratch.path().join(name));
    scrape(options, scratch.path(), &source).await?;
    let blocks = block_count(&source)?;
    ensure!(blocks > 1, "Prometheus wrote {blocks} blocks only");

    let tsdb = |arguments: &[&str], path: &Path| {
        let path = format!("--storage.tsdb.path={}", path.display());
        output(
            Command::new(&options.promontory)
                .arg("tsdb")
                .args(arguments)
                .arg(path),
        )
    };
    let text = |path: &Path| path.display().to_string();
    let imported = tsdb(&["import", &text(&source)], &ours)?;
    let imported = imported.lines().last().unwrap_or_default();
    writeln!(out, "{blocks} blocks and a head: {imported}")?;
    let again = tsdb(&["import", &text(&source)], &ours)?;
    ensure!(
        again
            .lines()
            .any(|line| line.starts_with("0 blocks written")),
        "the second import found something to do: {again}"
    );
    tsdb(&["verify"], &ours)?;
    tsdb(&["export", "--format=prometheus", &text(&back)], &ours)?;

    let promtool = |folder: &Path, command: &str| {
        output(
            Command::new(&options.promtool)
                .args(["tsdb", command])
                .arg(folder),
        )
    };
    let wanted = sorted(promtool(&source, "dump")?);
    ensure!(wanted.len() > 10_000, "only {} samples", wanted.len());
    same("what came back", &wanted, &sorted(promtool(&back, "dump")?))?;
    same("our own dump", &wanted, &sorted(tsdb(&["dump"], &ours)?))?;
    writeln!(out, "{} samples came back and are the same", wanted.len())?;
    // Versions before 2.50 do not have it.
    if let Ok(wanted) = promtool(&source, "dump-openmetrics") {
        let own = tsdb(&["dump-openmetrics"], &ours)?;
        same("the text in OpenMetrics", &sorted(wanted), &sorted(own))?;
        writeln!(out, "their text in OpenMetrics is the same, too")?;
    }
    Ok(())
}

/// Lets Prometheus scrape into `data` for a while.
async fn scrape(options: &MigrateOptions, scratch: &Path, data: &Path) -> anyhow::Result<()> {
    let fleet = FleetOptions {
        hosts: 3,
        containers: 4,
        churn: 0.02,
        ..FleetOptions::default()
    };
    let fleet = FleetServer::start(&fleet, Duration::ZERO).await?;
    let targets = scratch.join("targets.json");
    std::fs::write(&targets, fleet.file_sd().await)?;
    let address = free_address()?;
    let config = scratch.join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n\
             - job_name: fleet\n  file_sd_configs: [{{files: ['{}']}}]\n\
             - job_name: self\n  static_configs: [{{targets: ['{address}']}}]\n",
            targets.display()
        ),
    )?;
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", data.display()),
        format!("--web.listen-address={address}"),
        "--storage.tsdb.min-block-duration=4s".to_owned(),
        "--storage.tsdb.max-block-duration=12s".to_owned(),
    ];
    let log = scratch.join("prometheus.log");
    let binary = &options.prometheus;
    let mut server = Server::start("prometheus", binary, &arguments, &address, &log)?;
    let ready = server.wait_ready(PATIENCE).await;
    ready.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
    tokio::time::sleep(SCRAPING).await;
    server.stop(PATIENCE).await?;
    Ok(())
}

fn block_count(data: &Path) -> anyhow::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(data)? {
        count += usize::from(entry?.path().join("meta.json").is_file());
    }
    Ok(count)
}

/// What a program prints.
fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}: {error}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn sorted(text: String) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Checks that two dumps have the same lines, and shows the first that differ.
fn same(what: &str, wanted: &[String], found: &[String]) -> anyhow::Result<()> {
    let differ = wanted
        .iter()
        .zip(found)
        .find(|(wanted, found)| wanted != found);
    if let Some((wanted, found)) = differ {
        bail!("{what} differs: {found} instead of {wanted}");
    }
    ensure!(
        wanted.len() == found.len(),
        "{what} has {} lines instead of {}",
        found.len(),
        wanted.len()
    );
    Ok(())
}
