//! A source of blocks out of what Prometheus has.
//!
//! Our blocks keep the series of a scrape target together, since they share timestamps. Prometheus
//! has no targets any more, but series that agree in `job` and `instance` came from one. Its series
//! `up` has the time of every scrape; a series whose times are all among these is stored without
//! times of its own.
//!
//! Memory: a few bytes and a label set a series of the block, and the samples of one series.

use std::collections::BTreeMap;

use model::histogram::HistogramError;
use model::{Labels, METRIC_NAME};
use promblock::{Block, Error, Head, Sample, Value};
use storage::{HistogramValue, StorageError};
use tsdb::block::{BlockError, BlockSource, GroupInput, SeriesInput, Times};

/// Series of Prometheus by their place.
pub(super) trait Origin {
    fn series_count(&self) -> usize;

    fn labels(&self, place: usize) -> Result<Labels, Error>;

    /// Calls `each` with the samples of a series, in order.
    fn samples(&self, place: usize, each: &mut dyn FnMut(Sample)) -> Result<(), Error>;
}

impl Origin for Block {
    fn series_count(&self) -> usize {
        Block::series_count(self)
    }

    fn labels(&self, place: usize) -> Result<Labels, Error> {
        Ok(self.series_at(place)?.labels().clone())
    }

    fn samples(&self, place: usize, each: &mut dyn FnMut(Sample)) -> Result<(), Error> {
        let series = self.series_at(place)?;
        for sample in Block::samples(self, &series) {
            each(sample?);
        }
        Ok(())
    }
}

/// What a head has from `min_ms` to before `end_ms`.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadPart<'a> {
    pub(super) head: &'a Head,
    pub(super) min_ms: i64,
    pub(super) end_ms: i64,
}

impl Origin for HeadPart<'_> {
    fn series_count(&self) -> usize {
        self.head.series().len()
    }

    fn labels(&self, place: usize) -> Result<Labels, Error> {
        Ok(self.head.series()[place].labels().clone())
    }

    fn samples(&self, place: usize, each: &mut dyn FnMut(Sample)) -> Result<(), Error> {
        let samples = self.head.samples(&self.head.series()[place])?;
        let times = self.min_ms..self.end_ms;
        let inside = samples
            .into_iter()
            .filter(|s| times.contains(&s.timestamp_ms));
        inside.for_each(each);
        Ok(())
    }
}

/// What was found on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Numbers, and histograms unless they are left out.
    pub(super) samples: u64,
    /// Histograms that are left out.
    pub(super) left_out: u64,
}

/// An origin as the source of a block.
pub(super) struct Conversion<'a, O> {
    origin: &'a O,
    /// Groups with the places of their series.
    groups: Vec<(Labels, Vec<u32>)>,
    /// Groups begun.
    group: usize,
    /// Series read of the group.
    read: usize,
    /// Whether histograms are left out.
    without_histograms: bool,
    shared: Vec<i64>,
    /// The histograms of the series that was read last, which come as a series of their own.
    histograms: SeriesInput,
    pub(super) found: Found,
    /// Told of every series read.
    progress: &'a mut dyn FnMut(),
}

