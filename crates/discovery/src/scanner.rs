//! One look at all files of a file discovery: what the globs find is read, and what fails keeps
//! what it had.
//!
//! A file is read again only if its stamp (size, times, inode) is another or too young to tell, so
//! that a look at a folder where much else happens costs a few system calls.
//!
//! Blocking, and without a task of its own: the provider decides when to look.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::{FileSdConfig, TargetGroup};

use crate::groups::{self, Stamp};
use crate::metrics::FileMetrics;

/// A file that cannot be used now. Its last good targets stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    /// The file, as the glob found it.
    pub path: PathBuf,
    /// Why, with the place if it is about the content.
    pub reason: String,
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The groups of all files that have targets, in the order of the globs.
    pub(crate) groups: Vec<Arc<TargetGroup>>,
    /// The files that failed.
    pub(crate) errors: Vec<FileError>,
}

/// What is known of one file.
#[derive(Debug, Default)]
struct FileState {
    groups: Vec<Arc<TargetGroup>>,
    error: Option<String>,
    /// When it was read; `None` if it has to be read again whatever its stamp is.
    stamp: Option<Stamp>,
}

/// Looks, and remembers what it saw last.
pub(crate) struct Scanner {
    patterns: Vec<String>,
    files: BTreeMap<PathBuf, FileState>,
    metrics: FileMetrics,
    clock: clock::SharedClock,
}

impl Scanner {
    /// A scanner that saw nothing yet but takes `last_good` groups for files that fail at first:
    /// a provider that replaces another must not lose what that one still had.
    pub(crate) fn new(
        config: &FileSdConfig,
        last_good: &[Arc<TargetGroup>],
        metrics: FileMetrics,
        clock: clock::SharedClock,
    ) -> Scanner {
        let mut files: BTreeMap<PathBuf, FileState> = BTreeMap::new();
        for group in last_good {
            if let Some((path, _)) = group.source.rsplit_once(':') {
                let state = files.entry(PathBuf::from(path)).or_default();
                state.groups.push(Arc::clone(group));
            }
        }
        Scanner {
            patterns: config.files.clone(),
            files,
            metrics,
            clock,
        }
    }

    /// Reads all files that are there now.
    pub(crate) fn scan(&mut self) -> Found {
        let start = self.clock.monotonic();
        let mut found = Found::default();
        let mut before = std::mem::take(&mut self.files);
        for path in self.paths() {
            if self.files.contains_key(&path) {
                continue;
            }
            let state = before.remove(&path).unwrap_or_default();
            let state = self.look_at(&path, state);
            let with_targets = state
                .groups
                .iter()
                .filter(|group| !group.targets.is_empty());
            found.groups.extend(with_targets.cloned());
            if let Some(reason) = &state.error {
                found.errors.push(FileError {
                    path: path.clone(),
                    reason: reason.clone(),
                });
            }
            self.files.insert(path, state);
        }
        for path in before.keys() {
            self.metrics.forget(&path.to_string_lossy());
        }
        let took = self.clock.monotonic().saturating_sub(start);
        self.metrics.scan_duration.observe(took.as_secs_f64());
        found
    }

