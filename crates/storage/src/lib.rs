//! The face of storage: what writes and what reads samples agree on.
//!
//! Writers hand over a whole [`Batch`] (one scrape, one write request, one rule evaluation)
//! through [`Appender`]; readers ask a [`Queryable`] for a [`Querier`] and get series whose samples
//! come as columns. Nothing here says where samples live: `tsdb` implements both, [`memory`] is a
//! small obvious implementation for tests, and a fan-out can stand in front of several.

mod append;
mod budget;
pub mod memory;
mod query;
mod status;

pub use append::{
    AppendError, AppendOutcome, Appender, Batch, ExemplarSample, GroupId, HistogramSample,
    HistogramValue, MetadataSample, Sample, SeriesLimit, SeriesRef, StartTime, TimedSample,
};
pub use budget::{MemoryBudget, MemoryRefused, Reservation};
pub use query::{
    Exemplar, ExemplarQueryable, ExemplarSeries, MetadataQueryable, Points, Querier, Queryable,
    Samples, SelectHints, Series, SeriesSet, StorageError,
};
pub use status::{
    BlockStatus, HeadStats, NamedCount, ReplayProgress, StorageAdmin, StorageStatus, TsdbStats,
};
