//! Why a page or a series of it is refused.

/// Why a page is refused. A page with one bad line is refused as a whole, as Prometheus does; the
/// text is Prometheus's and is shown as the target's last error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub(crate) String);

/// Why the text of a series makes no label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeriesError {
    /// A quoted metric or label name is not UTF-8. The text is that of a label set whose names do
    /// not pass validation.
    #[error("invalid metric name or label names: {series}")]
    NameNotUtf8 {
        /// The series, printable.
        series: String,
    },
    /// A label is there twice; storage refuses such a series with this text.
    #[error("label name \"{name}\" is not unique: invalid sample")]
    Duplicate {
        /// The label's name.
        name: String,
    },
    /// The name of a label is empty or no UTF-8.
    #[error("invalid label name: {name}")]
    LabelName {
        /// The name, printable.
        name: String,
    },
    /// The value of a label is no UTF-8.
    #[error("invalid label value: {value}")]
    LabelValue {
        /// The value, printable.
        value: String,
    },
    /// A label of a protobuf page cannot be decoded.
    #[error(transparent)]
    Label(#[from] ParseError),
    /// The text is no series; one that a [`crate::Parser`] handed out never is that.
    #[error("no series: {series}")]
    Malformed {
        /// The text, printable.
        series: String,
    },
}

/// Bytes as Go's `%q` shows them: bytes that are no UTF-8 as `\xff`.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let quoted = gocompat::strconv::quote(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}
