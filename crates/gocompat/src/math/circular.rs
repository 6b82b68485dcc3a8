//! Circular functions and their inverses.

use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};

use super::{NAN, polynomial};

/// From here on the argument is reduced with more digits of pi.
const LARGE: f64 = (1u64 << 29) as f64;

/// pi/4 in three parts; multiples of the first two are exact.
const PI4: [f64; 3] = [
    7.853_981_256_484_985e-1,
    3.774_894_707_930_798e-8,
    2.695_151_429_079_059_5e-15,
];

const SIN: [f64; 6] = [
    1.589_623_015_765_465_7e-10,
    -2.505_074_776_285_780_7e-8,
    2.755_731_362_138_572_3e-6,
    -1.984_126_982_958_954e-4,
    8.333_333_333_322_118e-3,
    -1.666_666_666_666_663e-1,
];

const COS: [f64; 6] = [
    -1.135_853_652_138_768_2e-11,
    2.087_570_084_197_473e-9,
    -2.755_731_417_929_674e-7,
    2.480_158_728_885_170_4e-5,
    -1.388_888_888_887_305_6e-3,
    4.166_666_666_666_659_5e-2,
];

/// The octant of a positive angle, even, and how far in it lies.
fn reduce(x: f64) -> (u64, f64) {
    if x >= LARGE {
        return reduce_large(x);
    }
    let mut octant = (x * (4.0 / PI)) as u64;
    octant += octant & 1;
    let y = octant as f64;
    (octant, ((x - y * PI4[0]) - y * PI4[1]) - y * PI4[2])
}

/// 4/pi to 1,280 bits: enough for every float.
const FOUR_OVER_PI: [u64; 20] = [
    0x0000_0000_0000_0001,
    0x45f3_06dc_9c88_2a53,
    0xf84e_afa3_ea69_bb81,
    0xb6c5_2b32_7887_2083,
    0xfca2_c757_bd77_8ac3,
    0x6e48_dc74_849b_a5c0,
    0x0c92_5dd4_13a3_2439,
    0xfc3b_d639_6253_4e7d,
    0xd104_6bea_5d76_8909,
    0xd338_e04d_68be_fc82,
    0x7323_ac73_06a6_73e9,
    0x3908_bf17_7bf2_5076,
    0x3ff1_2fff_bc0b_301f,
    0xde5e_2316_b414_da3e,
    0xda6c_fd9e_4f96_136e,
    0x9e8c_7ecd_3cbf_d45a,
    0xea4f_758f_d7cb_e2f6,
    0x7a0e_73ef_14a5_25d4,
    0xd7f6_bf62_3f1a_ba10,
    0xac06_608d_f8f6_d757,
];

/// Payne and Hanek's reduction: the mantissa times the digits of 4/pi that matter.
fn reduce_large(x: f64) -> (u64, f64) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1023 - 52;
    let mantissa = (bits & 0x000f_ffff_ffff_ffff) | 1 << 52;
    let position = (exponent + 61) as u32;
    let (digit, shift) = ((position / 64) as usize, position % 64);
    let window = |at: usize| {
        let low = FOUR_OVER_PI[at + 1].checked_shr(64 - shift).unwrap_or(0);
        FOUR_OVER_PI[at] << shift | low
    };
    let (z0, z1, z2) = (window(digit), window(digit + 1), window(digit + 2));
    let high_of = |z: u64| ((u128::from(z) * u128::from(mantissa)) >> 64) as u64;
    let (low, carry) = z1.wrapping_mul(mantissa).overflowing_add(high_of(z2));
    let high = z0
        .wrapping_mul(mantissa)
        .wrapping_add(high_of(z1))
        .wrapping_add(u64::from(carry));
    // The upper three bits are the octant, the rest is the fraction of it.
    let octant = high >> 61;
    let fraction = high << 3 | low >> 61;
    let zeros = fraction.leading_zeros();
    let shifted = fraction.checked_shl(zeros + 1).unwrap_or(0)
        | low.checked_shr(64 - (zeros + 1)).unwrap_or(0);
    let biased = u64::from(1023 - (zeros + 1));
    let z = f64::from_bits(shifted >> 12 | biased << 52);
    if octant & 1 == 1 {
        ((octant + 1) & 7, (z - 1.0) * FRAC_PI_4)
    } else {
        (octant, z * FRAC_PI_4)
    }
}

fn near_zero_sine(z: f64) -> f64 {
    let zz = z * z;
    z + z * zz * polynomial(zz, &SIN)
}

fn near_zero_cosine(z: f64) -> f64 {
    let zz = z * z;
    1.0 - 0.5 * zz + zz * zz * polynomial(zz, &COS)
}

