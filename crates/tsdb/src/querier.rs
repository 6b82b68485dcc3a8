//! Reading over head and blocks together.
//!
//! The head is asked first and the list of blocks is taken after that: what moves from the head
//! into a block meanwhile is then found in both rather than in none, and samples of the same time
//! are merged anyway.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, Matcher};
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use storage::{Points, Querier, Samples, SelectHints, Series, SeriesSet, StorageError};

use crate::block::{Block, PickedColumns};
use crate::blocks::by_precedence;
use crate::db::Inner;
use crate::head::{Asked, HeadSeries, Selected};
use crate::identity::Identity;
use crate::merge::{Mark, append, merge_tail};
use crate::order;

/// From so many series on, a part of them is worth another thread.
const PARALLEL_SERIES_MIN: usize = 4_096;

/// What selecting takes for a series for a moment: its places in lists and tables on the way.
const SELECTING_BYTES: usize = 256;

/// No label set is likely to be larger. So many series are looked at before it is known how large
/// they are.
const LIKELY_BYTES_MAX: u64 = 1_024;

/// The part of what the series may take that open rows may take which are turned over.
const TILE_DIVISOR: u64 = 8;

/// Reads one stretch of time.
pub(crate) struct DbQuerier {
    inner: Arc<Inner>,
    min_ms: i64,
    max_ms: i64,
    epoch: u64,
}

/// The blocks that a selection reads, and its time.
struct Places {
    /// In order of precedence.
    blocks: Vec<Arc<Block>>,
    /// For each block the numbers that the selection's series have there, [`NOWHERE`] if none;
    /// those behind the end have none.
    numbers: Vec<Vec<u32>>,
    /// For each block.
    picked: Vec<PickedColumns>,
    min_ms: i64,
    max_ms: i64,
}

/// The number of a series that a block does not have.
const NOWHERE: u32 = u32::MAX;

/// One series in all places that have it.
struct FoundSeries {
    places: Arc<Places>,
    /// Its place in the selection.
    at: u32,
    /// Those that the head knows, or a block's.
    labels: Labels,
    in_head: Option<HeadSeries>,
}

impl Places {
    /// Which blocks have a series, ascending, and its number there.
    fn of(&self, at: u32) -> impl Iterator<Item = (&Arc<Block>, u32)> {
        self.with_picked(at)
            .map(|(block, number, _)| (block, number))
    }

    /// The same with what is picked of the blocks' columns.
    fn with_picked(&self, at: u32) -> impl Iterator<Item = (&Arc<Block>, u32, &PickedColumns)> {
        let number = move |numbers: &Vec<u32>| numbers.get(at as usize).copied();
        let numbers = self.numbers.iter().map(number);
        let places = self.blocks.iter().zip(numbers).zip(&self.picked);
        places.filter_map(|((block, number), picked)| {
            Some((block, number.filter(|n| *n != NOWHERE)?, picked))
        })
    }
}

impl FoundSeries {
    /// Adds its samples to `out`, which holds no others. Where several places have a sample of one
    /// time, the first one's stays.
    fn read_all(
        &self,
        (min_ms, max_ms): (i64, i64),
        out: &mut Samples,
    ) -> Result<(), StorageError> {
        self.read_blocks((min_ms, max_ms), out)?;
        if let Some(head) = &self.in_head {
            let from = Mark::of(out);
            head.read(min_ms, max_ms, out)?;
            merge_tail(out, from);
        }
        Ok(())
    }
}

impl FoundSeries {
    fn read_blocks(
        &self,
        (min_ms, max_ms): (i64, i64),
        out: &mut Samples,
    ) -> Result<(), StorageError> {
        for (block, id) in self.places.of(self.at) {
            let from = Mark::of(out);
            block.read_series(id, min_ms, max_ms, out)?;
            merge_tail(out, from);
        }
        Ok(())
    }

    fn read_points_of_all(&self, points: &Points, out: &mut Samples) -> Result<(), StorageError> {
        for (block, id, picked) in self.places.with_picked(self.at) {
            let from = Mark::of(out);
            block.read_points(id, points, picked, out)?;
            merge_tail(out, from);
        }
        if let Some(head) = &self.in_head {
            let from = Mark::of(out);
            head.read_points(points, out)?;
            merge_tail(out, from);
        }
        Ok(())
    }

    /// The end of the last block that has the series; excluded.
    fn blocks_end_ms(&self) -> i64 {
        let blocks = self.places.of(self.at);
        let ends = blocks.map(|(block, _)| block.meta().max_time);
        ends.max().unwrap_or(i64::MIN)
    }
}

