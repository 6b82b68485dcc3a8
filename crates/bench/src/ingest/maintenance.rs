//! What a server costs while it writes a block and merges blocks.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::Instant;

use super::{IngestResult, metrics};
use crate::ask::now_ms;
use crate::preload::PreloadOptions;
use crate::process::{Server, usage_of};

const HOUR_MS: i64 = 3_600_000;
/// Span of new blocks.
const BLOCK_MS: i64 = 2 * HOUR_MS;
/// How often memory is looked at.
const POLL: Duration = Duration::from_millis(20);
/// The first maintenance comes a minute after the start and takes some more.
const MAINTENANCE_MAX: Duration = Duration::from_secs(600);
/// After so much time without another block, there is nothing more to do.
const QUIET: Duration = Duration::from_secs(10);

/// Span of the blocks that small ones are merged into with 15 days of retention.
const MERGED_MS: i64 = 18 * HOUR_MS;
/// So much history lies behind the end of a merged block's time: then nothing more comes for it.
const BEHIND_MS: i64 = 5 * HOUR_MS;
/// So much of a merged block's time is filled.
const MERGEABLE_MS: i64 = 4 * HOUR_MS;

/// Hours of history after which the server has blocks to merge: that hangs on the time of day.
pub(super) fn hours_to_merge() -> u64 {
    let now_ms = now_ms();
    let end_ms = (now_ms - BEHIND_MS).div_euclid(MERGED_MS) * MERGED_MS;
    ((now_ms - end_ms + MERGEABLE_MS) as u64).div_ceil(HOUR_MS as u64)
}

/// A history that leaves a block to write, and blocks to merge if it is long enough.
pub(super) fn history(hours: u64, interval_s: u64) -> PreloadOptions {
    let end_ms = now_ms();
    let interval_ms = interval_s as i64 * 1_000;
    PreloadOptions {
        end_ms,
        rows: hours * HOUR_MS as u64 / interval_ms as u64,
        interval_ms,
        // Until then the head spans more than one hour and at most three.
        maintained_to_ms: end_ms - BLOCK_MS,
        block_ms_max: BLOCK_MS,
    }
}

/// A block that a server wrote.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    level: u64,
    samples: u64,
    bytes: u64,
}

/// What the first maintenance of a server did and cost.
#[derive(Debug)]
pub(super) struct Maintained {
    blocks: Vec<Written>,
    /// Until the last block was written.
    cpu_s: f64,
    rss_before_bytes: u64,
    rss_peak_bytes: u64,
}

/// Waits until the server has done what is due.
pub(super) async fn watch(server: &Server, folder: &Path) -> anyhow::Result<Maintained> {
    let there = blocks(folder)?;
    let before = server.usage()?;
    let mut steady_cpu_s = before.cpu_s;
    let mut done = Maintained {
        blocks: Vec::new(),
        cpu_s: 0.0,
        rss_before_bytes: before.rss_bytes,
        rss_peak_bytes: before.rss_bytes,
    };
    let began = Instant::now();
    let mut last_change = None;
    let mut seen = BTreeMap::new();
    while last_change.is_none_or(|at: Instant| at.elapsed() < QUIET) {
        if began.elapsed() > MAINTENANCE_MAX {
            bail!("{} has written no block", server.name);
        }
        for _ in 0..50 {
            let usage = usage_of(server.pid())?;
            if !is_writing(folder)? && last_change.is_none() {
                steady_cpu_s = usage.cpu_s;
                done.rss_before_bytes = usage.rss_bytes;
            }
            done.rss_peak_bytes = done.rss_peak_bytes.max(usage.rss_bytes);
            if is_writing(folder)? {
                last_change = Some(Instant::now());
                done.cpu_s = usage.cpu_s - steady_cpu_s;
            }
            tokio::time::sleep(POLL).await;
        }
        // Blocks that are merged go again; each is looked at while it is there.
        seen.extend(blocks(folder)?);
    }
    seen.retain(|name, _| !there.contains_key(name));
    done.blocks = seen.into_values().collect();
    // The log is cut in the same turn; it is small beside the blocks.
    let metrics = metrics(server).await?;
    let failed = metrics.get("prometheus_tsdb_compactions_failed_total");
    if failed.is_some_and(|&count| count > 0.0) {
        bail!("{} could not write its blocks", server.name);
    }
    Ok(done)
}

/// Whether a block is being written.
fn is_writing(folder: &Path) -> anyhow::Result<bool> {
    let mut entries = std::fs::read_dir(folder)?;
    Ok(entries.any(|entry| {
        entry.is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "tmp"))
    }))
}

/// Bytes of a block's files, but for those of the head that it links: these were written, and
/// counted, as chunks.
fn written_bytes(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_string_lossy().starts_with("chunks.") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// The blocks in a folder by name.
fn blocks(folder: &Path) -> anyhow::Result<BTreeMap<String, Written>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A block may be gone before its files are read.
        let Ok(meta) = std::fs::read(path.join("meta.json")) else {
            continue;
        };
        if name.contains('.') {
            continue;
        }
        let Ok(bytes) = written_bytes(&path) else {
            continue;
        };
        let meta: serde_json::Value =
            serde_json::from_slice(&meta).with_context(|| format!("{name}: meta.json"))?;
        let written = Written {
            level: meta["compaction"]["level"].as_u64().unwrap_or(0),
            samples: meta["stats"]["numSamples"].as_u64().unwrap_or(0),
            bytes,
        };
        found.insert(name.into_owned(), written);
    }
    Ok(found)
}

/// How often a sample is merged with 15 days of retention: into a block of 18 hours.
const MERGES: f64 = 1.0;

impl Maintained {
    /// Prints the figures, and what a sample of `scraped` costs the disk in all.
    pub(super) fn write(&self, scraped: &IngestResult, out: &mut impl Write) -> anyhow::Result<()> {
        let sum = |merged: bool| {
            let of_kind = self
                .blocks
                .iter()
                .filter(|block| (block.level > 1) == merged);
            let add = |a: Written, b: &Written| Written {
                level: b.level,
                samples: a.samples + b.samples,
                bytes: a.bytes + b.bytes,
            };
            of_kind.fold(Written::default(), add)
        };
        let (flushed, merged) = (sum(false), sum(true));
        let per_sample = |of: Written| of.bytes as f64 / of.samples.max(1) as f64;
        writeln!(
            out,
            "blocks: {} million samples flushed at {:.2} B, {} million merged at {:.2} B, {:.1} CPU-s",
            flushed.samples / 1_000_000,
            per_sample(flushed),
            merged.samples / 1_000_000,
            per_sample(merged),
            self.cpu_s
        )?;
        let before_mb = self.rss_before_bytes as f64 / 1e6;
        let peak_mb = self.rss_peak_bytes as f64 / 1e6;
        writeln!(
            out,
            "memory while blocks were written: {before_mb:.1} MB before, {peak_mb:.1} MB at most, {:.2} times",
            peak_mb / before_mb
        )?;
        if merged.samples == 0 {
            return Ok(());
        }
        let log = scraped.disk_bytes_per_sample;
        let blocks = per_sample(flushed) + MERGES * per_sample(merged);
        writeln!(
            out,
            "disk in all: {log:.2} B a sample for log and head, {blocks:.2} B for one flush and {MERGES} merge: {:.2} B",
            log + blocks
        )?;
        Ok(())
    }
}
