//! Writing JSON to bytes, as the API writes it.
//!
//! [`Json`] puts the commas; nothing is built up in between. Texts come in two kinds, as upstream:
//! plain texts escape `<`, `>` and `&` (`json.Marshal`), label sets in query answers do not
//! (web/api/v1/json_codec.go).

use gocompat::strconv::append_json_float;
use model::histogram::Bucket;
use model::{FloatHistogram, Labels};

/// A JSON text that grows.
#[derive(Debug, Default)]
pub(crate) struct Json {
    bytes: Vec<u8>,
    /// Whether the next value or key needs a comma before it.
    comma: bool,
}

impl Json {
    pub(crate) fn new() -> Json {
        Json::default()
    }

    /// A text that goes on with the next item of an array.
    pub(crate) fn continued() -> Json {
        Json {
            comma: true,
            ..Json::default()
        }
    }

    /// The text so far.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes that were not taken yet.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Writes one value, as bytes.
    pub(crate) fn value_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.separate();
        write(&mut self.bytes);
    }

    /// Takes what is written so far; writing goes on after it.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.bytes.len());
        std::mem::replace(&mut self.bytes, next)
    }

    fn open(&mut self, bracket: u8) {
        self.separate();
        self.bytes.push(bracket);
        self.comma = false;
    }

    fn close(&mut self, bracket: u8) {
        self.bytes.push(bracket);
        self.comma = true;
    }

    fn separate(&mut self) {
        if self.comma {
            self.bytes.push(b',');
        }
        self.comma = true;
    }

    /// `{`, what `fields` writes, `}`.
    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Json)) {
        self.open(b'{');
        fields(self);
        self.close(b'}');
    }

    /// `[`, what `items` writes, `]`.
    pub(crate) fn array(&mut self, items: impl FnOnce(&mut Json)) {
        self.open(b'[');
        items(self);
        self.close(b']');
    }

    /// `[` that [`Json::end_array`] closes, for arrays that are written piece by piece.
    pub(crate) fn begin_array(&mut self) {
        self.open(b'[');
    }

    /// `]`
    pub(crate) fn end_array(&mut self) {
        self.close(b']');
    }

    /// `{` that [`Json::end_object`] closes.
    pub(crate) fn begin_object(&mut self) {
        self.open(b'{');
    }

    /// `}`
    pub(crate) fn end_object(&mut self) {
        self.close(b'}');
    }

    /// The key of the value that comes next.
    pub(crate) fn key(&mut self, key: &str) -> &mut Json {
        self.text(key);
        self.bytes.push(b':');
        self.comma = false;
        self
    }

    /// A text, safe within HTML.
    pub(crate) fn text(&mut self, text: &str) {
        self.separate();
        push_text(&mut self.bytes, text, true);
    }

    /// A text in which `<`, `>` and `&` stay as they are, for files.
    pub(crate) fn plain_text(&mut self, text: &str) {
        self.separate();
        push_text(&mut self.bytes, text, false);
    }

    /// A whole number.
    pub(crate) fn int(&mut self, value: i64) {
        self.separate();
        push_uint_signed(&mut self.bytes, value);
    }

    /// A whole number without sign.
    pub(crate) fn uint(&mut self, value: u64) {
        self.separate();
        push_uint(&mut self.bytes, value);
    }

    /// A number; what JSON cannot say (NaN, infinities) becomes 0.
    pub(crate) fn float(&mut self, value: f64) {
        self.separate();
        let value = if value.is_finite() { value } else { 0.0 };
        append_json_float(&mut self.bytes, value);
    }

    /// `true` or `false`.
    pub(crate) fn bool(&mut self, value: bool) {
        self.raw(if value { b"true" } else { b"false" });
    }

    /// `null`.
    pub(crate) fn null(&mut self) {
        self.raw(b"null");
    }

    /// A value that is JSON already.
    pub(crate) fn raw(&mut self, json: &[u8]) {
        self.separate();
        self.bytes.extend_from_slice(json);
    }

    /// A label set as an object, in its order. `<`, `>` and `&` stay as they are.
    pub(crate) fn labels(&mut self, labels: &Labels) {
        self.separate();
        self.bytes.push(b'{');
        for (at, (name, value)) in labels.iter().enumerate() {
            if at > 0 {
                self.bytes.push(b',');
            }
            push_text(&mut self.bytes, name, false);
            self.bytes.push(b':');
            push_text(&mut self.bytes, value, false);
        }
        self.bytes.push(b'}');
    }

    /// A time in milliseconds as seconds.
    pub(crate) fn time(&mut self, time_ms: i64) {
        self.separate();
        push_time(&mut self.bytes, time_ms);
    }

    /// `[time,"value"]`
    pub(crate) fn point(&mut self, time_ms: i64, value: f64) {
        self.separate();
        self.bytes.push(b'[');
        push_time(&mut self.bytes, time_ms);
        self.bytes.push(b',');
        push_value(&mut self.bytes, value);
        self.bytes.push(b']');
    }

    /// `[time,{"count":"1","sum":"2","buckets":[[0,"1","2","1"]]}]`, with populated buckets only.
    pub(crate) fn histogram_point(&mut self, time_ms: i64, histogram: &FloatHistogram) {
        self.array(|json| {
            json.time(time_ms);
            json.object(|json| {
                json.key("count").value(histogram.count);
                json.key("sum").value(histogram.sum);
                let mut buckets = histogram.ascending().filter(|b| b.count != 0.0).peekable();
                if buckets.peek().is_some() {
                    json.key("buckets")
                        .array(|json| buckets.for_each(|bucket| json.bucket(&bucket)));
                }
            });
        });
    }

    /// `[rule,"lower","upper","count"]`; the rule says which of the bounds belong to the bucket.
    fn bucket(&mut self, bucket: &Bucket) {
        let rule = match (bucket.lower_inclusive, bucket.upper_inclusive) {
            (false, true) => 0,
            (true, false) => 1,
            (false, false) => 2,
            (true, true) => 3,
        };
        self.array(|json| {
            json.uint(rule);
            json.value(bucket.lower);
            json.value(bucket.upper);
            json.value(bucket.count);
        });
    }

    /// A sample value: a number as a text.
    pub(crate) fn value(&mut self, value: f64) {
        self.separate();
        push_value(&mut self.bytes, value);
    }
}

