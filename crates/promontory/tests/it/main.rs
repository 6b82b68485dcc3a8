//! The real binary as a process: what it promises its users, from the outside.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod beside;
mod disk_full;
mod garbage;
mod hostile;
mod kill;
mod limits;
mod operator;
mod pages;
mod queries;
mod server;
