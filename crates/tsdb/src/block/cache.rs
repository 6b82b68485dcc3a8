//! Pages that were read lately, in the form in which they are used.
//!
//! One cache serves all blocks of a database, so that its bound holds for all together. It is cut
//! into shards, each with a lock and a short list; the oldest entry of a shard goes first.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Enough that threads rarely meet.
const SHARDS: usize = 64;

/// A parsed page of whatever kind.
pub(crate) type Page = Arc<dyn Any + Send + Sync>;

#[derive(Debug)]
struct Entry {
    block: u64,
    offset: u64,
    size: usize,
    page: Page,
}

#[derive(Debug, Default)]
struct Shard {
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// A bounded cache of parsed pages.
#[derive(Debug)]
pub struct PageCache {
    shards: Vec<Mutex<Shard>>,
    shard_bytes_max: usize,
    next_block: AtomicU64,
}

impl PageCache {
    /// A cache of about `bytes_max` bytes; 32 MiB are plenty.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<PageCache> {
        Arc::new(PageCache {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            shard_bytes_max: bytes_max / SHARDS,
            next_block: AtomicU64::new(0),
        })
    }

    /// A number for a block that just opened; none gets it again.
    pub(crate) fn register(&self) -> u64 {
        self.next_block.fetch_add(1, Ordering::Relaxed)
    }

    fn shard(&self, block: u64, offset: u64) -> &Mutex<Shard> {
        // Offsets of pages share their low bits; the multiplication spreads them.
        let mixed = (offset ^ block << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.shards[(mixed >> 58) as usize]
    }

    /// The page, from the cache or by `load`, which also says its bytes in memory.
    pub(crate) fn get_or_load<T: Any + Send + Sync, E>(
        &self,
        block: u64,
        offset: u64,
        load: impl FnOnce() -> Result<(T, usize), E>,
    ) -> Result<Arc<T>, E> {
        let shard = self.shard(block, offset);
        {
            let shard = shard.lock();
            let found = shard
                .entries
                .iter()
                .rev()
                .find(|e| e.block == block && e.offset == offset);
            if let Some(page) = found.and_then(|e| Arc::downcast::<T>(Arc::clone(&e.page)).ok()) {
                return Ok(page);
            }
        }
        // Two threads may load the same page; that costs less than waiting with the lock held.
        let (page, size) = load()?;
        let page = Arc::new(page);
        let mut shard = shard.lock();
        shard.bytes += size;
        shard.entries.push_back(Entry {
            block,
            offset,
            size,
            page: Arc::clone(&page) as Page,
        });
        while shard.bytes > self.shard_bytes_max && shard.entries.len() > 1 {
            if let Some(old) = shard.entries.pop_front() {
                shard.bytes -= old.size;
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_was_read_lately_within_its_bound() {
        let cache = PageCache::new(SHARDS * 1_000);
        let (a, b) = (cache.register(), cache.register());
        assert_ne!(a, b);
        let get = |block, offset: u64, value: u64| {
            *cache
                .get_or_load(block, offset, || Ok::<_, ()>((value, 100)))
                .unwrap()
        };
        assert_eq!((get(a, 8, 1), get(b, 8, 2)), (1, 2));
        assert_eq!((get(a, 8, 9), get(b, 8, 9)), (1, 2), "from the cache");
        for offset in 0..10_000 {
            get(a, offset * 64, offset);
        }
        assert_eq!(get(a, 8, 9), 9, "long gone");
        for shard in &cache.shards {
            let shard = shard.lock();
            assert!(shard.bytes <= 1_000 && shard.bytes == 100 * shard.entries.len());
        }
        assert!(cache.get_or_load::<u64, _>(b, 1, || Err("no")).is_err());
    }
}
