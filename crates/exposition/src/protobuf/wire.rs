//! Protobuf on the wire: the fields of a message, one after the other, as slices of the page.
//!
//! What is refused, and with which text, is as in the decoder that Prometheus's generator writes:
//! a known field of another wire type is an error, an unknown one is passed over, groups included.

use crate::ParseError;

/// Walks over the fields of one message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// The message's name, for errors.
    message: &'static str,
    /// Of the field that [`Fields::next`] found last.
    wire_type: u8,
}

const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;
const GROUP_START: u8 = 3;
const GROUP_END: u8 = 4;
const FIXED32: u8 = 5;

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], message: &'static str) -> Fields<'a> {
        Fields {
            rest: bytes,
            message,
            wire_type: VARINT,
        }
    }

    /// The number of the next field; `None` at the end. Its value has to be taken before the next
    /// call, or passed over with [`Fields::skip`].
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<i32>, ParseError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = take_varint(&mut self.rest)?;
        // The number has 32 bits: others fall off.
        let number = (tag >> 3) as i32;
        self.wire_type = (tag & 7) as u8;
        if self.wire_type == GROUP_END {
            return Err(ParseError(format!(
                "proto: {}: wiretype end group for non-group",
                self.message
            )));
        }
        if number <= 0 {
            return Err(ParseError(format!(
                "proto: {}: illegal tag {number} (wire type {tag})",
                self.message
            )));
        }
        Ok(Some(number))
    }

    /// The value of the field `name` that is bytes, text or a message.
    #[inline]
    pub(super) fn bytes(&mut self, name: &str) -> Result<&'a [u8], ParseError> {
        self.expect(BYTES, name)?;
        take_bytes(&mut self.rest)
    }

    /// The value of the field `name` that is a whole number.
    #[inline]
    pub(super) fn varint(&mut self, name: &str) -> Result<u64, ParseError> {
        self.expect(VARINT, name)?;
        take_varint(&mut self.rest)
    }

    /// The value of the field `name` that is a double.
    #[inline]
    pub(super) fn double(&mut self, name: &str) -> Result<f64, ParseError> {
        self.expect(FIXED64, name)?;
        take_double(&mut self.rest)
    }

    /// The values of the repeated field `name` of whole numbers, packed or a single one.
    pub(super) fn varints(
        &mut self,
        name: &str,
        mut each: impl FnMut(u64),
    ) -> Result<(), ParseError> {
        if self.wire_type != BYTES {
            each(self.varint(name)?);
            return Ok(());
        }
        let mut packed = take_bytes(&mut self.rest)?;
        while !packed.is_empty() {
            each(take_varint(&mut packed)?);
        }
        Ok(())
    }

    /// The values of the repeated field `name` of doubles, packed or a single one.
    pub(super) fn doubles(
        &mut self,
        name: &str,
        mut each: impl FnMut(f64),
    ) -> Result<(), ParseError> {
        if self.wire_type != BYTES {
            each(self.double(name)?);
            return Ok(());
        }
        let mut packed = take_bytes(&mut self.rest)?;
        while !packed.is_empty() {
            each(take_double(&mut packed)?);
        }
        Ok(())
    }

    /// Passes over the value of the field, whatever it is.
    pub(super) fn skip(&mut self) -> Result<(), ParseError> {
        let mut depth = 0_usize;
        let mut wire_type = self.wire_type;
        loop {
            match wire_type {
                VARINT => {
                    take_varint(&mut self.rest)?;
                }
                FIXED64 => {
                    take(&mut self.rest, 8)?;
                }
                BYTES => {
                    take_bytes(&mut self.rest)?;
                }
                GROUP_START => depth += 1,
                GROUP_END if depth == 0 => {
                    return Err(ParseError("proto: unexpected end of group".to_owned()));
                }
                GROUP_END => depth -= 1,
                FIXED32 => {
                    take(&mut self.rest, 4)?;
                }
                other => return Err(ParseError(format!("proto: illegal wireType {other}"))),
            }
            if depth == 0 {
                return Ok(());
            }
            wire_type = (take_varint(&mut self.rest)? & 7) as u8;
        }
    }

    #[inline]
    fn expect(&self, wire_type: u8, name: &str) -> Result<(), ParseError> {
        if self.wire_type == wire_type {
            return Ok(());
        }
        Err(ParseError(format!(
            "proto: wrong wireType = {} for field {name}",
            self.wire_type
        )))
    }
}

/// A message after its length, as pages line them up; `None` at the end of the page.
pub(super) fn take_delimited<'a>(page: &mut &'a [u8]) -> Result<Option<&'a [u8]>, ParseError> {
    /// A length has no more bytes: 32 bits.
    const LENGTH_BYTES_MAX: usize = 5;
    if page.is_empty() {
        return Ok(None);
    }
    let mut rest = *page;
    let length = take_varint(&mut rest).ok();
    let length_bytes = page.len() - rest.len();
    let length = length
        .filter(|_| length_bytes <= LENGTH_BYTES_MAX)
        .ok_or_else(|| ParseError("clientpb: invalid varint encountered".to_owned()))?;
    let message = usize::try_from(length)
        .ok()
        .and_then(|length| rest.split_at_checked(length));
    let Some((message, rest)) = message else {
        return Err(ParseError(format!(
            "clientpb: insufficient length of buffer, expected at least {} bytes, got {} bytes",
            length.saturating_add(length_bytes as u64),
            page.len()
        )));
    };
    *page = rest;
    Ok(Some(message))
}

