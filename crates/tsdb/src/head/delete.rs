//! Deletion in the head.
//!
//! Samples in order stay where they are and tombstones cover them: by series, up to the newest
//! sample that the series has, so that what comes in order later is not covered. Late samples are
//! taken out at once. The log has one record a group, in the order of the batches around it, and
//! checkpoints repeat the tombstones that still cover something.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Matcher;
use storage::{Samples, Series, StorageError};

use super::Head;
use super::chunk_files::ChunkFiles;
use super::group::{Group, State, group_and_slot};
use super::series::HeadSeries;
use crate::select;
use crate::wal::frame::{self, Kind};
use crate::wal::record::{self, Deleted};

impl Head {
    /// Deletes samples from `min_ms` to `max_ms`, both included, of series that pass all
    /// matchers. The caller syncs the log.
    pub(crate) fn delete(
        &self,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<(), StorageError> {
        let mut by_group: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        {
            let index = self.index.read();
            for id in select::select(&*index, matchers)?.iter() {
                let (group, slot) = group_and_slot(storage::SeriesRef(index.home(id)));
                by_group.entry(group).or_default().push(slot);
            }
        }
        let mut bytes = Vec::new();
        for (id, slots) in by_group {
            let Some(group) = self.groups.read().by_id.get(&id).cloned() else {
                continue;
            };
            let mut state = group.state.lock();
            let found = slots.into_iter();
            let found = found.filter_map(|slot| state.find(slot, (min_ms, max_ms), &self.files));
            let all: Vec<Deleted> = found.collect();
            if all.is_empty() {
                continue;
            }
            bytes.clear();
            put(&mut bytes, id, &all);
            let written = self.wal.append(&bytes);
            written.map_err(|error| StorageError::Io(format!("write to the log: {error}")))?;
            state.delete(&all);
        }
        self.note_late_range();
        Ok(())
    }

    /// Takes a deletion from the log.
    pub(super) fn replay_delete(&self, id: u32, all: &[Deleted]) {
        if let Some(group) = self.groups.read().by_id.get(&id) {
            group.state.lock().delete(all);
        }
    }
}

/// Appends a record, twice: if it were lost, what was deleted would be back.
fn put(out: &mut Vec<u8>, group: u32, all: &[Deleted]) {
    let start = frame::begin(out, Kind::Delete);
    record::put_delete(out, group, all);
    frame::finish(out, start);
    out.extend_from_within(start..);
}

/// Appends the tombstones of a group, for a checkpoint.
pub(super) fn put_tombstones(group: &Group, out: &mut Vec<u8>) {
    let tombstones = Arc::clone(&group.state.lock().tombstones);
    let all = tombstones.iter().flat_map(|(slot, intervals)| {
        intervals.iter().map(move |&(min_ms, max_ms)| Deleted {
            slot,
            min_ms,
            max_ms,
            newest_ms: max_ms,
        })
    });
    let all: Vec<Deleted> = all.collect();
    if !all.is_empty() {
        put(out, group.id, &all);
    }
}

/// Whether a series of which something is deleted has anything left for a query.
pub(super) fn has_samples(series: &HeadSeries) -> bool {
    let mut samples = Samples::default();
    // What cannot be read is found out by the query.
    series.read(i64::MIN, i64::MAX, &mut samples).is_err() || !samples.is_empty()
}

impl State {
    /// What deleting would delete of a slot, if it has anything there.
    fn find(&self, slot: u32, (min_ms, max_ms): (i64, i64), files: &ChunkFiles) -> Option<Deleted> {
        let late = self.late.get(slot).iter();
        let has_late = late
            .clone()
            .any(|late| (min_ms..=max_ms).contains(&late.at_ms));
        let span = self.spans.get(slot as usize)?;
        let newest = span.meets(min_ms, max_ms).then(|| self.newest(slot, files));
        let newest_ms = newest.flatten().map(|(at_ms, _)| at_ms);
        (has_late || newest_ms.is_some_and(|ms| ms >= min_ms)).then(|| Deleted {
            slot,
            min_ms,
            max_ms,
            newest_ms: newest_ms.unwrap_or(i64::MIN),
        })
    }

    fn delete(&mut self, all: &[Deleted]) {
        // A copy of an older frame behind the record would bring late samples back.
        self.again = Box::default();
        let tombstones = Arc::make_mut(&mut self.tombstones);
        for deleted in all {
            let range = (deleted.min_ms, deleted.max_ms);
            tombstones.add(deleted.slot, (range.0, range.1.min(deleted.newest_ms)));
            self.late.remove(Some(deleted.slot), range, u64::MAX);
        }
    }
}
