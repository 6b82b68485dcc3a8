//! Reading over head and blocks together.
//!
//! The head is asked first and the list of blocks is taken after that: what moves from the head
//! into a block meanwhile is then found in both rather than in none, and samples of the same time
//! are merged anyway.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use model::{Labels, Matcher};
use storage::{Querier, Samples, SelectHints, Series, SeriesSet, StorageError};

use crate::block::Block;
use crate::blocks::by_precedence;
use crate::db::Inner;
use crate::merge::merge_tail;

/// Reads one stretch of time.
pub(crate) struct DbQuerier {
    inner: Arc<Inner>,
    min_ms: i64,
    max_ms: i64,
    epoch: u64,
}

/// One series from several places, in order of precedence.
struct MergedSeries {
    labels: Labels,
    parts: Vec<Box<dyn Series>>,
}

/// A block's series, held to the querier's time.
struct Clamped<S> {
    series: S,
    min_ms: i64,
    max_ms: i64,
}

impl<S: Series> Series for Clamped<S> {
    fn labels(&self) -> &Labels {
        self.series.labels()
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let (min_ms, max_ms) = (min_ms.max(self.min_ms), max_ms.min(self.max_ms));
        if min_ms > max_ms {
            return Ok(());
        }
        self.series.read(min_ms, max_ms, out)
    }
}

impl Series for MergedSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, min_ms: i64, max_ms: i64, out: &mut Samples) -> Result<(), StorageError> {
        let mut merged = Samples::default();
        for part in &self.parts {
            let from = merged.timestamps.len();
            part.read(min_ms, max_ms, &mut merged)?;
            merge_tail(&mut merged, from);
        }
        out.timestamps.append(&mut merged.timestamps);
        out.values.append(&mut merged.values);
        out.histograms.append(&mut merged.histograms);
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

    fn collect(&self, matchers: &[Matcher], limit: usize) -> Result<Found, StorageError> {
        let range = (self.min_ms, self.max_ms);
        let mut found = Found::default();
        if self.head_overlaps() {
            for series in self.inner.head.select(matchers, range, self.epoch, limit)? {
                found.series.push(Box::new(series));
            }
        }
        for block in self.blocks() {
            let of_block = block.select(matchers, range.0, range.1, limit)?;
            if found.series.is_empty() && found.by_labels.is_empty() {
                found.reserve(of_block.len());
            }
            for series in of_block {
                found.merge(Box::new(Clamped {
                    series,
                    min_ms: self.min_ms,
                    max_ms: self.max_ms,
                }));
            }
        }
        Ok(found)
    }
}

/// Series gathered from head and blocks. The table of labels is made when a second place has
/// something.
#[derive(Default)]
struct Found {
    series: Vec<Box<dyn Series>>,
    by_labels: HashMap<Labels, usize, RandomState>,
    /// Further parts of series, by index; blocks come oldest first.
    more: HashMap<usize, Vec<Box<dyn Series>>>,
}

impl Found {
    fn reserve(&mut self, count: usize) {
        self.series.reserve(count);
        self.by_labels.reserve(count);
    }

    fn merge(&mut self, series: Box<dyn Series>) {
        if self.by_labels.is_empty() {
            let known = self.series.iter().enumerate();
            self.by_labels = known.map(|(at, s)| (s.labels().clone(), at)).collect();
        }
        match self.by_labels.entry(series.labels().clone()) {
            Entry::Occupied(entry) => self.more.entry(*entry.get()).or_default().push(series),
            Entry::Vacant(entry) => {
                entry.insert(self.series.len());
                self.series.push(series);
            }
        }
    }

    fn into_series(mut self) -> Vec<Box<dyn Series>> {
        for (at, mut parts) in self.more {
            let labels = self.series[at].labels().clone();
            let empty: Box<dyn Series> = Box::new(MergedSeries {
                labels: labels.clone(),
                parts: Vec::new(),
            });
            // The head's part is the newest: behind the blocks', but for the order of merging
            // any would do.
            parts.push(std::mem::replace(&mut self.series[at], empty));
            self.series[at] = Box::new(MergedSeries { labels, parts });
        }
        self.series
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
        let mut series = self.collect(matchers, early)?.into_series();
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
