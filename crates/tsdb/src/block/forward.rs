//! Label sets in an index: where their pages are, reading and writing them.
//!
//! What is in a page is said in [`super::forward_page`]. A page in the file has rows of its own or
//! says where a page before has the same ones. Reading a page takes its checksum and a walk over
//! its names, which is less than keeping pages in a cache would cost. Pages of the versions before
//! 5 are in [`super::forward_v1`].

use std::sync::Arc;

use codec::DecodeError;
use codec::varint::{self, Reader};
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use storage::StorageError;

use super::BlockError;
use super::format::{FileReader, FileWriter};
use super::forward_page::{PAGE_SERIES_GOOD, PAGE_SERIES_MAX, Page, PageBuilder};
use super::forward_v1::{PAGE_SERIES as WIDE_SERIES, WidePage};
use super::index::{Forward, Index, Name};

/// Rows that a writer remembers, to refer to them; beyond that it begins anew.
const KNOWN_BYTES_MAX: usize = 4 << 20;
/// What a reference to rows takes, at least.
const REFERENCE_BYTES: usize = 3;

/// Where the pages of an index are.
#[derive(Debug)]
pub(super) struct ForwardPages {
    /// The first series of each page, and the end of the last.
    firsts: Vec<u32>,
    /// Where each page begins, and the end of the last.
    offsets: Vec<u64>,
}

impl ForwardPages {
    /// Reads what [`ForwardWriter::finish`] wrote. The pages lie from `offset` on.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        series_count: u32,
        mut offset: u64,
    ) -> Result<ForwardPages, DecodeError> {
        // Two bytes a page at least.
        let count = reader.count(reader.rest().len() / 2)?;
        let mut firsts = Vec::with_capacity(count + 1);
        let mut offsets = Vec::with_capacity(count + 1);
        let mut first = 0u32;
        for _ in 0..count {
            firsts.push(first);
            offsets.push(offset);
            let series = reader.count(PAGE_SERIES_MAX)? as u32;
            first = first.checked_add(series).ok_or(DecodeError("series"))?;
            let size = reader.count(u32::MAX as usize)? as u64;
            offset = offset.checked_add(size).ok_or(DecodeError("offset"))?;
            if series == 0 {
                return Err(DecodeError("series"));
            }
        }
        if first != series_count {
            return Err(DecodeError("count of series"));
        }
        firsts.push(first);
        offsets.push(offset);
        Ok(ForwardPages { firsts, offsets })
    }

    /// Where the last page ends.
    pub(super) fn end(&self) -> u64 {
        self.offsets.last().copied().unwrap_or(0)
    }

    /// The page of a series; `near` is mostly it or the one before.
    fn page_of(&self, id: u32, near: usize) -> usize {
        let is_in = |page: usize| {
            let first = self.firsts.get(page..page + 2);
            first.is_some_and(|first| (first[0]..first[1]).contains(&id))
        };
        match near {
            _ if is_in(near) => near,
            _ if is_in(near + 1) => near + 1,
            _ => self.firsts.partition_point(|&first| first <= id) - 1,
        }
    }
}

/// An open page, and where its rows were read and of how many series; 0 if they were not.
#[derive(Debug, Default)]
struct FilePage<'a> {
    page: Page<'a>,
    rows_at: u64,
    rows_count: usize,
}

impl<'a> FilePage<'a> {
    /// Opens page number `page`.
    fn open(
        &mut self,
        pages: &ForwardPages,
        page: usize,
        file: &'a FileReader,
        names: &[Name],
    ) -> Result<(), DecodeError> {
        let count = (pages.firsts[page + 1] - pages.firsts[page]) as usize;
        let (offset, end) = (pages.offsets[page], pages.offsets[page + 1]);
        let mut reader = Reader::new(file.page(offset, (end - offset) as usize)?);
        let back = reader.varint()?;
        if back == 0 {
            self.rows_at = 0;
            self.page.read_rows(&mut reader, count, names.len())?;
            (self.rows_at, self.rows_count) = (offset, count);
        } else {
            let size = reader.count(u32::MAX as usize)?;
            let of_rows = offset.checked_sub(back).ok_or(DecodeError("rows"))?;
            if (self.rows_at, self.rows_count) != (of_rows, count) {
                self.rows_at = 0;
                let mut other = Reader::new(file.page(of_rows, size)?);
                if other.varint()? != 0 {
                    return Err(DecodeError("rows"));
                }
                self.page.read_rows(&mut other, count, names.len())?;
                (self.rows_at, self.rows_count) = (of_rows, count);
            }
        }
        let values_of = |name: u32| names[name as usize].value_count;
        self.page.read_ranks(&mut reader, values_of)?;
        match reader.is_empty() {
            true => Ok(()),
            false => Err(DecodeError("length")),
        }
    }
}

