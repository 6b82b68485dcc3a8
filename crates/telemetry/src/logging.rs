//! Logs as Prometheus writes them: one line an event, in logfmt or JSON, to standard error.
//!
//! `time=2026-11-24T02:31:19.120Z level=INFO source=scrape msg="…" key=value`. The source is the
//! module, as file and line are of no use to an operator.

use std::fmt::{self, Write as _};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;

/// The form of a log line: `--log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `key=value` pairs.
    Logfmt,
    /// One JSON object a line.
    Json,
}

struct Lines {
    format: Format,
    level: Level,
    clock: clock::SharedClock,
}

/// Starts logging for the process.
///
/// # Errors
/// If it was started before.
pub fn init(level: Level, format: Format, clock: clock::SharedClock) -> Result<(), String> {
    registry()
        .with(Lines {
            format,
            level,
            clock,
        })
        .try_init()
        .map_err(|e| e.to_string())
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }
}

impl Fields {
    fn put(&mut self, name: &'static str, value: String) {
        if name == "message" {
            self.message = value;
        } else {
            self.others.push((name, value));
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        *metadata.level() <= self.level
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut pairs = vec![
            ("time", timestamp(self.clock.now_ms())),
            ("level", event.metadata().level().to_string()),
            ("source", event.metadata().target().to_owned()),
            ("msg", fields.message),
        ];
        pairs.append(&mut fields.others);
        let line = match self.format {
            Format::Logfmt => logfmt(&pairs),
            Format::Json => json_line(pairs.iter().map(|(n, v)| (*n, v.as_str()))),
        };
        // Nowhere is left to report a log that cannot be written.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

fn logfmt(pairs: &[(&str, String)]) -> String {
    let mut line = String::new();
    for (name, value) in pairs {
        let plain = !value.is_empty()
            && value
                .chars()
                .all(|c| c > ' ' && c != '"' && c != '=' && c != '\u{7f}');
        let separator = if line.is_empty() { "" } else { " " };
        let _ = if plain {
            write!(line, "{separator}{name}={value}")
        } else {
            write!(line, "{separator}{name}={value:?}")
        };
    }
    line.push('\n');
    line
}

/// One JSON object of texts and a line break, the members in the order given.
#[must_use]
pub fn json_line<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut line = String::from("{");
    for (name, value) in pairs {
        if line.len() > 1 {
            line.push(',');
        }
        let _ = write!(line, "\"{name}\":");
        json_text(&mut line, value);
    }
    line.push_str("}\n");
    line
}

/// A time as every log writes it, `2026-11-24T02:31:19.120Z`.
#[must_use]
pub fn timestamp(now_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(now_ms).unwrap_or_default();
    format!("{time:.3}")
}

fn json_text(line: &mut String, value: &str) {
    line.push('"');
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            c if c < ' ' => {
                let _ = write!(line, "\\u{:04x}", c as u32);
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let pairs = [
            ("time", timestamp(1_764_000_000_123)),
            ("msg", "two words".to_owned()),
            ("n", "1".to_owned()),
            ("e", String::new()),
            ("q", "a\"b\n".to_owned()),
        ];
        assert_eq!(
            logfmt(&pairs),
            "time=2025-11-24T16:00:00.123Z msg=\"two words\" n=1 e=\"\" q=\"a\\\"b\\n\"\n"
        );
        assert_eq!(
            json_line(pairs.iter().map(|(n, v)| (*n, v.as_str()))),
            "{\"time\":\"2025-11-24T16:00:00.123Z\",\"msg\":\"two words\",\"n\":\"1\",\"e\":\"\",\
             \"q\":\"a\\\"b\\n\"}\n"
        );
    }
}
