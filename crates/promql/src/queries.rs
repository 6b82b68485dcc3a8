//! The queries that wait or run, and the slow ones that ended lately: to look at, and to cancel.
//!
//! A query is put on the list before it waits for its turn and leaves it when it ends, however it
//! ends. What it holds is read from the counters that its budget keeps anyway, so the list costs a
//! lock at both ends of a query and nothing in between.
//!
//! Limits: texts are cut at [`QUERY_BYTES_MAX`], and [`SLOW_QUERIES_MAX`] slow queries are kept.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::options::CancelToken;
use crate::stats::QueryStats;

/// A query's text is kept up to so many bytes: a form may have 10 MiB, the list shall not.
const QUERY_BYTES_MAX: usize = 4 << 10;
/// Slow queries that are kept; with texts cut, no more than half a megabyte.
const SLOW_QUERIES_MAX: usize = 100;
/// A query is slow if it took so long, waiting included.
const SLOW_MIN: Duration = Duration::from_secs(1);

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Address of the client, if it came over a network.
    pub client: Option<IpAddr>,
    /// The method of the request.
    pub method: String,
    /// The path of the request, prefix included.
    pub path: String,
}

/// What a query is evaluated at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The first time, in milliseconds.
    pub start_ms: i64,
    /// The last time, in milliseconds.
    pub end_ms: i64,
    /// What is between two times, in milliseconds; 0 for a query at one time.
    pub step_ms: i64,
}

/// What a query holds at the moment.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Series that selectors have found; it only grows.
    pub(crate) series: AtomicU64,
    pub(crate) samples: AtomicU64,
    pub(crate) samples_peak: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) bytes_peak: AtomicU64,
}

/// A query that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveQuery {
    /// What it is cancelled by; never given twice by one engine.
    pub id: u64,
    /// Its text, cut if it is long.
    pub query: String,
    /// What it is evaluated at.
    pub asked: Asked,
    /// Who asked.
    pub origin: Option<Arc<Origin>>,
    /// When it came in, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whether it runs; it waits for its turn otherwise.
    pub is_running: bool,
    /// Series that its selectors have found so far.
    pub series: u64,
    /// Samples that it holds.
    pub samples: u64,
    /// Bytes that it holds.
    pub bytes: u64,
}

/// A query that took long.
#[derive(Debug, Clone, PartialEq)]
pub struct SlowQuery {
    /// The query as it was at its end; what it holds is the most that it held.
    pub query: ActiveQuery,
    /// Seconds that it took, waiting included.
    pub duration_s: f64,
    /// The error that it ended with, if it did.
    pub error: Option<String>,
}

/// A query that ended, for the log.
#[derive(Debug)]
pub struct QueryRecord<'a> {
    /// Its text.
    pub query: &'a str,
    /// What it was evaluated at.
    pub asked: Asked,
    /// Who asked.
    pub origin: Option<&'a Origin>,
    /// What it cost.
    pub stats: &'a QueryStats,
    /// The error that it ended with, if it did.
    pub error: Option<&'a str>,
    /// When it ended, in nanoseconds since 1970.
    pub ended_ns: i64,
}

/// Takes every query that ended, whatever its outcome.
pub trait QueryLog: Send + Sync + std::fmt::Debug {
    /// Writes one query.
    ///
    /// # Errors
    /// What the operating system says; it is counted, and the query answers all the same.
    fn write(&self, record: &QueryRecord<'_>) -> std::io::Result<()>;
}

/// Remembers which queries run, so that a process that is killed leaves word of them.
pub trait QueryTracker: Send + Sync + std::fmt::Debug {
    /// A query begins; `place` is free, and below the number of queries that run at a time.
    fn begin(&self, place: usize, query: &str);
    /// The query at `place` has ended.
    fn end(&self, place: usize);
}

/// The queries of one engine.
#[derive(Debug, Default)]
pub struct QueryList {
    last_id: AtomicU64,
    active: Mutex<BTreeMap<u64, Arc<Entry>>>,
    slow: Mutex<VecDeque<SlowQuery>>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    query: String,
    asked: Asked,
    origin: Option<Arc<Origin>>,
    since_ms: i64,
    is_running: AtomicBool,
    usage: Arc<Usage>,
    cancel: CancelToken,
}

impl QueryList {
    /// The queries that wait or run, oldest first.
    #[must_use]
    pub fn active(&self) -> Vec<ActiveQuery> {
        self.active.lock().values().map(|e| e.look()).collect()
    }

