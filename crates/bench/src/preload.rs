//! Hours of a fleet's samples in a data folder, as a server that had scraped it would have left
//! them when it was stopped.
//!
//! They are appended through Promontory's library under a clock that moves with them, in the
//! groups in which the server's scrapes will go on, with the values on which the fleet will go
//! on; blocks are written and the log is cut as they would have been. Two hours of 393,000 series
//! take about ten seconds of one core.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use clock::ManualClock;
use model::{Labels, LabelsBuilder, STALE_NAN};
use storage::{Appender as _, Batch, GroupId, Sample, SeriesRef};
use tsdb::{Db, Options};

use crate::fleet::Host;
use crate::server::FleetServer;

/// What the server adds to the samples of every scrape, with values as they usually are.
const REPORT: [(&str, f64); 5] = [
    ("up", 1.0),
    ("scrape_duration_seconds", 0.001),
    ("scrape_samples_scraped", 873.0),
    ("scrape_samples_post_metric_relabeling", 873.0),
    ("scrape_series_added", 0.0),
];
/// How often a server looks whether blocks are due.
const MAINTENANCE_MS: i64 = 60_000;

/// What to write.
#[derive(Debug, Clone, Copy)]
pub struct PreloadOptions {
    /// Time of the newest row.
    pub end_ms: i64,
    /// Rows of every host.
    pub rows: u64,
    /// Time between two of them.
    pub interval_ms: i64,
    /// After this time no block is written, merged or removed, and the log is not cut: that is
    /// left to the server.
    pub maintained_to_ms: i64,
    /// Span of the largest blocks; smaller ones are merged.
    pub block_ms_max: i64,
}

