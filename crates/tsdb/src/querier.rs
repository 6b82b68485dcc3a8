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
use rayon::iter::{
    IndexedParallelIterator as _, IntoParallelRefIterator as _, ParallelIterator as _,
};
use storage::{Points, Querier, Samples, SelectHints, Series, SeriesSet, StorageError};

use crate::block::Block;
use crate::blocks::by_precedence;
use crate::db::Inner;
use crate::head::HeadSeries;
use crate::identity::{Identity, IdentityKeys};
use crate::merge::{Mark, append, merge_tail};

/// From so many series on, a part of them is worth another thread.
const PARALLEL_SERIES_MIN: usize = 4_096;

/// What selecting takes for a series for a moment: its places in lists and tables on the way.
const SELECTING_BYTES: usize = 256;

/// No label set is likely to be larger. So many series are looked at before it is known how large
/// they are.
const LIKELY_BYTES_MAX: u64 = 1_024;

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
    min_ms: i64,
    max_ms: i64,
}

/// One series in all places that have it.
struct FoundSeries {
    labels: Labels,
    places: Arc<Places>,
    /// Which blocks have it, ascending, and its number there.
    in_blocks: Vec<(u32, u32)>,
    in_head: Option<HeadSeries>,
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
        for &(place, id) in &self.in_blocks {
            let from = Mark::of(out);
            let block = &self.places.blocks[place as usize];
            block.read_series(id, min_ms, max_ms, out)?;
            merge_tail(out, from);
        }
        Ok(())
    }

    /// The end of the last block that has the series; excluded.
    fn blocks_end_ms(&self) -> i64 {
        let blocks = self.in_blocks.iter();
        let ends = blocks.map(|&(place, _)| self.places.blocks[place as usize].meta().max_time);
        ends.max().unwrap_or(i64::MIN)
    }
}

