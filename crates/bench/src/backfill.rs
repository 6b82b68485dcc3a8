//! The same hours of a fleet's samples as Promontory's and as Prometheus's data folder, and in a
//! VictoriaMetrics that runs.
//!
//! Samples go into Promontory by its library, under a clock that moves with them, into Prometheus
//! as blocks, and into VictoriaMetrics by its import of JSON lines, 480 samples a line. They are made two hours at a time, which is what a block spans; that
//! bounds memory to 8 bytes a sample of two hours.
//!
//! Besides what Telegraf shows, every host has a web service: requests by handler and code, and
//! classic histograms of their durations, with a counter reset now and then. A second service of
//! each host has native histograms, which VictoriaMetrics does not get: it has none.

mod native;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use clock::ManualClock;
use fastrand::Rng;
use model::{Histogram, Labels, LabelsBuilder};
use promblock::{BlockWriter, Ulid, Value, WriterOptions};
use storage::{Appender as _, Batch, GroupId, Sample, SeriesRef};
use tsdb::{Db, Options};

use crate::fleet::{FleetOptions, Host};
use crate::import;
use native::Service;

/// Time between two samples of a series.
pub const INTERVAL_MS: i64 = 15_000;
/// What a block spans.
pub const WINDOW_MS: i64 = 2 * 3_600_000;
const ROWS: i64 = WINDOW_MS / INTERVAL_MS;

/// What was written.
#[derive(Debug, Clone, Copy)]
pub struct Filled {
    /// Series.
    pub series: usize,
    /// Samples of all of them.
    pub samples: usize,
    /// Bytes of Promontory's folder.
    pub promontory_bytes: u64,
    /// Bytes of Prometheus's folder.
    pub prometheus_bytes: u64,
}

/// Where samples go.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// Promontory's folder.
    pub promontory: &'a Path,
    /// Prometheus's folder.
    pub prometheus: Option<&'a Path>,
    /// Where a VictoriaMetrics answers.
    pub victoriametrics: Option<&'a str>,
}

/// Fills the places with `windows` times two hours that end at `end_ms`.
///
/// # Errors
/// If a folder cannot be written, or VictoriaMetrics refuses.
pub fn fill(
    options: &FleetOptions,
    end_ms: i64,
    windows: i64,
    places: Places<'_>,
) -> anyhow::Result<Filled> {
    let Places {
        promontory,
        prometheus,
        victoriametrics,
    } = places;
    ensure!(options.churn == 0.0, "series must stay the same");
    let start_ms = end_ms - windows * WINDOW_MS;
    let clock = ManualClock::at_ms(start_ms);
    let db = open(promontory, &clock)?;
    let mut targets = (0..options.hosts)
        .map(|index| Target::new(options, index, &db))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let order = sorted_by_labels(&targets);
    for window in 0..windows {
        let from_ms = start_ms + window * WINDOW_MS;
        for row in 0..ROWS {
            clock.set_ms(from_ms + (row + 1) * INTERVAL_MS);
            for target in &mut targets {
                target.scrape(&db, from_ms + row * INTERVAL_MS)?;
            }
        }
        db.maintain();
        std::thread::scope(|scope| {
            let importing = victoriametrics
                .map(|address| scope.spawn(|| import_window(&targets, from_ms, address)));
            if let Some(folder) = prometheus {
                write_block(&targets, &order, from_ms, folder)?;
            }
            match importing.map(std::thread::ScopedJoinHandle::join) {
                Some(Err(_)) => bail!("the import panicked"),
                Some(Ok(result)) => result,
                None => Ok(()),
            }
        })?;
        for target in &mut targets {
            target.columns.iter_mut().for_each(Vec::clear);
            target.histograms.iter_mut().for_each(Vec::clear);
        }
    }
    db.close();
    let bytes = |folder: &Path| disk::size_of_dir(&disk::RealDisk, folder);
    Ok(Filled {
        series: order.len(),
        samples: order.len() * (windows * ROWS) as usize,
        promontory_bytes: bytes(promontory)?,
        prometheus_bytes: prometheus.map_or(Ok(0), bytes)?,
    })
}

fn open(folder: &Path, clock: &Arc<ManualClock>) -> anyhow::Result<Arc<Db>> {
    let clock: clock::SharedClock = Arc::<ManualClock>::clone(clock);
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = Options::new(folder);
    options.background = false;
    options.block_duration_max_ms = WINDOW_MS;
    Db::open(disk::RealDisk::shared(), options, clock, &registry).context("open the database")
}

