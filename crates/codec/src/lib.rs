//! Column encodings: timestamps and values to bytes and back.
//!
//! Everything is lossless for every bit pattern of a float64 (staleness markers, NaN payloads,
//! negative zero) and every `i64`. Decoders check what they read: damaged bytes give
//! [`DecodeError`] or wrong numbers, never a panic and never more memory than the caller's count
//! asks for. Checksums are the business of who stores the bytes.
//!
//! - [`ints`]: whole numbers: the best of a few predictors, then Rice codes, fixed width or runs.
//! - [`floats`]: a column of values: constant, decimal, or XOR of neighbours.
//! - [`columns`]: a page of many columns that compress together; the unit of blocks.
//! - [`row`]: one value of each of many series against a base row; the unit of the log.
//! - [`varint`], [`bits`], [`packed`]: what they are made of.

pub mod bits;
pub mod columns;
pub mod floats;
pub mod ints;
pub mod packed;
pub mod row;
pub mod varint;

/// The bytes are not what an encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad {0}")]
pub struct DecodeError(pub &'static str);
