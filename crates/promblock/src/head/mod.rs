//! What a stopped Prometheus had not made a block of yet.
//!
//! Three places hold it: head chunks, the write-ahead log (its newest checkpoint, then the segments
//! after it), and the log of out-of-order samples. A sample may be in several; the first counts.
//! Samples of the log that only it has are kept in XOR chunks, some bytes each.
//!
//! Reading goes as far as what is there is sound, as Prometheus does when it starts after a crash:
//! behind damage nothing of that place is used. What was found is told by [`Head::damage`].

mod chunks;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use disk::Disk;
use model::Labels;

use crate::chunk::float::{Finished, FloatChunk};
use crate::error::{Bad, Error};
use crate::log::{End, Records};
use crate::record::{self, Entry};
use crate::segments::numbered_files;
use crate::tombstones::{self, Tombstones};
use crate::{Sample, Value};

use chunks::{HeadChunk, HeadChunks};

const LOG_DIR: &str = "wal";
/// Log of samples that came out of order.
const LATE_LOG_DIR: &str = "wbl";
const CHECKPOINT_PREFIX: &str = "checkpoint.";
/// Samples of a chunk in memory: longer ones pack better, and it is never read in part.
const LOGGED_SAMPLES_MAX: u16 = 1000;

/// The head of a stopped server.
#[derive(Debug)]
pub struct Head {
    series: Vec<HeadSeries>,
    chunks: HeadChunks,
    deleted: Tombstones,
    damage: Vec<Error>,
    orphan_count: u64,
    unknown_histogram_count: u64,
    min_ms: i64,
}

/// A series of a head.
#[derive(Debug)]
pub struct HeadSeries {
    labels: Labels,
    /// Its place in the order in which the log names series: the key of its deletions.
    number: u64,
    mapped: Vec<HeadChunk>,
    logged: Vec<Finished>,
    open: Option<FloatChunk>,
    /// Samples that are more than a number: histograms, and numbers with start timestamps.
    others: Vec<Sample>,
    late: Vec<Sample>,
    /// Newest sample in order.
    last_ms: Option<i64>,
}

impl HeadSeries {
    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    fn new(labels: Labels, number: u64) -> HeadSeries {
        HeadSeries {
            labels,
            number,
            mapped: Vec::new(),
            logged: Vec::new(),
            open: None,
            others: Vec::new(),
            late: Vec::new(),
            last_ms: None,
        }
    }

    fn add_mapped(&mut self, chunks: Vec<HeadChunk>) {
        let in_order = chunks.iter().filter(|chunk| !chunk.is_out_of_order);
        self.last_ms = self.last_ms.max(in_order.map(|chunk| chunk.max_ms).max());
        self.mapped.extend(chunks);
    }

    /// Adds a sample of the log, if it is not in a head chunk and not out of order.
    fn add_logged(&mut self, sample: Sample) {
        let at = sample.timestamp_ms;
        if self.last_ms.is_some_and(|last| last >= at) {
            return;
        }
        self.last_ms = Some(at);
        match sample.value {
            Value::Float(value) if sample.start_timestamp_ms == 0 => self.add_float(at, value),
            _ => self.others.push(sample),
        }
    }

    fn add_float(&mut self, at: i64, value: f64) {
        if let Some(chunk) = &mut self.open
            && chunk.sample_count() < LOGGED_SAMPLES_MAX
        {
            return chunk.push(at, value);
        }
        let full = self.open.replace(FloatChunk::begin(at, value));
        self.logged.extend(full.map(FloatChunk::finish));
    }

    fn seal(&mut self) {
        self.logged.extend(self.open.take().map(FloatChunk::finish));
    }
}

