//! What users of Prometheus meet of the Go language: its regular expressions and its number text.
//!
//! Configuration, PromQL and the API expose Go's behaviour directly: patterns are RE2 as Go's
//! `regexp` reads them, floats print as `strconv` prints them, strings quote as `%q` quotes them.
//! This crate holds those rules once, and knows nothing of metrics.

pub mod math;
pub mod regex;
pub mod strconv;
pub mod strings;

pub use crate::regex::{Captures, Regex, RegexError};