/// When in the interval a host is scraped: never at its very start, where subqueries step and
/// versions of Prometheus before 3 begin their windows elsewhere.
pub(crate) fn phase_ms(host: i64, hosts: i64) -> i64 {
    INTERVAL_MS * host / hosts + 1
}

/// One host and its place in storage.
struct Target {
    host: Host,
    web: Web,
    group: GroupId,
    labels: Vec<Labels>,
    samples: Vec<Sample>,
    /// When in the interval it is scraped.
    phase_ms: i64,
    /// Values of the series in the current two hours.
    columns: Vec<Vec<f64>>,
    service: Service,
    /// The same of the service's series, whose labels come behind the others.
    histograms: Vec<Vec<Histogram>>,
}

impl Target {
    fn new(options: &FleetOptions, index: usize, db: &Db) -> anyhow::Result<Target> {
        let host = Host::new(options, index);
        let web = Web::new(index as u64 ^ options.seed.rotate_left(32));
        let instance = format!("{}:9273", host.name());
        let target = Labels::from_pairs([("instance", instance.as_str()), ("job", "telegraf")]);
        let group = db.open_group(&target)?;
        let mut labels = Vec::new();
        for text in host.samples().map(|(text, _)| text).chain(web.texts()) {
            let parsed = promql_syntax::parse_metric(text).with_context(|| text.to_owned())?;
            let mut builder = LabelsBuilder::new(&parsed);
            builder.set("instance", &instance).set("job", "telegraf");
            labels.push(builder.build());
        }
        let mut samples = Vec::with_capacity(labels.len());
        for labels in &labels {
            let series: SeriesRef = db.series(group, labels)?;
            samples.push(Sample { series, value: 0.0 });
        }
        let service = Service::new(host.name(), index as u64 ^ options.seed, db)?;
        let columns = vec![Vec::new(); labels.len()];
        labels.extend(service.labels.iter().cloned());
        Ok(Target {
            histograms: vec![Vec::new(); labels.len() - columns.len()],
            service,
            columns,
            host,
            web,
            group,
            labels,
            samples,
            phase_ms: phase_ms(index as i64, options.hosts as i64),
        })
    }

    /// Takes the row of this time, and appends it.
    fn scrape(&mut self, db: &Db, row_ms: i64) -> anyhow::Result<()> {
        self.host.advance();
        self.web.advance();
        let own = self.host.samples().map(|(_, value)| value);
        let values = own.chain(self.web.values.iter().copied());
        let places = self.samples.iter_mut().zip(&mut self.columns);
        for ((sample, column), value) in places.zip(values) {
            sample.value = value;
            column.push(value);
        }
        let outcome = db.append(Batch::of(self.group, row_ms + self.phase_ms, &self.samples))?;
        ensure!(outcome.appended == self.samples.len(), "{outcome:?}");
        let at_ms = row_ms + self.phase_ms;
        self.service.scrape(db, at_ms, self.histograms.iter_mut())
    }

    /// What a series has in the current two hours.
    fn values(&self, series: usize) -> Box<dyn Iterator<Item = Value> + '_> {
        match self.columns.get(series) {
            Some(column) => Box::new(column.iter().map(|&value| Value::Float(value))),
            None => {
                let column = self.histograms[series - self.columns.len()].iter();
                Box::new(column.map(|one| Value::IntegerHistogram(Box::new(one.clone()))))
            }
        }
    }
}

/// Target and place of every series, in the order in which a block has them.
fn sorted_by_labels(targets: &[Target]) -> Vec<(usize, usize)> {
    let all = targets.iter().enumerate();
    let mut order: Vec<_> = all
        .flat_map(|(at, target)| (0..target.labels.len()).map(move |series| (at, series)))
        .collect();
    order.sort_unstable_by_key(|&(target, series)| &targets[target].labels[series]);
    order
}

fn write_block(
    targets: &[Target],
    order: &[(usize, usize)],
    from_ms: i64,
    folder: &Path,
) -> anyhow::Result<()> {
    let ulid = Ulid::new(u64::try_from(from_ms)?, u128::from(fastrand::u64(..)));
    let mut block = BlockWriter::create(&disk::RealDisk, folder, WriterOptions::new(ulid))?;
    for &(target, series) in order {
        let target = &targets[target];
        let first_ms = from_ms + target.phase_ms;
        let values = target.values(series).enumerate();
        let samples = values.map(|(row, value)| promblock::Sample {
            timestamp_ms: first_ms + row as i64 * INTERVAL_MS,
            start_timestamp_ms: 0,
            value,
        });
        block.add_series(&target.labels[series], samples)?;
    }
    block.finish()?;
    Ok(())
}

