//! Samples go from Prometheus's blocks into ours and back and stay the same.

use std::path::Path;
use std::sync::Arc;

use disk::{Disk, RealDisk};
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{Histogram, Labels};
use promblock::{BlockWriter, DataDir, Sample, Ulid, Value, WriterOptions};

use super::arguments::Arguments;
use super::{backfill, export, import, inspect};

const START_MS: i64 = 1_700_000_000_000;

fn float(timestamp_ms: i64, value: f64) -> Sample {
    Sample {
        timestamp_ms,
        start_timestamp_ms: 0,
        value: Value::Float(value),
    }
}

/// Two targets of which one was away for a while, series that come late, and one with its own
/// times.
fn contents() -> Vec<(Labels, Vec<Sample>)> {
    let mut contents = Vec::new();
    for host in ["a", "b"] {
        for name in ["up", "busy", "own"] {
            let pairs = [("__name__", name), ("instance", host), ("job", "node")];
            let at = |n: i64| START_MS + n * 15_000 + i64::from(name == "own");
            let is_there = |n: &i64| host == "a" || !(40..60).contains(n);
            let value = |n: i64| match (name, n) {
                ("busy", 70) => model::STALE_NAN,
                ("busy", 71) => f64::from_bits(0x7ff8_0000_0000_beef),
                ("busy", _) => n as f64 * 0.1,
                _ => 1.0,
            };
            let first = if name == "busy" { 7 } else { 0 };
            let samples = (first..400)
                .filter(is_there)
                .map(|n| float(at(n), value(n)));
            contents.push((Labels::from_pairs(pairs), samples.collect()));
        }
    }
    contents.push((
        Labels::from_pairs([("__name__", "rule")]),
        vec![float(START_MS, -0.0)],
    ));
    contents.sort_by(|a: &(Labels, _), b| a.0.cmp(&b.0));
    contents
}

fn write(dir: &Path, entropy: u128, contents: &[(Labels, Vec<Sample>)]) {
    let ulid = Ulid::new(START_MS as u64, entropy);
    RealDisk.create_dir_all(dir).unwrap();
    let mut writer = BlockWriter::create(&RealDisk, dir, WriterOptions::new(ulid)).unwrap();
    for (labels, samples) in contents {
        writer.add_series(labels, samples.iter().cloned()).unwrap();
    }
    writer.finish().unwrap().unwrap();
}

/// All samples of a folder as lines in which every bit shows.
fn lines(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for block in DataDir::open(&RealDisk, dir).unwrap().blocks() {
        let block = block.open(&RealDisk).unwrap();
        for series in block.series() {
            let series = series.unwrap();
            for sample in block.samples(&series) {
                let sample = sample.unwrap();
                let value = match &sample.value {
                    Value::Float(value) => format!("{:x}", value.to_bits()),
                    Value::Histogram(h) => format!("{h:?} {:x}", h.sum.to_bits()),
                    Value::IntegerHistogram(h) => format!("{h:?} {:x}", h.sum.to_bits()),
                };
                lines.push(format!(
                    "{} {} {value}",
                    series.labels(),
                    sample.timestamp_ms
                ));
            }
        }
    }
    lines
}

fn arguments(given: &[&str]) -> Arguments {
    let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
    Arguments::parse(&given, &["match", "limit", "min-time", "max-time"]).unwrap()
}

#[test]
fn there_and_back_again() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target, back) = ["prometheus", "ours", "back"]
        .map(|name| dir.path().join(name))
        .into();
    write(&source, 1, &contents());
    let mut out = Vec::new();
    let done = import::import(&source, &target, false, &mut out).unwrap();
    let samples: usize = contents().iter().map(|(_, samples)| samples.len()).sum();
    assert_eq!((done.written, done.samples), (1, samples as u64));

    let again = import::import(&source, &target, false, &mut out).unwrap();
    assert_eq!((again.written, again.passed_over), (0, 1));

    assert_eq!(
        export::export(&target, &back, &mut out).unwrap(),
        samples as u64
    );
    assert_eq!(lines(&back), lines(&source));
    let into_full = export::export(&target, &back, &mut out).unwrap_err();
    assert!(
        into_full.to_string().ends_with("is not empty"),
        "{into_full}"
    );
}

