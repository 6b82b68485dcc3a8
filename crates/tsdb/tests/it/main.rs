//! The database from outside: over disks in memory, some of which fail.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by panicking"
)]

mod beside;
mod besides;
mod blocks;
mod changes;
mod durability;
mod exemplars;
mod flips;
mod limits;
mod points;
mod selecting;
mod semantics;
mod support;
mod sweep;
mod threads;
mod wide;
