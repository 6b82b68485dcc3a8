//! Which series there are: label sets, and series by label pair.
//!
//! Every pair of label name and value is kept once and has a number; a label set is the varints of
//! its pairs' numbers in one arena, about 20 bytes for ten labels. A table of ids finds a label set
//! by hash and comparison, so nothing is kept twice. Ids of series ascend; [`Index::retain`] forgets
//! many series at once and gives the others new ids.

mod forget;

use std::hash::BuildHasher;
use std::ops::ControlFlow;

use codec::varint::{self, Reader};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashTable};
use model::{Labels, METRIC_NAME};
use storage::{NamedCount, StorageError};

use super::memory::{TABLE_SLOT_BYTES, slice_bytes};
use super::postings::Postings;
use crate::postings::{Bits, IdSet};
use crate::select::{LabelIndex, PairId};
pub(crate) use forget::FORGOTTEN;

/// A label pair.
#[derive(Debug, Clone, Copy)]
struct Pair {
    name: u32,
    /// Where its value lies in the text.
    at: u32,
    length: u32,
}

#[derive(Debug)]
struct Name {
    text: Box<str>,
    pairs: Vec<u32>,
    /// Series that have the label.
    postings: Postings,
}

/// Series by labels.
#[derive(Debug, Default)]
pub(crate) struct Index {
    hasher: RandomState,
    names: Vec<Name>,
    name_ids: HashMap<Box<str>, u32, RandomState>,
    /// Values of all pairs, one after the other.
    text: String,
    pairs: Vec<Pair>,
    pair_ids: HashTable<u32>,
    postings: Vec<Postings>,
    /// Label sets of all series, one after the other, and where each ends.
    sets: Vec<u8>,
    set_ends: Vec<u32>,
    set_ids: HashTable<u32>,
    /// Where each series lives: what the head's references say.
    homes: Vec<u64>,
}

