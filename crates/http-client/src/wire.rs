//! One dialled connection, driven by whoever waits for it.
//!
//! hyper splits a connection into a handle that sends requests and a future that does the reading
//! and writing. The future is not a task of its own here: it is polled beside what waits for it
//! ([`drive`]), so an idle connection costs no task, and dropping the exchange closes the socket.

use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::error::{DEADLINE, Part, connection_text, system_text};
use crate::url::Url;

/// Bound of the head of an answer, and of hyper's buffer for reading, which a kept connection keeps.
/// Heads have some hundred bytes; larger buffers save few reads and cost memory for each target.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 10;

/// No attempt at one of several addresses is given less than this, unless there is no more time.
const ATTEMPT_MIN: Duration = Duration::from_secs(2);

type Driver = http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>;

/// A connection to the server `authority`.
pub(crate) struct Wire {
    pub(crate) authority: String,
    sender: SendRequest<Empty<Bytes>>,
    /// Gone when the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
    local: Option<SocketAddr>,
    remote: SocketAddr,
}

impl Wire {
    /// Dials the server of `url`. The error is Go's text.
    pub(crate) async fn dial(url: &Url, deadline: Instant) -> Result<Wire, String> {
        let (stream, remote) = connect(url, deadline).await?;
        // If it fails, a request may wait a little; no reason to give up.
        let _ = stream.set_nodelay(true);
        let local = stream.local_addr().ok();
        let handshake = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driver) =
            handshake.map_err(|error| connection_text(&error, Part::Head, local, remote))?;
        Ok(Wire {
            authority: url.authority.clone(),
            sender,
            driver: Some(Box::pin(driver)),
            local,
            remote,
        })
    }

    /// Whether a request can be sent: the server has not closed the connection.
    pub(crate) async fn is_ready(&mut self) -> bool {
        let Wire { sender, driver, .. } = self;
        drive(driver, sender.ready()).await.is_ok() && self.driver.is_some()
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) async fn send(
        &mut self,
        request: http::Request<Empty<Bytes>>,
    ) -> Result<http::Response<Incoming>, String> {
        let Wire { sender, driver, .. } = self;
        drive(driver, sender.send_request(request))
            .await
            .map_err(|error| connection_text(&error, Part::Head, self.local, self.remote))
    }

    /// The next bytes of a body; `None` at its end.
    pub(crate) async fn body_bytes(
        &mut self,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>, String> {
        loop {
            match drive(&mut self.driver, body.frame()).await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    // Trailers are nothing to us.
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => {
                    return Err(connection_text(&error, Part::Body, self.local, self.remote));
                }
            }
        }
    }

    /// Reads a body that nobody wants to its end, up to `bytes_max`; whether the connection can be
    /// kept.
    pub(crate) async fn drain(&mut self, body: &mut Incoming, bytes_max: usize) -> bool {
        let mut bytes_left = bytes_max;
        loop {
            match self.body_bytes(body).await {
                Ok(Some(bytes)) => match bytes_left.checked_sub(bytes.len()) {
                    Some(left) => bytes_left = left,
                    None => return false,
                },
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Waits for `future` while the connection reads and writes.
async fn drive<F: Future>(driver: &mut Option<Pin<Box<Driver>>>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        if let Some(running) = driver
            && running.as_mut().poll(context).is_ready()
        {
            // What it ended with, the future learns too.
            *driver = None;
        }
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(output),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn connect(url: &Url, deadline: Instant) -> Result<(TcpStream, SocketAddr), String> {
    let addresses = resolve(url).await?;
    let mut first_error = None;
    for (index, address) in addresses.iter().enumerate() {
        let attempt = attempt_deadline(deadline, addresses.len() - index);
        let error = match timeout_at(attempt, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(error)) => format!("dial tcp {address}: connect: {}", system_text(&error)),
            Err(_) => format!("dial tcp {address}: i/o timeout"),
        };
        first_error.get_or_insert(error);
    }
    Err(first_error.unwrap_or_else(|| DEADLINE.to_owned()))
}

/// Until when one of the addresses that are left may be tried: they share the time.
fn attempt_deadline(deadline: Instant, addresses_left: usize) -> Instant {
    let left = deadline.saturating_duration_since(Instant::now());
    let share = left / u32::try_from(addresses_left.max(1)).unwrap_or(u32::MAX);
    deadline.min(Instant::now() + share.max(ATTEMPT_MIN))
}

async fn resolve(url: &Url) -> Result<Vec<SocketAddr>, String> {
    if let Ok(address) = url.host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, url.port)]);
    }
    let host = &url.host;
    match tokio::net::lookup_host((host.as_str(), url.port)).await {
        Ok(addresses) => {
            let addresses: Vec<SocketAddr> = addresses.collect();
            match addresses.is_empty() {
                false => Ok(addresses),
                true => Err(format!("dial tcp: lookup {host}: no such host")),
            }
        }
        Err(error) => Err(format!("dial tcp: lookup {host}: {}", lookup_text(&error))),
    }
}

/// The resolver's words are the C library's; Go's for the two usual cases.
fn lookup_text(error: &std::io::Error) -> String {
    let text = error.to_string();
    if text.contains("Name or service not known")
        || text.contains("No address associated with hostname")
    {
        "no such host".to_owned()
    } else if text.contains("Temporary failure in name resolution") {
        "server misbehaving".to_owned()
    } else {
        system_text(error)
    }
}
