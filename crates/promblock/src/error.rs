//! What can go wrong with a data directory, and where in it.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The bytes are not what Prometheus writes: damaged, or of something else.
    #[error("{}: {what} at offset {offset}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file; for compressed records, where the record begins.
        offset: u64,
        /// What is wrong.
        what: Cow<'static, str>,
    },
    /// Sound, but of a version or kind that this reader does not know.
    #[error("{}: {what} is not supported", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What it holds.
        what: String,
    },
    /// What was given to be written cannot be in a block; nothing of the call was written.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    pub(crate) fn io(path: &Path, source: io::Error) -> Error {
        Error::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<Cow<'static, str>>) -> Error {
        Error::Corrupt {
            path: path.to_owned(),
            offset,
            what: what.into(),
        }
    }
}

/// Bytes that are wrong, before it is known which file they are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) what: &'static str,
    pub(crate) offset: u64,
}

impl Bad {
    pub(crate) fn of(self, path: &Path) -> Error {
        Error::corrupt(path, self.offset, self.what)
    }
}
