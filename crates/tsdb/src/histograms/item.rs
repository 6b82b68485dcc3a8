//! One histogram in bytes, against the one before: in the log, in memory and in chunks.
//!
//! ```text
//! item = head [layout] { changed } { value }     ; head: 3 hint, 4 there is a layout
//! ```
//! `changed` has a bit for each word that differs from that word before, lowest first, in whole
//! bytes; each such word has a value: of whole counts the signed difference, of sums and float
//! counts a value of `codec::row`. An item with a layout stands on nothing: it is against zeros.
//! Twenty buckets of which some grow take some 15 to 20 bytes, most of them the sum.

use std::sync::Arc;

use codec::DecodeError;
use codec::row::{put_value, take_value};
use codec::varint::{self, Reader};
use model::histogram::CounterResetHint;

use super::{HistogramRef, Layout, SUM};

const HINT: u8 = 3;
const ANCHOR: u8 = 4;

/// Whether an item stands on nothing.
pub(crate) fn is_anchor(item: &[u8]) -> bool {
    item.first().is_some_and(|head| head & ANCHOR != 0)
}

pub(crate) fn hint_code(hint: CounterResetHint) -> u8 {
    match hint {
        // A reset is never stored: what comes before may yet change.
        CounterResetHint::Unknown | CounterResetHint::Reset => 0,
        CounterResetHint::NotReset => 1,
        CounterResetHint::Gauge => 2,
    }
}

pub(crate) fn hint_of(code: u8) -> Result<CounterResetHint, DecodeError> {
    match code {
        0 => Ok(CounterResetHint::Unknown),
        1 => Ok(CounterResetHint::NotReset),
        2 => Ok(CounterResetHint::Gauge),
        _ => Err(DecodeError("histogram hint")),
    }
}

/// Appends a histogram. It stands on `previous` if that has the same layout, else on nothing.
pub(crate) fn put(
    out: &mut Vec<u8>,
    previous: Option<(&Arc<Layout>, &[u64])>,
    now: HistogramRef<'_>,
) {
    let same_layout =
        |layout: &Arc<Layout>| Arc::ptr_eq(layout, now.layout) || layout == now.layout;
    let before = previous.filter(|(layout, _)| same_layout(layout));
    let before = before.map(|(_, words)| words);
    let head = hint_code(now.hint);
    out.push(if before.is_none() {
        head | ANCHOR
    } else {
        head
    });
    if before.is_none() {
        now.layout.put(out);
    }
    let word_before = |at: usize| before.map_or(0, |words| words[at]);
    let mask_at = out.len();
    out.resize(mask_at + now.words.len().div_ceil(8), 0);
    for (at, &word) in now.words.iter().enumerate() {
        let before = word_before(at);
        if word == before {
            continue;
        }
        out[mask_at + at / 8] |= 1 << (at % 8);
        if at == SUM || now.layout.is_float {
            put_value(out, before, word);
        } else {
            varint::put_signed(out, word.wrapping_sub(before).cast_signed());
        }
    }
}

/// Reads a histogram. `layout` and `words` hold the one before, if there is one, and then this one.
/// After an error they hold nothing that is of use.
pub(crate) fn take(
    reader: &mut Reader<'_>,
    layout: &mut Option<Arc<Layout>>,
    words: &mut Vec<u64>,
) -> Result<CounterResetHint, DecodeError> {
    let head = reader.byte()?;
    if head & !(HINT | ANCHOR) != 0 {
        return Err(DecodeError("histogram head"));
    }
    let hint = hint_of(head & HINT)?;
    if head & ANCHOR != 0 {
        let found = Layout::take(reader)?;
        // Their mask has to be there before they get memory.
        if found.words() / 8 > reader.rest().len() {
            return Err(DecodeError("histogram words"));
        }
        words.clear();
        words.resize(found.words(), 0);
        // Layouts that say the same are shared.
        if layout.as_ref().is_none_or(|before| **before != found) {
            *layout = Some(Arc::new(found));
        }
    }
    let layout = layout.as_ref().ok_or(DecodeError("histogram layout"))?;
    if words.len() != layout.words() {
        return Err(DecodeError("histogram words"));
    }
    let mask = reader.take(words.len().div_ceil(8))?;
    for (at, word) in words.iter_mut().enumerate() {
        if mask[at / 8] >> (at % 8) & 1 == 0 {
            continue;
        }
        *word = if at == SUM || layout.is_float {
            take_value(reader, *word)?
        } else {
            word.wrapping_add(reader.signed()?.cast_unsigned())
        };
    }
    Ok(hint)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{example, owned};
    use super::super::{HistogramColumn, OwnedHistogram};
    use super::*;
    use proptest::prelude::*;
    use storage::HistogramValue;

    fn encode(all: &[OwnedHistogram]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut before: Option<&OwnedHistogram> = None;
        for histogram in all {
            let previous = before.map(|b| (&b.layout, &*b.words));
            put(&mut out, previous, histogram.as_ref());
            before = Some(histogram);
        }
        out
    }

    #[test]
    fn small_changes_take_few_bytes() {
        let spans = vec![model::histogram::Span {
            offset: -3,
            length: 20,
        }];
        let mut all = Vec::new();
        let mut random = fastrand::Rng::with_seed(1);
        let mut histogram = model::Histogram {
            positive_spans: spans,
            positive_buckets: vec![1_000; 20],
            count: 20_000,
            ..model::Histogram::default()
        };
        for _ in 0..100 {
            for _ in 0..6 {
                histogram.positive_buckets[random.usize(..20)] += 1;
                histogram.count += 1;
                histogram.sum += random.f64();
            }
            all.push(owned(HistogramValue::Integer(&histogram)));
        }
        let first = encode(&all[..1]).len();
        let each = (encode(&all).len() - first) as f64 / 99.0;
        assert!(each < 20.0, "{each} bytes a histogram");
    }

    proptest! {
        #[test]
        fn round_trips(shapes in prop::collection::vec((0u64..5, any::<u32>(), any::<bool>()), 1..30)) {
            let all = shapes.iter().map(|&(shape, n, float)| {
                let integer = example(shape, n.into());
                let float_one = integer.to_float();
                owned(match float {
                    true => HistogramValue::Float(&float_one),
                    false => HistogramValue::Integer(&integer),
                })
            });
            let all: Vec<_> = all.collect();
            let bytes = encode(&all);
            let mut reader = Reader::new(&bytes);
            let (mut layout, mut words) = (None, Vec::new());
            let mut column = HistogramColumn::default();
            for want in &all {
                let hint = take(&mut reader, &mut layout, &mut words).unwrap();
                let layout = layout.as_ref().unwrap();
                prop_assert_eq!((layout, &words[..], hint), (&want.layout, &*want.words, want.hint));
                column.push(HistogramRef { layout, hint, words: &words });
            }
            prop_assert!(reader.is_empty());
            for (at, want) in all.iter().enumerate() {
                prop_assert!(column.get(at).unwrap().same_data(&want.as_ref()));
            }
        }

        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut reader = Reader::new(&bytes);
            let (mut layout, mut words) = (None, Vec::new());
            while take(&mut reader, &mut layout, &mut words).is_ok() {}
        }
    }
}
