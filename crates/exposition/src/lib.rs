//! Expositions: the text formats in which targets say what they measure.
//!
//! [`Parser`] pulls [`Entry`]s out of a page that lies in memory, one line at a time, without
//! allocating: what an entry holds are slices of the page. A sample names its series by the raw text
//! of the page (`http_requests_total{code="200"}`), which is what a scrape cache is keyed by;
//! [`SeriesLabels`] turns that text into labels when a series is seen for the first time.
//!
//! A target says the same series in the same order on every scrape. [`Parser::next_predicted`]
//! makes use of it: given the text that should come, it costs one `memcmp` and the number.
//!
//! The parser accepts, refuses and words its errors as Prometheus 3.14 does
//! (model/textparse upstream), also where that is laxer than the OpenMetrics specification.
//!
//! Which parser a page needs is said by its `Content-Type`: [`Format::choose`].

mod entry;
mod error;
mod format;
mod lexer;
mod number;
mod parser;
mod plain;
mod series;

pub use entry::{Entry, Exemplar, Sample, unescape_help};
pub use error::{ParseError, SeriesError};
pub use format::{Choice, Format, FormatError};
pub use parser::{CreatedSeries, Parser, ParserOptions};
pub use series::SeriesLabels;