    /// The files that were there at the last look.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.keys().map(PathBuf::as_path)
    }

    /// Forgets the numbers of all files, when the provider ends.
    pub(crate) fn forget_metrics(&self) {
        for path in self.files.keys() {
            self.metrics.forget(&path.to_string_lossy());
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for pattern in &self.patterns {
            match config::glob(pattern) {
                Ok(found) => paths.extend(found),
                Err(error) => tracing::error!(glob = pattern, err = %error, "Error expanding glob"),
            }
        }
        paths
    }

    /// Reads one file, if it is not the same as before. Groups that did not change stay the same allocation, so that readers can
    /// tell at a glance.
    fn look_at(&self, path: &Path, state: FileState) -> FileState {
        if state.stamp.is_some() && state.stamp == Stamp::at(path) {
            return state;
        }
        let now_ns = self.clock.now_ns();
        match groups::read(path) {
            Ok((groups, stamp)) => {
                self.metrics.read(&path.to_string_lossy(), stamp.mtime_s());
                let mut before = state.groups.into_iter();
                let groups = groups.into_iter().map(|group| match before.next() {
                    Some(old) if *old == group => old,
                    _ => Arc::new(group),
                });
                FileState {
                    groups: groups.collect(),
                    error: None,
                    stamp: stamp.is_settled(now_ns).then_some(stamp),
                }
            }
            Err(reason) => {
                self.metrics.read_errors.inc();
                tracing::error!(path = %path.display(), err = reason, "Error reading file");
                FileState {
                    error: Some(reason),
                    stamp: None,
                    ..state
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    struct Bench {
        folder: tempfile::TempDir,
        scanner: Scanner,
        registry: telemetry::Registry,
    }

    impl Bench {
        fn new(patterns: &[&str]) -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let files = patterns
                .iter()
                .map(|pattern| folder.path().join(pattern).to_str().unwrap().to_owned());
            let config = FileSdConfig {
                files: files.collect(),
                refresh_interval_ms: 1_000,
            };
            let clock = clock::SystemClock::shared();
            let registry = telemetry::Registry::new(Arc::clone(&clock));
            let scanner = Scanner::new(&config, &[], FileMetrics::new(&registry), clock);
            Bench {
                folder,
                scanner,
                registry,
            }
        }

        fn write(&self, name: &str, content: &str) {
            fs::write(self.folder.path().join(name), content).unwrap();
        }

        fn remove(&self, name: &str) {
            fs::remove_file(self.folder.path().join(name)).unwrap();
        }

        /// The targets of each group, and how many files failed.
        fn scan(&mut self) -> (Vec<String>, usize) {
            let found = self.scanner.scan();
            let groups = found.groups.iter().map(|group| group.targets.join(","));
            (groups.collect(), found.errors.len())
        }

        fn exposed(&self, line: &str) -> bool {
            let mut text = String::new();
            self.registry.expose(&mut text);
            text.lines().any(|l| l == line)
        }
    }

    const A: &str = r#"[{"targets":["a:1"]},{"targets":["a:2","a:3"]}]"#;

    #[test]
    fn files_come_and_go() {
        let mut bench = Bench::new(&["*.json", "b.yml"]);
        assert_eq!(bench.scan(), (vec![], 0));
        bench.write("a.json", A);
        bench.write("b.yml", "- targets: [b:1]\n");
        assert_eq!(
            bench.scan(),
            (vec!["a:1".into(), "a:2,a:3".into(), "b:1".into()], 0)
        );
        // A group less, then a file less.
        bench.write("a.json", r#"[{"targets":["a:1"]}]"#);
        assert_eq!(bench.scan(), (vec!["a:1".into(), "b:1".into()], 0));
        bench.remove("a.json");
        assert_eq!(bench.scan(), (vec!["b:1".into()], 0));
        bench.write("b.yml", "- targets: []\n");
        assert_eq!(bench.scan(), (vec![], 0));
    }

    /// T39: an error is no reason to stop scraping.
    #[test]
    fn a_broken_file_keeps_its_last_good_targets() {
        let mut bench = Bench::new(&["*.json"]);
        bench.write("a.json", A);
        let good = bench.scan();
        for broken in ["", "[", "[{\"target\":[]}]", "[null]"] {
            bench.write("a.json", broken);
            assert_eq!(bench.scan(), (good.0.clone(), 1), "{broken}");
        }
        assert!(bench.exposed("prometheus_sd_file_read_errors_total 4"));
        // Another file is not affected, and the broken one may be removed.
        bench.write("b.json", r#"[{"targets":["b:1"]}]"#);
        assert_eq!(bench.scan().0.last().unwrap(), "b:1");
        bench.remove("a.json");
        assert_eq!(bench.scan(), (vec!["b:1".into()], 0));
        bench.write("a.json", A);
        assert_eq!(bench.scan().1, 0);
    }

    #[test]
    fn a_dangling_link_keeps_its_last_good_targets() {
        let mut bench = Bench::new(&["t.json"]);
        bench.write("real", A);
        let link = bench.folder.path().join("t.json");
        symlink(bench.folder.path().join("real"), &link).unwrap();
        let good = bench.scan();
        assert_eq!(good.0.len(), 2);
        bench.remove("real");
        assert_eq!(bench.scan(), (good.0, 1));
        fs::remove_file(link).unwrap();
        assert_eq!(bench.scan(), (vec![], 0));
    }

    #[test]
    fn what_did_not_change_is_the_same() {
        let mut bench = Bench::new(&["*.json"]);
        bench.write("a.json", A);
        let first = bench.scanner.scan();
        bench.write("a.json", r#"[{"targets":["a:1"]},{"targets":["a:9"]}]"#);
        let second = bench.scanner.scan();
        assert!(Arc::ptr_eq(&first.groups[0], &second.groups[0]));
        assert_ne!(first.groups[1], second.groups[1]);
    }

    #[test]
    fn a_settled_file_is_not_read_again() {
        let mut bench = Bench::new(&["a.json"]);
        let path = bench.folder.path().join("a.json");
        bench.write("a.json", A);
        let now_ms = clock::SystemClock::shared().now_ms();
        let address = |scanner: &Scanner| scanner.files[&path].groups.as_ptr();
        // Just written: its times cannot tell yet, so that it is read each time.
        bench.scan();
        let first = address(&bench.scanner);
        bench.scan();
        assert_ne!(address(&bench.scanner), first);
        // A minute later it is read once more, and then no longer.
        bench.scanner.clock = clock::ManualClock::at_ms(now_ms + 60_000);
        bench.scan();
        let settled = address(&bench.scanner);
        bench.scan();
        assert_eq!(address(&bench.scanner), settled);
        // Another content of the same size.
        bench.write("a.json", &A.replace("a:1", "a:7"));
        assert_eq!(bench.scan().0, ["a:7", "a:2,a:3"]);
        // A broken file is read each time, and counted.
        bench.write("a.json", "[");
        assert_eq!((bench.scan().1, bench.scan().1), (1, 1));
        assert!(bench.exposed("prometheus_sd_file_read_errors_total 2"));
    }

    #[test]
    fn a_file_that_two_globs_find_counts_once() {
        let mut bench = Bench::new(&["*.json", "a.json"]);
        bench.write("a.json", A);
        assert_eq!(bench.scan().0.len(), 2);
    }

    #[test]
    fn a_successor_starts_with_what_there_was() {
        let mut bench = Bench::new(&["*.json"]);
        bench.write("a.json", A);
        let good = bench.scanner.scan();
        bench.write("a.json", "[");
        let config = FileSdConfig {
            files: bench.scanner.patterns.clone(),
            refresh_interval_ms: 2_000,
        };
        let metrics = bench.scanner.metrics.clone();
        let clock = Arc::clone(&bench.scanner.clock);
        let mut successor = Scanner::new(&config, &good.groups, metrics, clock);
        let found = successor.scan();
        assert_eq!(found.groups, good.groups);
        assert_eq!(found.errors.len(), 1);
    }

    #[test]
    fn files_have_their_times() {
        let mut bench = Bench::new(&["*.json"]);
        bench.write("a.json", A);
        let path = bench.folder.path().join("a.json");
        let when = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .set_modified(when)
            .unwrap();
        bench.scan();
        let line = format!(
            "prometheus_sd_file_mtime_seconds{{filename=\"{}\"}} 1.7e+09",
            path.display()
        );
        assert!(bench.exposed(&line));
        bench.remove("a.json");
        bench.scan();
        assert!(!bench.exposed(&line));
    }
}
