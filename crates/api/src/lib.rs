//! The HTTP server: Prometheus's HTTP API v1, its routes at the root, and the page.
//!
//! A [`Server`] is made from the parts that it asks ([`Dependencies`]) and from what flags say
//! ([`Options`]). It serves from the first moment on: until [`Server::set_state`] says
//! [`State::Ready`], `/-/healthy`, `/metrics`, the page and the progress of the replay answer, and
//! everything that needs data says 503.
//!
//! This is the only crate that serves HTTP and the only one that writes answers: what other
//! crates hand out are plain types.

mod options;
mod server;

pub use options::{
    BuildInfo, ConfigView, Dependencies, Options, ProcessView, ReloadRequest, Source, TargetSource,
};
pub use server::{Server, State};
