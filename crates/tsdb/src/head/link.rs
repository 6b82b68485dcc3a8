//! Chunks that become part of a block as they are.
//!
//! A sample would be written three times on its way into its first block: to the log, to a chunk,
//! and to the block. The block takes the chunk's file by a hard link instead, wherever a group's
//! samples in its span are nothing but whole chunks of rows. What is out of the ordinary (samples
//! out of order, with times of their own or deleted; histograms; starts of counters; a chunk that
//! could not be written to a file) is encoded anew with the rest of its group. Costs: a checksum
//! and a look at every column's length.

use codec::DecodeError;
use model::Labels;

use super::chunk_files::{Chunk, ChunkBytes};
use crate::block::LinkedGroup;
use crate::block::chunk_page::{Layout, LinkedChunk, LinkedPage, PAGE_SLOTS};

/// A chunk that a block takes samples from.
pub(super) struct Piece {
    pub(super) chunk: std::sync::Arc<Chunk>,
    pub(super) bytes: ChunkBytes,
    pub(super) times: Vec<i64>,
}

impl Piece {
    /// Whether all it has are rows in the time, and it lies in a file as it was written.
    fn is_plain(&self, (min_ms, max_ms): (i64, i64)) -> bool {
        let head = &self.chunk.head;
        let whole = head.min_ms >= min_ms && head.max_ms <= max_ms && head.rows > 0;
        // Those from before columns lay behind tables are written anew.
        let indexed = head.layout == Layout::Indexed;
        whole && indexed && head.side_count == 0 && !head.has_extras() && self.bytes.is_intact()
    }

    fn link(&self) -> Result<Option<LinkedChunk>, DecodeError> {
        let Some((path, at)) = self.chunk.file() else {
            return Ok(None);
        };
        let times_at = self.chunk.head.times_at();
        let times = self
            .bytes
            .get(times_at.clone())
            .ok_or(DecodeError("times"))?;
        Ok(Some(LinkedChunk {
            path: path.to_owned(),
            times: self.times.clone(),
            times_at: at + times_at.start as u64..at + times_at.end as u64,
            times_check: crc32c::crc32c(times),
            pages: self.chunk.head.linked_pages(&self.bytes, at)?,
        }))
    }
}

/// The chunks of a group as part of a block, if all are such that it can have them. `series` are
/// those with samples in the time, by slot.
pub(super) fn link(
    pieces: &[Piece],
    time: (i64, i64),
    series: &[(u32, Labels)],
) -> Result<Option<LinkedGroup>, DecodeError> {
    let in_turn = pieces.is_sorted_by(|a, b| a.times.last() < b.times.first());
    if pieces.is_empty() || !in_turn || !pieces.iter().all(|piece| piece.is_plain(time)) {
        return Ok(None);
    }
    let chunks = pieces.iter().map(Piece::link);
    let Some(chunks) = chunks.collect::<Result<Option<Vec<_>>, _>>()? else {
        return Ok(None);
    };
    let words = chunks.iter().map(|chunk| chunk.pages.len()).max();
    let present: Vec<u64> = (0..words.unwrap_or(0))
        .map(|word| {
            let pages = chunks.iter().filter_map(|chunk| chunk.pages.get(word));
            pages.fold(0, |all, page: &LinkedPage| all | page.present)
        })
        .collect();
    let has = |slot: u32| {
        let word = present.get(slot as usize / PAGE_SLOTS);
        word.is_some_and(|word| word >> (slot as usize % PAGE_SLOTS) & 1 == 1)
    };
    let there = series.iter().filter(|(slot, _)| has(*slot));
    let series: Vec<(u32, Labels)> = there.cloned().collect();
    // A column of a series that is gone cannot come along.
    let columns: u32 = present.iter().map(|word| word.count_ones()).sum();
    let complete = series.len() == columns as usize;
    Ok(complete.then_some(LinkedGroup { series, chunks }))
}
