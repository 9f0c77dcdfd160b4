//! How a stream begins: its client's first request, read in its turn.
//!
//! That is a task of its own, which ends when the stream has begun: so turns end in time whatever becomes of the answer.

use std::sync::Arc;

use hyper::body::Incoming as Frames;
use tokio::sync::oneshot;
use tonic::Status;

use super::{
    admission::Begun,
    link::Link,
    request::RequestDecoder,
    service::Service,
    session::{Dialect, Session},
    stream::Stream,
};
use crate::{publish::Bell, resources::ResourceType};

/// What a stream begins with.
#[derive(Debug)]
pub(super) struct Beginning {
    pub service: Arc<Service>,
    pub dialect: Dialect,
    pub only: Option<ResourceType>,
    /// To the connection it is on.
    pub link: Arc<Link>,
    /// Its own.
    pub bell: Arc<Bell>,
}

/// The stream, once it has begun; absent when the client ended it without a request.
pub(super) type Outcome = Result<Option<Box<Stream>>, Status>;

impl Beginning {
    /// Begins, unless nobody waits for that any more.
    pub async fn run(self, frames: Frames, mut outcome: oneshot::Sender<Outcome>) {
        let begun = tokio::select! {
            () = outcome.closed() => return,
            begun = self.begin(frames) => begun,
        };
        // Who has gone meanwhile needs nothing.
        let _ = outcome.send(begun);
    }

    async fn begin(&self, frames: Frames) -> Outcome {
        let Self { service, dialect, only, link, bell } = self;
        let decoder = RequestDecoder { dialect: *dialect, shared: service.shared.clone() };
        let Some(begun) = service.admission.begin(frames, decoder, link).await? else { return Ok(None) };
        let Begun { first, requests, turn } = begun;
        let session = Session::new(*dialect, service.shared.clone());
        let stream = Stream::begin(service.clone(), *only, session, first, requests, bell.clone())?;
        drop(turn);
        Ok(Some(Box::new(stream)))
    }
}
