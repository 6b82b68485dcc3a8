//! Samples with times of their own that are not sealed yet, by slot.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A sample beside the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) at_ms: i64,
    pub(crate) bits: u64,
    /// When it was published.
    pub(crate) epoch: u64,
}

/// Columns by slot. A clone shares them; adding to a shared one copies it first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sides(BTreeMap<u32, Arc<Vec<Side>>>);

impl Sides {
    /// Slots that have samples here.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds a sample, newer than all of its slot.
    pub(crate) fn push(&mut self, slot: u32, at_ms: i64, bits: u64, epoch: u64) {
        Arc::make_mut(self.0.entry(slot).or_default()).push(Side { at_ms, bits, epoch });
    }

    /// The samples of a slot.
    pub(crate) fn get(&self, slot: u32) -> &[Side] {
        self.0.get(&slot).map_or(&[], |side| side.as_slice())
    }

    /// All samples, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &[Side])> {
        self.0.iter().map(|(slot, side)| (*slot, side.as_slice()))
    }
}
