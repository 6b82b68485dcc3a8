//! Sets of series, the currency of selection.
//!
//! A set is a sorted list of ids or a bitmap over all ids of its index. Few series go as a list;
//! unions of many postings are gathered in a bitmap (1 bit a series of the index: 50 kB for
//! 400,000), so that no operation makes more than one intermediate set. Series ids are dense:
//! indexes count them from 0.

/// A bitmap over the ids of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
}

impl Bits {
    /// No id, with room for ids below `end`.
    pub(crate) fn new(end: u32) -> Bits {
        Bits {
            words: vec![0; (end as usize).div_ceil(64)],
        }
    }

    /// Adds an id; grows if it is beyond the end.
    #[inline]
    pub(crate) fn insert(&mut self, id: u32) {
        let word = (id >> 6) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (id & 63);
    }

    /// Adds the ids from `first` to before `end`.
    pub(crate) fn insert_run(&mut self, first: u32, end: u32) {
        if first >= end {
            return;
        }
        let (from, to) = ((first >> 6) as usize, ((end - 1) >> 6) as usize);
        if to >= self.words.len() {
            self.words.resize(to + 1, 0);
        }
        let head = u64::MAX << (first & 63);
        let tail = u64::MAX >> (63 - ((end - 1) & 63));
        if from == to {
            self.words[from] |= head & tail;
            return;
        }
        self.words[from] |= head;
        self.words[from + 1..to].fill(u64::MAX);
        self.words[to] |= tail;
    }

    /// Whether the id is in.
    #[inline]
    pub(crate) fn contains(&self, id: u32) -> bool {
        let word = self.words.get((id >> 6) as usize).copied().unwrap_or(0);
        word >> (id & 63) & 1 == 1
    }

    fn len(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(at, &word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                if left == 0 {
                    return None;
                }
                let bit = left.trailing_zeros();
                left &= left - 1;
                Some(((at as u32) << 6) | bit)
            })
        })
    }
}

/// A set of series ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdSet {
    /// Sorted, without duplicates.
    List(Vec<u32>),
    /// Any.
    Bits(Bits),
}

impl IdSet {
    /// No id.
    pub(crate) fn empty() -> IdSet {
        IdSet::List(Vec::new())
    }

    /// All ids below `end`.
    pub(crate) fn all(end: u32) -> IdSet {
        let mut bits = Bits::new(end);
        bits.insert_run(0, end);
        IdSet::Bits(bits)
    }

    /// How many; counts bits.
    pub(crate) fn len(&self) -> usize {
        match self {
            IdSet::List(list) => list.len(),
            IdSet::Bits(bits) => bits.len(),
        }
    }

