//! From a reply to the bytes of a response: compression, and chunks for what is large.
//!
//! [`send`] runs where the reply was made. As long as the body is small it is kept whole and goes
//! out with its length; when it passes [`CHUNK_BYTES`] the head leaves and the rest follows
//! through a channel of [`CHUNKS_MAX`] chunks, so that an answer of any size takes a bounded
//! amount of memory. A client that does not read stops the writer there; one that goes away ends
//! it with [`Gone`].

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, HeaderValue, VARY};
use http::{HeaderMap, StatusCode};
use tokio::sync::{mpsc, oneshot};

use crate::json::Json;
use crate::reply::{Body, Reply};

/// Large enough that a chunk costs little to hand over, small enough that the first is soon there.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks under way to one client.
const CHUNKS_MAX: usize = 4;
/// Below this, compressing saves no packet.
const COMPRESS_BYTES_MIN: usize = 512;
/// JSON of samples shrinks tenfold at the quickest levels already.
const LEVEL: u32 = 2;

/// Nobody reads any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// The head of a response, with the bytes or where they come from.
pub(crate) struct Started {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: StartedBody,
}

pub(crate) enum StartedBody {
    Whole(Bytes),
    Chunks(mpsc::Receiver<Chunk>),
}

/// A piece of a body. The end is said, so that a writer that panics does not look like one that
/// has finished.
pub(crate) enum Chunk {
    Data(Bytes),
    End,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Gzip,
    /// zlib, as RFC 9110 says and upstream does.
    Deflate,
}

impl Encoding {
    /// The first that the client names; weights are not looked at, as upstream.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Option<Encoding> {
        let accept = headers.get(http::header::ACCEPT_ENCODING)?.to_str().ok()?;
        accept.split(',').find_map(|name| match name.trim() {
            "gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            _ => None,
        })
    }

    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
        })
    }

    fn encoder(self) -> Encoder {
        let level = Compression::new(LEVEL);
        match self {
            Encoding::Gzip => Encoder::Gzip(GzEncoder::new(Vec::new(), level)),
            Encoding::Deflate => Encoder::Deflate(ZlibEncoder::new(Vec::new(), level)),
        }
    }
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
}

impl Encoder {
    /// What is ready of the compressed stream after `bytes` went in.
    fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        let into_memory = "writing to a vector cannot fail";
        match self {
            Encoder::Gzip(encoder) => {
                encoder.write_all(bytes).expect(into_memory);
                std::mem::take(encoder.get_mut())
            }
            Encoder::Deflate(encoder) => {
                encoder.write_all(bytes).expect(into_memory);
                std::mem::take(encoder.get_mut())
            }
        }
    }

    fn finish(self) -> Vec<u8> {
        let into_memory = "writing to a vector cannot fail";
        match self {
            Encoder::Gzip(encoder) => encoder.finish().expect(into_memory),
            Encoder::Deflate(encoder) => encoder.finish().expect(into_memory),
        }
    }
}

enum Out {
    /// Nothing has left yet.
    Head(oneshot::Sender<Started>, StatusCode, HeaderMap),
    Chunks(mpsc::Sender<Chunk>),
}

/// Where a body is written.
pub(crate) struct Outlet {
    /// What is written and has not left.
    pub(crate) json: Json,
    encoding: Option<Encoding>,
    encoder: Option<Encoder>,
    out: Option<Out>,
}

impl Outlet {
    /// To be called now and then: lets go of what is written if it is enough.
    pub(crate) fn relieve(&mut self) -> Result<(), Gone> {
        if self.json.len() < CHUNK_BYTES {
            return Ok(());
        }
        let bytes = self.json.take();
        self.push(bytes)
    }

    /// Lets go of what is written, and of `bytes`, which go on where that ends.
    pub(crate) fn send_on(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        if self.json.len() > 0 {
            let before = self.json.take();
            self.push(before)?;
        }
        self.push(bytes)
    }

    fn push(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let sender = match self.out.take() {
            Some(Out::Chunks(sender)) => sender,
            Some(Out::Head(start, status, mut headers)) => {
                if let Some(encoding) = self.encoding {
                    headers.insert(CONTENT_ENCODING, encoding.name());
                    self.encoder = Some(encoding.encoder());
                }
                let (sender, chunks) = mpsc::channel(CHUNKS_MAX);
                let body = StartedBody::Chunks(chunks);
                let started = Started {
                    status,
                    headers,
                    body,
                };
                start.send(started).map_err(|_| Gone)?;
                sender
            }
            None => return Err(Gone),
        };
        let bytes = match &mut self.encoder {
            Some(encoder) => encoder.push(&bytes),
            None => bytes,
        };
        if !bytes.is_empty() {
            sender
                .blocking_send(Chunk::Data(bytes.into()))
                .map_err(|_| Gone)?;
        }
        self.out = Some(Out::Chunks(sender));
        Ok(())
    }

    fn finish(mut self) -> Result<(), Gone> {
        let rest = self.json.take();
        match self.out.take() {
            Some(Out::Head(start, status, headers)) => {
                let started = whole(status, headers, rest.into(), self.encoding);
                start.send(started).map_err(|_| Gone)
            }
            Some(Out::Chunks(sender)) => {
                let last = match self.encoder.take() {
                    Some(mut encoder) => {
                        let mut last = encoder.push(&rest);
                        last.extend(encoder.finish());
                        last
                    }
                    None => rest,
                };
                sender
                    .blocking_send(Chunk::Data(last.into()))
                    .map_err(|_| Gone)?;
                sender.blocking_send(Chunk::End).map_err(|_| Gone)
            }
            None => Err(Gone),
        }
    }
}

/// Sends the reply into `start`; blocks while the client reads.
pub(crate) fn send(
    reply: Reply,
    encoding: Option<Encoding>,
    start: oneshot::Sender<Started>,
) -> Result<(), Gone> {
    match reply.body {
        Body::Bytes(bytes) => {
            let started = whole(reply.status, reply.headers, bytes, encoding);
            start.send(started).map_err(|_| Gone)
        }
        Body::Written(write) => {
            let mut outlet = Outlet {
                json: Json::new(),
                encoding,
                encoder: None,
                out: Some(Out::Head(start, reply.status, reply.headers)),
            };
            write(&mut outlet)?;
            outlet.finish()
        }
    }
}

/// A response whose body is known.
pub(crate) fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    bytes: Bytes,
    encoding: Option<Encoding>,
) -> Started {
    let bytes = match encoding {
        Some(encoding) if bytes.len() >= COMPRESS_BYTES_MIN => {
            headers.insert(CONTENT_ENCODING, encoding.name());
            let mut encoder = encoding.encoder();
            let mut compressed = encoder.push(&bytes);
            compressed.extend(encoder.finish());
            compressed.into()
        }
        _ => bytes,
    };
    let body = StartedBody::Whole(bytes);
    Started {
        status,
        headers,
        body,
    }
}

/// Says that the answer depends on `Accept-Encoding`.
pub(crate) fn vary_by_encoding(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// A reply of a handler that runs at once: those answer with bytes.
pub(crate) fn whole_or_empty(reply: Reply, encoding: Option<Encoding>) -> Started {
    match reply.body {
        Body::Bytes(bytes) => whole(reply.status, reply.headers, bytes, encoding),
        Body::Written(_) => unreachable!("only queries write while they send"),
    }
}