#[test]
fn an_import_that_was_cut_short_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let [source, target, back] = ["prometheus", "ours", "back"].map(|name| dir.path().join(name));
    let later = |(labels, samples): &(Labels, Vec<Sample>)| {
        let moved = samples.iter().map(|sample| Sample {
            timestamp_ms: sample.timestamp_ms + 7_200_000,
            ..sample.clone()
        });
        (labels.clone(), moved.collect())
    };
    write(&source, 1, &contents());
    write(
        &source,
        2,
        &contents().iter().map(later).collect::<Vec<_>>(),
    );
    import::import(&source, &target, false, &mut Vec::new()).unwrap();
    // As a kill leaves it: one block is there, the other one is not whole.
    let block = inspect::block_folders(&target).unwrap().remove(1);
    let half = block.with_extension("tmp");
    std::fs::rename(&block, &half).unwrap();
    std::fs::write(half.join("data"), b"half of it").unwrap();
    std::fs::remove_file(half.join("index")).unwrap();
    let done = import::import(&source, &target, false, &mut Vec::new()).unwrap();
    assert_eq!((done.written, done.passed_over), (1, 1));
    assert!(!half.exists());
    let done = import::import(&source, &target, false, &mut Vec::new()).unwrap();
    assert_eq!((done.written, done.passed_over), (0, 2));
    export::export(&target, &back, &mut Vec::new()).unwrap();
    assert_eq!(lines(&back), lines(&source));
}

#[test]
fn what_was_imported_is_listed_dumped_analyzed_and_verified() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("prometheus"), dir.path().join("ours"));
    write(&source, 1, &contents());
    import::import(&source, &target, false, &mut Vec::new()).unwrap();
    let path = target.to_str().unwrap();
    let text = |run: &dyn Fn(&Arguments, &mut dyn std::io::Write) -> anyhow::Result<()>,
                given: &[&str]| {
        let mut out = Vec::new();
        run(&arguments(given), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let list = text(&inspect::list, &[path]);
    let rows: Vec<&str> = list.lines().collect();
    assert_eq!(rows.len(), 2);
    assert!(
        rows[0].starts_with("BLOCK ULID                  MIN TIME       "),
        "{list}"
    );
    assert!(rows[1].contains("  1h39m45.002s  "), "{list}");

    let dump = text(
        &inspect::dump,
        &[
            path,
            "--match={__name__=\"busy\",instance=\"a\"}",
            "--max-time=1700000120000",
        ],
    );
    assert_eq!(
        dump,
        "{__name__=\"busy\", instance=\"a\", job=\"node\"} 0.7000000000000001 1700000105000\n\
         {__name__=\"busy\", instance=\"a\", job=\"node\"} 0.8 1700000120000\n"
    );
    let open = text(
        &inspect::dump_openmetrics,
        &[
            path,
            "--match=rule",
            "--match={__name__=\"own\",instance=\"b\"}",
            "--max-time=1700000015001",
        ],
    );
    assert_eq!(
        open,
        "own{instance=\"b\",job=\"node\"} 1 1700000000.001\n\
         own{instance=\"b\",job=\"node\"} 1 1700000015.001\n\
         rule{} -0 1700000000.000\n# EOF\n"
    );
    let analysis = text(&inspect::analyze, &[path, "--limit=1"]);
    assert!(
        analysis.contains("Total Series: 7\nLabel names: 3\n"),
        "{analysis}"
    );
    assert!(
        analysis.contains("\nMost common label pairs:\n6 job=node\n\n"),
        "{analysis}"
    );
    assert!(text(&inspect::verify, &[path]).contains(" samples, sound"));

    let block = inspect::block_folders(&target).unwrap().remove(0);
    let data = block.join("data");
    let mut bytes = std::fs::read(&data).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&data, bytes).unwrap();
    assert!(inspect::verify(&arguments(&[path]), &mut Vec::new()).is_err());
}

