//! Groups, series and batches: the writing side of the head.

use std::sync::Arc;

use model::Labels;
use storage::{AppendError, AppendOutcome, Batch, GroupId, Sample, SeriesRef, TimedSample};

use super::chunk::SIDE_SAMPLES_MAX;
use super::group::{Check, Group, Prepared, Scratch, State, Taken, group_and_slot, reference};
use super::{Head, LATE_SAMPLES_MAX};
use crate::sync::MutexGuard;
use crate::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};
use crate::wal::Position;
use crate::wal::frame::{self, Kind};
use crate::wal::record::{self, Shape};

pub(super) fn limit(what: &str) -> AppendError {
    AppendError::Limit(what.to_owned())
}

/// A group that a batch writes to, locked.
struct Locked<'a> {
    group: &'a Group,
    state: MutexGuard<'a, State>,
    taken: Taken,
}

impl Head {
    /// The series with these labels, made in the group if it is new and no limit keeps it out.
    /// `now_ms` is asked for new ones only.
    pub(crate) fn series(
        &self,
        group: GroupId,
        labels: &Labels,
        now_ms: impl FnOnce() -> i64,
    ) -> Result<SeriesRef, AppendError> {
        {
            let index = self.index.read();
            if let Some(id) = index.id_of(labels) {
                return Ok(SeriesRef(index.home(id)));
            }
        }
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels {
                labels: labels.clone(),
                reason: "empty labelset".to_owned(),
            });
        }
        let mut index = self.index.write();
        if let Some(id) = index.id_of(labels) {
            return Ok(SeriesRef(index.home(id)));
        }
        let (group, asked) = self
            .writers_group(group)
            .ok_or_else(|| limit("the group is not open"))?;
        let mut state = group.state.lock();
        let of_group = (&asked.labels, &mut state.new_series);
        self.gate.admit(labels, index.len(), of_group, now_ms())?;
        let key = state.next_key();
        let key = key.ok_or_else(|| limit("too many series in a group"))?;
        let series = reference(group.id, key);
        let id = index
            .insert(labels, series.0)
            .map_err(|_| limit("too many series in the head"))?;
        let slot = state.open_slot(id);
        state.pending.push((slot, labels.clone()));
        self.counts.series_created.fetch_add(1, Relaxed);
        Ok(series)
    }

    /// What is taken now.
    fn check(&self) -> Check<'_> {
        let valid_ms = self.valid_ms.load(SeqCst);
        let floor_ms = match self.max_ms.load(SeqCst) {
            i64::MIN => valid_ms,
            max_ms => valid_ms.max(max_ms.saturating_sub(self.range_ms / 2)),
        };
        let newest_ms = match self.max_ms.load(SeqCst) {
            i64::MIN => valid_ms,
            max_ms => max_ms,
        };
        let window_ms = self.late_window_ms.load(Relaxed);
        Check {
            floor_ms,
            late_floor_ms: (window_ms > 0).then(|| newest_ms.saturating_sub(window_ms)),
            newest_ms,
            lateness: &self.lateness,
            files: &self.files,
        }
    }

    /// Takes samples from now on that are older than the newest of their series by no more than
    /// this; 0 for none.
    pub(crate) fn set_late_window(&self, window_ms: i64) {
        self.late_window_ms.store(window_ms.max(0), Relaxed);
        self.exemplars.set_late_window(window_ms);
    }

    /// Writes a batch.
    pub(crate) fn append(&self, batch: Batch<'_>) -> Result<AppendOutcome, AppendError> {
        if batch.timed.len() > SIDE_SAMPLES_MAX / 2 {
            return Err(limit("too many samples with own timestamps in a batch"));
        }
        if batch.histograms.len() > SIDE_SAMPLES_MAX / 2 {
            return Err(limit("too many histograms in a batch"));
        }
        if !batch.exemplars.is_empty() || !batch.metadata.is_empty() {
            return Err(AppendError::Unsupported("exemplars and metadata"));
        }
        let Some((group, _)) = self.writers_group(batch.group) else {
            let all = batch.samples.iter().map(|sample| sample.series);
            let unknown = all.chain(batch.timed.iter().map(|sample| sample.series));
            let unknown = unknown.chain(batch.histograms.iter().map(|sample| sample.series));
            return Ok(AppendOutcome {
                unknown: unknown.collect(),
                ..AppendOutcome::default()
            });
        };
        let own = |series: SeriesRef| group_and_slot(series).0 == group.id;
        let foreign = batch.samples.iter().any(|s| !own(s.series))
            || batch.timed.iter().any(|s| !own(s.series))
            || batch.histograms.iter().any(|s| !own(s.series));
        if foreign {
            let outcome = self.append_across(&group, batch)?;
            self.adopt(batch);
            return Ok(outcome);
        }
        let mut outcome = AppendOutcome::default();
        self.with_scratch(|scratch, taken| {
            let mut locked = Locked {
                group: &group,
                state: group.state.lock(),
                taken: std::mem::take(taken),
            };
            self.take_own(&mut locked, batch, scratch, &mut outcome);
            let result = self.commit(std::slice::from_mut(&mut locked), batch, scratch);
            *taken = locked.taken;
            result
        })?;
        self.count_outcome(&outcome);
        Ok(outcome)
    }

    fn count_outcome(&self, outcome: &AppendOutcome) {
        let unknown = outcome.unknown.len() as u64;
        if unknown > 0 {
            self.counts.series_not_found.fetch_add(unknown, Relaxed);
        }
    }

    /// Checks what a batch has for its own group.
    fn take_own(
        &self,
        locked: &mut Locked<'_>,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        outcome: &mut AppendOutcome,
    ) {
        let Locked {
            group,
            state,
            taken,
        } = locked;
        let (check, at_ms) = (self.check(), batch.timestamp_ms);
        if state.crosses(at_ms, self.range_ms) {
            self.seal(group, state, scratch);
            state.stagger(group.id);
        }
        taken.reset(state);
        taken.begin_starts(group.id, batch.starts);
        state.take_samples(group.id, at_ms, batch.samples, check, taken, outcome);
        for sample in batch.timed {
            if group_and_slot(sample.series).0 == group.id {
                state.take_timed(at_ms, sample, check, taken, outcome);
            }
        }
        for sample in batch.histograms {
            if group_and_slot(sample.series).0 == group.id {
                outcome.watch(sample.series, |outcome| {
                    state.take_histogram(at_ms, sample, check, taken, outcome);
                });
            }
        }
        state.take_starts(at_ms, taken);
    }

    /// A batch with series that other groups have: their samples go beside the rows of those
    /// groups. All groups are locked at once, so that the batch stays one.
    fn append_across(
        &self,
        group: &Arc<Group>,
        batch: Batch<'_>,
    ) -> Result<AppendOutcome, AppendError> {
        let mut outcome = AppendOutcome::default();
        let shared = |sample: &Sample| TimedSample {
            series: sample.series,
            timestamp_ms: batch.timestamp_ms,
            value: sample.value,
        };
        let all = batch.samples.iter().map(shared);
        let mut foreign: Vec<_> = all.chain(batch.timed.iter().copied()).collect();
        foreign.retain(|sample| group_and_slot(sample.series).0 != group.id);
        let mut histograms = batch.histograms.to_vec();
        histograms.retain(|sample| group_and_slot(sample.series).0 != group.id);
        let floats = foreign.iter().map(|sample| sample.series);
        let series = floats.chain(histograms.iter().map(|sample| sample.series));
        let mut ids: Vec<u32> = series.map(|series| group_and_slot(series).0).collect();
        ids.push(group.id);
        ids.sort_unstable();
        ids.dedup();
        let groups: Vec<_> = ids.iter().filter_map(|&id| self.group(id)).collect();
        let mut is_known = |series: SeriesRef| {
            let id = group_and_slot(series).0;
            let known = groups.iter().any(|group| group.id == id);
            if !known {
                outcome.unknown.push(series);
            }
            known
        };
        foreign.retain(|sample| is_known(sample.series));
        histograms.retain(|sample| is_known(sample.series));
        self.with_scratch(|scratch, _| {
            let mut locked = Vec::with_capacity(groups.len());
            for group in &groups {
                let state = group.state.lock();
                let taken = Taken::default();
                locked.push(Locked {
                    group,
                    state,
                    taken,
                });
            }
            let check = self.check();
            for part in &mut locked {
                if part.group.id == group.id {
                    self.take_own(part, batch, scratch, &mut outcome);
                    continue;
                }
                let Locked {
                    group,
                    state,
                    taken,
                } = part;
                let at_ms = batch.timestamp_ms;
                taken.reset(state);
                taken.begin_starts(group.id, batch.starts);
                for sample in &foreign {
                    if group_and_slot(sample.series).0 == group.id {
                        state.take_timed(at_ms, sample, check, taken, &mut outcome);
                    }
                }
                for sample in &histograms {
                    if group_and_slot(sample.series).0 == group.id {
                        outcome.watch(sample.series, |outcome| {
                            state.take_histogram(at_ms, sample, check, taken, outcome);
                        });
                    }
                }
                state.take_starts(at_ms, taken);
            }
            self.commit(&mut locked, batch, scratch)
        })?;
        self.count_outcome(&outcome);
        Ok(outcome)
    }

    /// Writes what was taken to the log and lets queries see it; or nothing of it.
    fn commit(
        &self,
        locked: &mut [Locked<'_>],
        batch: Batch<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), AppendError> {
        if locked.iter().all(|part| part.taken.is_empty()) {
            return Ok(());
        }
        let late: usize = locked.iter().map(|part| part.taken.late_count()).sum();
        if late > 0 && self.late_count.load(SeqCst) + late as u64 > LATE_SAMPLES_MAX {
            return Err(limit("too many late samples wait for a block"));
        }
        let at_ms = batch.timestamp_ms;
        let (new_at, prepared) = put_frames(locked, at_ms, scratch)?;
        let position = match self.write(&scratch.log) {
            Ok(position) => position,
            Err(error) => {
                // The frames may be in the log all the same; their numbers are not used again.
                for part in locked {
                    part.state.skip_sequence();
                }
                return Err(match disk::is_disk_full(&error) {
                    true => AppendError::DiskFull,
                    false => AppendError::Log(error.to_string()),
                });
            }
        };
        let epoch = self.epoch.fetch_add(1, SeqCst) + 1;
        for (part, prepared) in locked.iter_mut().zip(&prepared) {
            let Locked { state, taken, .. } = part;
            let matters = !state.pending.is_empty() || state.builds_on(taken, prepared);
            state.pending = Vec::new();
            state.again = match matters {
                true => Box::from(&scratch.log[new_at..]),
                false => Box::default(),
            };
            if !taken.is_empty() {
                state.publish(at_ms, taken, prepared, scratch, epoch, position.segment);
                if taken.is_in_order() {
                    self.note_times(state, at_ms, taken);
                }
                self.note_late(taken);
                let histograms = taken.histogram_count() as u64;
                self.counts
                    .histograms_appended
                    .fetch_add(histograms, Relaxed);
            }
        }
        scratch.frame.clear();
        for part in locked {
            if part.state.is_full() {
                self.seal(part.group, &mut part.state, scratch);
            }
        }
        Ok(())
    }

    fn write(&self, frames: &[u8]) -> std::io::Result<Position> {
        let position = self.wal.append(frames)?;
        if self.sync_every_append {
            self.wal.sync_to(position.end)?;
        }
        Ok(position)
    }

    fn note_times(&self, state: &State, at_ms: i64, taken: &Taken) {
        self.max_ms.fetch_max(state.max_ms, SeqCst);
        self.min_ms.fetch_min(taken.min_ms(at_ms), SeqCst);
    }

    fn note_late(&self, taken: &Taken) {
        for at_ms in taken.late_times() {
            self.late_min_ms.fetch_min(at_ms, SeqCst);
            self.late_max_ms.fetch_max(at_ms, SeqCst);
        }
        let count = taken.late_count() as u64;
        self.late_count.fetch_add(count, SeqCst);
        self.counts.late_appended.fetch_add(count, Relaxed);
    }

    /// Seals what a group has open.
    pub(super) fn seal(&self, group: &Group, state: &mut State, scratch: &mut Scratch) {
        state.seal(group.id, self.oldest_query(), &self.files, scratch);
        let columns = state.series.len() as u64;
        self.counts.chunks_created.fetch_add(columns, Relaxed);
    }
}

