//! Forgetting what blocks have: samples, series without any, and what the log has of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use codec::varint;

use super::Head;
use super::delete::put_tombstones;
use super::group::late::{Late, LateValue};
use super::group::{GONE, Group, State};
use super::index::FORGOTTEN;
use crate::histograms::item;
use crate::sync::atomic::{Ordering::Relaxed, Ordering::SeqCst};
use crate::wal::Checkpoint;
use crate::wal::frame::{self, Kind};
use crate::wal::record::wide::{self, Item, Wide};
use crate::wal::record::{self, Timed};

/// Series in one definition of a checkpoint: a few hundred kilobytes a frame.
const SERIES_PER_FRAME: usize = 10_000;
/// Late samples in one record of a checkpoint.
const LATE_PER_FRAME: usize = 10_000;

impl Head {
    /// Forgets samples before `before_ms`, which blocks have, and series that have no other.
    pub(crate) fn truncate(&self, before_ms: i64) {
        self.valid_ms.fetch_max(before_ms, SeqCst);
        self.seal_before(before_ms);
        self.files.cut(before_ms);
        let mut dropped = 0;
        for group in self.all_groups() {
            let mut state = group.state.lock();
            state.chunks.retain(|chunk| {
                let keep = chunk.head.max_ms >= before_ms;
                dropped += if keep { 0 } else { chunk.head.slots as u64 };
                keep
            });
            if !state.tombstones.is_empty() {
                let oldest_ms = state.min_ms().unwrap_or(i64::MAX);
                Arc::make_mut(&mut state.tombstones).forget_before(oldest_ms);
            }
        }
        self.counts.chunks_removed.fetch_add(dropped, Relaxed);
        self.forget_series(before_ms);
        self.note_oldest();
        self.counts.truncations.fetch_add(1, Relaxed);
    }

    /// Finds the oldest sample again.
    pub(super) fn note_oldest(&self) {
        let groups = self.all_groups();
        let oldest = groups
            .iter()
            .filter_map(|group| group.state.lock().min_ms());
        let valid_ms = self.valid_ms();
        let oldest = oldest.min().map_or(i64::MAX, |ms| ms.max(valid_ms));
        self.min_ms.store(oldest, SeqCst);
        if oldest == i64::MAX {
            self.max_ms.store(i64::MIN, SeqCst);
        }
    }

    /// Removes series without samples from `before_ms` on from the index, and groups without
    /// series.
    fn forget_series(&self, before_ms: i64) {
        let mut index = self.index.write();
        let mut keep = vec![true; index.len()];
        let groups = self.all_groups();
        for group in &groups {
            let state = &mut *group.state.lock();
            // Read under the group's lock: what the log has of a series is in here or before.
            let segment = self.wal.current();
            for slot in 0..state.series.len() as u32 {
                let (id, span) = (state.series[slot as usize], state.spans[slot as usize]);
                let dead = match span.is_empty() {
                    true => state.is_closed(),
                    false => span.ends_before(before_ms),
                };
                if dead && id != GONE && state.late.get(slot).is_empty() {
                    keep[id as usize] = false;
                    state.close_slot(slot, segment);
                }
            }
            // What has never had a sample is not defined any more.
            let State {
                pending, series, ..
            } = state;
            pending.retain(|(slot, _)| series[*slot as usize] != GONE);
        }
        let removed = keep.iter().filter(|keep| !**keep).count();
        if removed > 0 {
            let moved = index.retain(|id| keep[id as usize]);
            for group in &groups {
                let mut state = group.state.lock();
                // The log must not define a series once more after it has a home elsewhere.
                state.again = Box::default();
                for id in state.series.iter_mut().filter(|id| **id != GONE) {
                    *id = moved[*id as usize];
                    debug_assert!(*id != FORGOTTEN, "every series that is not gone is kept");
                }
            }
            self.counts
                .series_removed
                .fetch_add(removed as u64, Relaxed);
        }
        drop(index);
        let mut table = self.groups.write();
        for group in groups {
            let state = group.state.lock();
            let empty = state.gone == state.series.len() && state.chunks.is_empty();
            if empty && state.is_closed() && !state.is_open() {
                table.by_id.remove(&group.id);
                table.by_labels.remove(&group.labels);
            }
        }
    }

    /// Removes segments of the log and chunk files that nothing needs any more.
    pub(crate) fn truncate_wal(&self, seal_idle_ms: i64) -> io::Result<()> {
        let max_ms = self.max_ms.load(SeqCst);
        self.seal_idle(max_ms.saturating_sub(seal_idle_ms));
        let mut first = self.wal.cut() + 1;
        let groups = self.all_groups();
        for group in &groups {
            let mut state = group.state.lock();
            state.save_chunks(&self.files)?;
            first = first.min(state.needs_segment().unwrap_or(u64::MAX));
        }
        let ends = self.files.ends();
        self.files.sync()?;
        let mut checkpoint = self.wal.begin_checkpoint(first)?;
        self.put_checkpoint(&groups, &ends, &mut checkpoint)?;
        checkpoint.finish()?;
        let mut used = Vec::new();
        for group in self.all_groups() {
            let mut state = group.state.lock();
            state.wake_slots(first);
            used.extend(state.chunks.iter().cloned());
        }
        self.files.remove_unused(used.iter())
    }

