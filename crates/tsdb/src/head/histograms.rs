//! Histograms of a group that are not sealed yet, by slot, and the newest one of each slot.
//!
//! The open ones of a slot are a chain of items (`crate::histograms::item`), in memory as in the
//! log: some 20 bytes each and 16 for time and epoch. The newest one lies there in full, some
//! 300 bytes, because the next one is compared with it and written against it; it stays when the
//! others are sealed.
//!
//! An item of the log stands on the one before, so that a damaged record may cost what follows in
//! its chain. Every [`ANCHOR_EVERY`]th stands on nothing, and so does the first after sealing,
//! which the log has twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::DecodeError;
use codec::varint::Reader;

use crate::histograms::{HistogramRef, OwnedHistogram, item};

/// In the log, a histogram of a slot stands on nothing every so often: a damaged record costs at
/// most so many, which costs 2 to 3 bytes each.
const ANCHOR_EVERY: u32 = 30;
/// The newest histogram of a slot, in full, with its place in the table.
const LAST_BYTES: usize = 400;
/// So many bytes of open items are sealed even if there are few rows.
const BYTES_MAX: usize = 16 << 20;

/// The open histograms of a slot.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenColumn {
    times: Vec<i64>,
    epochs: Vec<u64>,
    bytes: Vec<u8>,
}

impl OpenColumn {
    /// Times, ascending but for batches that were refused and are in the log nevertheless.
    pub(crate) fn times(&self) -> &[i64] {
        &self.times
    }

