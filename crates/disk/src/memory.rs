//! A file system in memory that knows what a power cut would leave.
//!
//! Every file has its bytes and the bytes of its last sync; every folder has its entries and those
//! of its last sync, and a folder is an entry of the one above it. A killed process keeps the
//! former. [`MemoryDisk::power_cut`] goes back to the latter, which is the strictest reading of
//! what a file system promises; [`MemoryDisk::power_cut_by`] keeps some of what was not synced, as
//! real disks do: each file and each folder has all of it or nothing.

mod tree;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile, DiskLock, Entry, Mapping, Space};
use tree::{Content, FileNode, Tree};

/// Files in memory, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<Tree>>);

#[derive(Debug)]
struct MemoryFile {
    node: FileNode,
    disk: MemoryDisk,
}

#[derive(Debug)]
struct MemoryLock {
    path: PathBuf,
    disk: MemoryDisk,
}

impl DiskLock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.disk.0.lock().locks.remove(&self.path);
    }
}

impl MemoryDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> MemoryDisk {
        MemoryDisk::default()
    }

    /// From now on the disk holds at most so many bytes; `None` for no end.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity_bytes = bytes;
    }

    /// What is left after the power went: of folders the entries, of files the bytes that were
    /// synced.
    pub fn power_cut(&self) {
        self.power_cut_by(&mut || false);
    }

    /// As [`MemoryDisk::power_cut`], but every file and folder for which `keeps` says so has what
    /// was not synced, too.
    pub fn power_cut_by(&self, keeps: &mut dyn FnMut() -> bool) {
        self.0.lock().power_cut(keeps);
    }

    /// A copy that shares nothing: the state of the disk at this moment, without locks.
    #[must_use]
    pub fn fork(&self) -> MemoryDisk {
        let copy = self.0.lock().deep_copy();
        MemoryDisk(Arc::new(Mutex::new(copy)))
    }

    /// Paths of all files, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.lock().files()
    }

    /// Changes a file's bytes behind everybody's back: decay of the medium.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        if let Ok(node) = self.0.lock().file(path) {
            let mut content = node.lock();
            change(&mut content.bytes);
            content.synced = content.bytes.clone();
        }
    }

    fn opened(&self, node: FileNode) -> Arc<dyn DiskFile> {
        let disk = self.clone();
        Arc::new(MemoryFile { node, disk })
    }
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let tree = self.disk.0.lock();
        let room = tree
            .capacity_bytes
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(tree.used()));
        let take = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.node.lock().bytes.extend_from_slice(&bytes[..take]);
        if take < bytes.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut content = self.node.lock();
        let Content { bytes, synced } = &mut *content;
        if synced.len() <= bytes.len() && bytes.starts_with(synced) {
            let from = synced.len();
            synced.extend_from_slice(&bytes[from..]);
        } else {
            synced.clone_from(bytes);
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        self.node.lock().bytes.resize(length, 0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.node.lock().bytes.len() as u64)
    }
}

