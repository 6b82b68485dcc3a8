//! `cargo xtask e2e`: the page in headless Chromium against the real server, which scrapes itself,
//! its machine and, where one is installed, a real node_exporter.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::process::{Server, free_address, get};

/// Charts over an hour need so much to show a line and not a dot.
const HISTORY_S: u64 = 90;

/// Starts the servers and runs the page's browser tests; returns whether they passed.
///
/// # Errors
/// If a server or Node cannot be started.
pub async fn run(
    promontory: &Path,
    ui: &Path,
    node_exporter: Option<&Path>,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    let scratch = tempfile::tempdir()?;
    let address = free_address()?;
    let mut jobs =
        format!("- job_name: promontory\n  static_configs: [{{targets: ['{address}']}}]\n");
    let mut exporter = None;
    if let Some(binary) = node_exporter {
        let address = free_address()?;
        let arguments = [format!("--web.listen-address={address}")];
        let log = scratch.path().join("exporter.log");
        exporter = Some(Server::start(
            "node_exporter",
            binary,
            &arguments,
            &address,
            &log,
        )?);
        jobs.push_str(&format!(
            "- job_name: node\n  static_configs: [{{targets: ['{address}']}}]\n"
        ));
    } else {
        writeln!(out, "no node_exporter here: the server scrapes only itself")?;
    }
    let config = scratch.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!("global: {{scrape_interval: 2s, scrape_timeout: 2s}}\nscrape_configs:\n{jobs}"),
    )?;
    let arguments = [
        format!("--config.file={}", config.display()),
        format!(
            "--storage.tsdb.path={}",
            scratch.path().join("data").display()
        ),
        format!("--web.listen-address={address}"),
    ];
    let log = scratch.path().join("promontory.log");
    let mut server = Server::start("promontory", promontory, &arguments, &address, &log)?;
    server.wait_ready(Duration::from_secs(60)).await?;
    wait_for_history(&server).await?;
    let status = Command::new("npm")
        .args(["run", "e2e"])
        .current_dir(ui)
        .env("PROMONTORY_URL", &server.url)
        .status()
        .context("start npm")?;
    drop(exporter);
    Ok(status.success())
}

/// Waits until the server has scraped for [`HISTORY_S`].
async fn wait_for_history(server: &Server) -> anyhow::Result<()> {
    let url = format!(
        "{}/api/v1/query?query=up%20offset%20{HISTORY_S}s",
        server.url
    );
    for _ in 0..2 * HISTORY_S {
        let (_, answer) = get(&url).await?;
        if answer.contains("\"value\"") {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    bail!("the server has scraped nothing")
}
