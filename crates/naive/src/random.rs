//! Random series and random well-typed queries, for everything that compares two engines.
//!
//! Everything hangs on the generator that the caller seeds: one seed, one data set, one list of
//! queries.

mod data;
mod grammar;
mod queries;

pub use data::{DataOptions, SPAN_MS, START_MS, data, starts};
pub use queries::{Dialect, query};
