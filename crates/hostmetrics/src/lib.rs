//! The host collector: this machine in the metrics that node_exporter has.
//!
//! It reads `/proc` and `/sys` when asked and writes a page in Prometheus's text format, so that a
//! server without any exporter has something to show of its own machine, under the names and labels
//! that dashboards and alerts know. There is no state between pages but what [`filesystem`] must
//! remember of mounts that hang.
//!
//! The page consists of collectors, as node_exporter's does. What the kernel does not offer is left
//! out: a collector whose files are missing or odd writes nothing, and
//! `node_scrape_collector_success` says so. It is never an error.

mod block;
mod cpu;
mod filesystem;
mod kernel;
mod limit;
mod memory;
mod network;
mod page;
mod protocols;
mod source;

use std::path::PathBuf;

use clock::{SharedClock, SystemClock};

pub use crate::limit::memory_limit_bytes;

use crate::filesystem::Filesystems;
use crate::page::{Kind, Page};
use crate::source::{NoData, Source};

/// Where the collector looks.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// The folder in which `proc` and `sys` lie, and under which mount points are looked at: `/`.
    pub root: PathBuf,
    /// What time it is.
    pub clock: SharedClock,
}

impl Default for HostOptions {
    fn default() -> Self {
        HostOptions {
            root: PathBuf::from("/"),
            clock: SystemClock::shared(),
        }
    }
}

/// Reads the machine's state.
#[derive(Debug)]
pub struct HostCollector {
    source: Source,
    clock: SharedClock,
    filesystems: Filesystems,
}

type Collect = fn(&HostCollector, &mut Page<'_>) -> Result<(), NoData>;

/// The collectors by node_exporter's names, in alphabetical order as there.
const COLLECTORS: [(&str, Collect); 15] = [
    ("cpu", |host, page| cpu::collect(&host.source, page)),
    ("diskstats", |host, page| block::collect(&host.source, page)),
    ("entropy", |host, page| kernel::entropy(&host.source, page)),
    ("filefd", |host, page| kernel::filefd(&host.source, page)),
    ("filesystem", |host, page| {
        host.filesystems.collect(&host.source, page)
    }),
    ("loadavg", |host, page| kernel::loadavg(&host.source, page)),
    ("meminfo", |host, page| memory::meminfo(&host.source, page)),
    ("netclass", |host, page| {
        network::netclass(&host.source, page)
    }),
    ("netdev", |host, page| network::netdev(&host.source, page)),
    ("netstat", |host, page| {
        protocols::netstat(&host.source, page)
    }),
    ("pressure", |host, page| {
        kernel::pressure(&host.source, page)
    }),
    ("sockstat", |host, page| {
        protocols::sockstat(&host.source, page)
    }),
    ("stat", |host, page| kernel::stat(&host.source, page)),
    ("uname", |host, page| kernel::uname(&host.source, page)),
    ("vmstat", |host, page| memory::vmstat(&host.source, page)),
];

impl HostCollector {
    /// A collector.
    #[must_use]
    pub fn new(options: HostOptions) -> HostCollector {
        HostCollector {
            source: Source::new(options.root),
            clock: options.clock,
            filesystems: Filesystems::default(),
        }
    }

    /// Appends a page to `out`: some 100 to 1,000 samples in about a millisecond, with a bound of
    /// some seconds if mounts hang. It reads files, so an async task should not call it on a worker
    /// thread of its runtime.
    pub fn collect(&self, out: &mut String) {
        let mut page = Page::new(out);
        let outcomes = COLLECTORS.map(|(name, collect)| {
            let start = self.clock.monotonic();
            let before = page.length();
            let result = collect(self, &mut page);
            if result.is_err() {
                page.truncate(before);
            }
            let seconds = (self.clock.monotonic() - start).as_secs_f64();
            (name, result.is_ok(), seconds)
        });
        page.family(
            "node_time_seconds",
            Kind::Gauge,
            "Time of the system since 1970.",
        );
        page.sample(&[], self.clock.now_seconds());
        page.family(
            "node_scrape_collector_duration_seconds",
            Kind::Gauge,
            "How long a collector took.",
        );
        for (name, _, seconds) in outcomes {
            page.sample(&[("collector", name)], seconds);
        }
        page.family(
            "node_scrape_collector_success",
            Kind::Gauge,
            "Whether a collector found what it reads.",
        );
        for (name, success, _) in outcomes {
            page.sample(&[("collector", name)], f64::from(u8::from(success)));
        }
    }
}

#[cfg(test)]
mod tests;