/// The index cannot number more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Index {
    /// How many series there are; ids are below.
    pub(crate) fn len(&self) -> usize {
        self.homes.len()
    }

    /// How many label pairs there are.
    pub(crate) fn pair_count(&self) -> usize {
        self.pairs.len()
    }

    /// Bytes of all of it.
    pub(crate) fn memory_bytes(&self) -> usize {
        let tables = self.name_ids.len() + self.pair_ids.len() + self.set_ids.len();
        let names = self.names.iter();
        let names: usize = names
            .map(|name| {
                2 * name.text.len() + slice_bytes(&name.pairs) + name.postings.memory_bytes()
            })
            .sum();
        let postings: usize = self.postings.iter().map(Postings::memory_bytes).sum();
        let plain = self.text.len() + self.sets.len() + slice_bytes(&self.set_ends);
        let sized =
            slice_bytes(&self.names) + slice_bytes(&self.pairs) + slice_bytes(&self.postings);
        let homes = slice_bytes(&self.homes);
        tables * TABLE_SLOT_BYTES + names + postings + plain + sized + homes
    }

    /// Where a series lives.
    pub(crate) fn home(&self, id: u32) -> u64 {
        self.homes[id as usize]
    }

    /// Puts a series elsewhere.
    pub(crate) fn set_home(&mut self, id: u32, home: u64) {
        self.homes[id as usize] = home;
    }

    fn value(&self, pair: u32) -> &str {
        let Pair { at, length, .. } = self.pairs[pair as usize];
        &self.text[at as usize..(at + length) as usize]
    }

    fn set(&self, id: u32) -> &[u8] {
        let from = match id {
            0 => 0,
            _ => self.set_ends[id as usize - 1],
        };
        &self.sets[from as usize..self.set_ends[id as usize] as usize]
    }

    /// The pairs of a series, sorted by name.
    pub(crate) fn pairs_of(&self, id: u32) -> impl Iterator<Item = u32> + '_ {
        let mut reader = Reader::new(self.set(id));
        std::iter::from_fn(move || reader.varint().ok().map(|pair| pair as u32))
    }

    /// Name and value of a pair.
    pub(crate) fn pair(&self, pair: u32) -> (&str, &str) {
        let name = self.pairs[pair as usize].name;
        (&self.names[name as usize].text, self.value(pair))
    }

    /// Says of a pair whether its name is one of these, which are sorted.
    pub(crate) fn pairs_with(&self, names: &[String]) -> impl Fn(u32) -> bool + '_ {
        let is_in = |name: &Name| {
            names
                .binary_search_by(|n| n.as_str().cmp(&name.text))
                .is_ok()
        };
        let wanted: Vec<bool> = self.names.iter().map(is_in).collect();
        move |pair| wanted[self.pairs[pair as usize].name as usize]
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, id: u32) -> Labels {
        Labels::from_sorted(self.pairs_of(id).map(|pair| self.pair(pair)))
    }

    fn pair_hash(&self, name: u32, value: &str) -> u64 {
        self.hasher.hash_one((name, value))
    }

    fn find_pair(&self, name: u32, value: &str) -> Option<u32> {
        let same = |&id: &u32| self.pairs[id as usize].name == name && self.value(id) == value;
        let hash = self.pair_hash(name, value);
        self.pair_ids.find(hash, same).copied()
    }

    fn pair_by_text(&self, name: &str, value: &str) -> Option<u32> {
        self.find_pair(*self.name_ids.get(name)?, value)
    }

    /// The packed label set, if all its pairs are known.
    fn packed(&self, labels: &Labels) -> Option<Vec<u8>> {
        let mut packed = Vec::with_capacity(40);
        for (name, value) in labels {
            varint::put(&mut packed, u64::from(self.pair_by_text(name, value)?));
        }
        Some(packed)
    }

    fn find_set(&self, packed: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(packed);
        let found = self.set_ids.find(hash, |&id| self.set(id) == packed);
        found.copied()
    }

    /// The id of a series.
    pub(crate) fn id_of(&self, labels: &Labels) -> Option<u32> {
        self.find_set(&self.packed(labels)?)
    }

    /// The number of a label pair, which is made if it is new. Only for pairs of a series that is
    /// entered then.
    pub(crate) fn intern(&mut self, name: &str, value: &str) -> Result<u32, Full> {
        let name_id = match self.name_ids.get(name) {
            Some(&id) => id,
            None => {
                let id = self.names.len() as u32;
                self.names.push(Name {
                    text: name.into(),
                    pairs: Vec::new(),
                    postings: Postings::default(),
                });
                self.name_ids.insert(name.into(), id);
                id
            }
        };
        match self.find_pair(name_id, value) {
            Some(id) => Ok(id),
            None => self.add_pair(name_id, value),
        }
    }

    /// Adds a pair that is not there yet.
    fn add_pair(&mut self, name_id: u32, value: &str) -> Result<u32, Full> {
        let id = u32::try_from(self.pairs.len()).map_err(|_| Full)?;
        let at = u32::try_from(self.text.len()).map_err(|_| Full)?;
        let length = u32::try_from(value.len()).map_err(|_| Full)?;
        at.checked_add(length).ok_or(Full)?;
        self.text.push_str(value);
        self.pairs.push(Pair {
            name: name_id,
            at,
            length,
        });
        self.postings.push(Postings::default());
        self.names[name_id as usize].pairs.push(id);
        let hash = self.pair_hash(name_id, value);
        let Index {
            hasher,
            pairs,
            text,
            ..
        } = self;
        let rehash = |&id: &u32| {
            let Pair { name, at, length } = pairs[id as usize];
            hasher.hash_one((name, &text[at as usize..(at + length) as usize]))
        };
        self.pair_ids.insert_unique(hash, id, rehash);
        Ok(id)
    }

    /// Adds a series that is not there yet.
    pub(crate) fn insert(&mut self, labels: &Labels, home: u64) -> Result<u32, Full> {
        let mut packed = Vec::with_capacity(40);
        for (name, value) in labels {
            varint::put(&mut packed, u64::from(self.intern(name, value)?));
        }
        self.insert_packed(&packed, home)
    }

    /// The id of the series with these pairs, which are sorted by name, and whether it is new: then
    /// it is added and lives at `home`.
    pub(crate) fn enter(&mut self, pairs: &[u32], home: u64) -> Result<(u32, bool), Full> {
        let mut packed = Vec::with_capacity(40);
        pairs
            .iter()
            .for_each(|&pair| varint::put(&mut packed, u64::from(pair)));
        match self.find_set(&packed) {
            Some(id) => Ok((id, false)),
            None => Ok((self.insert_packed(&packed, home)?, true)),
        }
    }

    fn insert_packed(&mut self, packed: &[u8], home: u64) -> Result<u32, Full> {
        let id = u32::try_from(self.homes.len()).map_err(|_| Full)?;
        let end = u32::try_from(self.sets.len() + packed.len()).map_err(|_| Full)?;
        self.sets.extend_from_slice(packed);
        self.set_ends.push(end);
        self.homes.push(home);
        self.list(id);
        Ok(id)
    }

    /// Puts a series into the lists of its pairs and the table of label sets.
    fn list(&mut self, id: u32) {
        let from = id.checked_sub(1).map_or(0, |b| self.set_ends[b as usize]);
        let set = from as usize..self.set_ends[id as usize] as usize;
        let mut reader = Reader::new(&self.sets[set.clone()]);
        while let Ok(pair) = reader.varint() {
            self.postings[pair as usize].push(id);
            let name = self.pairs[pair as usize].name;
            self.names[name as usize].postings.push(id);
        }
        let hash = self.hasher.hash_one(&self.sets[set]);
        let Index {
            hasher,
            sets,
            set_ends,
            ..
        } = self;
        self.set_ids.insert_unique(hash, id, |&id| {
            let from = if id == 0 {
                0
            } else {
                set_ends[id as usize - 1]
            };
            hasher.hash_one(&sets[from as usize..set_ends[id as usize] as usize])
        });
    }

    fn pairs_named(&self, name: &str) -> &[u32] {
        match self.name_ids.get(name) {
            Some(&id) => &self.names[id as usize].pairs,
            None => &[],
        }
    }

    /// The lists of `storage::TsdbStats`: by metric, values by label, bytes by label, by pair.
    pub(crate) fn top(&self, limit: usize) -> [Vec<NamedCount>; 4] {
        let count = |pair: u32| u64::from(self.postings[pair as usize].len());
        let metrics = self.pairs_named(METRIC_NAME).iter();
        let metrics = metrics.map(|&pair| (count(pair), (pair, pair)));
        let metrics = largest(metrics, limit, |(pair, _)| self.value(pair).to_owned());
        let name_of = |(name, _): (u32, u32)| self.names[name as usize].text.to_string();
        let names = || self.names.iter().zip(0u32..);
        let values = names().map(|(name, at)| (name.pairs.len() as u64, (at, 0)));
        let bytes = names().map(|(name, at)| {
            let of_pair = |&p: &u32| self.value(p).len() as u64 * count(p);
            (name.pairs.iter().map(of_pair).sum(), (at, 0))
        });
        let pairs = (0..self.pairs.len() as u32).map(|p| (count(p), (p, p)));
        let pair_name = |(pair, _): (u32, u32)| {
            let name = self.pairs[pair as usize].name;
            format!("{}={}", self.names[name as usize].text, self.value(pair))
        };
        [
            metrics,
            largest(values, limit, name_of),
            largest(bytes, limit, name_of),
            largest(pairs, limit, pair_name),
        ]
    }
}

