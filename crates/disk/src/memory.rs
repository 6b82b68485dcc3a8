//! A file system in memory that knows what a power cut would leave.
//!
//! Every file has its bytes and the bytes of its last sync; every folder has its entries and those
//! of its last sync. A killed process keeps the former; [`MemoryDisk::power_cut`] goes back to the
//! latter. Removing a folder is durable at once, which is kinder than a real disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::{Disk, DiskFile, DiskLock, Entry, Mapping, Space};

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
}

type Node = Arc<Mutex<Content>>;

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Node>,
    durable: BTreeMap<PathBuf, Node>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    capacity_bytes: Option<u64>,
}

impl State {
    fn used(&self) -> u64 {
        self.files
            .values()
            .map(|n| n.lock().bytes.len() as u64)
            .sum()
    }
}

/// Files in memory, shared by clones.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct MemoryFile {
    node: Node,
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

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
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

    /// What is left after the power went: synced bytes of files whose folder entry was synced.
    pub fn power_cut(&self) {
        let mut state = self.0.lock();
        state.files = state.durable.clone();
        for node in state.files.values() {
            let mut content = node.lock();
            content.bytes = content.synced.clone();
        }
        state.locks.clear();
    }

    /// A copy that shares nothing: the state of the disk at this moment, without locks.
    #[must_use]
    pub fn fork(&self) -> MemoryDisk {
        let state = self.0.lock();
        let mut nodes: BTreeMap<*const Mutex<Content>, Node> = BTreeMap::new();
        let mut copy = |map: &BTreeMap<PathBuf, Node>| {
            let mut out = BTreeMap::new();
            for (path, node) in map {
                let fresh = nodes.entry(Arc::as_ptr(node)).or_insert_with(|| {
                    let content = node.lock();
                    Arc::new(Mutex::new(Content {
                        bytes: content.bytes.clone(),
                        synced: content.synced.clone(),
                    }))
                });
                out.insert(path.clone(), Arc::clone(fresh));
            }
            out
        };
        let fork = State {
            files: copy(&state.files),
            durable: copy(&state.durable),
            dirs: state.dirs.clone(),
            locks: BTreeSet::new(),
            capacity_bytes: state.capacity_bytes,
        };
        MemoryDisk(Arc::new(Mutex::new(fork)))
    }

    /// Paths of all files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.0.lock().files.keys().cloned().collect()
    }

    /// Changes a file's bytes behind everybody's back: decay of the medium.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(node) = self.0.lock().files.get(path) {
            let mut content = node.lock();
            change(&mut content.bytes);
            content.synced = content.bytes.clone();
        }
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.0.lock().files.get(path).cloned().ok_or_else(not_found)
    }
}

