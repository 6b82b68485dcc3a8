//! What the head takes in memory, counted from its structures.
//!
//! Vectors count with what they hold (what they have room for besides is not touched, and so is no
//! memory yet), tables with their load, shared bytes once. What the allocator adds is not in it. Mapped chunk files are the kernel's and not counted. It walks all
//! groups and all label pairs: some milliseconds for 400,000 series.

use super::Head;
use super::group::State;
use super::sides::Side;

/// Head of an allocation that is counted by references.
pub(super) const ARC_BYTES: usize = 16;
/// A slot of a table of four bytes, its control byte and the free ones.
pub(super) const TABLE_SLOT_BYTES: usize = 6;
/// A chunk's head and its pointer.
const CHUNK_BYTES: usize = 160;

/// Bytes of what a vector holds.
pub(super) fn slice_bytes<T>(vec: &[T]) -> usize {
    size_of_val(vec)
}

impl Head {
    /// Bytes of index and groups.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let index = self.index.read().memory_bytes();
        let groups = self.all_groups();
        let groups = groups.iter().map(|group| group.state.lock().memory_bytes());
        (index + groups.sum::<usize>()) as u64
    }

    /// Tells the budget what the head takes.
    pub(crate) fn measure(&self) {
        self.gate.memory().set_head(self.memory_bytes());
    }
}

impl State {
    /// Bytes of the group.
    pub(crate) fn memory_bytes(&self) -> usize {
        let slots = slice_bytes(&self.series) + slice_bytes(&self.spans);
        let sides: usize = self
            .sides
            .iter()
            .map(|(_, side)| ARC_BYTES + size_of_val::<[Side]>(side))
            .sum();
        let histograms = self.histograms.memory_bytes();
        let late = self.late.iter();
        let late: usize = late.map(|(_, all)| ARC_BYTES + size_of_val(all)).sum();
        let chunks: usize = self
            .chunks
            .iter()
            .map(|chunk| CHUNK_BYTES + chunk.memory_bytes())
            .sum();
        let apart = sides + histograms + late + chunks;
        size_of::<State>() + slots + self.again.len() + self.open_bytes() + apart
    }
}
