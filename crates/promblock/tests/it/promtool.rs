//! Blocks of Prometheus's own tool read by us, and ours read by it.
//!
//! The tool is `promtool` on the path, or what `PROMTOOL` names; without one these tests say so and
//! pass.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use disk::{Disk, RealDisk};
use model::histogram::Span;
use model::{FloatHistogram, Histogram};
use promblock::{Block, Value};

use crate::support::{Contents, float, histogram, integers, labels, read, write};

/// The tool's name, if there is one.
fn promtool() -> Option<String> {
    let name = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let found = Command::new(&name).arg("--version").output().is_ok();
    if !found {
        println!("skipped: no {name}");
    }
    found.then_some(name)
}

fn run(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// A data directory that the tool takes for one: it wants a log, if only an empty one.
fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    RealDisk.create_dir_all(&dir.path().join("wal")).unwrap();
    dir
}

/// Samples of a dump by series: time to the value's text.
fn parse_dump(dump: &str) -> BTreeMap<String, BTreeMap<i64, String>> {
    let mut series: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for line in dump.lines() {
        let (rest, at) = line.rsplit_once(' ').unwrap();
        // Histograms have spaces, but no closing brace before their own opening one.
        let end = rest.find("} ").unwrap() + 1;
        let samples = series.entry(rest[..end].to_owned()).or_default();
        let before = samples.insert(at.parse().unwrap(), rest[end + 1..].to_owned());
        assert_eq!(before, None, "{line}");
    }
    series
}

fn assert_floats_equal(contents: &Contents, dump: &str) {
    let dump = parse_dump(dump);
    assert_eq!(dump.len(), contents.len());
    for (labels, samples) in contents {
        let dumped = &dump[&labels.to_string()];
        assert_eq!(dumped.len(), samples.len(), "{labels}");
        for sample in samples {
            let text = &dumped[&sample.timestamp_ms];
            let Value::Float(value) = sample.value else {
                continue;
            };
            let parsed: f64 = text.parse().unwrap();
            let same = parsed.to_bits() == value.to_bits() || parsed.is_nan() && value.is_nan();
            assert!(same, "{labels} {}: {text} for {value}", sample.timestamp_ms);
        }
    }
}

/// Many series of values of all kinds, with gaps, over a bit more than two hours.
fn fleet(series_count: usize, samples_each: i64) -> Contents {
    let mut random = fastrand::Rng::with_seed(7);
    let start_ms = 1_700_000_000_000;
    let mut contents: Contents = Vec::new();
    for n in 0..series_count {
        let name = format!("metric_{}", n % 7);
        let instance = format!("host-{n:03} \"ü\"\\");
        let mut at = start_ms + n as i64;
        let mut samples = Vec::new();
        for index in 0..samples_each {
            at += match random.u8(..) {
                0 => random.i64(1..4_000_000),
                1..10 => 15_000 + random.i64(-300..300),
                _ => 15_000,
            };
            samples.push(float(
                at,
                match n % 6 {
                    0 => index as f64 * 17.0,
                    1 => random.f64() * 1e6,
                    2 => f64::from_bits(random.u64(..)),
                    3 => (random.i32(0..1000) as f64) / 10.0,
                    4 if index % 50 == 49 => model::STALE_NAN,
                    4 => f64::NEG_INFINITY,
                    _ => 1.0,
                },
            ));
        }
        let set = labels(&[
            ("__name__", &name),
            ("instance", &instance),
            ("job", "test"),
        ]);
        contents.push((set, samples));
    }
    contents.sort_by(|a, b| a.0.cmp(&b.0));
    contents
}

#[test]
fn our_blocks_are_read_with_the_same_samples() {
    let Some(tool) = promtool() else { return };
    let dir = data_dir();
    let contents = fleet(60, 500);
    let block = write(&RealDisk, dir.path(), &contents).unwrap();
    let data = dir.path().to_str().unwrap();
    let list = run(&tool, &["tsdb", "list", data]);
    let name = block.file_name().unwrap().to_str().unwrap();
    let row = list.lines().find(|line| line.contains(name)).unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert!(cells.contains(&"30000") && cells.contains(&"60"), "{row}");
    assert_floats_equal(&contents, &run(&tool, &["tsdb", "dump", data]));
    let analysis = run(&tool, &["tsdb", "analyze", data]);
    assert!(analysis.contains("Series: 60"), "{analysis}");
    let match_one = [
        "tsdb",
        "dump",
        "--match",
        "{job=\"test\",__name__=~\"metric_[34]\"}",
        data,
    ];
    let some = contents
        .iter()
        .filter(|(labels, _)| matches!(labels.metric_name(), "metric_3" | "metric_4"));
    assert_floats_equal(&some.cloned().collect(), &run(&tool, &match_one));
}

