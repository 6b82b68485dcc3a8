//! Writes a block that Prometheus reads.
//!
//! Series come in the order of their labels, each with all its samples. Chunks go to disk as they
//! fill; the index is written at the end. Everything is written and synced under a name that
//! Prometheus removes at its start, and renamed when it is whole, so that a data directory never
//! has half a block.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crc32c::{crc32c, crc32c_append};
use disk::{Disk, DiskFile};
use model::Labels;

use crate::chunk::float::{Finished, FloatChunk};
use crate::chunk::histogram_write::{self, AnyHistogram, HistogramChunk};
use crate::error::Error;
use crate::index::{self, ChunkMeta};
use crate::index_write::{Failure, IndexWriter};
use crate::meta::{self, BlockMeta, BlockStats, Compaction};
use crate::segments;
use crate::tombstones::{self, Tombstones};
use crate::ulid::Ulid;
use crate::{Sample, Value};

/// Samples of a chunk: what Prometheus aims at too.
const SAMPLES_MAX: u16 = 120;
/// Chunk files of Prometheus are at most this long.
const SEGMENT_BYTES_MAX: u64 = 512 << 20;
/// Chunks are handed to the disk in pieces of this size.
const BUFFER_BYTES: usize = 1 << 20;
/// Prometheus removes folders with such a name when it starts.
const UNFINISHED: &str = "tmp-for-creation";

/// How a block is to be written.
#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// Name of the block.
    pub ulid: Ulid,
    /// A chunk file is closed before it grows beyond this.
    pub segment_bytes_max: u64,
}

impl WriterOptions {
    /// As Prometheus has it.
    #[must_use]
    pub fn new(ulid: Ulid) -> WriterOptions {
        WriterOptions {
            ulid,
            segment_bytes_max: SEGMENT_BYTES_MAX,
        }
    }
}

/// A block that is being written. Dropped without [`BlockWriter::finish`], it leaves its
/// unfinished folder, which the next writer of the same name or Prometheus removes.
#[derive(Debug)]
pub struct BlockWriter<'d> {
    disk: &'d dyn Disk,
    data_dir: PathBuf,
    /// Where it is written.
    unfinished: PathBuf,
    options: WriterOptions,
    chunks: ChunkFiles<'d>,
    index: IndexWriter,
    stats: BlockStats,
    /// First and last time.
    times: Option<(i64, i64)>,
    /// An error of the disk happened; what is in the folder is not known.
    is_broken: bool,
}

