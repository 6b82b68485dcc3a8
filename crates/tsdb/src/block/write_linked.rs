//! Groups of a new block that are chunks of the head already.

use std::path::{Path, PathBuf};

use disk::Disk;
use model::Labels;

use super::chunk_page::{Layout, LinkedChunk, LinkedGroup, PAGE_SLOTS};
use super::tables::{Column, FILES_MAX, Group, PageEntry, Place};
use super::write::DataWriter;
use super::{BlockError, linked_file};

/// The files that a new block links.
#[derive(Debug, Default)]
pub(super) struct Links(Vec<PathBuf>);

impl Links {
    /// The number of a file.
    fn number(&mut self, path: &Path) -> Result<usize, BlockError> {
        // Of a head's few files for one span, mostly the last one is asked for.
        if let Some(at) = self.0.iter().rposition(|other| other == path) {
            return Ok(at + 1);
        }
        if self.0.len() == FILES_MAX {
            return Err(BlockError::Input("too many files of chunks"));
        }
        self.0.push(path.to_owned());
        Ok(self.0.len())
    }

    /// How many there are.
    fn len(&self) -> usize {
        self.0.len()
    }

    /// Links them into the block's folder.
    pub(super) fn put(&self, disk: &dyn Disk, dir: &Path) -> Result<(), BlockError> {
        for (number, path) in (1..).zip(&self.0) {
            let linked = disk.hard_link(path, &dir.join(linked_file(number)));
            linked.map_err(|source| BlockError::Link {
                path: path.clone(),
                source,
            })?;
        }
        Ok(())
    }
}

impl DataWriter {
    /// Adds a group whose samples stay where they are.
    pub(super) fn add_linked(
        &mut self,
        key: &Labels,
        group: LinkedGroup,
    ) -> Result<(), BlockError> {
        let LinkedGroup { series, chunks } = group;
        let first_column = self.tables.columns.len();
        self.tables.groups.push(Group {
            key: key.clone(),
            columns: first_column as u32,
            batches: self.tables.batches.len() as u32,
            linked: Some(Layout::Indexed),
        });
        let times: Vec<i64> = chunks.iter().flat_map(|c| &c.times).copied().collect();
        self.check_times(&times)?;
        for chunk in &chunks {
            let column = self.linked_column(chunk)?;
            self.tables.columns.push(column);
        }
        self.tables.files = self.links.len();
        for members in
            series.chunk_by(|(a, _), (b, _)| *a as usize / PAGE_SLOTS == *b as usize / PAGE_SLOTS)
        {
            let labels: Vec<Labels> = members.iter().map(|(_, labels)| labels.clone()).collect();
            self.start_batch(&labels, false, false)?;
            for (column, chunk) in (first_column..).zip(&chunks) {
                let page = self.linked_page(column, chunk, members)?;
                self.tables.pages.push(page);
            }
        }
        Ok(())
    }

    fn linked_column(&mut self, chunk: &LinkedChunk) -> Result<Column, BlockError> {
        let file = self.links.number(&chunk.path)?;
        let (Some(&first_ms), Some(&last_ms)) = (chunk.times.first(), chunk.times.last()) else {
            return Err(BlockError::Input("a chunk without rows"));
        };
        Ok(Column {
            place: Place::linked(file, chunk.times_at.start).ok_or(OUT_OF_PLACE)?,
            size: size(&chunk.times_at)?,
            check: chunk.times_check,
            count: chunk.times.len() as u32,
            first_ms,
            last_ms,
        })
    }

    /// What a chunk has of some slots, all of them in one page.
    fn linked_page(
        &mut self,
        column: usize,
        chunk: &LinkedChunk,
        members: &[(u32, Labels)],
    ) -> Result<PageEntry, BlockError> {
        let Column {
            place,
            first_ms,
            last_ms,
            ..
        } = self.tables.columns[column];
        let mut entry = PageEntry {
            place,
            size: 0,
            check: 0,
            absent: codec::bits::mask(members.len() as u32),
            first_ms,
            last_ms,
            column: Some(column as u32),
        };
        let page = members
            .first()
            .map_or(0, |(slot, _)| *slot as usize / PAGE_SLOTS);
        let Some(page) = chunk.pages.get(page).filter(|page| page.present != 0) else {
            return Ok(entry);
        };
        for (at, (slot, _)) in members.iter().enumerate() {
            if page.present >> (*slot as usize % PAGE_SLOTS) & 1 == 1 {
                entry.absent &= !(1 << at);
            }
        }
        let there = members.len() as u32 - entry.absent.count_ones();
        if there != page.present.count_ones() {
            return Err(BlockError::Input(
                "a column of a chunk belongs to no series",
            ));
        }
        entry.place = Place::linked(place.file(), page.at.start).ok_or(OUT_OF_PLACE)?;
        entry.size = size(&page.at)?;
        entry.check = page.check;
        self.stats.num_chunks += u64::from(there);
        self.stats.num_samples += page.samples;
        self.stats.num_float_samples += page.samples;
        Ok(entry)
    }
}

const OUT_OF_PLACE: BlockError = BlockError::Input("a chunk beyond 256 TiB");

fn size(range: &std::ops::Range<u64>) -> Result<u32, BlockError> {
    u32::try_from(range.end - range.start).map_err(|_| BlockError::Input("a page of 4 GiB"))
}
