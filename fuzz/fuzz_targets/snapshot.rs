//! A whole data folder that was copied: the log, chunks and a block, of each a file.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;

static BLOCK: LazyLock<(MemoryDisk, PathBuf)> = LazyLock::new(fuzz::one_block);

fuzz_target!(|input: &[u8]| {
    let [checkpoint, segment, chunks, data, tombstones] = fuzz::split(input);
    let (disk, folder) = &*BLOCK;
    let disk = disk.fork();
    let folder = folder.to_string_lossy();
    for (path, head, bytes) in [
        ("wal/checkpoint.00000002", b"PMONWAL\x01", checkpoint),
        ("wal/00000002", b"PMONWAL\x01", segment),
        ("chunks_head/00000001", b"PMONCHK\x01", chunks),
        (&*format!("{folder}/data"), b"PromtryD", data),
        (&*format!("{folder}/tombstones"), b"PromtryT", tombstones),
    ] {
        if !bytes.is_empty() {
            fuzz::put(&disk, path, head, bytes);
        }
    }
    if let Ok(db) = fuzz::open(&disk, Path::new(fuzz::DIR)) {
        fuzz::use_it(&db);
    }
});
