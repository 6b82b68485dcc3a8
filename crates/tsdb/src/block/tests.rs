//! Blocks as a whole: what is written is what is read, whatever the data, the disk and the bits do.

mod version3;
mod version5;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Fault, FaultyDisk, MemoryDisk};
use model::{Labels, Matcher};
use proptest::prelude::*;
use storage::{Samples, Series};

use super::*;
use crate::select::tests::{any_labels, any_matcher};

/// Groups in memory: key, timestamps, series.
#[derive(Debug, Clone, Default)]
pub(crate) struct VecSource {
    pub(crate) groups: Vec<(GroupInput, Vec<SeriesInput>)>,
    at: usize,
    series: usize,
}

impl VecSource {
    pub(crate) fn new(groups: Vec<(GroupInput, Vec<SeriesInput>)>) -> VecSource {
        VecSource {
            groups,
            at: 0,
            series: 0,
        }
    }
}

impl BlockSource for VecSource {
    fn next_group(&mut self, group: &mut GroupInput) -> Result<bool, BlockError> {
        let Some((next, _)) = self.groups.get(self.at) else {
            return Ok(false);
        };
        group.clone_from(next);
        (self.at, self.series) = (self.at + 1, 0);
        Ok(true)
    }

    fn next_series(&mut self, series: &mut SeriesInput) -> Result<bool, BlockError> {
        let Some(next) = self.groups[self.at - 1].1.get(self.series) else {
            return Ok(false);
        };
        series.clone_from(next);
        self.series += 1;
        Ok(true)
    }
}

/// The obvious block: labels to time to bits. Of several values at one time the first stays.
type Naive = BTreeMap<Labels, BTreeMap<i64, u64>>;

fn naive(source: &VecSource) -> Naive {
    let mut naive = Naive::new();
    for (group, all) in &source.groups {
        for series in all {
            let set = |at: usize| {
                series
                    .present
                    .get(at / 64)
                    .is_some_and(|w| w >> (at % 64) & 1 == 1)
            };
            let times: Vec<i64> = match series.times {
                Times::Every => group.timestamps.clone(),
                Times::Own => series.own.clone(),
                Times::Present => (0..group.timestamps.len())
                    .filter(|&at| set(at))
                    .map(|at| group.timestamps[at])
                    .collect(),
            };
            if times.is_empty() {
                continue;
            }
            let samples = naive.entry(series.labels.clone()).or_default();
            for (time, value) in times.into_iter().zip(&series.values) {
                samples.entry(time).or_insert(value.to_bits());
            }
        }
    }
    naive
}

fn params(min_ms: i64, max_ms: i64, samples_per_chunk_max: usize) -> BlockParams {
    BlockParams {
        ulid: Ulid::new(1_700_000_000_000),
        min_ms,
        max_ms,
        compaction: Compaction::default(),
        samples_per_chunk_max,
    }
}

fn write(disk: &dyn Disk, source: &VecSource, chunk_max: usize) -> Option<Arc<Block>> {
    let params = params(0, 1_000_000, chunk_max);
    let meta = write_block(disk, Path::new("/b"), &params, &mut source.clone()).unwrap()?;
    let dir = Path::new("/b").join(meta.ulid.to_string());
    let block = Block::open(disk, &dir, &PageCache::new(1 << 20)).unwrap();
    assert_eq!(block.meta(), &meta);
    assert_eq!(block.size_bytes(), disk::size_of_dir(disk, &dir).unwrap());
    Some(block)
}

/// Everything in the block, or the first error.
fn read_all(block: &Arc<Block>) -> Result<Naive, storage::StorageError> {
    let mut all = Naive::new();
    for series in block.select(&[], i64::MIN, i64::MAX, 0)? {
        let mut samples = Samples::default();
        series.read(i64::MIN, i64::MAX, &mut samples)?;
        let bits = samples.values.iter().map(|v| v.to_bits());
        let column = samples.timestamps.into_iter().zip(bits).collect();
        assert!(
            all.insert(series.labels().clone(), column).is_none(),
            "twice"
        );
    }
    Ok(all)
}

