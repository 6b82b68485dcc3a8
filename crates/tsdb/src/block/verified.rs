//! Which pages of a block were found intact lately.
//!
//! A linked page has a checksum over up to 64 columns, and is read a column at a time: verifying it
//! each time would cost half a microsecond a column. What the system gave up meanwhile may come
//! back from the disk otherwise than it was, so all bits are cleared at every turn of maintenance.

use crate::sync::atomic::{AtomicU64, Ordering};

/// A bit for each page of a block. Whoever finds one set may read the page as it is; two that set
/// one at a time have both looked at the page.
#[derive(Debug, Default)]
pub(super) struct Verified(Box<[AtomicU64]>);

impl Verified {
    pub(super) fn of(pages: usize) -> Verified {
        Verified((0..pages.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn has(&self, page: usize) -> bool {
        let word = self.0.get(page / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (page % 64) & 1 == 1)
    }

    pub(super) fn add(&self, page: usize) {
        // Looked at first: a word that is only read stays in the caches of all processors.
        if let (Some(word), false) = (self.0.get(page / 64), self.has(page)) {
            word.fetch_or(1 << (page % 64), Ordering::Relaxed);
        }
    }

    pub(super) fn clear(&self) {
        self.0
            .iter()
            .for_each(|word| word.store(0, Ordering::Relaxed));
    }
}
