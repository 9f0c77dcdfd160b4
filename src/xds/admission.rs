//! Streams that begin, let in a few at a time.
//!
//! When a server restarts, its whole fleet connects at once, and each client's first request lists all it holds. What
//! bounds the memory of that is the number that are read and answered at once; the others wait, each with no more
//! than HTTP/2 lets it send unread. A turn is never held for a client's sake: it begins when the client has begun to
//! speak, and ends after a while whatever the client does. Streams that are served take no turns, so pushes go on.

use std::{future::poll_fn, pin::Pin, sync::Arc};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tonic::{Status, codegen::StdError};

use super::{
    Metrics, Settings,
    link::{Link, Wish},
    metrics::Counted,
    reader::Reader,
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
pub(super) struct Begun<B> {
    pub first: Incoming,
    pub requests: Reader<B>,
    /// Given back once the first request is answered; absent when it took too long to come.
    pub turn: Option<Turn>,
}

/// One of the turns, counted for as long as it is held.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    _held: Counted,
}

impl Admission {
    pub fn new(settings: Arc<Settings>, metrics: Metrics) -> Self {
        Self { turns: Arc::new(Semaphore::new(settings.admission.at_once)), settings, metrics }
    }

    /// Waits for a client's first request. Absent = it ended without one.
    pub async fn begin<B>(&self, mut body: B, decoder: RequestDecoder, link: &Link) -> Result<Option<Begun<B>>, Status>
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
        let turn = Turn { _permit: permit, _held: Counted::by(&self.metrics.beginning) };
        let mut requests = Reader::new(body, first.into_data().unwrap_or_default(), decoder, *largest_request);
        let (first, turn) = match timeout(admission.turn, requests.next()).await {
            Ok(first) => (first, Some(turn)),
            Err(_) => {
                drop(turn);
                (requests.next().await, None)
            }
        };
        Ok(first.map_err(understood)?.map(|first| Begun { first, requests, turn }))
    }
}
