//! `tsdb list`, `dump`, `dump-openmetrics`, `analyze`, `verify`: looking into a data folder, printed
//! as promtool does. A server may run on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use disk::{Disk, RealDisk};
use model::{Labels, METRIC_NAME};
use promblock::Value;
use storage::{Queryable as _, Samples, SelectHints, Series as _};
use tsdb::block::{Block, PageCache, Ulid};

use super::arguments::Arguments;

/// Pages are read once each; this holds those of a few series.
const CACHE_BYTES: usize = 32 << 20;
/// A server merges blocks every two hours.
const ATTEMPTS_MAX: usize = 10;
/// Rows of the lists of `analyze`, as promtool has it.
const LIST_ROWS: i64 = 20;

/// Folders that are named like blocks, in the order of their names.
pub(super) fn block_folders(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = RealDisk
        .list(data)
        .with_context(|| format!("no data folder at {}", data.display()))?;
    let named = entries
        .into_iter()
        .filter(|entry| entry.is_dir && entry.name.parse::<Ulid>().is_ok());
    Ok(named.map(|entry| data.join(entry.name)).collect())
}

/// All blocks, by the time at which they begin. A server may merge some of them meanwhile: then the
/// list is read again.
fn open_blocks(data: &Path) -> anyhow::Result<Vec<Arc<Block>>> {
    let cache = PageCache::new(CACHE_BYTES);
    for _ in 0..ATTEMPTS_MAX {
        let folders = block_folders(data)?;
        let opened = folders
            .iter()
            .map(|dir| Block::open(&RealDisk, dir, &cache));
        let opened: Result<Vec<Arc<Block>>, _> = opened.collect();
        let now = block_folders(data)?;
        if !folders.iter().all(|dir| now.contains(dir)) {
            continue;
        }
        let mut blocks = opened?;
        blocks.sort_by_key(|block| (block.meta().min_time, block.meta().ulid));
        return Ok(blocks);
    }
    bail!("the blocks in {} change all the time", data.display());
}

pub(super) fn list(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut rows = vec![
        [
            "BLOCK ULID",
            "MIN TIME",
            "MAX TIME",
            "DURATION",
            "NUM SAMPLES",
            "NUM CHUNKS",
            "NUM SERIES",
            "SIZE",
        ]
        .map(str::to_owned),
    ];
    for block in open_blocks(&arguments.path_or_first())? {
        let meta = block.meta();
        rows.push([
            meta.ulid.to_string(),
            meta.min_time.to_string(),
            meta.max_time.to_string(),
            go_duration(meta.max_time - meta.min_time),
            meta.stats.num_samples.to_string(),
            meta.stats.num_chunks.to_string(),
            meta.stats.num_series.to_string(),
            block.size_bytes().to_string(),
        ]);
    }
    print_table(&rows, out)
}

/// Columns of at least 13 characters, two blanks between them.
fn print_table<const N: usize>(rows: &[[String; N]], out: &mut dyn Write) -> anyhow::Result<()> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        let widest = rows.iter().map(|row| row[column].chars().count()).max();
        (widest.unwrap_or(0) + 2).max(13)
    });
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).take(N - 1) {
            line += &format!("{cell:width$}");
        }
        writeln!(out, "{line}{}", row[N - 1])?;
    }
    Ok(())
}

/// A time as Go prints durations: `2h0m0s`, `1m5.5s`, `250ms`.
fn go_duration(ms: i64) -> String {
    if (0..1000).contains(&ms) {
        return if ms == 0 {
            "0s".to_owned()
        } else {
            format!("{ms}ms")
        };
    }
    let (sign, ms) = if ms < 0 {
        ("-", ms.unsigned_abs())
    } else {
        ("", ms.unsigned_abs())
    };
    let (hours, minutes) = (ms / 3_600_000, ms / 60_000 % 60);
    let mut seconds = format!("{}.{:03}", ms / 1000 % 60, ms % 1000);
    seconds.truncate(seconds.trim_end_matches('0').trim_end_matches('.').len());
    match (hours, minutes) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, _) => format!("{sign}{minutes}m{seconds}s"),
        _ => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

pub(super) fn dump(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(out);
    for_each_series(arguments, |labels, samples| {
        for sample in super::export::in_order(samples) {
            let at = sample.timestamp_ms;
            match sample.value {
                Value::Float(value) => {
                    let value = gocompat::strconv::format_float_g(value);
                    writeln!(out, "{labels} {value} {at}")?;
                }
                Value::Histogram(histogram) => writeln!(out, "{labels} {histogram} {at}")?,
                Value::IntegerHistogram(histogram) => {
                    writeln!(out, "{labels} {} {at}", histogram.to_float())?;
                }
            }
        }
        Ok(())
    })?;
    Ok(out.flush()?)
}

/// As promtool prints it: without types, a series ends at its first histogram, and a staleness
/// marker is a `NaN`.
pub(super) fn dump_openmetrics(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(out);
    for_each_series(arguments, |labels, samples| {
        let series = openmetrics_series(labels);
        for sample in super::export::in_order(samples) {
            let Value::Float(value) = sample.value else {
                break;
            };
            let value = gocompat::strconv::format_float_g(value);
            let at_s = sample.timestamp_ms as f64 / 1_000.0;
            writeln!(out, "{series} {value} {at_s:.3}")?;
        }
        Ok(())
    })?;
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}

/// `name{a="b",c="d"}`
fn openmetrics_series(labels: &Labels) -> String {
    let own = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let own = own.map(|(name, value)| format!("{name}={}", gocompat::strconv::quote(value)));
    let own: Vec<String> = own.collect();
    format!("{}{{{}}}", labels.get(METRIC_NAME), own.join(","))
}

