//! The time series database: `Appender` and `Querier` of [`storage`] over a log, a head and blocks.
//!
//! [`Db`] is the whole face for a server. See its module for what happens when. [`block`] is for
//! tools that read and write blocks without one.

#[allow(dead_code, reason = "lands from its face inwards")]
pub mod block;
mod blocks;
mod db;
mod head;
mod merge;
mod metrics;
mod options;
#[allow(
    dead_code,
    reason = "head and blocks that use it land one after the other"
)]
mod postings;
mod querier;
#[allow(
    dead_code,
    reason = "head and blocks that use it land one after the other"
)]
mod select;
mod wal;

pub use db::{Db, OpenError};
pub use options::{Options, Retention};
