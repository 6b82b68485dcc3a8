//! `cargo xtask e2e`: the page in headless Chromium against the real server, which scrapes itself,
//! its machine and, where one is installed, a real node_exporter.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

use crate::process::{Server, free_address};

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
    let status = Command::new("npm")
        .args(["run", "e2e"])
        .current_dir(ui)
        .env("PROMONTORY_URL", &server.url)
        .status()
        .context("start npm")?;
    drop(exporter);
    Ok(status.success())
}
