//! Room on the disk, and what happens without it.
//!
//! When the log is refused for lack of room, ingestion stops: batches are refused without another
//! try, so that what room comes back is not torn up by halves of records, and queries go on. Once
//! a second, if the file system says that there is room, one batch may try; when the log takes it,
//! all are taken again. What was acknowledged is in the log and stays there.

use std::time::Duration;

use disk::Space;

use crate::block::BlockError;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Between two tries.
const TRY_EVERY_MS: u64 = 1_000;
/// With less free than this, or a 64th of the file system if that is less, nothing is tried.
const FREE_BYTES_MIN: u64 = 16 << 20;

/// Whether there is room. Shared by those who write and those who ask.
#[derive(Debug, Default)]
pub(crate) struct Room {
    is_full: AtomicBool,
    /// No block could be written for lack of room.
    blocks_lack_it: AtomicBool,
    /// On the monotonic clock.
    next_try_ms: AtomicU64,
    refused: AtomicU64,
}

impl Room {
    /// Whether the log was refused and nothing was taken since.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full.load(Relaxed)
    }

    /// Batches that were refused without a try.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    /// The log took something.
    pub(crate) fn note_written(&self) {
        if self.is_full() && self.is_full.swap(false, Relaxed) {
            tracing::info!("There is room on the disk again: samples are taken");
        }
    }

    /// The log could not be written or synced.
    pub(crate) fn note_failed(&self, error: &std::io::Error) {
        if disk::is_disk_full(error) && !self.is_full.swap(true, Relaxed) {
            tracing::error!(%error, "The disk is full: no samples are taken until there is room");
        }
    }

    /// A block could not be written.
    pub(crate) fn note_blocks(&self, error: &BlockError) {
        if error.is_disk_full() {
            self.blocks_lack_it.store(true, Relaxed);
        }
    }

    /// Blocks are about to be written once more.
    pub(crate) fn forget_blocks(&self) {
        self.blocks_lack_it.store(false, Relaxed);
    }

    /// Whether a batch is to be refused at `now` without a try.
    pub(crate) fn refuses(&self, now: Duration, space: impl FnOnce() -> Option<Space>) -> bool {
        if !self.is_full() {
            return false;
        }
        let now_ms = now.as_millis() as u64;
        let due_ms = self.next_try_ms.load(Relaxed);
        let next_ms = now_ms + TRY_EVERY_MS;
        // Of those that come at once, one tries.
        let is_mine = now_ms >= due_ms
            && self
                .next_try_ms
                .compare_exchange(due_ms, next_ms, Relaxed, Relaxed)
                .is_ok();
        let refused = !(is_mine && space().is_none_or(is_enough));
        self.refused.fetch_add(u64::from(refused), Relaxed);
        refused
    }

    /// What the operator should know.
    pub(crate) fn notices(&self) -> impl Iterator<Item = String> {
        let full =
            "The disk of the data folder is full: no samples are stored until there is room.";
        let blocks = "The disk has no room for the next block: it is tried again every minute.";
        let said = [
            (self.is_full(), full),
            (self.blocks_lack_it.load(Relaxed), blocks),
        ];
        said.into_iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, text)| text.to_owned())
    }
}

fn is_enough(space: Space) -> bool {
    space.free_bytes >= FREE_BYTES_MIN.min(space.total_bytes / 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn one_batch_a_second_tries_if_there_is_space() {
        let room = Room::default();
        let free = |free_bytes| {
            Some(Space {
                total_bytes: 64 << 20,
                free_bytes,
            })
        };
        let at = Duration::from_millis;
        assert!(!room.refuses(at(0), || free(0)));
        room.note_failed(&io::Error::other("torn"));
        assert!(!room.is_full());
        room.note_failed(&io::ErrorKind::StorageFull.into());
        for (now, space, refused) in [
            (5, free(0), true),
            (6, free(1 << 20), true),
            (1_005, free((1 << 20) - 1), true),
            (2_005, free(1 << 20), false),
            (2_006, free(1 << 20), true),
            (3_005, None, false),
        ] {
            assert_eq!(room.refuses(at(now), || space), refused, "{now}");
        }
        assert_eq!((room.refused(), room.notices().count()), (4, 1));
        let full = io::ErrorKind::StorageFull.into();
        room.note_blocks(&BlockError::io("write", "/b".as_ref())(full));
        assert_eq!(room.notices().count(), 2);
        room.note_written();
        assert!(!room.refuses(at(3_006), || free(0)));
        assert_eq!(room.notices().count(), 1);
    }
}
