//! The index of a block whose other files are whole.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;

/// One block, and its folder.
static BLOCK: LazyLock<(MemoryDisk, PathBuf)> = LazyLock::new(fuzz::one_block);

fuzz_target!(|input: &[u8]| {
    let (disk, folder) = &*BLOCK;
    let disk = disk.fork();
    let path = folder.join("index");
    fuzz::put(&disk, &path.to_string_lossy(), b"PromtryI", input);
    if let Ok(db) = fuzz::open(&disk, Path::new(fuzz::DIR)) {
        fuzz::use_it(&db);
    }
});
