//! What goes wrong with blocks.

use std::io;
use std::path::{Path, PathBuf};

use storage::StorageError;

/// Why a block cannot be written, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The file system said no.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The bytes are not what was written.
    #[error("block {path}: {what}", path = path.display())]
    Corrupt {
        /// The block's folder or the file in it.
        path: PathBuf,
        /// What does not fit.
        what: String,
    },
    /// A file cannot become part of a block by a hard link.
    #[error("link {path}: {source}", path = path.display())]
    Link {
        /// Which file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
    /// Written by a version of the format that this program does not know.
    #[error("block {path}: format version {version} is not supported", path = path.display())]
    Version {
        /// The block's folder.
        path: PathBuf,
        /// The version it has.
        version: u64,
    },
    /// The source of a new block could not be read.
    #[error(transparent)]
    Source(#[from] StorageError),
    /// The source of a new block gave something that a block cannot hold.
    #[error("block input: {0}")]
    Input(&'static str),
}

impl BlockError {
    /// For `map_err` of file operations.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BlockError {
        let path = path.to_owned();
        move |source| BlockError::Io { what, path, source }
    }

    /// A file's head says another version than `meta.json` does.
    pub(crate) fn other_version(path: &Path) -> BlockError {
        BlockError::Corrupt {
            path: path.to_owned(),
            what: "not of the version that meta.json says".to_owned(),
        }
    }

    /// Whether the disk was full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(
            self,
            BlockError::Io { source, .. } | BlockError::Link { source, .. }
                if disk::is_disk_full(source)
        )
    }
}

impl From<BlockError> for StorageError {
    fn from(error: BlockError) -> StorageError {
        match error {
            BlockError::Source(error) => error,
            BlockError::Io { .. } | BlockError::Link { .. } => StorageError::Io(error.to_string()),
            other => StorageError::Corrupt(other.to_string()),
        }
    }
}
