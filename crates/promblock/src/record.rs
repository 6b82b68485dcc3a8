//! What the records of the log say: new series, samples, deletions.
//!
//! Numbers: `u64` and floats in eight bytes big-endian, the rest varints. Exemplars, metadata and
//! markers of head chunks are not asked for and skipped, as are kinds that are not known.

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterResetHint, Span};
use model::{FloatHistogram, Histogram, Labels};

use crate::bytes::Cursor;
use crate::chunk::histogram::{SCHEMAS, absolute};
use crate::error::Bad;
use crate::tombstones::Interval;
use crate::{Sample, Value};

/// A thing that a record says of a series, which it names by its reference.
#[derive(Debug)]
pub(crate) enum Entry {
    Series(Labels),
    Sample(Sample),
    Deleted(Interval),
    /// A histogram of a schema that no Prometheus of today writes.
    UnknownHistogram,
}

/// Start timestamps in records: a byte that says what it is like.
const START_NONE: u8 = 0;
const START_AS_BEFORE: u8 = 1;

/// What the samples of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Float,
    Histogram,
    FloatHistogram,
}

/// Calls `each` with reference and entry of all that the record says.
pub(crate) fn decode(record: &[u8], mut each: impl FnMut(u64, Entry)) -> Result<(), Bad> {
    let mut cursor = Cursor::new(record, 0);
    if cursor.is_empty() {
        return Ok(());
    }
    match cursor.u8()? {
        1 => read_series(&mut cursor, &mut each),
        2 => read_samples(&mut cursor, Kind::Float, &mut each),
        3 => read_deleted(&mut cursor, &mut each),
        7 | 9 => read_samples(&mut cursor, Kind::Histogram, &mut each),
        8 | 10 => read_samples(&mut cursor, Kind::FloatHistogram, &mut each),
        11 => read_samples_with_starts(&mut cursor, Kind::Float, &mut each),
        12 => read_samples_with_starts(&mut cursor, Kind::Histogram, &mut each),
        13 => read_samples_with_starts(&mut cursor, Kind::FloatHistogram, &mut each),
        _ => Ok(()),
    }
}

fn read_series(cursor: &mut Cursor<'_>, each: &mut impl FnMut(u64, Entry)) -> Result<(), Bad> {
    while !cursor.is_empty() {
        let reference = cursor.be64()?;
        let count = cursor.count(2)?;
        let mut pairs: Vec<(&str, &str)> = Vec::with_capacity(count);
        for _ in 0..count {
            let place = *cursor;
            let pair = (cursor.text()?, cursor.text()?);
            if pairs.last().is_some_and(|(last, _)| *last >= pair.0) {
                return Err(place.bad("labels out of order"));
            }
            pairs.push(pair);
        }
        each(reference, Entry::Series(Labels::from_sorted(pairs)));
    }
    Ok(())
}

fn read_deleted(cursor: &mut Cursor<'_>, each: &mut impl FnMut(u64, Entry)) -> Result<(), Bad> {
    while !cursor.is_empty() {
        let reference = cursor.be64()?;
        each(
            reference,
            Entry::Deleted((cursor.varint()?, cursor.varint()?)),
        );
    }
    Ok(())
}

/// References and times as distances from those at the front.
fn read_samples(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    each: &mut impl FnMut(u64, Entry),
) -> Result<(), Bad> {
    if cursor.is_empty() {
        return Ok(());
    }
    let (reference, timestamp_ms) = (cursor.be64()?, cursor.be64()? as i64);
    while !cursor.is_empty() {
        let reference = reference.wrapping_add(cursor.varint()? as u64);
        let timestamp_ms = timestamp_ms.wrapping_add(cursor.varint()?);
        each(reference, read_entry(cursor, kind, timestamp_ms, 0)?);
    }
    Ok(())
}

/// References as distances from the one before, times from the first, starts if there are any.
fn read_samples_with_starts(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    each: &mut impl FnMut(u64, Entry),
) -> Result<(), Bad> {
    if cursor.is_empty() {
        return Ok(());
    }
    let mut reference = cursor.varint()? as u64;
    let first_ms = cursor.varint()?;
    let first_start_ms = cursor.varint()?;
    let mut start_ms = first_start_ms;
    each(reference, read_entry(cursor, kind, first_ms, start_ms)?);
    while !cursor.is_empty() {
        reference = reference.wrapping_add(cursor.varint()? as u64);
        let timestamp_ms = first_ms.wrapping_add(cursor.varint()?);
        start_ms = match cursor.u8()? {
            START_NONE => 0,
            START_AS_BEFORE => start_ms,
            _ => first_start_ms.wrapping_add(cursor.varint()?),
        };
        each(reference, read_entry(cursor, kind, timestamp_ms, start_ms)?);
    }
    Ok(())
}

fn read_entry(
    cursor: &mut Cursor<'_>,
    kind: Kind,
    timestamp_ms: i64,
    start_timestamp_ms: i64,
) -> Result<Entry, Bad> {
    let value = match kind {
        Kind::Float => Value::Float(cursor.f64()?),
        Kind::Histogram | Kind::FloatHistogram => {
            let (schema, value) = read_histogram(cursor, kind)?;
            if schema != CUSTOM_BUCKETS_SCHEMA && !SCHEMAS.contains(&schema) {
                return Ok(Entry::UnknownHistogram);
            }
            value
        }
    };
    Ok(Entry::Sample(Sample {
        timestamp_ms,
        start_timestamp_ms,
        value,
    }))
}

