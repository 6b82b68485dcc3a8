//! From the text of a series, or its key on a protobuf page, to labels.

use model::{METRIC_NAME, MetricType};

use crate::entry::push_unescaped;
use crate::error::quote;
use crate::lexer::{is_blank, is_label, is_name};
use crate::protobuf::{self, KeyParts};
use crate::{ExemplarLabels, SeriesError};

/// The labels of one series, sorted by name, in buffers that are reused from series to series.
///
/// Labels with an empty value are among them: with `honor_labels` an exposed empty label says that
/// the target's label must not be added.
#[derive(Debug, Default)]
pub struct SeriesLabels {
    text: String,
    pairs: Vec<Pair>,
}

/// Where a label stands in the text.
#[derive(Debug, Clone, Copy)]
struct Pair {
    name: (usize, usize),
    value: (usize, usize),
}

impl SeriesLabels {
    /// Empty buffers.
    #[must_use]
    pub fn new() -> SeriesLabels {
        SeriesLabels::default()
    }

    /// Reads the text of a series as [`crate::Sample::series`] holds it; `kind` is
    /// [`crate::Sample::kind`]. The value of `le` of a histogram and of `quantile` of a summary is
    /// rewritten to OpenMetrics's canonical form of a float: `1` becomes `1.0`.
    ///
    /// # Errors
    /// If a name is no UTF-8 or is there twice.
    pub fn read(&mut self, series: &[u8], kind: MetricType) -> Result<(), SeriesError> {
        self.text.clear();
        self.pairs.clear();
        if let Some(parts) = KeyParts::of(series) {
            return self.read_key(parts);
        }
        let canonical = match kind {
            MetricType::Histogram => "le",
            MetricType::Summary => "quantile",
            _ => "",
        };
        for item in Items::of_series(series) {
            let item = item.ok_or_else(|| malformed(series))?;
            let name = match item.name {
                Some(name) => self.push(name, true),
                None => self.push(METRIC_NAME.as_bytes(), false),
            };
            let name = name.map_err(|_| SeriesError::NameNotUtf8 {
                series: String::from_utf8_lossy(series).into_owned(),
            })?;
            let value = self.push(item.value, true).map_err(|_| match item.name {
                Some(_) => malformed(series),
                None => SeriesError::NameNotUtf8 {
                    series: String::from_utf8_lossy(series).into_owned(),
                },
            })?;
            self.pairs.push(Pair { name, value });
            if item.name.is_some() && self.slice(name) == canonical {
                self.canonicalise_last();
            }
        }
        self.sort()
    }

    /// Reads a series of a protobuf page.
    fn read_key(&mut self, mut parts: KeyParts<'_>) -> Result<(), SeriesError> {
        // The parser has checked it.
        let family = std::str::from_utf8(parts.name).map_err(|_| malformed(parts.name))?;
        let name = self.push_text(METRIC_NAME);
        let from = self.push_text(family).0;
        let value = (from, self.push_text(parts.role.suffix()).1);
        self.pairs.push(Pair { name, value });
        for label in &mut parts {
            let (name, value) = protobuf::label_pair(label)?;
            self.push_checked(name, value)?;
        }
        if let Some((name, bound)) = parts.role.label() {
            let name = self.push_text(name);
            let from = self.text.len();
            push_openmetrics_float(&mut self.text, bound);
            let value = (from, self.text.len());
            self.pairs.push(Pair { name, value });
        }
        self.sort()
    }

    fn push_checked(&mut self, name: &[u8], value: &[u8]) -> Result<(), SeriesError> {
        let printable = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let name = match self.push(name, false) {
            Ok((from, to)) if from < to => (from, to),
            _ => {
                return Err(SeriesError::LabelName {
                    name: printable(name),
                });
            }
        };
        let value = self
            .push(value, false)
            .map_err(|_| SeriesError::LabelValue {
                value: printable(value),
            })?;
        self.pairs.push(Pair { name, value });
        Ok(())
    }

