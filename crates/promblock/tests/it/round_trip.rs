//! What is written comes back, to the bit.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Histogram, Labels};
use promblock::{Block, BlockWriter, Error, Sample, WriterOptions};
use proptest::prelude::*;

use crate::support::{
    Contents, float, histogram, integers, labels, lines, memory_block, read, ulid, write,
};

fn values() -> impl Strategy<Value = f64> {
    let special = prop::sample::select(vec![
        model::STALE_NAN,
        f64::from_bits(model::NORMAL_NAN_BITS),
        f64::from_bits(0x7ff0_0000_0000_0001),
        f64::from_bits(0xffff_ffff_ffff_ffff),
        -0.0,
        f64::INFINITY,
        5e-324,
    ]);
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        special,
        (0u32..2000).prop_map(f64::from),
    ]
}

fn series() -> impl Strategy<Value = Contents> {
    let name = prop::sample::select(vec!["a", "b", "__name__", "ü name", "z"]);
    let set = prop::collection::btree_map(name, "[a-c\"\\\\é\n]{1,3}", 1..4);
    let step = prop_oneof![Just(15_000i64), 1i64..100_000, 1i64..1 << 40];
    let samples = prop::collection::vec((step, values()), 1..300);
    let all = prop::collection::btree_map(set, (-1i64 << 41..1i64 << 41, samples), 1..8);
    all.prop_map(|all| {
        let mut contents: Contents = Vec::new();
        for (set, (start, samples)) in all {
            let pairs = set.iter().map(|(name, value)| (*name, value.as_str()));
            let mut at = start;
            let place = |(step, value)| {
                at += step;
                float(at, value)
            };
            contents.push((
                Labels::from_pairs(pairs),
                samples.into_iter().map(place).collect(),
            ));
        }
        contents.sort_by(|a, b| a.0.cmp(&b.0));
        contents
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn floats_come_back_to_the_bit(contents in series()) {
        let (disk, block) = memory_block(&contents);
        prop_assert_eq!(lines(&read(&disk, &block).unwrap()), lines(&contents));
        let opened = Block::open(&disk, &block).unwrap();
        prop_assert_eq!(opened.verify().unwrap(), opened.meta().stats);
    }
}

fn shape(count: f64) -> FloatHistogram {
    FloatHistogram {
        schema: 3,
        zero_threshold: 2f64.powi(-128),
        zero_count: 1.0,
        count,
        sum: count * 1.5,
        positive_spans: vec![
            Span {
                offset: -4,
                length: 2,
            },
            Span {
                offset: 3,
                length: 1,
            },
        ],
        negative_spans: vec![Span {
            offset: 100,
            length: 1,
        }],
        positive_buckets: vec![count - 4.0, 1.5, 0.25],
        negative_buckets: vec![2.0],
        ..FloatHistogram::default()
    }
}

fn with_hint(mut histogram: FloatHistogram, hint: CounterResetHint) -> FloatHistogram {
    histogram.counter_reset_hint = hint;
    histogram
}

#[test]
fn histograms_come_back_with_what_is_known_of_resets() {
    let custom = |bounds: &[f64]| FloatHistogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 3.0,
        sum: -1.0,
        positive_spans: vec![Span {
            offset: 0,
            length: 3,
        }],
        positive_buckets: vec![1.0, 2.0, 0.0],
        custom_values: bounds.to_vec(),
        ..FloatHistogram::default()
    };
    let stale = FloatHistogram {
        sum: model::STALE_NAN,
        ..FloatHistogram::default()
    };
    let odd_zero = FloatHistogram {
        zero_threshold: 0.001,
        ..shape(30.0)
    };
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    // Given, and the hint that a reader must find.
    let given = vec![
        (shape(10.0), Unknown),
        (shape(12.0), NotReset),
        // The counts went down: a chunk of its own, whose first says nothing.
        (shape(6.0), Unknown),
        (with_hint(shape(9.0), Reset), Unknown),
        (shape(9.0), NotReset),
        (stale.clone(), Unknown),
        (stale, Unknown),
        (shape(20.0), Unknown),
        (odd_zero, Unknown),
        (with_hint(shape(3.0), Gauge), Gauge),
        (with_hint(shape(2.0), Gauge), Gauge),
        (custom(&[0.005, 1.0, 33_554.43, 1e9, -1.0]), Unknown),
        (custom(&[0.005, 1.0, 2.0 / 3.0]), Unknown),
    ];
    let samples = given.iter().enumerate();
    let samples: Vec<Sample> = samples
        .map(|(at, (h, _))| histogram(at as i64 * 7, h.clone()))
        .collect();
    let expected = given.into_iter().enumerate();
    let expected = expected.map(|(at, (h, hint))| histogram(at as i64 * 7, with_hint(h, hint)));
    let name = labels(&[("__name__", "h")]);
    let (disk, block) = memory_block(&vec![(name.clone(), samples)]);
    assert_eq!(
        lines(&read(&disk, &block).unwrap()),
        lines(&vec![(name, expected.collect())])
    );
}

/// Counts that a float would round, up and down, of one layout and of others.
#[test]
fn whole_numbers_stay_whole() {
    use CounterResetHint::{Gauge, NotReset, Unknown};
    let of = |count: u64, hint| Histogram {
        counter_reset_hint: hint,
        schema: -4,
        zero_threshold: 1e-3,
        zero_count: count / 2,
        count,
        sum: count as f64 * -0.1,
        positive_spans: vec![Span {
            offset: -7,
            length: 3,
        }],
        negative_spans: vec![Span {
            offset: 2,
            length: 1,
        }],
        positive_buckets: vec![count as i64, 0, (count / 3) as i64],
        negative_buckets: vec![(count / 5) as i64],
        ..Histogram::default()
    };
    let stale = Histogram {
        sum: model::STALE_NAN,
        ..Histogram::default()
    };
    let custom = Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 9,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_buckets: vec![4, 5],
        custom_values: vec![0.25],
        ..Histogram::default()
    };
    let huge = (1 << 62) + 1;
    let mut samples = Vec::new();
    let mut expected = Vec::new();
    let mut at = 0;
    let mut add = |given: Histogram, hint| {
        at += 15_000 + at % 7;
        samples.push(integers(at, given.clone()));
        let found = Histogram {
            counter_reset_hint: hint,
            ..given
        };
        expected.push(integers(at, found));
    };
    add(of(1, Unknown), Unknown);
    for count in [2, 9, 1_000_000, 1_000_001, huge, huge + 1] {
        add(of(count, Unknown), NotReset);
    }
    // The counts went down: a chunk of its own, whose first says nothing.
    add(of(40, Unknown), Unknown);
    add(stale, Unknown);
    add(of(50, NotReset), Unknown);
    add(of(50, Gauge), Gauge);
    add(of(20, Gauge), Gauge);
    add(custom, Unknown);
    let name = labels(&[("__name__", "h")]);
    let (disk, block) = memory_block(&vec![(name.clone(), samples)]);
    let read = read(&disk, &block).unwrap();
    assert_eq!(lines(&read), lines(&vec![(name, expected)]));
}