/// A histogram, and the schema that the record gives it.
fn read_histogram(cursor: &mut Cursor<'_>, kind: Kind) -> Result<(i32, Value), Bad> {
    let counter_reset_hint = match cursor.u8()? {
        1 => CounterResetHint::Reset,
        2 => CounterResetHint::NotReset,
        3 => CounterResetHint::Gauge,
        _ => CounterResetHint::Unknown,
    };
    let place = *cursor;
    let schema = i32::try_from(cursor.varint()?).map_err(|_| place.bad("schema out of bounds"))?;
    let zero_threshold = cursor.f64()?;
    let bounds = |cursor: &mut Cursor<'_>| match schema {
        CUSTOM_BUCKETS_SCHEMA => read_floats(cursor),
        _ => Ok(Vec::new()),
    };
    if kind == Kind::FloatHistogram {
        let histogram = FloatHistogram {
            counter_reset_hint,
            schema,
            zero_threshold,
            zero_count: cursor.f64()?,
            count: cursor.f64()?,
            sum: cursor.f64()?,
            positive_spans: read_spans(cursor)?,
            negative_spans: read_spans(cursor)?,
            positive_buckets: read_floats(cursor)?,
            negative_buckets: read_floats(cursor)?,
            custom_values: bounds(cursor)?,
        };
        let value = Value::Histogram(Box::new(if histogram.is_stale() {
            FloatHistogram {
                sum: histogram.sum,
                ..FloatHistogram::default()
            }
        } else {
            histogram
        }));
        return Ok((schema, value));
    }
    let histogram = Histogram {
        counter_reset_hint,
        schema,
        zero_threshold,
        zero_count: cursor.uvarint()?,
        count: cursor.uvarint()?,
        sum: cursor.f64()?,
        positive_spans: read_spans(cursor)?,
        negative_spans: read_spans(cursor)?,
        positive_buckets: read_differences(cursor)?,
        negative_buckets: read_differences(cursor)?,
        custom_values: bounds(cursor)?,
    };
    let value = Value::IntegerHistogram(Box::new(if histogram.is_stale() {
        Histogram {
            sum: histogram.sum,
            ..Histogram::default()
        }
    } else {
        histogram
    }));
    Ok((schema, value))
}

fn read_spans(cursor: &mut Cursor<'_>) -> Result<Vec<Span>, Bad> {
    let count = cursor.count(2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let place = *cursor;
        let offset = i32::try_from(cursor.varint()?);
        let length = u32::try_from(cursor.uvarint()?);
        let (Ok(offset), Ok(length)) = (offset, length) else {
            return Err(place.bad("span out of bounds"));
        };
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

/// Counts that are there as differences.
fn read_differences(cursor: &mut Cursor<'_>) -> Result<Vec<i64>, Bad> {
    let count = cursor.count(1)?;
    let differences: Vec<i64> = (0..count)
        .map(|_| cursor.varint())
        .collect::<Result<_, _>>()?;
    Ok(absolute(differences.into_iter()))
}

fn read_floats(cursor: &mut Cursor<'_>) -> Result<Vec<f64>, Bad> {
    let count = cursor.count(8)?;
    (0..count).map(|_| cursor.f64()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Records;

    const SEGMENTS: [&[u8]; 2] = [
        include_bytes!("../compat/head-snappy/wal/00000000"),
        include_bytes!("../compat/head-zstd/wal/00000000"),
    ];

    /// Records are behind checksums, but the decoder must stand whatever they let through.
    #[test]
    fn no_damage_brings_the_decoder_down() {
        let mut kinds = std::collections::BTreeSet::new();
        for segment in SEGMENTS {
            for record in Records::new(segment) {
                let good = record.unwrap().bytes.into_owned();
                kinds.insert(good[0]);
                let mut whole = 0;
                decode(&good, |_, _| whole += 1).unwrap();
                for bit in (0..good.len() * 8).step_by(7) {
                    let mut bad = good.clone();
                    bad[bit / 8] ^= 1 << (bit % 8);
                    let _ = decode(&bad, |_, _| {});
                }
                for length in (0..good.len()).step_by(5) {
                    let mut count = 0;
                    let _ = decode(&good[..length], |_, _| count += 1);
                    assert!(count <= whole, "kind {} cut to {length}", good[0]);
                }
            }
        }
        // Both generations of samples and histograms.
        assert!(
            [1, 2, 3, 7, 8, 11, 12, 13]
                .iter()
                .all(|kind| kinds.contains(kind)),
            "{kinds:?}"
        );
    }

    #[test]
    fn what_is_not_asked_for_is_skipped() {
        for record in [&[][..], &[4, 9, 9], &[5], &[6, 1], &[200, 1, 2]] {
            decode(record, |_, entry| panic!("{entry:?}")).unwrap();
        }
    }
}
