//! Requests and their answers, in process.

mod lifecycle;
mod pages;
mod streams;
mod support;