/// Of whole numbers, more than a float can tell apart among them; of floats; with custom bounds;
/// gauges; with markers, and with numbers in between.
fn histograms() -> Vec<(Labels, Vec<Sample>)> {
    let spans = |length| vec![Span { offset: -2, length }];
    let whole = |n: i64| Histogram {
        schema: 3,
        zero_threshold: 0.001,
        zero_count: 1,
        count: 1 + 3 * n.unsigned_abs(),
        sum: n as f64 * 0.3,
        positive_spans: spans(2),
        positive_buckets: vec![n, 2 * n],
        ..Histogram::default()
    };
    let custom = |n: i64| Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        zero_threshold: 0.0,
        zero_count: 0,
        count: 3 * n.unsigned_abs(),
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        custom_values: vec![0.5],
        ..whole(n)
    };
    let float = |n: i64| {
        let mut float = whole(n).to_float();
        float.count += 0.5;
        float.zero_count += 0.5;
        float
    };
    let stale = || Histogram {
        sum: model::STALE_NAN,
        ..Histogram::default()
    };
    let gauge = |n: i64| Histogram {
        counter_reset_hint: CounterResetHint::Gauge,
        ..whole(100 - n)
    };
    let integers = |histogram| Value::IntegerHistogram(Box::new(histogram));
    let of = |name: &str, value: &dyn Fn(i64) -> Value| {
        let labels = [("__name__", name), ("instance", "a"), ("job", "node")];
        let sample = |n: i64| Sample {
            timestamp_ms: START_MS + n * 15_000,
            start_timestamp_ms: 0,
            value: value(n),
        };
        let samples = (0..90).map(sample).collect();
        (Labels::from_pairs(labels), samples)
    };
    vec![
        of("h_custom", &|n| integers(custom(n))),
        of("h_float", &|n| Value::Histogram(Box::new(float(n)))),
        of("h_gauge", &|n| integers(gauge(n))),
        of("h_mixed", &|n| match n / 10 % 3 {
            0 => integers(whole(n)),
            1 => Value::Float(n as f64),
            _ => Value::Histogram(Box::new(float(n))),
        }),
        of("h_resets", &|n| integers(whole(n % 25))),
        of("h_whole", &|n| match n {
            40 => integers(stale()),
            n => integers(whole(n << 20)),
        }),
    ]
}

#[test]
fn histograms_go_there_and_back_again() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target, back) = ["prometheus", "ours", "back"]
        .map(|name| dir.path().join(name))
        .into();
    let mut all = contents();
    all.extend(histograms());
    all.sort_by(|a, b| a.0.cmp(&b.0));
    write(&source, 1, &all);
    let samples: usize = all.iter().map(|(_, samples)| samples.len()).sum();
    let done = import::import(&source, &target, false, &mut Vec::new()).unwrap();
    assert_eq!((done.samples, done.left_out), (samples as u64, 0));
    let exported = export::export(&target, &back, &mut Vec::new()).unwrap();
    assert_eq!(exported, samples as u64);
    assert_eq!(lines(&back), lines(&source));

    let without = dir.path().join("without");
    let done = import::import(&source, &without, true, &mut Vec::new()).unwrap();
    let all = histograms();
    let all = all.iter().flat_map(|(_, samples)| samples);
    let count = all.filter(|sample| !matches!(sample.value, Value::Float(_)));
    assert_eq!(done.left_out, count.count() as u64);
}

#[test]
fn a_histogram_that_cannot_be_is_refused_unless_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("prometheus"), dir.path().join("ours"));
    let mut contents = contents();
    let value = Value::IntegerHistogram(Box::new(Histogram {
        count: 5,
        ..Histogram::default()
    }));
    contents.push((
        Labels::from_pairs([("__name__", "zz")]),
        vec![Sample {
            value,
            ..float(START_MS, 0.0)
        }],
    ));
    write(&source, 1, &contents);
    let error = import::import(&source, &target, false, &mut Vec::new()).unwrap_err();
    assert!(
        format!("{error:#}").contains("--without-histograms"),
        "{error:#}"
    );
    let done = import::import(&source, &target, true, &mut Vec::new()).unwrap();
    assert_eq!((done.written, done.left_out), (1, 1));
}

