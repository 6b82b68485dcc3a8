//! The body of a response as hyper polls it, and what is counted when it ends.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::http_metrics::Observation;
use crate::outlet::{Chunk, StartedBody};

/// The writer of the body did not come to its end; the connection must not look complete.
#[derive(Debug, thiserror::Error)]
#[error("the answer ended early")]
pub struct Broken;

enum Source {
    Whole(Full<Bytes>),
    Chunks(mpsc::Receiver<Chunk>),
    Ended,
}

/// A body that counts itself.
pub struct ResponseBody {
    source: Source,
    observation: Option<Observation>,
}

impl std::fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseBody").finish_non_exhaustive()
    }
}

impl ResponseBody {
    pub(crate) fn new(body: StartedBody, observation: Option<Observation>) -> ResponseBody {
        let source = match body {
            StartedBody::Whole(bytes) => Source::Whole(Full::new(bytes)),
            StartedBody::Chunks(chunks) => Source::Chunks(chunks),
        };
        ResponseBody {
            source,
            observation,
        }
    }

    fn poll_source(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.source {
            Source::Whole(full) => Pin::new(full)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {}))),
            Source::Chunks(chunks) => match ready!(chunks.poll_recv(context)) {
                Some(Chunk::Data(bytes)) => Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Chunk::End) => {
                    self.source = Source::Ended;
                    Poll::Ready(None)
                }
                None => {
                    self.source = Source::Ended;
                    Poll::Ready(Some(Err(Broken)))
                }
            },
            Source::Ended => Poll::Ready(None),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let frame = ready!(self.poll_source(context));
        if let (Some(Ok(frame)), Some(observation)) = (&frame, &mut self.observation)
            && let Some(data) = frame.data_ref()
        {
            observation.add_bytes(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Whole(full) => full.is_end_stream(),
            Source::Chunks(_) => false,
            Source::Ended => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Whole(full) => full.size_hint(),
            Source::Chunks(_) => SizeHint::default(),
            Source::Ended => SizeHint::with_exact(0),
        }
    }
}
