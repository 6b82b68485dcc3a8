//! Starts of counters as samples of zero: `created-timestamp-zero-ingestion`.
//!
//! A counter that started after the newest sample of its series was zero then. Its start is mostly
//! known long before: of such a one nothing is written, and nothing is counted as refused.

use model::histogram::CounterResetHint;
use model::{FloatHistogram, Histogram};
use storage::{AppendError, Batch, HistogramSample, HistogramValue, StartTime, TimedSample};

use super::Head;
use super::chunk::SIDE_SAMPLES_MAX;
use super::group::group_and_key;

/// A histogram of the layout of another one that has counted nothing.
enum Zero {
    Integers(Histogram),
    Floats(FloatHistogram),
}

impl Zero {
    fn like(value: HistogramValue<'_>) -> Zero {
        // Another layout would need another chunk.
        match value {
            HistogramValue::Integer(like) => Zero::Integers(Histogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: like.schema,
                zero_threshold: like.zero_threshold,
                custom_values: like.custom_values.clone(),
                ..Histogram::default()
            }),
            HistogramValue::Float(like) => Zero::Floats(FloatHistogram {
                counter_reset_hint: CounterResetHint::Reset,
                schema: like.schema,
                zero_threshold: like.zero_threshold,
                custom_values: like.custom_values.clone(),
                ..FloatHistogram::default()
            }),
        }
    }

    fn value(&self) -> HistogramValue<'_> {
        match self {
            Zero::Integers(histogram) => HistogramValue::Integer(histogram),
            Zero::Floats(histogram) => HistogramValue::Float(histogram),
        }
    }
}

impl Head {
    /// Appends zeros for the starts in a batch that are news, before the batch itself.
    pub(crate) fn append_zeros(&self, batch: Batch<'_>) -> Result<(), AppendError> {
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for start in self.new_starts(batch) {
            let mut all = batch.histograms.iter();
            match all.find(|histogram| histogram.series == start.series) {
                Some(like) => histograms.push((start, Zero::like(like.value))),
                None => floats.push(TimedSample {
                    series: start.series,
                    timestamp_ms: start.start_ms,
                    value: 0.0,
                }),
            }
        }
        let histograms: Vec<_> = histograms
            .iter()
            .map(|(start, zero)| HistogramSample {
                series: start.series,
                timestamp_ms: start.start_ms,
                value: zero.value(),
            })
            .collect();
        // What is refused all the same is refused without a word.
        let nothing = Batch::of(batch.group, batch.timestamp_ms, &[]);
        for timed in floats.chunks(SIDE_SAMPLES_MAX / 2) {
            self.append(Batch { timed, ..nothing })?;
        }
        for histograms in histograms.chunks(SIDE_SAMPLES_MAX / 2) {
            self.append(Batch {
                histograms,
                ..nothing
            })?;
        }
        Ok(())
    }

    /// The starts that are before the batch and newer than all that their series has.
    fn new_starts(&self, batch: Batch<'_>) -> Vec<StartTime> {
        let Some(group) = self.group(batch.group.0) else {
            return Vec::new();
        };
        let valid_ms = self.valid_ms();
        let state = group.state.lock();
        let is_news = |start: &StartTime| {
            let (of, key) = group_and_key(start.series);
            let slot = state.slot(key).filter(|_| of == group.id);
            let newest = slot.map(|slot| state.newest(slot, &self.files));
            newest.is_some_and(|newest| newest.is_none_or(|(at_ms, _)| at_ms < start.start_ms))
        };
        let starts = batch.starts.iter().copied();
        starts
            .filter(|start| (valid_ms..batch.timestamp_ms).contains(&start.start_ms))
            .filter(is_news)
            .collect()
    }
}