fn import_window(targets: &[Target], from_ms: i64, address: &str) -> anyhow::Result<()> {
    for target in targets {
        let times = (0..ROWS).map(|row| from_ms + target.phase_ms + row * INTERVAL_MS);
        let series = target.labels.iter().zip(&target.columns);
        import::post(address, times, series)?;
    }
    Ok(())
}

const HANDLERS: [&str; 4] = ["/", "/api/items", "/api/orders", "/static"];
const CODES: [&str; 3] = ["200", "404", "500"];
const BOUNDS: [&str; 11] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf",
];
/// Scrapes between two restarts of the service, on average.
const RESTART_SCRAPES: u32 = 700;

/// A web service's counters.
struct Web {
    texts: Vec<String>,
    values: Vec<f64>,
    rng: Rng,
}

impl Web {
    fn new(seed: u64) -> Web {
        let mut texts = Vec::new();
        let name = "http_request_duration_seconds";
        for handler in HANDLERS {
            for bound in BOUNDS {
                texts.push(format!(
                    "{name}_bucket{{handler=\"{handler}\",le=\"{bound}\"}}"
                ));
            }
            texts.push(format!("{name}_sum{{handler=\"{handler}\"}}"));
            texts.push(format!("{name}_count{{handler=\"{handler}\"}}"));
            for code in CODES {
                texts.push(format!(
                    "http_requests_total{{code=\"{code}\",handler=\"{handler}\"}}"
                ));
            }
        }
        Web {
            values: vec![0.0; texts.len()],
            texts,
            rng: Rng::with_seed(seed),
        }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(String::as_str)
    }

    fn advance(&mut self) {
        if self.rng.u32(..RESTART_SCRAPES) == 0 {
            self.values.fill(0.0);
        }
        let per_handler = BOUNDS.len() + 2 + CODES.len();
        for values in self.values.chunks_mut(per_handler) {
            let (buckets, rest) = values.split_at_mut(BOUNDS.len());
            let mut requests = 0.0;
            for (bound, bucket) in buckets.iter_mut().enumerate() {
                requests += f64::from(self.rng.u32(..12 - bound as u32));
                *bucket += requests;
            }
            rest[0] += requests * 0.03 * self.rng.f64();
            rest[1] += requests;
            rest[2] += requests;
            rest[3] += f64::from(self.rng.u32(..3));
            rest[4] += f64::from(self.rng.u8(..) / 200);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_folders_hold_every_sample() {
        let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let options = FleetOptions {
            hosts: 1,
            containers: 0,
            ..FleetOptions::default()
        };
        let end_ms = 1_700_006_400_000;
        let places = Places {
            promontory: ours.path(),
            prometheus: Some(theirs.path()),
            victoriametrics: None,
        };
        let filled = fill(&options, end_ms, 2, places).unwrap();
        assert_eq!(filled.samples, filled.series * 960);

        let folders = promblock::DataDir::open(&disk::RealDisk, theirs.path()).unwrap();
        let blocks = folders.blocks();
        assert_eq!(blocks.len(), 2);
        let clock = ManualClock::at_ms(end_ms);
        let db = open(ours.path(), &clock).unwrap();
        let querier = storage::Queryable::querier(&*db, 0, end_ms).unwrap();
        let hints = storage::SelectHints::default();
        let found = querier.select(true, &hints, &[]).unwrap();
        assert_eq!(found.series.len(), filled.series);
        let mut samples = storage::Samples::default();
        found.series[7].read(0, end_ms, &mut samples).unwrap();
        assert_eq!(samples.len(), 960);
        let name = model::Matcher::equal("__name__", "rpc_duration_seconds");
        let found = querier.select(true, &hints, &[name]).unwrap();
        assert_eq!(found.series.len(), 4);
        let mut samples = storage::Samples::default();
        found.series[3].read(0, end_ms, &mut samples).unwrap();
        assert_eq!(
            (samples.timestamps.len(), samples.histograms.len()),
            (0, 960)
        );
    }
}
