//! Deletion in a block: the file `tombstones`.
//!
//! Data and index never change; what is deleted is written down beside them and left out by
//! readers. The file is written anew for every deletion and renamed into place, so that there is
//! always the old one or the new one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use codec::DecodeError;
use codec::varint::{self, Reader};
use disk::Disk;
use model::Matcher;

use super::format::{FileReader, FileWriter, HEAD_BYTES};
use super::write::write_meta;
use super::{Block, BlockError, BlockMeta, BlockParams, Compaction, Ulid, linked_file};
use super::{BlockParent, MergeSource, SAMPLES_AT_COMPACTION, write_block};
use crate::select;
use crate::tombstones::Tombstones;

/// How the file begins.
const MAGIC: &[u8; 8] = b"PromtryT";
/// Its name.
pub(crate) const TOMBSTONES_FILE: &str = "tombstones";
/// Name of a new `meta.json` while it is written.
const META_TEMPORARY_FILE: &str = "meta.json.tmp";
/// Its name while it is written.
const TEMPORARY_FILE: &str = "tombstones.tmp";

/// Reads the tombstones of the block in `dir`; none without the file.
pub(super) fn read(disk: &dyn Disk, dir: &Path) -> Result<(Tombstones, u64), BlockError> {
    let path = dir.join(TOMBSTONES_FILE);
    match disk.file_length(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) => return Err(BlockError::io("open", &path)(error)),
        Ok(_) => {}
    }
    let file = FileReader::open(disk, &path, MAGIC)?;
    let size = file.size() as usize - HEAD_BYTES;
    let parsed = file.page(HEAD_BYTES as u64, size).and_then(parse);
    let parsed = parsed.map_err(|error| BlockError::Corrupt {
        path,
        what: error.to_string(),
    })?;
    Ok((parsed, file.size()))
}

fn parse(bytes: &[u8]) -> Result<Tombstones, DecodeError> {
    let mut all = Tombstones::default();
    let reader = &mut Reader::new(bytes);
    for _ in 0..reader.count(bytes.len())? {
        let series = u32::try_from(reader.varint()?).map_err(|_| DecodeError("series"))?;
        for _ in 0..reader.count(bytes.len())? {
            let interval = (reader.signed()?, reader.signed()?);
            all.add(series, interval);
        }
    }
    Ok(all)
}

fn write(disk: &dyn Disk, dir: &Path, all: &Tombstones) -> Result<(), BlockError> {
    let temporary = dir.join(TEMPORARY_FILE);
    let mut file = FileWriter::create(disk, &temporary, MAGIC)?;
    file.page(|out| {
        varint::put(out, all.iter().len() as u64);
        for (series, intervals) in all.iter() {
            varint::put(out, u64::from(series));
            varint::put(out, intervals.len() as u64);
            for &(min_ms, max_ms) in intervals {
                varint::put_signed(out, min_ms);
                varint::put_signed(out, max_ms);
            }
        }
    })?;
    file.finish()?;
    let path = dir.join(TOMBSTONES_FILE);
    disk.rename(&temporary, &path)
        .map_err(BlockError::io("rename", &temporary))
}

impl Block {
    /// Deletes the samples from `min_ms` to `max_ms`, both included, of the series that pass all
    /// matchers. Queries that begin later do not see them; they stay on disk until the block is
    /// merged or [`rewrite_block`] is called.
    ///
    /// # Errors
    /// If the index is damaged or the disk fails; what holds after a restart is then unknown.
    pub fn delete(
        &self,
        disk: &dyn Disk,
        matchers: &[Matcher],
        min_ms: i64,
        max_ms: i64,
    ) -> Result<(), BlockError> {
        if !self.overlaps(min_ms, max_ms) {
            return Ok(());
        }
        let meta = self.meta();
        let range = (min_ms.max(meta.min_time), max_ms.min(meta.max_time - 1));
        let mut all = Tombstones::clone(&self.tombstones());
        let mut changed = false;
        for id in select::select(self.index(), matchers)?.iter() {
            if self.reaches_into(id, range.0, range.1) {
                changed |= all.add(id, range);
            }
        }
        if !changed {
            return Ok(());
        }
        write(disk, self.dir(), &all)?;
        self.set_tombstones(all);
        self.rewrite_meta(disk)?;
        disk.sync_dir(self.dir())
            .map_err(BlockError::io("sync", self.dir()))
    }

    /// `meta.json` says how much is deleted, for people and for Prometheus's like; we count anew.
    fn rewrite_meta(&self, disk: &dyn Disk) -> Result<(), BlockError> {
        let temporary = self.dir().join(META_TEMPORARY_FILE);
        write_meta(disk, &temporary, &self.current_meta())?;
        disk.rename(&temporary, &self.dir().join(super::META_FILE))
            .map_err(BlockError::io("rename", &temporary))
    }

    /// What `meta.json` would say now: with the tombstones that there are.
    #[must_use]
    pub fn current_meta(&self) -> BlockMeta {
        let mut meta = self.meta().clone();
        let tombstones = self.tombstones();
        let stretches = tombstones.iter().map(|(_, all)| all.len() as u64);
        meta.stats.num_tombstones = stretches.sum();
        meta
    }

    /// Paths of the files that make up the block.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut names = vec![super::META_FILE, super::DATA_FILE, super::INDEX_FILE];
        if !self.tombstones().is_empty() {
            names.push(TOMBSTONES_FILE);
        }
        let linked = (1..=self.tables().files).map(linked_file);
        let names = names.into_iter().map(str::to_owned).chain(linked);
        names.map(|name| self.dir().join(name)).collect()
    }

    /// Whether something is deleted and still lies there.
    #[must_use]
    pub fn has_tombstones(&self) -> bool {
        !self.tombstones().is_empty()
    }
}

/// Writes a block into a new one, `ulid` in `parent`, without what was deleted; `None` if nothing
/// is left. The old one stays as it is.
///
/// # Errors
/// As [`write_block`]; a damaged block gives [`BlockError::Source`].
pub fn rewrite_block(
    disk: &dyn Disk,
    parent: &Path,
    ulid: Ulid,
    block: &Arc<Block>,
) -> Result<Option<BlockMeta>, BlockError> {
    let meta = block.meta();
    let from = BlockParent {
        ulid: meta.ulid,
        min_time: meta.min_time,
        max_time: meta.max_time,
    };
    let params = BlockParams {
        ulid,
        min_ms: meta.min_time,
        max_ms: meta.max_time,
        compaction: Compaction {
            parents: vec![from],
            ..meta.compaction.clone()
        },
        samples_per_chunk_max: SAMPLES_AT_COMPACTION,
    };
    let blocks = [Arc::clone(block)];
    write_block(disk, parent, &params, &mut MergeSource::new(&blocks))
}
