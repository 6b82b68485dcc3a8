//! Reading a block.

use std::path::Path;
use std::sync::Arc;

use disk::Disk;
use model::{Labels, Matcher};
use storage::{Samples, Series, StorageError};

use super::cache::PageCache;
use super::{BlockError, BlockMeta};

/// An open block. Cheap to share; files are mapped and stay readable after the folder is removed.
#[derive(Debug)]
pub struct Block {
    meta: BlockMeta,
}

/// A series of a block. Samples are read when asked for.
#[derive(Debug, Clone)]
pub struct BlockSeries {
    block: Arc<Block>,
    labels: Labels,
}

impl Block {
    /// Opens the block in `dir`. Reads its `meta.json` and the index's tables, not its samples.
    ///
    /// # Errors
    /// If a file is missing, damaged or of an unknown version.
    pub fn open(
        _disk: &dyn Disk,
        _dir: &Path,
        _cache: &Arc<PageCache>,
    ) -> Result<Arc<Block>, BlockError> {
        Err(BlockError::Input("blocks cannot be opened yet"))
    }

    /// What `meta.json` says.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// Bytes of its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        0
    }

    /// Whether some sample may lie from `min_ms` to `max_ms`, both included. Costs next to nothing.
    #[must_use]
    pub fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        self.meta.overlaps(min_ms, max_ms)
    }

    /// Series that pass all matchers and have samples in a chunk that reaches into `min_ms` to
    /// `max_ms`, in the block's own order (by group); at most `limit`, 0 for all.
    ///
    /// # Errors
    /// If the index is damaged where it is read.
    pub fn select(
        self: &Arc<Block>,
        _matchers: &[Matcher],
        _min_ms: i64,
        _max_ms: i64,
        _limit: usize,
    ) -> Result<Vec<BlockSeries>, StorageError> {
        Ok(Vec::new())
    }

    /// Names of labels of series that pass all matchers, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub fn label_names(
        &self,
        _matchers: &[Matcher],
        _limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }

    /// Values of a label of series that pass all matchers, sorted; at most `limit`, 0 for all.
    ///
    /// # Errors
    /// As [`Block::select`].
    pub fn label_values(
        &self,
        _name: &str,
        _matchers: &[Matcher],
        _limit: usize,
    ) -> Result<Vec<String>, StorageError> {
        Ok(Vec::new())
    }
}

impl BlockSeries {
    /// The block that it is in.
    #[must_use]
    pub fn block(&self) -> &Arc<Block> {
        &self.block
    }
}

impl Series for BlockSeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, _min_ms: i64, _max_ms: i64, _out: &mut Samples) -> Result<(), StorageError> {
        Err(StorageError::Io("blocks cannot be read yet".to_owned()))
    }
}
