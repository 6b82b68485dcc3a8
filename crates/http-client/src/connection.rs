//! One kept connection, and the whole of an exchange over it.

use std::fmt;

use bytes::Bytes;
use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HOST, HeaderValue, LOCATION,
};
use http::{HeaderMap, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::body::BodySink;
use crate::error::DEADLINE;
use crate::url::Url;
use crate::wire::Wire;
use crate::{Error, Request, Response};

/// Requests of one exchange, the first one included.
const REDIRECTS_MAX: usize = 10;

/// Of a body that nobody wants, so much is read to keep the connection; more is dearer than dialling.
const DRAIN_BYTES_MAX: usize = 64 << 10;

/// A connection to one server that is kept between requests, and dialled anew when it broke.
#[derive(Default)]
pub struct Connection {
    kept: Option<Wire>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("kept", &self.kept.as_ref().map(|wire| &wire.authority))
            .finish()
    }
}

impl Connection {
    /// A connection that is not dialled yet.
    #[must_use]
    pub fn new() -> Connection {
        Connection::default()
    }

    /// Sends `request` and reads the answer; `body` is cleared and then holds the unpacked body of
    /// an answer with status 200. Its memory is used again.
    ///
    /// Dropping the future in the middle is safe; the connection is dialled anew then.
    ///
    /// # Errors
    /// If there is no answer with status 200 in time and within the limits; `body` is empty then.
    pub async fn get(&mut self, request: &Request, body: &mut Vec<u8>) -> Result<Response, Error> {
        body.clear();
        let deadline = Instant::now() + request.timeout;
        let result = self.exchange(request, body, deadline).await;
        if result.is_err() {
            body.clear();
        }
        result
    }

    async fn exchange(
        &mut self,
        request: &Request,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Response, Error> {
        let mut hop = Hop {
            url: request.url.clone(),
            headers: request.headers.clone(),
        };
        let mut sent = 0;
        loop {
            let head = timeout_at(deadline, self.head(&hop, deadline)).await;
            let (wire, response) = head
                .unwrap_or_else(|_| Err(DEADLINE.to_owned()))
                .map_err(|reason| Error::request(&hop.url.text, &reason))?;
            sent += 1;
            match location(&response) {
                Some(location) if request.follow_redirects => {
                    if sent == REDIRECTS_MAX {
                        let reason = format!("stopped after {REDIRECTS_MAX} redirects");
                        return Err(Error::request(&location, &reason));
                    }
                    hop.redirect(&location)?;
                    self.discard(wire, response, deadline).await;
                }
                _ if response.status() == StatusCode::OK => {
                    return self
                        .read(wire, response, request.body_bytes_max, body, deadline)
                        .await;
                }
                _ => {
                    let status = status_text(&response);
                    self.discard(wire, response, deadline).await;
                    return Err(Error::Status(status));
                }
            }
        }
    }

    /// Sends one request and reads the head of its answer: over the kept connection, if that still
    /// works, else over a new one.
    async fn head(
        &mut self,
        hop: &Hop,
        deadline: Instant,
    ) -> Result<(Wire, http::Response<Incoming>), String> {
        if let Some(mut wire) = self.kept.take()
            && wire.authority == hop.url.authority
            && wire.is_ready().await
            // A server may close a connection just now: that is no error of the request.
            && let Ok(response) = wire.send(hop.message()?).await
        {
            return Ok((wire, response));
        }
        let mut wire = Wire::dial(&hop.url, deadline).await?;
        let response = wire.send(hop.message()?).await?;
        Ok((wire, response))
    }

    async fn read(
        &mut self,
        mut wire: Wire,
        response: http::Response<Incoming>,
        bytes_max: u64,
        body: &mut Vec<u8>,
        deadline: Instant,
    ) -> Result<Response, Error> {
        let (head, mut incoming) = response.into_parts();
        let gzip = head
            .headers
            .get(CONTENT_ENCODING)
            .is_some_and(|coding| coding == "gzip");
        let mut sink = BodySink::new(body, bytes_max, content_length(&head.headers), gzip);
        let read = async {
            while let Some(bytes) = wire.body_bytes(&mut incoming).await.map_err(Error::Body)? {
                sink.push(&bytes)?;
            }
            sink.finish()
        };
        timeout_at(deadline, read)
            .await
            .unwrap_or_else(|_| Err(Error::Body(DEADLINE.to_owned())))?;
        self.kept = Some(wire);
        Ok(Response {
            headers: head.headers,
        })
    }

    /// Keeps the connection if the body of the answer is soon read.
    async fn discard(
        &mut self,
        mut wire: Wire,
        response: http::Response<Incoming>,
        deadline: Instant,
    ) {
        let mut body = response.into_body();
        if let Ok(true) = timeout_at(deadline, wire.drain(&mut body, DRAIN_BYTES_MAX)).await {
            self.kept = Some(wire);
        }
    }
}

/// One request of an exchange.
struct Hop {
    url: Url,
    headers: HeaderMap,
}

impl Hop {
    /// Goes where `location` leads. What is secret goes to no other host.
    fn redirect(&mut self, location: &str) -> Result<(), Error> {
        let url = self.url.join(location)?;
        if url.host != self.url.host {
            self.headers.remove(AUTHORIZATION);
            self.headers.remove(COOKIE);
        }
        self.url = url;
        Ok(())
    }

    fn message(&self) -> Result<http::Request<Empty<Bytes>>, String> {
        let mut message = http::Request::new(Empty::new());
        *message.uri_mut() = self
            .url
            .target
            .parse()
            .map_err(|error| format!("invalid path: {error}"))?;
        *message.headers_mut() = self.headers.clone();
        let host = HeaderValue::from_str(&self.url.authority)
            .map_err(|error| format!("invalid host: {error}"))?;
        message.headers_mut().insert(HOST, host);
        Ok(message)
    }
}

/// Where the answer says to go instead, if it does.
fn location(response: &http::Response<Incoming>) -> Option<String> {
    matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308)
        .then(|| response.headers().get(LOCATION))
        .flatten()
        .map(|location| String::from_utf8_lossy(location.as_bytes()).into_owned())
        .filter(|location| !location.is_empty())
}

/// `404 Not Found`, in the server's words.
fn status_text(response: &http::Response<Incoming>) -> String {
    let status = response.status();
    let reason = response
        .extensions()
        .get::<hyper::ext::ReasonPhrase>()
        .map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned())
        .or_else(|| status.canonical_reason().map(str::to_owned))
        .unwrap_or_default();
    format!("{} {reason}", status.as_u16())
        .trim_end()
        .to_owned()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
