//! A disk that nobody changes through.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile, DiskLock, Entry, Mapping, Space};

/// Another disk, for reading only: what would change it fails as on a file system that is mounted
/// so. A file can be opened, and synced, which does nothing. A folder that is to be made is only remembered, and is empty. Another process may change the
/// disk meanwhile.
#[derive(Debug, Clone)]
pub struct ReadOnlyDisk {
    inner: Arc<dyn Disk>,
    made: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// A file that nothing is appended to.
#[derive(Debug)]
struct ReadOnlyFile {
    inner: Arc<dyn Disk>,
    path: PathBuf,
}

impl DiskFile for ReadOnlyFile {
    fn append(&self, _bytes: &[u8]) -> io::Result<()> {
        refused()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _length: u64) -> io::Result<()> {
        refused()
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.file_length(&self.path)
    }
}

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl ReadOnlyDisk {
    /// `inner`, for reading only.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>) -> ReadOnlyDisk {
        ReadOnlyDisk {
            inner,
            made: Arc::default(),
        }
    }
}

impl Disk for ReadOnlyDisk {
    fn create(&self, _path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        refused()
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.inner.file_length(path)?;
        Ok(Arc::new(ReadOnlyFile {
            inner: Arc::clone(&self.inner),
            path: path.to_owned(),
        }))
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        self.inner.map(path)
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_length(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        match self.inner.list(dir) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && self.made.lock().contains(dir) =>
            {
                Ok(Vec::new())
            }
            listed => listed,
        }
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.made.lock().insert(dir.to_owned());
        Ok(())
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn hard_link(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_file(&self, _path: &Path) -> io::Result<()> {
        refused()
    }

    fn remove_dir_all(&self, _dir: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }

    fn lock(&self, _path: &Path) -> io::Result<Box<dyn DiskLock>> {
        refused()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn nothing_changes() {
        let memory = MemoryDisk::new();
        let dir = Path::new("/d");
        memory.create_dir_all(dir).unwrap();
        let (old, new) = (dir.join("old"), dir.join("new"));
        memory.create(&old).unwrap().append(b"abc").unwrap();
        let disk = ReadOnlyDisk::new(Arc::new(memory.clone()));
        for result in [
            disk.create(&old).map(drop),
            disk.create(&new).map(drop),
            disk.open_append(&old).unwrap().append(b"d"),
            disk.open_append(&old).unwrap().truncate(1),
            disk.rename(&old, &new),
            disk.hard_link(&old, &new),
            disk.remove_file(&old),
            disk.remove_dir_all(dir),
            disk.lock(&new).map(drop),
        ] {
            let kind = result.unwrap_err().kind();
            assert_eq!(kind, io::ErrorKind::ReadOnlyFilesystem);
        }
        let file = disk.open_append(&old).unwrap();
        assert_eq!((file.length().unwrap(), file.sync().is_ok()), (3, true));
        assert!(disk.open_append(&new).is_err());
        assert!(disk.list(&dir.join("sub")).is_err());
        disk.create_dir_all(&dir.join("sub")).unwrap();
        assert_eq!(disk.list(&dir.join("sub")).unwrap(), []);
        assert_eq!(&disk.map(&old).unwrap()[..], b"abc");
        assert_eq!(memory.files(), [old]);
        assert_eq!(disk.list(dir).unwrap().len(), 1);
    }
}
