//! Bytes that zstd has packed.

use std::cell::RefCell;

use crate::DecodeError;

thread_local! {
    /// What zstd works in, 95 kB: making it takes longer than unpacking a page.
    static ZSTD: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Unpacks a frame of exactly `size` bytes.
///
/// # Errors
/// If it is damaged or of another size; no more than `size` bytes are taken for it either way.
pub fn unpack(frame: &[u8], size: usize) -> Result<Vec<u8>, DecodeError> {
    // The capacity is the bound: a frame that would give more is refused.
    let mut bytes = Vec::with_capacity(size);
    let unpacked = ZSTD.with_borrow_mut(|kept| -> std::io::Result<usize> {
        let zstd = match kept {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new()?),
        };
        zstd.decompress_to_buffer(frame, &mut bytes)
    });
    match unpacked {
        Ok(unpacked) if unpacked == size => Ok(bytes),
        _ => Err(DecodeError("frame")),
    }
}