    /// Reads the labels of an exemplar. Escapes of text pages stay as they are, as in Prometheus.
    ///
    /// # Errors
    /// If a name is no UTF-8 or is there twice.
    pub fn read_exemplar(&mut self, labels: ExemplarLabels<'_>) -> Result<(), SeriesError> {
        self.text.clear();
        self.pairs.clear();
        match labels {
            ExemplarLabels::Text(labels) => self.read_exemplar_text(labels)?,
            ExemplarLabels::Protobuf(message) => {
                for label in protobuf::exemplar_labels(message) {
                    let (name, value) = label?;
                    self.push_checked(name, value)?;
                }
            }
        }
        self.sort()
    }

    fn read_exemplar_text(&mut self, labels: &[u8]) -> Result<(), SeriesError> {
        for item in (Items { rest: labels }) {
            let item = item.ok_or_else(|| malformed(labels))?;
            let name = item.name.ok_or_else(|| malformed(labels))?;
            let name = self
                .push(name, false)
                .map_err(|_| SeriesError::NameNotUtf8 {
                    series: String::from_utf8_lossy(labels).into_owned(),
                })?;
            let value = self
                .push(item.value, false)
                .map_err(|_| malformed(labels))?;
            self.pairs.push(Pair { name, value });
        }
        Ok(())
    }

    /// Gives a label another value; one that is not there is added.
    pub fn set(&mut self, name: &str, value: &str) {
        let value = self.push_text(value);
        let at = self
            .pairs
            .partition_point(|pair| self.slice(pair.name) < name);
        match self.pairs.get(at).map(|pair| self.slice(pair.name) == name) {
            Some(true) => self.pairs[at].value = value,
            _ => {
                let name = self.push_text(name);
                self.pairs.insert(at, Pair { name, value });
            }
        }
    }

