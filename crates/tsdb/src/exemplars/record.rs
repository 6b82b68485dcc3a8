//! Exemplars in the log.
//!
//! A record stands for itself: it has the labels of its series, not their numbers, so that exemplars
//! outlive what the head knows of their series. The grammar is in `docs/formats/wal.md`.

use codec::DecodeError;
use codec::varint::{self, Reader};
use hashbrown::HashMap;
use model::Labels;
use storage::Exemplar;

use super::ring::New;
use crate::wal::record::{PAIRS_MAX, label_set, pair};

/// Numbers pairs of labels as they come.
#[derive(Default)]
struct Pairs<'a> {
    ids: HashMap<(&'a str, &'a str), u64>,
    all: Vec<(&'a str, &'a str)>,
}

impl<'a> Pairs<'a> {
    fn put(&mut self, labels: &'a Labels, out: &mut Vec<u8>) {
        varint::put(out, labels.len() as u64);
        for pair in labels {
            let id = *self.ids.entry(pair).or_insert_with(|| {
                self.all.push(pair);
                self.all.len() as u64 - 1
            });
            varint::put(out, id);
        }
    }
}

/// Appends the payload for exemplars with the labels of their series.
pub(super) fn put<'a>(out: &mut Vec<u8>, exemplars: impl Iterator<Item = (&'a Labels, &'a New)>) {
    let mut pairs = Pairs::default();
    let mut body = Vec::new();
    for (series, new) in exemplars {
        let Exemplar {
            labels,
            value,
            timestamp_ms,
        } = &new.exemplar;
        pairs.put(series, &mut body);
        pairs.put(labels, &mut body);
        body.extend_from_slice(&value.to_bits().to_le_bytes());
        varint::put_signed(&mut body, *timestamp_ms);
        body.push(u8::from(new.has_own_time));
    }
    varint::put(out, pairs.all.len() as u64);
    for (name, value) in pairs.all {
        varint::put_bytes(out, name.as_bytes());
        varint::put_bytes(out, value.as_bytes());
    }
    out.extend_from_slice(&body);
}

/// Reads what [`put`] wrote.
pub(super) fn take(payload: &[u8]) -> Result<Vec<(Labels, New)>, DecodeError> {
    let reader = &mut Reader::new(payload);
    let count = reader.count(reader.rest().len())?;
    let pairs: Vec<_> = (0..count).map(|_| pair(reader)).collect::<Result<_, _>>()?;
    let mut all = Vec::new();
    while !reader.is_empty() {
        let mut labels = || {
            let count = reader.count(PAIRS_MAX)?;
            label_set((0..count).map(|_| {
                let at = reader.count(pairs.len())?;
                pairs.get(at).copied().ok_or(DecodeError("pair"))
            }))
        };
        let (series, labels) = (labels()?, labels()?);
        let value = f64::from_bits(reader.u64_le()?);
        let timestamp_ms = reader.signed()?;
        let has_own_time = match reader.take(1)? {
            [0] => false,
            [1] => true,
            _ => return Err(DecodeError("flag")),
        };
        let exemplar = Exemplar {
            labels,
            value,
            timestamp_ms,
        };
        let new = New {
            exemplar,
            has_own_time,
        };
        all.push((series, new));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn exemplars_round_trip() {
        let new = |trace: &str, value, has_own_time| New {
            exemplar: Exemplar {
                labels: Labels::from_pairs([("trace_id", trace)]),
                value,
                timestamp_ms: -5,
            },
            has_own_time,
        };
        let series = Labels::from_pairs([("__name__", "a_total"), ("job", "é")]);
        let other = Labels::from_pairs([("__name__", "b_total"), ("job", "é")]);
        let all = [
            (series.clone(), new("1", 0.5, true)),
            (other, new("2", f64::INFINITY, false)),
            (series, new("1", -0.0, false)),
        ];
        let mut out = Vec::new();
        put(&mut out, all.iter().map(|(series, new)| (series, new)));
        assert_eq!(take(&out).unwrap(), all);
        let whole = take(&out).unwrap().len();
        for cut in 0..out.len() {
            assert!(
                take(&out[..cut]).map_or(true, |all| all.len() < whole),
                "{cut}"
            );
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = take(&bytes);
        }
    }
}
