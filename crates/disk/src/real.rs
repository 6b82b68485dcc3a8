//! The operating system's files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

use crate::{Disk, DiskFile, DiskLock, Entry, Mapping, Space};

/// The real file system.
#[derive(Debug, Default, Clone, Copy)]
pub struct RealDisk;

impl RealDisk {
    /// The real file system, shared.
    #[must_use]
    pub fn shared() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

/// Holds the lock as long as the file is open.
#[derive(Debug)]
struct RealLock(#[allow(dead_code, reason = "held for its lock")] File);

impl DiskLock for RealLock {}

impl Disk for RealDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        // Append mode, so that a cut file goes on at its new end.
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        file.set_len(0)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        let file = File::open(path)?;
        let kind = file.metadata()?.file_type();
        if kind.is_fifo() || kind.is_socket() || kind.is_char_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        Mapping::of_file(&file)
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        Ok(std::fs::metadata(path)?.len())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            // Names that are not UTF-8 are not ours.
            if let Ok(name) = entry.file_name().into_string() {
                let is_dir = entry.file_type()?.is_dir();
                entries.push(Entry { name, is_dir });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    #[allow(unsafe_code, reason = "statvfs has no safe form in std; see the proof")]
    fn space(&self, path: &Path) -> io::Result<Space> {
        use std::os::unix::ffi::OsStrExt;
        let text = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        let mut stat = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
        // SAFETY: `text` is a valid C string that lives over the call, `stat` is writable memory
        // of the right type, and all-zero is a valid value of that plain C struct even if the
        // call fails and leaves it untouched.
        let (code, stat) = unsafe {
            let code = libc::statvfs(text.as_ptr(), stat.as_mut_ptr());
            (code, stat.assume_init())
        };
        if code != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Space {
            total_bytes: stat.f_blocks * stat.f_frsize,
            free_bytes: stat.f_bavail * stat.f_frsize,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock(file))),
            Err(std::fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_reads_renames_locks() {
        let dir = tempfile::tempdir().unwrap();
        let disk = RealDisk;
        let a = dir.path().join("x/a");
        disk.create_dir_all(a.parent().unwrap()).unwrap();
        let file = disk.create(&a).unwrap();
        file.append(b"hello world").unwrap();
        file.truncate(5).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        assert_eq!(file.length().unwrap(), 6);
        let mapping = disk.map(&a).unwrap();
        for range in [0..6, 2..3, 4..99, 7..9, 3..3] {
            assert_eq!(&mapping[..], b"hello!");
            mapping.release(range);
        }
        assert_eq!(&mapping[..], b"hello!");
        disk.open_append(&a).unwrap().append(b"?").unwrap();
        let b = dir.path().join("x/b");
        disk.rename(&a, &b).unwrap();
        disk.sync_dir(b.parent().unwrap()).unwrap();
        assert_eq!(disk.file_length(&b).unwrap(), 7);
        let c = dir.path().join("x/c");
        disk.hard_link(&b, &c).unwrap();
        assert_eq!(&disk.map(&c).unwrap()[..], b"hello!?");
        let again = disk.hard_link(&b, &c).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        disk.remove_file(&c).unwrap();
        assert_eq!(crate::size_of_dir(&disk, dir.path()).unwrap(), 7);
        let entries = disk.list(dir.path()).unwrap();
        assert_eq!((entries.len(), entries[0].is_dir), (1, true));
        assert!(disk.space(dir.path()).unwrap().total_bytes > 0);
        let path = dir.path().join("lock");
        let held = disk.lock(&path).unwrap();
        let second = disk.lock(&path).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock(&path).unwrap();
        assert!(disk.map(&b).unwrap().len() == 7 && disk.create(&b).is_ok());
        assert!(disk.map(&b).unwrap().is_empty());
        disk.remove_dir_all(&dir.path().join("x")).unwrap();
    }
}
