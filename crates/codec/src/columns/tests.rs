use super::*;
use proptest::prelude::*;

const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

fn round(columns: &[Vec<f64>]) -> usize {
    let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
    let mut bytes = Vec::new();
    encode(
        &columns.concat(),
        &counts,
        &mut Scratch::default(),
        &mut bytes,
    );
    let page = Page::parse(&bytes, &counts).unwrap();
    let mut scratch = DecodeScratch::default();
    for (at, column) in columns.iter().enumerate() {
        let mut back = vec![7.0];
        page.decode(&bytes, at, column.len(), &mut scratch, &mut back)
            .unwrap();
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back[1..]), bits(column), "column {at}");
    }
    bytes.len()
}

#[test]
fn every_residual_has_its_class() {
    let mut values: Vec<u64> = (0..1000).collect();
    for bits in 5..64 {
        for near in [-1i64, 0, 1, 12_345] {
            values.push((1u64 << bits).wrapping_add_signed(near));
        }
    }
    values.extend([u64::MAX, u64::MAX - 1, 1 << 63]);
    for value in values {
        let (class, tail) = class_of(value);
        let (base, width) = CLASS_TABLE[usize::from(class)];
        assert_eq!(u32::from(width), tail, "{value}");
        assert_eq!(base | value & crate::bits::mask(tail), value);
        assert_eq!(base & crate::bits::mask(tail), 0, "{value}");
    }
}

#[test]
fn odd_columns_survive() {
    let counter: Vec<f64> = (0..480).map(|i| f64::from(i * 4096)).collect();
    round(&[]);
    round(&[vec![], vec![], vec![1.5], vec![]]);
    round(&[
        counter.clone(),
        vec![],
        counter.clone(),
        vec![STALE; 3],
        vec![1.0, STALE],
        vec![f64::NAN, -f64::NAN, f64::from_bits(0xfff8_dead_beef_0001)],
        vec![0.0, -0.0, 0.0],
        vec![f64::MAX, f64::MIN_POSITIVE, 5e-324, f64::INFINITY],
        vec![9_007_199_254_740_992.0, -9_007_199_254_740_992.0, 0.0],
        vec![9e18, -9e18, 9e18],
        counter[..100].to_vec(),
        counter,
    ]);
}

#[test]
fn neighbours_help_each_other() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut noisy = |_: usize| {
        let mut sum = 0.0;
        let step = |_| {
            sum += (rng.u32(0..4) * 100) as f64;
            sum
        };
        (0..480).map(step).collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = (0..32).map(&mut noisy).collect();
    let size = round(&columns);
    // Two bits a value is the floor.
    assert!(size < 32 * (480 / 4 + 40), "{size}");
    let twins: Vec<Vec<f64>> = (0..64).map(|at| columns[at / 2].clone()).collect();
    assert!(round(&twins) < size + 32 * 4);
}

#[test]
fn a_stale_marker_does_not_spoil_a_counter() {
    let mut counter: Vec<f64> = (0..480).map(|i| f64::from(i) * 10.0).collect();
    let plain = round(std::slice::from_ref(&counter));
    counter[479] = STALE;
    assert!(round(&[counter]) < plain + 24);
}

#[test]
fn percentages_are_quotients() {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut page = |_| {
        let used = |_| 100.0 * f64::from(rng.u32(700_000..740_000)) / 8_181_737.0;
        (0..480).map(used).collect::<Vec<f64>>()
    };
    let columns: Vec<Vec<f64>> = (0..16).map(&mut page).collect();
    let size = round(&columns);
    assert!(
        size < 16 * 480 * 5 / 2,
        "{} a value",
        size as f64 / 16.0 / 480.0
    );
}

fn column() -> impl Strategy<Value = Vec<f64>> {
    let values = prop::collection::vec(any::<u64>(), 0..60);
    (values, 0..7, 0u32..64).prop_map(|(values, kind, shift)| {
        let mut sum = 0i64;
        let value = |(at, v): (usize, &u64)| match kind {
            0 => f64::from_bits(*v),
            1 => (v >> shift) as f64,
            2 => (v % 100_000) as f64 / 1e3,
            3 if v % 11 == 0 => f64::from_bits(*v),
            3 => at as f64,
            4 => {
                sum += (v >> shift.max(20)) as i64;
                sum as f64
            }
            5 if v % 13 == 0 => STALE,
            5 => 100.0 * (v % 900) as f64 / (1_500 + at % 3) as f64,
            _ => 40.0 + (*v as f64 / u64::MAX as f64),
        };
        values.iter().enumerate().map(value).collect()
    })
}

proptest! {
    #[test]
    fn round_trips(mut columns in prop::collection::vec(column(), 0..8), twin in 0usize..8) {
        if let Some(column) = columns.get(twin).cloned() {
            columns.push(column);
        }
        round(&columns);
    }

    #[test]
    fn damaged_bytes_do_not_panic(
        columns in prop::collection::vec(column(), 1..6),
        at in any::<prop::sample::Index>(), flip in 1u8..=255, cut in 0usize..4,
    ) {
        let counts: Vec<usize> = columns.iter().map(Vec::len).collect();
        let mut bytes = Vec::new();
        encode(&columns.concat(), &counts, &mut Scratch::default(), &mut bytes);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Ok(page) = Page::parse(&bytes, &counts) {
            prop_assert!(page.size_bytes() <= 1_000 + 512 * counts.len() + 3 * counts.iter().sum::<usize>());
            for (at, &count) in counts.iter().enumerate() {
                let mut out = Vec::new();
                let _ = page.decode(&bytes, at, count, &mut DecodeScratch::default(), &mut out);
                prop_assert!(out.len() <= count);
            }
        }
    }

    #[test]
    fn any_bytes_do_not_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        counts in prop::collection::vec(0usize..3_000, 0..5),
    ) {
        if let Ok(page) = Page::parse(&bytes, &counts) {
            for (at, &count) in counts.iter().enumerate() {
                let mut out = Vec::new();
                let _ = page.decode(&bytes, at, count, &mut DecodeScratch::default(), &mut out);
            }
        }
    }
}