impl Head {
    /// Reads the head in the data directory of a server that does not run. Samples before `min_ms`
    /// are left out unless they came out of order: they are in blocks already.
    ///
    /// # Errors
    /// If a file cannot be read at all. Damage within is no error, but [`Head::damage`].
    pub fn open(disk: &dyn Disk, data_dir: &Path, min_ms: i64) -> Result<Head, Error> {
        let mut damage = Vec::new();
        let chunks = HeadChunks::open(disk, data_dir, &mut damage)?;
        let mut replay = Replay {
            disk,
            head: Head {
                series: Vec::new(),
                chunks,
                deleted: Tombstones::default(),
                damage,
                orphan_count: 0,
                unknown_histogram_count: 0,
                min_ms,
            },
            by_labels: HashMap::new(),
            by_reference: HashMap::new(),
        };
        replay.log(&data_dir.join(LOG_DIR))?;
        replay.late_log(&data_dir.join(LATE_LOG_DIR))?;
        Ok(replay.finish())
    }

    /// The series, in the order of their labels. Some may have no samples.
    #[must_use]
    pub fn series(&self) -> &[HeadSeries] {
        &self.series
    }

    /// What was damaged. A torn record at the end of the log is what a kill leaves, and nothing
    /// that the server had acknowledged is missing then.
    #[must_use]
    pub fn damage(&self) -> &[Error] {
        &self.damage
    }

    /// Samples and chunks of series that the log does not name (any more).
    #[must_use]
    pub fn orphan_count(&self) -> u64 {
        self.orphan_count
    }

    /// Histograms that were left out since their schema is unknown.
    #[must_use]
    pub fn unknown_histogram_count(&self) -> u64 {
        self.unknown_histogram_count
    }

    /// The samples of a series that are not deleted, in order.
    ///
    /// # Errors
    /// If a head chunk cannot be decoded although its checksum is right.
    pub fn samples(&self, series: &HeadSeries) -> Result<Vec<Sample>, Error> {
        let mut samples = Vec::new();
        for chunk in series.mapped.iter().filter(|chunk| !chunk.is_out_of_order) {
            self.decode(*chunk, &mut samples)?;
        }
        for chunk in &series.logged {
            let read = crate::chunk::read(chunk.encoding, &chunk.data, 0);
            let decoded = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
            samples.extend(decoded.map_err(|bad| bad.of(Path::new(LOG_DIR)))?);
        }
        samples.extend(series.others.iter().cloned());
        samples.retain(|sample| sample.timestamp_ms >= self.min_ms);
        for chunk in series.mapped.iter().filter(|chunk| chunk.is_out_of_order) {
            self.decode(*chunk, &mut samples)?;
        }
        samples.extend(series.late.iter().cloned());
        // Stable: of samples at one time the one in order counts.
        samples.sort_by_key(|sample| sample.timestamp_ms);
        samples.dedup_by_key(|sample| sample.timestamp_ms);
        let deleted = self.deleted.of(series.number);
        samples.retain(|sample| !tombstones::contains(deleted, sample.timestamp_ms));
        Ok(samples)
    }

    fn decode(&self, chunk: HeadChunk, into: &mut Vec<Sample>) -> Result<(), Error> {
        for sample in self.chunks.samples(chunk)? {
            into.push(sample.map_err(|bad| bad.of(self.chunks.path_of(chunk)))?);
        }
        Ok(())
    }
}

/// Where the log is read to.
#[derive(Debug)]
struct Replay<'d> {
    disk: &'d dyn Disk,
    head: Head,
    by_labels: HashMap<Labels, u32>,
    /// A series may get a new reference while its samples under the old one are in the log still.
    by_reference: HashMap<u64, u32>,
}

