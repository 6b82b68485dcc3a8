//! A data set in Promontory's blocks: written as a server writes them, two hours at a time, and
//! merged into one.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use disk::{Disk as _, RealDisk};
use storage::{Samples, Series as _};
use tsdb::block::{
    Block, BlockMeta, BlockParams, Compaction, PageCache, SAMPLES_AT_FLUSH, Ulid, merge_blocks,
    remove_block, write_block,
};

use super::data::{DataSet, Slice};
use super::rates::cpu_s;

/// What a block spans when it is cut from the head.
const WINDOW_MS: i64 = 2 * 3_600_000;
const CACHE_BYTES: usize = 32 << 20;
/// The kernel counts time of threads by ticks: less cannot be told.
const TICK_S: f64 = 0.004;

/// What it took.
#[derive(Debug)]
pub(super) struct Ours {
    /// Bytes of the blocks of two hours, all files.
    pub(super) flushed_bytes: u64,
    /// Bytes of the merged block, all files.
    pub(super) bytes: u64,
    /// Bytes of its index.
    pub(super) index_bytes: u64,
    /// CPU seconds of merging, which decodes all once and encodes all once.
    pub(super) merge_s: f64,
    /// CPU seconds of reading every series of the merged block.
    pub(super) read_s: f64,
    pub(super) block: Arc<Block>,
}

/// Writes `data` into `folder`, merges it and checks that every bit comes back.
pub(super) fn measure(data: &DataSet, folder: &Path) -> anyhow::Result<Ours> {
    let (first_ms, last_ms) = data.span_ms().context("no samples")?;
    let mut blocks = Vec::new();
    let mut from_ms = first_ms.div_euclid(WINDOW_MS) * WINDOW_MS;
    while from_ms <= last_ms {
        blocks.extend(write(data, folder, (from_ms, from_ms + WINDOW_MS))?);
        from_ms += WINDOW_MS;
    }
    let flushed_bytes = blocks.iter().map(|block| block.size_bytes()).sum();
    let began = cpu_s();
    let merged = merge_blocks(&RealDisk, folder, Ulid::new(last_ms), &blocks)?.context("empty")?;
    let merge_s = (cpu_s() - began).max(TICK_S);
    for block in blocks {
        remove_block(&RealDisk, &folder.join(block.meta().ulid.to_string()))?;
    }
    let block = open(folder, &merged)?;
    let began = cpu_s();
    let read = read_all(&block)?;
    let read_s = (cpu_s() - began).max(TICK_S);
    ensure!(read == data.sample_count(), "{read} samples came back");
    check(data, &block)?;
    Ok(Ours {
        flushed_bytes,
        bytes: disk::size_of_dir(&RealDisk, folder)?,
        index_bytes: block.index_bytes(),
        merge_s,
        read_s,
        block,
    })
}

fn write(
    data: &DataSet,
    folder: &Path,
    (min_ms, max_ms): (i64, i64),
) -> anyhow::Result<Option<Arc<Block>>> {
    RealDisk.create_dir_all(folder)?;
    let params = BlockParams {
        ulid: Ulid::new(max_ms),
        min_ms,
        max_ms,
        compaction: Compaction::default(),
        samples_per_chunk_max: SAMPLES_AT_FLUSH,
    };
    let mut source = Slice::new(data, min_ms, max_ms);
    let meta = write_block(&RealDisk, folder, &params, &mut source)?;
    meta.map(|meta| open(folder, &meta)).transpose()
}

fn open(folder: &Path, meta: &BlockMeta) -> anyhow::Result<Arc<Block>> {
    let cache = PageCache::new(CACHE_BYTES);
    Ok(Block::open(
        &RealDisk,
        &folder.join(meta.ulid.to_string()),
        &cache,
    )?)
}

/// Reads every series; gives how many samples there are.
fn read_all(block: &Arc<Block>) -> anyhow::Result<usize> {
    let mut samples = Samples::default();
    let mut count = 0;
    for series in block.select(&[], i64::MIN, i64::MAX, 0)? {
        samples.clear();
        series.read(i64::MIN, i64::MAX, &mut samples)?;
        count += samples.len();
    }
    Ok(count)
}

/// Compares every bit.
fn check(data: &DataSet, block: &Arc<Block>) -> anyhow::Result<()> {
    let mut series = block.select(&[], i64::MIN, i64::MAX, 0)?;
    series.sort_by(|a, b| a.labels().cmp(b.labels()));
    let mut samples = Samples::default();
    for target in &data.targets {
        for column in &target.series {
            let at = series
                .binary_search_by(|s| s.labels().cmp(&column.labels))
                .ok()
                .with_context(|| format!("{} is missing", column.labels))?;
            samples.clear();
            series[at].read(i64::MIN, i64::MAX, &mut samples)?;
            let same_values = samples.values.len() == column.values.len()
                && samples
                    .values
                    .iter()
                    .zip(&column.values)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
            let same_times = match &column.scrapes {
                None => samples.timestamps == target.timestamps,
                Some(scrapes) => {
                    let times = scrapes.iter().map(|&s| target.timestamps[s as usize]);
                    samples.timestamps.iter().copied().eq(times)
                }
            };
            ensure!(same_values && same_times, "{} differs", column.labels);
        }
    }
    Ok(())
}
