//! Tokens.

use gocompat::strconv::quote;
use model::histogram::CounterResetHint;

use crate::ast::{AggregateOp, BinaryOp};

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// End of the input; comes again and again.
    End,
    /// Nothing after it can be read; the lexer has the message.
    Error,
    Comment,
    /// Without a colon, so that it can be a label's name or a function's.
    Identifier,
    /// With a colon.
    MetricIdentifier,
    Number,
    Duration,
    /// With its quotes.
    String,
    Comma,
    Colon,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    /// `=`
    Assign,
    /// `=~`
    RegexEqual,
    /// `!~`
    RegexNotEqual,
    /// `@`
    At,
    /// An operator, as a symbol or a word.
    Op(BinaryOp),
    /// The name of an aggregation.
    Aggregate(AggregateOp),
    /// A word of the language.
    Keyword(Keyword),
    /// A word that is also a function.
    Preprocessor(Preprocessor),
    /// `_` in a series description.
    Blank,
    /// `x` in a series description.
    Times,
    /// White space in a series description.
    Space,
    /// `{{`
    OpenHistogram,
    /// `}}`
    CloseHistogram,
    /// A key of a histogram literal.
    HistogramKey(HistogramKey),
    /// A value of its `counter_reset_hint`.
    Hint(CounterResetHint),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keyword {
    Bool,
    By,
    GroupLeft,
    GroupRight,
    Fill,
    FillLeft,
    FillRight,
    Ignoring,
    Offset,
    Smoothed,
    Anchored,
    On,
    Without,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preprocessor {
    Start,
    End,
    Step,
    Range,
    MaxOf,
    MinOf,
}

/// In the order of Prometheus's grammar, which its error texts count by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HistogramKey {
    Sum,
    Count,
    Schema,
    Offset,
    NegativeOffset,
    Buckets,
    NegativeBuckets,
    ZeroBucket,
    ZeroBucketWidth,
    CustomValues,
    CounterResetHint,
}

impl HistogramKey {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            HistogramKey::Sum => "sum",
            HistogramKey::Count => "count",
            HistogramKey::Schema => "schema",
            HistogramKey::Offset => "offset",
            HistogramKey::NegativeOffset => "n_offset",
            HistogramKey::Buckets => "buckets",
            HistogramKey::NegativeBuckets => "n_buckets",
            HistogramKey::ZeroBucket => "z_bucket",
            HistogramKey::ZeroBucketWidth => "z_bucket_w",
            HistogramKey::CustomValues => "custom_values",
            HistogramKey::CounterResetHint => "counter_reset_hint",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<HistogramKey> {
        Some(match name.to_ascii_lowercase().as_str() {
            "sum" => HistogramKey::Sum,
            "count" => HistogramKey::Count,
            "schema" => HistogramKey::Schema,
            "offset" => HistogramKey::Offset,
            "n_offset" => HistogramKey::NegativeOffset,
            "buckets" => HistogramKey::Buckets,
            "n_buckets" => HistogramKey::NegativeBuckets,
            "z_bucket" => HistogramKey::ZeroBucket,
            "z_bucket_w" => HistogramKey::ZeroBucketWidth,
            "custom_values" => HistogramKey::CustomValues,
            "counter_reset_hint" => HistogramKey::CounterResetHint,
            _ => return None,
        })
    }
}

/// The word as a counter reset hint, in any case.
pub(crate) fn hint(word: &str) -> Option<CounterResetHint> {
    Some(match word.to_ascii_lowercase().as_str() {
        "unknown" => CounterResetHint::Unknown,
        "reset" => CounterResetHint::Reset,
        "not_reset" => CounterResetHint::NotReset,
        "gauge" => CounterResetHint::Gauge,
        _ => return None,
    })
}

