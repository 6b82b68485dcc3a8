//! Postings that grow: the ascending ids of the series that have a label pair.
//!
//! Ids are given out in ascending order and the series of a target are created together, so a
//! list is kept as runs: the distance from the run before and the length, as varints. The last
//! run is open; adding the next id to it costs an increment.

use codec::varint::{self, Reader};

use crate::postings::{Bits, IdSet};

/// An ascending list of ids, append only.
#[derive(Debug, Clone, Default)]
pub(crate) struct Postings {
    /// Closed runs: gap from the end of the run before, length less one.
    closed: Vec<u8>,
    /// One more than the last id of the last closed run.
    closed_end: u32,
    /// The open run: its first id and one more than its last; empty if equal.
    from: u32,
    end: u32,
    count: u32,
}

impl Postings {
    /// Adds an id, larger than all before.
    pub(crate) fn push(&mut self, id: u32) {
        debug_assert!(id >= self.end || self.count == 0);
        if self.count == 0 {
            self.from = id;
        } else if id != self.end {
            varint::put(&mut self.closed, u64::from(self.from - self.closed_end));
            varint::put(&mut self.closed, u64::from(self.end - self.from - 1));
            self.closed_end = self.end;
            self.from = id;
        }
        self.end = id + 1;
        self.count += 1;
    }

    /// Bytes beside the list itself.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.closed.len()
    }

    /// How many ids there are.
    pub(crate) fn len(&self) -> u32 {
        self.count
    }

    /// Calls `each` with the first id of every run and one more than its last.
    fn for_each_run(&self, mut each: impl FnMut(u32, u32)) {
        let mut reader = Reader::new(&self.closed);
        let mut at = 0u32;
        while let (Ok(gap), Ok(length)) = (reader.varint(), reader.varint()) {
            let from = at + gap as u32;
            at = from + length as u32 + 1;
            each(from, at);
        }
        if self.count > 0 {
            each(self.from, self.end);
        }
    }

    /// Adds all ids to the bitmap.
    pub(crate) fn add_to(&self, bits: &mut Bits) {
        self.for_each_run(|from, end| bits.insert_run(from, end));
    }

    /// The ids, all below `end`.
    pub(crate) fn to_set(&self, end: u32) -> IdSet {
        // A bitmap takes a bit an id of the index, a list 32 bits an id of the set.
        if self.count > end / 32 {
            let mut bits = Bits::new(end);
            self.add_to(&mut bits);
            return IdSet::Bits(bits);
        }
        let mut list = Vec::with_capacity(self.count as usize);
        self.for_each_run(|from, end| list.extend(from..end));
        IdSet::List(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hold_what_was_pushed(ids in prop::collection::btree_set(0u32..300, 0..200)) {
            let mut postings = Postings::default();
            ids.iter().for_each(|&id| postings.push(id));
            let want: Vec<u32> = ids.into_iter().collect();
            prop_assert_eq!(postings.len() as usize, want.len());
            for end in [300, 100_000] {
                prop_assert_eq!(&postings.to_set(end).into_vec(), &want);
            }
        }
    }
}
