//! Damaged blocks: an error that names the file, or the same samples; never a panic.

use std::path::{Path, PathBuf};

use disk::{Disk, MemoryDisk};
use model::histogram::{CounterResetHint, FloatHistogram, Span};

use crate::support::{Contents, exact, float, histogram, labels, lines, memory_block, read};

fn put_file(disk: &MemoryDisk, path: &Path, bytes: &[u8]) {
    disk.create(path).unwrap().append(bytes).unwrap();
}

/// Deletes 1,000 to 2,000 ms of everything.
fn tombstones() -> Vec<u8> {
    let mut out = vec![0x01, 0x30, 0xba, 0x30, 1];
    for series in 0u8..100 {
        out.push(series);
        out.extend([0xd0, 0x0f, 0xa0, 0x1f]);
    }
    let crc = crc32c::crc32c(&out[5..]);
    out.extend(crc.to_be_bytes());
    out
}

fn small_block() -> (MemoryDisk, PathBuf, Contents) {
    let floats = [0, 1_000, 1_500, 2_001, 9_000].map(|at| float(at, at as f64 * 0.3));
    let gauge = |count: f64| FloatHistogram {
        counter_reset_hint: CounterResetHint::Gauge,
        count,
        sum: 0.5,
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        positive_buckets: vec![1.0, count - 1.0],
        ..FloatHistogram::default()
    };
    let histograms = [500, 2_500].map(|at| histogram(at, gauge(at as f64)));
    let contents: Contents = vec![
        (labels(&[("__name__", "up"), ("job", "a")]), floats.to_vec()),
        (
            labels(&[("__name__", "up"), ("job", "b")]),
            histograms.to_vec(),
        ),
    ];
    let (disk, block) = memory_block(&contents);
    put_file(&disk, &block.join("tombstones"), &tombstones());
    let left = contents.into_iter().map(|(labels, mut samples)| {
        samples.retain(|s| !(1_000..=2_000).contains(&s.timestamp_ms));
        (labels, samples)
    });
    (disk, block, left.collect())
}

#[test]
fn deleted_samples_are_left_out() {
    let (disk, block, left) = small_block();
    assert_eq!(lines(&read(&disk, &block).unwrap()), lines(&left));
    assert_eq!(left[0].1.len(), 3);
}

#[test]
fn every_flipped_bit_is_found_or_harmless() {
    let (disk, block, left) = small_block();
    let expected = lines(&left);
    for (file, is_checked) in [
        ("index", true),
        ("chunks/000001", true),
        ("tombstones", true),
        ("meta.json", false),
    ] {
        let path = block.join(file);
        let good = disk.map(&path).unwrap().to_vec();
        let mut found = 0;
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            put_file(&disk, &path, &bad);
            match read(&disk, &block) {
                Ok(contents) => assert_eq!(lines(&contents), expected, "{file} bit {bit}"),
                Err(error) => {
                    found += 1;
                    let text = error.to_string();
                    let name = path.to_str().unwrap();
                    assert!(text.starts_with(name), "{file} bit {bit}: {text}");
                }
            }
        }
        put_file(&disk, &path, &good);
        // What nothing depends on: padding, postings of single labels, the table of contents'
        // unused entries are covered by its checksum.
        assert!(
            !is_checked || found > good.len() * 4,
            "{file}: {found} found"
        );
    }
}

#[test]
fn every_cut_is_found() {
    let (disk, block, left) = small_block();
    for file in ["index", "chunks/000001", "tombstones", "meta.json"] {
        let path = block.join(file);
        let good = disk.map(&path).unwrap().to_vec();
        for length in 0..good.len() {
            put_file(&disk, &path, &good[..length]);
            assert!(read(&disk, &block).is_err(), "{file} cut to {length}");
        }
        put_file(&disk, &path, &good);
    }
    assert_eq!(lines(&read(&disk, &block).unwrap()), lines(&left));
}

#[test]
fn a_damaged_chunk_costs_its_series_only() {
    let (disk, block, left) = small_block();
    let path = block.join("chunks/000001");
    let mut bytes = disk.map(&path).unwrap().to_vec();
    bytes[20] ^= 1;
    put_file(&disk, &path, &bytes);
    let opened = promblock::Block::open(&disk, &block).unwrap();
    let series: Vec<_> = opened.series().map(Result::unwrap).collect();
    let first: Vec<_> = opened.samples(&series[0]).collect();
    assert_eq!(first.len(), 1);
    assert_eq!(
        first[0].as_ref().unwrap_err().to_string(),
        format!("{}: checksum does not match at offset 9", path.display())
    );
    let second: Vec<_> = opened
        .samples(&series[1])
        .map(|s| exact(&s.unwrap()))
        .collect();
    assert_eq!(second, left[1].1.iter().map(exact).collect::<Vec<_>>());
    assert!(opened.verify().is_err());
}

#[test]
fn a_version_that_is_not_known_is_named() {
    let (disk, block, _) = small_block();
    let path = block.join("chunks/000001");
    let mut bytes = disk.map(&path).unwrap().to_vec();
    bytes[4] = 9;
    put_file(&disk, &path, &bytes);
    let error = read(&disk, &block).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("{}: chunk file version 9 is not supported", path.display())
    );
}
