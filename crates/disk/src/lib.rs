//! Files behind a trait: the only crate of the storage stack that touches the file system.
//!
//! [`RealDisk`] is the operating system's. [`MemoryDisk`] keeps everything in memory and knows what
//! a power cut would leave; [`FaultyDisk`] stands before it and lets the n-th operation fail or
//! tear, so that tests can sweep every point at which a disk can let us down. [`ReadOnlyDisk`] stands
//! before one that belongs to another process.
//!
//! Files are written by appending only and sealed files are read by [`Disk::map`]; both together
//! are all that a log and immutable blocks need.

mod faulty;
mod mapping;
mod memory;
mod read_only;
mod real;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use faulty::{Fault, FaultyDisk, Op};
pub use mapping::Mapping;
pub use memory::MemoryDisk;
pub use read_only::ReadOnlyDisk;
pub use real::RealDisk;

/// A file open for appending. Shared by writers that agree among themselves on who writes.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Hands all of `bytes` to the operating system, at the end of the file. After an error the
    /// file may hold a part of them.
    ///
    /// # Errors
    /// What the operating system says; `StorageFull` on a full disk.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Waits until all that was appended is on the medium.
    ///
    /// # Errors
    /// What the operating system says; what of the file is durable is then unknown.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `length` bytes; appends go on from there.
    ///
    /// # Errors
    /// What the operating system says.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// What the operating system says.
    fn length(&self) -> io::Result<u64>;
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Name inside the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_dir: bool,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that we may still use.
    pub free_bytes: u64,
}

/// A held lock file; dropping it gives it back.
pub trait DiskLock: Send + Sync + fmt::Debug {}

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// A new, empty file for appending; one that exists is emptied.
    ///
    /// # Errors
    /// What the operating system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// An existing file for appending at its end.
    ///
    /// # Errors
    /// What the operating system says.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// The bytes of a file that nobody changes any more (or only appends to).
    ///
    /// # Errors
    /// What the operating system says.
    fn map(&self, path: &Path) -> io::Result<Mapping>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn file_length(&self, path: &Path) -> io::Result<u64>;

    /// What the folder holds, sorted by name.
    ///
    /// # Errors
    /// What the operating system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Makes the folder and those above it; fine if it is there.
    ///
    /// # Errors
    /// What the operating system says.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or a folder; a file at `to` is replaced at once.
    ///
    /// # Errors
    /// What the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must not exist: both are the same bytes.
    ///
    /// # Errors
    /// What the operating system says.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder with all that it holds.
    ///
    /// # Errors
    /// What the operating system says.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Waits until the folder's entries (creations, renames, removals) are on the medium.
    ///
    /// # Errors
    /// What the operating system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Room on the file system that holds `path`.
    ///
    /// # Errors
    /// What the operating system says.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Takes the lock file for this process, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;
}

/// Whether the error says that the disk is full (or the quota used up).
#[must_use]
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Bytes of all files below `dir`.
///
/// # Errors
/// What the operating system says.
pub fn size_of_dir(disk: &dyn Disk, dir: &Path) -> io::Result<u64> {
    let mut total = 0;
    let mut pending: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in disk.list(&dir)? {
            let path = dir.join(&entry.name);
            if entry.is_dir {
                pending.push(path);
            } else {
                total += disk.file_length(&path)?;
            }
        }
    }
    Ok(total)
}
