//! Elementary functions whose last digit is Go's.
//!
//! A C library rounds nearly always to the nearest float; Go has its own, simpler algorithms that
//! are off by one unit now and then. PromQL shows all digits, so results have to come from the
//! same polynomials, evaluated in the same order: those of Go on amd64, where `exp` (with fused
//! multiply-add) and `log` are assembly.
//!
//! `exp`, `log`, `log1p` are the algorithms of FreeBSD's libm, which came with this notice:
//!
//! > Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at SunPro, a Sun
//! > Microsystems, Inc. business. Permission to use, copy, modify, and distribute this software
//! > is freely granted, provided that this notice is preserved.
//!
//! The circular and the hyperbolic ones are those of Stephen L. Moshier's Cephes library.

mod circular;
mod exponential;
mod hyperbolic;

pub use circular::{acos, asin, atan, atan2, cos, sin, tan};
pub use exponential::{exp, exp2, ln, log1p, log2, log10, pow};
pub use hyperbolic::{acosh, asinh, atanh, cosh, sinh, tanh};

/// Go's `math.NaN()`.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Evaluates a polynomial, highest power first.
#[inline]
fn polynomial(x: f64, coefficients: &[f64]) -> f64 {
    let mut sum = coefficients[0];
    for coefficient in &coefficients[1..] {
        sum = sum * x + coefficient;
    }
    sum
}

/// Splits into a fraction between 1/2 and 1 and a power of two.
fn frexp(x: f64) -> (f64, i32) {
    if x == 0.0 || !x.is_finite() {
        return (x, 0);
    }
    let (x, shift) = if x.abs() < f64::MIN_POSITIVE {
        (x * (1u64 << 52) as f64, -52)
    } else {
        (x, 0)
    };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022 + shift;
    let fraction = (bits & !(0x7ff << 52)) | (1022 << 52);
    (f64::from_bits(fraction), exponent)
}

/// `fraction` times a power of two, rounded once.
fn ldexp(fraction: f64, exponent: i64) -> f64 {
    if fraction == 0.0 || !fraction.is_finite() {
        return fraction;
    }
    let (fraction, own) = frexp(fraction);
    let exponent = exponent + i64::from(own) - 1;
    if exponent < -1_075 {
        return 0f64.copysign(fraction);
    }
    if exponent > 1_023 {
        return f64::INFINITY.copysign(fraction);
    }
    // What will be subnormal is made 53 powers larger first.
    let (exponent, scale) = if exponent < -1_022 {
        (exponent + 53, 1.0 / (1u64 << 53) as f64)
    } else {
        (exponent, 1.0)
    };
    let bits = fraction.to_bits() & !(0x7ff << 52);
    scale * f64::from_bits(bits | (((exponent + 1_023) as u64) << 52))
}

#[cfg(test)]
mod tests;
