//! Where series come from: samples of a storage or of a subquery, at steps or over ranges.
//!
//! This is also where native histograms are met. They are not evaluated yet: where they would
//! matter the query is refused, and where upstream leaves them out or only counts them, so do we.

use model::Labels;
use storage::Samples;

use crate::annotations::Position;
use crate::column::{ABSENT, Column, Scalar, Steps, is_present};
use crate::error::QueryError;
use crate::flow::{SeriesSet, Stored};
use crate::window::{RangeFunction, Reach, WindowCounts, Windows, latest};

/// What to do where native histograms are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Histograms {
    /// They cannot be evaluated yet.
    Refuse,
    /// What is asked for leaves them out.
    Ignore,
    /// What is asked for takes any sample.
    Count,
}

/// Where the samples of ranges come from.
pub(crate) enum Ranges<'q> {
    Stored(Stored),
    /// A subquery's values.
    Computed(SeriesSet<'q>, Steps),
}

impl Ranges<'_> {
    pub(crate) fn len(&self) -> usize {
        match self {
            Ranges::Stored(series) => series.len(),
            Ranges::Computed(set, _) => set.series.len(),
        }
    }

    pub(crate) fn labels(&self, index: usize) -> &Labels {
        match self {
            Ranges::Stored(series) => series[index].labels(),
            Ranges::Computed(set, _) => &set.series[index].labels,
        }
    }

    pub(crate) fn drops_name(&self, index: usize) -> bool {
        match self {
            Ranges::Stored(_) => false,
            Ranges::Computed(set, _) => set.series[index].drop_name,
        }
    }

    /// The samples of a series that windows can see, without staleness markers. True if there
    /// were floats and histograms.
    pub(crate) fn read(
        &self,
        index: usize,
        windows: &Windows,
        histograms: Histograms,
        out: &mut Samples,
    ) -> Result<bool, QueryError> {
        out.clear();
        let (min_ms, max_ms) = windows.read_range_ms();
        match self {
            Ranges::Stored(series) => {
                series[index].read(min_ms, max_ms, out)?;
                drop_markers(out);
                let mixed = !out.histograms.is_empty() && !out.values.is_empty();
                admit_histograms(series[index].labels(), histograms, out)?;
                Ok(mixed)
            }
            Ranges::Computed(set, steps) => {
                for (step, value) in set.series[index].column.iter() {
                    out.push(steps.at(step), value);
                }
                Ok(false)
            }
        }
    }
}

fn drop_markers(samples: &mut Samples) {
    if samples.values.iter().all(|&v| is_present(v)) {
        return;
    }
    let mut kept = 0;
    for at in 0..samples.values.len() {
        if is_present(samples.values[at]) {
            samples.values[kept] = samples.values[at];
            samples.timestamps[kept] = samples.timestamps[at];
            kept += 1;
        }
    }
    samples.values.truncate(kept);
    samples.timestamps.truncate(kept);
}

/// Deals with the histograms of a range: none are left afterwards.
fn admit_histograms(
    labels: &Labels,
    histograms: Histograms,
    samples: &mut Samples,
) -> Result<(), QueryError> {
    samples.histograms.retain(|(_, h)| is_present(h.sum));
    if samples.histograms.is_empty() {
        return Ok(());
    }
    match histograms {
        Histograms::Refuse => return Err(refuse_histograms(labels)),
        Histograms::Ignore => samples.histograms.clear(),
        // Whatever the value: only that there is one matters.
        Histograms::Count => merge_histograms(samples, 1.0),
    }
    Ok(())
}

/// Puts a float in the place of every histogram.
fn merge_histograms(samples: &mut Samples, value: f64) {
    let floats = samples
        .timestamps
        .iter()
        .copied()
        .zip(samples.values.iter().copied());
    let others = samples
        .histograms
        .iter()
        .map(|(time_ms, h)| (*time_ms, if is_present(h.sum) { value } else { ABSENT }));
    let mut merged: Vec<(i64, f64)> = floats.chain(others).collect();
    merged.sort_by_key(|&(time_ms, _)| time_ms);
    samples.clear();
    for (time_ms, value) in merged {
        samples.push(time_ms, value);
    }
}

pub(crate) fn refuse_histograms(labels: &Labels) -> QueryError {
    QueryError::Execution(format!(
        "native histograms are not supported yet, and {labels} has some"
    ))
}

