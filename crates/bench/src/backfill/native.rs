//! A service beside each host whose latencies are native histograms: a target of its own, as such
//! services are.

use anyhow::Context as _;
use fastrand::Rng;
use model::histogram::Span;
use model::{Histogram, Labels, LabelsBuilder};
use storage::{Appender as _, Batch, GroupId, HistogramSample, HistogramValue, SeriesRef};
use tsdb::Db;

use super::RESTART_SCRAPES;

const METHODS: [&str; 4] = ["Get", "List", "Put", "Watch"];
/// Eight buckets a power of two, from about 1 ms on to 1 s.
const SCHEMA: i32 = 3;
const FIRST_BUCKET: i32 = -80;
const BUCKETS: usize = 80;
/// Observations of a method in a scrape interval, at most.
const OBSERVATIONS_MAX: usize = 40;

/// The service's histograms.
pub(super) struct Service {
    group: GroupId,
    series: Vec<SeriesRef>,
    /// One a series.
    pub(super) labels: Vec<Labels>,
    now: Vec<Histogram>,
    rng: Rng,
}

impl Service {
    pub(super) fn new(host: &str, seed: u64, db: &Db) -> anyhow::Result<Service> {
        let instance = format!("{host}:8080");
        let target = Labels::from_pairs([("instance", instance.as_str()), ("job", "rpc")]);
        let group = db.open_group(&target)?;
        let (mut labels, mut series) = (Vec::new(), Vec::new());
        for method in METHODS {
            let mut builder = LabelsBuilder::new(&target);
            builder.set("__name__", "rpc_duration_seconds");
            builder.set("host", host).set("method", method);
            let of_method = builder.build();
            series.push(db.series(group, &of_method).context("a histogram")?);
            labels.push(of_method);
        }
        let mut service = Service {
            group,
            series,
            labels,
            now: Vec::new(),
            rng: Rng::with_seed(seed),
        };
        service.restart();
        Ok(service)
    }

    fn restart(&mut self) {
        let empty = Histogram {
            schema: SCHEMA,
            zero_threshold: 2f64.powi(-128),
            positive_spans: vec![Span {
                offset: FIRST_BUCKET,
                length: BUCKETS as u32,
            }],
            positive_buckets: vec![0; BUCKETS],
            ..Histogram::default()
        };
        self.now = vec![empty; METHODS.len()];
    }

    fn advance(&mut self) {
        if self.rng.u32(..RESTART_SCRAPES) == 0 {
            self.restart();
        }
        for histogram in &mut self.now {
            for _ in 0..self.rng.usize(..OBSERVATIONS_MAX) {
                // The sum of three is near the middle more often than not.
                let thirds = (0..3).map(|_| self.rng.usize(..BUCKETS)).sum::<usize>();
                let bucket = thirds / 3;
                histogram.positive_buckets[bucket] += 1;
                histogram.count += 1;
                histogram.sum += 2f64.powf(f64::from(FIRST_BUCKET + bucket as i32) / 8.0);
            }
        }
    }

    /// Takes the row of this time, appends it, and adds it to the columns.
    pub(super) fn scrape<'a>(
        &mut self,
        db: &Db,
        at_ms: i64,
        columns: impl Iterator<Item = &'a mut Vec<Histogram>>,
    ) -> anyhow::Result<()> {
        self.advance();
        let samples = self.series.iter().zip(&self.now);
        let samples = samples.map(|(&series, histogram)| HistogramSample {
            series,
            timestamp_ms: at_ms,
            value: HistogramValue::Integer(histogram),
        });
        let samples: Vec<_> = samples.collect();
        let mut batch = Batch::of(self.group, at_ms, &[]);
        batch.histograms = &samples;
        let outcome = db.append(batch)?;
        anyhow::ensure!(outcome.appended == samples.len(), "{outcome:?}");
        for (column, histogram) in columns.zip(&self.now) {
            column.push(histogram.clone());
        }
        Ok(())
    }
}
