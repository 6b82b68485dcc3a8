//! Selection: which series of the head a query meets, and what it needs to know of them.
//!
//! A label set takes some 300 ns to be put together, so that is done only for who wants all labels.
//! Who looks at a few of them gets those, shared by all series that have the same ones; identities
//! and the order of series come from the numbers of pairs.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, Matcher};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use rayon::slice::ParallelSlice as _;
use storage::StorageError;

use super::Head;
use super::delete;
use super::group::group_and_slot;
use super::index::Index;
use super::series::{HeadSeries, SharedView, TILE_CELLS_MAX};
use crate::identity::{Identity, IdentityKeys};
use crate::order::Keys;
use crate::select;

/// From so many series on, a selection is worth several threads.
const PARALLEL_SERIES_MIN: usize = 4_096;

/// What a query asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) matchers: &'a [Matcher],
    /// Series may have samples from the first to the last of these milliseconds.
    pub(crate) range: (i64, i64),
    /// As of when.
    pub(crate) epoch: u64,
    /// At most so many series, 0 for all.
    pub(crate) limit: usize,
    /// The only labels that are wanted, sorted; `None` for all.
    pub(crate) labels: Option<&'a [String]>,
    /// To find the same series in blocks.
    pub(crate) identities: Option<&'a IdentityKeys>,
    /// Whether the order of labels is wanted.
    pub(crate) ordered: bool,
    /// Values of open rows that may be turned over.
    pub(crate) tile_cells_max: usize,
}

/// What was found; the lists are as long as `series` or empty.
#[derive(Debug, Default)]
pub(crate) struct Selected {
    pub(crate) series: Vec<HeadSeries>,
    pub(crate) identities: Vec<Identity>,
    /// Has texts only if identities were asked for, too.
    pub(crate) keys: Option<Keys>,
}

/// A series: its group, its slot and its number in the index.
type Found = (Arc<SharedView>, u32, u32);

impl Head {
    /// Series that pass the matchers and may have samples in the range.
    pub(crate) fn select(&self, asked: &Asked<'_>) -> Result<Selected, StorageError> {
        let index = self.index.read();
        let (min_ms, max_ms) = asked.range;
        let found = self.find(&index, asked)?;
        let series = |(view, slot, labels): (Arc<SharedView>, u32, Labels)| HeadSeries {
            labels,
            view,
            slot,
            min_ms,
            max_ms,
        };
        let is_left = |(view, slot, _): &Found| {
            view.tombstones(*slot).is_empty()
                || delete::has_samples(&series((Arc::clone(view), *slot, Labels::empty())))
        };
        let found: Vec<Found> = found.into_iter().filter(is_left).collect();
        let ids: Vec<u32> = found.iter().map(|(_, _, id)| *id).collect();
        let labels = match asked.labels {
            Some(names) => some_labels(&index, &ids, names),
            None => all_labels(&index, &ids),
        };
        let identities = asked.identities.map(|keys| identities(&index, &ids, keys));
        let with_texts = asked.identities.is_some();
        let keys = asked.ordered.then(|| keys(&index, &ids, with_texts));
        let with_labels = found.into_iter().zip(labels);
        let with_labels = with_labels.map(|((view, slot, _), labels)| (view, slot, labels));
        Ok(Selected {
            series: with_labels.map(series).collect(),
            identities: identities.unwrap_or_default(),
            keys,
        })
    }

    fn find(&self, index: &Index, asked: &Asked<'_>) -> Result<Vec<Found>, StorageError> {
        let (min_ms, max_ms) = asked.range;
        let mut by_group: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
        for id in select::select(index, asked.matchers)?.into_vec() {
            let (group, slot) = group_and_slot(storage::SeriesRef(index.home(id)));
            by_group.entry(group).or_default().push((slot, id));
        }
        let mut found = Vec::new();
        let mut cells_left = asked.tile_cells_max.min(TILE_CELLS_MAX);
        for (group, mut slots) in by_group {
            let Some(group) = self.groups.read().by_id.get(&group).cloned() else {
                continue;
            };
            let state = group.state.lock();
            let meets = |slot: u32| {
                state.spans[slot as usize].meets(min_ms, max_ms) || !state.late.get(slot).is_empty()
            };
            slots.retain(|&(slot, _)| meets(slot));
            if slots.is_empty() {
                continue;
            }
            let view = state.view(asked.epoch, min_ms, max_ms, &self.files);
            let view = view.map_err(|error| StorageError::Io(format!("head chunk: {error}")))?;
            let wide = slots.iter().filter_map(|&(slot, _)| {
                let open = state.open_wide(slot)?;
                Some((slot, open))
            });
            let slots_of = slots.iter().map(|&(slot, _)| slot).collect();
            let view = SharedView::new(view, wide.collect(), slots_of, &mut cells_left);
            let of_group = slots.into_iter();
            found.extend(of_group.map(|(slot, id)| (Arc::clone(&view), slot, id)));
            if asked.limit > 0 && found.len() >= asked.limit {
                found.truncate(asked.limit);
                break;
            }
        }
        Ok(found)
    }
}

