//! A page of values: the series of a batch in one slice of time.
//!
//! The kind says how times are kept; with 4 added to it, starts of counters follow the times. Of
//! histograms, the columns are what [`super::histogram_page`] writes.
//!
//! ```text
//! page  = 0 [starts] columns                  ; every member that is there has every time of the column
//!       | 1 { presence } [starts] columns     ; some do not
//!       | 2 { count ints } [starts] columns   ; times of their own
//! starts = { n { gap start }  }      ; of each member, from which of its samples on, which start
//! presence = 0                       ; every time
//!          | 1 bits                  ; a bit for each time of the column
//!          | (n + 1) { gap length }  ; n runs of times
//! ```
//! `columns` is what [`codec::columns`] writes, `ints` what [`codec::ints`] does.

use codec::DecodeError;
use codec::columns;
use codec::ints;
use codec::varint::{self, Reader};
use storage::Samples;

use super::chunk_page::{ChunkColumn, ChunkPage, Layout, runs_of};
use super::histogram_page::HistogramPage;
use super::tables::COLUMN_VALUES_MAX;
use crate::histograms::{HistogramColumn, TimedHistograms};
use crate::merge::{pad_starts, set_start};

const FULL: u8 = 0;
const SOME: u8 = 1;
const OWN: u8 = 2;
/// Added to the kind of a page with starts.
const STARTS: u8 = 4;

/// The times of one member while a page is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MemberTimes<'a> {
    Every,
    /// Runs of positions in the column, first and end.
    Runs(&'a [(u32, u32)]),
    Own(&'a [i64]),
}

impl MemberTimes<'_> {
    /// Appends them; `column` has the shared timestamps.
    fn put(&self, column: &[i64], out: &mut Vec<i64>) -> Result<(), DecodeError> {
        match self {
            MemberTimes::Every => out.extend_from_slice(column),
            MemberTimes::Runs(runs) => {
                for &(first, end) in *runs {
                    let run = column.get(first as usize..end as usize);
                    out.extend_from_slice(run.ok_or(DecodeError("presence"))?);
                }
            }
            MemberTimes::Own(times) => out.extend_from_slice(times),
        }
        Ok(())
    }
}

/// Memory that writing pages works in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) columns: columns::Scratch,
    pub(crate) ints: ints::Scratch,
}

/// Appends a page of floats. `values` has the values of all members in turn, `counts` how many of
/// each.
pub(crate) fn encode(
    times: &PageTimes<'_>,
    values: &[f64],
    counts: &[usize],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    times.put(counts, &mut scratch.ints, out);
    columns::encode(values, counts, &mut scratch.columns, out);
}

/// When the samples of a page are, and since when they count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageTimes<'a> {
    /// Those of each member, all of the shared kind or all [`MemberTimes::Own`].
    pub(crate) members: &'a [MemberTimes<'a>],
    /// How many times the column has.
    pub(crate) column_count: usize,
    /// A start for each sample of all members in turn, or none.
    pub(crate) starts: &'a [i64],
}

impl PageTimes<'_> {
    /// Appends what a page begins with; `counts` says how many samples each member has.
    pub(crate) fn put(&self, counts: &[usize], scratch: &mut ints::Scratch, out: &mut Vec<u8>) {
        let kind_at = out.len();
        put_times(self.members, self.column_count, scratch, out);
        if self.starts.iter().all(|start_ms| *start_ms == 0) {
            return;
        }
        out[kind_at] |= STARTS;
        let mut left = self.starts;
        for &count in counts {
            let (of_member, rest) = left.split_at(count);
            left = rest;
            put_starts(of_member, out);
        }
    }
}

fn put_starts(starts: &[i64], out: &mut Vec<u8>) {
    let before = |at: usize| at.checked_sub(1).map_or(0, |at| starts[at]);
    let steps = || (0..starts.len()).filter(|&at| starts[at] != before(at));
    varint::put(out, steps().count() as u64);
    let mut last = 0;
    for at in steps() {
        varint::put(out, (at - last) as u64);
        varint::put_signed(out, starts[at].wrapping_sub(before(at)));
        last = at;
    }
}