/// The word as one of the language, in any case.
pub(crate) fn word(word: &str) -> Option<Kind> {
    /// Length of the longest of the words below.
    const WORD_BYTES_MAX: usize = 12;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "and" => Kind::Op(BinaryOp::And),
        "or" => Kind::Op(BinaryOp::Or),
        "unless" => Kind::Op(BinaryOp::Unless),
        "atan2" => Kind::Op(BinaryOp::Atan2),
        "sum" => Kind::Aggregate(AggregateOp::Sum),
        "avg" => Kind::Aggregate(AggregateOp::Avg),
        "count" => Kind::Aggregate(AggregateOp::Count),
        "min" => Kind::Aggregate(AggregateOp::Min),
        "max" => Kind::Aggregate(AggregateOp::Max),
        "group" => Kind::Aggregate(AggregateOp::Group),
        "stddev" => Kind::Aggregate(AggregateOp::Stddev),
        "stdvar" => Kind::Aggregate(AggregateOp::Stdvar),
        "topk" => Kind::Aggregate(AggregateOp::Topk),
        "bottomk" => Kind::Aggregate(AggregateOp::Bottomk),
        "count_values" => Kind::Aggregate(AggregateOp::CountValues),
        "quantile" => Kind::Aggregate(AggregateOp::Quantile),
        "limitk" => Kind::Aggregate(AggregateOp::Limitk),
        "limit_ratio" => Kind::Aggregate(AggregateOp::LimitRatio),
        "offset" => Kind::Keyword(Keyword::Offset),
        "smoothed" => Kind::Keyword(Keyword::Smoothed),
        "anchored" => Kind::Keyword(Keyword::Anchored),
        "by" => Kind::Keyword(Keyword::By),
        "without" => Kind::Keyword(Keyword::Without),
        "on" => Kind::Keyword(Keyword::On),
        "ignoring" => Kind::Keyword(Keyword::Ignoring),
        "group_left" => Kind::Keyword(Keyword::GroupLeft),
        "group_right" => Kind::Keyword(Keyword::GroupRight),
        "fill" => Kind::Keyword(Keyword::Fill),
        "fill_left" => Kind::Keyword(Keyword::FillLeft),
        "fill_right" => Kind::Keyword(Keyword::FillRight),
        "bool" => Kind::Keyword(Keyword::Bool),
        "start" => Kind::Preprocessor(Preprocessor::Start),
        "end" => Kind::Preprocessor(Preprocessor::End),
        "inf" | "nan" => Kind::Number,
        other => Kind::Preprocessor(duration_word(other)?),
    })
}

/// The word, in any case, as one that duration expressions know.
pub(crate) fn duration_word(word: &str) -> Option<Preprocessor> {
    Some(match word.to_ascii_lowercase().as_str() {
        "step" => Preprocessor::Step,
        "range" => Preprocessor::Range,
        "max_of" => Preprocessor::MaxOf,
        "min_of" => Preprocessor::MinOf,
        _ => return None,
    })
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    /// How errors name the token, given its text.
    pub(crate) fn describe(&self, text: &str) -> String {
        match self.kind {
            Kind::End => "end of input".to_owned(),
            Kind::Comment => format!("comment {}", shortened(text)),
            Kind::Identifier => format!("identifier {}", quote(text)),
            Kind::MetricIdentifier => format!("metric identifier {}", quote(text)),
            Kind::Number => format!("number {}", shortened(text)),
            Kind::Duration => format!("duration {}", shortened(text)),
            Kind::String => format!("string {}", shortened(text)),
            Kind::Op(_) | Kind::At | Kind::RegexEqual | Kind::RegexNotEqual => {
                format!("<op:{text}>")
            }
            Kind::Aggregate(_) => format!("<aggr:{text}>"),
            Kind::Keyword(_) => format!("<{text}>"),
            Kind::HistogramKey(key) => numbered(57_370 + key as u32, text),
            Kind::Hint(hint) => numbered(57_445 + hint as u32, text),
            _ => shortened(text),
        }
    }
}

/// Prometheus has no name for the words of histogram literals and prints their number in its
/// generated parser.
fn numbered(number: u32, text: &str) -> String {
    format!("\"<Item {number}>\" {}", shortened(text))
}

/// The quoted text, cut to ten characters if it is longer than ten bytes.
fn shortened(text: &str) -> String {
    const SHOWN_MAX: usize = 10;
    if text.len() <= SHOWN_MAX {
        return quote(text);
    }
    let cut = text
        .char_indices()
        .nth(SHOWN_MAX)
        .map_or(text.len(), |(at, _)| at);
    format!("{}...", quote(&text[..cut]))
}
