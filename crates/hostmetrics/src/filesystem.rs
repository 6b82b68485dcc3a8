//! File systems.
//!
//! The kernel answers for a local file system at once, but for one behind a network only when its
//! server does, which may be never. Such mounts are asked on a thread of their own, are given
//! [`ANSWER_TIME_MAX`], and are not asked again before that thread has come back: a hanging mount
//! costs one waiting thread and one page's second, no more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use parking_lot::Mutex;

use crate::page::{Kind, Page};
use crate::source::{NoData, Source};

/// How long a page waits for one file system behind a network.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(1);

/// What a file system says about its room.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Room {
    pub(crate) size_bytes: f64,
    pub(crate) free_bytes: f64,
    pub(crate) avail_bytes: f64,
    pub(crate) files: f64,
    pub(crate) files_free: f64,
}

/// Asks the file system at a path.
pub(crate) type Ask = fn(&Path) -> Option<Room>;

#[derive(Debug)]
pub(crate) struct Filesystems {
    pub(crate) ask: Ask,
    pub(crate) answer_time_max: Duration,
    /// Mounts whose file systems have not answered yet.
    hanging: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Default for Filesystems {
    fn default() -> Self {
        Filesystems {
            ask,
            answer_time_max: ANSWER_TIME_MAX,
            hanging: Arc::default(),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a sample is a float; sizes beyond 2^53 bytes may lose their last digits"
)]
fn ask(path: &Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks as f64 * stat.f_frsize as f64;
    Some(Room {
        size_bytes: bytes(stat.f_blocks),
        free_bytes: bytes(stat.f_bfree),
        avail_bytes: bytes(stat.f_bavail),
        files: stat.f_files as f64,
        files_free: stat.f_ffree as f64,
    })
}

/// A line of the mount table.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    device: String,
    mountpoint: String,
    fstype: String,
    read_only: bool,
}

/// A gauge of a file system's room.
type RoomGauge = (&'static str, &'static str, fn(&Room) -> f64);

const ROOM_GAUGES: [RoomGauge; 5] = [
    (
        "node_filesystem_avail_bytes",
        "Room for users that are not privileged.",
        |room| room.avail_bytes,
    ),
    (
        "node_filesystem_files",
        "Files that there may be.",
        |room| room.files,
    ),
    (
        "node_filesystem_files_free",
        "Files that may still be made.",
        |room| room.files_free,
    ),
    ("node_filesystem_free_bytes", "Room.", |room| {
        room.free_bytes
    }),
    ("node_filesystem_size_bytes", "Size.", |room| {
        room.size_bytes
    }),
];

impl Filesystems {
    pub(crate) fn collect(&self, source: &Source, page: &mut Page<'_>) -> Result<(), NoData> {
        let table = source
            .read("/proc/1/mounts")
            .or_else(|_| source.read("/proc/self/mounts"))?;
        let mut seen = BTreeSet::new();
        let mounts: Vec<(Mount, Option<Room>)> = table
            .lines()
            .filter_map(mount)
            .filter(|mount| !is_left_out(mount))
            // Of mounts one over the other, only the uppermost can be seen.
            .filter(|mount| seen.insert((mount.device.clone(), mount.mountpoint.clone())))
            .map(|mount| {
                let room = self.room(source.path(&mount.mountpoint), &mount.fstype);
                (mount, room)
            })
            .collect();
        for (name, help, value) in ROOM_GAUGES {
            page.family(name, Kind::Gauge, help);
            for (mount, room) in &mounts {
                if let Some(room) = room {
                    page.sample(&mount.labels(), value(room));
                }
            }
        }
        page.family(
            "node_filesystem_device_error",
            Kind::Gauge,
            "Whether the file system did not answer.",
        );
        for (mount, room) in &mounts {
            page.sample(&mount.labels(), f64::from(u8::from(room.is_none())));
        }
        page.family(
            "node_filesystem_readonly",
            Kind::Gauge,
            "Whether nothing can be written.",
        );
        for (mount, _) in &mounts {
            page.sample(&mount.labels(), f64::from(u8::from(mount.read_only)));
        }
        Ok(())
    }

