//! Exemplars: the newest ones of all series, in memory and in the log.
//!
//! As in Prometheus they are in a ring of a fixed size ([`ring`]), which queries look through
//! series by series. Pages show an exemplar until there is another one, so most of what is appended
//! is known already; that costs a look-up by the series' reference and a comparison.
//!
//! What is taken goes to the log as a record of its own ([`record`]) behind the batch's samples; a
//! checkpoint has the whole ring. So a start finds what the ring held.

mod record;
mod ring;

use codec::DecodeError;
use model::{Labels, Matcher};
use storage::{Exemplar, ExemplarSample, ExemplarSeries, SeriesRef};

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use crate::wal::Wal;
use crate::wal::frame::{self, Kind};
use ring::{New, Ring, Verdict};

/// Letters that the labels of an exemplar may have together, as OpenMetrics says.
const LABEL_LETTERS_MAX: usize = 128;
/// Exemplars in a frame of a checkpoint.
const EXEMPLARS_PER_FRAME: usize = 4_096;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Exemplars {
    ring: Mutex<Ring>,
    late_window_ms: AtomicI64,
    pub(crate) appended: AtomicU64,
    pub(crate) out_of_order: AtomicU64,
}

/// What the metrics show of the ring.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    pub(crate) max: usize,
    pub(crate) count: usize,
    pub(crate) series: usize,
    /// When the oldest one was observed, in milliseconds; 0 without any.
    pub(crate) oldest_ms: i64,
}

impl Exemplars {
    /// Changes how many are kept, 0 for none; the oldest ones go.
    pub(crate) fn set_max(&self, max: usize) {
        self.ring.lock().set_max(max);
    }

    /// Takes exemplars from now on that are older than the newest of their series by less than this.
    pub(crate) fn set_late_window(&self, window_ms: i64) {
        self.late_window_ms.store(window_ms.max(0), Relaxed);
    }

    /// Takes exemplars of a batch; gives how many were out of order. `labels` are those of a series,
    /// if storage has it. What the log does not take is lost: exemplars are no reason to refuse the
    /// samples that they belong to.
    pub(crate) fn append(
        &self,
        all: &[ExemplarSample<'_>],
        labels: impl Fn(SeriesRef) -> Option<Labels>,
        wal: &Wal,
    ) -> usize {
        let window_ms = self.late_window_ms.load(Relaxed);
        // Held while the log is written, so that a checkpoint has all that the segments have which
        // it replaces.
        let ring = &mut *self.ring.lock();
        if ring.max() == 0 {
            return 0;
        }
        let mut out_of_order = OutOfOrder::default();
        let mut taken = Vec::new();
        for sample in all.iter().filter(|sample| is_short(sample.labels)) {
            let reference = sample.series.0;
            let mut own_labels = None;
            let series = match ring.by_reference(reference) {
                Some(series) => series,
                None => {
                    let Some(labels) = labels(sample.series) else {
                        continue;
                    };
                    let series = ring.by_labels(&labels, Some(reference));
                    own_labels = Some(labels);
                    series
                }
            };
            let new = New {
                exemplar: Exemplar {
                    labels: sample.labels.clone(),
                    value: sample.value,
                    timestamp_ms: sample.timestamp_ms,
                },
                has_own_time: sample.has_own_time,
            };
            let verdict = ring.check(series, &new, window_ms);
            out_of_order.note(reference, verdict);
            match verdict {
                Verdict::Known | Verdict::OutOfOrder => {}
                Verdict::Taken => {
                    let known = own_labels.or_else(|| labels(sample.series));
                    taken.extend(known.map(|labels| (labels, reference, new)));
                }
            }
        }
        let out_of_order = out_of_order.count();
        if taken.is_empty() {
            return out_of_order;
        }
        let mut frame = Vec::new();
        let start = frame::begin(&mut frame, Kind::Exemplars);
        record::put(
            &mut frame,
            taken.iter().map(|(labels, _, new)| (labels, new)),
        );
        frame::finish(&mut frame, start);
        if let Err(error) = wal.append(&frame) {
            tracing::warn!(%error, count = taken.len(), "Exemplars could not be logged");
            return out_of_order;
        }
        for (labels, reference, new) in taken {
            self.add(ring, labels, Some(reference), new, window_ms);
        }
        out_of_order
    }

    fn add(
        &self,
        ring: &mut Ring,
        labels: Labels,
        reference: Option<u64>,
        new: New,
        window_ms: i64,
    ) {
        let series = ring.by_labels(&labels, reference);
        match ring.check(series, &new, window_ms) {
            Verdict::Known => {}
            Verdict::OutOfOrder => {
                self.out_of_order.fetch_add(1, Relaxed);
            }
            Verdict::Taken => {
                ring.add(series, || labels, reference, new);
                self.appended.fetch_add(1, Relaxed);
            }
        }
    }

    /// Takes a record of the log.
    pub(crate) fn replay(&self, payload: &[u8]) -> Result<(), DecodeError> {
        let window_ms = self.late_window_ms.load(Relaxed);
        let ring = &mut *self.ring.lock();
        for (labels, new) in record::take(payload)? {
            self.add(ring, labels, None, new, window_ms);
        }
        Ok(())
    }

    /// Appends all that there are, for a checkpoint.
    pub(crate) fn put_checkpoint(&self, out: &mut Vec<u8>) {
        let ring = self.ring.lock();
        let mut all = ring.iter().peekable();
        while all.peek().is_some() {
            let start = frame::begin(out, Kind::Exemplars);
            record::put(out, all.by_ref().take(EXEMPLARS_PER_FRAME));
            frame::finish(out, start);
        }
    }

    /// As `storage::ExemplarQueryable::exemplars`.
    pub(crate) fn select(
        &self,
        start_ms: i64,
        end_ms: i64,
        selectors: &[Vec<Matcher>],
    ) -> Vec<ExemplarSeries> {
        self.ring.lock().select(start_ms, end_ms, selectors)
    }

    /// For the metrics.
    pub(crate) fn figures(&self) -> Figures {
        let ring = self.ring.lock();
        Figures {
            max: ring.max(),
            count: ring.len(),
            series: ring.series_count(),
            oldest_ms: ring.oldest_ms().unwrap_or(0),
        }
    }
}

/// Counts what is out of order. A histogram shows several exemplars, of which the older ones are
/// every time; that is told only if all are.
#[derive(Default)]
struct OutOfOrder {
    count: usize,
    series: Option<u64>,
    of_series: usize,
    is_partial: bool,
}

impl OutOfOrder {
    fn note(&mut self, series: u64, verdict: Verdict) {
        if self.series != Some(series) {
            self.end_series();
            self.series = Some(series);
        }
        match verdict {
            Verdict::OutOfOrder => self.of_series += 1,
            Verdict::Taken | Verdict::Known => self.is_partial = true,
        }
    }

    fn end_series(&mut self) {
        if !self.is_partial {
            self.count += self.of_series;
        }
        (self.of_series, self.is_partial) = (0, false);
    }

    fn count(mut self) -> usize {
        self.end_series();
        self.count
    }
}

fn is_short(labels: &Labels) -> bool {
    let letters = labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count());
    letters.sum::<usize>() <= LABEL_LETTERS_MAX
}

#[cfg(test)]
mod tests;
