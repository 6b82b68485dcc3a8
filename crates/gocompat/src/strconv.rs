//! Number and string text as Go's `strconv` reads and writes it.

mod float;
mod number;
mod printable;
mod quote;

pub use float::{
    JSON_FLOAT_ROOM, append_float_e, append_float_f, append_json_float, format_float_e,
    format_float_f, format_float_g, write_json_float,
};
pub use number::{NumError, NumErrorKind, parse_float, parse_int, parse_uint};
pub use quote::{UnquoteError, is_print, quote, unquote};
