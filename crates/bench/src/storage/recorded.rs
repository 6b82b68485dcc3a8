//! The recording that is measured: one that is there, or one that is made now, of whatever servers
//! this machine has.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;

use super::StorageOptions;
use super::data::DataSet;
use super::record::{self, RecordOptions};
use crate::process::{Server, free_address, get};

/// Servers of Debian's packages: name, binary, the flag that takes an address, further flags. They
/// report on themselves; the node_exporter reports on the machine.
const SERVERS: [(&str, &str, &str); 3] = [
    (
        "node",
        "/usr/bin/prometheus-node-exporter",
        "--web.listen-address=",
    ),
    ("prometheus", "/usr/bin/prometheus", "--web.listen-address="),
    (
        "victoriametrics",
        "/usr/bin/victoria-metrics",
        "-httpListenAddr=",
    ),
];

/// Loads the recording, or makes it first.
pub(super) async fn recording(
    options: &StorageOptions,
    out: &mut impl Write,
) -> anyhow::Result<Option<DataSet>> {
    if options.record_for.is_zero() {
        return Ok(None);
    }
    if let Some(data) = record::load(&options.recording)? {
        return Ok(Some(data));
    }
    let folder = tempfile::tempdir()?;
    let servers = start(folder.path()).await?;
    if servers.is_empty() {
        writeln!(out, "nothing to record: no node_exporter, no Prometheus")?;
        return Ok(None);
    }
    let interval = options.record_interval;
    let scrapes = options.record_for.as_millis() / interval.as_millis().max(1);
    writeln!(
        out,
        "\nrecording {} servers for {:?} into {}",
        servers.len(),
        options.record_for,
        options.recording.display()
    )?;
    let targets = servers
        .iter()
        .map(|server| (server.name.clone(), format!("{}/metrics", server.url)));
    record::record(&RecordOptions {
        targets: targets.collect(),
        interval,
        scrapes: scrapes as usize,
        folder: options.recording.clone(),
    })
    .await?;
    record::load(&options.recording)
}

/// Starts what is there. The Prometheus scrapes all of them, so that they have something to do.
async fn start(folder: &Path) -> anyhow::Result<Vec<Server>> {
    let mut found = Vec::new();
    for (name, binary, flag) in SERVERS {
        if Path::new(binary).is_file() {
            found.push((name, binary, flag, free_address()?));
        }
    }
    let addresses: Vec<&str> = found.iter().map(|(.., address)| address.as_str()).collect();
    let config = folder.join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: all\n    \
             static_configs:\n      - targets: {}\n",
            serde_json::to_string(&addresses)?
        ),
    )?;
    let mut servers = Vec::new();
    for (name, binary, flag, address) in &found {
        let mut arguments = vec![format!("{flag}{address}")];
        let data = folder.join(name).display().to_string();
        match *name {
            "prometheus" => arguments.extend([
                format!("--config.file={}", config.display()),
                format!("--storage.tsdb.path={data}"),
            ]),
            "victoriametrics" => arguments.push(format!("-storageDataPath={data}")),
            _ => {}
        }
        let log = folder.join(format!("{name}.log"));
        servers.push(Server::start(
            name,
            Path::new(binary),
            &arguments,
            address,
            &log,
        )?);
    }
    for server in &mut servers {
        wait(server).await?;
    }
    Ok(servers)
}

async fn wait(server: &mut Server) -> anyhow::Result<()> {
    let url = format!("{}/metrics", server.url);
    for _ in 0..100 {
        server.still_runs()?;
        if get(&url).await.is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(false, "{} does not answer", server.name);
    Ok(())
}
