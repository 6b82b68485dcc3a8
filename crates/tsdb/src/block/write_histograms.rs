//! Writing the histograms of a block: as floats, but few series make a batch.

use model::Labels;

use super::histogram_page;
use super::page::{MemberTimes, PageTimes};
use super::tables::PageEntry;
use super::write::DataWriter;
use super::write_slices::add_runs;
use super::{BlockError, GroupInput, HistogramColumn, SeriesInput, Times};

/// Columns of a page, about: a reader of one series unpacks what all of them share.
const COLUMNS_GOOD: usize = 256;
/// Words gathered before a batch ends early: 32 MiB.
const WORDS_MAX: usize = 4 << 20;

/// The series of histograms that will be a batch.
#[derive(Debug, Default)]
pub(super) struct PendingHistograms {
    labels: Vec<Labels>,
    members: Vec<Member>,
    columns: usize,
    words: usize,
}

#[derive(Debug)]
struct Member {
    /// Positions in the group's timestamps, or times of its own.
    positions: Vec<u32>,
    own: Vec<i64>,
    column: HistogramColumn,
    starts: Vec<i64>,
}

/// A part of a member that goes into one page.
struct Slice<'a> {
    member: &'a Member,
    range: std::ops::Range<usize>,
}

impl Slice<'_> {
    fn histograms(&self) -> HistogramColumn {
        let mut column = HistogramColumn::default();
        for at in self.range.clone() {
            if let Some(histogram) = self.member.column.get(at) {
                column.push(histogram);
            }
        }
        column
    }

    /// Runs of positions, counted from `from`.
    fn runs(&self, from: u32) -> Vec<(u32, u32)> {
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for &position in &self.member.positions[self.range.clone()] {
            let at = position - from;
            match runs.last_mut() {
                Some((_, end)) if *end == at => *end += 1,
                _ => runs.push((at, at + 1)),
            }
        }
        runs
    }
}

impl DataWriter {
    /// Takes a series of histograms.
    pub(super) fn add_histograms(
        &mut self,
        group: &GroupInput,
        series: &SeriesInput,
    ) -> Result<(), BlockError> {
        if !series.values.is_empty() {
            return Err(BlockError::Input("floats and histograms in one series"));
        }
        if series.labels.is_empty() {
            return Err(BlockError::Input("a series without labels"));
        }
        let is_own = series.times == Times::Own;
        let times = group.timestamps.len();
        let mut positions = Vec::new();
        match series.times {
            Times::Own => self.check_times(&series.own)?,
            Times::Every => positions.extend(0..times as u32),
            Times::Present => {
                let mut runs = Vec::new();
                match add_runs(&series.present, times, &mut runs) == times {
                    true => positions.extend(0..times as u32),
                    false => positions.extend(runs.iter().flat_map(|&(from, to)| from..to)),
                }
            }
        }
        let own = if is_own {
            series.own.clone()
        } else {
            Vec::new()
        };
        if positions.len() + own.len() != series.histograms.len() {
            return Err(BlockError::Input("as many histograms as times are needed"));
        }
        let widths = series
            .histograms
            .runs()
            .map(|(layout, _, _)| layout.words());
        let columns: usize = widths.sum();
        let words: usize = series
            .histograms
            .runs()
            .map(|(_, _, words)| words.len())
            .sum();
        let pending = &self.histograms[usize::from(is_own)];
        let full = pending.columns + columns > COLUMNS_GOOD || pending.words + words > WORDS_MAX;
        if full && !pending.labels.is_empty() {
            self.flush_histograms(is_own)?;
        }
        let pending = &mut self.histograms[usize::from(is_own)];
        pending.labels.push(series.labels.clone());
        pending.members.push(Member {
            positions,
            own,
            column: series.histograms.clone(),
            starts: series.starts.clone(),
        });
        pending.columns += columns;
        pending.words += words;
        let count = series.histograms.len() as u64;
        self.stats.num_samples += count;
        self.stats.num_histogram_samples += count;
        Ok(())
    }

