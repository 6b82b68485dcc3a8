//! Scraping: from target groups to batches of samples.
//!
//! [`ScrapeManager`] holds one pool per job; a pool turns target groups into targets by relabelling
//! and runs one loop per target. A loop fetches, parses and hands storage one batch per scrape:
//! the samples, the staleness markers of what vanished and the report series (`up` and its like)
//! become visible together or not at all.

mod manager;
mod status;

pub use manager::{ScrapeError, ScrapeManager, ScrapeOptions};
pub use status::{
    FamilyMetadata, GlobalUrlOptions, Health, PoolStatus, TargetMetadata, TargetStatus,
};