impl<'a, O: Origin> Conversion<'a, O> {
    pub(super) fn new(
        origin: &'a O,
        without_histograms: bool,
        progress: &'a mut dyn FnMut(),
    ) -> Result<Conversion<'a, O>, Error> {
        let mut groups: BTreeMap<Labels, Vec<u32>> = BTreeMap::new();
        for place in 0..origin.series_count() {
            let labels = origin.labels(place)?;
            let pairs = ["instance", "job"].map(|name| (name, labels.get(name)));
            let key = Labels::from_pairs(pairs);
            groups.entry(key).or_default().push(place as u32);
        }
        Ok(Conversion {
            origin,
            groups: groups.into_iter().collect(),
            group: 0,
            read: 0,
            without_histograms,
            shared: Vec::new(),
            histograms: SeriesInput::default(),
            found: Found::default(),
            progress,
        })
    }

    /// The times of the series that knows all scrapes: `up`, or else the first one.
    fn shared_times(&mut self, places: &[u32]) -> Result<(), Error> {
        let mut chosen = places.first().copied();
        for place in places {
            if self.origin.labels(*place as usize)?.get(METRIC_NAME) == "up" {
                chosen = Some(*place);
                break;
            }
        }
        self.shared.clear();
        if let Some(place) = chosen {
            let shared = &mut self.shared;
            let mut push = |sample: Sample| shared.push(sample.timestamp_ms);
            self.origin.samples(place as usize, &mut push)?;
        }
        Ok(())
    }

    /// Fills `series` with numbers, and `self.histograms` with what else there is.
    fn read_series(&mut self, place: usize, series: &mut SeriesInput) -> Result<(), BlockError> {
        let histograms = &mut self.histograms;
        series.clear();
        histograms.clear();
        series.labels = self.origin.labels(place).map_err(source)?;
        histograms.labels = series.labels.clone();
        let (mut left_out, mut invalid) = (0, None);
        let mut push = |sample: Sample| {
            let (at, start) = (sample.timestamp_ms, sample.start_timestamp_ms);
            let value = match &sample.value {
                Value::Float(value) => {
                    push_time(series, at, start);
                    return series.values.push(*value);
                }
                Value::Histogram(value) => HistogramValue::Float(value),
                Value::IntegerHistogram(value) => HistogramValue::Integer(value),
            };
            if self.without_histograms {
                left_out += 1;
            } else if let Err(error) = validate(value) {
                invalid.get_or_insert((at, error));
            } else {
                push_time(histograms, at, start);
                histograms.histograms.push_value(value);
            }
        };
        self.origin.samples(place, &mut push).map_err(source)?;
        if let Some((at, error)) = invalid {
            return Err(BlockError::Source(StorageError::Limit(format!(
                "series {} has a histogram at {at} that cannot be stored: {error}; \
                 --without-histograms leaves histograms out",
                series.labels
            ))));
        }
        self.found.samples += (series.values.len() + histograms.histograms.len()) as u64;
        self.found.left_out += left_out;
        series.times = times_of(&self.shared, series);
        histograms.times = times_of(&self.shared, histograms);
        Ok(())
    }
}

/// Adds a time, and the start of the counter if any of the series has one.
fn push_time(series: &mut SeriesInput, timestamp_ms: i64, start_ms: i64) {
    if start_ms != 0 || !series.starts.is_empty() {
        series.starts.resize(series.own.len(), 0);
        series.starts.push(start_ms);
    }
    series.own.push(timestamp_ms);
}

fn validate(value: HistogramValue<'_>) -> Result<(), HistogramError> {
    match value {
        HistogramValue::Integer(histogram) => histogram.validate(),
        HistogramValue::Float(histogram) => histogram.validate(),
    }
}

fn source(error: Error) -> BlockError {
    BlockError::Source(StorageError::Corrupt(error.to_string()))
}

/// How the times of `series.own` are best said, where `shared` are those of the group. Fills
/// `series.present` if that is how.
fn times_of(shared: &[i64], series: &mut SeriesInput) -> Times {
    if series.own == shared {
        return Times::Every;
    }
    series.present.clear();
    series.present.resize(shared.len().div_ceil(64), 0);
    let mut at = 0;
    for time in &series.own {
        at += shared[at..].partition_point(|shared| shared < time);
        if shared.get(at) != Some(time) {
            return Times::Own;
        }
        series.present[at / 64] |= 1 << (at % 64);
    }
    Times::Present
}

impl<O: Origin> BlockSource for Conversion<'_, O> {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        let Some((key, places)) = self.groups.get_mut(self.group) else {
            return Ok(false);
        };
        group.key = key.clone();
        let places = std::mem::take(places);
        self.shared_times(&places).map_err(source)?;
        self.groups[self.group].1 = places;
        group.timestamps.clone_from(&self.shared);
        self.group += 1;
        self.read = 0;
        Ok(true)
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        if !self.histograms.histograms.is_empty() {
            std::mem::swap(series, &mut self.histograms);
            self.histograms.clear();
            return Ok(true);
        }
        loop {
            let (_, places) = &self.groups[self.group - 1];
            let Some(place) = places.get(self.read).copied() else {
                return Ok(false);
            };
            self.read += 1;
            (self.progress)();
            self.read_series(place as usize, series)?;
            if !series.values.is_empty() {
                return Ok(true);
            }
            if !self.histograms.histograms.is_empty() {
                std::mem::swap(series, &mut self.histograms);
                self.histograms.clear();
                return Ok(true);
            }
        }
    }
}
