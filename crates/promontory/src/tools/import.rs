//! `tsdb import`: all samples of a stopped Prometheus into a data folder of ours.
//!
//! A block becomes a block of the same name, what is in no block yet becomes blocks of two hours.
//! Blocks are written one after the other, each whole or not at all; one that is there already, or
//! that went into another one, is passed over. So the command can be stopped and started again, and
//! a second run does nothing. The source is only read.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use disk::{Disk, RealDisk};
use model::Labels;
use promblock::{DataDir, Head};
use storage::StorageStatus as _;
use tsdb::block::{
    Block, BlockMeta, BlockParams, Compaction, PageCache, SAMPLES_AT_COMPACTION, Ulid, write_block,
};

use super::arguments::Arguments;
use super::convert::{Conversion, HeadPart, Origin};
use super::inspect::block_folders;

/// Span of the blocks made of a head.
pub(super) const HEAD_BLOCK_MS: i64 = 2 * 3_600_000;
/// Blocks are opened to look into their `meta.json` only.
const CACHE_BYTES: usize = 1 << 20;
/// A server that is started without a flag keeps so much.
const DEFAULT_RETENTION_DAYS: i64 = 15;
const DAY_MS: i64 = 24 * 3_600_000;
/// The bar of a terminal is drawn anew after so many series.
const SERIES_A_DRAW: usize = 256;

/// What an import did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) written: usize,
    pub(super) passed_over: usize,
    pub(super) samples: u64,
    /// Histograms that were left out.
    pub(super) left_out: u64,
}

/// A block that is to be written.
struct Plan {
    ulid: Ulid,
    min_ms: i64,
    end_ms: i64,
    compaction: Compaction,
    /// `None` for a part of the head.
    source: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let [source] = arguments.rest.as_slice() else {
        bail!("required argument 'prometheus data folder' not provided");
    };
    let without_histograms = arguments.has("without-histograms");
    let target = arguments.path();
    let done = import(Path::new(source), &target, without_histograms, out)?;
    writeln!(
        out,
        "{} blocks written, {} there already, {} samples, {} histograms left out",
        done.written, done.passed_over, done.samples, done.left_out
    )?;
    Ok(())
}

