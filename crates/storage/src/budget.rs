//! One budget of memory for everything that grows with the data: the head, the caches, queries.
//!
//! It gives way in this order, as the head grows:
//! 1. caches shrink to what head and queries leave ([`MemoryBudget::caches_may_take`]);
//! 2. a query that needs more than the head leaves is refused ([`MemoryBudget::reserve`]);
//! 3. from nine tenths of the budget on, the head takes no new series
//!    ([`MemoryBudget::takes_new_series`]). Series that it has go on, and the last tenth stays for
//!    small queries: dashboards and alerts work while somebody looks for the culprit.
//!
//! Who owns the memory says how much it is: the head measures its structures now and then and adds
//! an estimate for every new series in between, a query reserves a mebibyte at a time. Asking costs
//! a few atomic loads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What the head may take of the budget before new series are refused, in tenths.
const HEAD_TENTHS_MAX: u64 = 9;

/// How much memory there is, and who has it. Shared by all that use some.
#[derive(Debug)]
pub struct MemoryBudget {
    /// `u64::MAX` for no limit.
    bytes_max: u64,
    head_bytes: AtomicU64,
    query_bytes: AtomicU64,
    refused_queries: AtomicU64,
}

/// A query's part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

/// A query needs more than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "query refused: it needs more memory than the head and other queries leave of the {bytes_max} \
     bytes that --storage.memory-budget allows"
)]
pub struct MemoryRefused {
    /// The whole budget.
    pub bytes_max: u64,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes; 0 for no limit.
    #[must_use]
    pub fn new(bytes_max: u64) -> Arc<MemoryBudget> {
        Arc::new(MemoryBudget {
            bytes_max: if bytes_max == 0 { u64::MAX } else { bytes_max },
            head_bytes: AtomicU64::new(0),
            query_bytes: AtomicU64::new(0),
            refused_queries: AtomicU64::new(0),
        })
    }

    /// No limit; what is used is counted nevertheless.
    #[must_use]
    pub fn unlimited() -> Arc<MemoryBudget> {
        MemoryBudget::new(0)
    }

    /// The budget, if there is a limit.
    #[must_use]
    pub fn bytes_max(&self) -> Option<u64> {
        (self.bytes_max < u64::MAX).then_some(self.bytes_max)
    }

    /// What the head takes.
    #[must_use]
    pub fn head_bytes(&self) -> u64 {
        self.head_bytes.load(Relaxed)
    }

    /// What queries have reserved.
    #[must_use]
    pub fn query_bytes(&self) -> u64 {
        self.query_bytes.load(Relaxed)
    }

    /// Queries that were refused.
    #[must_use]
    pub fn refused_queries(&self) -> u64 {
        self.refused_queries.load(Relaxed)
    }

    /// Says what the head takes, measured.
    pub fn set_head(&self, bytes: u64) {
        self.head_bytes.store(bytes, Relaxed);
    }

    /// Adds an estimate until the head is measured again.
    pub fn add_to_head(&self, bytes: u64) {
        self.head_bytes.fetch_add(bytes, Relaxed);
    }

    /// Whether the head may take new series.
    #[must_use]
    pub fn takes_new_series(&self) -> bool {
        self.head_bytes() <= self.bytes_max / 10 * HEAD_TENTHS_MAX
    }

    /// What caches may take of the `wanted` bytes.
    #[must_use]
    pub fn caches_may_take(&self, wanted: u64) -> u64 {
        let used = self.head_bytes().saturating_add(self.query_bytes());
        wanted.min(self.bytes_max.saturating_sub(used))
    }

    /// An empty reservation, for a query that begins.
    #[must_use]
    pub fn reserve(self: &Arc<Self>) -> Reservation {
        Reservation {
            budget: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Reservation {
    /// Bytes that are reserved.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reserves more.
    ///
    /// # Errors
    /// If head and queries would take more than the budget; nothing is reserved then.
    pub fn grow(&mut self, bytes: u64) -> Result<(), MemoryRefused> {
        let budget = &*self.budget;
        let queries = budget.query_bytes.fetch_add(bytes, Relaxed) + bytes;
        if queries.saturating_add(budget.head_bytes()) > budget.bytes_max {
            budget.query_bytes.fetch_sub(bytes, Relaxed);
            budget.refused_queries.fetch_add(1, Relaxed);
            return Err(MemoryRefused {
                bytes_max: budget.bytes_max,
            });
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.query_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_way_in_order() {
        let budget = MemoryBudget::new(1_000);
        let mut query = budget.reserve();
        query.grow(300).unwrap();
        // Head, what caches get of 200, whether 300 more fit for queries, whether series are taken.
        for (head, caches, fits, takes) in [
            (0, 200, true, true),
            (400, 200, true, true),
            (550, 150, false, true),
            (700, 0, false, true),
            (900, 0, false, true),
            (901, 0, false, false),
            (2_000, 0, false, false),
        ] {
            budget.set_head(head);
            assert_eq!(budget.caches_may_take(200), caches, "{head}");
            assert_eq!(budget.reserve().grow(300).is_ok(), fits, "{head}");
            assert_eq!(budget.takes_new_series(), takes, "{head}");
            assert_eq!(budget.query_bytes(), 300, "what was refused is given back");
        }
        assert_eq!(budget.refused_queries(), 5);
        drop(query);
        assert_eq!(budget.query_bytes(), 0);
    }

    #[test]
    fn without_a_limit_all_fits() {
        let budget = MemoryBudget::unlimited();
        budget.set_head(1 << 60);
        budget.add_to_head(1);
        assert!(budget.takes_new_series() && budget.reserve().grow(1 << 60).is_ok());
        assert_eq!(budget.caches_may_take(7), 7);
        assert_eq!(
            (budget.bytes_max(), budget.head_bytes()),
            (None, (1 << 60) + 1)
        );
    }
}
