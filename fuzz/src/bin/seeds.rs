//! Writes the corpora to begin with, from files that the real code writes: `seeds FOLDER`.

use std::path::{Path, PathBuf};

use disk::{Disk, MemoryDisk};
use model::Labels;
use promblock::{BlockWriter, Sample, Ulid, Value, WriterOptions};

fn main() {
    let folder = PathBuf::from(std::env::args().nth(1).expect("a folder"));
    let mut seeds: Vec<(&str, Vec<u8>)> = Vec::new();
    let disk = fuzz::image();
    let dir = Path::new(fuzz::DIR);
    let in_folder = |name: &str| -> Vec<Vec<u8>> {
        let path = dir.join(name);
        let entries = disk.list(&path).unwrap_or_default();
        entries
            .iter()
            .map(|e| bytes(&disk, &path.join(&e.name), 8))
            .collect()
    };
    // The checkpoint's name sorts behind the segments'.
    let mut log = in_folder("wal");
    let checkpoint = log.pop().unwrap_or_default();
    let chunks = in_folder("chunks_head");
    let first = |files: &[Vec<u8>]| files.first().cloned().unwrap_or_default();
    for two in log.windows(2) {
        seeds.push(("wal", fuzz::join(&[&checkpoint, &two[0], &two[1]])));
    }
    seeds.push(("wal", fuzz::join(&[&[], &first(&log), &[]])));
    for file in &chunks {
        seeds.push(("chunks", fuzz::join(&[file, &first(&chunks)])));
    }
    for block in fuzz::blocks(&disk, dir) {
        let file = |name: &str, skip| bytes(&disk, &block.join(name), skip);
        let (meta, index, data) = (file("meta.json", 0), file("index", 8), file("data", 8));
        let tombstones = file("tombstones", 8);
        seeds.push(("block", fuzz::join(&[&meta, &index, &data, &tombstones])));
        seeds.push(("index", index));
        let all = [
            &checkpoint,
            &first(&log),
            &first(&chunks),
            &data,
            &tombstones,
        ];
        seeds.push(("snapshot", fuzz::join(&all.map(Vec::as_slice))));
    }
    for kind in 0..5 {
        for block in fuzz::blocks(&disk, dir) {
            let mut seed = vec![kind, 20];
            seed.extend(bytes(&disk, &block.join("data"), 16));
            seed.truncate(400);
            seeds.push(("codec", seed));
        }
    }
    seeds.push(("promblock", promblock_seed()));
    for kind in 0..4 {
        let mut seed = vec![kind];
        seed.extend_from_slice(PAGE.as_bytes());
        seeds.push(("exposition", seed));
    }
    seeds.extend(
        QUERIES
            .iter()
            .map(|query| ("promql", query.as_bytes().to_vec())),
    );
    for (number, query) in QUERIES.iter().chain(EVALUATED).enumerate() {
        let steps = [0, 20, 200][number % 3];
        let seed = fuzz::queries::text_input(steps, 2, number as u8 % 4, query);
        seeds.push(("promql_engine", seed));
    }
    for number in 0..32 {
        seeds.push((
            "promql_engine",
            vec![2 * number + 1, 8 * number, 2, 40, number],
        ));
    }
    for (number, (target, bytes)) in seeds.iter().enumerate() {
        let folder = folder.join(target);
        std::fs::create_dir_all(&folder).expect("the corpus's folder");
        std::fs::write(folder.join(format!("seed-{number}")), bytes).expect("a seed");
    }
}

/// A file without its first bytes; nothing if it is not there.
fn bytes(disk: &MemoryDisk, path: &Path, skip: usize) -> Vec<u8> {
    let bytes = disk.map(path).map(|bytes| bytes.to_vec());
    let bytes = bytes.unwrap_or_default();
    bytes.get(skip..).unwrap_or_default().to_vec()
}

fn promblock_seed() -> Vec<u8> {
    let disk = MemoryDisk::new();
    let dir = Path::new(fuzz::DIR);
    disk.create_dir_all(dir).expect("memory");
    let options = WriterOptions::new(Ulid::new(1_700_000_000_000, 7));
    let mut writer = BlockWriter::create(&disk, dir, options).expect("memory");
    for name in ["a", "b"] {
        let samples = (0..200).map(|n| Sample {
            timestamp_ms: fuzz::START_MS + 15_000 * n,
            start_timestamp_ms: 0,
            value: Value::Float(n as f64 / 8.0),
        });
        let labels = Labels::from_pairs([("__name__", name), ("job", "j")]);
        writer.add_series(&labels, samples).expect("memory");
    }
    let meta = writer.finish().expect("memory").expect("there are samples");
    let block = dir.join(meta.ulid.to_string());
    let file = |name: &str| bytes(&disk, &block.join(name), 0);
    let (meta, index, chunks) = (file("meta.json"), file("index"), file("chunks/000001"));
    fuzz::join(&[&meta, &index, &chunks, &[], &[], &[]])
}

const PAGE: &str = "# HELP a What it is.\n# TYPE a counter\na_total{b=\"c\",d=\"e\\n\"} 1.5e3 1700000000000\n\
    # TYPE h histogram\nh_bucket{le=\"0.5\"} 1 # {trace_id=\"x\"} 0.3 1.5\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\n\
    h_count 2\n{\"utf-8 name\",x=\"y\"} NaN\nup 1\n# EOF\n";

const QUERIES: &[&str] = &[
    "sum by (job) (rate(http_requests_total{code=~\"5..\",job!=\"x\"}[5m] offset 1h)) / 2 > bool 0",
    "histogram_quantile(0.9, sum without (i) (h_bucket{le=\"0.5\"})) or vector(1)",
    "max_over_time(a[1h:5m] @ end()) * on (x) group_left (y) b{'utf-8'='1'} ^ -2 unless c",
    "label_replace(topk(3, {\"a b\", c=\"d\"}), 'x', '$1', 'y', '(.*)') atan2 0x1F % 1e-3",
    "quantile_over_time(.5, a[5m+2m] anchored) and limitk(2, b) fill (0) count_values('v', d)",
];

/// Queries over the data of the engine's target.
const EVALUATED: &[&str] = &[
    "sum by (x) (rate(c_total[2m])) / on (x) group_left count by (x) (a)",
    "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))",
    "histogram_quantiles(sum(n), \"q\", 0.1, 0.9) or histogram_fraction(0, 2, n) or histogram_stddev(k)",
    "max_over_time(sum(rate(n[1m]))[5m:15s]) >/ 0.3",
    "label_join(label_replace(pods, \"p\", \"$1-$1\", \"pod\", \"(.)(.*)\"), \"j\", \",\", \"p\", \"x\", \"p\")",
    "count_values(\"v\", a) or count_values(\"v\", n)",
    "sort_by_label_desc(topk(3, mixed or a), \"x\") or limit_ratio(-0.5, pods) or absent(nothing{a=\"b\"})",
    "info(a) + fill(0) b or quantile(0.5, {__name__=~\".+\"}) without (x)",
    "predict_linear(a[10m], 3600) - double_exponential_smoothing(b[5m], 0.1, 0.5) offset -1m @ end()",
    "absent_over_time(a[1m]) or scalar(a) + vector(time()) ^ step() or a smoothed or rate(c_total[5m] anchored)",
];
