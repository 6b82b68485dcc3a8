//! Prometheus's data directories: its blocks read and written, its log and head chunks read.
//!
//! - [`Block`] opens a block (index versions 1 to 3, all chunk encodings of Prometheus 3.14,
//!   tombstones applied) and gives its series in order with their samples.
//! - [`Head`] reads what a stopped server had not made a block of yet: the write-ahead log with
//!   its checkpoint, the log of out-of-order samples and the head chunks.
//! - [`DataDir`] finds both in a data directory.
//! - [`BlockWriter`] writes a block that every Prometheus 2 and 3 reads.
//!
//! Nothing here is trusted: checksums are verified, every reference and count is checked against
//! the file's size before memory is taken for it, and an error names file and offset. Samples of
//! one series are read only when they are asked for, so that a damaged chunk costs its series and
//! nothing else.
//!
//! Values of floats keep every bit, and histograms of whole numbers stay such.
//!
//! Memory: opening a block takes 4 bytes a symbol and 4 bytes a series, the rest is mapped.
//! Opening a head keeps its labels and, compressed, the samples that are in the log only.

mod bits;
mod block;
mod bytes;
mod chunk;
mod data_dir;
mod error;
mod head;
mod index;
mod index_write;
mod log;
mod meta;
mod record;
mod segments;
mod tombstones;
mod ulid;
mod writer;

use model::{FloatHistogram, Histogram};

pub use block::{Block, Series, SeriesSamples};
pub use data_dir::{BlockDir, DataDir};
pub use error::Error;
pub use head::{Head, HeadSeries};
pub use meta::{BlockMeta, BlockStats, Compaction, Parent};
pub use ulid::Ulid;
pub use writer::{BlockWriter, WriterOptions};

/// A value of a series at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Since when the value counts, in milliseconds since 1970; 0 if that is not known.
    pub start_timestamp_ms: i64,
    /// What.
    pub value: Value,
}

/// A number or a histogram.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number; its bits are those that were stored.
    Float(f64),
    /// A native histogram with counts that are floats.
    Histogram(Box<FloatHistogram>),
    /// A native histogram with counts that are whole numbers.
    IntegerHistogram(Box<Histogram>),
}
