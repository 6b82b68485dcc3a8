//! Data sets that storages are compared on: targets, the times of their scrapes, and columns.

use model::Labels;
use tsdb::block::{BlockError, BlockSource, GroupInput, SeriesInput, Times};

/// Samples of some targets.
#[derive(Debug, Default)]
pub struct DataSet {
    /// By key.
    pub targets: Vec<Target>,
}

/// What was scraped from one target.
#[derive(Debug, Default)]
pub struct Target {
    /// What names it.
    pub key: Labels,
    /// When it was scraped, ascending.
    pub timestamps: Vec<i64>,
    /// By labels.
    pub series: Vec<Column>,
}

/// The samples of one series.
#[derive(Debug)]
pub struct Column {
    /// Its labels, the metric's name among them.
    pub labels: Labels,
    /// Which scrapes it has values of, ascending; `None` for all.
    pub scrapes: Option<Vec<u32>>,
    /// A value for each.
    pub values: Vec<f64>,
}

impl DataSet {
    /// Samples in all.
    #[must_use]
    pub fn sample_count(&self) -> usize {
        let of = |target: &Target| target.series.iter().map(|s| s.values.len()).sum::<usize>();
        self.targets.iter().map(of).sum()
    }

    /// Series in all.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.targets.iter().map(|target| target.series.len()).sum()
    }

    /// First and last time; `None` without any.
    #[must_use]
    pub fn span_ms(&self) -> Option<(i64, i64)> {
        let first = self.targets.iter().filter_map(|t| t.timestamps.first());
        let last = self.targets.iter().filter_map(|t| t.timestamps.last());
        Some((*first.min()?, *last.max()?))
    }
}

impl Column {
    /// Which of its values are those of the scrapes `from` to before `to`.
    fn range(&self, from: usize, to: usize) -> std::ops::Range<usize> {
        match &self.scrapes {
            None => from..to,
            Some(scrapes) => {
                let at = |scrape: usize| scrapes.partition_point(|&s| (s as usize) < scrape);
                at(from)..at(to)
            }
        }
    }
}

/// A stretch of time of a data set, for a block.
#[derive(Debug)]
pub struct Slice<'a> {
    targets: std::slice::Iter<'a, Target>,
    series: std::slice::Iter<'a, Column>,
    min_ms: i64,
    max_ms: i64,
    from: usize,
    to: usize,
}

impl<'a> Slice<'a> {
    /// What lies from `min_ms` to before `max_ms`.
    #[must_use]
    pub fn new(data: &'a DataSet, min_ms: i64, max_ms: i64) -> Slice<'a> {
        Slice {
            targets: data.targets.iter(),
            series: [].iter(),
            min_ms,
            max_ms,
            from: 0,
            to: 0,
        }
    }
}

impl BlockSource for Slice<'_> {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        let Some(target) = self.targets.next() else {
            return Ok(false);
        };
        let times = &target.timestamps;
        self.from = times.partition_point(|&t| t < self.min_ms);
        self.to = times.partition_point(|&t| t < self.max_ms);
        self.series = target.series.iter();
        group.key = target.key.clone();
        group.timestamps.clear();
        group
            .timestamps
            .extend_from_slice(&times[self.from..self.to]);
        Ok(true)
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        let Some(column) = self.series.next() else {
            return Ok(false);
        };
        let range = column.range(self.from, self.to);
        series.clear();
        series.labels = column.labels.clone();
        series
            .values
            .extend_from_slice(&column.values[range.clone()]);
        match &column.scrapes {
            None => series.times = Times::Every,
            Some(scrapes) => {
                series.times = Times::Present;
                series.present.clear();
                series.present.resize((self.to - self.from).div_ceil(64), 0);
                for &scrape in &scrapes[range] {
                    let at = scrape as usize - self.from;
                    series.present[at / 64] |= 1 << (at % 64);
                }
            }
        }
        Ok(true)
    }
}

/// What the values of a series are like. Most bytes go where few samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The same all along.
    Constant,
    /// Whole numbers that hardly ever fall.
    Counter,
    /// Whole numbers.
    Gauge,
    /// At most six decimals.
    Decimal,
    /// Everything else: percentages, averages, sums of floats.
    Float,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 5] = [
        Class::Constant,
        Class::Counter,
        Class::Gauge,
        Class::Decimal,
        Class::Float,
    ];

    /// The class of some values.
    #[must_use]
    pub fn of(values: &[f64]) -> Class {
        let same = |v: &f64| v.to_bits() == values[0].to_bits();
        if values.iter().all(same) {
            return Class::Constant;
        }
        if values.iter().all(|v| v.fract() == 0.0 && v.abs() < 9e15) {
            let falls = values.windows(2).filter(|w| w[1] < w[0]).count();
            return match falls <= values.len() / 2_000 {
                true => Class::Counter,
                false => Class::Gauge,
            };
        }
        let decimal = |v: &f64| {
            let scaled = v * 1e6;
            scaled.abs() < 9e15 && scaled.round() / 1e6 == *v
        };
        match values.iter().all(decimal) {
            true => Class::Decimal,
            false => Class::Float,
        }
    }

    /// How reports call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Constant => "constant",
            Class::Counter => "whole counter",
            Class::Gauge => "whole gauge",
            Class::Decimal => "decimal",
            Class::Float => "other float",
        }
    }
}
