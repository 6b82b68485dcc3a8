//! A page of values: the series of a batch in one slice of time.
//!
//! ```text
//! page  = 0 columns                  ; every member that is not absent has every time of the column
//!       | 1 { presence } columns     ; some do not
//!       | 2 { count ints } columns   ; times of their own
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

use super::tables::COLUMN_VALUES_MAX;

const FULL: u8 = 0;
const SOME: u8 = 1;
const OWN: u8 = 2;

/// The times of one member while a page is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MemberTimes<'a> {
    Every,
    /// Runs of positions in the column, first and end.
    Runs(&'a [(u32, u32)]),
    Own(&'a [i64]),
}

/// Memory that writing pages works in.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) columns: columns::Scratch,
    pub(crate) ints: ints::Scratch,
}

/// Appends a page. `values` has the values of all members in turn, `counts` how many of each;
/// `times` those of each, all of the shared kind or all [`MemberTimes::Own`].
pub(crate) fn encode(
    times: &[MemberTimes<'_>],
    column_count: usize,
    values: &[f64],
    counts: &[usize],
    scratch: &mut Scratch,
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
            ints::encode(times, &mut scratch.ints, out);
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
    columns::encode(values, counts, &mut scratch.columns, out);
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
    columns: columns::Page,
    /// Where the columns start in the page's bytes.
    columns_at: usize,
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
    ) -> Result<ValuePage, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut times = Vec::new();
        let mut counts = vec![column_count; present];
        match reader.byte()? {
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
        Ok(ValuePage {
            times,
            columns: columns::Page::parse(reader.rest(), &counts)?,
            counts,
            columns_at: bytes.len() - reader.rest().len(),
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
        128 + times + 8 * self.counts.len() + self.columns.size_bytes()
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
        self.columns
            .decode(columns, member, count, scratch, values)?;
        Ok(match self.times.get(member) {
            None | Some(Times::Every) => MemberTimes::Every,
            Some(Times::Runs(runs)) => MemberTimes::Runs(runs),
            Some(Times::Own(times)) => MemberTimes::Own(times),
        })
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
        match self.decode(bytes, member, scratch, &mut out.values)? {
            MemberTimes::Every => out.timestamps.extend_from_slice(column),
            MemberTimes::Runs(runs) => {
                for &(first, end) in runs {
                    let run = column.get(first as usize..end as usize);
                    out.timestamps
                        .extend_from_slice(run.ok_or(DecodeError("presence"))?);
                }
            }
            MemberTimes::Own(times) => out.timestamps.extend_from_slice(times),
        }
        if out.timestamps.len() != out.values.len() {
            return Err(DecodeError("count"));
        }
        // Cut what lies outside: first at the end, then at the start.
        let end = from + out.timestamps[from..].partition_point(|&t| t <= max_ms);
        out.timestamps.truncate(end);
        out.values.truncate(end);
        let start = from + out.timestamps[from..].partition_point(|&t| t < min_ms);
        if start > from {
            out.timestamps.drain(from..start);
            out.values.drain(from..start);
        }
        Ok(())
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