/// Whole numbers and floats do not share a chunk.
#[test]
fn kinds_of_histograms_may_follow_each_other() {
    let plain = || Histogram {
        count: 2,
        zero_count: 2,
        ..Histogram::default()
    };
    let mut samples = Vec::new();
    for at in 0..50 {
        samples.push(match at / 10 % 2 {
            0 => integers(at, plain()),
            _ => histogram(at, plain().to_float()),
        });
    }
    let contents = vec![(labels(&[("a", "b")]), samples)];
    let (disk, block) = memory_block(&contents);
    let stats = Block::open(&disk, &block).unwrap().verify().unwrap();
    assert_eq!((stats.num_histogram_samples, stats.num_chunks), (50, 5));
}

#[test]
fn numbers_and_histograms_may_follow_each_other() {
    let mut samples = Vec::new();
    for at in 0..600i64 {
        samples.push(match at / 100 % 2 {
            0 => float(at, at as f64),
            _ => histogram(at, with_hint(shape(at as f64), CounterResetHint::Gauge)),
        });
    }
    let contents = vec![(labels(&[("a", "b")]), samples)];
    let (disk, block) = memory_block(&contents);
    assert_eq!(lines(&read(&disk, &block).unwrap()), lines(&contents));
    let stats = Block::open(&disk, &block).unwrap().meta().stats;
    assert_eq!(
        (stats.num_float_samples, stats.num_histogram_samples),
        (300, 300)
    );
}

