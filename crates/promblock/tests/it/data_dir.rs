//! Which blocks of a data directory count.

use std::path::Path;

use disk::{Disk, MemoryDisk};
use promblock::{BlockMeta, BlockStats, Compaction, DataDir, Parent, Ulid};

fn put(disk: &MemoryDisk, name: &str, json: &[u8]) {
    let dir = Path::new("/data").join(name);
    disk.create_dir_all(&dir).unwrap();
    disk.create(&dir.join("meta.json"))
        .unwrap()
        .append(json)
        .unwrap();
}

fn meta(number: u128, times: (i64, i64), parents: &[u128], hints: &[&str]) -> BlockMeta {
    let parent = |number: &u128| Parent {
        ulid: Ulid::new(1, *number),
        min_time: 0,
        max_time: 1,
    };
    BlockMeta {
        ulid: Ulid::new(1, number),
        min_time: times.0,
        max_time: times.1,
        stats: BlockStats::default(),
        compaction: Compaction {
            level: 1,
            parents: parents.iter().map(parent).collect(),
            hints: hints.iter().map(|hint| (*hint).to_owned()).collect(),
            ..Compaction::default()
        },
        version: 1,
    }
}

#[test]
fn unfinished_and_replaced_blocks_do_not_count_and_broken_ones_are_told() {
    let disk = MemoryDisk::new();
    let all = [
        meta(1, (0, 10), &[], &[]),
        meta(2, (10, 20), &[], &[]),
        meta(3, (0, 20), &[1, 2], &[]),
        meta(4, (20, 30), &[], &[]),
        meta(5, (-5, 0), &[], &[]),
    ];
    for meta in &all {
        put(
            &disk,
            &meta.ulid.to_string(),
            &serde_json::to_vec(meta).unwrap(),
        );
    }
    let unfinished = format!("{}.tmp-for-creation", Ulid::new(1, 6));
    put(&disk, &unfinished, b"{");
    let broken = Ulid::new(1, 7).to_string();
    put(&disk, &broken, b"{");
    put(&disk, "wal", b"");
    let dir = DataDir::open(&disk, Path::new("/data")).unwrap();
    let found: Vec<Ulid> = dir.blocks().iter().map(|block| block.meta.ulid).collect();
    assert_eq!(found, [5, 3, 4].map(|number| Ulid::new(1, number)));
    assert_eq!(dir.damage().len(), 1);
    assert!(dir.damage()[0].to_string().contains(&broken));
}

/// A block of late samples may reach into the head's time, of which it has but a part.
#[test]
fn a_block_of_late_samples_does_not_end_the_head() {
    let late = "from-out-of-order";
    for (hints, expected) in [(&[late][..], 2), (&[], 1)] {
        let disk = MemoryDisk::new();
        let block = meta(1, (0, 5_000), &[], hints);
        put(
            &disk,
            &block.ulid.to_string(),
            &serde_json::to_vec(&block).unwrap(),
        );
        // A series, and two samples of it: at 1,000 and at 9,000 ms.
        let mut segment = Vec::new();
        let mut series = vec![1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, b'a', 1, b'b'];
        let mut samples = vec![2, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 3, 0xe8];
        for delta in [&[0, 0][..], &[0, 0x80, 0x7d]] {
            samples.extend_from_slice(delta);
            samples.extend(1f64.to_bits().to_be_bytes());
        }
        for record in [&mut series, &mut samples] {
            segment.push(1);
            segment.extend((record.len() as u16).to_be_bytes());
            segment.extend(crc32c::crc32c(record).to_be_bytes());
            segment.append(record);
        }
        disk.create_dir_all(Path::new("/data/wal")).unwrap();
        let file = disk.create(Path::new("/data/wal/00000000")).unwrap();
        file.append(&segment).unwrap();
        let dir = DataDir::open(&disk, Path::new("/data")).unwrap();
        let head = dir.open_head(&disk).unwrap();
        assert!(head.damage().is_empty(), "{:?}", head.damage());
        let samples = head.samples(&head.series()[0]).unwrap();
        assert_eq!(samples.len(), expected, "{hints:?}");
        assert_eq!(samples.last().unwrap().timestamp_ms, 9_000);
    }
}
