//! What expositions say of series: type, help and unit, the latest of each.
//!
//! Metadata comes when it is new, seldom, and is kept for the series that the head holds. It goes to
//! the log as records that stand for themselves, and all of it into checkpoints; so whoever passes
//! samples on finds it after a restart, too.

use std::sync::Arc;

use codec::DecodeError;
use codec::varint::{self, Reader};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use model::{Labels, Metadata, MetricType};
use storage::{MetadataSample, SeriesRef};

use crate::sync::Mutex;
use crate::wal::Wal;
use crate::wal::frame::{self, Kind};
use crate::wal::record::{PAIRS_MAX, label_set, text};

/// Series in a frame of a checkpoint.
const SERIES_PER_FRAME: usize = 4_096;
/// Longer helps are not kept; nobody reads them.
const BYTES_MAX: usize = 16 << 10;

/// By the series' reference; at most as many as the head has series.
type BySeries = HashMap<u64, Arc<Metadata>, RandomState>;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct SeriesMetadata {
    by_series: Mutex<BySeries>,
}

/// Appends the payload for series.
fn put(out: &mut Vec<u8>, all: &[(Labels, Arc<Metadata>)]) {
    for (labels, metadata) in all {
        varint::put(out, labels.len() as u64);
        for (name, value) in labels {
            varint::put_bytes(out, name.as_bytes());
            varint::put_bytes(out, value.as_bytes());
        }
        for text in [metadata.kind.as_str(), &metadata.help, &metadata.unit] {
            varint::put_bytes(out, text.as_bytes());
        }
    }
}

/// Reads what [`put`] wrote.
fn take(payload: &[u8]) -> Result<Vec<(Labels, Metadata)>, DecodeError> {
    let reader = &mut Reader::new(payload);
    let mut all = Vec::new();
    while !reader.is_empty() {
        let count = reader.count(PAIRS_MAX)?;
        let labels = label_set((0..count).map(|_| Ok((text(reader)?, text(reader)?))))?;
        let metadata = Metadata {
            kind: MetricType::from_name(text(reader)?),
            help: text(reader)?.to_owned(),
            unit: text(reader)?.to_owned(),
        };
        all.push((labels, metadata));
    }
    Ok(all)
}

fn put_frame(out: &mut Vec<u8>, all: &[(Labels, Arc<Metadata>)]) {
    let start = frame::begin(out, Kind::Metadata);
    put(out, all);
    frame::finish(out, start);
}

impl SeriesMetadata {
    /// Takes what is new in a batch. `labels` are those of a series, if the head holds it. What the
    /// log does not take is left out until it changes again: it is no reason to refuse samples.
    pub(crate) fn append(
        &self,
        all: &[MetadataSample<'_>],
        labels: impl Fn(SeriesRef) -> Option<Labels>,
        wal: &Wal,
    ) {
        // Held while the log is written, as exemplars do.
        let mut by_series = self.by_series.lock();
        let mut news: Vec<(Labels, Arc<Metadata>)> = Vec::new();
        let mut references = Vec::new();
        for MetadataSample { series, metadata } in all {
            let is_known = by_series
                .get(&series.0)
                .is_some_and(|old| **old == **metadata);
            if is_known || metadata.help.len() + metadata.unit.len() > BYTES_MAX {
                continue;
            }
            let Some(labels) = labels(*series) else {
                continue;
            };
            let shared = match news.last() {
                Some((_, last)) if **last == **metadata => Arc::clone(last),
                _ => Arc::new((*metadata).clone()),
            };
            references.push((series.0, Arc::clone(&shared)));
            news.push((labels, shared));
        }
        if news.is_empty() {
            return;
        }
        let mut frames = Vec::new();
        news.chunks(SERIES_PER_FRAME)
            .for_each(|part| put_frame(&mut frames, part));
        if let Err(error) = wal.append(&frames) {
            tracing::warn!(%error, count = news.len(), "Metadata could not be logged");
            return;
        }
        by_series.extend(references);
    }

    /// Takes a record of the log; `reference` is that of a series, if the head holds it.
    pub(crate) fn replay(
        &self,
        payload: &[u8],
        reference: impl Fn(&Labels) -> Option<SeriesRef>,
    ) -> Result<(), DecodeError> {
        let mut last: Option<Arc<Metadata>> = None;
        for (labels, metadata) in take(payload)? {
            let shared = match last.take() {
                Some(last) if *last == metadata => last,
                _ => Arc::new(metadata),
            };
            if let Some(series) = reference(&labels) {
                self.by_series.lock().insert(series.0, Arc::clone(&shared));
            }
            last = Some(shared);
        }
        Ok(())
    }

    /// Appends all that there is, for a checkpoint, and forgets series that the head has forgotten.
    pub(crate) fn put_checkpoint(
        &self,
        labels: impl Fn(SeriesRef) -> Option<Labels>,
        out: &mut Vec<u8>,
    ) {
        let mut by_series = self.by_series.lock();
        let mut part = Vec::new();
        by_series.retain(|series, metadata| {
            let Some(labels) = labels(SeriesRef(*series)) else {
                return false;
            };
            part.push((labels, Arc::clone(metadata)));
            if part.len() == SERIES_PER_FRAME {
                put_frame(out, &part);
                part.clear();
            }
            true
        });
        if !part.is_empty() {
            put_frame(out, &part);
        }
    }

    /// The latest metadata of a series.
    pub(crate) fn get(&self, series: SeriesRef) -> Option<Arc<Metadata>> {
        self.by_series.lock().get(&series.0).cloned()
    }
}
