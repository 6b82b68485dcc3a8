//! Writing a block.

use std::path::Path;

use disk::Disk;

use super::{BlockError, BlockMeta, BlockSource, Compaction, Ulid};

/// What a new block is to be.
#[derive(Debug, Clone)]
pub struct BlockParams {
    /// Its identifier.
    pub ulid: Ulid,
    /// First millisecond of its time; samples before it are an error.
    pub min_ms: i64,
    /// Last millisecond of its time, excluded; samples at or after it are an error.
    pub max_ms: i64,
    /// Where it comes from. Without sources, the block itself is its source.
    pub compaction: Compaction,
    /// Most samples of a column: [`SAMPLES_AT_FLUSH`] or [`SAMPLES_AT_COMPACTION`].
    pub samples_per_chunk_max: usize,
}

/// Two hours at 15 seconds.
pub const SAMPLES_AT_FLUSH: usize = 480;
/// Eight hours at 15 seconds: 6 % smaller than [`SAMPLES_AT_FLUSH`], and a page is still read in
/// well under a millisecond.
pub const SAMPLES_AT_COMPACTION: usize = 1_920;

/// Writes a block into `parent` and gives what its `meta.json` says; `None` if the source had no
/// sample, and then there is no block.
///
/// The block is written into `<ulid>.tmp`, synced, and renamed. Whenever the process or the power
/// goes, there is either the whole block or a folder that ends in `.tmp`, which the next start
/// removes. After an error neither is left if the disk still obeys.
///
/// # Errors
/// If the source or the disk fails, or if the source breaks its contract.
pub fn write_block(
    _disk: &dyn Disk,
    _parent: &Path,
    _params: &BlockParams,
    _source: &mut dyn BlockSource,
) -> Result<Option<BlockMeta>, BlockError> {
    Err(BlockError::Input("blocks cannot be written yet"))
}
