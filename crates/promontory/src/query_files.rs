//! The two files about queries: `queries.active` in the data folder, which names the queries that
//! run, and the query log of the configuration.
//!
//! `queries.active` has a place of [`ENTRY_BYTES`] for every query that may run at a time, behind an
//! opening bracket: an entry in JSON, zeros, a comma. A query is written there when it begins and
//! overwritten with zeros when it ends. Nothing is synced: what a write has handed over survives
//! the end of the process, and which queries ran at a power cut nobody needs to know.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use clock::SharedClock;
use parking_lot::Mutex;
use promql::{QueryLog, QueryRecord, QueryTracker};

/// Bytes of a place, the comma at its end included: upstream's.
const ENTRY_BYTES: usize = 1000;
/// What is read of the file of the last run at most: 16,000 queries.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The queries that run.
#[derive(Debug)]
pub(crate) struct ActiveQueries {
    file: File,
    clock: SharedClock,
}

impl ActiveQueries {
    /// Says which queries the last run did not finish, and begins anew.
    pub(crate) fn open(folder: &Path, places: usize, clock: SharedClock) -> io::Result<Self> {
        let path = folder.join("queries.active");
        match unfinished(&path) {
            Ok(None) => {}
            Ok(Some(queries)) => tracing::info!(
                component = "activeQueryTracker",
                queries,
                "These queries didn't finish in prometheus' last run:"
            ),
            Err(error) => tracing::error!(
                component = "activeQueryTracker",
                err = %error,
                "Failed to read query log file"
            ),
        }
        let mut file = File::create(path)?;
        file.write_all(b"[")?;
        // Places that no query took yet are holes.
        let bytes = places.max(1).saturating_mul(ENTRY_BYTES).saturating_add(1);
        file.set_len(bytes as u64)?;
        Ok(ActiveQueries { file, clock })
    }

    fn write(&self, place: usize, entry: &[u8; ENTRY_BYTES]) {
        let offset = 1 + place * ENTRY_BYTES;
        if let Err(error) = self.file.write_all_at(entry, offset as u64) {
            tracing::warn!(err = %error, "queries.active cannot be written");
        }
    }
}

impl QueryTracker for ActiveQueries {
    fn begin(&self, place: usize, query: &str) {
        let mut entry = [0; ENTRY_BYTES];
        let now_s = self.clock.now_ms().div_euclid(1000);
        let json = api::active_query_entry(query, now_s, ENTRY_BYTES - 1);
        entry[..json.len()].copy_from_slice(&json);
        entry[ENTRY_BYTES - 1] = b',';
        self.write(place, &entry);
    }

    fn end(&self, place: usize) {
        self.write(place, &[0; ENTRY_BYTES]);
    }
}

/// What the file of the last run names, as a list in JSON.
fn unfinished(path: &Path) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    bytes.retain(|&byte| byte != 0);
    if bytes.len() < 2 {
        return Ok(None);
    }
    // The last comma becomes the closing bracket.
    bytes.pop();
    bytes.push(b']');
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// `global.query_log_file`.
#[derive(Debug)]
pub(crate) struct QueryLogFile {
    /// Lines of several queries must not mix, should the system write one in two parts.
    file: Mutex<File>,
}

impl QueryLogFile {
    /// Lines go to the end of the file.
    pub(crate) fn open(path: &str) -> io::Result<QueryLogFile> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(QueryLogFile {
            file: Mutex::new(file),
        })
    }
}

impl QueryLog for QueryLogFile {
    fn write(&self, record: &QueryRecord<'_>) -> io::Result<()> {
        let line = api::query_log_line(record);
        self.file.lock().write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_finish_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("queries.active");
        assert_eq!(unfinished(&path).unwrap(), None);
        let clock: SharedClock = clock::ManualClock::at_ms(7_999);
        let open = || ActiveQueries::open(folder.path(), 3, SharedClock::clone(&clock)).unwrap();
        let active = open();
        assert_eq!(path.metadata().unwrap().len(), 3_001);
        assert_eq!(unfinished(&path).unwrap(), None);
        active.begin(0, "first");
        active.begin(2, "thi\"rd");
        active.begin(1, "second");
        active.end(0);
        let expected =
            r#"[{"query":"second","timestamp_sec":7},{"query":"thi\"rd","timestamp_sec":7}]"#;
        assert_eq!(unfinished(&path).unwrap().as_deref(), Some(expected));
        drop(active);
        let _again = open();
        assert_eq!(unfinished(&path).unwrap(), None);
    }
}
