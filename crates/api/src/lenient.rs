//! Request lines as people type them: `curl -g 'host/api/v1/series?match[]={job="a"}'`.
//!
//! Quotes and angle brackets belong percent-encoded, and the HTTP library refuses them; Go takes
//! them, and Prometheus's own documentation shows such calls. [`Lenient`] encodes them in the
//! first line of a connection, before the library sees it. Later requests of the same connection
//! come from libraries, which encode; finding their first lines would mean to parse bodies here.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Read at a time until the first line has ended.
const READ_BYTES: usize = 4096;

/// A connection whose first line is made valid.
#[derive(Debug)]
pub(crate) struct Lenient<S> {
    stream: S,
    /// What was read and rewritten, and not taken yet.
    pending: Vec<u8>,
    taken: usize,
    first_line_ended: bool,
}

impl<S> Lenient<S> {
    pub(crate) fn new(stream: S) -> Lenient<S> {
        Lenient {
            stream,
            pending: Vec::new(),
            taken: 0,
            first_line_ended: false,
        }
    }

    /// Adds what was read to what is pending.
    fn accept(&mut self, bytes: &[u8]) {
        self.pending.clear();
        self.taken = 0;
        for &byte in bytes {
            match byte {
                b'"' | b'<' | b'>' if !self.first_line_ended => {
                    let encoded: &[u8] = match byte {
                        b'"' => b"%22",
                        b'<' => b"%3C",
                        _ => b"%3E",
                    };
                    self.pending.extend_from_slice(encoded);
                }
                byte => self.pending.push(byte),
            }
            self.first_line_ended |= byte == b'\n';
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lenient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.taken == this.pending.len() {
            if this.first_line_ended {
                return Pin::new(&mut this.stream).poll_read(context, buffer);
            }
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut read))?;
            this.accept(read.filled());
        }
        let rest = &this.pending[this.taken..];
        let count = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..count]);
        this.taken += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lenient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn only_the_first_line_is_changed() {
        let sent = b"GET /a?b=\"<>\" HTTP/1.1\r\nX: \"<\"\r\n\r\n\"body\"";
        let expected = "GET /a?b=%22%3C%3E%22 HTTP/1.1\r\nX: \"<\"\r\n\r\n\"body\"";
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        // Cut at every place, and read into buffers of one byte and of many.
        for cut in 0..sent.len() {
            for chunk in [1, 64] {
                let halves = (&sent[..cut]).chain(&sent[cut..]);
                let mut lenient = Lenient::new(halves);
                let mut text = Vec::new();
                runtime.block_on(async {
                    let mut buffer = vec![0; chunk];
                    loop {
                        let count = lenient.read(&mut buffer).await.unwrap();
                        if count == 0 {
                            break;
                        }
                        text.extend_from_slice(&buffer[..count]);
                    }
                });
                assert_eq!(std::str::from_utf8(&text), Ok(expected), "{cut} {chunk}");
            }
        }
    }
}