fn parse_starts(reader: &mut Reader<'_>, count: usize) -> Result<StartSteps, DecodeError> {
    let steps = reader.count(count)?;
    let (mut at, mut start_ms) = (0, 0i64);
    let steps = (0..steps).map(|_| {
        at += reader.count(count)?;
        start_ms = start_ms.wrapping_add(reader.signed()?);
        Ok((at as u32, start_ms))
    });
    steps.collect::<Result<_, _>>().map(StartSteps)
}

/// From which samples of a member on its counter has which start; 0 before the first.
#[derive(Debug, Default)]
pub(crate) struct StartSteps(Box<[(u32, i64)]>);

impl StartSteps {
    /// Whether no sample has one.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That of a sample by its number.
    pub(crate) fn at(&self, sample: usize) -> i64 {
        let after = self.0.partition_point(|&(from, _)| from as usize <= sample);
        after.checked_sub(1).map_or(0, |at| self.0[at].1)
    }
}

fn put_times(
    times: &[MemberTimes<'_>],
    column_count: usize,
    scratch: &mut ints::Scratch,
    out: &mut Vec<u8>,
) {
    if times.iter().all(|t| matches!(t, MemberTimes::Every)) {
        out.push(FULL);
    } else if times.iter().any(|t| matches!(t, MemberTimes::Own(_))) {
        out.push(OWN);
        for times in times {
            let MemberTimes::Own(times) = times else {
                continue;
            };
            varint::put(out, times.len() as u64);
            ints::encode(times, scratch, out);
        }
    } else {
        out.push(SOME);
        for times in times {
            match times {
                MemberTimes::Runs(runs) => put_presence(runs, column_count, out),
                _ => out.push(0),
            }
        }
    }
}

fn put_presence(runs: &[(u32, u32)], column_count: usize, out: &mut Vec<u8>) {
    let start = out.len();
    varint::put(out, runs.len() as u64 + 1);
    let mut end = 0;
    for &(from, to) in runs {
        varint::put(out, u64::from(from - end));
        varint::put(out, u64::from(to - from));
        end = to;
    }
    let bits_size = column_count.div_ceil(8);
    if out.len() - start > 1 + bits_size {
        out.truncate(start);
        out.push(1);
        let bits_at = out.len();
        out.resize(bits_at + bits_size, 0);
        for at in runs.iter().flat_map(|&(from, to)| from..to) {
            out[bits_at + (at / 8) as usize] |= 1 << (at & 7);
        }
    }
}

/// A page ready to be read column by column.
#[derive(Debug)]
pub(crate) struct ValuePage {
    times: Vec<Times>,
    counts: Vec<usize>,
    /// Of each member; empty if none has any.
    starts: Vec<StartSteps>,
    body: Body,
    /// Where the columns start in the page's bytes.
    columns_at: usize,
}

#[derive(Debug)]
enum Body {
    Floats(columns::Page),
    Histograms(HistogramPage),
    Chunk(ChunkPage),
}

#[derive(Debug)]
enum Times {
    Every,
    Runs(Box<[(u32, u32)]>),
    Own(Box<[i64]>),
}

impl ValuePage {
    /// Reads times and headers; `present` members have samples, the column has `column_count`
    /// times (0 if the page has its own).
    pub(crate) fn parse(
        bytes: &[u8],
        present: usize,
        column_count: usize,
        histograms: bool,
    ) -> Result<ValuePage, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut times = Vec::new();
        let mut counts = vec![column_count; present];
        let kind = reader.byte()?;
        match kind & !STARTS {
            FULL => {}
            SOME => {
                for count in &mut counts {
                    let (of_member, present) = parse_presence(&mut reader, column_count)?;
                    times.push(of_member);
                    *count = present;
                }
            }
            OWN => {
                for count in &mut counts {
                    *count = reader.count(COLUMN_VALUES_MAX)?;
                    let mut own = Vec::new();
                    ints::decode(&mut reader, *count, &mut own)?;
                    if !own.is_sorted_by(|a, b| a < b) {
                        return Err(DecodeError("order of times"));
                    }
                    times.push(Times::Own(own.into()));
                }
            }
            _ => return Err(DecodeError("page kind")),
        }
        let mut starts = Vec::new();
        if kind & STARTS != 0 {
            for &count in &counts {
                starts.push(parse_starts(&mut reader, count)?);
            }
        }
        let columns_at = bytes.len() - reader.rest().len();
        let body = match histograms {
            false => Body::Floats(columns::Page::parse(reader.rest(), &counts)?),
            true => Body::Histograms(HistogramPage::parse(reader.rest(), &counts)?),
        };
        Ok(ValuePage {
            times,
            counts,
            starts,
            body,
            columns_at,
        })
    }

    /// Finds the columns of a linked page; `present` members have samples, the chunk has `rows`
    /// times.
    pub(crate) fn parse_linked(
        bytes: &[u8],
        present: usize,
        rows: usize,
        layout: Layout,
    ) -> Result<ValuePage, DecodeError> {
        let (mut times, mut counts) = (Vec::new(), Vec::with_capacity(present));
        let page = ChunkPage::parse(bytes, rows, layout, |of_column| {
            let count = of_column.count_ones() as usize;
            counts.push(count);
            times.push(match count == rows {
                true => Times::Every,
                false => Times::Runs(runs_of(of_column)),
            });
        })?;
        if page.len() != present {
            return Err(DecodeError("members"));
        }
        Ok(ValuePage {
            times,
            counts,
            starts: Vec::new(),
            body: Body::Chunk(page),
            columns_at: 0,
        })
    }

    /// Bytes of memory that it holds.
    pub(crate) fn size_bytes(&self) -> usize {
        let times: usize = self
            .times
            .iter()
            .map(|times| match times {
                Times::Every => 24,
                Times::Runs(runs) => 24 + 8 * runs.len(),
                Times::Own(times) => 24 + 8 * times.len(),
            })
            .sum();
        let starts: usize = self
            .starts
            .iter()
            .map(|steps| 16 + 16 * steps.0.len())
            .sum();
        let body = match &self.body {
            Body::Floats(columns) => columns.size_bytes(),
            Body::Histograms(page) => page.size_bytes(),
            Body::Chunk(page) => page.size_bytes(),
        };
        128 + times + starts + 8 * self.counts.len() + body
    }

    /// The starts of a present member's counter.
    pub(crate) fn starts(&self, member: usize) -> Option<&StartSteps> {
        self.starts.get(member).filter(|steps| !steps.is_empty())
    }

    fn times(&self, member: usize) -> MemberTimes<'_> {
        match self.times.get(member) {
            None | Some(Times::Every) => MemberTimes::Every,
            Some(Times::Runs(runs)) => MemberTimes::Runs(runs),
            Some(Times::Own(times)) => MemberTimes::Own(times),
        }
    }

    /// Appends the histograms of a present member to `out` and gives where in time they lie.
    pub(crate) fn decode_histograms(
        &self,
        bytes: &[u8],
        member: usize,
        scratch: &mut columns::DecodeScratch,
        out: &mut HistogramColumn,
    ) -> Result<MemberTimes<'_>, DecodeError> {
        let Body::Histograms(page) = &self.body else {
            return Err(DecodeError("page kind"));
        };
        let columns = bytes.get(self.columns_at..).ok_or(DecodeError("length"))?;
        page.decode(columns, member, scratch, out)?;
        Ok(self.times(member))
    }

    /// Appends the histograms of a present member from `min_ms` to `max_ms` to `out`. `column` has
    /// the shared timestamps.
    pub(crate) fn read_histograms(
        &self,
        bytes: &[u8],
        member: usize,
        column: &[i64],
        (min_ms, max_ms): (i64, i64),
        scratch: &mut columns::DecodeScratch,
        out: &mut TimedHistograms,
    ) -> Result<(), DecodeError> {
        let mut found = HistogramColumn::default();
        let times = self.decode_histograms(bytes, member, scratch, &mut found)?;
        let mut all = Vec::with_capacity(found.len());
        times.put(column, &mut all)?;
        if all.len() != found.len() {
            return Err(DecodeError("count"));
        }
        let starts = self.starts(member);
        for (at, (&ms, histogram)) in all.iter().zip(found.iter()).enumerate() {
            if (min_ms..=max_ms).contains(&ms) {
                let start_ms = starts.map_or(0, |steps| steps.at(at));
                out.push(ms, histogram, start_ms);
            }
        }
        Ok(())
    }

    /// Whether a present member has a float at every time of the column, and no starts.
    pub(crate) fn is_plain(&self, member: usize) -> bool {
        let floats = !matches!(self.body, Body::Histograms(_));
        floats && self.starts(member).is_none() && matches!(self.times(member), MemberTimes::Every)
    }

    /// Whether a present member surely has numbers only, and no NaN of whatever bits.
    pub(crate) fn is_numbers_only(&self, member: usize) -> bool {
        match &self.body {
            Body::Floats(page) => page.is_numbers_only(member),
            Body::Chunk(page) => page.is_numbers_only(member),
            Body::Histograms(_) => false,
        }
    }

    /// Appends the values of a present member to `values` and gives where in time they lie.
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        member: usize,
        scratch: &mut columns::DecodeScratch,
        values: &mut Vec<f64>,
    ) -> Result<MemberTimes<'_>, DecodeError> {
        let count = *self.counts.get(member).ok_or(DecodeError("member"))?;
        let columns = bytes.get(self.columns_at..).ok_or(DecodeError("length"))?;
        match &self.body {
            Body::Floats(page) => page.decode(columns, member, count, scratch, values)?,
            Body::Chunk(page) => page.decode(columns, (member, count), scratch, values)?,
            Body::Histograms(_) => return Err(DecodeError("page kind")),
        }
        Ok(self.times(member))
    }

    /// Appends the samples of a present member from `min_ms` to `max_ms` to `out`. `column` has
    /// the shared timestamps.
    pub(crate) fn read(
        &self,
        bytes: &[u8],
        member: usize,
        column: &[i64],
        (min_ms, max_ms): (i64, i64),
        scratch: &mut columns::DecodeScratch,
        out: &mut Samples,
    ) -> Result<(), DecodeError> {
        let from = out.timestamps.len();
        debug_assert_eq!(from, out.values.len());
        let times = self.decode(bytes, member, scratch, &mut out.values)?;
        times.put(column, &mut out.timestamps)?;
        let count = out.values.len();
        if out.timestamps.len() != count {
            return Err(DecodeError("count"));
        }
        pad_starts(out);
        if let Some(steps) = self.starts(member) {
            for at in from..count {
                set_start(&mut out.starts, count, at, steps.at(at - from));
            }
        }
        cut(out, from, (min_ms, max_ms));
        Ok(())
    }
}

