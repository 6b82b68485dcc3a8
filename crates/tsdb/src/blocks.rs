//! The blocks of a database: found at start, added by flushes, removed by retention.
//!
//! A folder that is being written or removed ends in `.tmp` and is removed at start. A block that
//! cannot be read is set aside (`.corrupt`): the server starts and says so, and nobody's data is
//! deleted for it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use disk::Disk;
use storage::{BlockStatus, MemoryBudget};

use crate::block::{
    Block, BlockError, BlockMeta, PageCache, Ulid, merge_blocks, plan_compaction, remove_block,
    rewrite_block,
};
use crate::options::Retention;
use crate::sync::Mutex;

/// Ends the names of folders that are not whole.
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Ends the names of folders that were set aside.
const CORRUPT_SUFFIX: &str = ".corrupt";
/// Bytes of parsed pages that all blocks together keep.
const CACHE_BYTES_MAX: usize = 32 << 20;

/// All open blocks.
#[derive(Debug)]
pub(crate) struct Blocks {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    pub(crate) cache: Arc<PageCache>,
    /// Oldest first.
    open: ArcSwap<Vec<Arc<Block>>>,
    changing: Mutex<()>,
    /// Blocks that went into others and could not be removed.
    left: Mutex<Vec<Ulid>>,
}

/// How many blocks went for which reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Removed {
    pub(crate) by_time: u64,
    pub(crate) by_size: u64,
}

impl Blocks {
    /// No blocks yet, in the data folder.
    pub(crate) fn new(disk: Arc<dyn Disk>, path: PathBuf, memory: &Arc<MemoryBudget>) -> Blocks {
        Blocks {
            disk,
            path,
            cache: PageCache::within(CACHE_BYTES_MAX, Arc::clone(memory)),
            open: ArcSwap::default(),
            changing: Mutex::new(()),
            left: Mutex::default(),
        }
    }

    /// Opens what is in the data folder; how many blocks had to be set aside. If it belongs to
    /// somebody else, a block that cannot be opened is an error, and nothing is cleaned up.
    pub(crate) fn load(&self, read_only: bool) -> io::Result<u64> {
        let mut refused = 0;
        for entry in self.disk.list(&self.path)? {
            let path = self.path.join(&entry.name);
            if let Some(name) = entry.name.strip_suffix(TEMPORARY_SUFFIX) {
                if !read_only && entry.is_dir && name.parse::<Ulid>().is_ok() {
                    tracing::info!(path = %path.display(), "Removing a block that is not whole");
                    self.disk.remove_dir_all(&path)?;
                }
                continue;
            }
            if !entry.is_dir || entry.name.parse::<Ulid>().is_err() {
                continue;
            }
            match Block::open(&*self.disk, &path, &self.cache) {
                Ok(block) => self.insert(block),
                Err(error) if read_only => return Err(io::Error::other(error)),
                Err(error) => {
                    refused += 1;
                    self.set_aside(&path, &error);
                }
            }
        }
        if !read_only {
            self.remove_merged();
        }
        Ok(refused)
    }

    /// Removes blocks that went into another one: the process ended before it could.
    fn remove_merged(&self) {
        let all = self.all();
        let parents = all
            .iter()
            .flat_map(|block| &block.meta().compaction.parents);
        let parents: Vec<Ulid> = parents.map(|parent| parent.ulid).collect();
        let merged = all
            .iter()
            .filter(|block| parents.contains(&block.meta().ulid));
        for block in merged {
            if let Err(error) = self.remove(block) {
                tracing::error!(%error, "A block that was merged could not be removed");
            }
        }
    }

    /// Merges blocks that the planner names, once; what came out, if there was something to do.
    pub(crate) fn compact(
        &self,
        ranges: &[i64],
        now_ms: i64,
    ) -> Result<Option<BlockMeta>, BlockError> {
        self.remove_left()?;
        let all = self.all();
        let metas: Vec<_> = all.iter().map(|block| block.current_meta()).collect();
        let planned = plan_compaction(&metas, ranges);
        if planned.is_empty() {
            return Ok(None);
        }
        let of_plan = all.iter().filter(|b| planned.contains(&b.meta().ulid));
        let mut parents: Vec<_> = of_plan.cloned().collect();
        if let [worn] = &parents[..] {
            return self.rewrite(worn, Ulid::new(now_ms));
        }
        by_precedence(&mut parents);
        self.check_room(&parents)?;
        let merged = merge_blocks(&*self.disk, &self.path, Ulid::new(now_ms), &parents)?;
        if let Some(meta) = &merged {
            self.add(meta.ulid)?;
        }
        for parent in &parents {
            self.remove(parent)?;
        }
        Ok(merged)
    }