/// Reads the series that the arguments choose, sorted by labels, while a server may run.
fn for_each_series(
    arguments: &Arguments,
    mut each: impl FnMut(&Labels, &Samples) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let min_ms = arguments.number("min-time", i64::MIN)?;
    let max_ms = arguments.number("max-time", i64::MAX)?;
    let mut selections = Vec::new();
    for text in arguments.all("match") {
        let matchers = promql_syntax::parse_metric_selector(text);
        selections.push(matchers.map_err(|error| anyhow::anyhow!("{error}"))?);
    }
    if selections.is_empty() {
        selections.push(Vec::new());
    }
    let db = super::open(&arguments.path_or_first())?;
    let querier = db.querier(min_ms, max_ms)?;
    let hints = SelectHints {
        start_ms: min_ms,
        end_ms: max_ms,
        ..SelectHints::default()
    };
    let mut found = BTreeMap::new();
    for matchers in &selections {
        for series in querier.select(true, &hints, matchers)?.series {
            found.insert(series.labels().clone(), series);
        }
    }
    let mut samples = Samples::default();
    for (labels, series) in &found {
        samples.clear();
        series.read(min_ms, max_ms, &mut samples)?;
        each(labels, &samples)?;
    }
    db.close();
    Ok(())
}

pub(super) fn verify(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let cache = PageCache::new(CACHE_BYTES);
    let mut bad = 0;
    for dir in block_folders(&arguments.path_or_first())? {
        match verify_block(&dir, &cache) {
            // A server has removed it meanwhile.
            Err(_) if RealDisk.list(&dir).is_err() => {}
            Ok(samples) => writeln!(out, "{}: {samples} samples, sound", dir.display())?,
            Err(error) => {
                bad += 1;
                writeln!(out, "{}: {error:#}", dir.display())?;
            }
        }
    }
    if bad > 0 {
        bail!("{bad} blocks are damaged");
    }
    Ok(())
}

/// Reads all samples, and counts them.
fn verify_block(dir: &Path, cache: &Arc<PageCache>) -> anyhow::Result<u64> {
    let block = Block::open(&RealDisk, dir, cache)?;
    let mut samples = Samples::default();
    let mut count = 0;
    for series in block.select(&[], i64::MIN, i64::MAX, 0)? {
        samples.clear();
        series.read(i64::MIN, i64::MAX, &mut samples)?;
        count += samples.len() as u64;
    }
    Ok(count)
}

/// Counts for the lists of `analyze`.
#[derive(Debug, Default)]
struct Cardinality {
    series: u64,
    label_values: BTreeMap<String, BTreeSet<String>>,
    pairs: BTreeMap<(String, String), u64>,
}

pub(super) fn analyze(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let limit = arguments.number("limit", LIST_ROWS)?.max(0) as usize;
    let blocks = open_blocks(&arguments.path_or_first())?;
    let block = match arguments.rest.get(1) {
        None => blocks.last(),
        Some(name) => blocks.iter().find(|b| b.meta().ulid.to_string() == *name),
    };
    let block = block.context("block not found")?;
    let mut cardinality = Cardinality::default();
    for series in block.select(&[], i64::MIN, i64::MAX, 0)? {
        cardinality.series += 1;
        for (name, value) in series.labels() {
            let values = cardinality.label_values.entry(name.to_owned()).or_default();
            values.insert(value.to_owned());
            let pair = (name.to_owned(), value.to_owned());
            *cardinality.pairs.entry(pair).or_default() += 1;
        }
    }
    let meta = block.meta();
    writeln!(out, "Block ID: {}", meta.ulid)?;
    writeln!(
        out,
        "Duration: {}",
        go_duration(meta.max_time - meta.min_time)
    )?;
    writeln!(out, "Total Series: {}", cardinality.series)?;
    cardinality.print(limit, out)
}

impl Cardinality {
    fn print(&self, limit: usize, out: &mut dyn Write) -> anyhow::Result<()> {
        writeln!(out, "Label names: {}", self.label_values.len())?;
        writeln!(out, "Postings (unique label pairs): {}", self.pairs.len())?;
        let entries: u64 = self.pairs.values().sum();
        writeln!(out, "Postings entries (total label pairs): {entries}")?;
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|((name, value), count)| (format!("{name}={value}"), *count));
        print_top("Most common label pairs", pairs, limit, out)?;
        let names = self.label_values.iter();
        let lengths = names.clone().map(|(name, values)| {
            let bytes: usize = values.iter().map(String::len).sum();
            (name.clone(), bytes as u64)
        });
        let title = "Label names with highest cumulative label value length";
        print_top(title, lengths, limit, out)?;
        let counts = names.map(|(name, values)| (name.clone(), values.len() as u64));
        print_top("Highest cardinality labels", counts, limit, out)?;
        let metrics = self
            .pairs
            .iter()
            .filter(|((name, _), _)| name == METRIC_NAME);
        let metrics = metrics.map(|((_, value), count)| (value.clone(), *count));
        print_top("Highest cardinality metric names", metrics, limit, out)
    }
}

/// The rows with the highest counts; of equal ones, those whose name comes first.
fn print_top(
    title: &str,
    rows: impl Iterator<Item = (String, u64)>,
    limit: usize,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut rows: Vec<(String, u64)> = rows.collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    writeln!(out, "\n{title}:")?;
    for (name, count) in rows.iter().take(limit) {
        writeln!(out, "{count} {name}")?;
    }
    Ok(())
}
