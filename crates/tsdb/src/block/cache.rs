//! Pages that were read lately, in the form in which they are used.
//!
//! One cache serves all blocks of a database, so that its bound holds for all together. It is cut
//! into shards, each with a lock, a table and a queue; the oldest entry of a shard goes first, unless
//! it was asked for since it came or was last spared: what a query over everything reads once does not
//! drive out what dashboards read again and again. When the memory budget leaves less than the cache
//! may have, it shrinks to that.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use storage::MemoryBudget;

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering};

/// Enough that threads rarely meet.
const SHARDS: usize = 64;

/// A parsed page of whatever kind.
pub(crate) type Page = Arc<dyn Any + Send + Sync>;

/// A block's number and a place in it.
type Key = (u64, u64);

#[derive(Debug)]
struct Entry {
    size: usize,
    page: Page,
    /// Asked for again.
    used: bool,
}

#[derive(Debug, Default)]
struct Shard {
    entries: HashMap<Key, Entry, FixedState>,
    /// The keys of all entries, each once: those that came or were spared first are first.
    queue: VecDeque<Key>,
    bytes: usize,
}

/// A bounded cache of parsed pages.
#[derive(Debug)]
pub struct PageCache {
    shards: Vec<Mutex<Shard>>,
    bytes_max: usize,
    memory: Arc<MemoryBudget>,
    next_block: AtomicU64,
}

impl PageCache {
    /// A cache of about `bytes_max` bytes; 32 MiB are plenty.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<PageCache> {
        PageCache::within(bytes_max, MemoryBudget::unlimited())
    }

    /// As [`PageCache::new`], but no more than what `memory` leaves.
    #[must_use]
    pub fn within(bytes_max: usize, memory: Arc<MemoryBudget>) -> Arc<PageCache> {
        Arc::new(PageCache {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            bytes_max,
            memory,
            next_block: AtomicU64::new(0),
        })
    }

    /// Bytes of all pages.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let shards = self.shards.iter();
        shards.map(|shard| shard.lock().bytes as u64).sum()
    }

    /// Gives back what the budget does not leave any more.
    pub(crate) fn trim(&self) {
        let shard_bytes_max = self.shard_bytes_max();
        for shard in &self.shards {
            shard.lock().trim(shard_bytes_max);
        }
    }

    fn shard_bytes_max(&self) -> usize {
        self.memory.caches_may_take(self.bytes_max as u64) as usize / SHARDS
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

    /// Gives up all pages of a block.
    pub(crate) fn forget(&self, block: u64) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.entries.retain(|key, _| key.0 != block);
            shard.queue.retain(|key| key.0 != block);
            shard.bytes = shard.entries.values().map(|entry| entry.size).sum();
        }
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
            let mut shard = shard.lock();
            let found = shard.entries.get_mut(&(block, offset));
            let found = found.and_then(|entry| {
                entry.used = true;
                Arc::downcast::<T>(Arc::clone(&entry.page)).ok()
            });
            if let Some(page) = found {
                return Ok(page);
            }
        }
        // Two threads may load the same page; that costs less than waiting with the lock held.
        let (page, size) = load()?;
        let page = Arc::new(page);
        let shard_bytes_max = self.shard_bytes_max();
        let entry = Entry {
            size,
            page: Arc::clone(&page) as Page,
            used: false,
        };
        let mut shard = shard.lock();
        shard.insert((block, offset), entry);
        shard.trim(shard_bytes_max);
        Ok(page)
    }
}

impl Shard {
    fn insert(&mut self, key: Key, entry: Entry) {
        self.bytes += entry.size;
        match self.entries.insert(key, entry) {
            Some(other) => self.bytes -= other.size,
            None => self.queue.push_back(key),
        }
    }

    /// One page stays: it is probably in use.
    fn trim(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max && self.queue.len() > 1 {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            match self.entries.get_mut(&key) {
                Some(old) if old.used => {
                    old.used = false;
                    self.queue.push_back(key);
                }
                Some(old) => {
                    self.bytes -= old.size;
                    self.entries.remove(&key);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads that load one page: each has the right one, and its bytes count as often as it is
    /// there.
    #[cfg(feature = "shuttle")]
    #[test]
    fn model_of_a_shared_page() {
        shuttle::check_random(
            || {
                let cache = PageCache::new(SHARDS * 250);
                let readers = (0..3u64).map(|n| {
                    let cache = Arc::clone(&cache);
                    shuttle::thread::spawn(move || {
                        for offset in [0, 1 + n / 2] {
                            let page = cache.get_or_load(7, offset, || Ok::<_, ()>((offset, 100)));
                            assert_eq!(page.as_deref(), Ok(&offset));
                        }
                    })
                });
                let readers: Vec<_> = readers.collect();
                readers
                    .into_iter()
                    .for_each(|reader| reader.join().unwrap());
                for shard in &cache.shards {
                    let shard = shard.lock();
                    assert!(shard.bytes <= 250 && shard.bytes == 100 * shard.entries.len());
                }
            },
            3_000,
        );
    }

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
        for offset in 0..10_000 {
            get(a, offset * 64, offset);
            assert_eq!(get(a, 8, 99), 9, "asked for again and again");
        }
        for shard in &cache.shards {
            let shard = shard.lock();
            assert!(shard.bytes <= 1_000 && shard.bytes == 100 * shard.entries.len());
        }
        assert!(cache.get_or_load::<u64, _>(b, 1, || Err("no")).is_err());
        get(b, 8, 3);
        cache.forget(a);
        assert_eq!((get(b, 8, 9), get(a, 8, 4)), (3, 4));
    }

    #[test]
    fn gives_way_to_the_head() {
        let memory = MemoryBudget::new(SHARDS as u64 * 10_000);
        let cache = PageCache::within(SHARDS * 1_000, Arc::clone(&memory));
        let fill = || {
            for offset in 0..10_000 {
                let load = || Ok::<_, ()>((offset, 100));
                cache.get_or_load(0, offset * 64, load).unwrap();
            }
            cache.bytes()
        };
        assert_eq!(fill(), SHARDS as u64 * 1_000);
        memory.set_head(SHARDS as u64 * 9_500);
        cache.trim();
        assert_eq!(cache.bytes(), SHARDS as u64 * 500);
        memory.set_head(SHARDS as u64 * 9_900);
        assert_eq!(fill(), SHARDS as u64 * 100);
    }
}