impl Series for FoundSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn size_bytes(&self) -> usize {
        let labels = self.labels.size_bytes() + 2 * size_of::<usize>();
        let shared = self.in_head.as_ref().map_or(0, HeadSeries::shared_bytes);
        // A number for each block, in the lists of all.
        let numbers = size_of::<u32>() * self.places.blocks.len();
        size_of::<FoundSeries>() + labels + shared + numbers
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let range = (
            min_ms.max(self.places.min_ms),
            max_ms.min(self.places.max_ms),
        );
        if range.0 > range.1 {
            return Ok(());
        }
        if out.is_empty() {
            let result = self.read_all(range, out);
            if result.is_err() {
                out.clear();
            }
            return result;
        }
        let mut own = Samples::default();
        self.read_all(range, &mut own)?;
        append(out, own);
        Ok(())
    }

    fn read_points(&self, points: &Points, out: &mut Samples) -> Result<(), StorageError> {
        let (min_ms, max_ms) = points.range_ms();
        let is_whole = self.places.min_ms <= min_ms && max_ms <= self.places.max_ms;
        if !is_whole || !out.is_empty() {
            return self.read(min_ms, max_ms, out);
        }
        if let (Some(head), 1) = (&self.in_head, points.count) {
            head.read_points(points, out)?;
            let newest_ms = out.timestamps.last().copied();
            let newest_ms = newest_ms.max(out.histograms.last().map(|(at_ms, _)| *at_ms));
            // Nothing that a block has comes up to it.
            if newest_ms.is_some_and(|newest_ms| self.blocks_end_ms() <= newest_ms) {
                return Ok(());
            }
            out.clear();
        }
        let result = self.read_points_of_all(points, out);
        if result.is_err() {
            out.clear();
        }
        result
    }
}

impl Drop for DbQuerier {
    fn drop(&mut self) {
        self.inner.head.end_query(self.epoch);
    }
}

impl DbQuerier {
    pub(crate) fn new(inner: Arc<Inner>, min_ms: i64, max_ms: i64) -> DbQuerier {
        let epoch = inner.head.begin_query();
        DbQuerier {
            inner,
            min_ms,
            max_ms,
            epoch,
        }
    }

    /// Blocks that the querier's time reaches into, in order of precedence.
    fn blocks(&self) -> Vec<Arc<Block>> {
        let blocks = self.inner.blocks.all();
        let met = blocks
            .iter()
            .filter(|b| b.overlaps(self.min_ms, self.max_ms));
        let mut met: Vec<_> = met.cloned().collect();
        by_precedence(&mut met);
        met
    }

    fn head_overlaps(&self) -> bool {
        self.inner.head.overlaps(self.min_ms, self.max_ms)
    }

    /// As [`Self::collect`], but gives up before the series take more than `bytes_max`, 0 for no
    /// limit: how large all would be is told by the first ones.
    fn collect_within(&self, wish: &Wish<'_>) -> Result<Vec<Box<dyn Series>>, StorageError> {
        let bytes_max = wish.bytes_max;
        if bytes_max == 0 {
            return self.collect(wish);
        }
        let mut most = bytes_max / LIKELY_BYTES_MAX + 1;
        loop {
            let least = usize::try_from(most).unwrap_or(usize::MAX);
            let is_last = wish.limit > 0 && wish.limit <= least;
            let limit = if is_last { wish.limit } else { least };
            let series = self.collect(&Wish { limit, ..*wish })?;
            let sizes = series.iter().map(|s| s.size_bytes() + SELECTING_BYTES);
            let bytes: u64 = sizes.sum::<usize>() as u64;
            if bytes > bytes_max {
                return Err(StorageError::TooLarge);
            }
            if is_last || series.len() < least {
                return Ok(series);
            }
            // As many as fit if the others are like these, and one that does not.
            let like_these = most.saturating_mul(bytes_max) / bytes.max(1);
            most = like_these.max(most + most / 16) + 1;
        }
    }

    /// The series of the head; with identities, if they may be in blocks, too.
    fn in_head(&self, wish: &Wish<'_>, with_identities: bool) -> Result<Selected, StorageError> {
        if !self.head_overlaps() {
            return Ok(Selected::default());
        }
        self.inner.head.select(&Asked {
            matchers: wish.matchers,
            range: (self.min_ms, self.max_ms),
            epoch: self.epoch,
            limit: wish.limit,
            labels: wish.labels,
            identities: with_identities.then_some(&self.inner.identities),
            ordered: wish.sorted,
            tile_cells_max: match wish.bytes_max {
                0 => usize::MAX,
                bytes_max => (bytes_max / TILE_DIVISOR) as usize / size_of::<f64>(),
            },
        })
    }

