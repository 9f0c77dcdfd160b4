//! A stream's requests, cut out of its frames.
//!
//! Requests are small and each comes in one frame, as a rule: then it is read where it lies, and nothing is kept between
//! requests. Only one that comes in parts, such as Envoy's first with its 61 kB node, is put together.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes, BytesMut};
use tonic::{Status, codegen::StdError};

use super::request::{Incoming, RequestDecoder};

/// Reads requests from a body.
#[derive(Debug)]
pub(super) struct Reader<B> {
    body: B,
    decoder: RequestDecoder,
    /// Longer requests are refused.
    largest: usize,
    /// Of the latest frame, what was not looked at yet.
    frame: Bytes,
    /// The beginning of a request that did not come in one frame.
    begun: BytesMut,
    /// How long the longest of those was that came to their end.
    proven: usize,
}

/// gRPC's: whether it is compressed, and how long it is.
const HEAD: usize = 5;

impl<B> Reader<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<StdError>> + Unpin,
{
    /// Of a body whose first frame has come.
    pub fn new(body: B, frame: Bytes, decoder: RequestDecoder, largest: usize) -> Self {
        Self { body, decoder, largest, frame, begun: BytesMut::new(), proven: 0 }
    }

    /// The next request; `None` when the client has nothing more to ask.
    pub async fn next(&mut self) -> Result<Option<Incoming>, Status> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The same, for those who wait for something else besides.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Incoming>, Status>> {
        loop {
            if let Some(message) = self.cut()? {
                return Poll::Ready(self.decoder.read(message).map(Some));
            }
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                // Trailers say nothing that is not known.
                Poll::Ready(Some(Ok(frame))) => self.frame = frame.into_data().unwrap_or_default(),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Status::from_error(error.into()))),
                Poll::Ready(None) if self.begun.is_empty() => return Poll::Ready(Ok(None)),
                Poll::Ready(None) => {
                    self.begun = BytesMut::new();
                    return Poll::Ready(Err(Status::invalid_argument("the stream ends within a request")));
                }
            }
        }
    }

    /// Cuts off the next request, if all of it is there.
    fn cut(&mut self) -> Result<Option<Bytes>, Status> {
        if self.begun.is_empty()
            && let Some(length) = self.length(&self.frame)?
            && self.frame.len() >= HEAD + length
        {
            self.frame.advance(HEAD);
            return Ok(Some(self.frame.split_to(length)));
        }
        // Not all is in this frame: what there is of it is put aside.
        if self.begun.is_empty() {
            let length = self.length(&self.frame)?.unwrap_or_default();
            self.begun.reserve(self.proven.min(HEAD + length));
        }
        if self.begun.len() < HEAD {
            self.add(HEAD);
        }
        let Some(length) = self.length(&self.begun)? else { return Ok(None) };
        self.add(HEAD + length);
        if self.begun.len() < HEAD + length {
            return Ok(None);
        }
        self.proven = self.proven.max(HEAD + length);
        let mut message = std::mem::take(&mut self.begun).freeze();
        message.advance(HEAD);
        Ok(Some(message))
    }

    /// Moves from the frame what a request of so many bytes lacks. Room is made for what has come, or came before, not for
    /// what is said to come.
    fn add(&mut self, wanted: usize) {
        let lacking = wanted.saturating_sub(self.begun.len()).min(self.frame.len());
        self.begun.extend_from_slice(&self.frame.split_to(lacking));
    }

    /// How long a request is; absent while that is not there yet.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some((&[compressed, ref length @ ..], _)) = bytes.split_first_chunk::<HEAD>() else { return Ok(None) };
        let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
        if compressed != 0 {
            return Err(Status::internal("a request says that it is compressed, and its stream did not say how"));
        }
        if length > self.largest {
            return Err(Status::out_of_range(format!(
                "it has {length} bytes, and up to {} bytes are taken",
                self.largest
            )));
        }
        Ok(Some(length))
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::VecDeque, convert::Infallible, sync::Arc};

    use http_body::Frame;
    use prost::Message;
    use tonic::Code;

    use super::{super::dialect::Dialect, *};
    use crate::proto::envoy::{config::core::v3::Node, service::discovery::v3::DeltaDiscoveryRequest};

    struct Frames(VecDeque<Bytes>);

    impl http_body::Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.pop_front().map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat()
    }

    fn request(type_url: &str, node: usize) -> Vec<u8> {
        let node = Some(Node { id: "n".repeat(node), ..Default::default() });
        framed(&DeltaDiscoveryRequest { type_url: type_url.into(), node, ..Default::default() }.encode_to_vec())
    }

    fn reader(bytes: &[u8], piece: usize) -> Reader<Frames> {
        let mut frames: VecDeque<Bytes> = bytes.chunks(piece).map(Bytes::copy_from_slice).collect();
        let first = frames.pop_front().unwrap_or_default();
        let decoder = RequestDecoder { dialect: Dialect::Delta, shared: Arc::default() };
        Reader::new(Frames(frames), first, decoder, 100_000)
    }

    #[tokio::test]
    async fn however_frames_are_cut_requests_are_the_same() {
        let bytes = [request("a", 10), request("b", 61_000), request("", 0), request("c", 1)].concat();
        for piece in [1, 2, 5, 6, 100, 16_384, bytes.len()] {
            let mut reader = reader(&bytes, piece);
            let mut urls = Vec::new();
            while let Some(incoming) = reader.next().await.expect("requests") {
                urls.push(incoming.type_url);
            }
            assert_eq!(urls, ["a", "b", "", "c"], "in pieces of {piece}");
        }
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_with_a_reason() {
        let too_long = [0, 0x7f, 0, 0, 0];
        let compressed = [1, 0, 0, 0, 0];
        let cut = &request("a", 10)[..8];
        let no_message = framed(&[0xff; 10]);
        for (bytes, code) in [
            (&too_long[..], Code::OutOfRange),
            (&compressed[..], Code::Internal),
            (cut, Code::InvalidArgument),
            (&no_message[..], Code::InvalidArgument),
        ] {
            for piece in [1, bytes.len()] {
                let refused = reader(bytes, piece).next().await.expect_err("no request");
                assert_eq!(refused.code(), code, "{refused:?}");
            }
        }
    }
}
