//! The fixture of version 5, in which label sets came into small pages, and what is special in them.

use super::format::FileWriter;
use super::forward::ForwardWriter;
use super::*;

/// Of the two devices of each host.
const SERIALS: [[&str; 2]; 4] = [["m", "c"], ["x", "f"], ["a", "t"], ["q", "h"]];

/// All that version 3 has, and targets of one kind: their pages have the same rows. Not all series
/// have the same labels, and some values lie far apart.
fn source() -> VecSource {
    let mut source = version3::source();
    let timestamps: Vec<i64> = (0..5).map(|at| 1_000 + at * 10_000).collect();
    for (host, serials) in SERIALS.iter().enumerate() {
        let instance = format!("web-{host}:9100");
        let series = (0..90).map(|at| {
            let name = format!("fleet_{:02}", at / 3);
            let device = ["", "sda", "sdb"][at % 3];
            let mut pairs = vec![("__name__", name.as_str()), ("instance", &instance)];
            if at % 3 > 0 {
                pairs.push(("device", device));
                pairs.push(("serial", serials[at % 3 - 1]));
            }
            SeriesInput {
                labels: Labels::from_pairs(pairs),
                values: (0..5).map(|row| (host * 100 + row) as f64).collect(),
                ..SeriesInput::default()
            }
        });
        let mut series: Vec<_> = series.collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        let group = GroupInput {
            key: Labels::from_pairs([("instance", instance.as_str())]),
            timestamps: timestamps.clone(),
        };
        source.groups.push((group, series));
    }
    source
}

#[test]
fn small_pages_of_label_sets_are_read_for_ever() {
    let block = fixture(5, &source());
    let count = |matcher: Matcher| block.count(&[matcher]).unwrap();
    let of = |matcher: Matcher| {
        let found = block.select(&[matcher], i64::MIN, i64::MAX, 0).unwrap();
        let labels = found.iter().map(|series| series.labels().to_string());
        labels.collect::<Vec<_>>()
    };
    assert_eq!(
        of(Matcher::equal("__name__", "fleet_07"))[..4],
        [
            r#"{__name__="fleet_07", device="sda", instance="web-0:9100", serial="m"}"#,
            r#"{__name__="fleet_07", device="sdb", instance="web-0:9100", serial="c"}"#,
            r#"{__name__="fleet_07", instance="web-0:9100"}"#,
            r#"{__name__="fleet_07", device="sda", instance="web-1:9100", serial="x"}"#,
        ]
    );
    assert_eq!(count(Matcher::equal("device", "sda")), 120);
}

#[test]
fn targets_of_one_kind_share_rows() {
    let disk = MemoryDisk::new();
    let mut file = FileWriter::create(&disk, Path::new("/index"), format::INDEX_MAGIC).unwrap();
    let mut writer = ForwardWriter::default();
    let mut sizes = Vec::new();
    for host in 0..4u32 {
        let from = file.position();
        for at in 0..60 {
            // A name, a host, and one of two numbers that are anywhere.
            let far = (7 * host + at % 2 + 1) * 0x9e37 % 10_007;
            let pairs = [(0, at / 2), (2, 500 + host), (3, far)];
            writer.push(&pairs, &mut file).unwrap();
        }
        writer.end_batch(&mut file).unwrap();
        sizes.push(file.position() - from);
    }
    // Rows of 6 bits are written once; a page takes a reference, three ranks and the checksum.
    assert!(sizes[0] > 60 * 6 / 8, "{sizes:?}");
    assert!(sizes[1..].iter().all(|size| *size < 20), "{sizes:?}");
}

#[test]
fn many_label_names_make_small_pages() {
    // No two series have a name in common: rows of 64 would have bits for all 1,920 names.
    let series = (0..64).map(|at| {
        let names: Vec<String> = (0..30).map(|n| format!("name_{at:02}_{n:02}")).collect();
        SeriesInput {
            labels: Labels::from_pairs(names.iter().map(|name| (name.as_str(), "x"))),
            values: vec![1.0],
            ..SeriesInput::default()
        }
    });
    let group = GroupInput {
        key: Labels::from_pairs([("instance", "one")]),
        timestamps: vec![1_000],
    };
    let source = VecSource::new(vec![(group, series.collect())]);
    let disk = MemoryDisk::new();
    let block = write(&disk, &source, 480).unwrap();
    assert_eq!(read_all(&block).unwrap(), naive(&source));
    assert!(
        block.index_bytes() < 64 * 30 * 40,
        "{}",
        block.index_bytes()
    );
}
