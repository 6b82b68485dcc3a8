//! The log: a checkpoint and two segments.
#![no_main]

use std::path::Path;

use disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [checkpoint, first, second] = fuzz::split(input);
    let disk = MemoryDisk::new();
    for (path, bytes) in [
        ("wal/checkpoint.00000002", checkpoint),
        ("wal/00000002", first),
        ("wal/00000003", second),
    ] {
        if !bytes.is_empty() {
            fuzz::put(&disk, path, b"PMONWAL\x01", bytes);
        }
    }
    let Ok(db) = fuzz::open(&disk, Path::new(fuzz::DIR)) else {
        return;
    };
    let before = fuzz::dump(&db);
    drop(db);
    // What a start repairs, it repairs once.
    let db = fuzz::open(&disk, Path::new(fuzz::DIR)).expect("opened before");
    assert_eq!(fuzz::dump(&db), before);
    fuzz::use_it(&db);
});
