//! In which time a series has samples.

/// Seconds since 1970 in which a series has samples, rounded outwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    first_s: u32,
    last_s: u32,
}

pub(super) fn seconds_before(ms: i64) -> u32 {
    ms.div_euclid(1_000).clamp(0, i64::from(u32::MAX) - 1) as u32
}

pub(super) fn seconds_after(ms: i64) -> u32 {
    let seconds = ms.div_euclid(1_000) + i64::from(ms.rem_euclid(1_000) != 0);
    seconds.clamp(0, i64::from(u32::MAX)) as u32
}

impl Span {
    pub(super) const EMPTY: Span = Span {
        first_s: u32::MAX,
        last_s: 0,
    };

    /// Whether there is no sample.
    pub(crate) fn is_empty(self) -> bool {
        self == Span::EMPTY
    }

    #[inline]
    pub(super) fn add(&mut self, first_s: u32, last_s: u32) {
        self.first_s = self.first_s.min(first_s);
        self.last_s = self.last_s.max(last_s);
    }

    pub(super) fn add_ms(&mut self, ms: i64) {
        self.add(seconds_before(ms), seconds_after(ms));
    }

    /// Whether all samples are surely before `ms`.
    pub(crate) fn ends_before(self, ms: i64) -> bool {
        self.last_s < u32::MAX && i64::from(self.last_s) * 1_000 < ms && ms > 0
    }

    /// Whether there may be samples in the range.
    pub(crate) fn meets(self, min_ms: i64, max_ms: i64) -> bool {
        !self.is_empty()
            && self.first_s <= seconds_after(max_ms)
            && self.last_s >= seconds_before(min_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_outwards() {
        let mut span = Span::EMPTY;
        assert!(span.is_empty() && !span.meets(i64::MIN, i64::MAX));
        span.add_ms(10_500);
        for (min_ms, max_ms, meets) in [
            (0, 9_000, false),
            (0, 9_001, true),
            (11_999, 20_000, true),
            (12_000, 20_000, false),
        ] {
            assert_eq!(span.meets(min_ms, max_ms), meets, "{min_ms}..={max_ms}");
        }
        assert!(!span.ends_before(11_000) && span.ends_before(11_001));
        // Beyond what seconds in 32 bits tell, nothing is sure.
        for ms in [-5, i64::MAX] {
            let mut span = Span::EMPTY;
            span.add_ms(ms);
            assert!(span.meets(ms, ms), "{ms}");
            assert!(!span.ends_before(ms), "{ms}");
        }
    }
}
