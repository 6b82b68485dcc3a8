//! The data that all servers are asked over, made once and kept if that is wanted.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{QueryOptions, VICTORIAMETRICS};
use crate::ask::now_ms;
use crate::backfill::{self, Places, WINDOW_MS};
use crate::process::{Server, free_address};
use crate::storage::peers::{merge, wait_for_health};

/// Says what a folder holds; written last, so that a folder without it is not whole.
const MANIFEST: &str = "data.json";
/// VictoriaMetrics merges some gigabytes at the end.
const MERGE_TIMEOUT: Duration = Duration::from_secs(900);
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// What is in the folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Data {
    /// End of the newest interval.
    pub(super) end_ms: i64,
    /// Series of all hosts.
    pub(super) series: usize,
}

/// Fills `folder` unless it holds the same data already.
pub(super) async fn prepare(
    options: &QueryOptions,
    folder: &Path,
    out: &mut impl Write,
) -> anyhow::Result<Data> {
    let manifest = folder.join(MANIFEST);
    let wanted = description(options);
    if let Ok(text) = std::fs::read_to_string(&manifest) {
        let found: Value = serde_json::from_str(&text)?;
        ensure!(
            found["data"] == wanted,
            "{} holds other data: {}",
            folder.display(),
            found["data"]
        );
        return Ok(Data {
            end_ms: found["end_ms"].as_i64().context("no end_ms")?,
            series: usize::try_from(found["series"].as_u64().context("no series")?)?,
        });
    }
    std::fs::create_dir_all(folder)?;
    let end_ms = now_ms().div_euclid(WINDOW_MS) * WINDOW_MS;
    let series = fill(options, folder, end_ms, out).await?;
    let text = json!({"data": wanted, "end_ms": end_ms, "series": series});
    std::fs::write(&manifest, text.to_string())?;
    Ok(Data { end_ms, series })
}

/// What the data depend on, and who has them.
fn description(options: &QueryOptions) -> Value {
    let fleet = &options.fleet;
    let names: Vec<&str> = options.servers.iter().map(|(name, _)| &**name).collect();
    json!({
        "hosts": fleet.hosts, "containers": fleet.containers, "seed": fleet.seed,
        "hours": options.hours, "servers": names, "with": "native histograms",
    })
}

async fn fill(
    options: &QueryOptions,
    folder: &Path,
    end_ms: i64,
    out: &mut impl Write,
) -> anyhow::Result<usize> {
    let folder_of = |wanted: &str| {
        let mut names = options.servers.iter().map(|(name, _)| name);
        let found = names.find(|name| *name == wanted);
        found.map(|name| folder.join(name))
    };
    let ours = folder.join(&options.servers.first().context("no server")?.0);
    let prometheus = folder_of("prometheus");
    let victoriametrics = folder_of(VICTORIAMETRICS);
    let mut importer = None;
    if let Some(own) = &victoriametrics {
        importer = Some(start_importer(options, own, folder).await?);
    }
    let address = importer.as_ref().map(|(_, address)| address.clone());
    let (fleet, windows) = (options.fleet.clone(), options.hours * 3_600_000 / WINDOW_MS);
    let (ours_too, prometheus_too) = (ours.clone(), prometheus.clone());
    let filling = tokio::task::spawn_blocking(move || {
        let places = Places {
            promontory: &ours_too,
            prometheus: prometheus_too.as_deref(),
            victoriametrics: address.as_deref(),
        };
        backfill::fill(&fleet, end_ms, windows, places)
    });
    let filled = filling.await??;
    if let Some((mut server, _)) = importer {
        merge(&server, MERGE_TIMEOUT).await?;
        server.stop(STOP_TIMEOUT).await?;
    }
    writeln!(
        out,
        "{} series, {} samples in {} hours; bytes a sample, logs included:",
        filled.series, filled.samples, options.hours,
    )?;
    for folder in [Some(ours), prometheus, victoriametrics]
        .into_iter()
        .flatten()
    {
        let bytes = disk::size_of_dir(&disk::RealDisk, &folder)? as f64;
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        writeln!(out, "  {name} {:.2}", bytes / filled.samples as f64)?;
    }
    Ok(filled.series)
}

async fn start_importer(
    options: &QueryOptions,
    own: &Path,
    folder: &Path,
) -> anyhow::Result<(Server, String)> {
    let mut servers = options.servers.iter();
    let (name, binary) = servers
        .find(|(name, _)| name == VICTORIAMETRICS)
        .context("no VictoriaMetrics")?;
    let address = free_address()?;
    let arguments = victoriametrics_arguments(own, &address);
    let log = folder.join(format!("{name}-import.log"));
    let mut server = Server::start(name, binary, &arguments, &address, &log)?;
    wait_for_health(&mut server).await?;
    Ok((server, address))
}

/// No cached answers, and no limit that the queries of the list meet.
pub(super) fn victoriametrics_arguments(own: &Path, address: &str) -> Vec<String> {
    vec![
        format!("-storageDataPath={}", own.display()),
        format!("-httpListenAddr={address}"),
        "-retentionPeriod=100y".to_owned(),
        "-search.disableCache".to_owned(),
        "-search.latencyOffset=1ms".to_owned(),
        "-search.maxQueryDuration=120s".to_owned(),
        "-search.maxUniqueTimeseries=10000000".to_owned(),
    ]
}
