use super::*;
use crate::varint;
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

/// Ticks of a processor, and what an agent makes of them: user, system, idle and the shares.
fn shares_of_time(seed: u64, count: usize) -> Vec<Vec<f64>> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut ticks = [4_000_123u64, 1_500_321, 90_000_987];
    let seconds = |ticks: &[u64; 3]| ticks.map(|t| t as f64 / 100.0);
    let mut before = seconds(&ticks);
    let mut shares = vec![Vec::new(); 3];
    for _ in 0..count {
        let (user, system) = (rng.u64(1..400), rng.u64(1..90));
        let idle = 1_498 + rng.u64(0..5) - user - system;
        for (ticks, spent) in ticks.iter_mut().zip([user, system, idle]) {
            *ticks += spent;
        }
        let now = seconds(&ticks);
        let passed = now.iter().sum::<f64>() - before.iter().sum::<f64>();
        for (at, shares) in shares.iter_mut().enumerate() {
            shares.push(100.0 * (now[at] - before[at]) / passed);
        }
        before = now;
    }
    shares
}

#[test]
fn shares_of_time_are_ticks() {
    let shares = shares_of_time(5, 960);
    let size = round(&shares);
    // Two times user and system, the whole, and a bit or two of rounding; XOR takes 6.5 bytes.
    assert!(size < 3 * 960 * 17 / 10, "{}", size as f64 / 2_880.0);
    let alone = round(&shares[..1]);
    assert!(alone < 960 * 5 / 2, "{}", alone as f64 / 960.0);
    // Values of other kinds in between come back, too.
    let mut odd = shares;
    odd[1][17] = STALE;
    odd[1][18] = 0.0;
    odd[2][400] = f64::NAN;
    odd[2][401] = -3.0;
    odd[0][0] = 0.0;
    assert!(round(&odd) < size + 200);
}

#[test]
fn what_follows_from_other_columns_is_nearly_free() {
    let mut rng = fastrand::Rng::with_seed(6);
    let total = 8_181_737.0 * 4_096.0;
    let mut page = |max: u32| -> Vec<f64> {
        let used = |_| f64::from(rng.u32(700_000..max)) * 4_096.0;
        (0..480).map(used).collect()
    };
    let (used, cached) = (page(900_000), page(800_000));
    let each = |of: &dyn Fn(f64, f64) -> f64| -> Vec<f64> {
        let parts = used.iter().zip(&cached);
        parts.map(|(&used, &cached)| of(used, cached)).collect()
    };
    let base = round(&[used.clone(), cached.clone()]);
    for (what, column) in [
        ("the rest", each(&|used, _| total - used)),
        ("a sum", each(&|used, cached| used + cached)),
        ("a difference", each(&|used, cached| cached - used + 7.0)),
        (
            "the rest of both",
            each(&|used, cached| total - used - cached),
        ),
        ("a share", each(&|used, _| 100.0 * used / total)),
        (
            "a share in another order",
            each(&|used, _| used / total * 100.0),
        ),
        ("a part", each(&|used, _| used / total)),
        (
            "a share of what is not kept for root",
            each(&|used, _| 100.0 * used / (total * 0.95)),
        ),
    ] {
        let before = round(&[column.clone(), used.clone(), cached.clone()]);
        let after = round(&[used.clone(), cached.clone(), column]);
        assert!(
            before.max(after) < base + 64,
            "{what}: {base}, then {after}"
        );
    }
}

#[test]
fn a_usage_is_the_steps_of_its_counters() {
    let mut rng = fastrand::Rng::with_seed(7);
    let (mut user, mut kernel, mut clock) = (9e13, 3e13, 7.3e15);
    let mut columns = vec![Vec::new(); 5];
    for _ in 0..480 {
        let before = (user + kernel, clock);
        user += f64::from(rng.u32(0..2) * rng.u32(1_000..2_000_000)) * 1e3;
        kernel += f64::from(rng.u32(1_000..600_000)) * 1e3;
        clock += 120e9 + f64::from(rng.u32(0..20)) * 1e7;
        let share = (user + kernel - before.0) / (clock - before.1) * 8.0 * 100.0;
        for (column, value) in columns
            .iter_mut()
            .zip([user, share, clock, kernel, user + kernel])
        {
            column.push(value);
        }
    }
    let base = round(&[columns[0].clone(), columns[2].clone(), columns[3].clone()]);
    // The sum rests on two columns, the share on the sum.
    let all = round(&columns);
    assert!(all < base + 100, "{base}, then {all}");
}

#[test]
fn a_ring_of_columns_is_refused() {
    // Three columns of which each is the sum of the other two.
    let column = |a: u8, b: u8| [SUM, 2, a << 1, b << 1, CONSTANT_WHOLE, 0];
    let headers = [column(1, 2), column(0, 2), column(0, 1)].concat();
    let mut bytes = Vec::new();
    varint::put_bytes(&mut bytes, &headers);
    bytes.push(0);
    let page = Page::parse(&bytes, &[40, 40, 40]).unwrap();
    let found = page.decode(
        &bytes,
        0,
        40,
        &mut DecodeScratch::default(),
        &mut Vec::new(),
    );
    assert!(found.is_err());
    // A denominator of a column that borrows its own.
    let column = |of: u8| {
        [
            RATIO,
            0,
            100,
            CONSTANT_WHOLE,
            2,
            OF_DENOMINATOR,
            of,
            CONSTANT_WHOLE,
            0,
        ]
    };
    let headers = [column(1), column(0)].concat();
    let mut bytes = Vec::new();
    varint::put_bytes(&mut bytes, &headers);
    bytes.push(0);
    assert!(Page::parse(&bytes, &[40, 40]).is_err());
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
    fn related_columns_round_trip(
        seed in any::<u64>(), count in 1usize..200, kind in 0..4, hurt in any::<(usize, u64)>(),
    ) {
        let mut columns = shares_of_time(seed, count);
        let whole: Vec<f64> = columns[0].iter().map(|v| (v * 1e7).round()).collect();
        let other: Vec<f64> = columns[1].iter().map(|v| (v * 1e9).round()).collect();
        let sum = whole.iter().zip(&other).map(|(a, b)| match kind {
            0 => a + b,
            1 => 7.0 - a,
            2 => 100.0 * a / 31.0,
            _ => a / 1e3 * 100.0,
        });
        columns.push(sum.collect());
        columns.extend([whole, other]);
        let at = hurt.0 % columns.len();
        columns[at][hurt.0 % count] = f64::from_bits(hurt.1);
        round(&columns);
    }

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
            // A share of time has five classes a value.
            prop_assert!(page.size_bytes() <= 1_000 + 1_024 * counts.len() + 5 * counts.iter().sum::<usize>());
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