    /// Merging takes as much room as what is merged until that is removed. Where there is not so
    /// much it must not begin: it would take the last of it from the log.
    fn check_room(&self, parents: &[Arc<Block>]) -> Result<(), BlockError> {
        let wanted: u64 = parents.iter().map(|block| block.size_bytes()).sum();
        match self.disk.space(&self.path) {
            Ok(space) if space.free_bytes < wanted => {
                let full = io::ErrorKind::StorageFull.into();
                Err(BlockError::io("merge blocks in", &self.path)(full))
            }
            // A file system that does not say is tried.
            _ => Ok(()),
        }
    }

    /// Writes a block anew without what is deleted, as `ulid`.
    pub(crate) fn rewrite(
        &self,
        block: &Arc<Block>,
        ulid: Ulid,
    ) -> Result<Option<BlockMeta>, BlockError> {
        self.remove_left()?;
        self.check_room(std::slice::from_ref(block))?;
        let rewritten = rewrite_block(&*self.disk, &self.path, ulid, block)?;
        if let Some(meta) = &rewritten {
            self.add(meta.ulid)?;
        }
        self.remove(block)?;
        Ok(rewritten)
    }

    fn set_aside(&self, path: &Path, error: &BlockError) {
        let BlockError::Corrupt { .. } = error else {
            tracing::error!(path = %path.display(), %error, "A block cannot be opened");
            return;
        };
        let mut aside = path.to_owned().into_os_string();
        aside.push(CORRUPT_SUFFIX);
        let aside = PathBuf::from(aside);
        let moved = self.disk.rename(path, &aside);
        tracing::error!(
            path = %path.display(), %error, moved = moved.is_ok(),
            "A block is corrupt and was set aside"
        );
    }

    fn insert(&self, block: Arc<Block>) {
        let _turn = self.changing.lock();
        let mut all = Vec::clone(&self.open.load());
        all.push(block);
        all.sort_by_key(|block| (block.meta().min_time, block.meta().max_time));
        self.open.store(Arc::new(all));
    }

    /// Opens a block that was just written. One that cannot be read is removed again: its samples
    /// are still where it took them from, and every try would leave another one.
    pub(crate) fn add(&self, ulid: Ulid) -> Result<(), BlockError> {
        let path = self.path.join(ulid.to_string());
        let opened = Block::open(&*self.disk, &path, &self.cache);
        if opened.is_err() && remove_block(&*self.disk, &path).is_err() {
            self.left.lock().push(ulid);
        }
        self.insert(opened?);
        Ok(())
    }

    /// All blocks, oldest first.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<Block>>> {
        self.open.load_full()
    }

    /// Bytes of all blocks.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.all().iter().map(|block| block.size_bytes()).sum()
    }

    /// End of the newest block of samples in order: what comes before it need not be read from
    /// the log. A block of late samples says nothing about what came in order in its time.
    pub(crate) fn in_order_max_ms(&self) -> Option<i64> {
        let all = self.all();
        let in_order = all.iter().filter(|block| !block.meta().is_out_of_order());
        in_order.map(|block| block.meta().max_time).max()
    }

    /// What the API shows.
    pub(crate) fn status(&self) -> Vec<BlockStatus> {
        let all = self.all();
        let status = all.iter().map(|block| {
            let meta = block.meta();
            BlockStatus {
                ulid: meta.ulid.to_string(),
                min_time_ms: meta.min_time,
                max_time_ms: meta.max_time,
                series: meta.stats.num_series,
                samples: meta.stats.num_samples,
                size_bytes: block.size_bytes(),
            }
        });
        status.collect()
    }

    /// Removes blocks that retention does not keep. `other_bytes` is what log and head take.
    pub(crate) fn retain(
        &self,
        retention: &Retention,
        other_bytes: u64,
    ) -> Result<Removed, BlockError> {
        let all = self.all();
        let spans: Vec<_> = all
            .iter()
            .map(|block| (block.meta().max_time, block.size_bytes()))
            .collect();
        let total_bytes = match retention.percentage > 0.0 {
            true => {
                let space = self.disk.space(&self.path);
                space
                    .map_err(BlockError::io("measure", &self.path))?
                    .total_bytes
            }
            false => 0,
        };
        let (doomed, removed) = doomed(&spans, retention, other_bytes, total_bytes);
        for at in doomed {
            let ulid = all[at].meta().ulid;
            tracing::info!(%ulid, "Removing a block that retention does not keep");
            self.remove(&all[at])?;
        }
        Ok(removed)
    }

    /// Removes a block. Queries that have it open go on reading it.
    fn remove(&self, block: &Arc<Block>) -> Result<(), BlockError> {
        {
            let _turn = self.changing.lock();
            let mut all = Vec::clone(&self.open.load());
            all.retain(|other| !Arc::ptr_eq(other, block));
            self.open.store(Arc::new(all));
        }
        let ulid = block.meta().ulid;
        let removed = remove_block(&*self.disk, &self.path.join(ulid.to_string()));
        if removed.is_err() {
            self.left.lock().push(ulid);
        }
        removed
    }

    /// Removes what could not be removed. The next start knows such a block by the one that it went
    /// into; when that goes into another one, too, nobody would know it any more and its samples
    /// would come back, deleted ones among them. So this comes before every merge.
    fn remove_left(&self) -> Result<(), BlockError> {
        let mut left = self.left.lock();
        while let Some(ulid) = left.last() {
            let dir = self.path.join(ulid.to_string());
            match self.disk.list(&dir) {
                Ok(_) => remove_block(&*self.disk, &dir)?,
                // It has another name already, which has to last.
                Err(_) => self
                    .disk
                    .sync_dir(&self.path)
                    .map_err(BlockError::io("sync", &self.path))?,
            }
            left.pop();
        }
        Ok(())
    }
}

