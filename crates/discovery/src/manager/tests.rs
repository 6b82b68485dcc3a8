//! On real files, with real events: each wait ends as soon as what it waits for is there.

use super::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Far more than an event takes, on a machine that is busy with other tests.
const WAIT_MAX: Duration = Duration::from_secs(20);

/// Long enough that only events can be the cause.
const NO_POLLING_MS: i64 = 3_600_000;

struct Bench {
    folder: tempfile::TempDir,
    manager: DiscoveryManager,
    registry: Registry,
    sets: watch::Receiver<Arc<TargetSets>>,
}

impl Bench {
    fn new() -> Bench {
        let clock = clock::SystemClock::shared();
        let registry = Registry::new(Arc::clone(&clock));
        let manager = DiscoveryManager::new("scrape", clock, &registry);
        let sets = manager.subscribe();
        Bench {
            folder: tempfile::tempdir().unwrap(),
            manager,
            registry,
            sets,
        }
    }

    fn write(&self, name: &str, targets: &[&str]) {
        let list: Vec<String> = targets.iter().map(|target| format!("{target:?}")).collect();
        self.write_text(name, &format!("[{{\"targets\": [{}]}}]", list.join(",")));
    }

    fn write_text(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn file_sd(&self, pattern: &str, refresh_interval_ms: i64) -> FileSdConfig {
        let path = self.folder.path().join(pattern);
        FileSdConfig {
            files: vec![path.to_str().unwrap().to_owned()],
            refresh_interval_ms,
        }
    }

    /// A job that takes its targets from `*.json` of the folder.
    fn job(&self, name: &str) -> ScrapeConfig {
        ScrapeConfig {
            job_name: name.to_owned(),
            file_sd_configs: vec![self.file_sd("*.json", NO_POLLING_MS)],
            ..ScrapeConfig::default()
        }
    }

    fn apply(&self, jobs: Vec<ScrapeConfig>) {
        self.manager.apply_config(&Config {
            scrape_configs: jobs,
            ..Config::default()
        });
    }

    /// All targets of a job, as published now.
    fn targets(&self, job: &str) -> Vec<String> {
        let sets = self.sets.borrow();
        let groups = sets.get(job).into_iter().flatten();
        groups.flat_map(|group| group.targets.clone()).collect()
    }

    async fn wait_for(&mut self, job: &str, targets: &[&str]) {
        let reached = tokio::time::timeout(WAIT_MAX, async {
            while self.targets(job) != targets {
                self.sets.changed().await.unwrap();
            }
        });
        assert!(
            reached.await.is_ok(),
            "{:?} instead of {targets:?}",
            self.targets(job)
        );
    }

    fn exposed(&self) -> String {
        let mut text = String::new();
        self.registry.expose(&mut text);
        text
    }
}

fn static_job(name: &str, targets: &[&str]) -> ScrapeConfig {
    ScrapeConfig {
        job_name: name.to_owned(),
        static_configs: vec![TargetGroup {
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            source: "0".to_owned(),
            ..TargetGroup::default()
        }],
        ..ScrapeConfig::default()
    }
}

#[tokio::test]
async fn static_targets_are_there_at_once() {
    let bench = Bench::new();
    bench.apply(vec![static_job("a", &["a:1", "a:2"]), static_job("b", &[])]);
    assert_eq!(bench.targets("a"), ["a:1", "a:2"]);
    // A job without targets has an entry, so that readers drop what it had.
    assert!(bench.sets.borrow().contains_key("b"));
    let exposed = bench.exposed();
    for line in [
        "prometheus_sd_discovered_targets{name=\"scrape\",config=\"a\"} 2",
        "prometheus_sd_discovered_targets{name=\"scrape\",config=\"b\"} 0",
        "prometheus_sd_failed_configs{name=\"scrape\"} 0",
        "prometheus_sd_updates_total{name=\"scrape\"} 1",
    ] {
        assert!(exposed.lines().any(|l| l == line), "{line} in\n{exposed}");
    }
    bench.apply(vec![static_job("a", &["a:1"])]);
    assert_eq!(bench.targets("a"), ["a:1"]);
    assert!(!bench.sets.borrow().contains_key("b"));
    assert!(!bench.exposed().contains("config=\"b\""));
}

#[tokio::test]
async fn a_reload_keeps_what_it_does_not_change() {
    let bench = Bench::new();
    bench.write("a.json", &["f:1"]);
    bench.apply(vec![bench.job("a"), static_job("s", &["s:1"])]);
    let first = Arc::clone(&bench.sets.borrow());
    let provider = Arc::downgrade(&bench.manager.shared.jobs.lock()["a"].files[0]);
    // The same file discovery for another job: one provider serves both.
    bench.apply(vec![
        bench.job("a"),
        bench.job("b"),
        static_job("s", &["s:1"]),
    ]);
    let second = Arc::clone(&bench.sets.borrow());
    assert_eq!(provider.strong_count(), 2);
    assert!(Arc::ptr_eq(&first["s"][0], &second["s"][0]));
    assert!(Arc::ptr_eq(&first["a"][0], &second["b"][0]));
    bench.apply(vec![static_job("s", &["s:1"])]);
    assert_eq!(provider.strong_count(), 0);
}

#[tokio::test]
async fn files_are_read_before_a_reload_returns() {
    let bench = Bench::new();
    bench.write("a.json", &["f:1"]);
    bench.apply(vec![bench.job("a")]);
    assert_eq!(bench.targets("a"), ["f:1"]);
    // Another provider, whose file is broken, takes over what the old one still knew.
    bench.write_text("a.json", "[");
    let mut job = bench.job("a");
    job.file_sd_configs[0].refresh_interval_ms += 1;
    bench.apply(vec![job]);
    assert_eq!(bench.targets("a"), ["f:1"]);
    let errors = bench.manager.file_errors();
    assert_eq!(errors["a"].len(), 1);
    assert!(errors["a"][0].path.ends_with("a.json"));
    assert!(errors["a"][0].reason.contains("line 1"));
}

#[tokio::test]
async fn changes_are_noticed() {
    let mut bench = Bench::new();
    bench.apply(vec![bench.job("a")]);
    assert_eq!(bench.targets("a"), [""; 0]);
    // Made, written in place, replaced by a rename, broken and mended, removed.
    bench.write("a.json", &["a:1"]);
    bench.wait_for("a", &["a:1"]).await;
    bench.write("a.json", &["a:1", "a:2"]);
    bench.wait_for("a", &["a:1", "a:2"]).await;
    bench.write("a.tmp", &["a:3"]);
    let path = |name: &str| bench.folder.path().join(name);
    fs::rename(path("a.tmp"), path("a.json")).unwrap();
    bench.wait_for("a", &["a:3"]).await;
    bench.write_text("a.json", "[{");
    bench.write("b.json", &["b:1"]);
    bench.wait_for("a", &["a:3", "b:1"]).await;
    assert_eq!(bench.manager.file_errors()["a"].len(), 1);
    let path = bench.folder.path().join("a.json");
    fs::remove_file(path).unwrap();
    bench.wait_for("a", &["b:1"]).await;
    assert!(bench.manager.file_errors().is_empty());
}

/// How Kubernetes updates a mounted configuration: the file is a link through `..data`, which is
/// swapped by a rename.
#[tokio::test]
async fn a_swapped_link_is_noticed() {
    let mut bench = Bench::new();
    let root = bench.folder.path().to_path_buf();
    for (version, target) in [("v1", "a:1"), ("v2", "a:2")] {
        fs::create_dir(root.join(version)).unwrap();
        bench.write(&format!("{version}/t.json"), &[target]);
    }
    symlink("v1", root.join("..data")).unwrap();
    symlink("..data/t.json", root.join("t.json")).unwrap();
    bench.apply(vec![bench.job("a")]);
    assert_eq!(bench.targets("a"), ["a:1"]);
    symlink("v2", root.join("..data_tmp")).unwrap();
    fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    bench.wait_for("a", &["a:2"]).await;
    // And what the link leads to is watched as well.
    bench.write("v2/t.json", &["a:3"]);
    bench.wait_for("a", &["a:3"]).await;
}

#[tokio::test]
async fn a_folder_may_come_later() {
    let mut bench = Bench::new();
    let mut job = bench.job("a");
    job.file_sd_configs = vec![bench.file_sd("later/on/*.json", NO_POLLING_MS)];
    bench.apply(vec![job]);
    let make = |bench: &Bench, target: &str| {
        fs::create_dir_all(bench.folder.path().join("later/on")).unwrap();
        bench.write("later/on/t.json", &[target]);
    };
    make(&bench, "a:1");
    bench.wait_for("a", &["a:1"]).await;
    fs::remove_dir_all(bench.folder.path().join("later")).unwrap();
    bench.wait_for("a", &[]).await;
    make(&bench, "a:2");
    bench.wait_for("a", &["a:2"]).await;
}

/// A write through another link of the same file is no event in the folder.
#[tokio::test]
async fn what_events_miss_polling_finds() {
    let mut bench = Bench::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = elsewhere.path().join("t");
    bench.write("t.json", &["a:1"]);
    fs::hard_link(bench.folder.path().join("t.json"), &other).unwrap();
    let mut job = bench.job("a");
    job.file_sd_configs = vec![bench.file_sd("t.json", 20)];
    bench.apply(vec![job]);
    rewrite(&other, "[{\"targets\": [\"a:2\"]}]");
    bench.wait_for("a", &["a:2"]).await;
}

fn rewrite(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[tokio::test]
async fn after_the_end_nothing_changes() {
    let bench = Bench::new();
    bench.write("a.json", &["a:1"]);
    bench.apply(vec![bench.job("a")]);
    let provider = Arc::downgrade(&bench.manager.shared.jobs.lock()["a"].files[0]);
    bench.manager.stop();
    assert_eq!(provider.strong_count(), 0);
    assert_eq!(bench.targets("a"), ["a:1"]);
}

/// T39: a source that changes all the time is passed on at most every five seconds, a change after
/// a quiet time at once.
#[tokio::test(start_paused = true)]
async fn updates_are_throttled() {
    let mut bench = Bench::new();
    bench.apply(vec![static_job("a", &["a:0"])]);
    let shared = Arc::clone(&bench.manager.shared);
    let mut number = 0;
    let mut change = || {
        number += 1;
        let group = TargetGroup {
            targets: vec![format!("a:{number}")],
            ..TargetGroup::default()
        };
        let mut jobs = shared.jobs.lock();
        jobs.get_mut("a").unwrap().static_groups = vec![Arc::new(group)];
        drop(jobs);
        shared.changed.notify_one();
    };
    bench.sets.borrow_and_update();
    let mut pauses_ms = Vec::new();
    for _ in 0..16 {
        let start = Instant::now();
        change();
        bench.sets.changed().await.unwrap();
        bench.sets.borrow_and_update();
        pauses_ms.push(start.elapsed().as_millis());
    }
    assert_eq!(pauses_ms[..4], [0, 100, 150, 225]);
    assert!(pauses_ms.iter().is_sorted());
    assert_eq!(*pauses_ms.last().unwrap(), 5_000);
    tokio::time::sleep(PAUSE_MAX * 2).await;
    let start = Instant::now();
    change();
    bench.sets.changed().await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}