/// `math.Sin`.
#[must_use]
pub fn sin(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return NAN;
    }
    let (octant, z) = reduce(x.abs());
    let octant = octant & 7;
    let y = if matches!(octant & 3, 1 | 2) {
        near_zero_cosine(z)
    } else {
        near_zero_sine(z)
    };
    if (x < 0.0) != (octant > 3) { -y } else { y }
}

/// `math.Cos`.
#[must_use]
pub fn cos(x: f64) -> f64 {
    if !x.is_finite() {
        return NAN;
    }
    let (octant, z) = reduce(x.abs());
    let octant = octant & 7;
    let y = if matches!(octant & 3, 1 | 2) {
        near_zero_sine(z)
    } else {
        near_zero_cosine(z)
    };
    if (octant > 3) != (octant & 3 > 1) {
        -y
    } else {
        y
    }
}

/// `math.Tan`.
#[must_use]
pub fn tan(x: f64) -> f64 {
    const P: [f64; 3] = [
        -1.309_369_391_813_837_8e4,
        1.153_516_648_385_874_2e6,
        -1.795_652_519_764_848_8e7,
    ];
    const Q: [f64; 5] = [
        1.0,
        1.368_129_634_706_929_6e4,
        -1.320_892_344_402_109_7e6,
        2.500_838_018_233_579e7,
        -5.386_957_559_294_546_4e7,
    ];
    if x == 0.0 || x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return NAN;
    }
    let (octant, z) = reduce(x.abs());
    let zz = z * z;
    let mut y = if zz > 1e-14 {
        z + z * (zz * polynomial(zz, &P) / polynomial(zz, &Q))
    } else {
        z
    };
    if octant & 2 == 2 {
        y = -1.0 / y;
    }
    if x < 0.0 { -y } else { y }
}

/// `math.Asin`.
#[must_use]
pub fn asin(x: f64) -> f64 {
    if x == 0.0 {
        return x;
    }
    let size = if x < 0.0 { -x } else { x };
    if size > 1.0 {
        return NAN;
    }
    let other = (1.0 - size * size).sqrt();
    let angle = if size > 0.7 {
        FRAC_PI_2 - positive_atan(other / size)
    } else {
        positive_atan(size / other)
    };
    if x < 0.0 { -angle } else { angle }
}

/// `math.Acos`.
#[must_use]
pub fn acos(x: f64) -> f64 {
    FRAC_PI_2 - asin(x)
}

/// The arctangent between 0 and 0.66.
fn small_atan(x: f64) -> f64 {
    const P: [f64; 5] = [
        -8.750_608_600_031_904e-1,
        -1.615_753_718_733_365_2e1,
        -7.500_855_792_314_705e1,
        -1.228_866_684_490_136_1e2,
        -6.485_021_904_942_025e1,
    ];
    const Q: [f64; 6] = [
        1.0,
        2.485_846_490_142_306_3e1,
        1.650_270_098_316_988_5e2,
        4.328_810_604_912_902_7e2,
        4.853_903_996_359_137e2,
        1.945_506_571_482_614e2,
    ];
    let z = x * x;
    let z = z * polynomial(z, &P) / polynomial(z, &Q);
    x * z + x
}

fn positive_atan(x: f64) -> f64 {
    /// What pi/2 has beyond its float.
    const MORE_BITS: f64 = 6.123_233_995_736_766e-17;
    const TAN_3_PI_8: f64 = 2.414_213_562_373_095;
    if x <= 0.66 {
        small_atan(x)
    } else if x > TAN_3_PI_8 {
        FRAC_PI_2 - small_atan(1.0 / x) + MORE_BITS
    } else {
        FRAC_PI_4 + small_atan((x - 1.0) / (x + 1.0)) + 0.5 * MORE_BITS
    }
}

/// `math.Atan`.
#[must_use]
pub fn atan(x: f64) -> f64 {
    if x == 0.0 {
        x
    } else if x > 0.0 {
        positive_atan(x)
    } else {
        -positive_atan(-x)
    }
}

/// `math.Atan2`.
#[must_use]
pub fn atan2(y: f64, x: f64) -> f64 {
    if y.is_nan() || x.is_nan() {
        return NAN;
    }
    if y == 0.0 {
        return if x.is_sign_positive() { 0f64 } else { PI }.copysign(y);
    }
    if x == 0.0 {
        return FRAC_PI_2.copysign(y);
    }
    if x.is_infinite() {
        return match (x > 0.0, y.is_infinite()) {
            (true, true) => FRAC_PI_4,
            (true, false) => 0.0,
            (false, true) => 3.0 * PI / 4.0,
            (false, false) => PI,
        }
        .copysign(y);
    }
    if y.is_infinite() {
        return FRAC_PI_2.copysign(y);
    }
    let q = atan(y / x);
    if x >= 0.0 {
        q
    } else if q <= 0.0 {
        q + PI
    } else {
        q - PI
    }
}
