//! Columns of samples into VictoriaMetrics, by its import of JSON lines.
//!
//! A line is a series with all its values and times of two hours, so that labels are parsed once
//! in 480 samples. The text of the times is made once for all series of a target.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use model::Labels;

/// A server that merges takes nothing for some seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Posts series that share their times.
///
/// # Errors
/// If the server does not take them.
pub(crate) fn post<'a>(
    address: &str,
    times: impl Iterator<Item = i64>,
    series: impl Iterator<Item = (&'a Labels, &'a Vec<f64>)>,
) -> anyhow::Result<()> {
    let end = format!("],\"timestamps\":{}}}\n", listed(times));
    let mut body = String::new();
    for (labels, values) in series {
        line(&mut body, labels, values, &end);
    }
    let mut stream = TcpStream::connect(address).with_context(|| format!("connect {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let head = format!(
        "POST /api/v1/import HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    ensure!(status == "204" || status == "200", "import: {answer}");
    Ok(())
}

fn listed(times: impl Iterator<Item = i64>) -> String {
    let mut text = String::from("[");
    for (at, time) in times.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{time}");
    }
    text.push(']');
    text
}

/// Adds a line to `out`; `end` is what all lines end with. Values are finite, as the fleet's are.
fn line(out: &mut String, labels: &Labels, values: &[f64], end: &str) {
    let labels: serde_json::Map<String, serde_json::Value> = labels
        .iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let metric = serde_json::Value::from(labels);
    let _ = write!(out, "{{\"metric\":{metric},\"values\":[");
    for (at, &value) in values.iter().enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Whole numbers are written several times faster as such.
        let _ = match value as i64 {
            whole if whole as f64 == value => write!(out, "{comma}{whole}"),
            _ => write!(out, "{comma}{value:?}"),
        };
    }
    out.push_str(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_labels_values_and_times() {
        let labels = Labels::from_pairs([("__name__", "a"), ("b", "\"x\"")]);
        let mut out = String::new();
        let end = format!("],\"timestamps\":{}}}\n", listed([5, 20].into_iter()));
        line(&mut out, &labels, &[3.0, 0.25], &end);
        let wanted = "{\"metric\":{\"__name__\":\"a\",\"b\":\"\\\"x\\\"\"},\
                      \"values\":[3,0.25],\"timestamps\":[5,20]}\n";
        assert_eq!(out, wanted);
    }
}
