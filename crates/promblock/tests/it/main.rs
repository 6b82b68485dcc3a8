//! Blocks written and read, damaged, and compared with Prometheus's own tools.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they skip"
)]

mod compat;
mod damage;
mod data_dir;
mod promtool;
mod round_trip;
mod support;