/// Copies all of `source` into `target`.
pub(super) fn import(
    source: &Path,
    target: &Path,
    without_histograms: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Done> {
    let data = DataDir::open(&RealDisk, source)?;
    let head = data.open_head(&RealDisk)?;
    for damage in data.damage().iter().chain(head.damage()) {
        writeln!(out, "damaged, and read as far as possible: {damage}")?;
    }
    if head.unknown_histogram_count() > 0 && !without_histograms {
        bail!("the log has histograms of a schema that is not known");
    }
    let mut plans = Vec::new();
    for block in data.blocks() {
        plans.push(plan_block(block)?);
    }
    plans.extend(plan_head(&head)?);
    RealDisk
        .create_dir_all(target)
        .with_context(|| format!("create {}", target.display()))?;
    check_head(target, plans.iter().map(|plan| plan.end_ms).max())?;
    let lock = target.join("lock");
    let _lock = RealDisk
        .lock(&lock)
        .with_context(|| format!("lock {} (is a server running?)", lock.display()))?;

    let mut known = known_blocks(target)?;
    let mut done = Done::default();
    let count = plans.len();
    for (at, plan) in plans.iter().enumerate() {
        let sources = &plan.compaction.sources;
        let is_known = !sources.is_empty() && sources.iter().all(|ulid| known.contains(ulid));
        if is_known || known.contains(&plan.ulid) {
            done.passed_over += 1;
            continue;
        }
        let title = format!("block {} of {count}, {}", at + 1, plan.ulid);
        let meta = match &plan.source {
            Some(path) => {
                let block = promblock::Block::open(&RealDisk, path)?;
                write(target, plan, &block, without_histograms, &title, &mut done)
            }
            None => {
                let part = HeadPart {
                    head: &head,
                    min_ms: plan.min_ms,
                    end_ms: plan.end_ms,
                };
                write(target, plan, &part, without_histograms, &title, &mut done)
            }
        };
        let meta = meta.with_context(|| title.clone())?;
        if let Some(meta) = meta {
            let stats = meta.stats;
            let (series, samples) = (stats.num_series, stats.num_samples);
            writeln!(out, "{title}: {series} series, {samples} samples")?;
            known.insert(meta.ulid);
            known.extend(meta.compaction.sources);
        }
    }
    say_retention(&plans, out)?;
    Ok(done)
}

fn ulid(text: &str) -> anyhow::Result<Ulid> {
    text.parse()
        .with_context(|| format!("{text:?} is no name of a block"))
}

/// The block's times are those of its chunks too: what it says of itself may be narrower.
fn plan_block(dir: &promblock::BlockDir) -> anyhow::Result<Plan> {
    let meta = &dir.meta;
    let (mut min_ms, mut end_ms) = (meta.min_time, meta.max_time);
    let block = dir.open(&RealDisk)?;
    for series in block.series() {
        if let Some((first, last)) = series?.times_ms() {
            min_ms = min_ms.min(first);
            end_ms = end_ms.max(last.saturating_add(1));
        }
    }
    let sources = meta
        .compaction
        .sources
        .iter()
        .map(|source| ulid(&source.to_string()));
    Ok(Plan {
        ulid: ulid(&meta.ulid.to_string())?,
        min_ms,
        end_ms,
        compaction: Compaction {
            level: meta.compaction.level,
            sources: sources.collect::<Result<_, _>>()?,
            ..Compaction::default()
        },
        source: Some(dir.path.clone()),
    })
}

/// Blocks of two hours, named by what is in them, so that the same head gives the same names.
fn plan_head(head: &Head) -> anyhow::Result<Vec<Plan>> {
    let mut windows = std::collections::BTreeMap::<i64, (u64, i64)>::new();
    for series in head.series() {
        for sample in head.samples(series)? {
            let at = sample.timestamp_ms;
            let window = windows
                .entry(at.div_euclid(HEAD_BLOCK_MS))
                .or_insert((0, at));
            *window = (window.0 + 1, window.1.max(at));
        }
    }
    let plan = |(number, (samples, last_ms)): (i64, (u64, i64))| {
        let min_ms = number * HEAD_BLOCK_MS;
        let what = format!("head {min_ms} {samples} {last_ms}");
        let hash = Labels::from_pairs([("content", what.as_str())]).stable_hash();
        let name = promblock::Ulid::new(min_ms.max(0).unsigned_abs(), u128::from(hash));
        Ok(Plan {
            ulid: ulid(&name.to_string())?,
            min_ms,
            // Not the end of the two hours: a server refuses, and forgets after a restart, what
            // is older than the end of its newest block, and it may be started at once.
            end_ms: last_ms.saturating_add(1),
            compaction: Compaction {
                level: 1,
                ..Compaction::default()
            },
            source: None,
        })
    };
    windows.into_iter().map(plan).collect()
}

/// A server takes what is older than its newest block for written and forgets it when it reads its
/// log, so what is in the log must not be older than what comes in.
pub(super) fn check_head(target: &Path, end_ms: Option<i64>) -> anyhow::Result<()> {
    if RealDisk.list(&target.join("wal")).is_err() {
        return Ok(());
    }
    let db = super::open(target)?;
    let stats = db.stats(0).head;
    db.close();
    let is_behind = end_ms.is_some_and(|end_ms| stats.min_time_ms < end_ms);
    if stats.max_time_ms >= stats.min_time_ms && is_behind {
        bail!(
            "{} has samples from {} on that are in no block yet, and the import has newer ones: \
             import into a new folder, before a server runs on it",
            target.display(),
            stats.min_time_ms
        );
    }
    Ok(())
}

/// Names of the blocks that are there, and of those that went into them.
fn known_blocks(target: &Path) -> anyhow::Result<BTreeSet<Ulid>> {
    let cache = PageCache::new(CACHE_BYTES);
    let mut known = BTreeSet::new();
    for dir in block_folders(target)? {
        let block = Block::open(&RealDisk, &dir, &cache)?;
        let meta = block.meta();
        known.insert(meta.ulid);
        known.extend(meta.compaction.sources.iter().copied());
        known.extend(meta.compaction.parents.iter().map(|parent| parent.ulid));
    }
    Ok(known)
}

fn write<O: Origin>(
    target: &Path,
    plan: &Plan,
    origin: &O,
    without_histograms: bool,
    title: &str,
    done: &mut Done,
) -> anyhow::Result<Option<BlockMeta>> {
    let params = BlockParams {
        ulid: plan.ulid,
        min_ms: plan.min_ms,
        max_ms: plan.end_ms,
        compaction: plan.compaction.clone(),
        samples_per_chunk_max: SAMPLES_AT_COMPACTION,
    };
    let mut bar = Bar::new(title, origin.series_count());
    let mut step = || bar.step();
    let mut source = Conversion::new(origin, without_histograms, &mut step)?;
    let meta = write_block(&RealDisk, target, &params, &mut source)?;
    let found = source.found;
    let written = meta.as_ref().map_or(0, |meta| meta.stats.num_samples);
    if written != found.samples {
        bail!("{} samples read, but {written} written", found.samples);
    }
    done.written += usize::from(meta.is_some());
    done.samples += found.samples;
    done.left_out += found.left_out;
    Ok(meta)
}

/// Old blocks would be gone with the first start of a server that keeps the default time.
fn say_retention(plans: &[Plan], out: &mut dyn Write) -> anyhow::Result<()> {
    let first = plans.iter().map(|plan| plan.min_ms).min();
    let end = plans.iter().map(|plan| plan.end_ms).max();
    let (Some(first), Some(end)) = (first, end) else {
        return Ok(());
    };
    let days = (end - first).div_euclid(DAY_MS) + 1;
    if days > DEFAULT_RETENTION_DAYS {
        writeln!(
            out,
            "start the server with --storage.tsdb.retention.time={days}d or more: \
             with {DEFAULT_RETENTION_DAYS}d, the default, it removes the oldest blocks"
        )?;
    }
    Ok(())
}

/// A line on the terminal that tells how far a block is; nothing where there is no terminal.
struct Bar<'a> {
    title: &'a str,
    total: usize,
    read: usize,
    is_shown: bool,
}

impl<'a> Bar<'a> {
    const WIDTH: usize = 40;

    fn new(title: &'a str, total: usize) -> Bar<'a> {
        Bar {
            title,
            total,
            read: 0,
            is_shown: std::io::stderr().is_terminal(),
        }
    }

    fn step(&mut self) {
        self.read += 1;
        if self.is_shown && self.read.is_multiple_of(SERIES_A_DRAW) {
            let filled = self.read * Self::WIDTH / self.total.max(1);
            let bar = "#".repeat(filled) + &" ".repeat(Self::WIDTH.saturating_sub(filled));
            eprint!("\r{}: [{bar}]", self.title);
        }
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        if self.is_shown {
            eprint!("\r\x1b[K");
        }
    }
}
