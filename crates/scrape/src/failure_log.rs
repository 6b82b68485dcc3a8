//! The log of failed scrapes (`scrape_failure_log_file`): one JSON object a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};

use parking_lot::Mutex;
use telemetry::logging;

/// An open log, shared by all jobs that name the same file.
#[derive(Debug)]
pub(crate) struct FailureLog {
    file: Mutex<File>,
}

impl FailureLog {
    /// Opens a file to append to; makes it if it is not there.
    pub(crate) fn open(path: &str) -> io::Result<FailureLog> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(FailureLog {
            file: Mutex::new(file),
        })
    }

    /// Writes one failure. A line that cannot be written is lost: the scrape goes on.
    pub(crate) fn write(&self, now_ms: i64, job: &str, target: &str, error: &str) {
        let line = line(now_ms, job, target, error);
        if let Err(problem) = self.file.lock().write_all(line.as_bytes()) {
            tracing::debug!(err = %problem, "Writing to the scrape failure log failed");
        }
    }
}

fn line(now_ms: i64, job: &str, target: &str, error: &str) -> String {
    let time = logging::timestamp(now_ms);
    logging::json_line([
        ("time", time.as_str()),
        ("level", "ERROR"),
        ("source", "scrape"),
        ("msg", error),
        ("job_name", job),
        ("target", target),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_json_object_a_line() {
        assert_eq!(
            line(1_764_000_000_123, "j", "http://h/m", "a \"b\"\n"),
            "{\"time\":\"2025-11-24T16:00:00.123Z\",\"level\":\"ERROR\",\"source\":\"scrape\",\
             \"msg\":\"a \\\"b\\\"\\n\",\"job_name\":\"j\",\"target\":\"http://h/m\"}\n"
        );
    }
}
