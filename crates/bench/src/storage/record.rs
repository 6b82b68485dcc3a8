//! Recording what real servers report, for measuring storage on it.
//!
//! A recording is a folder with two files a target: `NAME.series` has a line for each series, its
//! labels as JSON in the order in which they were met; `NAME.samples` has the scrapes, each the time
//! in milliseconds and a count, then so many pairs of a line's number and a value (`i64`, `u32`,
//! `u32`, `f64`, little-endian). Values keep their bits.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use exposition::{CreatedSeries, Entry, Format, Parser, ParserOptions, SeriesLabels};
use model::Labels;

use super::data::{Column, DataSet, Target};
use crate::ask::now_ms;
use crate::process::get;

/// What is recorded.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// Name and address of the metrics page of each target.
    pub targets: Vec<(String, String)>,
    /// Time between two scrapes.
    pub interval: Duration,
    /// Scrapes of each target.
    pub scrapes: usize,
    /// Where the recording goes.
    pub folder: PathBuf,
}

/// Times this close to the grid are put on it, as Prometheus does it.
const SNAP_MS: i64 = 2;

/// Scrapes all targets side by side and writes the recording.
///
/// # Errors
/// If the folder cannot be written, or if a page cannot be read. A target that does not answer
/// misses a scrape.
pub async fn record(options: &RecordOptions) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.folder)
        .with_context(|| format!("create {}", options.folder.display()))?;
    let mut running = tokio::task::JoinSet::new();
    for (name, url) in &options.targets {
        ensure!(
            name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'),
            "{name} is no name for a file"
        );
        let recorder = Recorder::new(&options.folder, name)?;
        running.spawn(recorder.run(url.clone(), options.interval, options.scrapes));
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(())
}

/// One target.
struct Recorder {
    name: String,
    ids: HashMap<Labels, u32>,
    labels: SeriesLabels,
    series: std::io::BufWriter<std::fs::File>,
    samples: std::io::BufWriter<std::fs::File>,
}

impl Recorder {
    fn new(folder: &Path, name: &str) -> anyhow::Result<Recorder> {
        let create = |kind: &str| -> anyhow::Result<_> {
            let path = folder.join(format!("{name}.{kind}"));
            let file = std::fs::File::create(&path);
            let file = file.with_context(|| format!("create {}", path.display()))?;
            Ok(std::io::BufWriter::new(file))
        };
        Ok(Recorder {
            name: name.to_owned(),
            ids: HashMap::new(),
            labels: SeriesLabels::new(),
            series: create("series")?,
            samples: create("samples")?,
        })
    }

    async fn run(mut self, url: String, interval: Duration, scrapes: usize) -> anyhow::Result<()> {
        let start_ms = now_ms();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        for _ in 0..scrapes {
            ticks.tick().await;
            let at_ms = snapped(now_ms(), start_ms, interval.as_millis() as i64);
            if let Ok((200, page)) = get(&url).await {
                self.take(at_ms, &page)?;
            }
        }
        self.series.flush()?;
        self.samples.flush()?;
        Ok(())
    }

    fn take(&mut self, at_ms: i64, page: &str) -> anyhow::Result<()> {
        let options = ParserOptions {
            format: Format::PrometheusText,
            created: CreatedSeries::Keep,
        };
        let mut parser = Parser::new(page.as_bytes(), options);
        let mut row = Vec::new();
        let mut count = 0u32;
        while let Some(entry) = parser.next()? {
            // A time of its own is the exporter's business, not that of a scrape.
            let Entry::Sample(sample) = entry else {
                continue;
            };
            if sample.timestamp_ms.is_some() {
                continue;
            }
            self.labels.read(sample.series, sample.kind)?;
            let id = self.id()?;
            row.extend_from_slice(&id.to_le_bytes());
            row.extend_from_slice(&sample.value.to_bits().to_le_bytes());
            count += 1;
        }
        self.samples.write_all(&at_ms.to_le_bytes())?;
        self.samples.write_all(&count.to_le_bytes())?;
        self.samples.write_all(&row)?;
        Ok(())
    }

    /// The number of the series that was read last.
    fn id(&mut self) -> anyhow::Result<u32> {
        let own = [("instance", self.name.as_str()), ("job", &self.name)];
        let labels = Labels::from_pairs(self.labels.iter().chain(own));
        if let Some(&id) = self.ids.get(&labels) {
            return Ok(id);
        }
        let id = u32::try_from(self.ids.len())?;
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        writeln!(self.series, "{}", serde_json::to_string(&pairs)?)?;
        self.ids.insert(labels, id);
        Ok(id)
    }
}