/// Puts what is to be written again, the definitions that the log lacks, and the batch into
/// `scratch.log`; `scratch.frame` has the batch as it was before it was compressed. Gives where in
/// the log's bytes the new frames begin, too.
fn put_frames(
    locked: &mut [Locked<'_>],
    at_ms: i64,
    scratch: &mut Scratch,
) -> Result<(usize, Vec<Prepared>), AppendError> {
    let Scratch {
        frame: out,
        log,
        compressor,
        ..
    } = scratch;
    log.clear();
    for Locked { state, .. } in locked.iter() {
        log.extend_from_slice(&state.again);
    }
    let new_at = log.len();
    for Locked { group, state, .. } in locked.iter_mut() {
        if !state.pending.is_empty() {
            state.pending.sort_unstable_by_key(|(slot, _)| *slot);
            let start = frame::begin(log, Kind::Define);
            let series = state.pending.iter().map(|(slot, labels)| (*slot, labels));
            record::put_define(log, group.id, &group.labels, series);
            frame::finish(log, start);
        }
    }
    let shapes = locked.iter().map(|part| part.taken.shape());
    let shape = shapes.max().unwrap_or(Shape::Plain);
    let kind = match shape {
        Shape::Plain => Kind::Batch,
        Shape::Late => Kind::LateBatch,
        Shape::Wide => Kind::WideBatch,
    };
    out.clear();
    let start = frame::begin(out, kind);
    let parts = locked.iter();
    let prepared = parts.map(
        |Locked {
             group,
             state,
             taken,
         }| {
            if taken.is_empty() {
                Prepared::default()
            } else {
                state.put_part(group.id, at_ms, taken, shape, out)
            }
        },
    );
    let prepared = prepared.collect();
    frame::finish(out, start);
    if out.len() - start > frame::PAYLOAD_BYTES_MAX {
        return Err(limit("batch too large"));
    }
    compressor.put(out, log);
    Ok((new_at, prepared))
}
