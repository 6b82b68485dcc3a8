//! A block, open for reading.
//!
//! Opening reads the index's symbols and the list of all series; labels, chunks and samples are
//! read and checked as they are asked for. Samples come in order: one that is not after the one
//! before is an error, since whoever imports would otherwise store something else than was there.

use std::path::{Path, PathBuf};

use disk::Disk;
use model::Labels;

use crate::chunk::Samples;
use crate::error::{Bad, Error};
use crate::index::{self, ChunkMeta, Index};
use crate::meta::BlockMeta;
use crate::segments::Segments;
use crate::tombstones::{self, Interval, Tombstones};
use crate::{Sample, Value};

/// A block, open for reading.
#[derive(Debug)]
pub struct Block {
    dir: PathBuf,
    meta: BlockMeta,
    index: Index,
    segments: Segments,
    tombstones: Tombstones,
}

/// A series of a block.
#[derive(Debug, Clone)]
pub struct Series {
    reference: u32,
    labels: Labels,
    chunks: Vec<ChunkMeta>,
}

impl Series {
    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// First and last time of its chunks, in milliseconds since 1970, deleted samples included.
    #[must_use]
    pub fn times_ms(&self) -> Option<(i64, i64)> {
        let first = self.chunks.iter().map(|chunk| chunk.min_ms).min()?;
        let last = self.chunks.iter().map(|chunk| chunk.max_ms).max()?;
        Some((first, last))
    }

    /// How many chunks it has.
    #[must_use]
    pub fn chunk_count(&self) -> usize {
        self.chunks.len()
    }
}

impl Block {
    /// Opens the block in the folder `dir`.
    ///
    /// # Errors
    /// If a file is missing, damaged or of an unknown version.
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<Block, Error> {
        let meta = BlockMeta::read(disk, dir)?;
        let path = dir.join(index::FILE);
        let bytes = disk.map(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Block {
            dir: dir.to_owned(),
            meta,
            index: Index::open(path, bytes)?,
            segments: Segments::open(disk, dir)?,
            tombstones: Tombstones::read(disk, dir)?,
        })
    }

    /// What the block says of itself.
    #[must_use]
    pub fn meta(&self) -> &BlockMeta {
        &self.meta
    }

    /// The folder it was opened from.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many series it has.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.index.series().len()
    }

    /// How many intervals of its series are deleted.
    #[must_use]
    pub fn tombstone_count(&self) -> usize {
        self.tombstones.count()
    }

    /// The series, in the order of their labels. After an error the next one can still be read.
    pub fn series(&self) -> impl Iterator<Item = Result<Series, Error>> + '_ {
        let mut last: Option<Labels> = None;
        self.index.series().iter().map(move |reference| {
            let (labels, chunks) = self.index.read_series(*reference)?;
            if last.as_ref().is_some_and(|last| *last >= labels) {
                let offset = u64::from(*reference);
                let what = format!("series {labels} out of order");
                return Err(Error::corrupt(&self.index.path, offset, what));
            }
            last = Some(labels.clone());
            Ok(Series {
                reference: *reference,
                labels,
                chunks,
            })
        })
    }

    /// The series at a place in the order of their labels, for whoever reads them in another order.
    ///
    /// # Errors
    /// [`Error::Refused`] if there are not so many; else if the series is damaged.
    pub fn series_at(&self, place: usize) -> Result<Series, Error> {
        let reference = self.index.series().get(place).copied();
        let reference = reference.ok_or_else(|| Error::Refused(format!("no series {place}")))?;
        let (labels, chunks) = self.index.read_series(reference)?;
        Ok(Series {
            reference,
            labels,
            chunks,
        })
    }

    /// The samples of a series that are not deleted, in order. Nothing follows an error.
    #[must_use]
    pub fn samples<'a>(&'a self, series: &'a Series) -> SeriesSamples<'a> {
        SeriesSamples {
            segments: &self.segments,
            deleted: self.tombstones.of(u64::from(series.reference)),
            chunks: series.chunks.iter(),
            chunk: None,
            last_ms: None,
        }
    }

    /// Reads everything, and counts it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self) -> Result<crate::BlockStats, Error> {
        self.index.verify_postings()?;
        let mut stats = crate::BlockStats {
            num_tombstones: self.tombstones.count() as u64,
            ..Default::default()
        };
        for series in self.series() {
            let series = series?;
            stats.num_series += 1;
            stats.num_chunks += series.chunks.len() as u64;
            for sample in self.samples(&series) {
                stats.num_samples += 1;
                match sample?.value {
                    Value::Float(_) => stats.num_float_samples += 1,
                    Value::Histogram(_) | Value::IntegerHistogram(_) => {
                        stats.num_histogram_samples += 1;
                    }
                }
            }
        }
        Ok(stats)
    }
}

/// Samples of one series in order.
#[derive(Debug)]
pub struct SeriesSamples<'a> {
    segments: &'a Segments,
    deleted: &'a [Interval],
    chunks: std::slice::Iter<'a, ChunkMeta>,
    chunk: Option<(ChunkMeta, Samples<'a>)>,
    last_ms: Option<i64>,
}

impl SeriesSamples<'_> {
    fn end(&mut self, reference: u64, bad: Bad) -> Error {
        self.chunks = [].iter();
        self.chunk = None;
        let path = self.segments.path_of(reference);
        bad.of(path.unwrap_or(Path::new("chunks")))
    }

    fn check(&mut self, chunk: ChunkMeta, sample: &Sample) -> Result<(), Error> {
        let at = sample.timestamp_ms;
        let what = if self.last_ms.is_some_and(|last| last >= at) {
            "sample not after the one before, in the chunk"
        } else if at < chunk.min_ms || at > chunk.max_ms {
            "sample outside of the times that the index has for the chunk"
        } else {
            self.last_ms = Some(at);
            return Ok(());
        };
        let offset = chunk.reference & u64::from(u32::MAX);
        Err(self.end(chunk.reference, Bad { what, offset }))
    }
}

impl Iterator for SeriesSamples<'_> {
    type Item = Result<Sample, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((chunk, samples)) = &mut self.chunk else {
                let chunk = *self.chunks.next()?;
                match self.segments.samples(chunk.reference) {
                    Ok(samples) => self.chunk = Some((chunk, samples)),
                    Err(bad) => return Some(Err(self.end(chunk.reference, bad))),
                }
                continue;
            };
            let chunk = *chunk;
            match samples.next() {
                None => self.chunk = None,
                Some(Err(bad)) => return Some(Err(self.end(chunk.reference, bad))),
                Some(Ok(sample)) => {
                    if let Err(error) = self.check(chunk, &sample) {
                        return Some(Err(error));
                    }
                    if !tombstones::contains(self.deleted, sample.timestamp_ms) {
                        return Some(Ok(sample));
                    }
                }
            }
        }
    }
}
