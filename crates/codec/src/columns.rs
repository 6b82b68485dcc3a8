//! Pages: up to some hundred columns of float64 values that compress together, each readable alone.
//!
//! A column of whole numbers, or of numbers with few decimals, is predicted and divided as
//! [`crate::ints`] does it; each residual then becomes one *class* byte (its bit length and its
//! three highest bits) and a *tail* of the bits below, which are noise and are stored as they are.
//! The class bytes of all columns of the page go through zstd together, where columns of the same
//! kind share what they learn; the tails stay addressable column by column.
//!
//! A column may follow from others of its page, and then takes next to nothing: what is free from
//! what is used, a percentage from both, a usage from the steps of a counter and of a clock
//! (`relations`). Other percentages become the two columns of whole numbers that they are
//! quotients of, of ticks in float seconds (`ticks`) or of anything (`quotient`), and a third that
//! corrects last places. Reading such a column reads those that it rests on.
//!
//! All other columns are [`crate::floats`] (XOR, raw), a constant, or say that they equal an
//! earlier column.
//!
//! ```text
//! page   = size headers  (size << 1 | packed) frame  tails
//! header = 0 bits64 | 1 signed                 ; constant, constant whole number
//!        | 2 distance                          ; the same values as so many columns before
//!        | 3 size                              ; `size` bytes of the tails hold a `floats` column
//!        | 4 factor whole whole whole          ; factor * first / second, plus third last places
//!        | 5 flags factor operand operand whole; the same; flag 1: first / second * factor
//!        | 6 n { column sign } whole           ; a sum of columns (column << 1 | minus) and numbers
//!        | classes
//! operand = 0 bits64 | 1 signed | classes      ; numbers
//!        | 2 column | 3 column                 ; another column; its steps, the first of which is 0
//!        | 4 shift whole whole                 ; ticks in seconds, and how many 2^-shift they are off
//!        | 5 column                            ; what another column, a ratio, is divided by
//! whole  = 1 signed | classes
//! classes = 128 + scale << 4 + exceptions << 3 + shape << 2 + predictor
//!          [n { gap bits64 }] first [step] divisor middle size
//! frame  = class bytes, of all `classes` in turn; zstd if packed
//! tails  = for every `classes` and `floats` in turn its bytes
//! ```
//! A column without values has no header. How many values each column has is not written: the
//! decoder is told. Sizes, gaps, distances and `divisor` are varints; `first`, `step` and `middle`
//! are signed ones.

mod decode;
mod encode;
mod quotient;
mod ratio;
mod relations;
mod ticks;

pub use decode::{DecodeScratch, Page};
pub use encode::{Scratch, encode};

const CONSTANT: u8 = 0;
const CONSTANT_WHOLE: u8 = 1;
const SAME: u8 = 2;
const FLOATS: u8 = 3;
const QUOTIENT: u8 = 4;
const RATIO: u8 = 5;
const SUM: u8 = 6;
const CLASSES: u8 = 128;

/// Operands of a ratio, besides constants and classes.
const OF_COLUMN: u8 = 2;
const OF_STEPS: u8 = 3;
const OF_SECONDS: u8 = 4;
const OF_DENOMINATOR: u8 = 5;
/// Set if a ratio is multiplied after dividing.
const AFTER: u8 = 1;

/// Residuals below this are a class of their own, without a tail.
const PLAIN: u64 = 16;
/// Up to this bit length a class knows three bits below the highest.
const FINE_BITS: u32 = 28;
const COARSE: u8 = 16 + (FINE_BITS as u8 - 4) * 8;
const CLASS_COUNT: usize = COARSE as usize + 64 - FINE_BITS as usize;

/// The class of a residual and how many of its low bits are the tail.
#[inline]
fn class_of(residual: u64) -> (u8, u32) {
    if residual < PLAIN {
        return (residual as u8, 0);
    }
    let bits = 64 - residual.leading_zeros();
    if bits <= FINE_BITS {
        let top = (residual >> (bits - 4)) as u8 & 7;
        (16 + (bits as u8 - 5) * 8 + top, bits - 4)
    } else {
        (COARSE + (bits - FINE_BITS - 1) as u8, bits - 1)
    }
}

/// For every class its smallest residual and the width of its tail.
static CLASS_TABLE: [(u64, u8); CLASS_COUNT] = class_table();

const fn class_table() -> [(u64, u8); CLASS_COUNT] {
    let mut table = [(0, 0); CLASS_COUNT];
    let mut class = 0;
    while class < CLASS_COUNT {
        let c = class as u64;
        table[class] = if c < PLAIN {
            (c, 0)
        } else if c < COARSE as u64 {
            let bits = 5 + (c - 16) / 8;
            ((8 | ((c - 16) % 8)) << (bits - 4), bits as u8 - 4)
        } else {
            let bits = FINE_BITS as u64 + 1 + c - COARSE as u64;
            (1 << (bits - 1), bits as u8 - 1)
        };
        class += 1;
    }
    table
}

/// From what a value is predicted; as in [`crate::ints`].
const FIRST: u8 = 0;
const LAST: u8 = 1;
const LINE: u8 = 2;

/// Set if residuals lie around the middle (zigzag), else they lie above it.
const AROUND: u8 = 4;
const EXCEPTIONS: u8 = 8;

#[cfg(test)]
mod tests;
