//! Where targets come from: static lists and files, merged into one current set per job.
//!
//! A [`DiscoveryManager`] runs one provider per distinct configuration, however many jobs name it,
//! and keeps those whose configuration a reload does not change. A provider sends target groups
//! keyed by their source: a group replaces the one with the same source, a group without targets
//! deletes it, and a source that fails sends nothing, so that its last good targets stay.
//!
//! Readers watch one value, the whole current [`TargetSets`]: the newest wins, nothing queues.
//!
//! The way of a file: `watcher` says that something may have changed, `scanner` reads what the
//! globs find, `groups` decodes it, `provider` does so again and again, `manager` merges and
//! throttles.

mod groups;
mod manager;
mod metrics;
mod provider;
mod scanner;
mod watcher;

pub use manager::DiscoveryManager;
pub use scanner::FileError;

use std::collections::BTreeMap;
use std::sync::Arc;

use config::TargetGroup;

/// All target groups of every job, by the job's name. A job without any target has an entry too,
/// so that readers drop what it had before.
pub type TargetSets = BTreeMap<String, Vec<Arc<TargetGroup>>>;
