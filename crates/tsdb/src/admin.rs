//! What an operator may do: delete, clean up, take a snapshot.
//!
//! All of it waits for flushes and compactions that run, and they wait for it.

use std::path::Path;

use model::Matcher;
use storage::{StorageAdmin, StorageError};

use crate::block::{BlockError, Ulid, write_block};
use crate::db::{Db, Inner, flush_params};
use crate::sync::MutexGuard;

/// The folder of snapshots in the data folder.
const SNAPSHOTS_DIR: &str = "snapshots";
/// Ends the names of snapshots that are not whole.
const TEMPORARY_SUFFIX: &str = ".tmp";

fn failed(error: impl std::fmt::Display) -> StorageError {
    StorageError::Io(error.to_string())
}

impl StorageAdmin for Db {
    fn delete_series(
        &self,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<(), StorageError> {
        let (inner, _turn) = self.take_turn()?;
        for block in inner.blocks.all().iter() {
            block.delete(&*inner.disk, matchers, min_ms, max_ms)?;
        }
        inner.head.delete(matchers, min_ms, max_ms)?;
        inner.sync().map_err(failed)
    }

    fn clean_tombstones(&self) -> Result<(), StorageError> {
        let (inner, _turn) = self.take_turn()?;
        let began = inner.clock.monotonic();
        let all = inner.blocks.all();
        let mut concerned = all.iter().filter(|block| block.has_tombstones()).peekable();
        if concerned.peek().is_some() {
            // The log may still have what is deleted, and takes the end of the newest block for
            // the end of what it need not read: that block may go as a whole.
            inner.cut_log().map_err(failed)?;
        }
        for block in concerned {
            let ulid = Ulid::new(inner.clock.now_ms());
            inner.blocks.rewrite(block, ulid)?;
        }
        let took = inner.clock.monotonic().saturating_sub(began);
        let seconds = &inner.metrics.tombstone_cleanup_seconds;
        seconds.observe(took.as_secs_f64());
        Ok(())
    }

    fn snapshot(&self, name: &str, skip_head: bool) -> Result<(), StorageError> {
        let (inner, _turn) = self.take_turn()?;
        let parent = inner.options.path.join(SNAPSHOTS_DIR);
        let temporary = parent.join(format!("{name}{TEMPORARY_SUFFIX}"));
        if inner.disk.list(&parent.join(name)).is_ok() {
            return Err(failed(format!("snapshot {name} exists")));
        }
        let result = inner
            .fill_snapshot(&temporary, skip_head)
            .and_then(|()| inner.publish_snapshot(&temporary, &parent, name));
        if result.is_err() {
            let _ = inner.disk.remove_dir_all(&temporary);
        }
        Ok(result?)
    }
}

impl Inner {
    fn fill_snapshot(&self, dir: &Path, skip_head: bool) -> Result<(), BlockError> {
        let disk = &*self.disk;
        disk.create_dir_all(dir)
            .map_err(BlockError::io("create", dir))?;
        for block in self.blocks.all().iter() {
            let to = dir.join(block.meta().ulid.to_string());
            disk.create_dir_all(&to)
                .map_err(BlockError::io("create", &to))?;
            for file in block.files() {
                let link = to.join(file.file_name().unwrap_or_default());
                disk.hard_link(&file, &link)
                    .map_err(BlockError::io("link", &file))?;
            }
            disk.sync_dir(&to).map_err(BlockError::io("sync", &to))?;
        }
        if !skip_head {
            self.write_head_blocks(dir)?;
        }
        disk.sync_dir(dir).map_err(BlockError::io("sync", dir))
    }

    /// A block of the samples in order, and one of the late ones before.
    fn write_head_blocks(&self, dir: &Path) -> Result<(), BlockError> {
        let in_order = self.head.time_range();
        let in_order = in_order.map(|(min_ms, max_ms)| (min_ms, max_ms.saturating_add(1)));
        let late = self.head.late_range();
        let late = late.map(|(min_ms, max_ms)| (min_ms, max_ms.saturating_add(1)));
        let before = late.map(|(min_ms, end_ms)| match in_order {
            Some((from_ms, _)) => (min_ms, end_ms.min(from_ms)),
            None => (min_ms, end_ms),
        });
        for (span, is_in_order) in [(in_order, true), (before, false)] {
            let Some((min_ms, end_ms)) = span.filter(|(min_ms, end_ms)| min_ms < end_ms) else {
                continue;
            };
            let ulid = Ulid::new(self.clock.now_ms());
            let params = flush_params(ulid, (min_ms, end_ms), is_in_order);
            let mut source = self.head.block_source(min_ms, end_ms, is_in_order);
            write_block(&*self.disk, dir, &params, &mut source)?;
        }
        Ok(())
    }

    fn publish_snapshot(&self, from: &Path, parent: &Path, name: &str) -> Result<(), BlockError> {
        let disk = &*self.disk;
        let to = parent.join(name);
        disk.rename(from, &to)
            .map_err(BlockError::io("rename", from))?;
        let synced = disk
            .sync_dir(parent)
            .and_then(|()| disk.sync_dir(&self.options.path));
        if synced.is_err() {
            // Whether the name will last is unknown; the caller is told that there is none.
            let _ = disk.rename(&to, from);
        }
        synced.map_err(BlockError::io("sync", parent))
    }

    /// Removes snapshots that are not whole.
    pub(crate) fn remove_half_snapshots(&self) {
        let parent = self.options.path.join(SNAPSHOTS_DIR);
        let entries = self.disk.list(&parent).unwrap_or_default();
        for entry in entries
            .iter()
            .filter(|e| e.name.ends_with(TEMPORARY_SUFFIX))
        {
            let path = parent.join(&entry.name);
            if let Err(error) = self.disk.remove_dir_all(&path) {
                tracing::error!(%error, path = %path.display(), "Half a snapshot cannot be removed");
            }
        }
    }
}

impl Db {
    /// Waits for flushes and compactions. The database may be closed meanwhile: its folder is
    /// somebody else's then.
    fn take_turn(&self) -> Result<(&Inner, MutexGuard<'_, ()>), StorageError> {
        let turn = self.inner().maintaining.lock();
        match self.is_open() {
            true => Ok((self.inner(), turn)),
            false => Err(StorageError::NotReady),
        }
    }
}
