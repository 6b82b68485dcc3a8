//! Folders and files by number, and which of both are synced.
//!
//! A folder has two lists of entries: as they are, and as they were at its last sync. What neither
//! list of a reachable folder names is forgotten, unless it is open.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::Entry;

/// A file's bytes, and those of its last sync.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    pub(super) synced: Vec<u8>,
}

pub(super) type FileNode = Arc<Mutex<Content>>;

#[derive(Debug, Clone, Default)]
struct Dir {
    entries: BTreeMap<String, u64>,
    synced: BTreeMap<String, u64>,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Dir(Dir),
}

/// Number of the root folder, which is always there.
const ROOT: u64 = 0;

/// All of a disk.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) capacity_bytes: Option<u64>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree {
            nodes: BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]),
            next: ROOT + 1,
            locks: BTreeSet::new(),
            capacity_bytes: None,
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Names on the way from the root.
fn names(path: &Path) -> impl Iterator<Item = String> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    })
}

impl Tree {
    /// Bytes of all files that have a name.
    pub(super) fn used(&self) -> u64 {
        let mut total = 0;
        let mut counted = BTreeSet::new();
        self.walk(|_, id, file| {
            if counted.insert(id) {
                total += file.lock().bytes.len() as u64;
            }
        });
        total
    }