impl DiskFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let state = self.disk.0.lock();
        let room = state
            .capacity_bytes
            .map_or(u64::MAX, |capacity| capacity.saturating_sub(state.used()));
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
        let node = Node::default();
        let mut state = self.0.lock();
        let parent = path.parent().unwrap_or(Path::new(""));
        if !state.dirs.contains(parent) {
            return Err(not_found());
        }
        state.files.insert(path.to_owned(), Arc::clone(&node));
        drop(state);
        let disk = self.clone();
        Ok(Arc::new(MemoryFile { node, disk }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let node = self.node(path)?;
        let disk = self.clone();
        Ok(Arc::new(MemoryFile { node, disk }))
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        Ok(Mapping::held(self.node(path)?.lock().bytes.clone()))
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        Ok(self.node(path)?.lock().bytes.len() as u64)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.0.lock();
        if !state.dirs.contains(dir) {
            return Err(not_found());
        }
        let mut entries = BTreeSet::new();
        let inside = |path: &Path| -> Option<String> {
            let rest = path.strip_prefix(dir).ok()?;
            let mut parts = rest.components();
            let first = parts.next()?;
            parts
                .next()
                .is_none()
                .then(|| first.as_os_str().to_string_lossy().into_owned())
        };
        for path in state.files.keys() {
            entries.extend(inside(path).map(|name| Entry {
                name,
                is_dir: false,
            }));
        }
        for path in &state.dirs {
            entries.extend(inside(path).map(|name| Entry { name, is_dir: true }));
        }
        Ok(entries.into_iter().collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        for above in dir.ancestors() {
            state.dirs.insert(above.to_owned());
        }
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if let Some(node) = state.files.remove(from) {
            state.files.insert(to.to_owned(), node);
            return Ok(());
        }
        if !state.dirs.contains(from) {
            return Err(not_found());
        }
        let moved = |path: &Path| path.strip_prefix(from).ok().map(|rest| join(to, rest));
        let files = std::mem::take(&mut state.files);
        state.files = files
            .into_iter()
            .map(|(path, node)| (moved(&path).unwrap_or(path), node))
            .collect();
        // What was durable inside the folder stays so under its new name once that is synced;
        // until then the old name holds it.
        let dirs = std::mem::take(&mut state.dirs);
        state.dirs = dirs
            .into_iter()
            .map(|path| moved(&path).unwrap_or(path))
            .collect();
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.node(from)?;
        let mut state = self.0.lock();
        if !to
            .parent()
            .is_some_and(|parent| state.dirs.contains(parent))
        {
            return Err(not_found());
        }
        if state.files.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.files.insert(to.to_owned(), node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let removed = self.0.lock().files.remove(path);
        removed.map(|_| ()).ok_or_else(not_found)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.dirs.contains(dir) {
            return Err(not_found());
        }
        state.files.retain(|path, _| !path.starts_with(dir));
        state.durable.retain(|path, _| !path.starts_with(dir));
        state.dirs.retain(|path| !path.starts_with(dir));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        if !state.dirs.contains(dir) {
            return Err(not_found());
        }
        // Whole subtrees: the entry of a renamed folder carries what is in it.
        let State { files, durable, .. } = &mut *state;
        let known: BTreeSet<PathBuf> = files.keys().cloned().collect();
        durable.retain(|path, _| !path.starts_with(dir) || known.contains(path));
        for (path, node) in files.iter().filter(|(path, _)| path.starts_with(dir)) {
            durable.insert(path.clone(), Arc::clone(node));
        }
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.0.lock();
        let total_bytes = state.capacity_bytes.unwrap_or(1 << 40);
        let free_bytes = total_bytes.saturating_sub(state.used());
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

fn join(base: &Path, rest: &Path) -> PathBuf {
    if rest.as_os_str().is_empty() {
        base.to_owned()
    } else {
        base.join(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_leaves_what_was_synced() {
        let disk = MemoryDisk::new();
        let dir = Path::new("/d/tmp");
        disk.create_dir_all(dir).unwrap();
        let file = disk.create(&dir.join("a")).unwrap();
        file.append(b"one").unwrap();
        file.sync().unwrap();
        file.append(b"two").unwrap();
        let cut = disk.fork();
        cut.power_cut();
        assert_eq!(cut.files(), Vec::<PathBuf>::new(), "entry was not synced");
        disk.sync_dir(dir).unwrap();
        disk.rename(dir, Path::new("/d/done")).unwrap();
        disk.sync_dir(Path::new("/d")).unwrap();
        disk.power_cut();
        assert_eq!(&disk.map(Path::new("/d/done/a")).unwrap()[..], b"one");
        assert_eq!(disk.list(Path::new("/d")).unwrap().len(), 1);
    }

    #[test]
    fn a_link_is_the_same_file() {
        let disk = MemoryDisk::new();
        disk.create_dir_all(Path::new("/d")).unwrap();
        let (a, b) = (Path::new("/d/a"), Path::new("/d/b"));
        let file = disk.create(a).unwrap();
        file.append(b"one").unwrap();
        disk.hard_link(a, b).unwrap();
        let again = disk.hard_link(a, b).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        disk.remove_file(a).unwrap();
        assert_eq!(&disk.map(b).unwrap()[..], b"one");
        assert!(disk.hard_link(a, b).is_err() && disk.hard_link(b, Path::new("/x/b")).is_err());
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
    }
}