impl Series for FoundSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn size_bytes(&self) -> usize {
        let labels = self.labels.size_bytes() + 2 * size_of::<usize>();
        size_of::<FoundSeries>() + labels + size_of_val(self.in_blocks.as_slice())
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
        let (Some(head), true) = (&self.in_head, is_whole && out.is_empty()) else {
            return self.read(min_ms, max_ms, out);
        };
        if points.count == 1 {
            head.read_points(points, out)?;
            let newest_ms = out.timestamps.last().copied();
            let newest_ms = newest_ms.max(out.histograms.last().map(|(at_ms, _)| *at_ms));
            // Nothing that a block has comes up to it.
            if newest_ms.is_some_and(|newest_ms| self.blocks_end_ms() <= newest_ms) {
                return Ok(());
            }
            out.clear();
        }
        self.read_blocks((min_ms, max_ms), out)?;
        let from = Mark::of(out);
        head.read_points(points, out)?;
        merge_tail(out, from);
        Ok(())
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
    fn collect_within(
        &self,
        matchers: &[Matcher],
        limit: usize,
        bytes_max: u64,
    ) -> Result<Vec<Box<dyn Series>>, StorageError> {
        if bytes_max == 0 {
            return self.collect(matchers, limit);
        }
        let mut most = bytes_max / LIKELY_BYTES_MAX + 1;
        loop {
            let least = usize::try_from(most).unwrap_or(usize::MAX);
            let is_last = limit > 0 && limit <= least;
            let series = self.collect(matchers, if is_last { limit } else { least })?;
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

    fn collect(
        &self,
        matchers: &[Matcher],
        limit: usize,
    ) -> Result<Vec<Box<dyn Series>>, StorageError> {
        let range = (self.min_ms, self.max_ms);
        let mut in_head = Vec::new();
        if self.head_overlaps() {
            in_head = self.inner.head.select(matchers, range, self.epoch, limit)?;
        }
        let mut blocks = Vec::new();
        let mut in_blocks = Vec::new();
        for block in self.blocks() {
            let ids = block.select_ids(matchers, range.0, range.1, limit)?;
            if !ids.is_empty() {
                blocks.push(block);
                in_blocks.push(ids);
            }
        }
        if blocks.is_empty() {
            let boxed = |series| Box::new(series) as Box<dyn Series>;
            return Ok(in_head.into_iter().map(boxed).collect());
        }
        let places = Arc::new(Places {
            blocks,
            min_ms: range.0,
            max_ms: range.1,
        });
        let mut joined = Joined::default();
        if in_head.is_empty() && in_blocks.len() == 1 {
            joined.add_only(&in_blocks[0]);
        } else {
            joined.add_head(in_head, &self.inner.identities);
            for (place, ids) in (0..).zip(&in_blocks) {
                let identities = &places.blocks[place as usize];
                let identities = identities.identities(ids, &self.inner.identities)?;
                joined.add_block(place, ids, &identities);
            }
        }
        joined.into_series(&places)
    }
}

/// Series by who they are, with the places that have them.
#[derive(Default)]
struct Joined {
    by_identity: HashMap<Identity, u32, RandomState>,
    series: Vec<JoinedSeries>,
}

#[derive(Default)]
struct JoinedSeries {
    in_blocks: Vec<(u32, u32)>,
    in_head: Option<HeadSeries>,
}

impl Joined {
    fn add_only(&mut self, ids: &[u32]) {
        let series = ids.iter().map(|&id| JoinedSeries {
            in_blocks: vec![(0, id)],
            in_head: None,
        });
        self.series.extend(series);
    }

    fn add_head(&mut self, found: Vec<HeadSeries>, keys: &IdentityKeys) {
        let identities: Vec<Identity> = found
            .par_iter()
            .with_min_len(PARALLEL_SERIES_MIN)
            .map(|series| keys.of(&series.labels))
            .collect();
        self.by_identity.reserve(found.len());
        for (series, identity) in found.into_iter().zip(identities) {
            self.of(identity).in_head = Some(series);
        }
    }

    fn add_block(&mut self, place: u32, ids: &[u32], identities: &[Identity]) {
        self.by_identity
            .reserve(ids.len().saturating_sub(self.by_identity.len()));
        for (&id, &identity) in ids.iter().zip(identities) {
            self.of(identity).in_blocks.push((place, id));
        }
    }

    fn of(&mut self, identity: Identity) -> &mut JoinedSeries {
        let next = self.series.len();
        let at = *self.by_identity.entry(identity).or_insert(next as u32) as usize;
        if at == next {
            self.series.push(JoinedSeries::default());
        }
        &mut self.series[at]
    }

    /// The series with their labels: those of the head have them, the others get them from the
    /// first block that they are in.
    fn into_series(self, places: &Arc<Places>) -> Result<Vec<Box<dyn Series>>, StorageError> {
        let mut wanted: Vec<Vec<(u32, u32)>> = vec![Vec::new(); places.blocks.len()];
        for (at, series) in (0..).zip(&self.series) {
            if let (None, Some(&(place, id))) = (&series.in_head, series.in_blocks.first()) {
                wanted[place as usize].push((id, at));
            }
        }
        let mut labels = vec![None; self.series.len()];
        for (block, mut wanted) in places.blocks.iter().zip(wanted) {
            wanted.sort_unstable();
            let ids: Vec<u32> = wanted.iter().map(|&(id, _)| id).collect();
            for (found, (_, at)) in block.labels_of(&ids)?.into_iter().zip(wanted) {
                labels[at as usize] = Some(found);
            }
        }
        let series = self.series.into_iter().zip(labels);
        let series = series.map(|(series, labels)| {
            let of_head = series.in_head.as_ref().map(|head| head.labels.clone());
            Box::new(FoundSeries {
                labels: labels.or(of_head).unwrap_or_default(),
                places: Arc::clone(places),
                in_blocks: series.in_blocks,
                in_head: series.in_head,
            }) as Box<dyn Series>
        });
        Ok(series.collect())
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
        let early = if sorted { 0 } else { hints.limit };
        let mut series = self.collect_within(matchers, early, hints.bytes_max)?;
        if sorted {
            series.sort_by(|a, b| a.labels().cmp(b.labels()));
        }
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
