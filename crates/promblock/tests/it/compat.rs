//! What Prometheus wrote is read as Prometheus reads it: `compat/README.md`.

use std::path::{Path, PathBuf};

use disk::{Disk, MemoryDisk, RealDisk};
use model::FloatHistogram;
use model::histogram::{CounterResetHint, Span};
use promblock::{DataDir, Error, Head, Sample, Value};

use crate::support::{exact, histogram};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("compat")
        .join(name)
}

fn float_of(hex: &str) -> f64 {
    f64::from_bits(u64::from_str_radix(hex, 16).unwrap())
}

fn list<T>(text: &str, parse: impl Fn(&str) -> T) -> Vec<T> {
    let inner = text.strip_prefix('[').unwrap().strip_suffix(']').unwrap();
    inner
        .split(',')
        .filter(|part| !part.is_empty())
        .map(parse)
        .collect()
}

fn span(text: &str) -> Span {
    let (offset, length) = text.split_once(':').unwrap();
    Span {
        offset: offset.parse().unwrap(),
        length: length.parse().unwrap(),
    }
}

/// A sample as `expected.txt` has it.
pub(crate) fn parse(line: &str) -> Sample {
    let fields: Vec<&str> = line.split(' ').collect();
    let value = if fields[2] == "f" {
        Value::Float(float_of(fields[3]))
    } else {
        let hints = [
            CounterResetHint::Unknown,
            CounterResetHint::Reset,
            CounterResetHint::NotReset,
            CounterResetHint::Gauge,
        ];
        Value::Histogram(Box::new(FloatHistogram {
            counter_reset_hint: hints[fields[3].parse::<usize>().unwrap()],
            schema: fields[4].parse().unwrap(),
            zero_threshold: float_of(fields[5]),
            zero_count: float_of(fields[6]),
            count: float_of(fields[7]),
            sum: float_of(fields[8]),
            positive_spans: list(fields[9], span),
            negative_spans: list(fields[10], span),
            positive_buckets: list(fields[11], float_of),
            negative_buckets: list(fields[12], float_of),
            custom_values: list(fields[13], float_of),
        }))
    };
    Sample {
        timestamp_ms: fields[0].parse().unwrap(),
        start_timestamp_ms: fields[1].parse().unwrap(),
        value,
    }
}

/// The files have floats only.
fn with_floats(sample: Sample) -> Sample {
    match sample.value {
        Value::Float(_) | Value::Histogram(_) => sample,
        Value::IntegerHistogram(h) => Sample {
            start_timestamp_ms: sample.start_timestamp_ms,
            ..histogram(sample.timestamp_ms, h.to_float())
        },
    }
}

/// What is known of resets depends on where chunks begin, which a log does not know.
fn without_hint(sample: Sample) -> Sample {
    let mut sample = with_floats(sample);
    if let Value::Histogram(histogram) = &mut sample.value {
        histogram.counter_reset_hint = CounterResetHint::Unknown;
    }
    sample
}

/// Series and samples as lines.
fn lines_of(head: &Head) -> Vec<String> {
    let mut lines = Vec::new();
    for series in head.series() {
        lines.push(format!("series {}", series.labels()));
        let samples = head.samples(series).unwrap();
        lines.extend(
            samples
                .into_iter()
                .map(|sample| exact(&without_hint(sample))),
        );
    }
    lines
}

fn expected(name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(folder(name).join("expected.txt")).unwrap();
    let lines = text.lines().map(|line| match line.strip_prefix("series ") {
        Some(_) => line.to_owned(),
        None => exact(&without_hint(parse(line))),
    });
    lines.collect()
}

fn open(name: &str) -> Head {
    let dir = DataDir::open(&RealDisk, &folder(name)).unwrap();
    assert!(dir.blocks().is_empty());
    dir.open_head(&RealDisk).unwrap()
}

#[test]
fn a_stopped_head_is_read_from_log_late_log_and_chunks() {
    for name in ["head-snappy", "head-zstd"] {
        let head = open(name);
        assert!(head.damage().is_empty(), "{name}: {:?}", head.damage());
        assert_eq!(
            (head.orphan_count(), head.unknown_histogram_count()),
            (0, 0)
        );
        let (found, expected) = (lines_of(&head), expected(name));
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{name} line {at}");
        }
        assert_eq!(found.len(), expected.len(), "{name}");
    }
}