    /// Paths of all files, sorted.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        self.walk(|path, _, _| paths.push(path));
        paths.sort();
        paths
    }

    fn walk(&self, mut visit: impl FnMut(PathBuf, u64, &FileNode)) {
        let mut pending = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, id)) = pending.pop() {
            match &self.nodes[&id] {
                Node::File(file) => visit(path, id, file),
                Node::Dir(dir) => {
                    let below = dir.entries.iter();
                    pending.extend(below.map(|(name, id)| (path.join(name), *id)));
                }
            }
        }
    }

    fn find(&self, path: &Path) -> io::Result<u64> {
        let mut at = ROOT;
        for name in names(path) {
            let Node::Dir(dir) = &self.nodes[&at] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            at = *dir.entries.get(&name).ok_or_else(not_found)?;
        }
        Ok(at)
    }

    fn dir(&mut self, path: &Path) -> io::Result<&mut Dir> {
        let id = self.find(path)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// The folder that has `path`, and its name there.
    fn place(&mut self, path: &Path) -> io::Result<(&mut Dir, String)> {
        let name = names(path).last().ok_or_else(not_found)?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        Ok((self.dir(parent)?, name))
    }

    fn is_dir(&self, id: u64) -> bool {
        matches!(self.nodes[&id], Node::Dir(_))
    }

    fn add(&mut self, node: Node) -> u64 {
        let id = self.next;
        self.next += 1;
        self.nodes.insert(id, node);
        id
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &Path) -> io::Result<FileNode> {
        match &self.nodes[&self.find(path)?] {
            Node::File(file) => Ok(Arc::clone(file)),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    /// As [`crate::Disk::create`]: a file that exists is emptied, under all its names.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<FileNode> {
        if let Ok(file) = self.file(path) {
            file.lock().bytes.clear();
            return Ok(file);
        }
        self.place(path)?;
        let file = FileNode::default();
        let id = self.add(Node::File(Arc::clone(&file)));
        let (dir, name) = self.place(path)?;
        dir.entries.insert(name, id);
        Ok(file)
    }

    /// As [`crate::Disk::list`].
    pub(super) fn list(&mut self, path: &Path) -> io::Result<Vec<Entry>> {
        let entries = self.dir(path)?.entries.clone();
        let entry = |(name, id)| Entry {
            name,
            is_dir: self.is_dir(id),
        };
        Ok(entries.into_iter().map(entry).collect())
    }

    /// As [`crate::Disk::create_dir_all`].
    pub(super) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut above = PathBuf::from("/");
        for name in names(path) {
            let below = above.join(&name);
            if self.find(&below).is_err() {
                let id = self.add(Node::Dir(Dir::default()));
                self.dir(&above)?.entries.insert(name, id);
            }
            above = below;
        }
        self.dir(path).map(|_| ())
    }

    /// As [`crate::Disk::rename`].
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        self.place(to)?;
        if let Ok(there) = self.find(to)
            && let Node::Dir(dir) = &self.nodes[&there]
            && !(self.is_dir(id) && dir.entries.is_empty())
        {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = self.place(from)?;
        dir.entries.remove(&name);
        let (dir, name) = self.place(to)?;
        dir.entries.insert(name, id);
        self.collect();
        Ok(())
    }

    /// As [`crate::Disk::hard_link`].
    pub(super) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let id = self.find(from)?;
        let (dir, name) = self.place(to)?;
        if dir.entries.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        dir.entries.insert(name, id);
        Ok(())
    }

    /// As [`crate::Disk::remove_file`].
    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        self.file(path)?;
        let (dir, name) = self.place(path)?;
        dir.entries.remove(&name);
        self.collect();
        Ok(())
    }

    /// As [`crate::Disk::remove_dir_all`]: everything below is removed, one entry after the other.
    pub(super) fn remove_dir_all(&mut self, path: &Path) -> io::Result<()> {
        self.dir(path)?;
        let mut pending = vec![self.find(path)?];
        while let Some(id) = pending.pop() {
            if let Some(Node::Dir(dir)) = self.nodes.get_mut(&id) {
                pending.extend(std::mem::take(&mut dir.entries).into_values());
            }
        }
        let (dir, name) = self.place(path)?;
        dir.entries.remove(&name);
        self.collect();
        Ok(())
    }

    /// As [`crate::Disk::sync_dir`]: this folder's entries and nothing else.
    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let dir = self.dir(path)?;
        dir.synced = dir.entries.clone();
        self.collect();
        Ok(())
    }

    /// Forgets what is not synced, apart from files and folders for which `keeps` says otherwise.
    pub(super) fn power_cut(&mut self, keeps: &mut dyn FnMut() -> bool) {
        for node in self.nodes.values_mut() {
            match node {
                Node::Dir(dir) if dir.entries != dir.synced => {
                    if !keeps() {
                        dir.entries = dir.synced.clone();
                    }
                    dir.synced = dir.entries.clone();
                }
                Node::Dir(_) => {}
                Node::File(file) => {
                    let Content { bytes, synced } = &mut *file.lock();
                    if bytes != synced {
                        if !keeps() {
                            bytes.clone_from(synced);
                        }
                        synced.clone_from(bytes);
                    }
                }
            }
        }
        self.locks.clear();
        self.collect();
    }

    /// A copy that shares no file, without locks.
    pub(super) fn deep_copy(&self) -> Tree {
        let nodes = self.nodes.iter().map(|(id, node)| {
            let copy = match node {
                Node::Dir(dir) => Node::Dir(dir.clone()),
                Node::File(file) => {
                    let Content { bytes, synced } = &*file.lock();
                    let (bytes, synced) = (bytes.clone(), synced.clone());
                    Node::File(Arc::new(Mutex::new(Content { bytes, synced })))
                }
            };
            (*id, copy)
        });
        Tree {
            nodes: nodes.collect(),
            next: self.next,
            locks: BTreeSet::new(),
            capacity_bytes: self.capacity_bytes,
        }
    }

    /// Forgets what has no name any more, nor had one at the last sync.
    fn collect(&mut self) {
        let mut reached = BTreeSet::new();
        let mut pending = vec![ROOT];
        while let Some(id) = pending.pop() {
            if !reached.insert(id) {
                continue;
            }
            if let Node::Dir(Dir { entries, synced }) = &self.nodes[&id] {
                pending.extend(entries.values().chain(synced.values()));
            }
        }
        self.nodes.retain(|id, _| reached.contains(id));
    }
}
