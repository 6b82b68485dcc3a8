//! The real binary as a process: what it promises its users, from the outside.

mod garbage;
mod kill;
mod pages;
mod server;
