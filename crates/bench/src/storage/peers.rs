//! The same data set in Prometheus and in VictoriaMetrics, through their own ways of importing.
//!
//! Their files are counted as they lie on disk when everything is merged; caches and the log of
//! samples that came last are left out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use disk::RealDisk;
use model::Labels;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::data::{Column, DataSet, Target};
use crate::process::{Server, free_address, get, get_within};

/// Bytes of a peer's files.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerBytes {
    /// Samples with their times.
    pub(super) data: u64,
    /// What finds them.
    pub(super) index: u64,
}

impl PeerBytes {
    pub(super) fn all(self) -> u64 {
        self.data + self.index
    }
}

/// Lets `promtool` make one block of the data.
pub(super) fn prometheus(
    promtool: &Path,
    data: &DataSet,
    folder: &Path,
) -> anyhow::Result<PeerBytes> {
    std::fs::create_dir_all(folder)?;
    let text = folder.join("samples.om");
    write_openmetrics(data, &text)?;
    let blocks = folder.join("blocks");
    // One block holds any data set here; promtool aligns blocks, so a set may lie in two.
    let done = Command::new(promtool)
        .args(["tsdb", "create-blocks-from", "--max-block-duration=54h"])
        .args(["--quiet", "openmetrics"])
        .args([&text, &blocks])
        .output()
        .with_context(|| format!("start {}", promtool.display()))?;
    ensure!(
        done.status.success(),
        "promtool: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    std::fs::remove_file(&text)?;
    let mut bytes = PeerBytes { data: 0, index: 0 };
    for block in std::fs::read_dir(&blocks)? {
        let block = block?.path();
        bytes.data += disk::size_of_dir(&RealDisk, &block.join("chunks"))?;
        for file in ["index", "meta.json", "tombstones"] {
            bytes.index += std::fs::metadata(block.join(file)).map_or(0, |file| file.len());
        }
    }
    ensure!(bytes.data > 0, "promtool made no block");
    Ok(bytes)
}

fn write_openmetrics(data: &DataSet, path: &Path) -> anyhow::Result<()> {
    let file = std::fs::File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let mut line = String::new();
    for target in &data.targets {
        for column in &target.series {
            let name = series_text(&column.labels);
            for (value, at_ms) in column.values.iter().zip(times(target, column)) {
                line.clear();
                line.push_str(&name);
                line.push(' ');
                match () {
                    () if value.is_nan() => line.push_str("NaN"),
                    () if value.is_infinite() => {
                        line.push_str(if *value > 0.0 { "+Inf" } else { "-Inf" });
                    }
                    () => write!(line, "{value:?}")?,
                }
                writeln!(line, " {}.{:03}", at_ms / 1_000, at_ms % 1_000)?;
                out.write_all(line.as_bytes())?;
            }
        }
    }
    out.write_all(b"# EOF\n")?;
    out.flush()?;
    Ok(())
}

/// Name and labels as OpenMetrics writes them.
fn series_text(labels: &Labels) -> String {
    let pairs = labels.iter().filter(|(name, _)| *name != "__name__");
    let pairs: Vec<String> = pairs
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{}\"", value.replace('\n', "\\n"))
        })
        .collect();
    format!("{}{{{}}}", labels.metric_name(), pairs.join(","))
}

fn times<'a>(target: &'a Target, column: &'a Column) -> Box<dyn Iterator<Item = i64> + 'a> {
    match &column.scrapes {
        None => Box::new(target.timestamps.iter().copied()),
        Some(scrapes) => Box::new(scrapes.iter().map(|&s| target.timestamps[s as usize])),
    }
}

