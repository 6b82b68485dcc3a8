//! Histograms in a page: what each of their words counts is a column.
//!
//! ```text
//! histograms = { n { count layout raw }  n { count hint } } columns    ; of each member
//! ```
//! Of a member in turn: which layout how many histograms that follow each other have, and what how
//! many say of counter resets. Then the columns of all members, for each layout one a word: count,
//! zero bucket, sum, buckets. Whole numbers are columns of floats that are whole; if one is too
//! large for that (beyond 2^53), `raw` is 1 and all words but the sum are the bits of floats.

use std::sync::Arc;

use codec::DecodeError;
use codec::columns::{self, DecodeScratch};
use codec::varint::{self, Reader};
use model::histogram::CounterResetHint;

use super::page::Scratch;
use super::tables::COLUMN_VALUES_MAX;
use crate::histograms::item::{hint_code, hint_of};
use crate::histograms::{HistogramColumn, Layout, SUM};

/// Whole numbers up to this are floats without loss.
const WHOLE_MAX: u64 = 1 << 53;

/// Appends the histograms of members that are there; each has as many as the page says.
pub(crate) fn encode(members: &[HistogramColumn], scratch: &mut Scratch, out: &mut Vec<u8>) {
    let (mut values, mut counts) = (Vec::new(), Vec::new());
    for member in members {
        varint::put(out, member.runs().count() as u64);
        for (layout, count, words) in member.runs() {
            let width = layout.words();
            let large = |(at, word): (usize, &u64)| at % width != SUM && *word > WHOLE_MAX;
            let raw = !layout.is_float && words.iter().enumerate().any(large);
            varint::put(out, count as u64);
            layout.put(out);
            out.push(u8::from(raw));
            let as_bits = raw || layout.is_float;
            for at in 0..width {
                let column = words.iter().skip(at).step_by(width);
                values.extend(column.map(|&word| match as_bits || at == SUM {
                    true => f64::from_bits(word),
                    false => word as f64,
                }));
                counts.push(count);
            }
        }
        let runs = member.hints().chunk_by(|a, b| a == b);
        varint::put(out, runs.clone().count() as u64);
        for run in runs {
            varint::put(out, run.len() as u64);
            out.push(hint_code(run[0]));
        }
    }
    columns::encode(&values, &counts, &mut scratch.columns, out);
}

/// The histograms of a page, ready to be read member by member.
#[derive(Debug)]
pub(crate) struct HistogramPage {
    members: Vec<Member>,
    columns: columns::Page,
    /// Where the columns start.
    columns_at: usize,
}

#[derive(Debug)]
struct Member {
    runs: Vec<Run>,
    hints: Box<[(u32, CounterResetHint)]>,
}

#[derive(Debug)]
struct Run {
    layout: Arc<Layout>,
    count: usize,
    raw: bool,
    first_column: usize,
}

impl HistogramPage {
    /// Reads layouts and the heads of columns; `counts` says how many histograms each member has.
    pub(crate) fn parse(bytes: &[u8], counts: &[usize]) -> Result<HistogramPage, DecodeError> {
        let mut reader = Reader::new(bytes);
        let mut columns = Vec::new();
        let mut members = Vec::with_capacity(counts.len());
        for &count in counts {
            let runs = parse_runs(&mut reader, count, &mut columns)?;
            let hints = parse_hints(&mut reader, count)?;
            members.push(Member { runs, hints });
        }
        Ok(HistogramPage {
            members,
            columns: columns::Page::parse(reader.rest(), &columns)?,
            columns_at: bytes.len() - reader.rest().len(),
        })
    }

    /// Bytes of memory that it holds.
    pub(crate) fn size_bytes(&self) -> usize {
        let of_member = |member: &Member| {
            let layouts = member.runs.iter().map(|run| 100 + 8 * run.layout.words());
            64 + layouts.sum::<usize>() + 8 * member.hints.len()
        };
        let members: usize = self.members.iter().map(of_member).sum();
        members + self.columns.size_bytes()
    }

    /// Appends the histograms of a member to `out`.
    pub(crate) fn decode(
        &self,
        bytes: &[u8],
        member: usize,
        scratch: &mut DecodeScratch,
        out: &mut HistogramColumn,
    ) -> Result<(), DecodeError> {
        let member = self.members.get(member).ok_or(DecodeError("member"))?;
        let bytes = bytes.get(self.columns_at..).ok_or(DecodeError("length"))?;
        let hints = member.hints.iter();
        let hints = hints.flat_map(|&(count, hint)| std::iter::repeat_n(hint, count as usize));
        let hints: Vec<CounterResetHint> = hints.collect();
        let mut first = 0;
        let (mut words, mut column) = (Vec::new(), Vec::new());
        for run in &member.runs {
            let width = run.layout.words();
            words.clear();
            words.resize(width * run.count, 0);
            for at in 0..width {
                column.clear();
                let number = run.first_column + at;
                self.columns
                    .decode(bytes, number, run.count, scratch, &mut column)?;
                let as_bits = run.raw || run.layout.is_float || at == SUM;
                for (line, &value) in column.iter().enumerate() {
                    words[line * width + at] = match as_bits {
                        true => value.to_bits(),
                        false => value as u64,
                    };
                }
            }
            let hints = hints
                .get(first..first + run.count)
                .ok_or(DecodeError("count"))?;
            out.push_run(&run.layout, hints, &words);
            first += run.count;
        }
        Ok(())
    }
}

