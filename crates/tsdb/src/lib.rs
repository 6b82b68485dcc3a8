//! The time series database: `Appender` and `Querier` of [`storage`] over a log, a head and blocks.
//!
//! [`Db`] is the whole face for a server. See its module for what happens when. [`block`] is for
//! tools that read and write blocks without one.

mod admin;
pub mod block;
mod blocks;
mod db;
mod exemplars;
mod head;
mod histograms;
mod identity;
mod merge;
mod metrics;
mod options;
mod order;
mod picks;
#[allow(
    dead_code,
    reason = "a whole algebra of sets, of which tests use more than the server"
)]
mod postings;
mod querier;
mod read_only;
mod room;
mod select;
mod series_metadata;
mod steps;
mod sync;
mod tombstones;
mod wal;

pub use db::{Db, OpenError};
pub use options::{Options, Retention};