    fn collect(&self, wish: &Wish<'_>) -> Result<Vec<Box<dyn Series>>, StorageError> {
        let with_identities = !self.blocks().is_empty();
        let mut in_head = self.in_head(wish, with_identities)?;
        let met = self.blocks();
        if !with_identities && !met.is_empty() {
            // The first block has come meanwhile.
            in_head = self.in_head(wish, true)?;
        }
        let (mut blocks, mut in_blocks) = (Vec::new(), Vec::new());
        for block in met {
            let ids = block.select_ids(wish.matchers, self.min_ms, self.max_ms, wish.limit)?;
            if !ids.is_empty() {
                blocks.push(block);
                in_blocks.push(ids);
            }
        }
        if blocks.is_empty() {
            return Ok(of_head(in_head));
        }
        let keys = &self.inner.identities;
        let mut joined = Joined {
            identities: std::mem::take(&mut in_head.identities),
            ..Joined::default()
        };
        let mut numbers = Vec::new();
        if joined.identities.is_empty() && blocks.len() == 1 {
            numbers.append(&mut in_blocks);
        } else {
            for (block, ids) in blocks.iter().zip(&in_blocks) {
                numbers.push(joined.numbers(ids, &block.identities(ids, keys)?));
            }
        }
        let places = Places {
            picked: blocks.iter().map(|_| PickedColumns::default()).collect(),
            blocks,
            numbers,
            min_ms: self.min_ms,
            max_ms: self.max_ms,
        };
        places.into_series(in_head, wish)
    }
}

/// What is to be selected.
#[derive(Clone, Copy)]
struct Wish<'a> {
    matchers: &'a [Matcher],
    sorted: bool,
    /// 0 for all.
    limit: usize,
    labels: Option<&'a [String]>,
    /// 0 for no limit.
    bytes_max: u64,
}

fn of_head(selected: Selected) -> Vec<Box<dyn Series>> {
    let boxed = |series: HeadSeries| Box::new(series) as Box<dyn Series>;
    let count = selected.series.len() as u32;
    let series = selected.series.into_iter().map(boxed);
    match selected.keys {
        None => series.collect(),
        Some(keys) => {
            let at: Vec<_> = (0..count).map(|at| (0, at)).collect();
            in_order(series.collect(), &order::by_labels(vec![keys], &at))
        }
    }
}

fn in_order(series: Vec<Box<dyn Series>>, order: &[u32]) -> Vec<Box<dyn Series>> {
    let mut series: Vec<_> = series.into_iter().map(Some).collect();
    let next = |&at: &u32| series[at as usize].take();
    order.iter().filter_map(next).collect()
}

/// Series by who they are.
#[derive(Default)]
struct Joined {
    identities: Vec<Identity>,
    /// The first `hashed` of them.
    by_identity: HashMap<Identity, u32, RandomState>,
    hashed: usize,
}

impl Joined {
    /// Which number each series has in a block. What is not known yet comes behind the others.
    fn numbers(&mut self, ids: &[u32], identities: &[Identity]) -> Vec<u32> {
        if self.identities.is_empty() {
            self.identities = identities.to_vec();
            return ids.to_vec();
        }
        let mut numbers = vec![NOWHERE; self.identities.len()];
        // Places mostly have the same series in the same order.
        let mut next = 0;
        for (&id, identity) in ids.iter().zip(identities) {
            let at = match self.identities.get(next) {
                Some(known) if known == identity => next,
                _ => self.find(*identity),
            };
            if numbers.len() <= at {
                numbers.resize(at + 1, NOWHERE);
            }
            numbers[at] = id;
            next = at + 1;
        }
        numbers
    }

    fn find(&mut self, identity: Identity) -> usize {
        let new = &self.identities[self.hashed..];
        self.by_identity.reserve(new.len() + 1);
        for (at, identity) in (self.hashed as u32..).zip(new) {
            self.by_identity.insert(*identity, at);
        }
        let next = self.identities.len();
        let at = *self.by_identity.entry(identity).or_insert(next as u32) as usize;
        if at == next {
            self.identities.push(identity);
        }
        self.hashed = self.identities.len();
        at
    }
}

