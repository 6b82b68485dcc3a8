//! Names of blocks: 48 bits of time and 80 bits of chance in 26 characters that sort by time.

use std::fmt;
use std::str::FromStr;

/// The 32 digits: no I, L, O, U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const LENGTH: usize = 26;

/// The name of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ulid(u128);

impl Ulid {
    /// A name made at `time_ms` since 1970, told apart from others by the lowest 80 bits of
    /// `entropy`.
    #[must_use]
    pub fn new(time_ms: u64, entropy: u128) -> Ulid {
        Ulid(u128::from(time_ms) << 80 | entropy & ((1 << 80) - 1))
    }

    /// When it was made, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in (0..LENGTH).rev() {
            let digit = DIGITS[(self.0 >> (5 * at)) as usize & 31];
            write!(f, "{}", char::from(digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is no ULID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ULID")]
pub struct NotUlid;

impl FromStr for Ulid {
    type Err = NotUlid;

    fn from_str(text: &str) -> Result<Ulid, NotUlid> {
        if text.len() != LENGTH || text.as_bytes()[0] > b'7' {
            return Err(NotUlid);
        }
        let mut value = 0;
        for byte in text.bytes() {
            let upper = byte.to_ascii_uppercase();
            let digit = DIGITS.iter().position(|digit| *digit == upper);
            value = value << 5 | digit.ok_or(NotUlid)? as u128;
        }
        Ok(Ulid(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_number_agree() {
        for text in [
            "01BZJ9WJQPWHGNC2W4J9TA62KC",
            "00000000000000000000000000",
            "7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        ] {
            assert_eq!(text.parse::<Ulid>().unwrap().to_string(), text);
        }
        let made = Ulid::new(1_700_000_000_000, u128::MAX);
        assert_eq!(made.time_ms(), 1_700_000_000_000);
        assert_eq!(made.to_string().parse(), Ok(made));
        for wrong in [
            "",
            "8ZZZZZZZZZZZZZZZZZZZZZZZZZ",
            "01BZJ9WJQPWHGNC2W4J9TA62KU",
            "chunks_head",
        ] {
            assert_eq!(wrong.parse::<Ulid>(), Err(NotUlid), "{wrong}");
        }
    }
}