/// Everything that the block can say: samples, and the series of every name and pair.
fn ask_all(block: &Arc<Block>) -> Result<(Naive, Vec<String>), storage::StorageError> {
    let mut said = Vec::new();
    let mut ask = |matcher: Matcher| {
        for series in block.select(&[matcher], i64::MIN, i64::MAX, 0)? {
            said.push(series.labels().to_string());
        }
        Ok::<(), storage::StorageError>(())
    };
    for name in block.label_names(&[], 0)? {
        for value in block.label_values(&name, &[], 0)? {
            ask(Matcher::equal(&name, value))?;
        }
        ask(Matcher::new(model::MatchOp::NotEqual, name, "").expect("no pattern"))?;
    }
    Ok((read_all(block)?, said))
}

const ODD_BITS: &[u64] = &[
    model::STALE_NAN_BITS,
    0x7ff8_0000_0000_0001,
    0xfff8_dead_beef_0001,
    0x8000_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    1,
];

fn any_series(count: usize) -> impl Strategy<Value = SeriesInput> {
    let own = prop::collection::btree_set(0i64..1_000_000, 0..40);
    let seed = any::<u64>();
    (any_labels(), 0..4, any::<[u64; 2]>(), own, seed).prop_map(
        move |(labels, times, words, own, seed)| {
            let mut rng = fastrand::Rng::with_seed(seed);
            let own: Vec<i64> = own.into_iter().collect();
            let mut present = words.to_vec();
            if rng.bool() {
                // Runs rather than single bits.
                present = vec![u64::MAX << (words[0] % 64), u64::MAX >> (words[1] % 64)];
            }
            let set = |at: usize| {
                present
                    .get(at / 64)
                    .is_some_and(|w| w >> (at % 64) & 1 == 1)
            };
            let (times, length) = match times {
                0 | 1 => (Times::Every, count),
                2 => (Times::Present, (0..count).filter(|&at| set(at)).count()),
                _ => (Times::Own, own.len()),
            };
            let kind = rng.u32(0..4);
            let mut sum = 0u32;
            let mut value = |_| match kind {
                0 => {
                    sum += rng.u32(0..9);
                    f64::from(sum)
                }
                1 => f64::from_bits(ODD_BITS[rng.usize(0..ODD_BITS.len())]),
                2 => rng.f64() * 100.0,
                _ => 7.5,
            };
            let values = (0..length).map(&mut value).collect();
            SeriesInput {
                labels,
                times,
                present,
                own,
                values,
                ..SeriesInput::default()
            }
        },
    )
}

fn any_group() -> impl Strategy<Value = (GroupInput, Vec<SeriesInput>)> {
    let times = prop::collection::btree_set(0i64..1_000_000, 0..100);
    (any_labels(), times).prop_flat_map(|(key, times)| {
        let timestamps: Vec<i64> = times.into_iter().collect();
        let series = prop::collection::vec(any_series(timestamps.len()), 0..12);
        series.prop_map(move |mut series| {
            series.retain(|s| !s.labels.is_empty());
            series.sort_by(|a, b| a.labels.cmp(&b.labels));
            (
                GroupInput {
                    key: key.clone(),
                    timestamps: timestamps.clone(),
                },
                series,
            )
        })
    })
}