/// Appends the samples of a linked column from `min_ms` to `max_ms` to `out`; `times` are those of
/// all rows.
pub(crate) fn read_linked(
    column: &ChunkColumn<'_>,
    times: &[i64],
    range: (i64, i64),
    scratch: &mut columns::DecodeScratch,
    out: &mut Samples,
) -> Result<(), DecodeError> {
    let from = out.timestamps.len();
    debug_assert_eq!(from, out.values.len());
    column.decode(scratch, &mut out.values)?;
    column.put_times(times, &mut out.timestamps)?;
    pad_starts(out);
    cut(out, from, range);
    Ok(())
}

/// Cuts what lies outside of the samples from `from` on: first at the end, then at the start.
fn cut(out: &mut Samples, from: usize, (min_ms, max_ms): (i64, i64)) {
    let end = from + out.timestamps[from..].partition_point(|&t| t <= max_ms);
    out.timestamps.truncate(end);
    out.values.truncate(end);
    out.starts.truncate(end);
    let start = from + out.timestamps[from..].partition_point(|&t| t < min_ms);
    if start > from {
        out.timestamps.drain(from..start);
        out.values.drain(from..start);
        if !out.starts.is_empty() {
            out.starts.drain(from..start);
        }
    }
}

fn parse_presence(
    reader: &mut Reader<'_>,
    column_count: usize,
) -> Result<(Times, usize), DecodeError> {
    let kind = reader.count(column_count + 1)?;
    let mut runs = Vec::new();
    match kind {
        0 => return Ok((Times::Every, column_count)),
        1 => {
            let bits = reader.take(column_count.div_ceil(8))?;
            let set = |at: u32| bits[(at / 8) as usize] >> (at & 7) & 1 == 1;
            for at in (0..column_count as u32).filter(|&at| set(at)) {
                match runs.last_mut() {
                    Some((_, end)) if *end == at => *end += 1,
                    _ => runs.push((at, at + 1)),
                }
            }
        }
        _ => {
            let mut end = 0;
            for _ in 1..kind {
                let from = end + reader.count(column_count)?;
                end = from + reader.count(column_count)?;
                if end > column_count {
                    return Err(DecodeError("presence"));
                }
                runs.push((from as u32, end as u32));
            }
        }
    }
    let count = runs.iter().map(|&(from, end)| (end - from) as usize).sum();
    Ok((Times::Runs(runs.into()), count))
}
