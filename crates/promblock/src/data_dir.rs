//! A data directory: which blocks it has, and what is not in blocks yet.

use std::io;
use std::path::{Path, PathBuf};

use disk::Disk;

use crate::block::Block;
use crate::error::Error;
use crate::head::Head;
use crate::meta::BlockMeta;
use crate::ulid::Ulid;

/// The file that a running server holds locked.
const LOCK_FILE: &str = "lock";

/// A block that is there, not opened yet.
#[derive(Debug, Clone)]
pub struct BlockDir {
    /// Its folder.
    pub path: PathBuf,
    /// What it says of itself.
    pub meta: BlockMeta,
}

impl BlockDir {
    /// Opens it.
    ///
    /// # Errors
    /// As [`Block::open`].
    pub fn open(&self, disk: &dyn Disk) -> Result<Block, Error> {
        Block::open(disk, &self.path)
    }
}

/// A data directory of Prometheus.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    blocks: Vec<BlockDir>,
    damage: Vec<Error>,
}

impl DataDir {
    /// Looks what is in the folder. Unfinished and half-deleted blocks are passed over, and so are
    /// blocks that another one replaces: a crash can leave both.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<DataDir, Error> {
        let entries = disk.list(path).map_err(|e| Error::io(path, e))?;
        let mut blocks = Vec::new();
        let mut damage = Vec::new();
        for entry in entries {
            if !entry.is_dir || entry.name.parse::<Ulid>().is_err() {
                continue;
            }
            let path = path.join(&entry.name);
            match BlockMeta::read(disk, &path) {
                Ok(meta) => blocks.push(BlockDir { path, meta }),
                Err(error) => damage.push(error),
            }
        }
        let parents = blocks
            .iter()
            .flat_map(|block| &block.meta.compaction.parents);
        let replaced: Vec<Ulid> = parents.map(|parent| parent.ulid).collect();
        blocks.retain(|block| !replaced.contains(&block.meta.ulid));
        blocks.sort_by_key(|block| (block.meta.min_time, block.meta.ulid));
        Ok(DataDir {
            path: path.to_owned(),
            blocks,
            damage,
        })
    }

    /// The blocks, by the time at which they begin.
    #[must_use]
    pub fn blocks(&self) -> &[BlockDir] {
        &self.blocks
    }

    /// Folders that are named like blocks and are none.
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        &self.damage
    }

    /// Reads what is not in blocks yet.
    ///
    /// # Errors
    /// [`Error::Refused`] if a server runs on the directory; else as [`Head::open`].
    pub fn open_head(&self, disk: &dyn Disk) -> Result<Head, Error> {
        let lock = self.path.join(LOCK_FILE);
        // The file stays when the server stops. It is not made where there is none, and where it
        // cannot be opened for writing, nothing is known and nothing said.
        if disk.file_length(&lock).is_ok()
            && let Err(error) = disk.lock(&lock)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            let path = self.path.display();
            return Err(Error::Refused(format!("a server is running on {path}")));
        }
        // A block with a hint is made of a part of the head's samples (those that came out of
        // order, or of some series), and the others of its times are in the head still.
        let whole = self
            .blocks
            .iter()
            .filter(|block| block.meta.compaction.hints.is_empty());
        let ends = whole.map(|block| block.meta.max_time);
        Head::open(disk, &self.path, ends.max().unwrap_or(i64::MIN))
    }
}