impl Replay<'_> {
    /// The newest checkpoint, then the segments after it.
    fn log(&mut self, dir: &Path) -> Result<(), Error> {
        let Ok(entries) = self.disk.list(dir) else {
            return Ok(());
        };
        let numbers = entries.iter().filter(|entry| entry.is_dir);
        let numbers = numbers.filter_map(|e| e.name.strip_prefix(CHECKPOINT_PREFIX)?.parse().ok());
        let newest: Option<u64> = numbers.max();
        if let Some(number) = newest {
            let name = entries
                .iter()
                .map(|entry| entry.name.as_str())
                .find(|name| {
                    let digits = name.strip_prefix(CHECKPOINT_PREFIX);
                    digits.and_then(|digits| digits.parse().ok()) == Some(number)
                });
            let files = numbered_files(self.disk, &dir.join(name.unwrap_or_default()))?;
            self.segments(&files, false)?;
        }
        let mut files = numbered_files(self.disk, dir)?;
        files.retain(|(number, _)| newest.is_none_or(|newest| *number > newest));
        self.segments(&files, false)
    }

    fn late_log(&mut self, dir: &Path) -> Result<(), Error> {
        if self.disk.list(dir).is_err() {
            return Ok(());
        }
        let files = numbered_files(self.disk, dir)?;
        self.segments(&files, true)
    }

    /// Reads segments in turn, up to the first damage.
    fn segments(&mut self, files: &[(u64, PathBuf)], is_late: bool) -> Result<(), Error> {
        let mut before = None;
        for (at, (number, path)) in files.iter().enumerate() {
            if before.is_some_and(|before: u64| before + 1 != *number) {
                let what = "segment before this one is missing";
                self.head.damage.push(Error::corrupt(path, 0, what));
                return Ok(());
            }
            before = Some(*number);
            let is_last = at + 1 == files.len();
            let mapping = self.disk.map(path).map_err(|e| Error::io(path, e))?;
            for record in Records::new(&mapping) {
                let applied = record.and_then(|record| {
                    let offset = record.offset;
                    let applied = self.record(&record.bytes, is_late);
                    applied.map_err(|bad| End::Bad(Bad { offset, ..bad }))
                });
                if let Err(End::Torn(bad) | End::Bad(bad)) = applied {
                    self.head.damage.push(bad.of(path));
                    // Only the last segment can have been cut while it was written.
                    if !is_last || matches!(applied, Err(End::Bad(_))) {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    fn record(&mut self, bytes: &[u8], is_late: bool) -> Result<(), Bad> {
        let min_ms = self.head.min_ms;
        record::decode(bytes, |reference, entry| match entry {
            Entry::Series(labels) => self.define(reference, labels),
            Entry::Sample(sample) => match self.series_of(reference) {
                None => self.head.orphan_count += 1,
                Some(series) if is_late => series.late.push(sample),
                Some(_) if sample.timestamp_ms < min_ms => {}
                Some(series) => series.add_logged(sample),
            },
            Entry::Deleted(interval) => match self.by_reference.get(&reference) {
                None => self.head.orphan_count += 1,
                Some(index) => self.head.deleted.add(u64::from(*index), interval),
            },
            Entry::UnknownHistogram => self.head.unknown_histogram_count += 1,
        })
    }

    fn series_of(&mut self, reference: u64) -> Option<&mut HeadSeries> {
        let index = self.by_reference.get(&reference)?;
        self.head.series.get_mut(*index as usize)
    }

    fn define(&mut self, reference: u64, labels: Labels) {
        let next = self.head.series.len() as u32;
        let index = *self.by_labels.entry(labels.clone()).or_insert(next);
        if index == next {
            self.head
                .series
                .push(HeadSeries::new(labels, u64::from(index)));
        }
        self.by_reference.insert(reference, index);
        if let Some(chunks) = self.head.chunks.by_series.remove(&reference) {
            self.head.series[index as usize].add_mapped(chunks);
        }
    }

    fn finish(self) -> Head {
        let mut head = self.head;
        let orphans = head
            .chunks
            .by_series
            .values()
            .map(|chunks| chunks.len() as u64);
        head.orphan_count += orphans.sum::<u64>();
        head.chunks.by_series = HashMap::new();
        head.series.iter_mut().for_each(HeadSeries::seal);
        head.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        head.deleted.settle();
        head
    }
}
