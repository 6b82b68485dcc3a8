//! The time series database: `Appender` and `Querier` of [`storage`] over a log, a head and blocks.
//!
//! [`Db`] is the whole face. See its module for what happens when.

mod db;
mod options;

pub use db::{Db, OpenError};
pub use options::{Options, Retention};
