//! Start timestamps beside samples: the newer encodings have them where they are known.
//!
//! A header byte says whether the first sample has one and from which sample on there is one with
//! every sample. It is written as the distance from the timestamp before.

use crate::bits::BitReader;
use crate::error::Bad;

#[derive(Debug)]
pub(super) struct Starts {
    is_first_known: bool,
    /// First sample (not the 0th) with a start of its own; 0 for none.
    changed_on: u16,
    /// Samples read.
    read: u16,
    distance_ms: i64,
    start_ms: i64,
}

impl Starts {
    pub(super) fn new(header: u8) -> Starts {
        Starts {
            is_first_known: header & 0x80 != 0,
            changed_on: u16::from(header & 0x7f),
            read: 0,
            distance_ms: 0,
            start_ms: 0,
        }
    }

    /// The start of the next sample, which is at `now_ms` after one at `before_ms`.
    pub(super) fn next(
        &mut self,
        bits: &mut BitReader<'_>,
        before_ms: i64,
        now_ms: i64,
    ) -> Result<i64, Bad> {
        let index = self.read;
        self.read = self.read.saturating_add(1);
        if index == 0 {
            if self.is_first_known {
                self.distance_ms = bits.varint()?;
                self.start_ms = now_ms.wrapping_sub(self.distance_ms);
            }
        } else if self.changed_on > 0 && index >= self.changed_on {
            let change = bits.varbit()?;
            self.distance_ms = if index == self.changed_on {
                change
            } else {
                self.distance_ms.wrapping_add(change)
            };
            self.start_ms = before_ms.wrapping_sub(self.distance_ms);
        }
        Ok(self.start_ms)
    }
}