impl LabelIndex for Index {
    fn end(&self) -> u32 {
        self.homes.len() as u32
    }

    fn all(&self) -> Result<IdSet, StorageError> {
        Ok(IdSet::all(self.end()))
    }

    fn names(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> Result<(), StorageError> {
        let mut names: Vec<&str> = self.names.iter().map(|name| &*name.text).collect();
        names.sort_unstable();
        let _ = names.into_iter().try_for_each(visit);
        Ok(())
    }

    fn has_label(&self, name: &str) -> Result<IdSet, StorageError> {
        let set = self.name_ids.get(name).map(|&id| {
            let name = &self.names[id as usize];
            name.postings.to_set(self.end())
        });
        Ok(set.unwrap_or_else(IdSet::empty))
    }

    fn value_count(&self, name: &str) -> usize {
        self.pairs_named(name).len()
    }

    fn values(
        &self,
        name: &str,
        prefix: &str,
        visit: &mut dyn FnMut(&str, PairId) -> ControlFlow<()>,
    ) -> Result<(), StorageError> {
        for &pair in self.pairs_named(name) {
            let value = self.value(pair);
            if value.starts_with(prefix) && visit(value, PairId(pair)).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn find(&self, name: &str, value: &str) -> Result<Option<PairId>, StorageError> {
        Ok(self.pair_by_text(name, value).map(PairId))
    }

    fn weight(&self, pair: PairId) -> usize {
        self.postings[pair.0 as usize].len() as usize
    }

    fn postings(&self, pair: PairId) -> Result<IdSet, StorageError> {
        Ok(self.postings[pair.0 as usize].to_set(self.end()))
    }

    fn add_postings(&self, pair: PairId, into: &mut Bits) -> Result<(), StorageError> {
        self.postings[pair.0 as usize].add_to(into);
        Ok(())
    }
}

/// The largest counts, largest first; equal ones in order of their names.
fn largest(
    counts: impl Iterator<Item = (u64, (u32, u32))>,
    limit: usize,
    name: impl Fn((u32, u32)) -> String,
) -> Vec<NamedCount> {
    let mut counts: Vec<_> = counts.collect();
    counts.sort_unstable_by_key(|(count, key)| (std::cmp::Reverse(*count), *key));
    counts.truncate(limit);
    let mut named: Vec<_> = counts
        .into_iter()
        .map(|(value, key)| NamedCount {
            name: name(key),
            value,
        })
        .collect();
    named.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
    named
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{label_names, label_values, select};
    use model::{MatchOp, Matcher};

    fn index() -> (Index, Vec<Labels>) {
        let mut index = Index::default();
        let mut all = Vec::new();
        for host in ["a", "b", "c"] {
            for metric in ["cpu", "mem"] {
                let mut pairs = vec![("__name__", metric), ("host", host)];
                if host != "b" {
                    pairs.push(("zone", host));
                }
                let labels = Labels::from_pairs(pairs);
                assert_eq!(index.id_of(&labels), None);
                let id = index.insert(&labels, 7).unwrap();
                assert_eq!(index.id_of(&labels), Some(id));
                assert_eq!(index.labels(id), labels);
                all.push(labels);
            }
        }
        (index, all)
    }

    #[test]
    fn selects_as_matchers_say() {
        let (index, all) = index();
        let names = ["__name__", "host", "zone", "none"];
        let values = ["", "a", "b", "a|b", "a|", ".*", ".+", "c.*", "[ab]", "cpu"];
        let ops = [
            MatchOp::Equal,
            MatchOp::NotEqual,
            MatchOp::Regex,
            MatchOp::NotRegex,
        ];
        let one = |op, name: &str, value: &str| Matcher::new(op, name, value).unwrap();
        let mut matchers = Vec::new();
        for name in names {
            for value in values {
                matchers.extend(ops.map(|op| one(op, name, value)));
            }
        }
        for a in &matchers {
            for b in &matchers {
                let pair = [a.clone(), b.clone()];
                let want: Vec<_> = (0..all.len() as u32)
                    .filter(|&id| {
                        let labels = &all[id as usize];
                        pair.iter().all(|m| m.matches(labels.get(m.name())))
                    })
                    .collect();
                assert_eq!(select(&index, &pair).unwrap().into_vec(), want, "{a} {b}");
            }
        }
        assert_eq!(select(&index, &[]).unwrap().len(), 6);
    }

    #[test]
    fn lists_and_counts() {
        let (index, _) = index();
        let b = [Matcher::equal("host", "b")];
        assert_eq!(label_names(&index, &b, 0).unwrap(), ["__name__", "host"]);
        assert_eq!(label_values(&index, "host", &b, 0).unwrap(), ["b"]);
        assert_eq!(label_values(&index, "zone", &[], 0).unwrap(), ["a", "c"]);
        let [metrics, values, bytes, pairs] = index.top(2);
        let text = |list: &[NamedCount]| {
            let rows = list.iter().map(|row| format!("{} {}", row.name, row.value));
            rows.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(text(&metrics), "cpu 3, mem 3");
        assert_eq!(text(&values), "host 3, __name__ 2");
        assert_eq!(text(&bytes), "__name__ 18, host 6");
        assert_eq!(text(&pairs), "__name__=cpu 3, __name__=mem 3");
        assert_eq!(index.pair_count(), 7);
    }

    #[test]
    fn forgets_what_is_not_kept() {
        let (mut index, all) = index();
        let moved = index.retain(|id| (2..4).contains(&id));
        let gone = FORGOTTEN;
        assert_eq!(moved, [gone, gone, 0, 1, gone, gone]);
        assert_eq!(index.id_of(&all[3]), Some(1));
        assert_eq!(index.id_of(&all[0]), None);
        assert_eq!(label_names(&index, &[], 0).unwrap(), ["__name__", "host"]);
        assert_eq!((index.home(1), index.pair_count()), (7, 3));
        let b = [Matcher::equal("host", "b")];
        assert_eq!(select(&index, &b).unwrap().into_vec(), [0, 1]);
        // What is made afterwards finds its place.
        let id = index.insert(&all[5], 9).unwrap();
        assert_eq!((id, index.labels(2)), (2, all[5].clone()));
        let pair = index.intern("host", "c").unwrap();
        assert_eq!(index.enter(&[pair], 5), Ok((3, true)));
        assert_eq!(index.enter(&[pair], 6), Ok((3, false)));
        let c = [Matcher::equal("host", "c")];
        assert_eq!(select(&index, &c).unwrap().into_vec(), [2, 3]);
    }
}