impl Disk for MemoryDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let node = self.0.lock().create(path)?;
        Ok(self.opened(node))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let node = self.0.lock().file(path)?;
        Ok(self.opened(node))
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        let node = self.0.lock().file(path)?;
        let bytes = node.lock().bytes.clone();
        Ok(Mapping::held(bytes))
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        let node = self.0.lock().file(path)?;
        let length = node.lock().bytes.len();
        Ok(length as u64)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.0.lock().list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.lock().hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.0.lock().remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.lock().sync_dir(dir)
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let tree = self.0.lock();
        let total_bytes = tree.capacity_bytes.unwrap_or(1 << 40);
        let free_bytes = total_bytes.saturating_sub(tree.used());
        Ok(Space {
            total_bytes,
            free_bytes,
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        if !self.0.lock().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let (path, disk) = (path.to_owned(), self.clone());
        Ok(Box::new(MemoryLock { path, disk }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(disk: &MemoryDisk, path: &str, text: &str) -> Arc<dyn DiskFile> {
        let file = disk.create(Path::new(path)).unwrap();
        file.append(text.as_bytes()).unwrap();
        file
    }

    fn text(disk: &MemoryDisk, path: &str) -> String {
        let bytes = disk.map(Path::new(path)).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_power_cut_leaves_what_was_synced() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/d/tmp");
        disk.create_dir_all(dir).unwrap();
        let file = write(&disk, "/d/tmp/a", "one");
        file.sync().unwrap();
        file.append(b"two").unwrap();
        let left = |what: &str| {
            let cut = disk.fork();
            cut.power_cut();
            let files = cut.files();
            if let Some(path) = files.first() {
                assert_eq!(text(&cut, path.to_str().unwrap()), "one", "{what}");
            }
            files
        };
        let none: Vec<PathBuf> = Vec::new();
        assert_eq!(left("no entry"), none);
        disk.sync_dir(dir).unwrap();
        assert_eq!(left("no entry of the folder itself"), none);
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(left("nor of that above"), none);
        disk.sync_dir(Path::new("/")).unwrap();
        assert_eq!(left("whole"), [PathBuf::from("/d/tmp/a")]);
        disk.rename(dir, Path::new("/d/done")).unwrap();
        assert_eq!(left("renamed"), [PathBuf::from("/d/tmp/a")]);
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(left("renamed for good"), [PathBuf::from("/d/done/a")]);
        disk.remove_dir_all(Path::new("/d/done")).unwrap();
        assert_eq!(left("removed"), [PathBuf::from("/d/done/a")]);
        disk.sync_dir(Path::new("/d")).unwrap();
        assert_eq!(left("removed for good"), none);
    }

    #[test]
    fn a_power_cut_may_leave_more() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk.sync_dir(Path::new("/")).unwrap();
        write(&disk, "/d/a", "one");
        let mut seen = std::collections::BTreeSet::new();
        for coins in 0..8 {
            let cut = disk.fork();
            let mut at = 0;
            cut.power_cut_by(&mut || {
                at += 1;
                coins >> (at - 1) & 1 == 1
            });
            let files = cut.files();
            seen.insert(files.first().map(|_| text(&cut, "/d/a")));
        }
        let want = [None, Some(String::new()), Some("one".to_owned())];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), want);
    }

    #[test]
    fn a_link_is_the_same_file() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let (a, b) = (Path::new("/d/a"), Path::new("/d/b"));
        write(&disk, "/d/a", "one");
        disk.hard_link(a, b).unwrap();
        let again = disk.hard_link(a, b).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        disk.remove_file(a).unwrap();
        assert_eq!(text(&disk, "/d/b"), "one");
        assert!(disk.hard_link(a, b).is_err() && disk.hard_link(b, Path::new("/x/b")).is_err());
        let fork = disk.fork();
        disk.damage(b, |bytes| bytes.push(b'!'));
        assert_eq!(
            (&*text(&disk, "/d/b"), &*text(&fork, "/d/b")),
            ("one!", "one")
        );
    }

    #[test]
    fn renaming_replaces_files_and_spares_folders() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d/full/x")).unwrap();
        write(&disk, "/d/a", "new");
        write(&disk, "/d/b", "old");
        disk.rename(Path::new("/d/a"), Path::new("/d/b")).unwrap();
        assert_eq!(text(&disk, "/d/b"), "new");
        disk.create_dir_all(Path::new("/d/c")).unwrap();
        let over = disk.rename(Path::new("/d/c"), Path::new("/d/full"));
        assert_eq!(over.unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
        disk.rename(Path::new("/d/full"), Path::new("/d/c"))
            .unwrap();
        assert!(disk.list(Path::new("/d/c/x")).is_ok() && disk.list(Path::new("/d/full")).is_err());
    }

    #[test]
    fn is_full_when_it_is_full() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        disk.set_capacity(Some(4));
        let file = disk.create(Path::new("/d/a")).unwrap();
        let error = file.append(b"12345").unwrap_err();
        assert!(crate::is_disk_full(&error));
        assert_eq!(file.length().unwrap(), 4);
        assert_eq!(disk.space(Path::new("/d")).unwrap().free_bytes, 0);
        disk.remove_file(Path::new("/d/a")).unwrap();
        assert_eq!(disk.space(Path::new("/d")).unwrap().free_bytes, 4);
    }
}