    /// Bytes of memory that it holds.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            IdSet::List(list) => 4 * list.capacity(),
            IdSet::Bits(bits) => 8 * bits.words.capacity(),
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            IdSet::List(list) => list.is_empty(),
            IdSet::Bits(bits) => bits.words.iter().all(|&w| w == 0),
        }
    }

    /// Whether the id is in.
    pub(crate) fn contains(&self, id: u32) -> bool {
        match self {
            IdSet::List(list) => list.binary_search(&id).is_ok(),
            IdSet::Bits(bits) => bits.contains(id),
        }
    }

    /// The ids, smallest first.
    pub(crate) fn iter(&self) -> Box<dyn Iterator<Item = u32> + '_> {
        match self {
            IdSet::List(list) => Box::new(list.iter().copied()),
            IdSet::Bits(bits) => Box::new(bits.iter()),
        }
    }

    /// The ids as a list, smallest first.
    pub(crate) fn into_vec(self) -> Vec<u32> {
        match self {
            IdSet::List(list) => list,
            IdSet::Bits(bits) => {
                let mut list = Vec::with_capacity(bits.len());
                list.extend(bits.iter());
                list
            }
        }
    }

    /// Adds all ids to `bits`.
    pub(crate) fn add_to(&self, bits: &mut Bits) {
        match self {
            IdSet::List(list) => list.iter().for_each(|&id| bits.insert(id)),
            IdSet::Bits(other) => {
                if other.words.len() > bits.words.len() {
                    bits.words.resize(other.words.len(), 0);
                }
                for (into, word) in bits.words.iter_mut().zip(&other.words) {
                    *into |= word;
                }
            }
        }
    }

    /// What is in both.
    pub(crate) fn intersect(self, other: &IdSet) -> IdSet {
        match (self, other) {
            (IdSet::List(mut list), IdSet::Bits(bits)) => {
                list.retain(|&id| bits.contains(id));
                IdSet::List(list)
            }
            (IdSet::Bits(bits), IdSet::List(list)) => IdSet::List(
                list.iter()
                    .copied()
                    .filter(|&id| bits.contains(id))
                    .collect(),
            ),
            (IdSet::Bits(mut bits), IdSet::Bits(other)) => {
                bits.words.truncate(other.words.len());
                for (into, word) in bits.words.iter_mut().zip(&other.words) {
                    *into &= word;
                }
                IdSet::Bits(bits)
            }
            (IdSet::List(mut list), IdSet::List(other)) => {
                let mut rest = other.as_slice();
                let (mut at, mut kept) = (0, 0);
                // Each side leaps to where the other is: stretches that do not meet cost nothing.
                while let Some(&id) = list.get(at) {
                    rest = &rest[below(rest, id)..];
                    match rest.first() {
                        None => break,
                        Some(&next) if next > id => at += below(&list[at..], next),
                        Some(_) => {
                            list[kept] = id;
                            (at, kept) = (at + 1, kept + 1);
                        }
                    }
                }
                list.truncate(kept);
                IdSet::List(list)
            }
        }
    }

    /// What is in `self` and not in `other`.
    pub(crate) fn subtract(self, other: &IdSet) -> IdSet {
        match (self, other) {
            (IdSet::List(mut list), IdSet::Bits(bits)) => {
                list.retain(|&id| !bits.contains(id));
                IdSet::List(list)
            }
            (IdSet::Bits(mut bits), IdSet::List(list)) => {
                for &id in list {
                    if let Some(word) = bits.words.get_mut((id >> 6) as usize) {
                        *word &= !(1 << (id & 63));
                    }
                }
                IdSet::Bits(bits)
            }
            (IdSet::Bits(mut bits), IdSet::Bits(other)) => {
                for (into, word) in bits.words.iter_mut().zip(&other.words) {
                    *into &= !word;
                }
                IdSet::Bits(bits)
            }
            (IdSet::List(mut list), IdSet::List(other)) => {
                let mut rest = other.as_slice();
                list.retain(|&id| {
                    rest = &rest[below(rest, id)..];
                    rest.first() != Some(&id)
                });
                IdSet::List(list)
            }
        }
    }

    /// Whether anything is in both.
    pub(crate) fn intersects(&self, other: &IdSet) -> bool {
        match (self, other) {
            (IdSet::List(list), IdSet::Bits(bits)) | (IdSet::Bits(bits), IdSet::List(list)) => {
                list.iter().any(|&id| bits.contains(id))
            }
            (IdSet::Bits(a), IdSet::Bits(b)) => {
                a.words.iter().zip(&b.words).any(|(a, b)| a & b != 0)
            }
            (IdSet::List(a), IdSet::List(b)) => {
                let (few, mut many) = if a.len() < b.len() {
                    (a, &b[..])
                } else {
                    (b, &a[..])
                };
                few.iter().any(|&id| {
                    many = &many[below(many, id)..];
                    many.first() == Some(&id)
                })
            }
        }
    }
}

/// How many ids of the sorted list are below `id`: doubling steps first, so that a short list
/// against a long one costs the logarithm of the gaps.
fn below(list: &[u32], id: u32) -> usize {
    let mut step = 1;
    while step < list.len() && list[step] < id {
        step *= 2;
    }
    let from = step / 2;
    let to = list.len().min(step + 1);
    from + list[from..to].partition_point(|&other| other < id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set_of(ids: &BTreeSet<u32>, as_bits: bool) -> IdSet {
        if !as_bits {
            return IdSet::List(ids.iter().copied().collect());
        }
        let mut bits = Bits::new(ids.last().map_or(0, |l| l + 1));
        ids.iter().for_each(|&id| bits.insert(id));
        IdSet::Bits(bits)
    }

    proptest! {
        #[test]
        fn algebra_is_that_of_sets(
            a in prop::collection::btree_set(0u32..500, 0..100),
            b in prop::collection::btree_set(0u32..500, 0..200),
            shapes in 0..4,
        ) {
            let (left, right) = (set_of(&a, shapes & 1 == 1), set_of(&b, shapes & 2 == 2));
            let both: Vec<u32> = a.intersection(&b).copied().collect();
            prop_assert_eq!(left.intersects(&right), !both.is_empty());
            prop_assert_eq!(left.clone().intersect(&right).into_vec(), both);
            let rest: Vec<u32> = a.difference(&b).copied().collect();
            prop_assert_eq!(left.clone().subtract(&right).into_vec(), rest);
            let mut union = Bits::new(10);
            left.add_to(&mut union);
            right.add_to(&mut union);
            let union = IdSet::Bits(union);
            prop_assert!(union.iter().eq(a.union(&b).copied()));
            prop_assert_eq!(union.len(), a.union(&b).count());
            prop_assert!(a.iter().all(|&id| left.contains(id) && union.contains(id)));
            prop_assert_eq!(left.is_empty(), a.is_empty());
        }

        #[test]
        fn runs_are_all_their_ids(first in 0u32..300, length in 0u32..300) {
            let mut run = Bits::new(64);
            run.insert_run(first, first + length);
            prop_assert!(run.iter().eq(first..first + length));
        }
    }

    #[test]
    fn all_is_everything_below_the_end() {
        for end in [0, 1, 63, 64, 65, 1000] {
            assert!(IdSet::all(end).iter().eq(0..end));
        }
        assert!(IdSet::empty().is_empty());
    }
}