/// Imports the data into a VictoriaMetrics and waits until it has merged all.
pub(super) async fn victoriametrics(
    binary: &Path,
    data: &DataSet,
    folder: &Path,
) -> anyhow::Result<PeerBytes> {
    std::fs::create_dir_all(folder)?;
    let address = free_address()?;
    let storage = folder.join("storage");
    let arguments = [
        format!("-storageDataPath={}", storage.display()),
        format!("-httpListenAddr={address}"),
        "-retentionPeriod=100y".to_owned(),
        // One merge at the end, as with the others.
        "-denyQueriesOutsideRetention=false".to_owned(),
    ];
    let log = folder.join("log");
    let mut server = Server::start("victoriametrics", binary, &arguments, &address, &log)?;
    wait_for_health(&mut server).await?;
    for target in &data.targets {
        import(&address, target).await?;
    }
    let within = Duration::from_secs(120);
    merge(&server, within).await?;
    server.stop(Duration::from_secs(60)).await?;
    Ok(PeerBytes {
        data: disk::size_of_dir(&RealDisk, &storage.join("data"))?,
        index: disk::size_of_dir(&RealDisk, &storage.join("indexdb"))?,
    })
}

pub(crate) async fn wait_for_health(server: &mut Server) -> anyhow::Result<()> {
    for _ in 0..100 {
        server.still_runs()?;
        let health = get(&format!("{}/health", server.url)).await;
        if health.is_ok_and(|(status, _)| status == 200) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{} does not answer", server.name)
}

/// Makes it merge all that it has, and waits for the end.
pub(crate) async fn merge(server: &Server, within: Duration) -> anyhow::Result<()> {
    for path in ["/internal/force_flush", "/internal/force_merge"] {
        let (status, body) = get_within(&format!("{}{path}", server.url), within).await?;
        ensure!(status == 200, "{path}: {status} {body}");
    }
    wait_for_merges(server).await
}

/// Merges run in the background; two quiet looks in a row are the end.
async fn wait_for_merges(server: &Server) -> anyhow::Result<()> {
    let mut quiet = 0;
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let (_, metrics) = get(&format!("{}/metrics", server.url)).await?;
        let active = metrics.lines().filter(|line| {
            let merges =
                line.starts_with("vm_active_merges{") || line.starts_with("vm_active_force_merges");
            merges && !line.ends_with(" 0")
        });
        quiet = if active.count() == 0 { quiet + 1 } else { 0 };
        if quiet == 2 {
            return Ok(());
        }
    }
    bail!("{} merges for more than five minutes", server.name)
}

/// Posts the series of a target, a line each.
async fn import(address: &str, target: &Target) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST /api/v1/import HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    for column in &target.series {
        let line = import_line(target, column);
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        stream.write_all(chunk.as_bytes()).await?;
    }
    stream.write_all(b"0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "204" || status == "200", "import: {answer}");
    Ok(())
}

fn import_line(target: &Target, column: &Column) -> String {
    let labels: serde_json::Map<String, serde_json::Value> = column
        .labels
        .iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut line = format!(
        "{{\"metric\":{},\"values\":[",
        serde_json::Value::from(labels)
    );
    for (at, value) in column.values.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = match value {
            v if v.is_nan() => write!(line, "{comma}\"NaN\""),
            v if v.is_infinite() && *v > 0.0 => write!(line, "{comma}\"Infinity\""),
            v if v.is_infinite() => write!(line, "{comma}\"-Infinity\""),
            v => write!(line, "{comma}{v:?}"),
        };
    }
    line.push_str("],\"timestamps\":[");
    for (at, time) in times(target, column).enumerate() {
        let _ = write!(line, "{}{time}", if at == 0 { "" } else { "," });
    }
    line.push_str("]}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_get_what_they_can_read() {
        let target = Target {
            timestamps: vec![1_000, 2_500, 3_000],
            ..Target::default()
        };
        let column = Column {
            labels: Labels::from_pairs([("__name__", "a_b"), ("path", "C:\\ \"x\"")]),
            scrapes: Some(vec![0, 2]),
            values: vec![1.0, f64::INFINITY],
        };
        assert_eq!(
            series_text(&column.labels),
            "a_b{path=\"C:\\\\ \\\"x\\\"\"}"
        );
        assert_eq!(
            import_line(&target, &column),
            "{\"metric\":{\"__name__\":\"a_b\",\"path\":\"C:\\\\ \\\"x\\\"\"},\
             \"values\":[1.0,\"Infinity\"],\"timestamps\":[1000,3000]}\n"
        );
    }
}
