//! Sealed chunks of the head, beside a log that is whole.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use disk::{Disk, MemoryDisk};
use libfuzzer_sys::fuzz_target;

/// The log alone.
static LOG: LazyLock<MemoryDisk> = LazyLock::new(|| {
    let disk = fuzz::image();
    let dir = Path::new(fuzz::DIR);
    for folder in fuzz::blocks(&disk, dir) {
        disk.remove_dir_all(&folder).expect("memory");
    }
    let _ = disk.remove_dir_all(&dir.join("snapshots"));
    let _ = disk.remove_dir_all(&dir.join("chunks_head"));
    disk
});

fuzz_target!(|input: &[u8]| {
    let [first, second] = fuzz::split(input);
    let disk = LOG.fork();
    for (path, bytes) in [
        ("chunks_head/00000001", first),
        ("chunks_head/00000002", second),
    ] {
        fuzz::put(&disk, path, b"PMONCHK\x01", bytes);
    }
    if let Ok(db) = fuzz::open(&disk, Path::new(fuzz::DIR)) {
        fuzz::use_it(&db);
    }
});
