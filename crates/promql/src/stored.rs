//! Series that a storage has found, as all parts of a query share them.
//!
//! There may be hundreds of thousands, each in another corner of memory: what looks at every one of
//! them, or frees it, waits for memory. So that is done once, and on all threads.

use std::ops::Deref;

use model::{Labels, METRIC_NAME};
use rayon::prelude::*;
use storage::Series;

use crate::column::is_metadata_label;

/// Fewer series are looked at where they are needed: handing them to other threads takes longer.
const PARALLEL_SERIES_MIN: usize = 4_096;

/// Series that one task looks at, at least.
const TASK_SERIES_MIN: usize = 1_024;

/// What was selected.
pub(crate) struct StoredSet {
    series: Vec<Box<dyn Series>>,
    size_bytes: usize,
    is_described: bool,
}

impl StoredSet {
    pub(crate) fn new(series: Vec<Box<dyn Series>>, pool: &rayon::ThreadPool) -> StoredSet {
        let look = |series: &dyn Series| (series.size_bytes(), is_described(series.labels()));
        let both = |a: (usize, bool), b: (usize, bool)| (a.0 + b.0, a.1 || b.1);
        let (own_bytes, is_described) = if series.len() < PARALLEL_SERIES_MIN {
            let all = series.iter().map(|series| look(&**series));
            all.fold((0, false), both)
        } else {
            pool.install(|| {
                let all = series.par_iter().with_min_len(TASK_SERIES_MIN);
                all.map(|series| look(&**series))
                    .reduce(|| (0, false), both)
            })
        };
        let handles = series.capacity() * size_of::<Box<dyn Series>>();
        StoredSet {
            series,
            size_bytes: handles + own_bytes,
            is_described,
        }
    }

    /// Whether any series has labels, besides its name, that describe the metric: its type or unit.
    pub(crate) fn is_described(&self) -> bool {
        self.is_described
    }

    /// The bytes of memory that all of them take.
    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Frees them.
    pub(crate) fn release(self, pool: &rayon::ThreadPool) {
        if self.series.len() < PARALLEL_SERIES_MIN {
            return;
        }
        let all = self.series;
        pool.install(|| {
            let all = all.into_par_iter().with_min_len(TASK_SERIES_MIN);
            all.for_each(drop);
        });
    }
}

impl Deref for StoredSet {
    type Target = [Box<dyn Series>];

    fn deref(&self) -> &Self::Target {
        &self.series
    }
}

/// Whether a label other than the name is gone when the name is. Labels are sorted, so that only the
/// first few are looked at.
pub(crate) fn is_described(labels: &Labels) -> bool {
    const LAST: &str = "__unit__";
    let mut names = labels.iter().map(|(name, _)| name);
    names
        .by_ref()
        .take_while(|name| *name <= LAST)
        .any(|name| name != METRIC_NAME && is_metadata_label(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn type_and_unit_describe() {
        for (names, expected) in [
            (&[][..], false),
            (&["__name__", "a"], false),
            (&["A", "__name__", "__type__", "a"], true),
            (&["__name__", "__unit__"], true),
            (&["__unit", "_"], false),
        ] {
            let labels = Labels::from_pairs(names.iter().map(|name| (*name, "x")));
            assert_eq!(is_described(&labels), expected, "{names:?}");
        }
    }
}
