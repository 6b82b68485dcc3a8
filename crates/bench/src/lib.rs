//! Loads for whole servers: a simulated Telegraf fleet and the runs that measure a server under it.
//!
//! The fleet lives in the measuring process and answers scrapes over loopback, so that Promontory,
//! Prometheus and others scrape the same pages in the same run, each as a process of its own whose
//! CPU time, memory and disk writes the kernel counts.

mod ask;
pub mod backfill;
pub mod compare;
pub mod e2e;
pub mod fleet;
pub mod generated;
mod import;
pub mod ingest;
pub mod migrate;
mod page;
pub mod preload;
pub mod process;
pub mod query;
pub mod restart;
pub mod server;
pub mod storage;
mod telegraf;
