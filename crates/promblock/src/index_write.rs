//! Writes a block's index, version 2.
//!
//! Symbols stand at the front of the file and are known only once all series are, so series are
//! kept until then: their labels, and their chunks already encoded. The postings lists of all label
//! pairs are built while the series are written: four bytes a label of a series.

use std::collections::BTreeMap;
use std::sync::Arc;

use codec::varint::{put, put_signed};
use crc32c::crc32c;
use disk::DiskFile;
use model::Labels;

use crate::bytes::{put_section, put_text};
use crate::index::{self, ChunkMeta, SERIES_ALIGN};

/// The file is written in pieces of this size.
const BUFFER_BYTES: usize = 1 << 20;

/// What is wrong with an index that would be written.
#[derive(Debug)]
pub(crate) enum Failure {
    Io(std::io::Error),
    /// A bound of the format.
    TooLarge(&'static str),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<&'static str> for Failure {
    fn from(what: &'static str) -> Failure {
        Failure::TooLarge(what)
    }
}

/// Series to be written.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    series: Vec<(Labels, Box<[u8]>)>,
}

impl IndexWriter {
    /// Adds a series; labels must increase.
    pub(crate) fn add(&mut self, labels: &Labels, chunks: &[ChunkMeta]) {
        let encoded = encode_chunks(chunks).into_boxed_slice();
        self.series.push((labels.clone(), encoded));
    }

    /// The labels added last.
    pub(crate) fn last(&self) -> Option<&Labels> {
        self.series.last().map(|(labels, _)| labels)
    }

    pub(crate) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Writes everything into the empty `file`.
    pub(crate) fn write(&self, file: Arc<dyn DiskFile>) -> Result<(), Failure> {
        let mut out = Output::new(file);
        out.bytes.extend_from_slice(&index::MAGIC.to_be_bytes());
        out.bytes.push(index::VERSION);

        let symbols = self.symbols();
        let symbols_at = out.position();
        debug_assert_eq!(symbols_at, index::HEADER_BYTES);
        put_symbols(&mut out.bytes, &symbols)?;
        let series_at = out.position();
        let mut postings = Postings::default();
        for (labels, chunks) in &self.series {
            out.pad_to(SERIES_ALIGN);
            let reference =
                u32::try_from(out.position() / SERIES_ALIGN).map_err(|_| "index exceeds 64 GiB")?;
            put_series(&mut out.bytes, labels, chunks, &symbols);
            postings.add(labels, reference);
            out.flush_if_full()?;
        }
        let lists_at = out.position();
        let table = postings.write(&mut out)?;
        let table_at = out.position();
        put_section(&mut out.bytes, &table)?;
        // There are no label indices; readers that look for the end of the last postings list
        // look where their table would be.
        let toc = index::encode_toc([
            symbols_at, series_at, lists_at, table_at, lists_at, table_at,
        ]);
        out.bytes.extend_from_slice(&toc);
        out.finish()?;
        Ok(())
    }

    /// All names and values with their numbers, in order.
    fn symbols(&self) -> BTreeMap<&str, u32> {
        let mut symbols = BTreeMap::new();
        for (labels, _) in &self.series {
            for (name, value) in labels {
                symbols.insert(name, 0);
                symbols.insert(value, 0);
            }
        }
        for (number, place) in symbols.values_mut().enumerate() {
            *place = number as u32;
        }
        symbols
    }
}

fn put_symbols(out: &mut Vec<u8>, symbols: &BTreeMap<&str, u32>) -> Result<(), &'static str> {
    let count = u32::try_from(symbols.len()).map_err(|_| "more than 4 billion symbols")?;
    let mut body = count.to_be_bytes().to_vec();
    for symbol in symbols.keys() {
        put_text(&mut body, symbol);
    }
    put_section(out, &body)
}

fn put_series(out: &mut Vec<u8>, labels: &Labels, chunks: &[u8], symbols: &BTreeMap<&str, u32>) {
    let number = |text: &str| u64::from(symbols.get(text).copied().unwrap_or_default());
    let mut body = Vec::with_capacity(64 + chunks.len());
    put(&mut body, labels.len() as u64);
    for (name, value) in labels {
        put(&mut body, number(name));
        put(&mut body, number(value));
    }
    body.extend_from_slice(chunks);
    codec::varint::put_bytes(out, &body);
    out.extend_from_slice(&crc32c(&body).to_be_bytes());
}

fn encode_chunks(chunks: &[ChunkMeta]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, chunks.len() as u64);
    let mut before: Option<&ChunkMeta> = None;
    for chunk in chunks {
        match before {
            None => put_signed(&mut out, chunk.min_ms),
            Some(before) => put(&mut out, chunk.min_ms.wrapping_sub(before.max_ms) as u64),
        }
        put(&mut out, chunk.max_ms.wrapping_sub(chunk.min_ms) as u64);
        match before {
            None => put(&mut out, chunk.reference),
            Some(before) => {
                let step = chunk.reference.wrapping_sub(before.reference);
                put_signed(&mut out, step as i64);
            }
        }
        before = Some(chunk);
    }
    out
}

/// The series of every label pair.
#[derive(Debug, Default)]
struct Postings<'a> {
    all: Vec<u32>,
    pairs: BTreeMap<(&'a str, &'a str), Vec<u32>>,
}

impl<'a> Postings<'a> {
    fn add(&mut self, labels: &'a Labels, reference: u32) {
        self.all.push(reference);
        for pair in labels {
            self.pairs.entry(pair).or_default().push(reference);
        }
    }

    /// Writes the lists and gives the body of the table of them.
    fn write(&self, out: &mut Output) -> Result<Vec<u8>, Failure> {
        let count = u32::try_from(self.pairs.len() + 1).map_err(|_| "too many label pairs")?;
        let mut table = count.to_be_bytes().to_vec();
        let all = std::iter::once((("", ""), &self.all));
        let pairs = self.pairs.iter().map(|(pair, list)| (*pair, list));
        for ((name, value), list) in all.chain(pairs) {
            out.pad_to(4);
            put(&mut table, 2);
            put_text(&mut table, name);
            put_text(&mut table, value);
            put(&mut table, out.position());
            let mut body = Vec::with_capacity(4 + 4 * list.len());
            body.extend_from_slice(&(list.len() as u32).to_be_bytes());
            body.extend(list.iter().flat_map(|reference| reference.to_be_bytes()));
            put_section(&mut out.bytes, &body)?;
            out.flush_if_full()?;
        }
        Ok(table)
    }
}

/// A file and what is not handed to it yet.
#[derive(Debug)]
struct Output {
    file: Arc<dyn DiskFile>,
    written: u64,
    bytes: Vec<u8>,
}

impl Output {
    fn new(file: Arc<dyn DiskFile>) -> Output {
        Output {
            file,
            written: 0,
            bytes: Vec::new(),
        }
    }

    fn position(&self) -> u64 {
        self.written + self.bytes.len() as u64
    }

    fn pad_to(&mut self, align: u64) {
        let zeros = self.position().next_multiple_of(align) - self.position();
        self.bytes.resize(self.bytes.len() + zeros as usize, 0);
    }

    fn flush_if_full(&mut self) -> std::io::Result<()> {
        if self.bytes.len() < BUFFER_BYTES {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.append(&self.bytes)?;
        self.written += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }

    fn finish(mut self) -> std::io::Result<()> {
        self.flush()?;
        self.file.sync()
    }
}