/// What Prometheus 3.14 wrote, and answered: `crates/promblock/compat/README.md`.
#[test]
fn a_head_comes_in_and_a_server_can_go_on_from_its_end() {
    let compat = Path::new(env!("CARGO_MANIFEST_DIR")).join("../promblock/compat");
    for name in ["head-zstd", "head-snappy"] {
        let source = compat.join(name);
        let dir = tempfile::tempdir().unwrap();
        let done = import::import(&source, dir.path(), true, &mut Vec::new()).unwrap();
        let expected = std::fs::read_to_string(source.join("expected.txt")).unwrap();
        let floats = expected.lines().filter(|line| line.contains(" f "));
        let times = floats.map(|line| line.split(' ').next().unwrap().parse::<i64>().unwrap());
        let times: Vec<i64> = times.collect();
        assert_eq!(done.samples, times.len() as u64, "{name}");
        let db = super::open(dir.path()).unwrap();
        let blocks = storage::StorageStatus::blocks(&*db);
        let end_ms = blocks.iter().map(|block| block.max_time_ms).max();
        assert!(
            end_ms <= times.iter().max().map(|last| last + 15_001),
            "{name}: {end_ms:?}"
        );
        let again = import::import(&source, &dir.path().join("x"), true, &mut Vec::new());
        assert_eq!(again.unwrap().samples, done.samples);
    }
}

#[test]
fn nothing_newer_than_the_own_log_comes_in() {
    let dir = tempfile::tempdir().unwrap();
    let (source, target) = (dir.path().join("prometheus"), dir.path().join("ours"));
    write(&source, 1, &contents());
    RealDisk.create_dir_all(&target).unwrap();
    let options = tsdb::Options {
        background: false,
        ..tsdb::Options::new(&target)
    };
    let clock = clock::SystemClock::shared();
    let registry = telemetry::Registry::new(Arc::clone(&clock));
    let db = tsdb::Db::open(RealDisk::shared(), options, clock, &registry).unwrap();
    let labels = Labels::from_pairs([("__name__", "mine")]);
    let group = storage::Appender::open_group(&*db, &labels).unwrap();
    let series = storage::Appender::series(&*db, group, &labels).unwrap();
    let samples = [storage::Sample { series, value: 1.0 }];
    let batch = storage::Batch::of(group, START_MS, &samples);
    storage::Appender::append(&*db, batch).unwrap();
    db.close();
    let error = import::import(&source, &target, false, &mut Vec::new()).unwrap_err();
    assert!(
        error.to_string().contains("import into a new folder"),
        "{error}"
    );
}

#[test]
fn a_text_with_timestamps_becomes_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let page = "# TYPE m gauge\n\
                m{job=\"a\"} 2 1700000015\nm{job=\"a\"} 1 1700000000.5\nm{job=\"a\"} 2 1700000015\n\
                up{job=\"a\"} 1 1700020000\n# EOF\n";
    let mut out = Vec::new();
    backfill::create(page.as_bytes(), dir.path(), 7_200_000, &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!(out.lines().count(), 2, "{out}");
    let mut dump = Vec::new();
    inspect::dump(&arguments(&[dir.path().to_str().unwrap()]), &mut dump).unwrap();
    assert_eq!(
        String::from_utf8(dump).unwrap(),
        "{__name__=\"m\", job=\"a\"} 1 1700000000500\n\
         {__name__=\"m\", job=\"a\"} 2 1700000015000\n\
         {__name__=\"up\", job=\"a\"} 1 1700020000000\n"
    );
    for (page, expected) in [
        (
            "m 1\n# EOF\n",
            "expected timestamp for series {__name__=\"m\"}, got none",
        ),
        (
            "m 1 5\nm 2 5\n# EOF\n",
            "add sample: duplicate sample for timestamp 5000 of series {__name__=\"m\"}",
        ),
        ("m 1 5\n", "parse: data does not end with # EOF"),
    ] {
        let error = backfill::create(page.as_bytes(), dir.path(), 7_200_000, &mut Vec::new());
        assert_eq!(format!("{:#}", error.unwrap_err()), expected);
    }
}

#[test]
fn unknown_flags_and_missing_values_are_refused() {
    for given in [&["--wat"][..], &["--limit"], &["--limit=x"]] {
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        let parsed = Arguments::parse(&given, &["limit"]);
        assert!(
            parsed.and_then(|a| a.number("limit", 1)).is_err(),
            "{given:?}"
        );
    }
}
