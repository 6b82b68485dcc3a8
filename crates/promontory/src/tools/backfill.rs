//! `tsdb create-blocks-from openmetrics`: samples of a text with timestamps into blocks.
//!
//! The text is read once and its samples are kept, 16 bytes each; promtool reads it once a block
//! instead. Samples of a series may come in any order; of two at one time both must be the same.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use disk::{Disk, RealDisk};
use exposition::{Entry, Format, Parser, ParserOptions, SeriesLabels};
use model::{Labels, MetricType};
use promblock::{Error, Sample, Value};
use tsdb::block::{BlockParams, Compaction, SAMPLES_AT_COMPACTION, Ulid, write_block};

use super::arguments::Arguments;
use super::convert::{Conversion, Origin};
use super::import::{HEAD_BLOCK_MS, check_head};

/// Series with their samples, both in order.
type Series = Vec<(Labels, Vec<(i64, f64)>)>;

/// The part of a text from `min_ms` to before `end_ms`.
struct Part<'a> {
    series: &'a Series,
    min_ms: i64,
    end_ms: i64,
}

impl Part<'_> {
    fn of(&self, place: usize) -> &[(i64, f64)] {
        let samples = &self.series[place].1;
        let start = samples.partition_point(|sample| sample.0 < self.min_ms);
        let end = samples.partition_point(|sample| sample.0 < self.end_ms);
        &samples[start..end]
    }
}

impl Origin for Part<'_> {
    fn series_count(&self) -> usize {
        self.series.len()
    }

    fn labels(&self, place: usize) -> Result<Labels, Error> {
        Ok(self.series[place].0.clone())
    }

    fn samples(&self, place: usize, each: &mut dyn FnMut(Sample)) -> Result<(), Error> {
        for (timestamp_ms, value) in self.of(place) {
            each(Sample {
                timestamp_ms: *timestamp_ms,
                start_timestamp_ms: 0,
                value: Value::Float(*value),
            });
        }
        Ok(())
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> anyhow::Result<()> {
    let (input, target) = match arguments.rest.as_slice() {
        [format, input] if format == "openmetrics" => (input, arguments.path()),
        [format, input, target] if format == "openmetrics" => (input, PathBuf::from(target)),
        _ => bail!("expected: openmetrics <input file> [<data folder>]"),
    };
    let block_ms = block_ms(arguments.last("max-block-duration").unwrap_or("2h"))?;
    let page = RealDisk
        .map(Path::new(input))
        .with_context(|| format!("open {input}"))?;
    create(&page, &target, block_ms, out)
}

/// The longest span that blocks have and that is not longer than asked for.
fn block_ms(text: &str) -> anyhow::Result<i64> {
    let max_ms = model::parse_duration_ms(text).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut block_ms = HEAD_BLOCK_MS;
    while block_ms.saturating_mul(3) <= max_ms {
        block_ms *= 3;
    }
    Ok(block_ms)
}

/// Writes the samples of `page` into `target`, a block for every `block_ms` in which there are some.
pub(super) fn create(
    page: &[u8],
    target: &Path,
    block_ms: i64,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let series = read(page)?;
    RealDisk
        .create_dir_all(target)
        .with_context(|| format!("create {}", target.display()))?;
    let times = series
        .iter()
        .flat_map(|(_, samples)| samples.iter().map(|(time, _)| *time));
    check_head(
        target,
        times.clone().max().map(|last| last.saturating_add(1)),
    )?;
    let lock = target.join("lock");
    let _lock = RealDisk
        .lock(&lock)
        .with_context(|| format!("lock {} (is a server running?)", lock.display()))?;
    let mut windows: Vec<(i64, i64)> = Vec::new();
    let mut numbers: Vec<i64> = times.map(|time| time.div_euclid(block_ms)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    windows.extend(numbers.iter().map(|n| (n * block_ms, (n + 1) * block_ms)));
    for (min_ms, window_end_ms) in windows {
        let part = Part {
            series: &series,
            min_ms,
            end_ms: window_end_ms,
        };
        let last = (0..series.len())
            .filter_map(|place| part.of(place).last())
            .map(|s| s.0);
        // As with an import, a server may go on right behind the last sample.
        let end_ms = last.max().map_or(window_end_ms, |last| last + 1);
        let params = BlockParams {
            ulid: Ulid::new(end_ms),
            min_ms,
            max_ms: end_ms,
            compaction: Compaction {
                level: 1,
                ..Compaction::default()
            },
            samples_per_chunk_max: SAMPLES_AT_COMPACTION,
        };
        let mut step = || {};
        let mut source = Conversion::new(&part, false, &mut step)?;
        if let Some(meta) = write_block(&RealDisk, target, &params, &mut source)? {
            let stats = meta.stats;
            let (count, samples) = (stats.num_series, stats.num_samples);
            writeln!(
                out,
                "block {}: {count} series, {samples} samples",
                meta.ulid
            )?;
        }
    }
    Ok(())
}

/// All samples of an OpenMetrics text, by series in order.
fn read(page: &[u8]) -> anyhow::Result<Series> {
    let options = ParserOptions {
        format: Format::OpenMetrics,
        created: exposition::CreatedSeries::Keep,
    };
    let mut parser = Parser::new(page, options);
    let mut labels = SeriesLabels::new();
    let mut by_text: HashMap<(&[u8], MetricType), usize> = HashMap::new();
    let mut by_labels: HashMap<Labels, usize> = HashMap::new();
    let mut series: Series = Vec::new();
    while let Some(entry) = parser.next().context("parse")? {
        let Entry::Sample(sample) = entry else {
            continue;
        };
        let place = match by_text.get(&(sample.series, sample.kind)) {
            Some(place) => *place,
            None => {
                labels.read(sample.series, sample.kind).context("parse")?;
                let set = labels.to_labels();
                let place = *by_labels.entry(set.clone()).or_insert(series.len());
                if place == series.len() {
                    series.push((set, Vec::new()));
                }
                by_text.insert((sample.series, sample.kind), place);
                place
            }
        };
        let Some(at) = sample.timestamp_ms else {
            let labels = &series[place].0;
            bail!("expected timestamp for series {labels}, got none");
        };
        series[place].1.push((at, sample.value));
    }
    for (labels, samples) in &mut series {
        samples.sort_by_key(|sample| sample.0);
        samples.dedup_by_key(|sample| (sample.0, sample.1.to_bits()));
        let mut pairs = samples.windows(2);
        if let Some(pair) = pairs.find(|pair| pair[0].0 == pair[1].0) {
            let at = pair[0].0;
            bail!("add sample: duplicate sample for timestamp {at} of series {labels}");
        }
    }
    series.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(series)
}