/// What `of` makes of a list, a part of it on each thread.
fn in_parts<T: Send>(ids: &[u32], of: impl Fn(&[u32]) -> Vec<T> + Sync + Send) -> Vec<T> {
    if ids.len() < PARALLEL_SERIES_MIN {
        return of(ids);
    }
    let parts: Vec<Vec<T>> = ids.par_chunks(PARALLEL_SERIES_MIN).map(of).collect();
    parts.into_iter().flatten().collect()
}

fn all_labels(index: &Index, ids: &[u32]) -> Vec<Labels> {
    in_parts(ids, |ids| ids.iter().map(|&id| index.labels(id)).collect())
}

/// The labels `names` of each series. Those of one part with the same ones share them.
fn some_labels(index: &Index, ids: &[u32], names: &[String]) -> Vec<Labels> {
    let wanted = index.pairs_with(names);
    in_parts(ids, |ids| {
        let mut by_pairs: HashMap<Vec<u32>, Labels, RandomState> = HashMap::default();
        let mut pairs = Vec::new();
        let of = |&id: &u32| {
            pairs.clear();
            pairs.extend(index.pairs_of(id).filter(|&pair| wanted(pair)));
            if let Some(labels) = by_pairs.get(&pairs) {
                return labels.clone();
            }
            let labels = Labels::from_sorted(pairs.iter().map(|&pair| index.pair(pair)));
            by_pairs.insert(pairs.clone(), labels.clone());
            labels
        };
        ids.iter().map(of).collect()
    })
}

fn identities(index: &Index, ids: &[u32], keys: &IdentityKeys) -> Vec<Identity> {
    let of_pair = |pair: u32| {
        let (name, value) = index.pair(pair);
        keys.of_pair(name, value)
    };
    // Of few series, pairs are hashed as they come.
    if ids.len() < index.pair_count() / 4 {
        let of = |&id: &u32| {
            let pairs = index.pairs_of(id).map(of_pair);
            pairs.fold(Identity::default(), Identity::with)
        };
        return in_parts(ids, |ids| ids.iter().map(of).collect());
    }
    let pairs = (0..index.pair_count() as u32).into_par_iter();
    let hashes: Vec<Identity> = pairs.map(of_pair).collect();
    let of = |&id: &u32| {
        let pairs = index.pairs_of(id).map(|pair| hashes[pair as usize]);
        pairs.fold(Identity::default(), Identity::with)
    };
    in_parts(ids, |ids| ids.iter().map(of).collect())
}

fn keys(index: &Index, ids: &[u32], with_texts: bool) -> Keys {
    const UNUSED: u32 = u32::MAX;
    let mut numbers = vec![UNUSED; index.pair_count()];
    let mut used = Vec::new();
    for pair in ids.iter().flat_map(|&id| index.pairs_of(id)) {
        if numbers[pair as usize] == UNUSED {
            numbers[pair as usize] = 0;
            used.push(pair);
        }
    }
    used.sort_unstable_by(|&a, &b| index.pair(a).cmp(&index.pair(b)));
    let mut keys = Keys::default();
    for (number, &pair) in (0..).zip(&used) {
        numbers[pair as usize] = number;
        if with_texts {
            let (name, value) = index.pair(pair);
            keys.dictionary.push(name, value);
        }
    }
    for &id in ids {
        keys.push(index.pairs_of(id).map(|pair| numbers[pair as usize]));
    }
    keys
}
