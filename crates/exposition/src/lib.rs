//! Expositions: the formats in which targets say what they measure.
//!
//! [`PageParser`] pulls [`Entry`]s out of a page that lies in memory, one at a time, without
//! allocating but for native histograms: what an entry holds are slices of the page. A sample names
//! its series by bytes, in the text formats the raw text (`http_requests_total{code="200"}`), which
//! is what a scrape cache is keyed by; [`SeriesLabels`] turns them into labels when a series is seen
//! for the first time.
//!
//! A target says the same series in the same order on every scrape. [`Parser::next_predicted`]
//! makes use of it: given the text that should come, it costs one `memcmp` and the number.
//!
//! The parsers accept, refuse and word their errors as Prometheus 3.14 does
//! (model/textparse upstream), also where that is laxer than the OpenMetrics specification.
//!
//! Which parser a page needs is said by its `Content-Type`: [`PageFormat::choose`].

mod converting;
mod created;
mod custom_buckets;
mod entry;
mod error;
mod format;
mod lexer;
mod number;
mod page;
mod parser;
mod plain;
mod protobuf;
mod series;

pub use converting::ConvertingParser;
pub use entry::{Entry, Exemplar, ExemplarLabels, HistogramSample, HistogramValue, Sample};
pub use error::{ParseError, SeriesError};
pub use format::{Choice, Format, FormatError, PageFormat};
pub use page::{HistogramOptions, PageOptions, PageParser};
pub use parser::{CreatedSeries, Parser, ParserOptions};
pub use protobuf::ProtobufParser;
pub use series::SeriesLabels;
