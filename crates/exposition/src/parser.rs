//! The pull parser of the text formats.
//!
//! [`Parser::next`] first tries the plain way (`crate::plain`), which reads nearly every line of
//! nearly every page; what it does not take goes through the lexer, token by token, from the
//! beginning of the line. So only one of the two has to be exact about malformed input.

use model::{MetricType, NORMAL_NAN_BITS};

use crate::created::{Met, Starts, has_start, is_created};
use crate::error::{ParseError, quote};
use crate::lexer::{Lexer, Token};
use crate::{Entry, Exemplar, ExemplarLabels, Format, Sample, number, plain};

/// What becomes of OpenMetrics's `_created` series of counters, histograms and summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CreatedSeries {
    /// They are samples as any other: Prometheus's default.
    #[default]
    Keep,
    /// They are left out, and their values are the starts of the samples that they are about.
    AsStarts,
}

/// How a text page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParserOptions {
    /// The page's format.
    pub format: Format,
    /// About `_created` series, OpenMetrics only.
    pub created: CreatedSeries,
}

/// Pulls the entries out of a text page.
#[derive(Debug)]
pub struct Parser<'a> {
    lexer: Lexer<'a>,
    options: ParserOptions,
    /// Where the line begins.
    line: usize,
    kind: MetricType,
    /// What is known of starts, if they are asked for.
    starts: Option<Box<Starts>>,
}

/// The name of a series while its labels are read, from where to where.
type NameSpan = Option<(usize, usize)>;

impl<'a> Parser<'a> {
    /// A parser at the beginning of `page`.
    #[must_use]
    pub fn new(page: &'a [u8], options: ParserOptions) -> Parser<'a> {
        Parser {
            lexer: Lexer::new(page, options.format),
            options,
            line: 0,
            kind: MetricType::Unknown,
            starts: (options.created == CreatedSeries::AsStarts
                && options.format == Format::OpenMetrics)
                .then(Box::default),
        }
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// If the page is malformed here. Nothing that came before may be used then, and what further
    /// calls answer means nothing.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator would go on after an error"
    )]
    pub fn next(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        loop {
            let entry = match self.plain_sample() {
                Some(sample) => Entry::Sample(sample),
                None => match self.line()? {
                    Some(entry) => entry,
                    None => return Ok(None),
                },
            };
            match entry {
                Entry::Sample(sample) if self.is_left_out(&sample) => {}
                Entry::Sample(mut sample) if self.starts.is_some() => {
                    sample.start_ms = self.start_of(&sample);
                    return Ok(Some(Entry::Sample(sample)));
                }
                entry => return Ok(Some(entry)),
            }
        }
    }

    /// The value and timestamp (in milliseconds) of the next line, if it is a plain sample of
    /// exactly the series `expected`. If not, or if the line has anything unusual, `None`: the
    /// parser stays where it is, and [`Parser::next`] reads the line.
    ///
    /// `expected` must be a series text that a parser of the same format and options handed out.
    #[inline]
    pub fn next_predicted(&mut self, expected: &[u8]) -> Option<(f64, Option<i64>)> {
        self.next_if(expected.len(), |series| series == expected)
    }

    /// As [`Parser::next_predicted`], for a caller that knows of the expected series' text only how
    /// long it is and how to recognise it (by a hash, say).
    #[inline]
    pub fn next_if(
        &mut self,
        length: usize,
        is_expected: impl FnOnce(&[u8]) -> bool,
    ) -> Option<(f64, Option<i64>)> {
        if !self.lexer.at_line() || self.starts.is_some() && has_start(self.kind) {
            return None;
        }
        let rest = self.lexer.page.get(self.lexer.at..)?;
        let (series, tail) = rest.split_at_checked(length)?;
        // The blank tells most other lines apart before their text is looked at.
        if tail.first() != Some(&b' ') || !is_expected(series) {
            return None;
        }
        let plain = plain::tail(tail, self.options.format)?;
        self.lexer.at += length + plain.length;
        Some((plain.value, plain.timestamp_ms))
    }