pub(crate) fn any_source() -> impl Strategy<Value = VecSource> {
    prop::collection::vec(any_group(), 0..4).prop_map(|mut groups| {
        groups.sort_by(|a, b| a.0.key.cmp(&b.0.key));
        groups.dedup_by(|a, b| a.0.key == b.0.key);
        VecSource::new(groups)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        source in any_source(), chunk_max in 1usize..60,
        matchers in prop::collection::vec(any_matcher(), 0..3),
        range in (0i64..1_000_000, 0i64..1_000_000),
    ) {
        let disk = MemoryDisk::new();
        let expected = naive(&source);
        let Some(block) = write(&disk, &source, chunk_max) else {
            prop_assert!(expected.is_empty());
            prop_assert!(disk.files().is_empty());
            return Ok(());
        };
        prop_assert_eq!(&read_all(&block).unwrap(), &expected);
        let stats = block.meta().stats;
        prop_assert_eq!(stats.num_series, expected.len() as u64);

        let passes = |labels: &Labels| matchers.iter().all(|m| m.matches(labels.get(m.name())));
        let (min_ms, max_ms) = range;
        let mut found = Naive::new();
        for series in block.select(&matchers, min_ms, max_ms, 0).unwrap() {
            prop_assert!(passes(series.labels()));
            let mut samples = Samples::default();
            samples.push(-1, 0.0);
            series.read(min_ms, max_ms, &mut samples).unwrap();
            let bits = samples.values.iter().map(|v| v.to_bits());
            let column: BTreeMap<i64, u64> = samples.timestamps.into_iter().zip(bits).skip(1).collect();
            if !column.is_empty() {
                found.insert(series.labels().clone(), column);
            }
        }
        let inside = |column: BTreeMap<i64, u64>| -> BTreeMap<i64, u64> {
            column.into_iter().filter(|(t, _)| (min_ms..=max_ms).contains(t)).collect()
        };
        let expected: Naive = expected
            .into_iter()
            .filter(|(labels, _)| passes(labels))
            .map(|(labels, column)| (labels, inside(column)))
            .filter(|(_, column)| !column.is_empty())
            .collect();
        prop_assert_eq!(found, expected);
    }
}

/// A small block with every kind of page: counters, floats, gaps, stale markers, own times.
pub(crate) fn small_source() -> VecSource {
    let timestamps: Vec<i64> = (0..40).map(|i| 1_000 + i * 15_000 + i % 3).collect();
    let labels = |name: &str, host: &str| Labels::from_pairs([("__name__", name), ("host", host)]);
    let group = |host: &str, skew: i64| {
        let count = timestamps.len();
        // Divisions only: the same bits on every machine.
        let floats = (0..count)
            .map(|i| (i * 7_919 % 1_000) as f64 / 7.3)
            .collect();
        let percent = (0..count)
            .map(|i| 100.0 * (i * 37 % 900 + 1) as f64 / (1_500 + i % 3) as f64)
            .collect();
        let counter: Vec<f64> = (0..count)
            .map(|i| (i * i % 97 + 10 * i) as f64 * 512.0)
            .collect();
        let mut gone = counter[..20].to_vec();
        gone[19] = model::STALE_NAN;
        let every = |name: &str, values: Vec<f64>| SeriesInput {
            labels: labels(name, host),
            values,
            ..SeriesInput::default()
        };
        let series = vec![
            every("a_constant", vec![4.25; count]),
            every("b_counter", counter.clone()),
            every("c_counter", counter),
            SeriesInput {
                times: Times::Present,
                present: vec![(1 << 20) - 1],
                ..every("d_gone", gone)
            },
            every("e_float", floats),
            every("e_percent", percent),
            SeriesInput {
                times: Times::Own,
                own: vec![5, 777_777, 800_000],
                ..every(
                    "f_own",
                    vec![1.0, f64::from_bits(0x7ff8_0000_0000_0042), -0.0],
                )
            },
        ];
        let timestamps = timestamps.iter().map(|t| t + skew).collect();
        (
            GroupInput {
                key: Labels::from_pairs([("instance", host)]),
                timestamps,
            },
            series,
        )
    };
    VecSource::new(vec![group("one", 0), group("two", 411)])
}

#[test]
fn every_flipped_bit_is_noticed_or_harmless() {
    let disk = MemoryDisk::new();
    let source = small_source();
    let block = write(&disk, &source, 16).unwrap();
    let expected = ask_all(&block).unwrap();
    assert_eq!(expected.0, naive(&source));
    assert!(!expected.1.is_empty());
    let dir = Path::new("/b").join(block.meta().ulid.to_string());
    for file in [DATA_FILE, INDEX_FILE, META_FILE] {
        let path = dir.join(file);
        let length = disk.file_length(&path).unwrap() as usize;
        let mut noticed = 0;
        for bit in 0..8 * length {
            disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
            let read = Block::open(&disk, &dir, &PageCache::new(1 << 20));
            match read
                .map_err(storage::StorageError::from)
                .and_then(|block| ask_all(&block))
            {
                Ok(all) => assert!(all == expected, "bit {bit} of {file} changed the answer"),
                Err(_) => noticed += 1,
            }
            disk.damage(&path, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        }
        // `meta.json` has counts and spaces that nobody relies on; pages have no such bits.
        assert!(
            file == META_FILE || noticed == 8 * length,
            "{file}: {noticed} of {}",
            8 * length
        );
        for cut in (0..length).step_by(7) {
            let whole = disk.map(&path).unwrap().to_vec();
            disk.damage(&path, |bytes| bytes.truncate(cut));
            let read = Block::open(&disk, &dir, &PageCache::new(1 << 20));
            assert!(
                read.map_err(storage::StorageError::from)
                    .and_then(|block| ask_all(&block))
                    .is_err()
            );
            disk.damage(&path, |bytes| *bytes = whole);
        }
    }
}

#[test]
fn damage_hits_only_what_it_touches() {
    let disk = MemoryDisk::new();
    let block = write(&disk, &small_source(), 480).unwrap();
    let dir = Path::new("/b").join(block.meta().ulid.to_string());
    // The last page belongs to the series with their own times.
    disk.damage(&dir.join(DATA_FILE), |bytes| {
        *bytes.last_mut().unwrap() ^= 1
    });
    let block = Block::open(&disk, &dir, &PageCache::new(1 << 20)).unwrap();
    let mut failed = Vec::new();
    for series in block.select(&[], i64::MIN, i64::MAX, 0).unwrap() {
        let mut samples = Samples::default();
        if let Err(error) = series.read(i64::MIN, i64::MAX, &mut samples) {
            assert!(
                matches!(error, storage::StorageError::Corrupt(_)),
                "{error}"
            );
            assert!(samples.is_empty());
            failed.push(series.labels().to_string());
        }
    }
    assert_eq!(failed, [r#"{__name__="f_own", host="two"}"#]);
}

#[test]
fn after_any_fault_the_block_is_whole_or_not_there() {
    let source = small_source();
    let expected = naive(&source);
    for fault in [Fault::Fail, Fault::Tear, Fault::Dead, Fault::Full] {
        for at in 0.. {
            let memory = MemoryDisk::new();
            memory.create_dir_all(Path::new("/b")).unwrap();
            memory.sync_dir(Path::new("/")).unwrap();
            let faulty = FaultyDisk::new(Arc::new(memory.clone()), at, fault);
            let params = params(0, 1_000_000, 16);
            let written = write_block(&faulty, Path::new("/b"), &params, &mut source.clone());
            let hit = faulty.operations() > at;
            assert_eq!(written.is_err(), hit, "{fault:?} at {at}: {written:?}");
            let cut = memory.fork();
            cut.power_cut();
            for (what, disk) in [("process", &memory), ("power", &cut)] {
                let mut blocks = 0;
                for entry in disk.list(Path::new("/b")).unwrap() {
                    if entry.name.ends_with(".tmp") {
                        continue;
                    }
                    let dir = Path::new("/b").join(&entry.name);
                    if disk.list(&dir).unwrap().is_empty() {
                        // The memory disk keeps folders whose files a power cut took.
                        continue;
                    }
                    let block = Block::open(disk, &dir, &PageCache::new(1 << 20)).unwrap();
                    assert_eq!(
                        read_all(&block).unwrap(),
                        expected,
                        "{what} {fault:?} at {at}"
                    );
                    blocks += 1;
                }
                assert!(blocks == 1 || written.is_err(), "{what} {fault:?} at {at}");
            }
            if !hit {
                break;
            }
        }
    }
}

#[test]
fn broken_input_is_refused() {
    let series = |values: Vec<f64>| SeriesInput {
        labels: Labels::from_pairs([("__name__", "up")]),
        values,
        ..SeriesInput::default()
    };
    let own = |own: Vec<i64>| SeriesInput {
        times: Times::Own,
        own,
        ..series(vec![1.0, 2.0])
    };
    for (timestamps, series) in [
        (vec![5, 5], series(vec![1.0, 2.0])),
        (vec![5, 1_000_000], series(vec![1.0, 2.0])),
        (vec![-1], series(vec![1.0])),
        (vec![5, 6], series(vec![1.0])),
        (vec![], own(vec![9, 8])),
        (vec![], own(vec![9])),
        (
            vec![5],
            SeriesInput {
                labels: Labels::empty(),
                ..series(vec![1.0])
            },
        ),
    ] {
        let disk = MemoryDisk::new();
        let group = GroupInput {
            key: Labels::empty(),
            timestamps,
        };
        let mut source = VecSource::new(vec![(group, vec![series])]);
        let refused = write_block(
            &disk,
            Path::new("/b"),
            &params(0, 1_000_000, 480),
            &mut source,
        );
        assert!(matches!(refused, Err(BlockError::Input(_))), "{refused:?}");
        assert!(disk.files().is_empty());
    }
}

#[test]
fn a_removed_block_is_gone_and_open_ones_stay_readable() {
    let disk = MemoryDisk::new();
    let block = write(&disk, &small_source(), 480).unwrap();
    let dir = Path::new("/b").join(block.meta().ulid.to_string());
    remove_block(&disk, &dir).unwrap();
    assert!(disk.files().is_empty());
    assert_eq!(read_all(&block).unwrap(), naive(&small_source()));
}

#[test]
fn labels_and_limits() {
    let disk = MemoryDisk::new();
    let block = write(&disk, &small_source(), 480).unwrap();
    assert_eq!(block.label_names(&[], 0).unwrap(), ["__name__", "host"]);
    assert_eq!(
        block
            .label_names(&[Matcher::equal("host", "no")], 0)
            .unwrap()
            .len(),
        0
    );
    assert_eq!(block.label_values("host", &[], 1).unwrap(), ["one"]);
    let own = [Matcher::equal("__name__", "f_own")];
    assert_eq!(block.label_values("host", &own, 0).unwrap(), ["one", "two"]);
    assert_eq!(block.select(&own, 0, 1_000_000, 1).unwrap().len(), 1);
    assert_eq!(block.select(&own, 900_000, 1_000_000, 0).unwrap().len(), 0);
    assert_eq!(
        block.select(&own, 2_000_000, 3_000_000, 0).unwrap().len(),
        0
    );
}

/// Two sources into one block each, and those into one.
fn merge(disk: &MemoryDisk, sources: &[VecSource]) -> Option<Arc<Block>> {
    let mut blocks = Vec::new();
    for source in sources {
        blocks.extend(write(disk, source, 30));
    }
    let parent = Path::new("/b");
    let meta = merge_blocks(disk, parent, Ulid::new(5), &blocks).unwrap()?;
    assert_eq!(meta.compaction.level, 2);
    assert_eq!(meta.compaction.parents.len(), blocks.len());
    Some(
        Block::open(
            disk,
            &parent.join(meta.ulid.to_string()),
            &PageCache::new(1 << 20),
        )
        .unwrap(),
    )
}

proptest! {
    #[test]
    fn merging_unites_and_the_first_wins(sources in prop::collection::vec(any_source(), 0..4)) {
        let mut expected = Naive::new();
        let mut conflicts = false;
        for source in &sources {
            for (labels, column) in naive(source) {
                let samples = expected.entry(labels).or_default();
                for (time, bits) in column {
                    conflicts |= *samples.entry(time).or_insert(bits) != bits;
                }
            }
        }
        let disk = MemoryDisk::new();
        let Some(block) = merge(&disk, &sources) else {
            prop_assert!(expected.is_empty());
            return Ok(());
        };
        let found = read_all(&block).unwrap();
        if conflicts {
            // Which group comes first is not which block does: times are compared only.
            let times = |naive: &Naive| -> Vec<(Labels, Vec<i64>)> {
                naive.iter().map(|(l, c)| (l.clone(), c.keys().copied().collect())).collect()
            };
            prop_assert_eq!(times(&found), times(&expected));
        } else {
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn merging_neighbours_puts_their_groups_together() {
    let disk = MemoryDisk::new();
    let mut late = small_source();
    for (group, all) in &mut late.groups {
        let shift = |t: &mut i64| *t += 150_000;
        group.timestamps.iter_mut().for_each(shift);
        for series in all {
            series.values.iter_mut().for_each(|v| *v += 1.0);
            series.own.iter_mut().for_each(shift);
        }
    }
    let sources = [small_source(), late];
    let block = merge(&disk, &sources).unwrap();
    let mut expected = naive(&sources[0]);
    for (labels, column) in naive(&sources[1]) {
        let samples = expected.get_mut(&labels).unwrap();
        for (time, bits) in column {
            samples.entry(time).or_insert(bits);
        }
    }
    // Times overlap, so the first block's values must have won.
    assert_eq!(read_all(&block).unwrap(), expected);
    let tables = block.tables();
    assert_eq!((tables.groups.len(), tables.columns.len()), (2, 2));
}

/// What version 2 added: sums, shares of columns and of time, quotients of steps.
fn related_source() -> VecSource {
    let mut source = small_source();
    let timestamps: Vec<i64> = (0..64).map(|at| 1_000 + at * 15_000).collect();
    let mut ticks = (4_000_123u64, 90_000_987u64);
    let seconds = |ticks: u64| ticks as f64 / 100.0;
    let (mut counter, mut clock) = (9e13, 7.3e15);
    let mut columns = vec![Vec::new(); 8];
    for at in 0..64u64 {
        let before = (ticks, counter, clock);
        // Something that is not regular.
        let noise = at * at * 2_654_435_761 % 1_009;
        ticks = (ticks.0 + 1 + noise % 300, ticks.1 + 1_500 - noise % 300);
        counter += (noise * 1_000) as f64;
        clock += 120e9;
        let passed = seconds(ticks.0) + seconds(ticks.1);
        let passed = passed - (seconds(before.0.0) + seconds(before.0.1));
        let used = (noise + 5_000) as f64 * 4_096.0;
        let row = [
            used,
            8e9 - used,
            100.0 * used / 8e9,
            counter,
            clock,
            (counter - before.1) / (clock - before.2) * 8.0 * 100.0,
            100.0 * (seconds(ticks.0) - seconds(before.0.0)) / passed,
            100.0 * (seconds(ticks.1) - seconds(before.0.1)) / passed,
        ];
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    let series = columns.into_iter().enumerate().map(|(at, values)| {
        let name = format!("related_{at}");
        SeriesInput {
            labels: Labels::from_pairs([("__name__", name.as_str()), ("host", "three")]),
            values,
            ..SeriesInput::default()
        }
    });
    let group = GroupInput {
        key: Labels::from_pairs([("instance", "three:9100")]),
        timestamps,
    };
    source.groups.push((group, series.collect()));
    source
}

/// The block of one version of the format, which holds what `source` does.
fn fixture(version: u64, source: &VecSource) -> Arc<Block> {
    let disk = disk::RealDisk;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("compat/v{version}"));
    let ulid: Ulid = "01HF7YAT00PR0M0NT0RYBC0CK1".parse().unwrap();
    // Only a new version gets a new fixture: set the variable to it, run this, commit the files.
    let wanted = std::env::var("PROMONTORY_WRITE_FIXTURE").ok();
    if wanted.is_some_and(|wanted| wanted == version.to_string()) {
        assert_eq!(version, format::FORMAT_VERSION);
        let params = BlockParams {
            ulid,
            ..params(0, 1_000_000, 64)
        };
        disk.create_dir_all(&dir).unwrap();
        write_block(&disk, &dir, &params, &mut source.clone()).unwrap();
    }
    let block = Block::open(&disk, &dir.join(ulid.to_string()), &PageCache::new(1 << 20)).unwrap();
    assert_eq!(block.meta().promontory_format, version);
    assert_eq!(read_all(&block).unwrap(), naive(source));
    block
}

#[test]
fn blocks_of_every_version_are_read_for_ever() {
    let block = fixture(1, &small_source());
    let percent = [Matcher::equal("__name__", "e_percent")];
    assert_eq!(
        block.label_values("host", &percent, 0).unwrap(),
        ["one", "two"]
    );
    assert_eq!(block.meta().stats.num_series, 14);
    let block = fixture(2, &related_source());
    assert_eq!(block.meta().stats.num_series, 22);
}