    /// Writes the pending series of histograms as a batch.
    pub(super) fn flush_histograms(&mut self, own: bool) -> Result<(), BlockError> {
        let pending = std::mem::take(&mut self.histograms[usize::from(own)]);
        if pending.labels.is_empty() {
            return Ok(());
        }
        self.start_batch(&pending.labels, own, true)?;
        match own {
            true => self.write_own_histograms(&pending.members),
            false => self.write_shared_histograms(&pending.members),
        }
    }

    fn write_shared_histograms(&mut self, members: &[Member]) -> Result<(), BlockError> {
        let mut from = 0;
        for number in self.tables.columns_of(self.tables.groups.len() - 1) {
            let column = self.tables.columns[number];
            let to = from + column.count;
            let slices = members.iter().map(|member| {
                let place = |position| member.positions.partition_point(|&at| at < position);
                let range = place(from)..place(to);
                Slice { member, range }
            });
            let slices: Vec<Slice<'_>> = slices.collect();
            let runs: Vec<_> = slices.iter().map(|slice| slice.runs(from)).collect();
            let all = [(0, column.count)];
            let times = runs.iter().map(|runs| match runs[..] == all {
                true => MemberTimes::Every,
                false => MemberTimes::Runs(runs),
            });
            let times: Vec<MemberTimes<'_>> = times.collect();
            let mut page = self.put_histograms(&slices, &times, column.count as usize)?;
            (page.first_ms, page.last_ms) = (column.first_ms, column.last_ms);
            page.column = Some(number as u32);
            self.tables.pages.push(page);
            from = to;
        }
        Ok(())
    }

    /// The k-th page has the k-th part of each.
    fn write_own_histograms(&mut self, members: &[Member]) -> Result<(), BlockError> {
        let longest = members
            .iter()
            .map(|member| member.own.len())
            .max()
            .unwrap_or(0);
        for part in 0..longest.div_ceil(self.chunk_max) {
            let slices = members.iter().map(|member| {
                let from = (part * self.chunk_max).min(member.own.len());
                let range = from..(from + self.chunk_max).min(member.own.len());
                Slice { member, range }
            });
            let slices: Vec<Slice<'_>> = slices.collect();
            let times = slices.iter();
            let times = times.map(|of| MemberTimes::Own(&of.member.own[of.range.clone()]));
            let times: Vec<MemberTimes<'_>> = times.collect();
            let page = self.put_histograms(&slices, &times, 0)?;
            self.tables.pages.push(page);
        }
        Ok(())
    }

    /// Writes a page. Its entry has the ends of own times; it has no column yet.
    fn put_histograms(
        &mut self,
        slices: &[Slice<'_>],
        times: &[MemberTimes<'_>],
        column_count: usize,
    ) -> Result<PageEntry, BlockError> {
        let place = self.place()?;
        let (mut absent, mut first_ms, mut last_ms) = (0u64, i64::MAX, i64::MIN);
        let (mut there, mut columns, mut counts) = (Vec::new(), Vec::new(), Vec::new());
        let mut starts = Vec::new();
        for (at, (slice, of_member)) in slices.iter().zip(times).enumerate() {
            if slice.range.is_empty() {
                absent |= 1 << at;
                continue;
            }
            if let MemberTimes::Own(own) = of_member {
                first_ms = first_ms.min(own[0]);
                last_ms = last_ms.max(own[own.len() - 1]);
            }
            there.push(*of_member);
            columns.push(slice.histograms());
            counts.push(slice.range.len());
            let known = slice.member.starts.get(slice.range.clone());
            match known {
                Some(known) => starts.extend_from_slice(known),
                None => starts.resize(starts.len() + slice.range.len(), 0),
            }
        }
        let mut entry = PageEntry {
            place,
            check: 0,
            size: 0,
            absent,
            first_ms,
            last_ms,
            column: None,
        };
        if there.is_empty() {
            return Ok(entry);
        }
        self.stats.num_chunks += there.len() as u64;
        let times = PageTimes {
            members: &there,
            column_count,
            starts: &starts,
        };
        let scratch = &mut self.scratch;
        let size = self.file.page(|out| {
            times.put(&counts, &mut scratch.ints, out);
            histogram_page::encode(&columns, scratch, out);
        })?;
        entry.size = u32::try_from(size).map_err(|_| BlockError::Input("a page of 4 GiB"))?;
        Ok(entry)
    }
}