#[test]
fn our_histograms_are_read() {
    let Some(tool) = promtool() else { return };
    if run(&tool, &["--version"]).contains("version 2.") {
        println!("skipped: this {tool} dumps no histograms");
        return;
    }
    let dir = data_dir();
    let of = |count: f64| FloatHistogram {
        schema: 0,
        zero_threshold: 0.25,
        zero_count: 1.0,
        count,
        sum: 18.5,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_buckets: vec![2.0, count - 3.0],
        ..FloatHistogram::default()
    };
    let name = labels(&[("__name__", "h")]);
    let samples = [4.0, 5.0, 4.5].iter().enumerate();
    let samples: Vec<_> = samples
        .map(|(at, count)| histogram(at as i64 * 1000, of(*count)))
        .collect();
    let whole = |at: i64, count: u64| {
        let h = of(count as f64);
        let whole = Histogram {
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: 1,
            count,
            sum: h.sum,
            positive_spans: h.positive_spans,
            positive_buckets: vec![2, count as i64 - 3],
            ..Histogram::default()
        };
        integers(at * 1000, whole)
    };
    let wholes = vec![whole(0, 4), whole(1, 5), whole(2, 9_007_199_254_740_993)];
    let whole_name = labels(&[("__name__", "w")]);
    let contents = vec![(name, samples), (whole_name, wholes)];
    write(&RealDisk, dir.path(), &contents).unwrap();
    let dump = parse_dump(&run(&tool, &["tsdb", "dump", dir.path().to_str().unwrap()]));
    let dumped: Vec<_> = dump["{__name__=\"h\"}"].iter().collect();
    let text = |count: &str, last: &str| {
        format!("{{count:{count}, sum:18.5, [-0.25,0.25]:1, (0.5,1]:2, (1,2]:{last}}}")
    };
    assert_eq!(
        dumped,
        [
            (&0, &text("4", "1")),
            (&1000, &text("5", "2")),
            (&2000, &text("4.5", "1.5"))
        ]
    );
    let dumped: Vec<_> = dump["{__name__=\"w\"}"].iter().collect();
    assert_eq!(
        dumped,
        [
            (&0, &text("4", "1")),
            (&1000, &text("5", "2")),
            (&2000, &text("9007199254740993", "9007199254740990"))
        ]
    );
}

#[test]
fn its_blocks_are_read_with_the_same_samples() {
    let Some(tool) = promtool() else { return };
    let dir = tempfile::tempdir().unwrap();
    // The text knows seconds, and neither markers nor payloads of NaN.
    let mut contents = fleet(30, 400);
    for (_, samples) in &mut contents {
        for sample in samples.iter_mut() {
            if let Value::Float(value) = &mut sample.value
                && value.is_nan()
            {
                *value = f64::from_bits(model::NORMAL_NAN_BITS);
            }
        }
    }
    let mut text = String::new();
    for (labels, samples) in &contents {
        for sample in samples {
            let Value::Float(value) = sample.value else {
                continue;
            };
            let pairs: Vec<String> = labels
                .iter()
                .filter(|(name, _)| *name != "__name__")
                .map(|(name, value)| {
                    format!(
                        "{name}=\"{}\"",
                        value.replace('\\', "\\\\").replace('"', "\\\"")
                    )
                })
                .collect();
            let value = if value.is_infinite() {
                if value > 0.0 {
                    "+Inf".to_owned()
                } else {
                    "-Inf".to_owned()
                }
            } else {
                format!("{value:e}")
            };
            let (seconds, millis) = (sample.timestamp_ms / 1000, sample.timestamp_ms % 1000);
            text += &format!(
                "{}{{{}}} {value} {seconds}.{millis:03}\n",
                labels.metric_name(),
                pairs.join(",")
            );
        }
    }
    text += "# EOF\n";
    let input = dir.path().join("input.txt");
    std::fs::write(&input, text).unwrap();
    let data = dir.path().join("data");
    RealDisk.create_dir_all(&data).unwrap();
    run(
        &tool,
        &[
            "tsdb",
            "create-blocks-from",
            "openmetrics",
            input.to_str().unwrap(),
            data.to_str().unwrap(),
        ],
    );
    let mut found: BTreeMap<String, BTreeMap<i64, u64>> = BTreeMap::new();
    for block in blocks(&data) {
        let opened = Block::open(&RealDisk, &block).unwrap();
        assert_eq!(
            opened.verify().unwrap().num_samples,
            opened.meta().stats.num_samples
        );
        for (labels, samples) in read(&RealDisk, &block).unwrap() {
            let series = found.entry(labels.to_string()).or_default();
            for sample in samples {
                let Value::Float(value) = sample.value else {
                    panic!("{sample:?}")
                };
                assert_eq!(series.insert(sample.timestamp_ms, value.to_bits()), None);
            }
        }
    }
    assert_eq!(found.len(), contents.len());
    for (labels, samples) in &contents {
        let bits = samples.iter().map(|sample| match sample.value {
            Value::Float(value) => (sample.timestamp_ms, value.to_bits()),
            Value::Histogram(_) | Value::IntegerHistogram(_) => panic!("{sample:?}"),
        });
        assert_eq!(found[&labels.to_string()], bits.collect(), "{labels}");
    }
}

/// Folders of blocks.
fn blocks(data: &Path) -> Vec<std::path::PathBuf> {
    let entries = RealDisk.list(data).unwrap();
    let dirs = entries.into_iter().filter(|entry| entry.name.len() == 26);
    let found: Vec<_> = dirs.map(|entry| data.join(entry.name)).collect();
    assert!(!found.is_empty());
    found
}
