//! Sample values that mean something by their bits.
//!
//! A NaN is an ordinary value; one exact bit pattern of NaN says that the series ended. Comparing
//! with `is_nan` would confuse the two (`model/value/value.go` upstream).

/// Bits of the staleness marker. It must survive every encoding.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Bits of the NaN that expositions and PromQL produce.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The staleness marker: the series has no value from here on.
pub const STALE_NAN: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether `value` is the staleness marker, by bits.
#[must_use]
#[inline]
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_bits_are_stale() {
        assert!(is_stale_nan(STALE_NAN));
        assert!(STALE_NAN.is_nan());
        assert!(!is_stale_nan(f64::NAN));
        assert!(!is_stale_nan(f64::from_bits(NORMAL_NAN_BITS)));
        assert!(!is_stale_nan(f64::from_bits(STALE_NAN_BITS + 1)));
    }
}
