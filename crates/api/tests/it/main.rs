//! Requests and their answers, in process.

#![allow(clippy::unwrap_used, reason = "a test that fails there says where")]

mod federation;
mod lifecycle;
mod malformed;
mod pages;
mod sockets;
mod streams;
mod support;
mod syntax;
mod wellformed;
