//! The configuration file: strict, with the line of every error.

mod types;

pub use types::*;
