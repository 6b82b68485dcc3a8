//! The bytes of a sealed file, mapped or held.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::UncheckedAdvice;

/// Bytes of a file; cheap to clone.
#[derive(Clone)]
pub struct Mapping(Inner);

#[derive(Clone)]
enum Inner {
    Mapped(Arc<memmap2::Mmap>),
    Held(Arc<Vec<u8>>),
}

impl Mapping {
    /// Maps a file's bytes as they are now.
    #[allow(unsafe_code, reason = "mapping a file has no safe form; see the proof")]
    pub(crate) fn of_file(file: &std::fs::File) -> std::io::Result<Mapping> {
        if file.metadata()?.len() == 0 {
            return Ok(Mapping::held(Vec::new()));
        }
        // SAFETY: a mapping is sound while nobody shortens or overwrites the mapped bytes. Files
        // under the data folder belong to one process (its lock file says so); that process only
        // ever appends to a file (`DiskFile` has no overwrite), renames or removes whole files
        // (a mapping keeps the inode alive), and truncates only the log's last segment, which
        // `Disk::map` users read before they open it for appending and drop before they cut it.
        // A foreign process that truncates our files ends us with SIGBUS: a crash, not silent
        // wrong data, since all that is read from a mapping is checked against checksums.
        let map = unsafe { memmap2::Mmap::map(file)? };
        Ok(Mapping(Inner::Mapped(Arc::new(map))))
    }

    /// Gives the memory of a part that was read and will not be soon back to the system; reading
    /// it again fetches it again. For long ways through large files: what was read of a mapping
    /// counts as the process's memory. Does nothing for bytes in memory.
    #[allow(unsafe_code, reason = "dropping pages has no safe form; see the proof")]
    pub fn release(&self, range: Range<usize>) {
        let Inner::Mapped(map) = &self.0 else { return };
        let end = range.end.min(map.len());
        let Some(length) = end.checked_sub(range.start).filter(|&length| length > 0) else {
            return;
        };
        // SAFETY: the advice may drop what was written to private pages. This mapping is shared
        // and read-only, so its pages hold what the file holds and nothing else: whoever reads
        // them meanwhile or later, through this or another clone, gets the same bytes.
        let advised =
            unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, length) };
        // Refused advice costs memory only.
        let _ = advised;
    }

    /// Bytes in memory.
    #[must_use]
    pub fn held(bytes: Vec<u8>) -> Mapping {
        Mapping(Inner::Held(Arc::new(bytes)))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Mapped(map) => map,
            Inner::Held(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} bytes)", self.len())
    }
}
