//! Starts of the counters of a group, as far as their samples are not sealed yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::steps::Steps;
use crate::wal::record::wide::StartStep;

/// Starts by slot. Empty as long as no batch had any, which costs nothing then.
#[derive(Debug, Default)]
pub(crate) struct Starts(BTreeMap<u32, Arc<Steps>>);

impl Starts {
    /// Whether no slot has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That of the newest sample of a slot, 0 if it is not known.
    pub(crate) fn last(&self, slot: u32) -> i64 {
        self.0.get(&slot).map_or(0, |steps| steps.last())
    }

    /// Those of a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Steps>> {
        self.0.get(&slot)
    }

    /// All of them, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Steps)> {
        self.0.iter().map(|(slot, steps)| (*slot, &**steps))
    }

    /// Slots whose newest sample has one.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let known = self.0.iter().filter(|(_, steps)| steps.last() != 0);
        known.map(|(slot, _)| *slot)
    }

    /// Takes a change.
    pub(crate) fn push(&mut self, step: StartStep) {
        let steps = self.0.entry(step.slot).or_default();
        Arc::make_mut(steps).push(step.at_ms, step.start_ms);
    }

    /// Forgets all: they are sealed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
