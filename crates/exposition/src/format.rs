//! Which format a page is in.

use std::borrow::Cow;

use gocompat::strconv::quote;

use crate::entry;

/// The format of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageFormat {
    /// One of the text formats.
    Text(Format),
    /// Delimited `io.prometheus.client.MetricFamily` messages.
    Protobuf,
}

impl PageFormat {
    /// The help text of a page without its escapes.
    #[must_use]
    pub fn unescape_help(self, text: &str) -> Cow<'_, str> {
        match self {
            PageFormat::Text(format) => entry::unescape_help(text, format),
            PageFormat::Protobuf => Cow::Borrowed(text),
        }
    }
}

/// The format of a text page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus's text format, 0.0.4 and 1.0.0: the one parser reads both.
    PrometheusText,
    /// OpenMetrics text, 0.0.1 and 1.0.0.
    OpenMetrics,
}

/// The chosen format, and what was wrong with the answer's header if the fallback had to help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The format.
    pub format: PageFormat,
    /// Worth a line in the debug log, not an error.
    pub warning: Option<String>,
}

/// Why there is no parser for a page; the scrape fails with this text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FormatError(String);

impl PageFormat {
    /// The format that the header `Content-Type` says. If it says nothing that is known, then
    /// `fallback`, the media type of the job's `fallback_scrape_protocol` (empty if it has none).
    ///
    /// # Errors
    /// If neither helps.
    pub fn choose(content_type: &str, fallback: &str) -> Result<Choice, FormatError> {
        const NO_FALLBACK: &str = "and no fallback_scrape_protocol specified for target";
        let quoted = quote(content_type);
        let (problem, no_fallback, with_fallback) = match media_type(content_type) {
            _ if content_type.is_empty() => {
                let blank = "non-compliant scrape target sending blank Content-Type";
                (
                    String::new(),
                    format!("{blank} {NO_FALLBACK}"),
                    blank.to_owned(),
                )
            }
            Ok(media_type) => {
                if let Some(format) = PageFormat::of_media_type(&media_type) {
                    return Ok(Choice {
                        format,
                        warning: None,
                    });
                }
                let unsupported = format!("received unsupported Content-Type {quoted}");
                (
                    String::new(),
                    format!("{unsupported} {NO_FALLBACK}"),
                    unsupported,
                )
            }
            Err(reason) => (
                format!("\nmime: {reason}"),
                format!(
                    "cannot parse Content-Type {quoted} and no fallback_scrape_protocol for target"
                ),
                format!("could not parse received Content-Type {quoted}"),
            ),
        };
        if fallback.is_empty() {
            return Err(FormatError(format!("{no_fallback}{problem}")));
        }
        let warning = format!(
            "{with_fallback}, using fallback_scrape_protocol {}{problem}",
            quote(fallback)
        );
        match PageFormat::of_media_type(fallback) {
            Some(format) => Ok(Choice {
                format,
                warning: Some(warning),
            }),
            None => Err(FormatError(warning)),
        }
    }

    /// The format of a media type without parameters, in lower case.
    fn of_media_type(media_type: &str) -> Option<PageFormat> {
        match media_type {
            "text/plain" => Some(PageFormat::Text(Format::PrometheusText)),
            "application/openmetrics-text" => Some(PageFormat::Text(Format::OpenMetrics)),
            "application/vnd.google.protobuf" => Some(PageFormat::Protobuf),
            _ => None,
        }
    }
}

/// The media type of a `Content-Type`, in lower case, or what Go's `mime` finds wrong with it.
/// Parameters are checked for their form only: no version changes the parser.
fn media_type(content_type: &str) -> Result<String, &'static str> {
    let (base, parameters) = match content_type.find(';') {
        Some(at) => content_type.split_at(at),
        None => (content_type, ""),
    };
    let media_type = base.to_lowercase().trim().to_owned();
    let (first, rest) = take_token(&media_type);
    if first.is_empty() {
        return Err("no media type");
    }
    if !rest.is_empty() {
        let rest = rest
            .strip_prefix('/')
            .ok_or("expected slash after first token")?;
        let (second, rest) = take_token(rest);
        if second.is_empty() {
            return Err("expected token after slash");
        }
        if !rest.is_empty() {
            return Err("unexpected content after media subtype");
        }
    }
    check_parameters(parameters)?;
    Ok(media_type)
}

/// `;name=value` and so on; a lone semicolon may end it.
fn check_parameters(parameters: &str) -> Result<(), &'static str> {
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut rest = parameters.trim_start();
    while !rest.is_empty() {
        let Some((name, value, after)) = take_parameter(rest) else {
            return match rest.trim() {
                ";" => Ok(()),
                _ => Err("invalid media parameter"),
            };
        };
        if seen.iter().any(|(n, v)| *n == name && *v != value) {
            return Err("duplicate parameter name");
        }
        seen.push((name, value));
        rest = after.trim_start();
    }
    Ok(())
}

