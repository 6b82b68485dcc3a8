//! Label sets of a block that is being written, in memory.
//!
//! Names and values are numbered in the order of coming, so what is known of a series is a list of
//! small numbers. They are packed into the pages that they will have in the file, with these
//! numbers instead of ranks, which are known at the end only: a byte a series or two, where plain
//! numbers took 50.

use std::hash::BuildHasher;

use codec::DecodeError;
use codec::varint::Reader;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::forward_page::{PAGE_SERIES_GOOD, Page, PageBuilder};

/// Where a page is: its rows, and its ranks.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Its first series.
    first: u32,
    rows: usize,
    ranks: usize,
}

/// The label sets of series 0, 1, 2, …
#[derive(Debug, Default)]
pub(super) struct LabelSets {
    bytes: Vec<u8>,
    pages: Vec<Place>,
    /// By their rows, those that have some of their own.
    by_rows: HashTable<u32>,
    hasher: FixedState,
    /// The last page.
    open: PageBuilder,
    open_first: u32,
}

impl LabelSets {
    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.open_first + self.open.len() as u32
    }

    /// Adds a series: names, which ascend, and their values.
    pub(super) fn push(&mut self, pairs: &[(u32, u32)]) {
        if !self.open.has_room(pairs) {
            self.end_page();
        }
        self.open.push(pairs);
    }

    /// Says that a batch ends here: the pages of targets of one kind begin where these do.
    pub(super) fn end_batch(&mut self) {
        if self.open.len() >= PAGE_SERIES_GOOD {
            self.end_page();
        }
    }

    /// Ends the page, so that the next series begins one.
    pub(super) fn end_page(&mut self) {
        if self.open.len() == 0 {
            return;
        }
        let (rows, ranks) = self.open.encode();
        let hash = self.hasher.hash_one(rows);
        let same = |&page: &u32| self.bytes[self.pages[page as usize].rows..].starts_with(rows);
        let known = self.by_rows.find(hash, same).copied();
        let page = self.pages.len() as u32;
        let rows_at = match known {
            Some(known) => self.pages[known as usize].rows,
            None => {
                self.bytes.extend_from_slice(rows);
                self.bytes.len() - rows.len()
            }
        };
        self.pages.push(Place {
            first: self.open_first,
            rows: rows_at,
            ranks: self.bytes.len(),
        });
        self.bytes.extend_from_slice(ranks);
        if known.is_none() {
            let rows_of = |page: &u32| {
                let Place { rows, ranks, .. } = self.pages[*page as usize];
                self.hasher.hash_one(&self.bytes[rows..ranks])
            };
            self.by_rows.insert_unique(hash, page, rows_of);
        }
        self.open_first += self.open.len() as u32;
        self.open.clear();
    }

    /// Whether a series has these pairs.
    pub(super) fn is(&self, id: u32, pairs: &[(u32, u32)]) -> bool {
        match id.checked_sub(self.open_first) {
            Some(at) => self.open.get(at as usize) == pairs,
            None => self.reader().pairs(id).is_ok_and(|found| found == pairs),
        }
    }

    /// Reads sets of pages that were ended.
    pub(super) fn reader(&self) -> SetsReader<'_> {
        SetsReader {
            sets: self,
            at: None,
            page: Page::default(),
            pairs: Vec::new(),
        }
    }

    /// Calls `visit` with every series that has the label `name`, and its value. All pages must
    /// have been ended.
    pub(super) fn each_with(
        &self,
        name: u32,
        mut visit: impl FnMut(u32, u32),
    ) -> Result<(), DecodeError> {
        let mut page = Page::default();
        for (at, place) in self.pages.iter().enumerate() {
            self.open(at, &mut page)?;
            let count = self.end_of(at) - place.first;
            page.read_column(name, count, |at, value| visit(place.first + at, value))?;
        }
        Ok(())
    }

    /// The series behind the last one of a page.
    fn end_of(&self, page: usize) -> u32 {
        self.pages
            .get(page + 1)
            .map_or(self.open_first, |next| next.first)
    }

    fn open<'a>(&'a self, at: usize, page: &mut Page<'a>) -> Result<(), DecodeError> {
        let Place { first, rows, ranks } = self.pages[at];
        let count = (self.end_of(at) - first) as usize;
        page.read_rows(&mut Reader::new(&self.bytes[rows..]), count, usize::MAX)?;
        page.read_ranks(&mut Reader::new(&self.bytes[ranks..]), |_| u32::MAX)
    }
}

/// Reads label sets; fastest in order of id.
#[derive(Debug)]
pub(super) struct SetsReader<'a> {
    sets: &'a LabelSets,
    at: Option<usize>,
    page: Page<'a>,
    pairs: Vec<(u32, u32)>,
}

impl SetsReader<'_> {
    /// Names and values of a series.
    pub(super) fn pairs(&mut self, id: u32) -> Result<&[(u32, u32)], DecodeError> {
        let sets = self.sets;
        let is_in = |at: usize| (sets.pages[at].first..sets.end_of(at)).contains(&id);
        let at = match self.at.filter(|&at| is_in(at)) {
            Some(at) => at,
            None => {
                self.at = None;
                let at = sets.pages.partition_point(|page| page.first <= id);
                let at = at.checked_sub(1).ok_or(DecodeError("series"))?;
                sets.open(at, &mut self.page)?;
                self.at = Some(at);
                at
            }
        };
        self.page.read(id - sets.pages[at].first, &mut self.pairs)?;
        Ok(&self.pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_put_in() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut sets = LabelSets::default();
        let mut all: Vec<Vec<(u32, u32)>> = Vec::new();
        for at in 0..2_000u32 {
            // Names that many have, names of few, and values near and far.
            let mut names: Vec<u32> = (0..6).filter(|_| random.u8(..4) > 0).collect();
            names.extend((at % 97 == 0).then_some(1_000 + at));
            let value = |name: &u32| match name {
                0 => at / 16,
                1 => at % 3 * 0x5_5555_5555u64 as u32,
                _ => at / 100,
            };
            let pairs: Vec<_> = names.iter().map(|name| (*name, value(name))).collect();
            sets.push(&pairs);
            all.push(pairs);
            if at % 50 == 49 {
                sets.end_page();
            }
            let other = random.usize(..all.len());
            assert!(sets.is(other as u32, &all[other]), "{other} of {at}");
            assert!(!sets.is(other as u32, &[(9, 9)]));
        }
        sets.end_page();
        assert_eq!(sets.len(), 2_000);
        let mut reader = sets.reader();
        for (id, pairs) in (0..).zip(&all) {
            assert_eq!(reader.pairs(id), Ok(&pairs[..]));
        }
        for name in [0, 1, 5, 7, 1_000] {
            let mut found = Vec::new();
            sets.each_with(name, |id, value| found.push((id, value)))
                .unwrap();
            let of = |pairs: &Vec<(u32, u32)>| pairs.iter().find(|pair| pair.0 == name).copied();
            let with = (0..)
                .zip(&all)
                .filter_map(|(id, pairs)| Some((id, of(pairs)?.1)));
            assert_eq!(found, with.collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn sets_of_one_kind_take_little() {
        let mut sets = LabelSets::default();
        for host in 0..200 {
            for at in 0..960u32 {
                sets.push(&[(0, at / 4), (1, at % 4), (2, host), (3, host), (4, 0)]);
                if at % 64 == 63 {
                    sets.end_batch();
                }
            }
        }
        let bytes_per_series = sets.bytes.len() as f64 / f64::from(sets.len());
        assert!(bytes_per_series < 0.2, "{bytes_per_series}");
    }
}
