//! Exponentials, logarithms and powers.

use super::{NAN, frexp, ldexp};

/// ln 2 in two parts; the upper one has trailing zeros, so that its multiples are exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// Coefficients of the logarithm of (1+s)/(1-s).
const L: [f64; 7] = [
    6.666_666_666_666_735e-1,
    3.999_999_999_940_942e-1,
    2.857_142_874_366_239e-1,
    2.222_219_843_214_978_4e-1,
    1.818_357_216_161_805e-1,
    1.531_383_769_920_937_3e-1,
    1.479_819_860_511_658_6e-1,
];

/// `math.Exp`.
#[must_use]
pub fn exp(x: f64) -> f64 {
    /// The largest argument whose result is finite.
    const OVERFLOW: f64 = 7.097_827_128_933_84e2;
    /// ln 2 in two parts again, cut elsewhere.
    const LN2_UPPER: f64 = 6.931_471_805_596_63e-1;
    const LN2_LOWER: f64 = 2.823_529_056_303_157_7e-13;
    /// 1/n! from 8 down to 1.
    const TAYLOR: [f64; 8] = [
        2.480_158_730_158_73e-5,
        1.984_126_984_126_984e-4,
        1.388_888_888_888_889e-3,
        8.333_333_333_333_333e-3,
        4.166_666_666_666_666_4e-2,
        1.666_666_666_666_666_6e-1,
        0.5,
        1.0,
    ];
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x == f64::NEG_INFINITY {
        return 0.0;
    }
    if x > OVERFLOW {
        return f64::INFINITY;
    }
    let k = (x * std::f64::consts::LOG2_E).round_ties_even();
    // Far below what any subnormal could be.
    if k < -1_100.0 {
        return 0.0;
    }
    let r = (-LN2_UPPER).mul_add(k, x);
    let r = (-LN2_LOWER).mul_add(k, r) * 0.0625;
    let mut sum = TAYLOR[0];
    for coefficient in &TAYLOR[1..] {
        sum = sum.mul_add(r, *coefficient);
    }
    // exp(16 r) - 1 by squaring four times: (1 + y)^2 - 1 = y (y + 2).
    let mut y = r * sum;
    for _ in 0..3 {
        y *= y + 2.0;
    }
    scale(y.mul_add(y + 2.0, 1.0), k as i32)
}

/// `math.Exp2`: exact for whole numbers.
#[must_use]
pub fn exp2(x: f64) -> f64 {
    /// How far the function of hi and lo is from a straight line.
    const P: [f64; 5] = [
        4.138_136_797_057_238_5e-8,
        -1.653_390_220_546_525_2e-6,
        6.613_756_321_437_934e-5,
        -2.777_777_777_701_559_3e-3,
        1.666_666_666_666_666_6e-1,
    ];
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x > 1_023.999_999_999_999_9 {
        return f64::INFINITY;
    }
    if x < -1_074.0 {
        return 0.0;
    }
    let k = (x + 0.5_f64.copysign(x)).trunc();
    let rest = x - k;
    let (high, low) = (rest * LN2_HIGH, -rest * LN2_LOW);
    let r = high - low;
    let t = r * r;
    let polynomial = P[1..].iter().fold(P[0], |sum, next| next + t * sum);
    let c = r - t * polynomial;
    let y = 1.0 - ((low - (r * c) / (2.0 - c)) - high);
    ldexp(y, k as i64)
}

/// Times a power of two; subnormal results are rounded twice, as the assembly does.
fn scale(x: f64, exponent: i32) -> f64 {
    let biased = exponent + 1_023;
    if biased >= 0x7ff {
        return f64::INFINITY;
    }
    if biased > 0 {
        return x * f64::from_bits((biased as u64) << 52);
    }
    if biased < -52 {
        return 0.0;
    }
    x * f64::from_bits(((biased + 1_022) as u64) << 52) * f64::MIN_POSITIVE
}

/// `math.Log`. Subnormal arguments are taken for larger ones, as the assembly does.
#[must_use]
pub fn ln(x: f64) -> f64 {
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x.is_sign_negative() {
        return NAN;
    }
    if !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    let mut fraction = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1022 << 52));
    let mut k = ((bits >> 52) & 0x7ff) as f64 - 1022.0;
    if fraction <= std::f64::consts::FRAC_1_SQRT_2 {
        k -= 1.0;
        fraction *= 2.0;
    }
    let f = fraction - 1.0;
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (L[0] + s4 * (L[2] + s4 * (L[4] + s4 * L[6])));
    let t2 = s4 * (L[1] + s4 * (L[3] + s4 * L[5]));
    let half = 0.5 * f * f;
    k * LN2_HIGH - ((half - (s * (half + (t1 + t2)) + k * LN2_LOW)) - f)
}

/// `math.Log2`: exact for powers of two.
#[must_use]
pub fn log2(x: f64) -> f64 {
    let (fraction, exponent) = frexp(x);
    if fraction == 0.5 {
        return f64::from(exponent - 1);
    }
    ln(fraction) * std::f64::consts::LOG2_E + f64::from(exponent)
}

/// `math.Log10`.
#[must_use]
pub fn log10(x: f64) -> f64 {
    ln(x) * std::f64::consts::LOG10_E
}