impl Places {
    /// The series with their labels: those of the head, which come first, have them; the others get
    /// them from the first block that they are in.
    fn into_series(
        self,
        in_head: Selected,
        wish: &Wish<'_>,
    ) -> Result<Vec<Box<dyn Series>>, StorageError> {
        let known = in_head.series.len();
        let count = self.numbers.iter().map(Vec::len).max().unwrap_or(0);
        let count = count.max(known);
        // Where each series is described: among the keys, and the number there.
        let mut described: Vec<(u32, u32)> = (0..known as u32).map(|at| (0, at)).collect();
        described.resize(count, (NOWHERE, 0));
        let mut keys: Vec<_> = in_head.keys.into_iter().collect();
        let mut labels: Vec<Option<Labels>> = Vec::new();
        labels.resize_with(count - known, || None);
        for (block, numbers) in self.blocks.iter().zip(&self.numbers) {
            let numbered = (known..).zip(numbers.iter().skip(known));
            let is_new = |at: usize| described[at].0 == NOWHERE;
            let new = numbered.filter(|(at, number)| **number != NOWHERE && is_new(*at));
            let mut new: Vec<(u32, usize)> = new.map(|(at, number)| (*number, at)).collect();
            if new.is_empty() {
                continue;
            }
            new.sort_unstable();
            let ids: Vec<u32> = new.iter().map(|(id, _)| *id).collect();
            let found = match wish.labels {
                Some(names) => block.some_labels_of(&ids, names)?,
                None => block.labels_of(&ids)?,
            };
            for (number, ((_, at), found)) in (0..).zip(new.iter().zip(found)) {
                described[*at] = (keys.len() as u32, number);
                labels[*at - known] = Some(found);
            }
            keys.push(if wish.sorted {
                block.keys_of(&ids)?
            } else {
                order::Keys::default()
            });
        }
        let places = Arc::new(self);
        let of_head = in_head.series.into_iter().map(Some);
        let heads = of_head.chain(std::iter::repeat_with(|| None));
        let labels = std::iter::repeat_with(|| None).take(known).chain(labels);
        let parts: Vec<_> = (0..count as u32).zip(heads.zip(labels)).collect();
        let series = |(at, (in_head, labels)): (u32, (Option<HeadSeries>, Option<Labels>))| {
            let of_head = in_head.as_ref().map(|head| head.labels.clone());
            Box::new(FoundSeries {
                places: Arc::clone(&places),
                at,
                labels: labels.or(of_head).unwrap_or_default(),
                in_head,
            }) as Box<dyn Series>
        };
        let series: Vec<_> = if count < PARALLEL_SERIES_MIN {
            parts.into_iter().map(series).collect()
        } else {
            parts.into_par_iter().map(series).collect()
        };
        if !wish.sorted {
            return Ok(series);
        }
        Ok(in_order(series, &order::by_labels(keys, &described)))
    }
}

impl Querier for DbQuerier {
    fn select(
        &self,
        sorted: bool,
        hints: &SelectHints,
        matchers: &[Matcher],
    ) -> Result<SeriesSet, StorageError> {
        // Sorted, the limit means the first ones, which are known only at the end.
        let wish = Wish {
            matchers,
            sorted,
            limit: if sorted { 0 } else { hints.limit },
            labels: hints.labels.as_deref(),
            bytes_max: hints.bytes_max,
        };
        let mut series = self.collect_within(&wish)?;
        if hints.limit > 0 {
            series.truncate(hints.limit);
        }
        Ok(SeriesSet {
            series,
            warnings: Vec::new(),
        })
    }

    fn label_names(&self, matchers: &[Matcher], limit: usize) -> Result<Vec<String>, StorageError> {
        let mut names = BTreeSet::new();
        if self.head_overlaps() {
            names.extend(self.inner.head.label_names(matchers, limit)?);
        }
        for block in self.blocks() {
            names.extend(block.label_names(matchers, limit)?);
        }
        Ok(capped(names, limit))
    }

    fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        let mut values = BTreeSet::new();
        if self.head_overlaps() {
            values.extend(self.inner.head.label_values(name, matchers, limit)?);
        }
        for block in self.blocks() {
            values.extend(block.label_values(name, matchers, limit)?);
        }
        Ok(capped(values, limit))
    }
}

fn capped(set: BTreeSet<String>, limit: usize) -> Vec<String> {
    let limit = if limit == 0 { usize::MAX } else { limit };
    set.into_iter().take(limit).collect()
}