    /// The pairs of name and value, sorted by name; the metric's name is `__name__`.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.pairs
            .iter()
            .map(|pair| (self.slice(pair.name), self.slice(pair.value)))
    }

    /// The labels, without those whose value is empty.
    #[must_use]
    pub fn to_labels(&self) -> model::Labels {
        model::Labels::from_sorted(self.iter())
    }

    fn slice(&self, (from, to): (usize, usize)) -> &str {
        &self.text[from..to]
    }

    fn push(&mut self, bytes: &[u8], escaped: bool) -> Result<(usize, usize), std::str::Utf8Error> {
        let text = std::str::from_utf8(bytes)?;
        let from = self.text.len();
        if escaped {
            push_unescaped(&mut self.text, text, true);
        } else {
            self.text.push_str(text);
        }
        Ok((from, self.text.len()))
    }

    fn push_text(&mut self, text: &str) -> (usize, usize) {
        let from = self.text.len();
        self.text.push_str(text);
        (from, self.text.len())
    }

    /// Rewrites the value that was pushed last, if it is a number.
    fn canonicalise_last(&mut self) {
        let Some(pair) = self.pairs.last().copied() else {
            return;
        };
        if let Ok(number) = gocompat::strconv::parse_float(self.slice(pair.value)) {
            self.text.truncate(pair.value.0);
            push_openmetrics_float(&mut self.text, number);
            let end = self.text.len();
            if let Some(last) = self.pairs.last_mut() {
                last.value.1 = end;
            }
        }
    }

    fn sort(&mut self) -> Result<(), SeriesError> {
        let SeriesLabels { text, pairs } = self;
        let name = |pair: &Pair| &text[pair.name.0..pair.name.1];
        pairs.sort_by(|a, b| name(a).cmp(name(b)));
        match pairs.windows(2).find(|two| name(&two[0]) == name(&two[1])) {
            Some(two) => Err(SeriesError::Duplicate {
                name: name(&two[0]).to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// The metric's name in the text of a series, escapes and all.
pub(crate) fn metric_name(series: &[u8]) -> &[u8] {
    Items::of_series(series)
        .flatten()
        .find(|item| item.name.is_none())
        .map_or(&[], |item| item.value)
}

/// Appends what two series have in common that count the same: the family and the labels but for
/// `le` and `quantile`, as they are written.
pub(crate) fn put_identity(series: &[u8], family: &[u8], kind: MetricType, out: &mut Vec<u8>) {
    let is_shared = |name: &[u8]| match kind {
        MetricType::Summary => name != b"quantile",
        MetricType::Histogram => name != b"le",
        _ => true,
    };
    out.extend_from_slice(family);
    for item in Items::of_series(series).flatten() {
        if let Some(name) = item.name.filter(|name| is_shared(name)) {
            // Neither can be in what precedes it.
            out.push(0xff);
            out.extend_from_slice(name);
            out.push(0xfe);
            out.extend_from_slice(item.value);
        }
    }
}

/// `1` as `1.0`: a float as OpenMetrics writes it, with a point or an exponent.
fn push_openmetrics_float(out: &mut String, number: f64) {
    let from = out.len();
    // Negative zero loses its sign.
    let number = if number == 0.0 { 0.0 } else { number };
    out.push_str(&gocompat::strconv::format_float_g(number));
    if number.is_finite() && !out[from..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

fn malformed(series: &[u8]) -> SeriesError {
    SeriesError::Malformed {
        series: quote(series),
    }
}

/// A label, or without a name the metric's name.
struct Item<'a> {
    name: Option<&'a [u8]>,
    value: &'a [u8],
}

/// Walks over what stands between braces. The parser has checked the text, so this only has to find
/// the parts of a text that is right; one that is not ends in `None`.
struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// The items of a series: its name, if that stands before the braces, then those between them.
    fn of_series(series: &'a [u8]) -> impl Iterator<Item = Option<Item<'a>>> {
        let blanks = series.iter().take_while(|byte| is_blank(**byte)).count();
        let length = blanks
            + series[blanks..]
                .iter()
                .take_while(|byte| is_name(**byte))
                .count();
        // Blanks before a name belong to it, as upstream.
        let name = (length > blanks).then(|| {
            Some(Item {
                name: None,
                value: &series[..length],
            })
        });
        let rest = series[length..].trim_ascii_start();
        name.into_iter().chain(Items {
            rest: rest.strip_prefix(b"{").unwrap_or(rest),
        })
    }

    fn skip_blanks(&mut self) {
        while let [byte, rest @ ..] = self.rest
            && is_blank(*byte)
        {
            self.rest = rest;
        }
    }

    /// Takes `byte`, after blanks, if it is next.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(&[byte]) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What stands up to the closing quote, after the opening one.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let mut at = 0;
        loop {
            match self.rest.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let inner = &self.rest[..at];
        self.rest = &self.rest[at + 1..];
        // The lexer passes over zero bytes here.
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        Some(inner)
    }

    fn item(&mut self) -> Option<Item<'a>> {
        let quoted = self.take(b'"');
        let name = if quoted {
            self.quoted()?
        } else {
            let length = self.rest.iter().take_while(|b| is_label(**b)).count();
            let (name, rest) = self.rest.split_at(length);
            self.rest = rest;
            name
        };
        if self.take(b'=') {
            if !self.take(b'"') {
                return None;
            }
            let value = self.quoted()?;
            return Some(Item {
                name: Some(name),
                value,
            });
        }
        quoted.then_some(Item {
            name: None,
            value: name,
        })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Option<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.take(b',') {}
        if self.take(b'}') || self.rest.is_empty() {
            self.rest = &[];
            return None;
        }
        let item = self.item();
        if item.is_none() {
            self.rest = &[];
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(series: &str, kind: MetricType, want: &[(&str, &str)]) {
        let mut labels = SeriesLabels::new();
        // What a reader has read before does not matter.
        labels.read(b"before{a=\"b\"}", kind).unwrap();
        labels.read(series.as_bytes(), kind).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), want, "{series}");
    }

    #[test]
    fn reads_and_sorts_labels() {
        let any = MetricType::Unknown;
        check("up", any, &[("__name__", "up")]);
        check("up{}", any, &[("__name__", "up")]);
        check(
            r#"a:b{z="1",A="2",m="",}"#,
            any,
            &[("A", "2"), ("__name__", "a:b"), ("m", ""), ("z", "1")],
        );
        check(
            r#"a { x = "1" , y="2" z="," }"#,
            any,
            &[("__name__", "a"), ("x", "1"), ("y", "2"), ("z", ",")],
        );
        check(
            r#"{"my.\\metric","l \"1\""="é",plain="\\\"\n\x}"}"#,
            any,
            &[
                ("__name__", "my.\\metric"),
                ("l \"1\"", "é"),
                ("plain", "\\\"\n\\x}"),
            ],
        );
        check(r#"{a="1","b"}"#, any, &[("__name__", "b"), ("a", "1")]);
    }

    /// The trap: buckets and quantiles are named alike, however an exporter writes them.
    #[test]
    fn buckets_and_quantiles_are_canonical() {
        for (written, canonical) in [
            ("1", "1.0"),
            ("1.0", "1.0"),
            ("1e3", "1000.0"),
            ("1e6", "1e+06"),
            ("1e-5", "1e-05"),
            ("0.5", "0.5"),
            ("00.50", "0.5"),
            ("-0", "0.0"),
            ("-1", "-1.0"),
            ("inf", "+Inf"),
            ("+Inf", "+Inf"),
            ("-Inf", "-Inf"),
            ("nan", "NaN"),
            ("x", "x"),
            ("1e400", "1e400"),
            ("12345678", "1.2345678e+07"),
        ] {
            for (kind, label) in [
                (MetricType::Histogram, "le"),
                (MetricType::Summary, "quantile"),
            ] {
                let series = format!("a{{{label}=\"{written}\",z=\"1\"}}");
                check(
                    &series,
                    kind,
                    &[("__name__", "a"), (label, canonical), ("z", "1")],
                );
                let other = MetricType::Gauge;
                check(
                    &series,
                    other,
                    &[("__name__", "a"), (label, written), ("z", "1")],
                );
            }
        }
        check(
            r#"a{le="1"}"#,
            MetricType::Summary,
            &[("__name__", "a"), ("le", "1")],
        );
    }

    #[test]
    fn refuses_what_is_no_label_set() {
        for (series, want) in [
            (
                &b"a{x=\"1\",x=\"1\"}"[..],
                "label name \"x\" is not unique: invalid sample",
            ),
            (
                b"a{__name__=\"b\"}",
                "label name \"__name__\" is not unique: invalid sample",
            ),
            (
                b"{\"\xff\"}",
                "invalid metric name or label names: {\"\u{fffd}\"}",
            ),
            (
                b"{\"a\",\"\xff\"=\"1\"}",
                "invalid metric name or label names: {\"a\",\"\u{fffd}\"=\"1\"}",
            ),
            (b"a{x", "no series: \"a{x\""),
            (b"a{x=1}", "no series: \"a{x=1}\""),
            (b"a{x=\"1", "no series: \"a{x=\\\"1\""),
            (b"a{x=\"\\", "no series: \"a{x=\\\"\\\\\""),
        ] {
            let error = SeriesLabels::new()
                .read(series, MetricType::Unknown)
                .unwrap_err();
            assert_eq!(error.to_string(), want);
        }
    }

    #[test]
    fn escapes_of_exemplars_stay() {
        let mut labels = SeriesLabels::new();
        labels
            .read_exemplar(ExemplarLabels::Text(br#"trace_id="a\"b\n",A="1"}"#))
            .unwrap();
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [("A", "1"), ("trace_id", "a\\\"b\\n")]
        );
        labels.read_exemplar(ExemplarLabels::Text(b"}")).unwrap();
        assert_eq!(labels.iter().count(), 0);
    }
}
