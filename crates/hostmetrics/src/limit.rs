//! How much memory this process may have: the machine's, or less if its control group says so.

use std::path::Path;

use crate::source::Source;

/// Where the first version of control groups keeps those of memory.
const FIRST_VERSION: &str = "/sys/fs/cgroup/memory";
/// Where the second version keeps all.
const SECOND_VERSION: &str = "/sys/fs/cgroup";

/// Bytes of memory that the process may have, if the kernel says: what the machine has, or the
/// smallest limit of the control groups that the process is in. `root` is the folder in which
/// `proc` and `sys` lie.
#[must_use]
pub fn memory_limit_bytes(root: &Path) -> Option<u64> {
    let source = Source::new(root.to_owned());
    let groups = source.read("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().filter_map(|line| group_limit(&source, line));
    limits.chain(machine_bytes(&source)).min()
}

fn machine_bytes(source: &Source) -> Option<u64> {
    let text = source.read("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// The smallest limit of a line's group and those above it: `0::/system.slice/x.service`, or
/// `4:memory:/x` in the first version.
fn group_limit(source: &Source, line: &str) -> Option<u64> {
    let mut parts = line.splitn(3, ':');
    let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
    let (folder, file) = match controllers {
        "" => (SECOND_VERSION, "memory.max"),
        list if list.split(',').any(|one| one == "memory") => {
            (FIRST_VERSION, "memory.limit_in_bytes")
        }
        _ => return None,
    };
    // In a container the path may be the one outside, which is not there; its end always is.
    let above = Path::new(path.trim_start_matches('/')).ancestors();
    let limits = above.filter_map(|group| {
        let file = Path::new(folder).join(group).join(file);
        // Without a limit it says `max`, or a number beyond any machine.
        source.read_line(file.to_str()?).ok()?.parse().ok()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_limit_counts() {
        let mib = 1 << 20;
        for (files, want) in [
            (&[][..], Some(8 << 30)),
            (
                &[
                    ("proc/self/cgroup", "0::/a/b\n"),
                    ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ],
                Some(8 << 30),
            ),
            (
                &[
                    ("proc/self/cgroup", "0::/a/b\n"),
                    ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                    ("sys/fs/cgroup/a/memory.max", "104857600\n"),
                ],
                Some(100 * mib),
            ),
            (
                &[
                    ("proc/self/cgroup", "0::/docker/f00\n"),
                    ("sys/fs/cgroup/memory.max", "209715200\n"),
                ],
                Some(200 * mib),
            ),
            (
                &[
                    (
                        "proc/self/cgroup",
                        "5:cpu,cpuacct:/x\n4:hugetlb,memory:/x\n0::/\n",
                    ),
                    (
                        "sys/fs/cgroup/memory/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                    ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1048576\n"),
                ],
                Some(mib),
            ),
            (&[("proc/meminfo", "nonsense")], None),
        ] {
            let root = tempfile::tempdir().unwrap();
            let meminfo = ("proc/meminfo", "MemTotal:  8388608 kB\nMemFree: 1 kB\n");
            for (path, text) in std::iter::once(&meminfo).chain(files) {
                let path = root.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            assert_eq!(memory_limit_bytes(root.path()), want, "{files:?}");
        }
        assert!(memory_limit_bytes(Path::new("/")).is_some());
    }
}
