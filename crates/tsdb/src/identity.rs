//! Who a series is, in 16 bytes.
//!
//! The head and every block number label pairs in ways of their own, so to find the series that
//! several of them have, label sets would have to be put together: a microsecond for each series in
//! each place. Instead every pair of name and value has a hash of 128 bits under keys that the
//! process draws at random, and a series is the sum of the hashes of its pairs: the same in every
//! place, and made of numbers only, as a pair is hashed once for all of its series. The chance that
//! any two of a million series are taken for one is 2^-88, whatever labels somebody sends, as
//! nobody knows the keys.

use std::hash::BuildHasher;

use foldhash::quality::RandomState;
#[cfg(test)]
use model::Labels;

/// The keys of a process.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdentityKeys {
    high: RandomState,
    low: RandomState,
}

/// The sum of the hashes of a label set's pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Identity(u128);

impl Identity {
    /// With one more pair.
    #[inline]
    pub(crate) fn with(self, pair: Identity) -> Identity {
        Identity(self.0.wrapping_add(pair.0))
    }
}

impl IdentityKeys {
    /// Of one pair.
    pub(crate) fn of_pair(&self, name: &str, value: &str) -> Identity {
        let half = |state: &RandomState| u128::from(state.hash_one((name, value)));
        Identity(half(&self.high) << 64 | half(&self.low))
    }

    /// Of a label set.
    #[cfg(test)]
    pub(crate) fn of(&self, labels: &Labels) -> Identity {
        let pairs = labels.iter().map(|(name, value)| self.of_pair(name, value));
        pairs.fold(Identity::default(), Identity::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_label_sets_apart() {
        let keys = IdentityKeys::default();
        let sets: &[&[(&str, &str)]] = &[
            &[],
            &[("a", "b")],
            &[("ab", "c")],
            &[("a", "bc")],
            &[("a", "b"), ("c", "d")],
            &[("a", "d"), ("c", "b")],
            &[("a", "c"), ("b", "d")],
        ];
        let of = |pairs: &[(&str, &str)]| keys.of(&Labels::from_pairs(pairs.iter().copied()));
        for (at, a) in sets.iter().enumerate() {
            for (other, b) in sets.iter().enumerate() {
                assert_eq!(of(a) == of(b), at == other, "{a:?} {b:?}");
            }
        }
        assert_eq!(of(&[("c", "d"), ("a", "b")]), of(sets[4]));
    }
}