    fn seal_idle(&self, before_ms: i64) {
        for group in self.all_groups() {
            let mut state = group.state.lock();
            if state.is_open() && state.last_batch_ms < before_ms {
                self.with_scratch(|scratch, _| self.seal(&group, &mut state, scratch));
            }
        }
    }

    /// Definitions of all groups and series, then what else must not be lost.
    fn put_checkpoint(
        &self,
        groups: &[Arc<Group>],
        ends: &BTreeMap<u64, u64>,
        to: &mut Checkpoint<'_>,
    ) -> io::Result<()> {
        for group in groups {
            let series: Vec<(u32, u32)> = {
                let state = group.state.lock();
                let slots = state.series.iter().zip(0..);
                slots
                    .filter(|(id, _)| **id != GONE)
                    .map(|(id, slot)| (slot, *id))
                    .collect()
            };
            let mut parts = series.chunks(SERIES_PER_FRAME);
            let mut part = parts.next();
            loop {
                // Ids stay as they are: whoever forgets series waits for the checkpoint.
                let labels: Vec<_> = {
                    let index = self.index.read();
                    let part = part.unwrap_or(&[]).iter();
                    part.map(|(slot, id)| (*slot, index.labels(*id))).collect()
                };
                let start = frame::begin(&mut to.frames, Kind::Define);
                let series = labels.iter().map(|(slot, labels)| (*slot, labels));
                record::put_define(&mut to.frames, group.id, &group.labels, series);
                frame::finish(&mut to.frames, start);
                to.spill()?;
                part = parts.next();
                if part.is_none() {
                    break;
                }
            }
        }
        for group in groups {
            put_tombstones(group, &mut to.frames);
            put_late(group, &mut to.frames);
            to.spill()?;
        }
        self.exemplars.put_checkpoint(&mut to.frames);
        let labels = |series| self.labels_of(series);
        self.metadata.put_checkpoint(labels, &mut to.frames);
        to.spill()?;
        let start = frame::begin(&mut to.frames, Kind::End);
        varint::put(&mut to.frames, u64::from(self.groups.read().next));
        varint::put_signed(&mut to.frames, self.valid_ms());
        varint::put(&mut to.frames, ends.len() as u64);
        for (number, end) in ends {
            varint::put(&mut to.frames, *number);
            varint::put(&mut to.frames, *end);
        }
        frame::finish(&mut to.frames, start);
        Ok(())
    }
}

/// Late samples of a group, which a checkpoint keeps: in parts that belong to no batch.
fn put_late(group: &Group, out: &mut Vec<u8>) {
    let late = group.state.lock().late.clone();
    let all = late
        .iter()
        .flat_map(|(slot, column)| column.iter().map(move |late| (slot, late)));
    let all: Vec<(u32, &Late)> = all.collect();
    for part in all.chunks(LATE_PER_FRAME) {
        let at_ms = part[0].1.at_ms;
        let mut floats = Vec::new();
        let mut items: Vec<Vec<u8>> = Vec::new();
        let mut wide = Wide::default();
        for (slot, late) in part {
            match &late.value {
                LateValue::Float(bits) => floats.push(Timed {
                    slot: *slot,
                    at_ms: late.at_ms,
                    bits: *bits,
                    start_ms: late.start_ms,
                }),
                LateValue::Histogram(histogram) => {
                    let mut bytes = Vec::new();
                    item::put(&mut bytes, None, histogram.as_ref().as_ref());
                    items.push(bytes);
                }
            }
        }
        let histograms = part
            .iter()
            .filter(|(_, l)| matches!(l.value, LateValue::Histogram(_)));
        wide.late = histograms
            .zip(&items)
            .map(|((slot, late), bytes)| Item {
                slot: *slot,
                at_ms: late.at_ms,
                back: 0,
                bytes,
                start_ms: late.start_ms,
            })
            .collect();
        let plain = items.is_empty() && floats.iter().all(|sample| sample.start_ms == 0);
        let kind = if plain {
            Kind::LateBatch
        } else {
            Kind::WideBatch
        };
        let start = frame::begin(out, kind);
        record::put_part(out, group.id, 0, 0, at_ms);
        out.extend_from_slice(&0u32.to_le_bytes());
        record::put_timed(out, at_ms, &[]);
        record::put_timed(out, at_ms, &floats);
        if !plain {
            wide::put(out, at_ms, &floats, &wide);
        }
        frame::finish(out, start);
    }
}