/// What is said where histograms were left out.
#[derive(Debug, Clone)]
pub(crate) enum Note {
    Nothing,
    /// The aggregation that left them out, and the place that upstream gives it.
    Aggregation(&'static str, Position),
    /// A smoothed selector does not interpolate between floats and histograms.
    Mixed(Position),
}

/// How a selector is read.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) histograms: Histograms,
    /// The time of the samples instead of their value.
    pub(crate) as_time: bool,
    /// What calls it, for the storage.
    pub(crate) function: &'static str,
    pub(crate) note: Note,
}

impl Reading {
    pub(crate) fn new(histograms: Histograms) -> Reading {
        Reading {
            histograms,
            as_time: false,
            function: "",
            note: Note::Nothing,
        }
    }
}

/// A selector's values at the steps.
pub(crate) struct InstantSource {
    pub(crate) series: Stored,
    pub(crate) windows: Windows,
    pub(crate) reading: Reading,
    pub(crate) per_step: bool,
}

impl InstantSource {
    /// The values of a series, and whether a histogram was left out.
    pub(crate) fn column(
        &self,
        index: usize,
        scratch: &mut Samples,
    ) -> Result<(Column, bool), QueryError> {
        scratch.clear();
        let series = &self.series[index];
        let (min_ms, max_ms) = self.windows.read_range_ms();
        series.read(min_ms, max_ms, scratch)?;
        if self.windows.reach == Reach::Smoothed {
            return self.smoothed(series.labels(), scratch);
        }
        let hidden = !scratch.histograms.is_empty() && self.admit(series.labels(), scratch)?;
        let (times, values) = (&scratch.timestamps, &scratch.values);
        Ok((
            latest(times, values, &self.windows, self.reading.as_time),
            hidden,
        ))
    }

    fn smoothed(
        &self,
        labels: &Labels,
        samples: &mut Samples,
    ) -> Result<(Column, bool), QueryError> {
        drop_markers(samples);
        samples.histograms.retain(|(_, h)| is_present(h.sum));
        let (times, values) = (&samples.timestamps, &samples.values);
        let column = crate::extended::smoothed_instant(times, values, &self.windows);
        if samples.histograms.is_empty() {
            return Ok((column, false));
        }
        let reach_ms = self.windows.lookback_ms;
        let steps = self.windows.steps.count;
        let sees = |step: usize, time_ms: i64| {
            let at_ms = self.windows.end_ms(step);
            time_ms > at_ms - reach_ms && time_ms <= at_ms + reach_ms
        };
        let mut mixed = vec![false; steps];
        for (step, mixed) in mixed.iter_mut().enumerate() {
            if !samples
                .histograms
                .iter()
                .any(|(time_ms, _)| sees(step, *time_ms))
            {
                continue;
            }
            *mixed = times.iter().any(|&time_ms| sees(step, time_ms));
            if !*mixed && self.reading.histograms == Histograms::Refuse {
                return Err(refuse_histograms(labels));
            }
        }
        let any = mixed.contains(&true);
        Ok((
            column.filter_map(|step, value| (!mixed[step]).then_some(value)),
            any,
        ))
    }

    /// The samples behind a column: one for every value. Upstream does not count those between
    /// which it interpolates.
    pub(crate) fn counts(&self, column: &Column) -> WindowCounts {
        if self.windows.reach == Reach::Smoothed {
            return WindowCounts::default();
        }
        let present = column.present() as u64;
        let per_step = self.per_step.then(|| {
            let mut per_step = vec![(0, 0); self.windows.steps.count];
            column.iter().for_each(|(step, _)| per_step[step] = (1, 1));
            per_step
        });
        WindowCounts {
            total: present,
            read: present,
            peak: 0,
            per_step,
        }
    }

    /// A histogram hides older floats even if it is left out itself. True if one was left out
    /// at some step.
    fn admit(&self, labels: &Labels, samples: &mut Samples) -> Result<bool, QueryError> {
        let mut met = false;
        if self.reading.histograms != Histograms::Count {
            let mut only = samples.clone();
            only.values.fill(ABSENT);
            merge_histograms(&mut only, 1.0);
            met = !latest(&only.timestamps, &only.values, &self.windows, false).is_empty();
        }
        if met && self.reading.histograms == Histograms::Refuse {
            return Err(refuse_histograms(labels));
        }
        let counted = self.reading.histograms == Histograms::Count;
        merge_histograms(samples, if counted { 1.0 } else { ABSENT });
        Ok(met)
    }
}

/// A function's values over ranges.
pub(crate) struct RangedSource<'q> {
    pub(crate) ranges: Ranges<'q>,
    pub(crate) windows: Windows,
    pub(crate) function: RangeFunction,
    pub(crate) arguments: Vec<Scalar>,
    /// Of the first argument, for annotations.
    pub(crate) position: Position,
    pub(crate) per_step: bool,
}