/// Reads the label sets of series, as numbers; fastest in order of id.
#[derive(Debug)]
pub(super) struct PairsReader<'a> {
    index: &'a Index,
    /// The number of the open page; none is open at [`NO_PAGE`].
    at: usize,
    page: FilePage<'a>,
    wide: Option<Arc<WidePage>>,
    pairs: Vec<(u32, u32)>,
}

/// The number of no page: neither it nor the one after it exists.
const NO_PAGE: usize = usize::MAX / 2;

impl<'a> PairsReader<'a> {
    pub(super) fn new(index: &'a Index) -> PairsReader<'a> {
        PairsReader {
            index,
            at: NO_PAGE,
            page: FilePage::default(),
            wide: None,
            pairs: Vec::new(),
        }
    }

    /// The names of a series' labels and the ranks of their values.
    pub(super) fn pairs(&mut self, id: u32) -> Result<&[(u32, u32)], StorageError> {
        let index = self.index;
        match &index.forward {
            Forward::Pages(pages) => {
                let read = self.read(pages, id);
                read.map_err(index.corrupt("label sets"))?;
            }
            Forward::Wide(forward) => {
                let page = id as usize / WIDE_SERIES;
                if self.at != page || self.wide.is_none() {
                    self.wide = Some(index.wide_page(forward, page)?);
                    self.at = page;
                }
                if let Some(wide) = &self.wide {
                    self.pairs.clear();
                    self.pairs.extend(forward.pairs_of(wide, id));
                }
            }
        }
        Ok(&self.pairs)
    }

    fn read(&mut self, pages: &'a ForwardPages, id: u32) -> Result<(), DecodeError> {
        let page = pages.page_of(id, self.at);
        if page != self.at {
            self.at = NO_PAGE;
            let index = self.index;
            self.page.open(pages, page, &index.file, &index.names)?;
            self.at = page;
        }
        self.page
            .page
            .read(id - pages.firsts[page], &mut self.pairs)
    }
}

/// Writes pages of label sets.
#[derive(Debug, Default)]
pub(super) struct ForwardWriter {
    page: PageBuilder,
    /// Where rows are that were written, and how large their page is.
    known: HashMap<Box<[u8]>, (u64, usize), FixedState>,
    known_bytes: usize,
    page_count: u64,
    /// What [`ForwardWriter::finish`] writes.
    head: Vec<u8>,
}

impl ForwardWriter {
    /// Adds the next series; names ascend.
    pub(super) fn push(
        &mut self,
        pairs: &[(u32, u32)],
        file: &mut FileWriter,
    ) -> Result<(), BlockError> {
        if !self.page.has_room(pairs) {
            self.flush(file)?;
        }
        self.page.push(pairs);
        Ok(())
    }

    /// Says that a batch ends here.
    pub(super) fn end_batch(&mut self, file: &mut FileWriter) -> Result<(), BlockError> {
        match self.page.len() {
            0..PAGE_SERIES_GOOD => Ok(()),
            _ => self.flush(file),
        }
    }

    fn flush(&mut self, file: &mut FileWriter) -> Result<(), BlockError> {
        if self.page.len() == 0 {
            return Ok(());
        }
        let at = file.position();
        let (rows, ranks) = self.page.encode();
        let known = self.known.get(rows).copied();
        let size = file.page(|out| {
            match known {
                Some((rows_at, rows_size)) => {
                    varint::put(out, at - rows_at);
                    varint::put(out, rows_size as u64);
                }
                None => {
                    varint::put(out, 0);
                    out.extend_from_slice(rows);
                }
            }
            out.extend_from_slice(ranks);
        })?;
        if known.is_none() && rows.len() > REFERENCE_BYTES {
            if self.known_bytes + rows.len() > KNOWN_BYTES_MAX {
                self.known.clear();
                self.known_bytes = 0;
            }
            self.known_bytes += rows.len();
            self.known.insert(rows.into(), (at, size));
        }
        varint::put(&mut self.head, self.page.len() as u64);
        varint::put(&mut self.head, size as u64);
        self.page_count += 1;
        self.page.clear();
        Ok(())
    }

    /// Writes the last page; appends to `head` where pages are.
    pub(super) fn finish(
        mut self,
        file: &mut FileWriter,
        head: &mut Vec<u8>,
    ) -> Result<(), BlockError> {
        self.flush(file)?;
        varint::put(head, self.page_count);
        head.extend_from_slice(&self.head);
        Ok(())
    }
}
