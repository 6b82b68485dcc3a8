//! The configuration file: strict, with the line of every error.
//!
//! [`load_file`] reads `prometheus.yml` and the files that it includes, and says everything that
//! is wrong with them at once ([`ConfigErrors`]); [`load`] does the same for a text in memory. What
//! comes out ([`Config`]) is resolved: every default and every inherited value is filled in.
//! [`to_yaml`] writes it back, as `/api/v1/status/config` shows it.
//!
//! A key that Prometheus knows and this server does not support yet is refused by name and line,
//! never ignored; empty, it is allowed.
//!
//! The way of a file: `yaml` makes a tree with places of it, `decoder` reads trees strictly,
//! `sections` knows the keys, `load` puts files together.

mod decoder;
mod dump;
mod error;
mod expand;
mod load;
mod paths;
mod scalar;
mod sections;
mod types;
mod yaml;

pub use dump::{scrape_to_yaml, to_yaml};
pub use error::{ConfigErrors, FileRole, Problem, ProblemKind};
pub use load::{LoadOptions, Loaded, builtin, load, load_file, parse_target_groups};
pub use paths::{BadPattern, glob};
pub use types::*;