fn take_parameter(text: &str) -> Option<(String, String, &str)> {
    let rest = text.strip_prefix(';')?.trim_start();
    let (name, rest) = take_token(rest);
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let (value, rest) = match rest.strip_prefix('"') {
        Some(quoted) => take_quoted(quoted)?,
        None => {
            let (value, rest) = take_token(rest);
            (value.to_owned(), rest)
        }
    };
    let empty = value.is_empty() && !text[..text.len() - rest.len()].ends_with('"');
    (!name.is_empty() && !empty).then(|| (name.to_lowercase(), value, rest))
}

/// What stands before the closing quote, and what after it.
fn take_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\r' | '\n' => return None,
            // A backslash before any other byte stands for itself.
            '\\' if text[at + 1..].starts_with(is_special) => {
                value.extend(chars.next().map(|(_, c)| c));
            }
            c => value.push(c),
        }
    }
    None
}

/// Splits a token (RFC 2045) off the front.
fn take_token(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_graphic() || is_special(c))
        .unwrap_or(text.len());
    text.split_at(end)
}

fn is_special(c: char) -> bool {
    "()<>@,;:\\\"/[]?=".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: PageFormat = PageFormat::Text(Format::PrometheusText);
    const OPENMETRICS: PageFormat = PageFormat::Text(Format::OpenMetrics);

    #[track_caller]
    fn check(content_type: &str, fallback: &str, want: Result<(PageFormat, Option<&str>), &str>) {
        let choice = PageFormat::choose(content_type, fallback);
        let got = match &choice {
            Ok(choice) => Ok((choice.format, choice.warning.as_deref())),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(got, want.map_err(str::to_owned), "{content_type:?}");
    }

    #[test]
    fn known_types_choose_their_parser() {
        for content_type in [
            "text/plain",
            "text/plain; version=0.0.4; charset=utf-8",
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "Text/Plain ; version=\"x\\\"\";",
            "text/plain; a=1; a=1",
        ] {
            check(content_type, "", Ok((TEXT, None)));
        }
        for content_type in [
            "application/openmetrics-text",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/openmetrics-text;version=0.0.1",
        ] {
            check(content_type, "text/plain", Ok((OPENMETRICS, None)));
        }
    }

    /// The trap: without a header and without a fallback the scrape fails.
    #[test]
    fn unknown_types_need_a_fallback() {
        check(
            "",
            "",
            Err(
                "non-compliant scrape target sending blank Content-Type and no \
                 fallback_scrape_protocol specified for target",
            ),
        );
        check(
            "application/json",
            "",
            Err(
                "received unsupported Content-Type \"application/json\" and no \
                 fallback_scrape_protocol specified for target",
            ),
        );
        for (malformed, reason) in [
            ("text/plain; charset", "invalid media parameter"),
            ("text/plain; a=\"x", "invalid media parameter"),
            ("text/plain; a=1; a=2", "duplicate parameter name"),
            ("text/", "expected token after slash"),
            ("text//x", "expected token after slash"),
            ("text plain", "expected slash after first token"),
            ("text/plain x", "unexpected content after media subtype"),
            (" ", "no media type"),
        ] {
            check(
                malformed,
                "",
                Err(&format!(
                    "cannot parse Content-Type \"{malformed}\" and no \
                     fallback_scrape_protocol for target\nmime: {reason}",
                    malformed = malformed.replace('"', "\\\"")
                )),
            );
        }
    }

    #[test]
    fn a_fallback_is_used_with_a_warning() {
        check(
            "",
            "text/plain",
            Ok((
                TEXT,
                Some(
                    "non-compliant scrape target sending blank Content-Type, using \
                     fallback_scrape_protocol \"text/plain\"",
                ),
            )),
        );
        check(
            "text/html",
            "application/openmetrics-text",
            Ok((
                OPENMETRICS,
                Some(
                    "received unsupported Content-Type \"text/html\", using \
                     fallback_scrape_protocol \"application/openmetrics-text\"",
                ),
            )),
        );
        check(
            "text/",
            "text/plain",
            Ok((
                TEXT,
                Some(
                    "could not parse received Content-Type \"text/\", using \
                     fallback_scrape_protocol \"text/plain\"\nmime: expected token after slash",
                ),
            )),
        );
    }

    #[test]
    fn protobuf_is_known_whatever_its_parameters() {
        let protobuf = "application/vnd.google.protobuf";
        let delimited = "; proto=io.prometheus.client.MetricFamily; encoding=delimited";
        check(protobuf, "text/plain", Ok((PageFormat::Protobuf, None)));
        check(
            &format!("{protobuf}{delimited}"),
            "",
            Ok((PageFormat::Protobuf, None)),
        );
        let blank = "non-compliant scrape target sending blank Content-Type, using \
                     fallback_scrape_protocol \"application/vnd.google.protobuf\"";
        check("", protobuf, Ok((PageFormat::Protobuf, Some(blank))));
    }
}