/// A signed number whose sign is in the lowest bit.
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// The same in 32 bits; what is above falls off.
pub(super) fn zigzag32(value: u64) -> i32 {
    let value = value as u32;
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[inline]
fn take_varint(rest: &mut &[u8]) -> Result<u64, ParseError> {
    if let [byte, after @ ..] = *rest
        && *byte < 0x80
    {
        *rest = after;
        return Ok(u64::from(*byte));
    }
    take_long_varint(rest)
}

fn take_long_varint(rest: &mut &[u8]) -> Result<u64, ParseError> {
    let mut value = 0_u64;
    let mut shift = 0;
    loop {
        if shift >= 64 {
            return Err(ParseError("proto: integer overflow".to_owned()));
        }
        let Some((&byte, after)) = rest.split_first() else {
            return Err(unexpected_end());
        };
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
        shift += 7;
    }
}

fn take_double(rest: &mut &[u8]) -> Result<f64, ParseError> {
    let (bytes, after) = rest.split_first_chunk().ok_or_else(unexpected_end)?;
    *rest = after;
    Ok(f64::from_le_bytes(*bytes))
}

#[inline]
fn take_bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], ParseError> {
    let length = take_varint(rest)?;
    if length > i64::MAX.cast_unsigned() {
        let text = "proto: negative length found during unmarshaling";
        return Err(ParseError(text.to_owned()));
    }
    take(rest, usize::try_from(length).unwrap_or(usize::MAX))
}

#[inline]
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ParseError> {
    let (bytes, after) = rest.split_at_checked(length).ok_or_else(unexpected_end)?;
    *rest = after;
    Ok(bytes)
}

#[cold]
fn unexpected_end() -> ParseError {
    ParseError("unexpected EOF".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_numbers() {
        for (wire, value) in [
            (0, 0),
            (1, -1),
            (2, 1),
            (u64::MAX, i64::MIN),
            (u64::MAX - 1, i64::MAX),
        ] {
            assert_eq!(zigzag(wire), value);
        }
        assert_eq!(zigzag32(u64::from(u32::MAX)), i32::MIN);
        assert_eq!(zigzag32(105), -53);
    }

    #[test]
    fn fields_of_all_kinds() {
        #[track_caller]
        fn check(bytes: &[u8], want: &str) {
            let mut fields = Fields::new(bytes, "Thing");
            let mut walk = || -> Result<String, ParseError> {
                let mut out = String::new();
                while let Some(number) = fields.next()? {
                    match number {
                        1 => out += &format!("{} ", fields.varint("One")?),
                        2 => out += &format!("{:?} ", fields.bytes("Two")?),
                        3 => out += &format!("{} ", fields.double("Three")?),
                        4 => fields.varints("Four", |value| out += &format!("{value},"))?,
                        5 => fields.doubles("Five", |value| out += &format!("{value},"))?,
                        _ => fields.skip()?,
                    }
                }
                Ok(out)
            };
            let got = walk().unwrap_or_else(|error| error.to_string());
            assert_eq!(got, want, "{bytes:x?}");
        }
        check(b"", "");
        check(b"\x08\x96\x01\x12\x02ab", "150 [97, 98] ");
        check(b"\x19\0\0\0\0\0\0\xf8\x3f", "1.5 ");
        check(b"\x20\x05\x22\x03\x01\x96\x01\x22\0", "5,1,150,");
        check(
            b"\x2a\x08\0\0\0\0\0\0\xf8\x3f\x29\0\0\0\0\0\0\xf8\x3f",
            "1.5,1.5,",
        );
        // Unknown: all wire types, and a group within a group.
        check(
            b"\x30\x81\x01\x31\x01\x02\x03\x04\x05\x06\x07\x08\x32\x01x\x35\x01\x02\x03\x04\
              \x33\x3b\x08\x01\x3c\x34\x08\x07",
            "7 ",
        );
        check(b"\x33\x08\x01", "unexpected EOF");
        check(b"\x33\x37\x34", "proto: illegal wireType 7");
        check(b"\x3e", "proto: illegal wireType 6");
        check(b"\x0c", "proto: Thing: wiretype end group for non-group");
        check(b"\x02\0", "proto: Thing: illegal tag 0 (wire type 2)");
        check(b"\x0a\x01x", "proto: wrong wireType = 2 for field One");
        check(b"\x12\x02a", "unexpected EOF");
        check(b"\x08\x80", "unexpected EOF");
        check(
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "proto: integer overflow",
        );
        check(
            b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            "proto: negative length found during unmarshaling",
        );
        check(b"\x19\0", "unexpected EOF");
        check(b"\x2a\x04\0\0\0\0", "unexpected EOF");
    }

    #[test]
    fn messages_after_their_lengths() {
        #[track_caller]
        fn check(page: &[u8], want: &str) {
            let mut rest = page;
            let mut out = String::new();
            let end = loop {
                match take_delimited(&mut rest) {
                    Ok(Some(message)) => out += &format!("{message:?} "),
                    Ok(None) => break "end".to_owned(),
                    Err(error) => break error.to_string(),
                }
            };
            assert_eq!(out + &end, want);
        }
        check(b"", "end");
        check(b"\0\x02ab", "[] [97, 98] end");
        check(
            b"\x03ab",
            "clientpb: insufficient length of buffer, expected at least 4 bytes, got 3 bytes",
        );
        check(b"\x80", "clientpb: invalid varint encountered");
        check(
            b"\x80\x80\x80\x80\x80\0",
            "clientpb: invalid varint encountered",
        );
    }
}
