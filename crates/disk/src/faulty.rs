//! A disk that lets one operation fail, or tells of each before it happens.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::{Disk, DiskFile, DiskLock, Entry, Mapping, Space};

/// Operations that change the disk and can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Creating or emptying a file.
    Create,
    /// Appending.
    Write,
    /// Syncing a file or a folder.
    Sync,
    /// Renaming.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Removing a file or a folder.
    Remove,
    /// Cutting a file.
    Truncate,
}

/// What happens at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It fails and changes nothing; later ones work.
    Fail,
    /// A write leaves half of its bytes and fails; others just fail. Later ones work.
    Tear,
    /// As `Tear`, and nothing works from then on: the process is as good as dead.
    Dead,
    /// It fails with "no space left"; later ones work.
    Full,
}

/// Is told of an operation that is about to happen.
struct Watch(Box<dyn Fn(Op) + Send + Sync>);

impl fmt::Debug for Watch {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Watch")
    }
}

#[derive(Debug)]
struct Plan {
    at: u64,
    fault: Fault,
    watch: Option<Watch>,
    seen: AtomicU64,
    dead: AtomicBool,
}

impl Plan {
    /// What to do with the next operation.
    fn next(&self, op: Op) -> Option<Fault> {
        if let Some(Watch(watch)) = &self.watch {
            watch(op);
        }
        if self.dead.load(SeqCst) {
            return Some(Fault::Fail);
        }
        let hit = self.seen.fetch_add(1, SeqCst) == self.at;
        if hit && self.fault == Fault::Dead {
            self.dead.store(true, SeqCst);
        }
        hit.then_some(self.fault)
    }

    fn check(&self, op: Op) -> io::Result<()> {
        match self.next(op) {
            None => Ok(()),
            Some(fault) => Err(error_of(fault, op)),
        }
    }
}

fn error_of(fault: Fault, op: Op) -> io::Error {
    match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other(format!("injected fault at {op:?}")),
    }
}

/// Another disk with one fault in it. Reading never fails.
#[derive(Debug, Clone)]
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn DiskFile>,
    plan: Arc<Plan>,
}

impl FaultyDisk {
    /// `inner`, where the changing operation number `at` (from 0) has `fault`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, at: u64, fault: Fault) -> FaultyDisk {
        FaultyDisk::planned(inner, at, fault, None)
    }

    /// `inner` without a fault, where `watch` is called before each changing operation: it may
    /// let other threads go first.
    #[must_use]
    pub fn watched(inner: Arc<dyn Disk>, watch: impl Fn(Op) + Send + Sync + 'static) -> FaultyDisk {
        let watch = Watch(Box::new(watch));
        FaultyDisk::planned(inner, u64::MAX, Fault::Fail, Some(watch))
    }

    fn planned(inner: Arc<dyn Disk>, at: u64, fault: Fault, watch: Option<Watch>) -> FaultyDisk {
        let plan = Arc::new(Plan {
            at,
            fault,
            watch,
            seen: AtomicU64::new(0),
            dead: AtomicBool::new(false),
        });
        FaultyDisk { inner, plan }
    }

    /// Changing operations seen so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.plan.seen.load(SeqCst)
    }

    fn wrap(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        let plan = Arc::clone(&self.plan);
        Arc::new(FaultyFile { inner, plan })
    }
}

impl DiskFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        match self.plan.next(Op::Write) {
            None => self.inner.append(bytes),
            Some(fault) => {
                if matches!(fault, Fault::Tear | Fault::Dead) {
                    self.inner.append(&bytes[..bytes.len() / 2])?;
                }
                Err(error_of(fault, Op::Write))
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.plan.check(Op::Sync)?;
        self.inner.sync()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.plan.check(Op::Truncate)?;
        self.inner.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.inner.length()
    }
}

impl Disk for FaultyDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.plan.check(Op::Create)?;
        Ok(self.wrap(self.inner.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(self.inner.open_append(path)?))
    }

    fn map(&self, path: &Path) -> io::Result<Mapping> {
        self.inner.map(path)
    }

    fn file_length(&self, path: &Path) -> io::Result<u64> {
        self.inner.file_length(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.plan.check(Op::Create)?;
        self.inner.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.check(Op::Rename)?;
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.check(Op::Link)?;
        self.inner.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.plan.check(Op::Remove)?;
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.plan.check(Op::Remove)?;
        self.inner.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.plan.check(Op::Sync)?;
        self.inner.sync_dir(dir)
    }

    fn space(&self, path: &Path) -> io::Result<Space> {
        self.inner.space(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.inner.lock(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;

    #[test]
    fn faults_hit_their_operation_only() {
        for (fault, left, later_works) in [
            (Fault::Fail, "", true),
            (Fault::Tear, "ab", true),
            (Fault::Dead, "ab", false),
            (Fault::Full, "", true),
        ] {
            let memory = MemoryDisk::new();
            let disk = FaultyDisk::new(Arc::new(memory.clone()), 2, fault);
            disk.create_dir_all(Path::new("/d")).unwrap();
            let file = disk.create(Path::new("/d/a")).unwrap();
            let error = file.append(b"abcd").unwrap_err();
            assert_eq!(crate::is_disk_full(&error), fault == Fault::Full);
            assert_eq!(&memory.map(Path::new("/d/a")).unwrap()[..], left.as_bytes());
            assert_eq!(file.sync().is_ok(), later_works, "{fault:?}");
        }
    }
}
