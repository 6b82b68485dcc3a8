//! The decoder from outside: what files are accepted as, and in which words others are refused.

#![allow(clippy::unwrap_used)] // a test that cannot go on fails

mod corpus;
mod files;
mod robustness;