impl PreloadOptions {
    /// Rows that end at `end_ms`, in the state in which a server would have left them.
    #[must_use]
    pub fn of(rows: u64, end_ms: i64) -> PreloadOptions {
        PreloadOptions {
            end_ms,
            rows,
            interval_ms: 15_000,
            maintained_to_ms: i64::MAX,
            block_ms_max: 0,
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Preloaded {
    /// Samples appended, those of the report series among them.
    pub samples: u64,
    /// Scrapes of all hosts.
    pub scrapes: u64,
}

/// Scrapes the fleet into the data folder.
///
/// # Errors
/// If the folder cannot be written.
pub fn preload(
    fleet: &FleetServer,
    folder: &Path,
    options: PreloadOptions,
) -> anyhow::Result<Preloaded> {
    let PreloadOptions {
        end_ms,
        rows,
        interval_ms,
        maintained_to_ms,
        block_ms_max,
    } = options;
    let start_ms = end_ms - (rows.max(1) as i64 - 1) * interval_ms;
    let clock = ManualClock::at_ms(start_ms);
    let db = open(folder, &clock, block_ms_max)?;
    let address = fleet.address().to_string();
    let mut targets = Vec::new();
    let mut done = Preloaded::default();
    let mut maintained_ms = start_ms;
    for row in 0..rows as i64 {
        let row_ms = start_ms + row * interval_ms;
        clock.set_ms(row_ms);
        for (index, host) in fleet.hosts().iter().enumerate() {
            let mut host = host.blocking_lock();
            host.advance();
            if targets.len() == index {
                targets.push(Target::new(&address, index, &host, &db)?);
            }
            // Scrapes are spread over the interval; the last ones end at the newest row.
            let phase_ms = interval_ms * index as i64 / fleet.hosts().len() as i64;
            done.samples += targets[index].scrape(&host, &db, row_ms - interval_ms + phase_ms)?;
            done.scrapes += 1;
        }
        if row_ms - maintained_ms >= MAINTENANCE_MS && row_ms <= maintained_to_ms {
            maintained_ms = row_ms;
            db.maintain();
        }
    }
    db.close();
    Ok(done)
}

fn open(folder: &Path, clock: &Arc<ManualClock>, block_ms_max: i64) -> anyhow::Result<Arc<Db>> {
    let clock: clock::SharedClock = Arc::<ManualClock>::clone(clock);
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = Options::new(folder);
    options.background = false;
    options.block_duration_max_ms = block_ms_max;
    Db::open(disk::RealDisk::shared(), options, clock, &registry).context("open the database")
}

/// A host as the server's target.
struct Target {
    instance: String,
    group: GroupId,
    /// Which containers `samples` are of.
    containers_made: u64,
    /// In the order of the page, then the report.
    samples: Vec<Sample>,
    /// Series by their text on the page.
    known: BTreeMap<String, SeriesRef>,
}

impl Target {
    fn new(address: &str, index: usize, host: &Host, db: &Db) -> anyhow::Result<Target> {
        let instance = format!("{}:9273", host.name());
        let path = format!("/host/{index}/metrics");
        // What `scrape` names a target's group by.
        let labels = Labels::from_pairs([
            ("__address__", address),
            ("__metrics_path__", &path),
            ("__scheme__", "http"),
            ("instance", &instance),
            ("job", "telegraf"),
        ]);
        let mut target = Target {
            group: db.open_group(&labels)?,
            instance,
            containers_made: u64::MAX,
            samples: Vec::new(),
            known: BTreeMap::new(),
        };
        target.look_up(host, db)?;
        Ok(target)
    }

    /// Finds the series of the page as it is now; those that are gone.
    fn look_up(&mut self, host: &Host, db: &Db) -> anyhow::Result<Vec<SeriesRef>> {
        let mut before = std::mem::take(&mut self.known);
        self.samples.clear();
        let report = REPORT.iter().map(|(name, _)| *name);
        for text in host.samples().map(|(text, _)| text).chain(report) {
            let (text, series) = match before.remove_entry(text) {
                Some(known) => known,
                None => (text.to_owned(), self.series(text, db)?),
            };
            self.samples.push(Sample { series, value: 0.0 });
            self.known.insert(text, series);
        }
        self.containers_made = host.containers_made();
        Ok(before.into_values().collect())
    }

    fn series(&self, text: &str, db: &Db) -> anyhow::Result<SeriesRef> {
        let parsed = promql_syntax::parse_metric(text).with_context(|| text.to_owned())?;
        let mut builder = LabelsBuilder::new(&parsed);
        builder
            .set("instance", &self.instance)
            .set("job", "telegraf");
        Ok(db.series(self.group, &builder.build())?)
    }

    /// Appends the page as it is now; how many samples it has.
    fn scrape(&mut self, host: &Host, db: &Db, at_ms: i64) -> anyhow::Result<u64> {
        let gone = match host.containers_made() == self.containers_made {
            true => Vec::new(),
            false => self.look_up(host, db)?,
        };
        let report = REPORT.iter().map(|(_, value)| *value);
        let values = host.samples().map(|(_, value)| value).chain(report);
        for (sample, value) in self.samples.iter_mut().zip(values) {
            sample.value = value;
        }
        let live = self.samples.len();
        let stale = gone.into_iter().map(|series| Sample {
            series,
            value: STALE_NAN,
        });
        self.samples.extend(stale);
        let outcome = db.append(Batch::of(self.group, at_ms, &self.samples))?;
        ensure!(outcome.appended == self.samples.len(), "{outcome:?}");
        self.samples.truncate(live);
        Ok(live as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::FleetOptions;
    use std::time::Duration;
    use storage::{Queryable as _, StorageStatus as _};

    #[test]
    fn rows_of_all_hosts_end_where_they_should() {
        let options = FleetOptions {
            hosts: 2,
            containers: 1,
            churn: 0.2,
            ..FleetOptions::default()
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let fleet = runtime
            .block_on(FleetServer::start(&options, Duration::ZERO))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let end_ms = 1_700_006_400_000;
        let done = preload(&fleet, folder.path(), PreloadOptions::of(30, end_ms)).unwrap();
        assert_eq!((done.scrapes, done.samples), (60, 60 * (213 + 66 + 5)));
        let db = open(folder.path(), &ManualClock::at_ms(end_ms), 0).unwrap();
        assert!(db.blocks().is_empty());
        let querier = db.querier(0, end_ms).unwrap();
        let up = [model::Matcher::equal("__name__", "up")];
        let found = querier.select(true, &Default::default(), &up).unwrap();
        assert_eq!(found.series.len(), 2);
        for series in &found.series {
            let mut samples = storage::Samples::default();
            series.read(0, end_ms, &mut samples).unwrap();
            assert_eq!(samples.len(), 30);
        }
    }
}