    fn room(&self, path: PathBuf, fstype: &str) -> Option<Room> {
        if !may_hang(fstype) {
            return (self.ask)(&path);
        }
        if !self.hanging.lock().insert(path.clone()) {
            return None;
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (ask, hanging) = (self.ask, Arc::clone(&self.hanging));
        let thread_path = path.clone();
        let thread = std::thread::Builder::new()
            .name("statvfs".to_owned())
            .spawn(move || {
                let room = ask(&thread_path);
                hanging.lock().remove(&thread_path);
                let _ = sender.send(room);
            });
        if thread.is_err() {
            self.hanging.lock().remove(&path);
            return None;
        }
        receiver.recv_timeout(self.answer_time_max).ok().flatten()
    }
}

impl Mount {
    fn labels(&self) -> [(&str, &str); 3] {
        [
            ("device", &self.device),
            ("fstype", &self.fstype),
            ("mountpoint", &self.mountpoint),
        ]
    }
}

fn mount(line: &str) -> Option<Mount> {
    let mut words = line.split_ascii_whitespace();
    Some(Mount {
        device: unescaped(words.next()?),
        mountpoint: unescaped(words.next()?),
        fstype: words.next()?.to_owned(),
        read_only: words.next()?.split(',').any(|option| option == "ro"),
    })
}

/// Blanks and backslashes are written in octal: `\040`.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let code = rest
            .get(at + 1..at + 4)
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .filter(u8::is_ascii);
        match code {
            Some(code) => {
                out.push(char::from(code));
                rest = &rest[at + 4..];
            }
            None => {
                out.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    out + rest
}

/// What has no room to speak of, or belongs to containers: node_exporter's default exclusions.
fn is_left_out(mount: &Mount) -> bool {
    const TYPES: [&str; 25] = [
        "autofs",
        "binfmt_misc",
        "bpf",
        "cgroup",
        "cgroup2",
        "configfs",
        "debugfs",
        "devpts",
        "devtmpfs",
        "erofs",
        "fusectl",
        "hugetlbfs",
        "iso9660",
        "mqueue",
        "nsfs",
        "overlay",
        "proc",
        "procfs",
        "pstore",
        "rpc_pipefs",
        "securityfs",
        "selinuxfs",
        "squashfs",
        "sysfs",
        "tracefs",
    ];
    const FOLDERS: [&str; 3] = ["/dev", "/proc", "/sys"];
    /// Below these, but not they themselves.
    const CONTENTS: [&str; 3] = [
        "/run/credentials/",
        "/var/lib/docker/",
        "/var/lib/containers/storage/",
    ];
    let point = mount.mountpoint.as_str();
    let is_in = |folder: &&str| {
        point
            .strip_prefix(folder)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    TYPES.contains(&mount.fstype.as_str())
        || FOLDERS.iter().any(is_in)
        || CONTENTS
            .iter()
            .any(|folder| point.len() > folder.len() && point.starts_with(folder))
}

/// Whether a file system of this type waits for someone who may not answer.
fn may_hang(fstype: &str) -> bool {
    fstype.starts_with("nfs")
        || fstype.starts_with("fuse")
        || matches!(
            fstype,
            "9p" | "afs"
                | "beegfs"
                | "ceph"
                | "cifs"
                | "glusterfs"
                | "gfs2"
                | "lustre"
                | "ocfs2"
                | "smb3"
                | "smbfs"
                | "virtiofs"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_lines() {
        let parsed = mount(r"/dev/x\134y /mnt/a\040b\011c ext4 rw,relatime,errors=ro 0 0").unwrap();
        assert_eq!(parsed.device, r"/dev/x\y");
        assert_eq!(parsed.mountpoint, "/mnt/a b\tc");
        assert!(!parsed.read_only);
        assert!(mount("tmpfs /a tmpfs ro,nosuid").unwrap().read_only);
        assert_eq!(mount("tmpfs /a tmpfs"), None);
        assert_eq!(unescaped(r"a\b\04"), r"a\b\04");
    }

    #[test]
    fn exclusions_are_node_exporter_s() {
        let left_out = |mountpoint: &str, fstype: &str| {
            is_left_out(&Mount {
                device: String::new(),
                mountpoint: mountpoint.to_owned(),
                fstype: fstype.to_owned(),
                read_only: false,
            })
        };
        for (mountpoint, fstype) in [
            ("/", "overlay"),
            ("/x", "cgroup2"),
            ("/dev", "tmpfs"),
            ("/dev/shm", "tmpfs"),
            ("/sys/fs", "tmpfs"),
            ("/run/credentials/systemd", "ramfs"),
            ("/var/lib/docker/volumes/x", "ext4"),
        ] {
            assert!(left_out(mountpoint, fstype), "{mountpoint} {fstype}");
        }
        for (mountpoint, fstype) in [
            ("/", "ext4"),
            ("/devel", "xfs"),
            ("/run", "tmpfs"),
            ("/var/lib/docker", "ext4"),
            ("/mnt", "nfs4"),
        ] {
            assert!(!left_out(mountpoint, fstype), "{mountpoint} {fstype}");
        }
    }

    #[test]
    fn a_hanging_mount_is_asked_once() {
        fn sleep(_: &Path) -> Option<Room> {
            std::thread::sleep(Duration::from_millis(100));
            None
        }
        let filesystems = Filesystems {
            ask: sleep,
            answer_time_max: Duration::from_millis(5),
            ..Filesystems::default()
        };
        assert_eq!(filesystems.room("/a".into(), "nfs4"), None);
        assert_eq!(filesystems.hanging.lock().len(), 1);
        // This one does not wait at all.
        assert_eq!(filesystems.room("/a".into(), "nfs4"), None);
        assert_eq!(filesystems.hanging.lock().len(), 1);
    }
}
