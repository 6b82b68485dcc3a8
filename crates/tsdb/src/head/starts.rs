//! Starts of the counters of a group, as far as their samples are not sealed yet.
//!
//! The log has changes only, so what it says holds until it says something else, beyond sealing:
//! what held then is carried, and the first sample of a slot after sealing states its start anew,
//! even that there is none any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::steps::Steps;
use crate::wal::record::wide::StartStep;

/// Starts by slot. Empty as long as no batch had any, which costs nothing then.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    open: BTreeMap<u32, Arc<Steps>>,
    /// What the log says of slots that have nothing open, if they have a start.
    carried: BTreeMap<u32, i64>,
}

impl Starts {
    /// Whether no slot has any.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.carried.is_empty()
    }

    /// Whether no slot has an open one.
    pub(crate) fn is_sealed(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether the next sample of a slot has something to say by having this start.
    pub(crate) fn is_news(&self, slot: u32, start_ms: i64) -> bool {
        match self.open.get(&slot) {
            Some(steps) => steps.last() != start_ms,
            None => start_ms != 0 || self.carried.contains_key(&slot),
        }
    }

    /// Those of a slot.
    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Steps>> {
        self.open.get(&slot)
    }

    /// All open ones, by slot.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Steps)> {
        self.open.iter().map(|(slot, steps)| (*slot, &**steps))
    }

    /// Slots whose newest sample has one.
    pub(crate) fn slots(&self) -> impl Iterator<Item = u32> {
        let open = self.open.iter().filter(|(_, steps)| steps.last() != 0);
        open.map(|(slot, _)| *slot)
            .chain(self.carried.keys().copied())
    }

    /// Takes a change.
    pub(crate) fn push(&mut self, step: StartStep) {
        self.carried.remove(&step.slot);
        let steps = self.open.entry(step.slot).or_default();
        Arc::make_mut(steps).push(step.at_ms, step.start_ms);
    }

    /// Notes a change of which the samples are sealed.
    pub(crate) fn carry(&mut self, step: StartStep) {
        match step.start_ms {
            0 => self.carried.remove(&step.slot),
            start_ms => self.carried.insert(step.slot, start_ms),
        };
    }

    /// Forgets what is open: it is sealed.
    pub(crate) fn seal(&mut self) {
        for (slot, steps) in std::mem::take(&mut self.open) {
            if steps.last() != 0 {
                self.carried.insert(slot, steps.last());
            }
        }
    }
}
