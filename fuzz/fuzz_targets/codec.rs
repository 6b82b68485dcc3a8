//! The encodings of columns and rows: bytes that are none are refused, and what was decoded comes
//! back when it is encoded again.
#![no_main]

use codec::columns::{self, DecodeScratch, Page};
use codec::varint::Reader;
use codec::{floats, ints, row};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let [kind, count, bytes @ ..] = input else {
        return;
    };
    let count = usize::from(*count);
    match kind % 5 {
        0 => {
            let mut out = Vec::new();
            if ints::decode(&mut Reader::new(bytes), count, &mut out).is_ok() {
                again_ints(&out);
            }
        }
        1 => {
            let mut out = Vec::new();
            let scratch = &mut floats::DecodeScratch::default();
            if floats::decode(&mut Reader::new(bytes), count, scratch, &mut out).is_ok() {
                again_floats(&out);
            }
        }
        2 => {
            let base = [1, 2, f64::to_bits(3.5), 4];
            if let Ok(row) = row::Row::new(bytes) {
                for base in [&[][..], &base] {
                    let _ = row.for_each(base, |_, _| {});
                    let _ = row.get(count, base);
                }
            }
        }
        3 => {
            let counts = [count, count / 2, 3];
            if let Ok(page) = Page::parse(bytes, &counts) {
                let (mut scratch, mut out) = (DecodeScratch::default(), Vec::new());
                for (at, count) in counts.into_iter().enumerate() {
                    out.clear();
                    let _ = page.decode(bytes, at, count, &mut scratch, &mut out);
                }
            }
        }
        _ => {
            let words = bytes.chunks_exact(8);
            let words = words.map(|w| u64::from_le_bytes(w.try_into().expect("eight bytes")));
            let words: Vec<u64> = words.collect();
            again_ints(&words.iter().map(|w| w.cast_signed()).collect::<Vec<_>>());
            again_floats(&words.iter().map(|w| f64::from_bits(*w)).collect::<Vec<_>>());
        }
    }
});

fn again_ints(values: &[i64]) {
    let (mut bytes, mut back) = (Vec::new(), Vec::new());
    ints::encode(values, &mut ints::Scratch::default(), &mut bytes);
    ints::decode(&mut Reader::new(&bytes), values.len(), &mut back).expect("our own bytes");
    assert_eq!(back, values);
}

fn again_floats(values: &[f64]) {
    let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let (mut bytes, mut back) = (Vec::new(), Vec::new());
    floats::encode(values, &mut floats::Scratch::default(), &mut bytes);
    let scratch = &mut floats::DecodeScratch::default();
    floats::decode(&mut Reader::new(&bytes), values.len(), scratch, &mut back)
        .expect("our own bytes");
    assert_eq!(bits(&back), bits(values));
    let counts = [values.len() / 3, values.len() - values.len() / 3];
    bytes.clear();
    columns::encode(
        values,
        &counts,
        &mut columns::Scratch::default(),
        &mut bytes,
    );
    let page = Page::parse(&bytes, &counts).expect("our own bytes");
    let (mut scratch, mut all) = (DecodeScratch::default(), Vec::new());
    for (at, count) in counts.into_iter().enumerate() {
        back.clear();
        page.decode(&bytes, at, count, &mut scratch, &mut back)
            .expect("our own bytes");
        all.extend(bits(&back));
    }
    assert_eq!(all, bits(values));
}
