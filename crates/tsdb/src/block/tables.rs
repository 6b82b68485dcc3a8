//! Where samples lie: the tables of groups, timestamp columns, batches and pages.
//!
//! A group has one column of timestamps for each slice of time, and its series in *batches* of up
//! to 64. A batch has a page of values for each column of the group; a batch of series with times
//! of their own has pages without a column. All pages lie in the data file in the order of the
//! tables, so a size tells where the next one is.
//!
//! Series get their numbers in the order in which batches name them first. A batch therefore
//! mostly is a range of numbers and takes no bytes a series; only one with a series that came
//! before lists its members.
//!
//! ```text
//! tables  = files n { group } n { column } n { batch } n { page }
//! group   = n { name value } columns batches linked
//! column  = size count first-less-last's-first span [file offset check]  ; the latter if linked
//! batch   = flags members [pages] [{ id-less-last }]     ; flags: 1 own times, 2 lists its members,
//!                                                        ; 4 histograms
//! page    = size absent [first-less-min span] [after check]  ; with own times only; if linked
//! ```
//! All numbers are varints, those named "less" signed, but for `check`, a `u32`; `absent` has a bit
//! for each member of the batch that has no sample in the page. A page without any has size 0.
//!
//! The pages of a *linked* group lie in the files of chunks that the head wrote, which are linked
//! into the block under the numbers from 1 to `files` ([`super::chunk_page`]). Their checksums
//! are here, and where they begin: `after` the beginning of their column. Blocks before version 4
//! have neither files nor linked groups.

use codec::DecodeError;
use codec::varint::{self, Reader};
use model::Labels;

use super::chunk_page::Layout;
use super::format::{HEAD_BYTES, INDEXED_VERSION, LINKS_VERSION, text};

/// Most series of a batch: what a page's mask has bits for.
pub(crate) const BATCH_SERIES_MAX: usize = 64;
/// Most values of a column. Bounds the memory of reading a page: 32 MiB.
pub(crate) const COLUMN_VALUES_MAX: usize = 1 << 16;

/// Most chunk files of a block: far more than a head has for one span.
pub(crate) const FILES_MAX: usize = 1 << 12;

/// Where bytes lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Place(u64);

impl Place {
    const OFFSET_BITS: u32 = 48;

    /// In the block's own file of samples; `None` if there can be no such place.
    pub(crate) fn own(offset: u64) -> Option<Place> {
        Place::linked(0, offset)
    }

    /// In a linked file, counted from 1; `None` likewise.
    pub(crate) fn linked(file: usize, offset: u64) -> Option<Place> {
        let fits = file <= FILES_MAX && offset >> Self::OFFSET_BITS == 0;
        fits.then_some(Place((file as u64) << Self::OFFSET_BITS | offset))
    }

    /// The number of the linked file, 0 for the block's own.
    pub(crate) fn file(self) -> usize {
        (self.0 >> Self::OFFSET_BITS) as usize
    }

    pub(crate) fn offset(self) -> u64 {
        self.0 & ((1 << Self::OFFSET_BITS) - 1)
    }