/// `math.Log1p`: the logarithm of 1 + x.
#[must_use]
pub fn log1p(x: f64) -> f64 {
    const SQRT2_MINUS_1: f64 = 4.142_135_623_730_950_5e-1;
    const SQRT_HALF_MINUS_1: f64 = -2.928_932_188_134_525e-1;
    /// Mantissa of the square root of 2.
    const SQRT2_MANTISSA: u64 = 0x0006_a09e_667f_3bcd;
    if x < -1.0 || x.is_nan() {
        return NAN;
    }
    if x == -1.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return x;
    }
    let size = x.abs();
    if size < 1.0 / (1u64 << 54) as f64 {
        return x;
    }
    if size < 1.0 / (1u64 << 29) as f64 {
        return x - x * x * 0.5;
    }
    // 1 + x = 2^k (1 + f); c corrects for the rounding of the sum.
    let (mut k, mut f, mut mantissa, mut c) = (0i64, x, 1u64, 0.0);
    if !(size < SQRT2_MINUS_1 && x > SQRT_HALF_MINUS_1) {
        let u = if size < (1u64 << 53) as f64 {
            1.0 + x
        } else {
            x
        };
        mantissa = u.to_bits();
        k = (mantissa >> 52) as i64 - 1023;
        if size < (1u64 << 53) as f64 {
            c = if k > 0 { 1.0 - (u - x) } else { x - (u - 1.0) };
            c /= u;
        }
        mantissa &= 0x000f_ffff_ffff_ffff;
        let u = if mantissa < SQRT2_MANTISSA {
            f64::from_bits(mantissa | 0x3ff0_0000_0000_0000)
        } else {
            k += 1;
            let u = f64::from_bits(mantissa | 0x3fe0_0000_0000_0000);
            mantissa = (0x0010_0000_0000_0000 - mantissa) >> 2;
            u
        };
        f = u - 1.0;
    }
    let half = 0.5 * f * f;
    let (k_is_zero, k) = (k == 0, k as f64);
    if mantissa == 0 {
        if f == 0.0 {
            return if k_is_zero {
                0.0
            } else {
                k * LN2_HIGH + (c + k * LN2_LOW)
            };
        }
        let r = half * (1.0 - 6.666_666_666_666_666e-1 * f);
        if k_is_zero {
            return f - r;
        }
        return k * LN2_HIGH - ((r - (k * LN2_LOW + c)) - f);
    }
    let s = f / (2.0 + f);
    let z = s * s;
    let r = z * super::polynomial(z, &[L[6], L[5], L[4], L[3], L[2], L[1], L[0]]);
    if k_is_zero {
        return f - (half - s * (half + r));
    }
    k * LN2_HIGH - ((half - (s * (half + r) + (k * LN2_LOW + c))) - f)
}

fn is_odd_integer(x: f64) -> bool {
    x.abs() < (1u64 << 53) as f64 && x.fract() == 0.0 && (x as i64) & 1 == 1
}

/// `math.Pow`.
#[must_use]
pub fn pow(x: f64, y: f64) -> f64 {
    if let Some(special) = special_power(x, y) {
        return special;
    }
    let (mut whole, mut part) = (y.abs().trunc(), y.abs().fract());
    if part != 0.0 && x < 0.0 {
        return NAN;
    }
    if whole >= 9.223_372_036_854_776e18 {
        return if x == -1.0 {
            1.0
        } else if (x.abs() < 1.0) == (y > 0.0) {
            0.0
        } else {
            f64::INFINITY
        };
    }
    // x^y = a * 2^a_exponent: the part after the point by exp and ln, the rest by squaring.
    let (mut a, mut a_exponent) = (1.0, 0i64);
    if part != 0.0 {
        if part > 0.5 {
            part -= 1.0;
            whole += 1.0;
        }
        a = exp(part * ln(x));
    }
    let (mut power, exponent) = frexp(x);
    let mut exponent = i64::from(exponent);
    let mut left = whole as i64;
    while left != 0 {
        if !(-(1 << 12)..=1 << 12).contains(&exponent) {
            // Far out of range, whatever follows.
            a_exponent += exponent;
            break;
        }
        if left & 1 == 1 {
            a *= power;
            a_exponent += exponent;
        }
        power *= power;
        exponent <<= 1;
        if power < 0.5 {
            power += power;
            exponent -= 1;
        }
        left >>= 1;
    }
    if y < 0.0 {
        a = 1.0 / a;
        a_exponent = -a_exponent;
    }
    ldexp(a, a_exponent)
}

fn special_power(x: f64, y: f64) -> Option<f64> {
    Some(if y == 0.0 || x == 1.0 {
        1.0
    } else if y == 1.0 {
        x
    } else if x.is_nan() || y.is_nan() {
        NAN
    } else if x == 0.0 {
        let negative = x.is_sign_negative() && is_odd_integer(y);
        match (y < 0.0, negative) {
            (true, true) => f64::NEG_INFINITY,
            (true, false) => f64::INFINITY,
            (false, true) => x,
            (false, false) => 0.0,
        }
    } else if y.is_infinite() {
        if x == -1.0 {
            1.0
        } else if (x.abs() < 1.0) == (y > 0.0) {
            0.0
        } else {
            f64::INFINITY
        }
    } else if x == f64::NEG_INFINITY {
        pow(1.0 / x, -y)
    } else if x == f64::INFINITY {
        if y < 0.0 { 0.0 } else { f64::INFINITY }
    } else if y == 0.5 {
        x.sqrt()
    } else if y == -0.5 {
        1.0 / x.sqrt()
    } else {
        return None;
    })
}
