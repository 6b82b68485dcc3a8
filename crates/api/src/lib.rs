//! The HTTP server: Prometheus's HTTP API v1, its routes at the root, and the page.
//!
//! A [`Server`] is made from the parts that it asks ([`Dependencies`]) and from what flags say
//! ([`Options`]). It serves from the first moment on: until [`Server::set_state`] says
//! [`State::Ready`], `/-/healthy`, `/metrics`, the page and the progress of the replay answer, and
//! everything that needs data says 503.
//!
//! A request goes through `server` (connections), `app` (routing, parameters, threads) and a
//! handler of the module that its line in `routes` names; the handler's `reply` leaves through
//! `outlet` (compression, chunks) and `body` (counting). Handlers are plain functions that may
//! block: those that look something up run on threads, behind a gate, and the engine's queue is
//! never starved by them.
//!
//! This is the only crate that serves HTTP and the only one that writes answers: what other
//! crates hand out are plain types, and `json` writes them without a tree in between.

mod admin;
mod app;
mod ast;
mod body;
mod cors;
mod error;
mod escaping;
mod features;
mod federate;
mod form;
mod http_metrics;
mod json;
mod labels;
mod lenient;
mod lifecycle;
mod matrix;
mod metadata;
mod options;
mod outlet;
mod page;
mod params;
mod queries;
mod query;
mod query_log;
mod reply;
mod routes;
mod rules;
mod server;
mod status;
mod syntax;
mod targets;
mod unsupported;

pub use body::{Broken, ResponseBody};
pub use options::{
    BuildInfo, ConfigView, Dependencies, Options, ProcessView, QueryEngine, ReloadRequest, Source,
    TargetSource,
};
pub use query_log::{active_query_entry, query_log_line};
pub use server::{Server, State};