    /// What no other place of the block has.
    pub(crate) fn key(self) -> u64 {
        self.0
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) key: Labels,
    /// Its columns: from `columns` to that of the next group.
    pub(crate) columns: u32,
    /// Its batches, the same way.
    pub(crate) batches: u32,
    /// How its samples lie in linked files, if they do.
    pub(crate) linked: Option<Layout>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Column {
    pub(crate) place: Place,
    pub(crate) size: u32,
    /// Checksum, if it is linked.
    pub(crate) check: u32,
    pub(crate) count: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Batch {
    pub(crate) group: u32,
    /// Whether its series have times of their own.
    pub(crate) own: bool,
    /// Whether their samples are histograms.
    pub(crate) histograms: bool,
    pub(crate) members: Members,
    /// Its pages: from `pages` to that of the next batch.
    pub(crate) pages: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Members {
    /// So many ids from the first on, all named here first.
    Range(u32, u32),
    /// These ids.
    List(Box<[u32]>),
}

impl Members {
    pub(crate) fn len(&self) -> usize {
        match self {
            Members::Range(_, count) => *count as usize,
            Members::List(list) => list.len(),
        }
    }

    pub(crate) fn get(&self, slot: usize) -> Option<u32> {
        match self {
            Members::Range(first, count) => {
                (slot < *count as usize).then_some(*first + slot as u32)
            }
            Members::List(list) => list.get(slot).copied(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PageEntry {
    pub(crate) place: Place,
    pub(crate) size: u32,
    /// Checksum, if it is linked.
    pub(crate) check: u32,
    /// Members without a sample.
    pub(crate) absent: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// The column with its timestamps, if they are shared.
    pub(crate) column: Option<u32>,
}

/// All tables. The writer fills them in order and calls [`Tables::encode`].
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tables {
    /// How many files are linked.
    pub(crate) files: usize,
    pub(crate) groups: Vec<Group>,
    pub(crate) columns: Vec<Column>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) pages: Vec<PageEntry>,
}

impl Tables {
    pub(crate) fn columns_of(&self, group: usize) -> std::ops::Range<usize> {
        let end = self
            .groups
            .get(group + 1)
            .map_or(self.columns.len(), |g| g.columns as usize);
        self.groups[group].columns as usize..end
    }

    pub(crate) fn batches_of(&self, group: usize) -> std::ops::Range<usize> {
        let end = self
            .groups
            .get(group + 1)
            .map_or(self.batches.len(), |g| g.batches as usize);
        self.groups[group].batches as usize..end
    }

    pub(crate) fn pages_of(&self, batch: usize) -> std::ops::Range<usize> {
        let end = self
            .batches
            .get(batch + 1)
            .map_or(self.pages.len(), |b| b.pages as usize);
        self.batches[batch].pages as usize..end
    }

    pub(crate) fn encode(&self, min_ms: i64, out: &mut Vec<u8>) {
        let put = |out: &mut Vec<u8>, value: usize| varint::put(out, value as u64);
        put(out, self.files);
        put(out, self.groups.len());
        for (at, group) in self.groups.iter().enumerate() {
            put(out, group.key.len());
            for (name, value) in &group.key {
                varint::put_bytes(out, name.as_bytes());
                varint::put_bytes(out, value.as_bytes());
            }
            put(out, self.columns_of(at).len());
            put(out, self.batches_of(at).len());
            out.push(match group.linked {
                None => 0,
                Some(Layout::Strung) => 1,
                Some(Layout::Indexed) => 2,
            });
        }
        put(out, self.columns.len());
        let mut before = min_ms;
        for column in &self.columns {
            varint::put(out, u64::from(column.size));
            varint::put(out, u64::from(column.count));
            varint::put_signed(out, column.first_ms.wrapping_sub(before));
            varint::put(out, column.last_ms.wrapping_sub(column.first_ms) as u64);
            before = column.first_ms;
            if column.place.file() > 0 {
                put(out, column.place.file());
                varint::put(out, column.place.offset());
                out.extend_from_slice(&column.check.to_le_bytes());
            }
        }
        put(out, self.batches.len());
        for (at, batch) in self.batches.iter().enumerate() {
            let listed = matches!(batch.members, Members::List(_));
            let histograms = u8::from(batch.histograms) << 2;
            out.push(u8::from(batch.own) | u8::from(listed) << 1 | histograms);
            put(out, batch.members.len());
            if batch.own {
                put(out, self.pages_of(at).len());
            }
            if let Members::List(list) = &batch.members {
                let mut before = 0;
                for &id in list {
                    varint::put_signed(out, i64::from(id) - before);
                    before = i64::from(id);
                }
            }
        }
        put(out, self.pages.len());
        for page in &self.pages {
            varint::put(out, u64::from(page.size));
            varint::put(out, page.absent);
            if page.column.is_none() {
                varint::put_signed(out, page.first_ms.wrapping_sub(min_ms));
                varint::put(out, page.last_ms.wrapping_sub(page.first_ms) as u64);
            }
            let links = page.place.file() > 0 && page.size > 0;
            if let Some(column) = page.column.filter(|_| links) {
                let column = self.columns[column as usize].place;
                varint::put(out, page.place.offset() - column.offset());
                out.extend_from_slice(&page.check.to_le_bytes());
            }
        }
    }

    /// Reads what [`Tables::encode`] wrote, of any version of the format, and works out the
    /// offsets; also gives how many series there are.
    pub(crate) fn decode(
        bytes: &[u8],
        min_ms: i64,
        version: u64,
    ) -> Result<(Tables, u32), DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut tables = Tables::default();
        if version >= LINKS_VERSION {
            tables.files = reader.count(FILES_MAX)?;
        }
        let shapes = decode_groups(&mut reader, version, &mut tables)?;
        decode_columns(&mut reader, min_ms, &shapes, &mut tables)?;
        let series = decode_batches(&mut reader, &shapes, &mut tables)?;
        decode_pages(&mut reader, min_ms, &mut tables)?;
        if !reader.is_empty() {
            return Err(DecodeError("tables"));
        }
        tables.place()?;
        Ok((tables, series))
    }

    /// Gives every column and page its place in the data file, in the order of writing: for each
    /// group its columns, then for each batch its pages.
    fn place(&mut self) -> Result<(), DecodeError> {
        let mut at = HEAD_BYTES as u64;
        let mut next = |size: u32| {
            let place = Place::own(at).ok_or(DecodeError("page offset"));
            at += u64::from(size);
            place
        };
        for group in (0..self.groups.len()).filter(|&group| self.groups[group].linked.is_none()) {
            for column in self.columns_of(group) {
                self.columns[column].place = next(self.columns[column].size)?;
            }
            for batch in self.batches_of(group) {
                for page in self.pages_of(batch) {
                    self.pages[page].place = next(self.pages[page].size)?;
                }
            }
        }
        Ok(())
    }
}

/// How many columns and batches each group has, and whether it is linked.
type Shapes = Vec<(usize, usize, Option<Layout>)>;

/// A count of things that take at least `bytes_each` bytes of what is left.
fn count(reader: &mut Reader<'_>, bytes_each: usize) -> Result<usize, DecodeError> {
    let max = reader.rest().len() / bytes_each;
    reader.count(max)
}

fn small(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    Ok(reader.count(u32::MAX as usize)? as u32)
}

fn decode_groups(
    reader: &mut Reader<'_>,
    version: u64,
    tables: &mut Tables,
) -> Result<Shapes, DecodeError> {
    let groups = count(reader, 3)?;
    let mut shapes = Vec::with_capacity(groups);
    let (mut columns, mut batches) = (0usize, 0usize);
    for _ in 0..groups {
        let labels = count(reader, 2)?;
        let mut pairs = Vec::with_capacity(labels);
        for _ in 0..labels {
            pairs.push((text(reader)?, text(reader)?));
        }
        let of_group = (small(reader)? as usize, small(reader)? as usize);
        let linked = match version {
            ..LINKS_VERSION => None,
            _ => match reader.byte()? {
                0 => None,
                1 => Some(Layout::Strung),
                2 if version >= INDEXED_VERSION => Some(Layout::Indexed),
                _ => return Err(DecodeError("linked")),
            },
        };
        let shape = (of_group.0, of_group.1, linked);
        tables.groups.push(Group {
            key: Labels::from_pairs(pairs),
            columns: u32::try_from(columns).map_err(|_| DecodeError("group"))?,
            batches: u32::try_from(batches).map_err(|_| DecodeError("group"))?,
            linked,
        });
        columns += shape.0;
        batches += shape.1;
        shapes.push(shape);
    }
    Ok(shapes)
}

fn decode_columns(
    reader: &mut Reader<'_>,
    min_ms: i64,
    shapes: &Shapes,
    tables: &mut Tables,
) -> Result<(), DecodeError> {
    let columns = count(reader, 4)?;
    if shapes.iter().map(|s| s.0).sum::<usize>() != columns {
        return Err(DecodeError("group"));
    }
    let mut before = min_ms;
    let linked = shapes
        .iter()
        .flat_map(|&(columns, _, linked)| std::iter::repeat_n(linked, columns));
    for linked in linked {
        let size = small(reader)?;
        let count = reader.count(COLUMN_VALUES_MAX)? as u32;
        let first_ms = before.wrapping_add(reader.signed()?);
        let last_ms = first_ms.wrapping_add(reader.varint()? as i64);
        before = first_ms;
        let (mut place, mut check) = (Place::default(), 0);
        if linked.is_some() {
            let file = reader.count(tables.files)?;
            let offset = reader.varint()?;
            let found = Place::linked(file, offset).filter(|_| file > 0);
            place = found.ok_or(DecodeError("linked file"))?;
            check = reader.u32_le()?;
        }
        tables.columns.push(Column {
            place,
            check,
            size,
            count,
            first_ms,
            last_ms,
        });
    }
    Ok(())
}

fn decode_batches(
    reader: &mut Reader<'_>,
    shapes: &Shapes,
    tables: &mut Tables,
) -> Result<u32, DecodeError> {
    let batches = count(reader, 2)?;
    if shapes.iter().map(|s| s.1).sum::<usize>() != batches {
        return Err(DecodeError("group"));
    }
    let (mut series, mut pages) = (0u32, 0u32);
    let of_group = (0u32..)
        .zip(shapes)
        .flat_map(|(group, shape)| vec![(group, shape.0); shape.1]);
    for (group, columns) in of_group {
        let flags = reader.byte()?;
        let own = flags & 1 == 1;
        // The head's chunks that are linked have floats at shared times.
        if flags > 7 || tables.groups[group as usize].linked.is_some() && flags & 5 != 0 {
            return Err(DecodeError("batch"));
        }
        let count = reader.count(BATCH_SERIES_MAX)?;
        let page_count = if own { small(reader)? } else { columns as u32 };
        let members = if flags & 2 == 0 {
            let first = series;
            series = series
                .checked_add(count as u32)
                .ok_or(DecodeError("batch"))?;
            Members::Range(first, count as u32)
        } else {
            let mut list = Vec::with_capacity(count);
            let mut before = 0i64;
            for _ in 0..count {
                before = before.wrapping_add(reader.signed()?);
                let id = u32::try_from(before).map_err(|_| DecodeError("batch"))?;
                if id > series {
                    return Err(DecodeError("batch"));
                }
                series = series.max(id.checked_add(1).ok_or(DecodeError("batch"))?);
                list.push(id);
            }
            Members::List(list.into())
        };
        tables.batches.push(Batch {
            group,
            own,
            histograms: flags & 4 != 0,
            members,
            pages,
        });
        pages = pages.checked_add(page_count).ok_or(DecodeError("batch"))?;
    }
    Ok(series)
}

fn decode_pages(
    reader: &mut Reader<'_>,
    min_ms: i64,
    tables: &mut Tables,
) -> Result<(), DecodeError> {
    let pages = count(reader, 2)?;
    for at in 0..tables.batches.len() {
        let batch = &tables.batches[at];
        let columns = tables.columns_of(batch.group as usize);
        let end = tables
            .batches
            .get(at + 1)
            .map_or(pages, |b| b.pages as usize);
        let of_batch = end
            .checked_sub(batch.pages as usize)
            .ok_or(DecodeError("page"))?;
        if !batch.own && of_batch != columns.len() || of_batch > reader.rest().len() {
            return Err(DecodeError("page"));
        }
        let own = batch.own;
        for slice in 0..of_batch {
            let size = small(reader)?;
            let absent = reader.varint()?;
            let (first_ms, last_ms, column) = if own {
                let first_ms = min_ms.wrapping_add(reader.signed()?);
                (
                    first_ms,
                    first_ms.wrapping_add(reader.varint()? as i64),
                    None,
                )
            } else {
                let column = columns.start + slice;
                let Column {
                    first_ms, last_ms, ..
                } = tables.columns[column];
                (first_ms, last_ms, Some(column as u32))
            };
            let (mut place, mut check) = (Place::default(), 0);
            let linked = column.map(|column| tables.columns[column as usize].place);
            if let Some(of_column) = linked.filter(|place| place.file() > 0 && size > 0) {
                let offset = of_column.offset().checked_add(reader.varint()?);
                let offset = offset.ok_or(DecodeError("page offset"))?;
                let found = Place::linked(of_column.file(), offset);
                place = found.ok_or(DecodeError("page offset"))?;
                check = reader.u32_le()?;
            }
            tables.pages.push(PageEntry {
                place,
                check,
                size,
                absent,
                first_ms,
                last_ms,
                column,
            });
        }
    }
    if tables.pages.len() != pages {
        return Err(DecodeError("page"));
    }
    Ok(())
}