fn parse_runs(
    reader: &mut Reader<'_>,
    count: usize,
    columns: &mut Vec<usize>,
) -> Result<Vec<Run>, DecodeError> {
    let mut runs = Vec::new();
    let mut left = count;
    for _ in 0..reader.count(count)? {
        let count = reader.count(left)?;
        left -= count;
        let layout = Layout::take(reader)?;
        let raw = match reader.byte()? {
            0 => false,
            1 => true,
            _ => return Err(DecodeError("histograms")),
        };
        let first_column = columns.len();
        // A column takes a byte at least, so that damaged bytes cannot ask for much.
        if layout.words() > reader.rest().len() || count == 0 {
            return Err(DecodeError("histograms"));
        }
        columns.resize(first_column + layout.words(), count);
        runs.push(Run {
            layout: Arc::new(layout),
            count,
            raw,
            first_column,
        });
    }
    match left {
        0 => Ok(runs),
        _ => Err(DecodeError("histograms")),
    }
}

fn parse_hints(
    reader: &mut Reader<'_>,
    count: usize,
) -> Result<Box<[(u32, CounterResetHint)]>, DecodeError> {
    debug_assert!(count <= COLUMN_VALUES_MAX);
    let mut left = count;
    let mut hints = Vec::new();
    for _ in 0..reader.count(count)? {
        let count = reader.count(left)?;
        left -= count;
        hints.push((count as u32, hint_of(reader.byte()?)?));
    }
    match left {
        0 => Ok(hints.into()),
        _ => Err(DecodeError("histograms")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histograms::tests::{example, owned};
    use proptest::prelude::*;
    use storage::HistogramValue;

    fn check(members: &[HistogramColumn]) -> usize {
        let mut out = Vec::new();
        encode(members, &mut Scratch::default(), &mut out);
        let counts: Vec<_> = members.iter().map(HistogramColumn::len).collect();
        let page = HistogramPage::parse(&out, &counts).unwrap();
        let mut scratch = DecodeScratch::default();
        for (at, want) in members.iter().enumerate() {
            let mut got = HistogramColumn::default();
            page.decode(&out, at, &mut scratch, &mut got).unwrap();
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want.iter()) {
                assert!(got.same_data(&want) && got.hint == want.hint);
            }
        }
        out.len()
    }

    #[test]
    fn large_counts_come_back() {
        let mut large = example(0, 9);
        large.count = u64::MAX;
        large.positive_buckets[0] = i64::MIN + 1;
        large.sum = f64::from_bits(model::STALE_NAN_BITS + 1);
        let mut column = HistogramColumn::default();
        for _ in 0..3 {
            column.push(owned(HistogramValue::Integer(&large)).as_ref());
        }
        check(&[column]);
    }

    #[test]
    fn few_changes_take_few_bytes() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut member = || {
            let mut histogram = example(0, 1_000);
            histogram.positive_spans[1].length = 19;
            histogram.positive_buckets.resize(20, 100);
            let mut column = HistogramColumn::default();
            for _ in 0..480 {
                for _ in 0..6 {
                    histogram.positive_buckets[random.usize(5..15)] += 1;
                    histogram.count += 1;
                    histogram.sum += (random.f64() * 1e3).round() / 1e3;
                }
                let kept = owned(HistogramValue::Integer(&histogram));
                column.push(kept.as_ref());
            }
            column
        };
        let members: Vec<_> = (0..8).map(|_| member()).collect();
        let each = check(&members) as f64 / (8.0 * 480.0);
        println!("{each} bytes a histogram");
        assert!(each < 10.0, "{each} bytes a histogram");
    }

    proptest! {
        #[test]
        fn round_trips(
            members in prop::collection::vec(
                prop::collection::vec((0u64..4, any::<u16>(), any::<bool>(), 0u8..3), 1..20),
                1..5,
            ),
        ) {
            let column = |all: &Vec<(u64, u16, bool, u8)>| {
                let mut column = HistogramColumn::default();
                for &(shape, n, float, hint) in all {
                    let integer = example(shape, n.into());
                    let as_float = integer.to_float();
                    let mut kept = owned(match float {
                        true => HistogramValue::Float(&as_float),
                        false => HistogramValue::Integer(&integer),
                    });
                    kept.hint = hint_of(hint).unwrap();
                    column.push(kept.as_ref());
                }
                column
            };
            let members: Vec<_> = members.iter().map(column).collect();
            check(&members);
        }

        #[test]
        fn damaged_bytes_do_not_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..60), counts in prop::collection::vec(0usize..5, 0..3),
        ) {
            if let Ok(page) = HistogramPage::parse(&bytes, &counts) {
                let mut scratch = DecodeScratch::default();
                for member in 0..counts.len() {
                    let mut out = HistogramColumn::default();
                    let _ = page.decode(&bytes, member, &mut scratch, &mut out);
                }
            }
        }
    }
}