impl<'d> BlockWriter<'d> {
    /// Begins a block in `data_dir`.
    ///
    /// # Errors
    /// If the folder cannot be made, or the block is there already.
    pub fn create(
        disk: &'d dyn Disk,
        data_dir: &Path,
        options: WriterOptions,
    ) -> Result<BlockWriter<'d>, Error> {
        let name = options.ulid.to_string();
        if disk.list(&data_dir.join(&name)).is_ok() {
            return Err(Error::Refused(format!("block {name} exists already")));
        }
        let unfinished = data_dir.join(format!("{name}.{UNFINISHED}"));
        if disk.list(&unfinished).is_ok() {
            disk.remove_dir_all(&unfinished)
                .map_err(|e| Error::io(&unfinished, e))?;
        }
        let chunk_dir = unfinished.join(segments::DIR);
        disk.create_dir_all(&chunk_dir)
            .map_err(|e| Error::io(&chunk_dir, e))?;
        Ok(BlockWriter {
            disk,
            data_dir: data_dir.to_owned(),
            unfinished,
            chunks: ChunkFiles {
                disk,
                dir: chunk_dir,
                bytes_max: options.segment_bytes_max,
                open: None,
                file_count: 0,
                buffer: Vec::new(),
            },
            options,
            index: IndexWriter::default(),
            stats: BlockStats::default(),
            times: None,
            is_broken: false,
        })
    }

    /// Adds a series with all its samples; one without samples is left out.
    ///
    /// # Errors
    /// [`Error::Refused`] if labels do not come after those before or are empty, if timestamps do
    /// not increase, or if a histogram is malformed; the block is then as before the call. Other
    /// errors end the block.
    pub fn add_series(
        &mut self,
        labels: &Labels,
        samples: impl IntoIterator<Item = Sample>,
    ) -> Result<(), Error> {
        self.check_usable()?;
        if labels.is_empty() {
            return Err(Error::Refused("series without labels".to_owned()));
        }
        if self.index.last().is_some_and(|last| last >= labels) {
            let last = self.index.last().cloned().unwrap_or_default();
            return Err(Error::Refused(format!(
                "out-of-order series added with label set {labels}, last label set {last}"
            )));
        }
        // A series is encoded as a whole before anything of it is written, so that it can be
        // refused as a whole: some kilobytes a series.
        let encoded = encode(labels, samples)?;
        if encoded.chunks.is_empty() {
            return Ok(());
        }
        let mut metas = Vec::with_capacity(encoded.chunks.len());
        for chunk in &encoded.chunks {
            let reference = self
                .chunks
                .write(chunk)
                .inspect_err(|_| self.is_broken = true)?;
            metas.push(ChunkMeta {
                reference,
                min_ms: chunk.min_ms,
                max_ms: chunk.max_ms,
            });
        }
        self.index.add(labels, &metas);
        self.count(&encoded);
        Ok(())
    }

    /// Writes what is left and gives the block its name. A block without samples is not kept:
    /// `None`.
    ///
    /// # Errors
    /// If the disk fails; there is no block then.
    pub fn finish(mut self) -> Result<Option<BlockMeta>, Error> {
        self.check_usable()?;
        let Some((first_ms, last_ms)) = self.times else {
            self.chunks.close()?;
            let dir = &self.unfinished;
            self.disk
                .remove_dir_all(dir)
                .map_err(|e| Error::io(dir, e))?;
            return Ok(None);
        };
        self.chunks.close()?;
        self.write_index()?;
        self.stats.num_series = self.index.series_count() as u64;
        let meta = BlockMeta {
            ulid: self.options.ulid,
            min_time: first_ms,
            max_time: last_ms.saturating_add(1),
            stats: self.stats,
            compaction: Compaction {
                level: 1,
                sources: vec![self.options.ulid],
                ..Compaction::default()
            },
            version: meta::VERSION,
        };
        self.write_file(tombstones::FILE, &Tombstones::default().encode())?;
        self.write_file(meta::FILE, &meta.to_json())?;
        self.publish()?;
        Ok(Some(meta))
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.is_broken {
            return Err(Error::Refused(
                "a write to this block failed before".to_owned(),
            ));
        }
        Ok(())
    }

    fn count(&mut self, encoded: &Encoded) {
        self.stats.num_chunks += encoded.chunks.len() as u64;
        self.stats.num_float_samples += encoded.float_count;
        self.stats.num_histogram_samples += encoded.histogram_count;
        self.stats.num_samples += encoded.float_count + encoded.histogram_count;
        for chunk in &encoded.chunks {
            let (first, last) = self.times.unwrap_or((chunk.min_ms, chunk.max_ms));
            self.times = Some((first.min(chunk.min_ms), last.max(chunk.max_ms)));
        }
    }

    fn write_index(&self) -> Result<(), Error> {
        let path = self.unfinished.join(index::FILE);
        let file = self.disk.create(&path).map_err(|e| Error::io(&path, e))?;
        self.index.write(file).map_err(|failure| match failure {
            Failure::Io(error) => Error::io(&path, error),
            Failure::TooLarge(what) => Error::Refused(what.to_owned()),
        })
    }

    fn write_file(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.unfinished.join(name);
        let write = || {
            let file = self.disk.create(&path)?;
            file.append(bytes)?;
            file.sync()
        };
        write().map_err(|e| Error::io(&path, e))
    }

    /// Entries first, then the name, then the entry of the name.
    fn publish(&self) -> Result<(), Error> {
        let sync = |dir: &Path| self.disk.sync_dir(dir).map_err(|e| Error::io(dir, e));
        sync(&self.chunks.dir)?;
        sync(&self.unfinished)?;
        let to = self.data_dir.join(self.options.ulid.to_string());
        self.disk
            .rename(&self.unfinished, &to)
            .map_err(|e| Error::io(&to, e))?;
        sync(&self.data_dir)
    }
}

/// A series as chunks.
#[derive(Debug, Default)]
struct Encoded {
    chunks: Vec<Finished>,
    float_count: u64,
    histogram_count: u64,
}

/// The chunk that samples go to.
#[derive(Debug)]
enum Open {
    Float(FloatChunk),
    Histogram(Box<HistogramChunk>),
}

impl Open {
    fn finish(self) -> Finished {
        match self {
            Open::Float(chunk) => chunk.finish(),
            Open::Histogram(chunk) => chunk.finish(),
        }
    }
}

