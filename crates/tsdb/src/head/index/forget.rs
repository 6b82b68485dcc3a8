//! Forgetting series.
//!
//! What is large, label sets and homes, moves up in place; what is made anew (postings, tables of
//! ids) is given up first. So the index is never there twice.

use codec::varint::{self, Reader};
use hashbrown::HashTable;

use super::{Index, Name, Pair, Postings};

/// The new id of what was forgotten.
pub(crate) const FORGOTTEN: u32 = u32::MAX;

impl Index {
    /// Forgets all series but those that are to stay, which keep their order. Gives the new id of
    /// each old one, [`FORGOTTEN`] for those that went.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) -> Vec<u32> {
        self.postings = Vec::new();
        self.set_ids.clear();
        let mut pairs = vec![FORGOTTEN; self.pairs.len()];
        for id in (0..self.len() as u32).filter(|&id| keep(id)) {
            self.pairs_of(id).for_each(|pair| pairs[pair as usize] = 0);
        }
        let kept = pairs.iter_mut().filter(|pair| **pair == 0);
        kept.zip(0..).for_each(|(pair, number)| *pair = number);
        let moved = self.move_sets(&pairs, keep);
        self.move_pairs(&pairs);
        for id in 0..self.len() as u32 {
            self.list(id);
        }
        moved
    }

    /// Moves label sets up and writes them with the new numbers of their pairs. These are not
    /// above the old ones, so no set gets longer.
    fn move_sets(&mut self, pairs: &[u32], keep: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut moved = vec![FORGOTTEN; self.len()];
        let mut packed = Vec::with_capacity(40);
        let (mut count, mut from, mut to) = (0, 0, 0);
        for (id, new_id) in moved.iter_mut().enumerate() {
            let end = self.set_ends[id] as usize;
            if keep(id as u32) {
                packed.clear();
                let mut reader = Reader::new(&self.sets[from..end]);
                while let Ok(pair) = reader.varint() {
                    varint::put(&mut packed, u64::from(pairs[pair as usize]));
                }
                self.sets[to..to + packed.len()].copy_from_slice(&packed);
                to += packed.len();
                debug_assert!(to <= end, "what was not read yet is not overwritten");
                self.set_ends[count] = to as u32;
                self.homes[count] = self.homes[id];
                *new_id = count as u32;
                count += 1;
            }
            from = end;
        }
        self.sets.truncate(to);
        self.set_ends.truncate(count);
        self.homes.truncate(count);
        moved
    }

    /// Keeps the pairs that have a new number, and the names that have such pairs.
    fn move_pairs(&mut self, moved: &[u32]) {
        let text = std::mem::take(&mut self.text);
        let pairs = std::mem::take(&mut self.pairs);
        let names = std::mem::take(&mut self.names);
        self.name_ids.clear();
        self.pair_ids = HashTable::new();
        let mut name_ids = vec![FORGOTTEN; names.len()];
        let kept = pairs.iter().zip(moved).filter(|(_, id)| **id != FORGOTTEN);
        for (Pair { name, at, length }, &id) in kept {
            let known = &mut name_ids[*name as usize];
            if *known == FORGOTTEN {
                *known = self.names.len() as u32;
                let text = names[*name as usize].text.clone();
                self.name_ids.insert(text.clone(), *known);
                self.names.push(Name {
                    text,
                    pairs: Vec::new(),
                    postings: Postings::default(),
                });
            }
            let value = &text[*at as usize..(at + length) as usize];
            let added = self.add_pair(*known, value);
            debug_assert_eq!(added, Ok(id), "pairs keep their order");
        }
    }
}
