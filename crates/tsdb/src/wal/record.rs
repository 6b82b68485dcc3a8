//! What frames of the log say: definitions and batches.
//!
//! A definition stands for itself (it carries its texts), so a reader needs nothing but the
//! definition of a group before the group's samples. The grammar is in `docs/formats/wal.md`.

pub(crate) mod wide;

use codec::DecodeError;
use codec::varint::{self, Reader};
use hashbrown::HashMap;
use model::Labels;

use wide::Wide;

/// No label set has more pairs; bounds what damaged bytes can ask for.
pub(crate) const PAIRS_MAX: usize = 1 << 16;

/// Appends the payload of a definition.
pub(crate) fn put_define<'a>(
    out: &mut Vec<u8>,
    group: u32,
    labels: &Labels,
    series: impl Iterator<Item = (u32, &'a Labels)> + Clone,
) {
    varint::put(out, u64::from(group));
    varint::put(out, labels.len() as u64);
    for (name, value) in labels {
        varint::put_bytes(out, name.as_bytes());
        varint::put_bytes(out, value.as_bytes());
    }
    let mut ids: HashMap<(&str, &str), u32> = HashMap::new();
    let mut pairs = Vec::new();
    let mut count = 0u64;
    for (_, labels) in series.clone() {
        count += 1;
        for pair in labels {
            ids.entry(pair).or_insert_with(|| {
                pairs.push(pair);
                (pairs.len() - 1) as u32
            });
        }
    }
    varint::put(out, pairs.len() as u64);
    for (name, value) in &pairs {
        varint::put_bytes(out, name.as_bytes());
        varint::put_bytes(out, value.as_bytes());
    }
    varint::put(out, count);
    let mut from = 0;
    for (slot, labels) in series {
        varint::put(out, u64::from(slot - from));
        from = slot;
        varint::put(out, labels.len() as u64);
        for pair in labels {
            varint::put(out, u64::from(ids[&pair]));
        }
    }
}

/// A definition as it was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Define<'a> {
    pub(crate) group: u32,
    pub(crate) labels: Labels,
    /// The table of label pairs.
    pub(crate) pairs: Vec<(&'a str, &'a str)>,
    /// Slots, and where in `members` their series end.
    slots: Vec<(u32, usize)>,
    /// Label sets as places in `pairs`, one after the other.
    members: Vec<u32>,
}

impl Define<'_> {
    /// Slots and the label sets of their series, as places in the table of pairs, by name.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let mut from = 0;
        self.slots.iter().map(move |&(slot, end)| {
            let set = &self.members[from..end];
            from = end;
            (slot, set)
        })
    }
}

pub(crate) fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(reader.bytes()?).map_err(|_| DecodeError("text"))
}

pub(crate) fn pair<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, &'a str), DecodeError> {
    Ok((text(reader)?, text(reader)?))
}

fn group_id(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint()?).map_err(|_| DecodeError("group"))
}

pub(crate) fn label_set<'a>(
    pairs: impl Iterator<Item = Result<(&'a str, &'a str), DecodeError>>,
) -> Result<Labels, DecodeError> {
    let pairs: Vec<_> = pairs.collect::<Result<_, _>>()?;
    if pairs.windows(2).all(|two| two[0].0 < two[1].0) {
        Ok(Labels::from_sorted(pairs))
    } else {
        Err(DecodeError("label order"))
    }
}

/// Reads what [`put_define`] wrote.
pub(crate) fn take_define(payload: &[u8]) -> Result<Define<'_>, DecodeError> {
    let reader = &mut Reader::new(payload);
    let group = group_id(reader)?;
    let count = reader.count(PAIRS_MAX)?;
    let labels = label_set((0..count).map(|_| pair(reader)))?;
    let count = reader.count(reader.rest().len())?;
    let pairs: Vec<_> = (0..count).map(|_| pair(reader)).collect::<Result<_, _>>()?;
    let count = reader.count(reader.rest().len())?;
    let mut slots = Vec::with_capacity(count);
    let mut members = Vec::with_capacity(8 * count);
    let mut slot = 0u32;
    for _ in 0..count {
        let gap = u32::try_from(reader.varint()?).map_err(|_| DecodeError("slot"))?;
        slot = slot.checked_add(gap).ok_or(DecodeError("slot"))?;
        let from = members.len();
        for _ in 0..reader.count(PAIRS_MAX)? {
            let at = reader.count(pairs.len())?;
            let (name, _) = pairs.get(at).ok_or(DecodeError("pair"))?;
            let before = members.get(from..).and_then(<[u32]>::last);
            if before.is_some_and(|&before| pairs[before as usize].0 >= *name) {
                return Err(DecodeError("label order"));
            }
            members.push(at as u32);
        }
        slots.push((slot, members.len()));
    }
    Ok(Define {
        group,
        labels,
        pairs,
        slots,
        members,
    })
}

