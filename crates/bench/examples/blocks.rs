//! Memory while a block is flushed and blocks are merged, own heap and mapped files apart:
//! `cargo run --profile bench-fast -p bench --example blocks -- FOLDER [HOSTS [HOURS]]`.
//!
//! FOLDER is filled with the fleet's samples if it does not exist; what is measured works on a copy
//! of it, which is removed afterwards. Resident memory is looked at every two milliseconds.

#![allow(clippy::print_stdout, reason = "a tool that prints")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bench::backfill::WINDOW_MS;
use bench::fleet::FleetOptions;
use bench::preload::{PreloadOptions, preload};
use bench::server::FleetServer;
use clock::ManualClock;
use tsdb::block::{Block, PageCache, Ulid, merge_blocks};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A multiple of a block's span.
const END_MS: i64 = 1_700_006_400_000;
const INTERVAL_MS: i64 = 15_000;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: i64| {
        let text = arguments.get(at);
        text.map_or(Ok(default), |text| text.parse().context("a number"))
    };
    let folder = Path::new(arguments.first().context("which folder?")?);
    let (hosts, hours) = (number(1, 450)?, number(2, 7)?);
    let end_ms = END_MS + WINDOW_MS / 2 + 60_000;
    if !folder.exists() {
        fill(folder, usize::try_from(hosts)?, hours, end_ms)?;
    }
    let copy = PathBuf::from(format!("{}.copy", folder.display()));
    std::fs::create_dir(&copy).context("create the copy")?;
    copy_all(folder, &copy)?;
    let measured = measure(&copy, end_ms);
    std::fs::remove_dir_all(&copy)?;
    measured
}

fn fill(folder: &Path, hosts: usize, hours: i64, end_ms: i64) -> anyhow::Result<()> {
    let options = FleetOptions {
        hosts,
        churn: 0.0005,
        ..FleetOptions::default()
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let fleet = runtime.block_on(FleetServer::start(&options, Duration::ZERO))?;
    let options = PreloadOptions {
        maintained_to_ms: end_ms - WINDOW_MS,
        block_ms_max: WINDOW_MS,
        ..PreloadOptions::of((hours * 3_600_000 / INTERVAL_MS) as u64, end_ms)
    };
    println!("{:?}", preload(&fleet, folder, options)?);
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            std::fs::create_dir(&target)?;
            copy_all(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn measure(folder: &Path, end_ms: i64) -> anyhow::Result<()> {
    let clock: clock::SharedClock = ManualClock::at_ms(end_ms);
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let mut options = tsdb::Options::new(folder);
    options.background = false;
    options.block_duration_max_ms = WINDOW_MS;
    let disk = disk::RealDisk::shared();
    let db = tsdb::Db::open(Arc::clone(&disk), options, clock, &registry)?;
    println!(
        "{:>24} {:>9} {:>9} {:>9}  time",
        "MB", "own", "files", "both"
    );
    // Blocks of the folder, not the one that the flush writes.
    let cache = PageCache::new(32 << 20);
    let mut blocks = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.join("meta.json").exists() {
            blocks.push(Block::open(&*disk, &path, &cache)?);
        }
    }
    blocks.sort_by_key(|block| block.meta().min_time);
    std::thread::sleep(Duration::from_secs(2));
    watch("flush", || db.maintain());
    watch("idle for 12 s", || {
        std::thread::sleep(Duration::from_secs(12));
    });
    let to = folder.join("merged");
    std::fs::create_dir(&to)?;
    let merged = watch(&format!("merge of {}", blocks.len()), || {
        merge_blocks(&*disk, &to, Ulid::new(0), &blocks)
    })?;
    println!("{:?}", merged.map(|meta| meta.stats));
    Ok(())
}

/// Resident bytes of the process: own ones, and those of files.
fn resident_bytes() -> [u64; 2] {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["RssAnon:", "RssFile:"].map(|name| {
        let line = text.lines().find(|line| line.starts_with(name));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
    })
}

/// Does something and prints the memory before, and the most while it is done.
fn watch<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let row = |what: &str, [own, files]: [u64; 2], both: u64, time: Duration| {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        println!(
            "{what:>24} {:>9.1} {:>9.1} {:>9.1}  {time:.1?}",
            mb(own),
            mb(files),
            mb(both)
        );
    };
    let before = resident_bytes();
    let most = [const { AtomicU64::new(0) }; 3];
    let done = AtomicBool::new(false);
    let began = Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let [own, files] = resident_bytes();
                for (most, now) in most.iter().zip([own, files, own + files]) {
                    most.fetch_max(now, Relaxed);
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        let result = work();
        done.store(true, Relaxed);
        result
    });
    row(
        &format!("before {what}"),
        before,
        before.iter().sum(),
        Duration::ZERO,
    );
    let [own, files, both] = most.map(|most| most.load(Relaxed));
    row(
        &format!("most in {what}"),
        [own, files],
        both,
        began.elapsed(),
    );
    result
}
