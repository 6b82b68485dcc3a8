//! Blocks: stretches of time that never change again, on disk.
//!
//! A block is a folder named by its ULID with these files: `meta.json` says what it is, `data`
//! holds timestamps and values in checksummed pages, `index` says which series there are and
//! where they lie. [`write_block`] writes one from a [`BlockSource`] that hands out one series at
//! a time, so that memory stays flat; [`Block::open`] maps one. The bytes are described in
//! `docs/formats/block.md`.
//!
//! Samples lie by group: the series of a scrape target share their timestamps, so these are
//! stored once per group and slice of time. Up to 64 neighbouring series of a group make a page
//! of values (`codec::columns`). A block that comes from the head takes the chunks of most groups as
//! they are, by a hard link to their files ([`chunk_page`]); merging encodes them anew.
//!
//! All that is read is checked first: every page has a CRC32C that is verified when the page is
//! read from the mapping; pages in the cache were. Damage gives [`BlockError::Corrupt`] for what it touches; the rest
//! of the block stays readable. Samples that were deleted lie there until the block is rewritten,
//! and are left out by readers.

mod cache;
pub(crate) mod chunk_page;
mod deleted;
mod error;
mod format;
mod forward;
mod forward_page;
mod forward_v1;
mod histogram_page;
mod identity;
mod index;
mod index_build;
mod keys;
mod label_sets;
mod merge;
mod meta;
mod page;
mod plan;
mod points;
mod postings;
mod read;
mod source;
mod tables;
mod verified;
mod write;
mod write_histograms;
mod write_linked;
mod write_slices;

pub use crate::histograms::{HistogramColumn, HistogramRef, TimedHistograms};
pub use cache::PageCache;
pub use chunk_page::LinkedGroup;
pub use deleted::rewrite_block;
pub use error::BlockError;
pub use merge::{MergeSource, merge_blocks};
pub use meta::{BlockMeta, BlockParent, BlockStats, Compaction, Ulid};
pub use plan::{
    HINT_OUT_OF_ORDER, HINT_SELECTED_SERIES, HINT_STALE_SERIES, block_ranges, merged_compaction,
    plan_compaction,
};
pub(crate) use points::PickedColumns;
pub use read::{Block, BlockSeries};
pub use source::{BlockSource, GroupInput, SeriesInput, Times};
pub use write::{BlockParams, SAMPLES_AT_COMPACTION, SAMPLES_AT_FLUSH, remove_block, write_block};

const META_FILE: &str = "meta.json";
const DATA_FILE: &str = "data";
const INDEX_FILE: &str = "index";

/// The name of a linked file of chunks; numbers begin with 1.
fn linked_file(number: usize) -> String {
    format!("chunks.{number}")
}

#[cfg(test)]
mod tests;
