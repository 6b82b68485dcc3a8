//! `tsdb export --format=prometheus`: all samples as blocks that Prometheus reads.
//!
//! Every block becomes a block (overlapping ones one together), the head's samples become blocks of
//! two hours. The folder that is written can be a data folder of Prometheus as it is.

use std::io::Write;
use std::path::Path;

use anyhow::{Context as _, bail};
use disk::{Disk, RealDisk};
use model::{FloatHistogram, Histogram, Labels};
use promblock::{BlockWriter, Sample, Value, WriterOptions};
use storage::{Queryable as _, Samples, SelectHints, StorageStatus as _};
use tsdb::Db;

use super::arguments::Arguments;
use super::import::HEAD_BLOCK_MS;

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let [target] = arguments.rest.as_slice() else {
        bail!("required argument 'new folder' not provided");
    };
    match arguments.last("format") {
        None | Some("prometheus") => {}
        Some(other) => bail!("enum value must be one of prometheus, got '{other}'"),
    }
    let samples = export(&arguments.path(), Path::new(target), out)?;
    writeln!(out, "{samples} samples written")?;
    Ok(())
}

/// Writes all of the data folder `source` into `target`, which must be empty or not be there.
pub(super) fn export(source: &Path, target: &Path, out: &mut dyn Write) -> anyhow::Result<u64> {
    if RealDisk
        .list(target)
        .is_ok_and(|entries| !entries.is_empty())
    {
        bail!("{} is not empty", target.display());
    }
    let db = super::open(source)?;
    // Prometheus's tools take a folder without a log for none of a server.
    RealDisk
        .create_dir_all(&target.join("wal"))
        .with_context(|| format!("create {}", target.display()))?;
    let mut total = 0;
    for (min_ms, end_ms) in ranges(&db) {
        total += export_range(&db, target, min_ms, end_ms, out)?;
    }
    db.close();
    Ok(total)
}

/// Stretches of time that do not overlap and hold all samples.
fn ranges(db: &Db) -> Vec<(i64, i64)> {
    let blocks = db.blocks();
    let mut spans: Vec<(i64, i64)> = blocks
        .iter()
        .map(|b| (b.min_time_ms, b.max_time_ms))
        .collect();
    let head = db.stats(0).head;
    if head.min_time_ms <= head.max_time_ms {
        let first = head.min_time_ms.div_euclid(HEAD_BLOCK_MS);
        let last = head.max_time_ms.div_euclid(HEAD_BLOCK_MS);
        spans.extend((first..=last).map(|n| (n * HEAD_BLOCK_MS, (n + 1) * HEAD_BLOCK_MS)));
    }
    spans.sort_unstable();
    let mut merged: Vec<(i64, i64)> = Vec::new();
    for (min_ms, end_ms) in spans {
        match merged.last_mut() {
            Some(last) if min_ms < last.1 => last.1 = last.1.max(end_ms),
            _ => merged.push((min_ms, end_ms)),
        }
    }
    merged
}

fn export_range(
    db: &Db,
    target: &Path,
    min_ms: i64,
    end_ms: i64,
    out: &mut dyn Write,
) -> anyhow::Result<u64> {
    let max_ms = end_ms - 1;
    let querier = db.querier(min_ms, max_ms)?;
    let hints = SelectHints {
        start_ms: min_ms,
        end_ms: max_ms,
        ..SelectHints::default()
    };
    let found = querier.select(true, &hints, &[])?;
    if let Some(warning) = found.warnings.first() {
        bail!("not all could be read: {warning}");
    }
    let time_ms = max_ms.max(0).unsigned_abs();
    let entropy = Labels::from_pairs([("from", min_ms.to_string().as_str())]).stable_hash();
    let ulid = promblock::Ulid::new(time_ms, u128::from(entropy));
    let mut writer = BlockWriter::create(&RealDisk, target, WriterOptions::new(ulid))?;
    let mut samples = Samples::default();
    for series in &found.series {
        samples.clear();
        series.read(min_ms, max_ms, &mut samples)?;
        writer.add_series(series.labels(), in_order(&samples))?;
    }
    let Some(meta) = writer.finish()? else {
        return Ok(0);
    };
    let (series, count) = (meta.stats.num_series, meta.stats.num_samples);
    writeln!(out, "block {ulid}: {series} series, {count} samples")?;
    Ok(count)
}

/// Numbers and histograms in one row, by time. Histograms that count in whole numbers, as nearly
/// all do, are such.
pub(super) fn in_order(samples: &Samples) -> impl Iterator<Item = Sample> + '_ {
    let at = |timestamp_ms, value| Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value,
    };
    let floats = samples.timestamps.iter().zip(&samples.values);
    let mut floats = floats
        .map(move |(time, value)| at(*time, Value::Float(*value)))
        .peekable();
    let histograms = samples.histograms.iter();
    let mut histograms = histograms
        .map(move |(time, value)| {
            let value = match whole(value) {
                Some(whole) => Value::IntegerHistogram(Box::new(whole)),
                None => Value::Histogram(Box::new((**value).clone())),
            };
            at(*time, value)
        })
        .peekable();
    std::iter::from_fn(move || match (floats.peek(), histograms.peek()) {
        (Some(float), Some(histogram)) if histogram.timestamp_ms < float.timestamp_ms => {
            histograms.next()
        }
        (Some(_), _) => floats.next(),
        (None, _) => histograms.next(),
    })
}

/// The same histogram, if all that it counts are whole numbers that a float has exactly.
fn whole(histogram: &FloatHistogram) -> Option<Histogram> {
    /// From here on not every whole number is a float.
    const EXACT_END: f64 = 9_007_199_254_740_992.0;
    let exact = |count: f64| {
        let is_whole = (0.0..EXACT_END).contains(&count) && count.trunc() == count;
        is_whole.then_some(count as u64)
    };
    let all = |counts: &[f64]| -> Option<Vec<i64>> {
        let counts = counts.iter();
        counts
            .map(|&count| exact(count).map(u64::cast_signed))
            .collect()
    };
    Some(Histogram {
        counter_reset_hint: histogram.counter_reset_hint,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: exact(histogram.zero_count)?,
        count: exact(histogram.count)?,
        sum: histogram.sum,
        positive_spans: histogram.positive_spans.clone(),
        negative_spans: histogram.negative_spans.clone(),
        positive_buckets: all(&histogram.positive_buckets)?,
        negative_buckets: all(&histogram.negative_buckets)?,
        custom_values: histogram.custom_values.clone(),
    })
}