/// The fixture in memory, where it can be damaged.
fn in_memory(name: &str) -> (MemoryDisk, PathBuf) {
    let disk = MemoryDisk::new();
    let dir = PathBuf::from("/data");
    for file in ["wal/00000000", "wbl/00000000", "chunks_head/000001"] {
        let to = dir.join(file);
        disk.create_dir_all(to.parent().unwrap()).unwrap();
        let bytes = std::fs::read(folder(name).join(file)).unwrap();
        disk.create(&to).unwrap().append(&bytes).unwrap();
    }
    (disk, dir)
}

#[test]
fn samples_that_are_in_blocks_are_left_out() {
    let (disk, dir) = in_memory("head-zstd");
    let min_ms = 1_700_000_000_000 + 100 * 15_000;
    let head = Head::open(&disk, &dir, min_ms).unwrap();
    let series = &head.series()[1];
    let samples = head.samples(series).unwrap();
    assert_eq!(samples[0].timestamp_ms, min_ms);
    assert_eq!(series.labels().to_string(), "{__name__=\"f\", name=\"b\"}");
}

#[test]
fn damaged_head_chunks_are_made_up_for_by_the_log() {
    let (disk, dir) = in_memory("head-zstd");
    let path = dir.join("chunks_head/000001");
    let mut bytes = disk.map(&path).unwrap().to_vec();
    bytes[60] ^= 4;
    disk.create(&path).unwrap().append(&bytes).unwrap();
    let head = Head::open(&disk, &dir, i64::MIN).unwrap();
    let damage: Vec<String> = head.damage().iter().map(Error::to_string).collect();
    assert_eq!(
        damage,
        ["/data/chunks_head/000001: checksum does not match at offset 8"]
    );
    // Late samples that were in chunks are gone; all others are in the log.
    let found = lines_of(&head);
    let on_time = expected("head-zstd");
    let on_time = on_time
        .iter()
        .filter(|line| line.contains("kind") || line.ends_with("000 0"));
    assert!(on_time.clone().all(|line| found.contains(line)));
}

#[test]
fn a_cut_log_keeps_what_was_before() {
    let (disk, dir) = in_memory("head-snappy");
    disk.remove_dir_all(&dir.join("chunks_head")).unwrap();
    disk.remove_dir_all(&dir.join("wbl")).unwrap();
    let path = dir.join("wal/00000000");
    let good = disk.map(&path).unwrap().to_vec();
    let mut before = 0;
    for length in (0..good.len()).step_by(97) {
        disk.create(&path).unwrap().append(&good[..length]).unwrap();
        let head = Head::open(&disk, &dir, i64::MIN).unwrap();
        let count = lines_of(&head).len();
        // The last record deletes eleven samples.
        assert!(count + 11 >= before, "{length}: {count} after {before}");
        assert!(head.damage().len() <= 1);
        before = count;
    }
    assert!(before > 800);
}

#[test]
fn no_flipped_bit_brings_down_the_reader() {
    let (disk, dir) = in_memory("head-snappy");
    for file in ["wal/00000000", "wbl/00000000", "chunks_head/000001"] {
        let path = dir.join(file);
        let good = disk.map(&path).unwrap().to_vec();
        let used = good.len() - good.iter().rev().take_while(|byte| **byte == 0).count();
        for at in (0..used).step_by(61) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            disk.create(&path).unwrap().append(&bad).unwrap();
            let head = Head::open(&disk, &dir, i64::MIN).unwrap();
            for series in head.series() {
                head.samples(series).unwrap();
            }
            assert!(!head.damage().is_empty(), "{file} byte {at}");
        }
        disk.create(&path).unwrap().append(&good).unwrap();
    }
}

#[test]
fn a_running_server_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let lock = RealDisk.lock(&dir.path().join("lock")).unwrap();
    let data = DataDir::open(&RealDisk, dir.path()).unwrap();
    let error = data.open_head(&RealDisk).unwrap_err().to_string();
    assert!(error.starts_with("a server is running on "), "{error}");
    drop(lock);
    assert!(data.open_head(&RealDisk).unwrap().series().is_empty());
}
