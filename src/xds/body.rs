//! What HTTP/2 gets as the answer to a request: a stream's responses as frames, or something said once.
//!
//! What a stream says is handed on as the bytes that were encoded once.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::sync::oneshot;
use tonic::{Code, Status};

use super::{
    beginning::Outcome,
    link::Link,
    metrics::Counted,
    session::Response,
    stream::{Outgoing, Stream},
};
use crate::publish::{Bell, Ear, Ring, Rung};

/// An answer.
#[derive(Debug)]
pub(super) enum Answer {
    Responses(Responses),
    /// Text, or nothing beside the headers.
    Said(Option<Bytes>),
}

impl Default for Answer {
    fn default() -> Self {
        Self::Said(None)
    }
}

/// A stream's responses.
#[derive(Debug)]
pub(super) struct Responses {
    ear: Ear,
    /// For all that the stream waits for; it rings the bell.
    waker: Waker,
    /// What is to be looked after.
    rung: Rung,
    link: Arc<Link>,
    phase: Phase,
    /// A message whose head has gone.
    behind_head: Option<Bytes>,
    _open: Counted,
}

#[derive(Debug)]
enum Phase {
    Beginning(oneshot::Receiver<Outcome>),
    Serving(Box<Stream>),
    Ended,
}

/// Below this, one frame with a copy is cheaper than two without.
const SMALL: usize = 16 * 1024;

impl Responses {
    /// Of a stream that begins.
    pub fn new(stream: oneshot::Receiver<Outcome>, bell: Arc<Bell>, link: Arc<Link>, open: Counted) -> Self {
        // What nobody has asked for yet has told nobody whom to wake.
        bell.mark(Ring::Woken);
        link.add(&bell);
        Self {
            ear: Ear::new(bell.clone()),
            waker: bell.into(),
            rung: Rung::default(),
            link,
            phase: Phase::Beginning(stream),
            behind_head: None,
            _open: open,
        }
    }

    fn poll_next(&mut self, context: &Context<'_>) -> Poll<Outgoing> {
        let Self { ear, waker, rung, link, phase, .. } = self;
        rung.add(ear.hear(context));
        rung.clear(Ring::More);
        if rung.is_for(Ring::Farewell)
            && let Some(farewell) = link.farewell()
        {
            return Poll::Ready(Outgoing::End(farewell.status()));
        }
        let context = &mut Context::from_waker(waker);
        loop {
            match phase {
                Phase::Serving(stream) => {
                    let next = stream.poll(rung, context);
                    let is_response = matches!(next, Poll::Ready(Outgoing::Response(_)));
                    if is_response && (!rung.is_silent() || stream.has_more()) {
                        ear.bell().mark(Ring::More);
                    }
                    return next;
                }
                Phase::Beginning(stream) => match ready!(Pin::new(stream).poll(context)) {
                    Ok(Ok(Some(stream))) => *phase = Phase::Serving(stream),
                    Ok(Ok(None)) => return Poll::Ready(Outgoing::End(Status::new(Code::Ok, ""))),
                    Ok(Err(status)) => return Poll::Ready(Outgoing::End(status)),
                    Err(_) => return Poll::Ready(Outgoing::End(Status::internal("the stream could not begin"))),
                },
                Phase::Ended => return Poll::Ready(Outgoing::End(Status::new(Code::Ok, ""))),
            }
        }
    }

    /// A gRPC message: no compression, the length, then the message itself. Its nonce comes first, so that a large
    /// message leaves with its last frame and not with one behind it: fields of Protobuf come in any order.
    fn frame(&mut self, response: &Response) -> Bytes {
        let (body, length) = (&response.body, response.length());
        let is_small = length < SMALL;
        let mut head = BytesMut::with_capacity(5 + length - if is_small { 0 } else { body.len() });
        head.put_u8(0);
        head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        response.nonce.put_field(&mut head);
        if is_small {
            head.put_slice(body);
        } else {
            self.behind_head = Some(body.clone());
        }
        head.freeze()
    }

    fn poll_frame(&mut self, context: &Context<'_>) -> Poll<Option<Frame<Bytes>>> {
        if let Some(body) = self.behind_head.take() {
            return Poll::Ready(Some(Frame::data(body)));
        }
        if matches!(self.phase, Phase::Ended) {
            return Poll::Ready(None);
        }
        let frame = match ready!(self.poll_next(context)) {
            Outgoing::Response(response) => Frame::data(self.frame(&response)),
            Outgoing::End(status) => {
                tracing::debug!(%status, "a stream ends");
                self.phase = Phase::Ended;
                Frame::trailers(trailers(&status))
            }
        };
        Poll::Ready(Some(frame))
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Responses(responses) => responses.poll_frame(context).map(|frame| frame.map(Ok)),
            Self::Said(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Said(None))
    }
}

fn trailers(status: &Status) -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    // A message that cannot stand in a header is left out; the code says enough.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
    }
    trailers
}
