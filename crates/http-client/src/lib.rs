//! The HTTP client: one keep-alive connection a target, capped bodies, Go's error texts.
//!
//! A scrape loop owns one [`Connection`] and asks it again and again with the same [`Request`]. The
//! connection dials when it has to and keeps what it dialled; the body lands in a buffer of the
//! caller, whose memory is used again on the next scrape.
//!
//! Servers are not trusted: the time of the whole exchange, the size of the head, of the body as
//! sent and of the body as unpacked are bounded. Texts of errors are those of Go's client, since
//! they are what users of Prometheus see on the targets page and search for.
//!
//! There is no TLS, no proxy and no HTTP/2 yet: a URL that needs one is refused by name.

mod body;
mod connection;
mod error;
mod request;
mod url;
mod wire;

pub use connection::Connection;
pub use error::Error;
pub use request::{Request, RequestOptions, Response};
