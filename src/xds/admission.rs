//! Streams that begin, let in a few at a time.
//!
//! When a server restarts, its whole fleet connects at once, and each client's first request lists all it holds. What
//! bounds the memory of that is the number that are read and answered at once; the others wait, each with no more
//! than HTTP/2 lets it send unread. A turn is never held for a client's sake: it begins when the client has begun to
//! speak, and ends after a while whatever the client does. Streams that are served take no turns, so pushes go on.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::Frame;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::{Status, Streaming, codegen::StdError};

use super::{
    Metrics, Settings,
    link::{Link, Wish},
    request::{Incoming, RequestDecoder, understood},
};

/// The turns there are.
#[derive(Debug)]
pub(super) struct Admission {
    turns: Arc<Semaphore>,
    settings: Arc<Settings>,
    metrics: Metrics,
}

/// A stream whose client has said who it is and what it wants.
pub(super) struct Begun {
    pub first: Incoming,
    pub requests: Streaming<Incoming>,
    /// Given back once the first request is answered; absent when it took too long to come.
    pub turn: Option<Turn>,
}

/// One of the turns, counted for as long as it is held.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    metrics: Metrics,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.metrics.beginning.dec();
    }
}

impl Admission {
    pub fn new(settings: Arc<Settings>, metrics: Metrics) -> Self {
        Self { turns: Arc::new(Semaphore::new(settings.admission.at_once)), settings, metrics }
    }

    /// Waits for a client's first request. Absent = it ended without one.
    pub async fn begin<B>(&self, mut body: B, decoder: RequestDecoder, link: &Link) -> Result<Option<Begun>, Status>
    where
        B: http_body::Body<Data = Bytes, Error: Into<StdError>> + Unpin + Send + 'static,
    {
        let first = match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(error)) => return Err(Status::from_error(error.into())),
            Some(Ok(frame)) => frame,
        };
        let Settings { largest_request, admission, .. } = &*self.settings;
        let Ok(Ok(permit)) = timeout(admission.wait, self.turns.clone().acquire_owned()).await else {
            self.metrics.overloaded.inc();
            // Another replica may have room.
            link.wish(Wish::Leave);
            let said = "more streams begin at once than this control plane takes: try again";
            return Err(Status::resource_exhausted(said));
        };
        self.metrics.beginning.inc();
        let turn = Turn { _permit: permit, metrics: self.metrics.clone() };
        let body = Rest { first: Some(first), body };
        let mut requests = Streaming::new_request(decoder, body, None, Some(*largest_request));
        let (first, turn) = match timeout(admission.turn, requests.message()).await {
            Ok(first) => (first, Some(turn)),
            Err(_) => {
                drop(turn);
                (requests.message().await, None)
            }
        };
        Ok(first.map_err(understood)?.map(|first| Begun { first, requests, turn }))
    }
}

/// A body of which the first frame was waited for.
struct Rest<B> {
    first: Option<Frame<Bytes>>,
    body: B,
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Rest<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }
}