fn snapped(now_ms: i64, start_ms: i64, interval_ms: i64) -> i64 {
    let off = (now_ms - start_ms + interval_ms / 2).rem_euclid(interval_ms) - interval_ms / 2;
    if off.abs() <= SNAP_MS {
        now_ms - off
    } else {
        now_ms
    }
}

/// Reads a recording; `None` if there is none in the folder.
///
/// # Errors
/// If its files cannot be read or are no recording.
pub fn load(folder: &Path) -> anyhow::Result<Option<DataSet>> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(None);
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy().into_owned();
        names.extend(name.strip_suffix(".series").map(str::to_owned));
    }
    names.sort();
    let mut data = DataSet::default();
    for name in &names {
        let path = folder.join(name);
        let target = load_target(name, &path);
        data.targets
            .push(target.with_context(|| format!("read {}", path.display()))?);
    }
    data.targets.retain(|target| !target.series.is_empty());
    Ok((!data.targets.is_empty()).then_some(data))
}

fn load_target(name: &str, path: &Path) -> anyhow::Result<Target> {
    let mut target = Target {
        key: Labels::from_pairs([("instance", name), ("job", name)]),
        ..Target::default()
    };
    for line in std::fs::read_to_string(path.with_extension("series"))?.lines() {
        let pairs: Vec<(String, String)> = serde_json::from_str(line)?;
        let pairs = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        target.series.push(Column {
            labels: Labels::from_pairs(pairs),
            scrapes: Some(Vec::new()),
            values: Vec::new(),
        });
    }
    let bytes = std::fs::read(path.with_extension("samples"))?;
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let at_ms = i64::from_le_bytes(take(&mut rest)?);
        if target.timestamps.last().is_some_and(|&last| last >= at_ms) {
            bail!("scrapes are out of order");
        }
        let scrape = target.timestamps.len() as u32;
        target.timestamps.push(at_ms);
        for _ in 0..u32::from_le_bytes(take(&mut rest)?) {
            let id = u32::from_le_bytes(take(&mut rest)?);
            let value = f64::from_bits(u64::from_le_bytes(take(&mut rest)?));
            let column = target.series.get_mut(id as usize);
            let column = column.context("a sample of no series")?;
            let scrapes = column.scrapes.get_or_insert_default();
            // Of a series that a page has twice the first sample counts.
            if scrapes.last() != Some(&scrape) {
                scrapes.push(scrape);
                column.values.push(value);
            }
        }
    }
    let count = target.timestamps.len();
    for column in &mut target.series {
        column.scrapes = column.scrapes.take().filter(|s| s.len() < count);
    }
    target.series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(target)
}

fn take<const N: usize>(rest: &mut &[u8]) -> anyhow::Result<[u8; N]> {
    let (first, after) = rest.split_first_chunk().context("cut short")?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::new(folder.path(), "one").unwrap();
        recorder
            .take(1_000, "# TYPE a gauge\na{x=\"\\\"\"} 1\nb 2.5\n")
            .unwrap();
        recorder.take(2_001, "b NaN\nc 7 123\n").unwrap();
        drop(recorder);
        let data = load(folder.path()).unwrap().unwrap();
        let target = &data.targets[0];
        assert_eq!(target.timestamps, [1_000, 2_001]);
        assert_eq!(data.series_count(), 2);
        assert_eq!(target.series[0].labels.get("x"), "\"");
        assert_eq!(target.series[0].scrapes, Some(vec![0]));
        assert_eq!(target.series[1].scrapes, None);
        assert!(target.series[1].values[1].is_nan());
        assert!(load(&folder.path().join("none")).unwrap().is_none());
        std::fs::write(folder.path().join("one.samples"), [0; 11]).unwrap();
        assert!(load(folder.path()).is_err());
    }

    #[test]
    fn times_near_the_grid_lie_on_it() {
        for (now, expected) in [
            (5_000, 5_000),
            (5_002, 5_000),
            (4_998, 5_000),
            (5_003, 5_003),
        ] {
            assert_eq!(snapped(now, 2_000, 1_000), expected);
        }
    }
}
