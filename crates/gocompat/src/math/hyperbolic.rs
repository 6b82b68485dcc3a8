//! Hyperbolic functions and their inverses.

use std::f64::consts::LN_2;

use super::{NAN, exp, ln, log1p, polynomial};

/// 2^28: from here on, and below its inverse, one term is all that shows.
const LARGE: f64 = (1u64 << 28) as f64;

/// `f(x)` from its value for a positive argument.
fn odd(x: f64, f: impl FnOnce(f64) -> f64) -> f64 {
    if x < 0.0 { -f(-x) } else { f(x) }
}

/// `math.Sinh`.
#[must_use]
pub fn sinh(x: f64) -> f64 {
    const P: [f64; 4] = [
        -2.630_563_213_397_497e1,
        -2.894_211_355_989_564e3,
        -8.991_272_022_039_509e4,
        -6.307_673_640_497_717e5,
    ];
    const Q: [f64; 4] = [
        1.0,
        -1.736_789_535_582_337e2,
        1.521_517_378_790_019e4,
        -6.307_673_640_497_717e5,
    ];
    odd(x, |x| {
        if x > 21.0 {
            exp(x) * 0.5
        } else if x > 0.5 {
            let e = exp(x);
            (e - 1.0 / e) * 0.5
        } else {
            let square = x * x;
            polynomial(square, &P) * x / polynomial(square, &Q)
        }
    })
}

/// `math.Cosh`.
#[must_use]
pub fn cosh(x: f64) -> f64 {
    let x = x.abs();
    if x > 21.0 {
        return exp(x) * 0.5;
    }
    let e = exp(x);
    (e + 1.0 / e) * 0.5
}

/// `math.Tanh`.
#[must_use]
pub fn tanh(x: f64) -> f64 {
    /// ln 2^127
    const MAX_LOG: f64 = 8.802_969_193_111_305e1;
    const P: [f64; 3] = [
        -9.643_991_794_250_523e-1,
        -9.928_772_310_019_185e1,
        -1.614_687_684_417_084_5e3,
    ];
    const Q: [f64; 4] = [
        1.0,
        1.128_116_784_916_329_3e2,
        2.235_488_390_601_004_5e3,
        4.844_063_053_251_255e3,
    ];
    let size = x.abs();
    if size > 0.5 * MAX_LOG {
        return 1f64.copysign(x);
    }
    if size >= 0.625 {
        let s = exp(2.0 * size);
        return (1.0 - 2.0 / (s + 1.0)).copysign(x);
    }
    if x == 0.0 {
        return x;
    }
    let s = x * x;
    x + x * s * polynomial(s, &P) / polynomial(s, &Q)
}

/// `math.Asinh`.
#[must_use]
pub fn asinh(x: f64) -> f64 {
    if !x.is_finite() {
        return x;
    }
    odd(x, |x| {
        if x > LARGE {
            ln(x) + LN_2
        } else if x > 2.0 {
            ln(2.0 * x + 1.0 / ((x * x + 1.0).sqrt() + x))
        } else if x < 1.0 / LARGE {
            x
        } else {
            log1p(x + x * x / (1.0 + (1.0 + x * x).sqrt()))
        }
    })
}

/// `math.Acosh`.
#[must_use]
pub fn acosh(x: f64) -> f64 {
    if x < 1.0 || x.is_nan() {
        return NAN;
    }
    if x == 1.0 {
        return 0.0;
    }
    if x >= LARGE {
        return ln(x) + LN_2;
    }
    if x > 2.0 {
        return ln(2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt()));
    }
    let t = x - 1.0;
    log1p(t + (2.0 * t + t * t).sqrt())
}

/// `math.Atanh`.
#[must_use]
pub fn atanh(x: f64) -> f64 {
    if !(-1.0..=1.0).contains(&x) {
        return NAN;
    }
    if x.abs() == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    odd(x, |x| {
        if x < 1.0 / LARGE {
            x
        } else if x < 0.5 {
            let twice = x + x;
            0.5 * log1p(twice + twice * x / (1.0 - x))
        } else {
            0.5 * log1p((x + x) / (1.0 - x))
        }
    })
}
