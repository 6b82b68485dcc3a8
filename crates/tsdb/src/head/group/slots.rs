//! Slots that have lost their series and may get another one.
//!
//! Without that, a group whose series come and go (containers) would have ever wider rows. A slot
//! rests until nothing tells of its old series any more: no row, no chunk, no segment of the log;
//! replay therefore never meets two series in one slot. References count how often a slot was
//! given away, so that an old one is unknown and never means another series; a slot that was given
//! away [`TURNS_MAX`] times is left empty until the next start.

use std::collections::BTreeSet;

use storage::SeriesRef;

/// Low bits of a reference's key; the turn is above.
const SLOT_BITS: u32 = 26;
/// What fits above the slot.
const TURNS_MAX: u8 = u8::MAX >> (SLOT_BITS + 8 - 32);
const _: () = assert!(codec::row::SLOTS_MAX == 1 << SLOT_BITS);

/// The reference of a key (slot and turn) in a group.
pub(crate) fn reference(group: u32, key: u32) -> SeriesRef {
    SeriesRef(u64::from(group) << 32 | u64::from(key))
}

/// The group and the key of a reference.
pub(crate) fn group_and_key(series: SeriesRef) -> (u32, u32) {
    ((series.0 >> 32) as u32, series.0 as u32)
}

/// The group and the slot of a reference that is not outdated.
pub(crate) fn group_and_slot(series: SeriesRef) -> (u32, u32) {
    let (group, key) = group_and_key(series);
    (group, slot_of(key))
}

/// The slot of a key.
pub(crate) fn slot_of(key: u32) -> u32 {
    key & ((1 << SLOT_BITS) - 1)
}

/// Slots without a series, and how often slots were given away.
#[derive(Debug, Default)]
pub(crate) struct SpareSlots {
    /// By slot; slots beyond it have had one series at most.
    turns: Vec<u8>,
    /// Slots that lost their series, and the segment of the log that was written then.
    resting: Vec<(u64, u32)>,
    /// Slots that may get another series.
    free: Vec<u32>,
}

impl SpareSlots {
    fn turn(&self, slot: u32) -> u8 {
        self.turns.get(slot as usize).copied().unwrap_or(0)
    }

    /// The key of a slot's present series.
    fn key(&self, slot: u32) -> u32 {
        u32::from(self.turn(slot)) << SLOT_BITS | slot
    }

    /// Whether the key is of its slot's present series, if that has one.
    #[inline]
    pub(crate) fn is_current(&self, key: u32) -> bool {
        key >> SLOT_BITS == u32::from(self.turn(slot_of(key)))
    }

    /// Slots that rest.
    pub(crate) fn resting(&self) -> BTreeSet<u32> {
        self.resting.iter().map(|(_, slot)| *slot).collect()
    }

    /// Takes note of a slot that has lost its series.
    pub(crate) fn rest(&mut self, slot: u32, segment: u64) {
        self.resting.push((segment, slot));
    }

    /// Frees resting slots of which nothing is left. The log begins at `first_segment`.
    pub(crate) fn wake(&mut self, first_segment: u64, is_unused: impl Fn(u32) -> bool) {
        let SpareSlots {
            turns,
            resting,
            free,
        } = self;
        resting.retain(|&(segment, slot)| {
            let stays = segment >= first_segment || !is_unused(slot);
            if !stays
                && turns
                    .get(slot as usize)
                    .is_none_or(|&turn| turn < TURNS_MAX)
            {
                free.push(slot);
            }
            stays
        });
        // Low slots first: rows end at the last slot that was ever used.
        free.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The key that the next new series gets, if a slot is free.
    pub(crate) fn next(&self) -> Option<u32> {
        let slot = *self.free.last()?;
        Some(u32::from(self.turn(slot) + 1) << SLOT_BITS | slot)
    }

    /// Gives the slot of [`SpareSlots::next`] away.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let slot = self.free.pop()?;
        let at = slot as usize;
        if self.turns.len() <= at {
            self.turns.resize(at + 1, 0);
        }
        self.turns[at] += 1;
        debug_assert_eq!(slot_of(self.key(slot)), slot);
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_rest_and_are_given_away_so_many_times() {
        let mut spare = SpareSlots::default();
        assert!(spare.is_current(7) && !spare.is_current(1 << SLOT_BITS | 7));
        let mut keys = vec![7];
        for segment in 0..u64::from(TURNS_MAX) {
            spare.rest(7, segment);
            spare.wake(segment, |_| true);
            assert_eq!(spare.next(), None, "the log may still tell of it");
            spare.wake(segment + 1, |_| false);
            assert_eq!(spare.next(), None, "there are samples of it");
            spare.wake(segment + 1, |_| true);
            let key = spare.next().unwrap();
            assert_eq!((spare.take(), spare.next()), (Some(7), None));
            assert!(spare.is_current(key) && keys.iter().all(|&k| !spare.is_current(k)));
            assert_eq!(group_and_slot(reference(3, key)), (3, 7));
            keys.push(key);
        }
        spare.rest(7, 0);
        spare.wake(u64::MAX, |_| true);
        assert_eq!(spare.next(), None);
    }

    #[test]
    fn low_slots_come_first() {
        let mut spare = SpareSlots::default();
        for slot in [9, 2, 5] {
            spare.rest(slot, 0);
        }
        spare.wake(1, |_| true);
        assert_eq!([spare.take(), spare.take()], [Some(2), Some(5)]);
    }
}