fn push_value(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    append_json_float(out, value);
    out.push(b'"');
}

/// Room for a time as [`push_time`] writes it: at most `-9223372036854775.808`.
pub(crate) const TIME_BYTES_MAX: usize = 21;

/// Seconds with as many as three decimals: none if they are zero, otherwise all three.
pub(crate) fn push_time(out: &mut Vec<u8>, time_ms: i64) {
    if time_ms < 0 {
        out.push(b'-');
    }
    let size = time_ms.unsigned_abs();
    push_uint(out, size / 1000);
    let rest = size % 1000;
    if rest != 0 {
        let digit = |by: u64| b'0' + (rest / by % 10) as u8;
        out.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
    }
}

fn push_uint_signed(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_uint(out, value.unsigned_abs());
}

fn push_uint(out: &mut Vec<u8>, mut value: u64) {
    /// `u64::MAX` has 20 digits.
    const DIGITS_MAX: usize = 20;
    let mut digits = [0u8; DIGITS_MAX];
    let mut at = DIGITS_MAX;
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn push_text(out: &mut Vec<u8>, text: &str, html_safe: bool) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|&b| needs_escape(b, html_safe)) {
        out.extend_from_slice(&rest[..at]);
        let taken = push_escaped(out, &rest[at..], html_safe);
        rest = &rest[at + taken..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[inline]
fn needs_escape(byte: u8, html_safe: bool) -> bool {
    // 0xe2 starts the two line separators that are no JavaScript.
    byte < 0x20
        || byte == b'"'
        || byte == b'\\'
        || (html_safe && matches!(byte, b'<' | b'>' | b'&' | 0xe2))
}

/// Writes the first character of `rest`, escaped if need be; returns how long it was.
fn push_escaped(out: &mut Vec<u8>, rest: &[u8], html_safe: bool) -> usize {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match rest {
        [c @ (b'"' | b'\\'), ..] => out.extend_from_slice(&[b'\\', *c]),
        [b'\n', ..] => out.extend_from_slice(b"\\n"),
        [b'\r', ..] => out.extend_from_slice(b"\\r"),
        [b'\t', ..] => out.extend_from_slice(b"\\t"),
        [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] if html_safe => {
            out.extend_from_slice(b"\\u202");
            out.push(HEX[usize::from(last & 0xf)]);
            return 3;
        }
        [0xe2, ..] => out.push(0xe2),
        [c, ..] => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[HEX[usize::from(c >> 4)], HEX[usize::from(c & 0xf)]]);
        }
        [] => return 0,
    }
    1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Json)) -> String {
        let mut json = Json::new();
        write(&mut json);
        String::from_utf8(json.into_bytes()).unwrap()
    }

    #[test]
    fn texts_are_escaped_as_go_does() {
        for (text, plain, label) in [
            ("a", r#""a""#, r#""a""#),
            ("\"\\\n\r\t", r#""\"\\\n\r\t""#, r#""\"\\\n\r\t""#),
            (
                "\u{8}\u{1f}\u{7f}",
                "\"\\u0008\\u001f\u{7f}\"",
                "\"\\u0008\\u001f\u{7f}\"",
            ),
            ("<a&b>", r#""\u003ca\u0026b\u003e""#, r#""<a&b>""#),
            (
                "é€\u{2028}x\u{2029}",
                "\"é€\\u2028x\\u2029\"",
                "\"é€\u{2028}x\u{2029}\"",
            ),
        ] {
            assert_eq!(written(|json| json.text(text)), plain);
            let labels = Labels::from_pairs([("l", text)]);
            assert_eq!(
                written(|json| json.labels(&labels)),
                format!("{{\"l\":{label}}}")
            );
        }
    }

    #[test]
    fn times_and_values() {
        for (time_ms, text) in [
            (0, "0"),
            (1, "0.001"),
            (10, "0.010"),
            (120, "0.120"),
            (1_435_781_451_781, "1435781451.781"),
            (1_435_781_451_000, "1435781451"),
            (-1, "-0.001"),
            (-1_500, "-1.500"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|json| json.time(time_ms)), text);
        }
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(
                written(|json| json.point(0, value)),
                format!("[0,\"{text}\"]")
            );
        }
    }

    #[test]
    fn commas_fall_where_they_belong() {
        let text = written(|json| {
            json.object(|json| {
                json.key("a").array(|_| {});
                json.key("b").array(|json| {
                    json.int(-1);
                    json.uint(u64::MAX);
                    json.point(1_500, 2.0);
                    json.labels(&Labels::empty());
                });
                json.key("c").object(|json| json.key("d").null());
                json.key("e").bool(true);
                json.key("f").float(f64::NAN);
                json.key("g").raw(b"[1]");
            });
        });
        assert_eq!(
            text,
            r#"{"a":[],"b":[-1,18446744073709551615,[1.500,"2"],{}],"c":{"d":null},"e":true,"f":0,"g":[1]}"#
        );
    }
}