/// A sample with a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timed {
    pub(crate) slot: u32,
    pub(crate) at_ms: i64,
    pub(crate) bits: u64,
    /// Start of the counter, 0 if that is not known. Of samples in order, the log has it apart.
    pub(crate) start_ms: i64,
}

/// What parts of a batch have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// Floats in order.
    Plain,
    /// Late ones, too.
    Late,
    /// And histograms and starts.
    Wide,
}

/// What a batch has for one group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Part<'a> {
    pub(crate) group: u32,
    /// Number of this batch in its group, from 1.
    pub(crate) sequence: u64,
    /// Number of the batch whose row is the base of this one; its own if it is a base itself.
    pub(crate) base: u64,
    pub(crate) at_ms: i64,
    /// A row (`codec::row`) against the base, empty if there is none.
    pub(crate) row: &'a [u8],
    pub(crate) timed: Vec<Timed>,
    /// Late samples.
    pub(crate) late: Vec<Timed>,
    pub(crate) wide: Wide<'a>,
}

/// Appends a part's fields before its row; the row and [`put_timed`] follow.
pub(crate) fn put_part(out: &mut Vec<u8>, group: u32, sequence: u64, base: u64, at_ms: i64) {
    varint::put(out, u64::from(group));
    varint::put(out, sequence);
    varint::put(out, sequence - base);
    varint::put_signed(out, at_ms);
}

/// Appends a part's samples with own times.
pub(crate) fn put_timed(out: &mut Vec<u8>, at_ms: i64, timed: &[Timed]) {
    varint::put(out, timed.len() as u64);
    for sample in timed {
        varint::put(out, u64::from(sample.slot));
        varint::put_signed(out, sample.at_ms.wrapping_sub(at_ms));
        out.extend_from_slice(&sample.bits.to_le_bytes());
    }
}

fn take_timed(reader: &mut Reader<'_>, at_ms: i64) -> Result<Vec<Timed>, DecodeError> {
    let count = reader.count(reader.rest().len())?;
    let mut timed = Vec::with_capacity(count);
    for _ in 0..count {
        timed.push(Timed {
            slot: slot(reader)?,
            at_ms: at_ms.wrapping_add(reader.signed()?),
            bits: reader.u64_le()?,
            start_ms: 0,
        });
    }
    Ok(timed)
}

fn slot(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    u32::try_from(reader.varint()?).map_err(|_| DecodeError("slot"))
}

/// Reads the parts of a batch.
pub(crate) fn take_batch(payload: &[u8], shape: Shape) -> Result<Vec<Part<'_>>, DecodeError> {
    let mut reader = Reader::new(payload);
    let mut parts = Vec::with_capacity(1);
    while !reader.is_empty() {
        let group = group_id(&mut reader)?;
        let sequence = reader.varint()?;
        let back = reader.varint()?;
        let base = sequence.checked_sub(back).ok_or(DecodeError("base"))?;
        let at_ms = reader.signed()?;
        let row = reader.u32_le()? as usize;
        let row = reader.take(row)?;
        let timed = take_timed(&mut reader, at_ms)?;
        let mut late = match shape {
            Shape::Plain => Vec::new(),
            Shape::Late | Shape::Wide => take_timed(&mut reader, at_ms)?,
        };
        let wide = match shape {
            Shape::Plain | Shape::Late => Wide::default(),
            Shape::Wide => wide::take(&mut reader, at_ms, &mut late)?,
        };
        parts.push(Part {
            group,
            sequence,
            base,
            at_ms,
            row,
            timed,
            late,
            wide,
        });
    }
    Ok(parts)
}

/// Deleted samples of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) slot: u32,
    pub(crate) min_ms: i64,
    /// Included.
    pub(crate) max_ms: i64,
    /// The newest sample in order that may be meant: what comes later in order is not.
    pub(crate) newest_ms: i64,
}

/// Appends the payload of a deletion in a group.
pub(crate) fn put_delete(out: &mut Vec<u8>, group: u32, all: &[Deleted]) {
    varint::put(out, u64::from(group));
    varint::put(out, all.len() as u64);
    for deleted in all {
        varint::put(out, u64::from(deleted.slot));
        for ms in [deleted.min_ms, deleted.max_ms, deleted.newest_ms] {
            varint::put_signed(out, ms);
        }
    }
}

/// Reads what [`put_delete`] wrote.
pub(crate) fn take_delete(payload: &[u8]) -> Result<(u32, Vec<Deleted>), DecodeError> {
    let reader = &mut Reader::new(payload);
    let group = group_id(reader)?;
    let count = reader.count(reader.rest().len())?;
    let all = (0..count).map(|_| {
        Ok(Deleted {
            slot: u32::try_from(reader.varint()?).map_err(|_| DecodeError("slot"))?,
            min_ms: reader.signed()?,
            max_ms: reader.signed()?,
            newest_ms: reader.signed()?,
        })
    });
    Ok((group, all.collect::<Result<_, _>>()?))
}