#[test]
fn chunk_files_end_before_they_grow_too_long() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let options = WriterOptions {
        segment_bytes_max: 400,
        ..WriterOptions::new(ulid())
    };
    let contents: Contents = (0..9)
        .map(|n| {
            let samples = (0..200)
                .map(|at| float(at * 1000, (at * n) as f64))
                .collect();
            (labels(&[("n", &n.to_string())]), samples)
        })
        .collect();
    let mut writer = BlockWriter::create(&disk, dir, options).unwrap();
    for (labels, samples) in &contents {
        writer.add_series(labels, samples.clone()).unwrap();
    }
    let meta = writer.finish().unwrap().unwrap();
    assert_eq!((meta.min_time, meta.max_time), (0, 199_001));
    let block = dir.join(meta.ulid.to_string());
    let files = disk.list(&block.join("chunks")).unwrap();
    assert!(files.len() > 3, "{files:?}");
    assert_eq!(files[0].name, "000001");
    assert_eq!(lines(&read(&disk, &block).unwrap()), lines(&contents));
}

#[test]
fn what_has_no_place_in_a_block_is_refused() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let mut writer = BlockWriter::create(&disk, dir, WriterOptions::new(ulid())).unwrap();
    let one = labels(&[("a", "1")]);
    let bad_histogram = FloatHistogram {
        positive_buckets: Vec::new(),
        ..shape(1.0)
    };
    writer.add_series(&labels(&[("a", "0")]), []).unwrap();
    for samples in [
        vec![float(5, 1.0), float(5, 2.0)],
        vec![float(5, 1.0), float(4, 1.0)],
        vec![histogram(5, bad_histogram)],
    ] {
        let error = writer.add_series(&one, samples).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
    writer.add_series(&one, [float(1, 1.0)]).unwrap();
    for late in [labels(&[]), labels(&[("a", "1")]), labels(&[("Z", "2")])] {
        let error = writer.add_series(&late, [float(1, 1.0)]).unwrap_err();
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
    let meta = writer.finish().unwrap().unwrap();
    assert_eq!((meta.stats.num_series, meta.stats.num_samples), (1, 1));
    let again = BlockWriter::create(&disk, dir, WriterOptions::new(ulid()));
    assert!(matches!(again, Err(Error::Refused(_))));
}

#[test]
fn a_block_without_samples_leaves_nothing() {
    let disk = MemoryDisk::new();
    let dir = Path::new("/data");
    disk.create_dir_all(dir).unwrap();
    let writer = BlockWriter::create(&disk, dir, WriterOptions::new(ulid())).unwrap();
    assert_eq!(writer.finish().unwrap(), None);
    assert_eq!(disk.list(dir).unwrap(), []);
}

#[test]
fn after_a_power_cut_there_is_a_whole_block_or_none() {
    let contents = vec![(labels(&[("a", "b")]), vec![float(1, 2.0), float(3, 4.0)])];
    let dir = Path::new("/data");
    let mut finished = 0;
    for (n, fault) in (0..40).flat_map(|n| [(n, Fault::Fail), (n, Fault::Tear), (n, Fault::Dead)]) {
        let memory = MemoryDisk::new();
        memory.create_dir_all(dir).unwrap();
        memory.sync_dir(Path::new("/")).unwrap();
        let faulty = FaultyDisk::new(Arc::new(memory.clone()), n, fault);
        let written = write(&faulty, dir, &contents);
        memory.power_cut();
        let block = dir.join(ulid().to_string());
        let is_there = memory.file_length(&block.join("meta.json")).is_ok();
        if is_there {
            let read = read(&memory, &block).unwrap();
            assert_eq!(lines(&read), lines(&contents), "operation {n}");
        }
        if written.is_ok() {
            assert!(is_there, "operation {n}");
            finished += 1;
        }
    }
    assert!(finished > 30, "the sweep went past the end");
}
