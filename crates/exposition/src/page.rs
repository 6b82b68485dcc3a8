//! One parser for pages of all formats.

use crate::{
    ConvertingParser, CreatedSeries, Entry, PageFormat, ParseError, Parser, ParserOptions,
    ProtobufParser,
};

/// What becomes of histograms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HistogramOptions {
    /// Native histograms are read; otherwise their classic buckets are, if only +Inf.
    pub native: bool,
    /// A classic histogram is read also if it is there as a native one, or is made one.
    pub keep_classic: bool,
    /// Classic histograms become native ones with custom buckets.
    pub convert_classic: bool,
}

/// How a page is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageOptions {
    /// About histograms.
    pub histograms: HistogramOptions,
    /// About `_created` series, OpenMetrics only.
    pub created: CreatedSeries,
}

/// Pulls the entries out of a page.
#[derive(Debug)]
pub enum PageParser<'a> {
    /// Of a text format.
    Text(Parser<'a>),
    /// Of a text format, with classic histograms converted.
    Converting(Box<ConvertingParser<'a>>),
    /// Of the protobuf format.
    Protobuf(Box<ProtobufParser<'a>>),
}

impl<'a> PageParser<'a> {
    /// A parser at the beginning of `page`.
    #[must_use]
    pub fn new(page: &'a [u8], format: PageFormat, options: PageOptions) -> PageParser<'a> {
        let PageOptions {
            histograms,
            created,
        } = options;
        match format {
            PageFormat::Protobuf => {
                PageParser::Protobuf(Box::new(ProtobufParser::new(page, histograms)))
            }
            PageFormat::Text(format) => {
                let parser = Parser::new(page, ParserOptions { format, created });
                if histograms.convert_classic {
                    let parser = ConvertingParser::new(parser, histograms.keep_classic);
                    PageParser::Converting(Box::new(parser))
                } else {
                    PageParser::Text(parser)
                }
            }
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
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, ParseError> {
        match self {
            PageParser::Text(parser) => parser.next(),
            PageParser::Converting(parser) => parser.next(),
            PageParser::Protobuf(parser) => parser.next(),
        }
    }

    /// As [`Parser::next_if`]; only plain text pages can tell.
    #[inline]
    pub fn next_if(
        &mut self,
        length: usize,
        is_expected: impl FnOnce(&[u8]) -> bool,
    ) -> Option<(f64, Option<i64>)> {
        match self {
            PageParser::Text(parser) => parser.next_if(length, is_expected),
            PageParser::Converting(_) | PageParser::Protobuf(_) => None,
        }
    }
}
