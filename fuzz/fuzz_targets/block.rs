//! All files of a block.
#![no_main]

use std::path::Path;

use disk::MemoryDisk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [meta, index, data, tombstones] = fuzz::split(input);
    let disk = MemoryDisk::new();
    let folder = "01HF84E400TXTHTVQ2B8G3JP58";
    for (name, head, bytes) in [
        ("meta.json", &[][..], meta),
        ("index", b"PromtryI", index),
        ("data", b"PromtryD", data),
        ("tombstones", b"PromtryT", tombstones),
    ] {
        if !bytes.is_empty() {
            fuzz::put(&disk, &format!("{folder}/{name}"), head, bytes);
        }
    }
    if let Ok(db) = fuzz::open(&disk, Path::new(fuzz::DIR)) {
        fuzz::use_it(&db);
    }
});