/// Sorts blocks so that of several samples at one time the first one counts: late samples never
/// win over those in order, nor over late ones that came before.
pub(crate) fn by_precedence(blocks: &mut [Arc<Block>]) {
    blocks.sort_by_key(|block| {
        let meta = block.meta();
        // Rewriting gives a block a new name, but not new sources.
        let source = meta.compaction.sources.iter().min().copied();
        (meta.is_out_of_order(), meta.min_time, source, meta.ulid)
    });
}

/// Which of the blocks, given as end and bytes, go. Time counts from the newest block's end, not
/// from now: a server that was off for a month does not lose everything at start.
fn doomed(
    spans: &[(i64, u64)],
    retention: &Retention,
    other_bytes: u64,
    total_bytes: u64,
) -> (Vec<usize>, Removed) {
    let mut removed = Removed::default();
    let newest = spans.iter().map(|(max_ms, _)| *max_ms).max();
    let mut bytes_max = u64::MAX;
    if retention.size_bytes > 0 {
        bytes_max = retention.size_bytes;
    }
    if retention.percentage > 0.0 {
        bytes_max = bytes_max.min((total_bytes as f64 * retention.percentage / 100.0) as u64);
    }
    let mut order: Vec<usize> = (0..spans.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(spans[at].0));
    let mut bytes = other_bytes;
    let mut doomed = Vec::new();
    for at in order {
        let (max_ms, size) = spans[at];
        bytes = bytes.saturating_add(size);
        let age_ms = newest.unwrap_or(max_ms).saturating_sub(max_ms);
        if retention.time_ms > 0 && age_ms >= retention.time_ms && age_ms > 0 {
            removed.by_time += 1;
        } else if bytes > bytes_max {
            removed.by_size += 1;
        } else {
            continue;
        }
        doomed.push(at);
    }
    (doomed, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_counts_from_the_newest_block() {
        let spans = [(10, 5), (20, 5), (30, 5), (40, 5)];
        let keep = |time_ms, size_bytes, percentage| Retention {
            time_ms,
            size_bytes,
            percentage,
        };
        for (retention, want, by_time, by_size) in [
            (keep(0, 0, 0.0), vec![], 0, 0),
            (keep(21, 0, 0.0), vec![0], 1, 0),
            (keep(20, 0, 0.0), vec![1, 0], 2, 0),
            (keep(1, 0, 0.0), vec![2, 1, 0], 3, 0),
            (keep(0, 13, 0.0), vec![1, 0], 0, 2),
            (keep(30, 13, 0.0), vec![1, 0], 1, 1),
            (keep(0, 0, 7.0), vec![2, 1, 0], 0, 3),
            (keep(0, 1, 0.0), vec![3, 2, 1, 0], 0, 4),
        ] {
            let want = (want, Removed { by_time, by_size });
            assert_eq!(doomed(&spans, &retention, 2, 100), want, "{retention:?}");
        }
    }
}