    /// The slow queries that ended lately, the last one first.
    #[must_use]
    pub fn slow(&self) -> Vec<SlowQuery> {
        self.slow.lock().iter().rev().cloned().collect()
    }

    /// Ends a query soon; false if there is none of that number.
    #[must_use]
    pub fn cancel(&self, id: u64) -> bool {
        let active = self.active.lock();
        let entry = active.get(&id);
        entry.inspect(|entry| entry.cancel.cancel()).is_some()
    }

    pub(crate) fn enter(
        &self,
        query: &str,
        asked: Asked,
        since_ms: i64,
        origin: Option<Arc<Origin>>,
        cancel: CancelToken,
    ) -> Listed<'_> {
        let entry = Arc::new(Entry {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            query: query[..query.floor_char_boundary(QUERY_BYTES_MAX)].to_owned(),
            asked,
            origin,
            since_ms,
            is_running: AtomicBool::new(false),
            usage: Arc::default(),
            cancel,
        });
        self.active.lock().insert(entry.id, Arc::clone(&entry));
        Listed { list: self, entry }
    }
}

impl Entry {
    fn look(&self) -> ActiveQuery {
        ActiveQuery {
            id: self.id,
            query: self.query.clone(),
            asked: self.asked,
            origin: self.origin.clone(),
            since_ms: self.since_ms,
            is_running: self.is_running.load(Ordering::Relaxed),
            series: self.usage.series.load(Ordering::Relaxed),
            samples: self.usage.samples.load(Ordering::Relaxed),
            bytes: self.usage.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A query's place on the list; it leaves when this is dropped.
#[derive(Debug)]
pub(crate) struct Listed<'l> {
    list: &'l QueryList,
    entry: Arc<Entry>,
}

impl Listed<'_> {
    pub(crate) fn usage(&self) -> &Arc<Usage> {
        &self.entry.usage
    }

    pub(crate) fn runs(&self) {
        self.entry.is_running.store(true, Ordering::Relaxed);
    }

    /// Keeps the query if it was slow.
    pub(crate) fn ended(&self, took: Duration, error: Option<&str>) {
        if took < SLOW_MIN {
            return;
        }
        let mut query = self.entry.look();
        query.samples = self.entry.usage.samples_peak.load(Ordering::Relaxed);
        query.bytes = self.entry.usage.bytes_peak.load(Ordering::Relaxed);
        let mut slow = self.list.slow.lock();
        if slow.len() == SLOW_QUERIES_MAX {
            slow.pop_front();
        }
        slow.push_back(SlowQuery {
            query,
            duration_s: took.as_secs_f64(),
            error: error.map(str::to_owned),
        });
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.list.active.lock().remove(&self.entry.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Asked = Asked {
        start_ms: 1,
        end_ms: 2,
        step_ms: 1,
    };

    #[test]
    fn queries_are_listed_and_cancelled_while_they_live() {
        let list = QueryList::default();
        let cancel = CancelToken::new();
        let long = "é".repeat(QUERY_BYTES_MAX);
        let first = list.enter(&long, ASKED, 7, None, cancel.clone());
        let second = list.enter("up", ASKED, 8, None, CancelToken::new());
        second.runs();
        second.usage().bytes.store(9, Ordering::Relaxed);
        let active = list.active();
        assert_eq!(active[0].query.len(), QUERY_BYTES_MAX);
        assert_eq!((active[0].id, active[0].is_running), (1, false));
        assert_eq!((active[1].id, active[1].is_running), (2, true));
        assert_eq!(active[1].bytes, 9);
        assert!(list.cancel(1) && cancel.is_canceled());
        drop(first);
        assert!(!list.cancel(1), "it has ended");
        drop(second);
        assert_eq!(list.active(), []);
    }

    #[test]
    fn slow_queries_are_kept_up_to_a_number() {
        let list = QueryList::default();
        for i in 0..=SLOW_QUERIES_MAX {
            let query = list.enter("up", ASKED, i as i64, None, CancelToken::new());
            query.ended(SLOW_MIN - Duration::from_nanos(1), None);
            query.ended(SLOW_MIN, Some("no"));
        }
        let slow = list.slow();
        assert_eq!(slow.len(), SLOW_QUERIES_MAX);
        assert_eq!(slow[0].query.since_ms, SLOW_QUERIES_MAX as i64);
        assert_eq!(slow[0].error.as_deref(), Some("no"));
    }
}
