//! Starts of counters as samples of zero: `created-timestamp-zero-ingestion`.
//!
//! A counter that started after the newest sample of its series was zero then. Its start is mostly
//! known long before: of such a one nothing is written, and nothing is counted as refused.

use storage::{AppendError, Batch, SeriesRef, TimedSample};

use super::Head;
use super::chunk::SIDE_SAMPLES_MAX;
use super::group::group_and_key;

impl Head {
    /// Appends zeros for the starts in a batch that are news, before the batch itself.
    pub(crate) fn append_zeros(&self, batch: Batch<'_>) -> Result<(), AppendError> {
        if batch.starts.is_empty() {
            return Ok(());
        }
        let Some(group) = self.group(batch.group.0) else {
            return Ok(());
        };
        let is_histogram = |series: SeriesRef| batch.histograms.iter().any(|h| h.series == series);
        let valid_ms = self.valid_ms();
        let zeros: Vec<TimedSample> = {
            let state = group.state.lock();
            let is_news = |series: SeriesRef, start_ms: i64| {
                let (of, key) = group_and_key(series);
                let slot = state.slot(key).filter(|_| of == group.id);
                let newest = slot.map(|slot| state.newest(slot, &self.files));
                newest.is_some_and(|newest| newest.is_none_or(|(at_ms, _)| at_ms < start_ms))
            };
            let starts = batch.starts.iter();
            let possible =
                starts.filter(|s| valid_ms <= s.start_ms && s.start_ms < batch.timestamp_ms);
            possible
                .filter(|s| is_news(s.series, s.start_ms) && !is_histogram(s.series))
                .map(|s| TimedSample {
                    series: s.series,
                    timestamp_ms: s.start_ms,
                    value: 0.0,
                })
                .collect()
        };
        for timed in zeros.chunks(SIDE_SAMPLES_MAX / 2) {
            // What is refused all the same is refused without a word.
            self.append(Batch {
                timed,
                ..Batch::of(batch.group, batch.timestamp_ms, &[])
            })?;
        }
        Ok(())
    }
}