    /// The items of all.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Calls `each` with what was published up to `epoch`.
    pub(crate) fn for_each(
        &self,
        epoch: u64,
        each: impl FnMut(i64, HistogramRef<'_>),
    ) -> Result<(), DecodeError> {
        let seen = self.epochs.partition_point(|&of| of <= epoch);
        for_each_item(&self.times[..seen], &self.bytes, each)
    }
}

/// Calls `each` with the histograms of a chain of items.
pub(crate) fn for_each_item(
    times: &[i64],
    bytes: &[u8],
    mut each: impl FnMut(i64, HistogramRef<'_>),
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (mut layout, mut words) = (None, Vec::new());
    for &at_ms in times {
        let hint = item::take(&mut reader, &mut layout, &mut words)?;
        let layout = layout.as_ref().ok_or(DecodeError("histogram layout"))?;
        let words = &words;
        each(
            at_ms,
            HistogramRef {
                layout,
                hint,
                words,
            },
        );
    }
    Ok(())
}

/// The newest histogram of a slot.
#[derive(Debug)]
struct Last {
    at_ms: i64,
    /// Number of its batch.
    sequence: u64,
    histogram: OwnedHistogram,
    /// How many items of the log stand on the last that stands on nothing, if more may.
    chain: Option<u32>,
}

#[derive(Debug, Default)]
struct Slot {
    last: Option<Last>,
    open: Arc<OpenColumn>,
}

/// Those of a group.
#[derive(Debug, Default)]
pub(crate) struct Histograms {
    slots: BTreeMap<u32, Slot>,
    /// Bytes of all open items, and the oldest time among them.
    open_bytes: usize,
    open_min_ms: Option<i64>,
}

impl Histograms {
    /// Bytes in memory: open items, their times and epochs at some 40 bytes an item, and the newest
    /// histogram of each slot.
    pub(crate) fn memory_bytes(&self) -> usize {
        2 * self.open_bytes + self.slots.len() * LAST_BYTES
    }

    /// Whether no slot has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether the slot is known to have some.
    pub(crate) fn knows(&self, slot: u32) -> bool {
        self.slots.contains_key(&slot)
    }

    /// How many slots have one, and how many buckets the newest ones have together.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let newest = self.slots.values().filter_map(|slot| slot.last.as_ref());
        newest.fold((0, 0), |(slots, buckets), last| {
            let layout = &last.histogram.layout;
            let own = layout.positive_buckets() + layout.negative_buckets();
            (slots + 1, buckets + own as u64)
        })
    }

    /// The newest one of a slot.
    pub(crate) fn last(&self, slot: u32) -> Option<(i64, HistogramRef<'_>)> {
        let last = self.slots.get(&slot)?.last.as_ref()?;
        Some((last.at_ms, last.histogram.as_ref()))
    }

    /// What the next item of the log may stand on, and the number of its batch.
    pub(crate) fn chain(&self, slot: u32) -> Option<(u64, &OwnedHistogram)> {
        let last = self.slots.get(&slot)?.last.as_ref()?;
        let more = last.chain.is_some_and(|length| length + 1 < ANCHOR_EVERY);
        more.then_some((last.sequence, &last.histogram))
    }

    /// What an item of the log stands on that says it is of this batch.
    pub(crate) fn base(&self, slot: u32, sequence: u64) -> Option<&OwnedHistogram> {
        let last = self.slots.get(&slot)?.last.as_ref()?;
        (last.sequence == sequence).then_some(&last.histogram)
    }

    /// Takes the newest one of a slot, of batch `sequence`. Queries from `epoch` on see it; without
    /// an epoch none does. `chained` says that in the log it stands on the one before.
    pub(crate) fn push(
        &mut self,
        slot: u32,
        at_ms: i64,
        (sequence, chained): (u64, bool),
        epoch: Option<u64>,
        histogram: OwnedHistogram,
    ) {
        let Slot { last, open } = self.slots.entry(slot).or_default();
        if let Some(epoch) = epoch {
            let open = Arc::make_mut(open);
            let before = last.as_ref().filter(|_| !open.times.is_empty());
            let before = before.map(|last| (&last.histogram.layout, &*last.histogram.words));
            let length = open.bytes.len();
            item::put(&mut open.bytes, before, histogram.as_ref());
            open.times.push(at_ms);
            open.epochs.push(epoch);
            self.open_bytes += open.bytes.len() - length;
            self.open_min_ms = Some(self.open_min_ms.map_or(at_ms, |ms| ms.min(at_ms)));
        }
        let before = last.take().filter(|_| chained);
        *last = Some(Last {
            at_ms,
            sequence,
            histogram,
            chain: Some(
                before
                    .and_then(|last| last.chain)
                    .map_or(0, |length| length + 1),
            ),
        });
    }

    /// Notes the newest one of a slot, which lies in a chunk.
    pub(crate) fn recall(&mut self, slot: u32, at_ms: i64, histogram: OwnedHistogram) {
        self.slots.entry(slot).or_default().last = Some(Last {
            at_ms,
            sequence: 0,
            histogram,
            chain: None,
        });
    }

    /// The open ones of a slot, if there are any.
    pub(crate) fn open(&self, slot: u32) -> Option<&Arc<OpenColumn>> {
        let open = &self.slots.get(&slot)?.open;
        (!open.times.is_empty()).then_some(open)
    }

    /// All open ones, by slot.
    pub(crate) fn all_open(&self) -> impl Iterator<Item = (u32, &OpenColumn)> {
        let all = self.slots.iter().map(|(slot, of)| (*slot, &*of.open));
        all.filter(|(_, open)| !open.times.is_empty())
    }

    /// Epochs and times of open ones that were published after `epoch`.
    pub(crate) fn later_than(&self, epoch: u64) -> impl Iterator<Item = (u64, i64)> {
        self.all_open().flat_map(move |(_, open)| {
            let seen = open.epochs.partition_point(|&of| of <= epoch);
            let epochs = open.epochs[seen..].iter().copied();
            epochs.zip(open.times[seen..].iter().copied())
        })
    }

    /// The oldest open one.
    pub(crate) fn open_min_ms(&self) -> Option<i64> {
        self.open_min_ms
    }

    /// Whether they take so much that they should be sealed.
    pub(crate) fn is_full(&self) -> bool {
        self.open_bytes > BYTES_MAX
    }

    /// Forgets what is open: it is sealed.
    pub(crate) fn forget_open(&mut self) {
        for slot in self.slots.values_mut() {
            slot.open = Arc::default();
        }
        self.open_bytes = 0;
        self.open_min_ms = None;
        self.break_chains();
    }

    /// The next items of the log stand on nothing: whether it has the last ones is unknown.
    pub(crate) fn break_chains(&mut self) {
        for last in self
            .slots
            .values_mut()
            .filter_map(|slot| slot.last.as_mut())
        {
            last.chain = None;
        }
    }

    /// Forgets the newest ones of batches up to `sequence`, unless they are open: replay has found
    /// them in the log, and newer ones of their slots are in chunks, which it passes over.
    pub(crate) fn forget_until(&mut self, sequence: u64) {
        self.slots.retain(|_, slot| {
            let is_newer = |last: &Last| last.sequence > sequence;
            !slot.open.times.is_empty() || slot.last.as_ref().is_some_and(is_newer)
        });
    }

    /// Forgets a slot.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.slots.remove(&slot);
    }
}