fn encode(labels: &Labels, samples: impl IntoIterator<Item = Sample>) -> Result<Encoded, Error> {
    let mut encoded = Encoded::default();
    let mut open: Option<Open> = None;
    let mut last_ms = None;
    for sample in samples {
        let at = sample.timestamp_ms;
        if last_ms.is_some_and(|last| last >= at) {
            let what = format!("series {labels}: sample at {at} does not come after the last one");
            return Err(Error::Refused(what));
        }
        last_ms = Some(at);
        let value = AnyValue::of(&sample.value);
        match value {
            AnyValue::Float(_) => encoded.float_count += 1,
            AnyValue::Histogram(histogram) => {
                if let Some(what) = histogram_write::problem(histogram) {
                    return Err(Error::Refused(format!("series {labels}: {what} at {at}")));
                }
                encoded.histogram_count += 1;
            }
        }
        let (next, full) = take(open, at, value);
        encoded.chunks.extend(full.map(Open::finish));
        open = Some(next);
    }
    encoded.chunks.extend(open.map(Open::finish));
    Ok(encoded)
}

/// What a sample is to a chunk.
#[derive(Debug, Clone, Copy)]
enum AnyValue<'a> {
    Float(f64),
    Histogram(AnyHistogram<'a>),
}

impl AnyValue<'_> {
    fn of(value: &Value) -> AnyValue<'_> {
        match value {
            Value::Float(value) => AnyValue::Float(*value),
            Value::Histogram(histogram) => AnyValue::Histogram(AnyHistogram::Float(histogram)),
            Value::IntegerHistogram(histogram) => {
                AnyValue::Histogram(AnyHistogram::Whole(histogram))
            }
        }
    }
}

/// The chunk that has the sample, and the one that it could not go to.
fn take(open: Option<Open>, at: i64, value: AnyValue<'_>) -> (Open, Option<Open>) {
    match (open, value) {
        (Some(Open::Float(mut chunk)), AnyValue::Float(value))
            if chunk.sample_count() < SAMPLES_MAX =>
        {
            chunk.push(at, value);
            (Open::Float(chunk), None)
        }
        (Some(Open::Histogram(mut chunk)), AnyValue::Histogram(histogram)) => {
            let Some(header) = chunk.must_end_before(histogram) else {
                chunk.push(at, histogram);
                return (Open::Histogram(chunk), None);
            };
            let next = HistogramChunk::begin(at, histogram, header);
            (
                Open::Histogram(Box::new(next)),
                Some(Open::Histogram(chunk)),
            )
        }
        (open, AnyValue::Float(value)) => (Open::Float(FloatChunk::begin(at, value)), open),
        (open, AnyValue::Histogram(histogram)) => {
            let header = histogram_write::header_of(histogram);
            let next = HistogramChunk::begin(at, histogram, header);
            (Open::Histogram(Box::new(next)), open)
        }
    }
}

/// The chunk files of the block.
#[derive(Debug)]
struct ChunkFiles<'d> {
    disk: &'d dyn Disk,
    dir: PathBuf,
    bytes_max: u64,
    open: Option<OpenFile>,
    file_count: u64,
    /// Bytes of the open file that are not handed to it yet.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// With what is in the buffer.
    length: u64,
}

impl ChunkFiles<'_> {
    /// Writes a chunk and gives its reference.
    fn write(&mut self, chunk: &Finished) -> Result<u64, Error> {
        let mut bytes = Vec::with_capacity(chunk.data.len() + 10);
        codec::varint::put(&mut bytes, chunk.data.len() as u64);
        bytes.push(chunk.encoding as u8);
        bytes.extend_from_slice(&chunk.data);
        let crc = crc32c_append(crc32c(&[chunk.encoding as u8]), &chunk.data);
        bytes.extend_from_slice(&crc.to_be_bytes());

        let length = self.open.as_ref().map_or(0, |open| open.length);
        if length > segments::HEADER_BYTES && length + bytes.len() as u64 > self.bytes_max {
            self.close()?;
        }
        if self.open.is_none() {
            self.begin_file()?;
        }
        let Some(open) = &mut self.open else {
            return Err(Error::Refused("no chunk file".to_owned()));
        };
        let reference = (self.file_count - 1) << 32 | open.length;
        open.length += bytes.len() as u64;
        self.buffer.extend_from_slice(&bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(reference)
    }

    fn begin_file(&mut self) -> Result<(), Error> {
        self.file_count += 1;
        let path = self.dir.join(format!("{:06}", self.file_count));
        let file = self.disk.create(&path).map_err(|e| Error::io(&path, e))?;
        self.buffer
            .extend_from_slice(&segments::MAGIC.to_be_bytes());
        self.buffer.extend_from_slice(&[segments::VERSION, 0, 0, 0]);
        self.open = Some(OpenFile {
            path,
            file,
            length: segments::HEADER_BYTES,
        });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        open.file
            .append(&self.buffer)
            .map_err(|e| Error::io(&open.path, e))?;
        self.buffer.clear();
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        self.flush()?;
        if let Some(open) = self.open.take() {
            open.file.sync().map_err(|e| Error::io(&open.path, e))?;
        }
        Ok(())
    }
}
