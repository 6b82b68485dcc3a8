//! Scraping: from target groups to batches of samples.
//!
//! [`ScrapeManager`] holds one pool per job; a pool turns target groups into targets by relabelling
//! and runs one loop per target. A loop fetches, parses and hands storage one batch per scrape:
//! the samples, the staleness markers of what vanished and the report series (`up` and its like)
//! become visible together or not at all.
//!
//! A sample's way: `target_loop` (when) -> `fetch` (the page) -> `page` (parsing, with `cache` for
//! series seen before and `rules` for new ones) -> `store` (the batch).

mod besides;
mod cache;
mod failure_log;
mod families;
mod fetch;
mod histograms;
mod host_name;
mod manager;
mod metrics;
mod page;
mod pool;
mod report;
mod rules;
mod schedule;
mod shared;
mod status;
mod store;
mod target;
mod target_loop;
mod url;

pub use besides::ScrapeFeatures;
pub use manager::{ScrapeError, ScrapeManager, ScrapeOptions};
pub use status::{
    FamilyMetadata, GlobalUrlOptions, Health, PoolStatus, TargetMetadata, TargetStatus,
};

#[cfg(test)]
mod tests;