    fn plain_sample(&mut self) -> Option<Sample<'a>> {
        if !self.lexer.at_line() {
            return None;
        }
        let rest = self.lexer.page.get(self.lexer.at..)?;
        let length = plain::series_length(rest, self.options.format)?;
        let (series, tail) = rest.split_at(length);
        let plain = plain::tail(tail, self.options.format)?;
        self.lexer.at += length + plain.length;
        Some(Sample {
            series,
            value: plain.value,
            timestamp_ms: plain.timestamp_ms,
            start_ms: 0,
            kind: self.kind,
            exemplar: None,
        })
    }

    /// One entry by way of the lexer.
    fn line(&mut self) -> Result<Option<Entry<'a>>, ParseError> {
        let classic = self.options.format == Format::PrometheusText;
        loop {
            self.line = self.lexer.at;
            match self.token() {
                Token::Eof if classic => return Ok(None),
                Token::Eof => return Err(no_end()),
                Token::EofWord if self.token() == Token::Eof => return Ok(None),
                Token::EofWord => return Err(ParseError("unexpected data after # EOF".into())),
                Token::Linebreak if classic => {}
                word @ (Token::Help | Token::Type | Token::Unit) => {
                    return self.metadata(word).map(Some);
                }
                Token::Comment if classic => return self.comment().map(Some),
                first @ (Token::BraceOpen | Token::MetricName) => {
                    return self.sample(first).map(|sample| Some(Entry::Sample(sample)));
                }
                other => return Err(self.unexpected("expected a valid start token", other)),
            }
        }
    }

    fn token(&mut self) -> Token {
        loop {
            match self.lexer.next() {
                Token::Whitespace => {}
                token => return token,
            }
        }
    }

    fn comment(&mut self) -> Result<Entry<'a>, ParseError> {
        let text = self.lexer.token();
        match self.token() {
            Token::Linebreak => Ok(Entry::Comment(text)),
            other => Err(self.unexpected("linebreak expected after comment", other)),
        }
    }

    /// The rest of a line of metadata after its word.
    fn metadata(&mut self, word: Token) -> Result<Entry<'a>, ParseError> {
        let family = match self.token() {
            Token::MetricName => without_quotes(self.lexer.token()),
            other => {
                return Err(self.unexpected(&format!("expected metric name after {word}"), other));
            }
        };
        let text = self.metadata_text(word)?;
        let entry = match word {
            Token::Type => Entry::Type {
                family,
                kind: self.metric_type(text)?,
            },
            Token::Help => Entry::Help {
                family,
                text: std::str::from_utf8(text).map_err(|_| {
                    ParseError(format!(
                        "help text {} is not a valid utf8 string",
                        quote(text)
                    ))
                })?,
            },
            _ => Entry::Unit {
                family,
                unit: checked_unit(family, text)?,
            },
        };
        if self.options.format == Format::PrometheusText {
            match self.token() {
                Token::Linebreak => {}
                other => {
                    return Err(self.unexpected("linebreak expected after metadata", other));
                }
            }
        }
        if let Entry::Type { kind, .. } = entry {
            self.kind = kind;
        }
        if let Some(starts) = &mut self.starts {
            starts.begin_family(family);
        }
        Ok(entry)
    }

    /// The text after the family, without the blank before it and, in OpenMetrics, without the line
    /// break that its token has.
    fn metadata_text(&mut self, word: Token) -> Result<&'a [u8], ParseError> {
        let token = self.token();
        let text = self.lexer.token();
        match (token, self.options.format) {
            (Token::Text, Format::PrometheusText) => Ok(text.get(1..).unwrap_or_default()),
            (Token::Text, Format::OpenMetrics) => {
                Ok(text.get(1..text.len() - 1).unwrap_or_default())
            }
            (other, Format::PrometheusText) => {
                Err(ParseError(format!("expected text in {word}, got {other}")))
            }
            (_, Format::OpenMetrics) => Err(ParseError(format!("expected text in {word}"))),
        }
    }

    fn metric_type(&self, text: &[u8]) -> Result<MetricType, ParseError> {
        let openmetrics = self.options.format == Format::OpenMetrics;
        Ok(match text {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"summary" => MetricType::Summary,
            b"untyped" if !openmetrics => MetricType::Unknown,
            b"unknown" if openmetrics => MetricType::Unknown,
            b"gaugehistogram" if openmetrics => MetricType::GaugeHistogram,
            b"info" if openmetrics => MetricType::Info,
            b"stateset" if openmetrics => MetricType::Stateset,
            _ => return Err(ParseError(format!("invalid metric type {}", quote(text)))),
        })
    }

    /// A sample line after its first token.
    fn sample(&mut self, first: Token) -> Result<Sample<'a>, ParseError> {
        let mut name: NameSpan = None;
        let mut series_end = self.lexer.at;
        let after = match first {
            Token::MetricName => {
                name = Some((self.line, self.lexer.at));
                match self.token() {
                    Token::BraceOpen => None,
                    other => Some(other),
                }
            }
            _ => None,
        };
        let after = match after {
            Some(token) => token,
            None => {
                self.labels(&mut name, false)?;
                series_end = self.lexer.at;
                self.token()
            }
        };
        if name.is_none() {
            return Err(ParseError(format!(
                "metric name not set while parsing: {}",
                self.quoted_line()
            )));
        }
        let value = self.value(after, "metric")?;
        let mut sample = Sample {
            series: self.lexer.slice(self.line, series_end),
            value,
            timestamp_ms: None,
            start_ms: 0,
            kind: self.kind,
            exemplar: None,
        };
        match self.options.format {
            Format::PrometheusText => self.classic_end(&mut sample)?,
            Format::OpenMetrics => self.openmetrics_end(&mut sample)?,
        }
        Ok(sample)
    }

    /// What stands between braces, after the opening one. A quoted name without a value is the
    /// metric's.
    fn labels(&mut self, name: &mut NameSpan, exemplar: bool) -> Result<(), ParseError> {
        let mut token = self.token();
        loop {
            let quoted = match token {
                Token::BraceClose => return Ok(()),
                Token::LabelName => false,
                Token::Quoted => true,
                other => return Err(self.unexpected("expected label name", other)),
            };
            let span = (self.lexer.start, self.lexer.at);
            token = self.token();
            if quoted && matches!(token, Token::Comma | Token::BraceClose) {
                if exemplar {
                    return Err(self.unexpected("expected label name", token));
                }
                if name.is_some() {
                    return Err(ParseError(format!(
                        "metric name already set while parsing: {}",
                        self.quoted_line()
                    )));
                }
                *name = Some(span);
                if token == Token::BraceClose {
                    return Ok(());
                }
                token = self.token();
                continue;
            }
            if token != Token::Equal {
                return Err(self.unexpected("expected equal", token));
            }
            self.label_value()?;
            token = self.token();
            if token == Token::Comma {
                token = self.token();
            } else if token != Token::BraceClose && self.options.format == Format::OpenMetrics {
                return Err(self.unexpected("expected comma or brace close", token));
            }
        }
    }

    fn label_value(&mut self) -> Result<(), ParseError> {
        match self.token() {
            Token::LabelValue => {}
            other => return Err(self.unexpected("expected label value", other)),
        }
        let value = self.lexer.token();
        match std::str::from_utf8(value) {
            Ok(_) => Ok(()),
            Err(_) => Err(ParseError(format!(
                "invalid UTF-8 label value: {}",
                quote(value)
            ))),
        }
    }

    fn value(&mut self, token: Token, after: &str) -> Result<f64, ParseError> {
        if token != Token::Value {
            return Err(self.unexpected(&format!("expected value after {after}"), token));
        }
        let value = self.float()?;
        Ok(if value.is_nan() {
            f64::from_bits(NORMAL_NAN_BITS)
        } else {
            value
        })
    }

    /// The token as a float. In OpenMetrics the space before is part of the token.
    fn float(&self) -> Result<f64, ParseError> {
        let token = self.lexer.token();
        let text = match self.options.format {
            Format::PrometheusText => token,
            Format::OpenMetrics => token.get(1..).unwrap_or_default(),
        };
        number::parse_float(text).map_err(|error| self.while_parsing(&error))
    }

    /// After the value: an optional timestamp in milliseconds.
    fn classic_end(&mut self, sample: &mut Sample<'a>) -> Result<(), ParseError> {
        match self.token() {
            Token::Linebreak => return Ok(()),
            Token::Timestamp => {}
            other => return Err(self.unexpected("expected timestamp or new record", other)),
        }
        let text = String::from_utf8_lossy(self.lexer.token());
        let timestamp_ms = gocompat::strconv::parse_int(&text, 10)
            .map_err(|error| self.while_parsing(&error.to_string()))?;
        sample.timestamp_ms = Some(timestamp_ms);
        match self.token() {
            Token::Linebreak => Ok(()),
            other => Err(self.unexpected("expected next entry after timestamp", other)),
        }
    }

    /// After the value: an optional timestamp in seconds, an optional exemplar.
    fn openmetrics_end(&mut self, sample: &mut Sample<'a>) -> Result<(), ParseError> {
        match self.token() {
            Token::Eof => Err(no_end()),
            Token::Comment => self.exemplar(sample),
            Token::Timestamp => {
                sample.timestamp_ms = Some(self.timestamp_ms("timestamp")?);
                match self.token() {
                    Token::Linebreak => Ok(()),
                    Token::Comment => self.exemplar(sample),
                    other => Err(self.unexpected("expected next entry after timestamp", other)),
                }
            }
            // Anything else passes here, as upstream; the next line then begins with it and fails.
            _ => Ok(()),
        }
    }

    fn exemplar(&mut self, sample: &mut Sample<'a>) -> Result<(), ParseError> {
        let labels_start = self.lexer.at;
        self.labels(&mut None, true)?;
        let labels = ExemplarLabels::Text(self.lexer.slice(labels_start, self.lexer.at));
        let token = self.token();
        let value = self.value(token, "exemplar labels")?;
        let mut exemplar = Exemplar {
            labels,
            value,
            timestamp_ms: None,
        };
        match self.token() {
            Token::Eof => return Err(no_end()),
            Token::Linebreak => {}
            Token::Timestamp => {
                exemplar.timestamp_ms = Some(self.timestamp_ms("exemplar timestamp")?);
                match self.token() {
                    Token::Linebreak => {}
                    other => {
                        return Err(
                            self.unexpected("expected next entry after exemplar timestamp", other)
                        );
                    }
                }
            }
            other => return Err(self.unexpected("expected timestamp or comment", other)),
        }
        sample.exemplar = Some(exemplar);
        Ok(())
    }

    /// The token, in seconds, as milliseconds.
    fn timestamp_ms(&self, what: &str) -> Result<i64, ParseError> {
        let seconds = self.float()?;
        if !seconds.is_finite() {
            let seconds = gocompat::strconv::format_float_f(seconds);
            return Err(ParseError(format!("invalid {what} {seconds}")));
        }
        Ok(number::to_integer(seconds * 1000.0))
    }

    /// Whether the caller does not want to see the sample.
    fn is_left_out(&self, sample: &Sample<'a>) -> bool {
        self.starts.is_some()
            && has_start(sample.kind)
            && is_created(crate::series::metric_name(sample.series))
    }

    /// When the counter of a sample started, 0 if the page does not say.
    fn start_of(&mut self, sample: &Sample<'a>) -> i64 {
        let Some(mut starts) = self.starts.take() else {
            return 0;
        };
        let start_ms = starts.of(sample.series, sample.kind, self.lexer.at, || {
            self.look_ahead()
        });
        self.starts = Some(starts);
        start_ms
    }

    /// The first `_created` line from here on, among those of the family.
    fn look_ahead(&self) -> Met<'a> {
        let mut parser = Parser {
            lexer: self.lexer.clone(),
            starts: None,
            ..*self
        };
        loop {
            let at = parser.lexer.at;
            // An error is met again when the page is read on.
            let Ok(Some(Entry::Sample(sample))) = parser.next() else {
                return Met { at, line: None };
            };
            if is_created(crate::series::metric_name(sample.series)) {
                let start_ms = number::to_integer(sample.value * 1000.0);
                let line = Some((sample.series, start_ms));
                return Met { at, line };
            }
        }
    }

    /// An error about the token, with one byte more, and the line up to there.
    fn unexpected(&self, expected: &str, got: Token) -> ParseError {
        let end = self.lexer.end().min(self.lexer.at + 1);
        ParseError(format!(
            "{expected}, got {} (\"{got}\") while parsing: {}",
            self.quoted(self.lexer.start, end),
            self.quoted(self.line, end)
        ))
    }

    fn while_parsing(&self, error: &str) -> ParseError {
        ParseError(format!("{error} while parsing: {}", self.quoted_line()))
    }

    fn quoted_line(&self) -> String {
        self.quoted(self.line, self.lexer.at)
    }

    /// A part of the page in Go's quotes; with the line break in thought, if it reaches there.
    fn quoted(&self, from: usize, to: usize) -> String {
        let mut bytes = self.lexer.slice(from, to).to_vec();
        if to > self.lexer.page.len() && from <= self.lexer.page.len() {
            let in_thought = self.lexer.end() - self.lexer.page.len();
            bytes.extend(std::iter::repeat_n(b'\n', in_thought));
        }
        quote(&bytes)
    }
}

fn no_end() -> ParseError {
    ParseError("data does not end with # EOF".to_owned())
}

fn without_quotes(name: &[u8]) -> &[u8] {
    match name {
        [b'"', inner @ .., b'"'] => inner,
        name => name,
    }
}

/// OpenMetrics wants the unit at the end of the family's name.
fn checked_unit<'a>(family: &[u8], unit: &'a [u8]) -> Result<&'a [u8], ParseError> {
    let fits = unit.is_empty()
        || family
            .strip_suffix(unit)
            .is_some_and(|before| before.ends_with(b"_"));
    if fits {
        Ok(unit)
    } else {
        Err(ParseError(format!(
            "unit {} not a suffix of metric {}",
            quote(unit),
            quote(family)
        )))
    }
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
