//! What a page consists of.

use std::borrow::Cow;

use model::{FloatHistogram, Histogram, MetricType};

use crate::Format;

/// One entry of a page. In the text formats that is a line, but for blank ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Entry<'a> {
    /// A sample.
    Sample(Sample<'a>),
    /// A native histogram; in the text formats only when classic ones are converted.
    Histogram(HistogramSample<'a>),
    /// `# TYPE family kind`
    Type {
        /// The metric family, as written, without quotes.
        family: &'a [u8],
        /// Its type.
        kind: MetricType,
    },
    /// `# HELP family text`
    Help {
        /// The metric family, as written, without quotes.
        family: &'a [u8],
        /// Its help text as written; see [`crate::PageFormat::unescape_help`].
        text: &'a str,
    },
    /// `# UNIT family unit`; not in the classic text format.
    Unit {
        /// The metric family, as written, without quotes.
        family: &'a [u8],
        /// Its unit.
        unit: &'a [u8],
    },
    /// Any other line that begins with `#`, in the classic text format only.
    Comment(&'a [u8]),
}

/// A sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// The series as the page writes it, name and labels, byte by byte: the key of a scrape cache.
    /// [`crate::SeriesLabels::read`] makes labels of it.
    pub series: &'a [u8],
    /// The value. In the text formats a NaN has always the same bits
    /// ([`model::value::NORMAL_NAN_BITS`]), and is never the staleness marker; protobuf has the
    /// bits that were sent.
    pub value: f64,
    /// The timestamp in milliseconds, if the sample has one.
    pub timestamp_ms: Option<i64>,
    /// When the counter began, in milliseconds since 1970; 0 if the page does not say.
    pub start_ms: i64,
    /// The type that the last `# TYPE` line said, of whichever family. It decides about the
    /// normalisation of `le` and `quantile`.
    pub kind: MetricType,
    /// The exemplar; not in the classic text format.
    pub exemplar: Option<Exemplar<'a>>,
}

/// A sample that is a native histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HistogramSample<'a> {
    /// As [`Sample::series`].
    pub series: &'a [u8],
    /// The histogram, compact; whether it can be right is for whoever stores it to check.
    pub value: HistogramValue<'a>,
    /// The timestamp in milliseconds, if the sample has one.
    pub timestamp_ms: Option<i64>,
    /// As [`Sample::start_ms`].
    pub start_ms: i64,
    /// The exemplars, in the order of the page.
    pub exemplars: &'a [Exemplar<'a>],
}

/// A native histogram as the page has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HistogramValue<'a> {
    /// With counts that are whole numbers.
    Integer(&'a Histogram),
    /// With counts that are floats.
    Float(&'a FloatHistogram),
}

/// The labels of an exemplar as the page writes them; [`crate::SeriesLabels::read_exemplar`] makes
/// labels of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExemplarLabels<'a> {
    /// What stands between the braces, with the closing one.
    Text(&'a [u8]),
    /// The message `Exemplar`.
    Protobuf(&'a [u8]),
}

/// An exemplar of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar<'a> {
    /// Its labels.
    pub labels: ExemplarLabels<'a>,
    /// Its value.
    pub value: f64,
    /// Its timestamp in milliseconds, if it has one.
    pub timestamp_ms: Option<i64>,
}

/// The help text without its escapes: `\\` and `\n`, in OpenMetrics also `\"`.
#[must_use]
pub(crate) fn unescape_help(text: &str, format: Format) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    push_unescaped(&mut out, text, format == Format::OpenMetrics);
    Cow::Owned(out)
}

/// Appends `text` without the escapes `\\`, `\n` and, with `quotes`, `\"`; others stay as they are.
pub(crate) fn push_unescaped(out: &mut String, text: &str, quotes: bool) {
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let replaced = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => Some('\\'),
            Some(b'n') => Some('\n'),
            Some(b'"') if quotes => Some('"'),
            _ => None,
        };
        out.push(replaced.unwrap_or('\\'));
        rest = &rest[at + 1 + usize::from(replaced.is_some())..];
    }
    out.push_str(rest);
}