/// Late samples of a time that are in blocks by now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LateDone {
    pub(crate) min_ms: i64,
    /// Included.
    pub(crate) max_ms: i64,
    /// Groups, and the number of the last batch whose late samples are meant.
    pub(crate) groups: Vec<(u32, u64)>,
}

/// Appends the payload of a [`LateDone`].
pub(crate) fn put_late_done(out: &mut Vec<u8>, done: &LateDone) {
    varint::put_signed(out, done.min_ms);
    varint::put_signed(out, done.max_ms);
    varint::put(out, done.groups.len() as u64);
    for (group, sequence) in &done.groups {
        varint::put(out, u64::from(*group));
        varint::put(out, *sequence);
    }
}

/// Reads what [`put_late_done`] wrote.
pub(crate) fn take_late_done(payload: &[u8]) -> Result<LateDone, DecodeError> {
    let reader = &mut Reader::new(payload);
    let (min_ms, max_ms) = (reader.signed()?, reader.signed()?);
    let count = reader.count(reader.rest().len())?;
    let groups = (0..count).map(|_| Ok((group_id(reader)?, reader.varint()?)));
    Ok(LateDone {
        min_ms,
        max_ms,
        groups: groups.collect::<Result<_, _>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn definitions_round_trip() {
        let set = |n: &str| Labels::from_pairs([("__name__", n), ("job", "j"), ("é", "\n")]);
        let series = [(0, set("a")), (3, set("b")), (4, Labels::empty())];
        let mut out = Vec::new();
        let group = Labels::from_pairs([("job", "j")]);
        put_define(&mut out, 7, &group, series.iter().map(|(s, l)| (*s, l)));
        let back = take_define(&out).unwrap();
        assert_eq!((back.group, &back.labels), (7, &group));
        let labels = |set: &[u32]| Labels::from_pairs(set.iter().map(|&p| back.pairs[p as usize]));
        let found: Vec<_> = back.series().map(|(s, set)| (s, labels(set))).collect();
        assert_eq!(found, series);
        for cut in 0..out.len() {
            assert!(take_define(&out[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn batches_round_trip() {
        let timed = vec![Timed {
            slot: 9,
            at_ms: -5,
            bits: u64::MAX,
            start_ms: 0,
        }];
        let mut out = Vec::new();
        for (group, row, timed) in [(1, &b"row"[..], &timed[..]), (2, b"", &[])] {
            put_part(&mut out, group, 9, 4, 1_000);
            out.extend_from_slice(&(row.len() as u32).to_le_bytes());
            out.extend_from_slice(row);
            put_timed(&mut out, 1_000, timed);
        }
        let parts = take_batch(&out, Shape::Plain).unwrap();
        assert_eq!(
            (parts[0].group, parts[0].row, &parts[0].timed),
            (1, &b"row"[..], &timed)
        );
        assert_eq!(
            (parts[1].sequence, parts[1].base, parts[1].at_ms),
            (9, 4, 1_000)
        );
    }

    #[test]
    fn late_samples_round_trip() {
        let late = [Timed {
            slot: 2,
            at_ms: 7,
            bits: 3,
            start_ms: 0,
        }];
        let mut out = Vec::new();
        put_part(&mut out, 1, 9, 9, 1_000);
        out.extend_from_slice(&[0; 4]);
        put_timed(&mut out, 1_000, &[]);
        put_timed(&mut out, 1_000, &late);
        let parts = take_batch(&out, Shape::Late).unwrap();
        assert_eq!((parts[0].timed.len(), &parts[0].late[..]), (0, &late[..]));
        let done = LateDone {
            min_ms: -5,
            max_ms: i64::MAX,
            groups: vec![(1, 2), (3, u64::MAX)],
        };
        out.clear();
        put_late_done(&mut out, &done);
        assert_eq!(take_late_done(&out), Ok(done));
        let deleted = Deleted {
            slot: 4,
            min_ms: i64::MIN,
            max_ms: i64::MAX,
            newest_ms: 5,
        };
        out.clear();
        put_delete(&mut out, 3, &[deleted]);
        assert_eq!(take_delete(&out), Ok((3, vec![deleted])));
    }

    proptest! {
        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = take_define(&bytes);
            for shape in [Shape::Plain, Shape::Late, Shape::Wide] {
                let _ = take_batch(&bytes, shape);
            }
            let _ = take_late_done(&bytes);
            let _ = take_delete(&bytes);
        }
    }
}
