//! `meta.json` and identifiers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::wal::frame::FUZZING;

/// A block's identifier: 48 bits of milliseconds since 1970 and 80 random bits, as 26 characters
/// of Crockford's base 32. Sorts by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Ulid(u128);

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl Ulid {
    /// A new one for something made at `created_ms`.
    #[must_use]
    pub fn new(created_ms: i64) -> Ulid {
        let time = u128::from(created_ms.max(0).unsigned_abs()) & ((1 << 48) - 1);
        Ulid(time << 80 | fastrand::u128(..) & ((1 << 80) - 1))
    }

    /// The milliseconds since 1970 in it.
    #[must_use]
    pub fn created_ms(self) -> i64 {
        (self.0 >> 80) as i64
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in (0..26).rev() {
            let digit = DIGITS[(self.0 >> (5 * at) & 31) as usize];
            f.write_fmt(format_args!("{}", char::from(digit)))?;
        }
        Ok(())
    }
}

/// The text is not a ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ULID")]
pub struct UlidError;

impl FromStr for Ulid {
    type Err = UlidError;

    fn from_str(text: &str) -> Result<Ulid, UlidError> {
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(UlidError);
        }
        let mut value = 0;
        for byte in text.bytes() {
            let digit = DIGITS.iter().position(|&d| d == byte).ok_or(UlidError)?;
            value = value << 5 | digit as u128;
        }
        Ok(Ulid(value))
    }
}

impl From<Ulid> for String {
    fn from(ulid: Ulid) -> String {
        ulid.to_string()
    }
}

impl TryFrom<String> for Ulid {
    type Error = UlidError;

    fn try_from(text: String) -> Result<Ulid, UlidError> {
        text.parse()
    }
}

/// Counts of a block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockStats {
    /// Samples, staleness markers among them.
    pub num_samples: u64,
    /// Those that are floats. Blocks of versions before 3 do not say so: there, all are.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_float_samples: u64,
    /// Those that are histograms.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_histogram_samples: u64,
    /// Series.
    pub num_series: u64,
    /// Columns of values: a series has one for each slice of time in which it has samples.
    pub num_chunks: u64,
    /// Stretches of series that are deleted and still lie there.
    #[serde(skip_serializing_if = "is_zero")]
    pub num_tombstones: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A block that went into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockParent {
    /// Its identifier.
    pub ulid: Ulid,
    /// Its first millisecond.
    pub min_time: i64,
    /// Its last millisecond, excluded.
    pub max_time: i64,
}

/// Where a block comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compaction {
    /// 1 for a block written from the head, one more than its parents' for others.
    pub level: u32,
    /// The blocks of level 1 that are in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Ulid>,
    /// The blocks that it was made of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<BlockParent>,
    /// Compacting it failed; it is left alone from then on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub failed: bool,
    /// How it differs from an ordinary block; blocks of different hints are never mixed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

/// What `meta.json` says. The keys that Prometheus has too mean the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockMeta {
    /// The block's identifier, the name of its folder.
    pub ulid: Ulid,
    /// First millisecond.
    pub min_time: i64,
    /// Last millisecond, excluded.
    pub max_time: i64,
    /// Counts.
    pub stats: BlockStats,
    /// Where it comes from.
    pub compaction: Compaction,
    /// Version of the shape of `meta.json`, as Prometheus counts it.
    pub version: u32,
    /// Version of our format of `data` and `index`.
    pub promontory_format: u64,
}

/// Comes before the checksum, which is the last key. A key with a bit flipped is another key, and
/// the rest is as it was.
const CHECKSUM_KEY: &str = ",\n  \"promontoryChecksum\": \"";

/// What follows the key.
fn ending(checksum: u32) -> String {
    format!("{checksum:08x}\"\n}}\n")
}

impl BlockMeta {
    /// The text of `meta.json`: times in it decide what is read from the log, so it has a checksum
    /// of what comes before that.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.truncate(text.trim_end_matches(['\n', '}']).len());
        let checksum = crc32c::crc32c(text.as_bytes());
        text.push_str(CHECKSUM_KEY);
        text.push_str(&ending(checksum));
        Ok(text)
    }

    /// Reads the text of `meta.json`; the first blocks have no checksum.
    pub(super) fn from_json(text: &[u8]) -> Result<BlockMeta, String> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let meta = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some((before, rest)) = text.split_once(CHECKSUM_KEY) {
            let checksum = crc32c::crc32c(before.as_bytes());
            if rest != ending(checksum) && !FUZZING {
                return Err("checksum".to_owned());
            }
        }
        Ok(meta)
    }

    /// Whether it holds nothing but samples that came late. Where another block has a sample of
    /// the same series and time, that one counts.
    #[must_use]
    pub fn is_out_of_order(&self) -> bool {
        let hints = &self.compaction.hints;
        hints.iter().any(|hint| hint == super::HINT_OUT_OF_ORDER)
    }

    /// Whether the block has something from `min_ms` to `max_ms`, both included.
    #[must_use]
    pub fn overlaps(&self, min_ms: i64, max_ms: i64) -> bool {
        self.min_time <= max_ms && min_ms < self.max_time
    }

    /// Whether all that the block has lies from `min_ms` to `max_ms`, both included.
    #[must_use]
    pub fn is_within(&self, min_ms: i64, max_ms: i64) -> bool {
        min_ms <= self.min_time && self.max_time - 1 <= max_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_has_a_checksum() {
        let old = br#"{"ulid":"01ARZ3NDEKTSV4RRFFQ69G5FAV","minTime":1,"maxTime":20,"stats":{},
            "compaction":{"level":1},"version":1,"promontoryFormat":1}"#;
        let meta = BlockMeta::from_json(old).unwrap();
        let text = meta.to_json().unwrap();
        assert!(text.ends_with("\"\n}\n"), "{text}");
        assert_eq!(BlockMeta::from_json(text.as_bytes()), Ok(meta.clone()));
        for bit in 0..8 * text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(read) = BlockMeta::from_json(&bytes) {
                assert_eq!(read, meta, "bit {bit}");
            }
        }
    }

    #[test]
    fn ulids_sort_by_time_and_print_like_everybody_elses() {
        // The example of the ULID specification: its first ten digits are the time.
        let known: Ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(known.to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(known.created_ms(), 1_469_922_850_259);
        let (early, late) = (Ulid::new(1_000), Ulid::new(2_000));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.created_ms(), 1_000);
        for bad in [
            "",
            "01ARZ3NDEKTSV4RRFFQ69G5FA",
            "81ARZ3NDEKTSV4RRFFQ69G5FAV",
            "01ARZ3NDEKTSV4RRFFQ69G5FAU",
            "é1ARZ3NDEKTSV4RRFFQ69G5FA",
        ] {
            assert!(bad.parse::<Ulid>().is_err(), "{bad}");
        }
    }
}
