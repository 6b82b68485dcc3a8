//! Prometheus's own files: a block, a log with a checkpoint, head chunks.
#![no_main]

use std::path::Path;

use disk::{Disk, MemoryDisk};
use libfuzzer_sys::fuzz_target;
use promblock::{Block, DataDir};

const BLOCK: &str = "01HF84E400TXTHTVQ2B8G3JP58";

fuzz_target!(|input: &[u8]| {
    let [meta, index, chunks, tombstones, log, head_chunks] = fuzz::split(input);
    let disk = MemoryDisk::new();
    for (path, bytes) in [
        (&*format!("{BLOCK}/meta.json"), meta),
        (&*format!("{BLOCK}/index"), index),
        (&*format!("{BLOCK}/chunks/000001"), chunks),
        (&*format!("{BLOCK}/tombstones"), tombstones),
        ("wal/00000000", log),
        ("chunks_head/000001", head_chunks),
    ] {
        if !bytes.is_empty() {
            fuzz::put(&disk, path, &[], bytes);
        }
    }
    let dir = Path::new(fuzz::DIR);
    if disk.list(dir).is_err() {
        return;
    }
    if let Ok(block) = Block::open(&disk, &dir.join(BLOCK)) {
        for series in block.series().flatten() {
            block.samples(&series).for_each(drop);
        }
        let _ = block.verify();
    }
    let Ok(found) = DataDir::open(&disk, dir) else {
        return;
    };
    if let Ok(head) = found.open_head(&disk) {
        for series in head.series() {
            let _ = head.samples(series);
        }
    }
});
