//! Label sets in indexes of the versions 1 to 4: pages of 1,024 series, packed as a whole.
//!
//! Reading one series decodes its page, some 25 µs, so decoded pages are kept in the cache.

use std::sync::Arc;

use codec::DecodeError;
use codec::varint::Reader;
use storage::StorageError;

use super::format;
use super::index::{INDEX_SPACE, Index, Name};

/// Series in a page.
pub(super) const PAGE_SERIES: usize = 1_024;

/// Which labels series have, and where the pages are.
#[derive(Debug, Default)]
pub(super) struct WideForward {
    /// Label names of each schema.
    schemas: Vec<Vec<u32>>,
    pages: Vec<(u64, u32)>,
    /// Where the last page ends.
    end: u64,
}

/// A page, decoded: for each series its schema and the ranks of its values.
#[derive(Debug)]
pub(super) struct WidePage {
    series: Vec<(u32, u32)>,
    ranks: Vec<u32>,
}

impl WideForward {
    /// Reads schemas and where pages are, from `offset` on.
    pub(super) fn decode(
        reader: &mut Reader<'_>,
        names: usize,
        series_count: u32,
        offset: u64,
    ) -> Result<WideForward, DecodeError> {
        let mut forward = WideForward::default();
        forward.read_schemas(reader, names)?;
        forward.end = offset;
        for _ in 0..(series_count as usize).div_ceil(PAGE_SERIES) {
            let size = reader.count(u32::MAX as usize)? as u32;
            forward.pages.push((forward.end, size));
            let end = forward.end.checked_add(u64::from(size));
            forward.end = end.ok_or(DecodeError("offset"))?;
        }
        Ok(forward)
    }

    fn read_schemas(&mut self, reader: &mut Reader<'_>, names: usize) -> Result<(), DecodeError> {
        for _ in 0..reader.count(reader.rest().len())? {
            let count = reader.count(reader.rest().len().min(names))?;
            let mut schema = Vec::with_capacity(count);
            for _ in 0..count {
                let name = reader.count(names)? as u32;
                if name as usize == names || schema.last().is_some_and(|&l| l >= name) {
                    return Err(DecodeError("schema"));
                }
                schema.push(name);
            }
            self.schemas.push(schema);
        }
        Ok(())
    }

    /// Where the last page ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The names of a series' labels and the ranks of their values; `page` is the one it is in.
    pub(super) fn pairs_of<'a>(
        &'a self,
        page: &'a WidePage,
        id: u32,
    ) -> impl Iterator<Item = (u32, u32)> + 'a {
        let (schema, from) = page.series[id as usize % PAGE_SERIES];
        let names = &self.schemas[schema as usize];
        let ranks = &page.ranks[from as usize..from as usize + names.len()];
        names.iter().copied().zip(ranks.iter().copied())
    }

    fn decode_page(
        &self,
        raw: &[u8],
        count: usize,
        names: &[Name],
    ) -> Result<WidePage, DecodeError> {
        let mut reader = Reader::new(raw);
        let mut series = Vec::with_capacity(count);
        let mut labels = 0u32;
        let mut with_name = vec![Vec::new(); names.len()];
        for _ in 0..count {
            let schema = reader.count(u32::MAX as usize)? as u32;
            let of_schema = self
                .schemas
                .get(schema as usize)
                .ok_or(DecodeError("schema"))?;
            series.push((schema, labels));
            for &name in of_schema {
                with_name[name as usize].push(labels);
                labels += 1;
            }
            if labels as usize > raw.len() {
                return Err(DecodeError("length"));
            }
        }
        let mut ranks = vec![0; labels as usize];
        for (name, positions) in names.iter().zip(&with_name) {
            let mut rank = 0i64;
            for &at in positions {
                rank = rank.wrapping_add(reader.signed()?);
                if rank < 0 || rank >= i64::from(name.value_count) {
                    return Err(DecodeError("value"));
                }
                ranks[at as usize] = rank as u32;
            }
        }
        if !reader.is_empty() {
            return Err(DecodeError("length"));
        }
        Ok(WidePage { series, ranks })
    }
}

impl Index {
    /// The page that has series `PAGE_SERIES * page` and those after it.
    pub(super) fn wide_page(
        &self,
        forward: &WideForward,
        page: usize,
    ) -> Result<Arc<WidePage>, StorageError> {
        let (offset, size) = forward.pages[page];
        let count = PAGE_SERIES.min(self.series_count as usize - page * PAGE_SERIES);
        self.cache
            .get_or_load(self.block, INDEX_SPACE | offset, || {
                let raw = format::unpack(self.file.page(offset, size as usize)?)?;
                let page = forward.decode_page(&raw, count, &self.names)?;
                let size = 64 + 8 * page.series.len() + 4 * page.ranks.len();
                Ok((page, size))
            })
            .map_err(self.corrupt("label sets"))
    }
}
