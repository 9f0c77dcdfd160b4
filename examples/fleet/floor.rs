//! The floor: a server that knows nothing and hands out recorded bytes over the transport the real one uses.
//!
//! What it costs is what the kernel, HTTP/2 and gRPC's framing cost. It answers the first request of a type with the
//! recorded responses, or with an empty one where the client says that it holds everything, and sends a recorded
//! update to every stream when its standard input says which. No task per stream, no state but "was asked".

use std::{
    collections::VecDeque,
    io::BufRead,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use anyhow::{Context as _, Result};
use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http_body::Frame;
use tonic::{
    Status, Streaming,
    codec::{DecodeBuf, Decoder},
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    args::FloorArgs,
    client::{
        Dialect, Kind,
        proto::{self, Fields, Value},
    },
    recording::Recording,
};

/// Serves until standard input ends.
pub fn run(args: &FloorArgs) -> Result<()> {
    let recording = Recording::read(&args.recording).context("reading the recording")?;
    let board = Arc::new(Board::new(recording));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let _guard = runtime.enter();
    let incoming = TcpIncoming::bind(args.listen).map_err(anyhow::Error::msg)?.with_nodelay(Some(true));
    let mut router = Router::new();
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let handler = move |State(board): State<Arc<Board>>, request: http::Request<Body>| async move {
            answer(board, dialect, request)
        };
        router = router.route(dialect.path(), post(handler));
    }
    let server = Server::builder()
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(20)))
        .add_routes(Routes::from(router.with_state(board.clone())))
        .serve_with_incoming(incoming);
    runtime.spawn(server);
    // The main thread hears what to send.
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let update = line.strip_prefix("push ").and_then(|number| number.parse().ok());
        board.push(update.with_context(|| format!("`push N` was expected, not `{line}`"))?)?;
    }
    Ok(())
}

fn answer(board: Arc<Board>, dialect: Dialect, request: http::Request<Body>) -> Response {
    let requests = Streaming::new_request(AskDecoder(dialect), request.into_body(), None, Some(64 * 1024 * 1024));
    let pushed = board.pushed.load(Ordering::Acquire);
    let body = Responses { board, place: None, requests, frames: VecDeque::new(), pushed, asked: [false; 4], nonce: 0 };
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
    response
}

/// What every stream shares.
struct Board {
    first: [Vec<Bytes>; 4],
    nothing: [Bytes; 4],
    updates: Vec<Bytes>,
    /// Which updates were pushed, in order.
    order: Mutex<Vec<usize>>,
    /// How many.
    pushed: AtomicUsize,
    wakers: Mutex<Vec<Option<Waker>>>,
}

impl Board {
    fn new(recording: Recording) -> Self {
        let Recording { first, updates, nothing } = recording;
        Self {
            first: first.map(|bodies| bodies.into_iter().map(Bytes::from).collect()),
            nothing: nothing.map(Bytes::from),
            updates: updates.into_iter().map(Bytes::from).collect(),
            order: Mutex::default(),
            pushed: AtomicUsize::new(0),
            wakers: Mutex::default(),
        }
    }

    fn push(&self, update: usize) -> Result<()> {
        anyhow::ensure!(update < self.updates.len(), "there is no update {update} in the recording");
        lock(&self.order).push(update);
        self.pushed.fetch_add(1, Ordering::Release);
        lock(&self.wakers).iter().flatten().for_each(Waker::wake_by_ref);
        Ok(())
    }
}

/// What a request says, as far as the floor listens.
struct Ask {
    kind: Option<Kind>,
    is_answer: bool,
    holds_something: bool,
}

struct AskDecoder(Dialect);

impl Decoder for AskDecoder {
    type Item = Ask;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Ask>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let (type_url, nonce, initial) = match self.0 {
            Dialect::Delta => (2, 6, Some(5)),
            Dialect::Sotw => (4, 5, None),
        };
        let mut ask = Ask { kind: None, is_answer: false, holds_something: false };
        for (field, value) in Fields(&bytes) {
            match value {
                Value::Bytes(url) if field == type_url => ask.kind = Kind::of_url(url),
                Value::Bytes(text) if field == nonce => ask.is_answer = !text.is_empty(),
                Value::Bytes(_) if Some(field) == initial => {
                    ask.holds_something = true;
                }
                _ => {}
            }
        }
        Ok(Some(ask))
    }
}

/// A stream: its requests taken and its responses made in one place, when HTTP/2 asks for more.
struct Responses {
    board: Arc<Board>,
    place: Option<(usize, Waker)>,
    requests: Streaming<Ask>,
    frames: VecDeque<Bytes>,
    pushed: usize,
    asked: [bool; 4],
    nonce: u64,
}

/// Below this a copy is cheaper than two frames.
const SMALL: usize = 16 * 1024;

impl Responses {
    fn say(&mut self, body: &Bytes) {
        self.nonce += 1;
        let mut nonce = Vec::with_capacity(20);
        proto::put(&mut nonce, 5, format!("{:x}", self.nonce).as_bytes());
        let length = body.len() + nonce.len();
        let small = length < SMALL;
        let mut head = BytesMut::with_capacity(5 + if small { length } else { nonce.len() });
        head.put_u8(0);
        head.put_u32(length as u32);
        head.put_slice(&nonce);
        if small {
            head.put_slice(body);
            self.frames.push_back(head.freeze());
        } else {
            self.frames.extend([head.freeze(), body.clone()]);
        }
    }

    fn hear(&mut self, ask: &Ask) {
        let Some(kind) = ask.kind else { return };
        if ask.is_answer || std::mem::replace(&mut self.asked[kind as usize], true) {
            return;
        }
        let board = self.board.clone();
        if ask.holds_something && matches!(kind, Kind::Cluster | Kind::Listener) {
            return self.say(&board.nothing[kind as usize]);
        }
        board.first[kind as usize].iter().for_each(|body| self.say(body));
    }

    fn take_updates(&mut self) {
        let pushed = self.board.pushed.load(Ordering::Acquire);
        while self.pushed < pushed {
            let update = lock(&self.board.order)[self.pushed];
            self.pushed += 1;
            if self.asked[Kind::Endpoints as usize] {
                let board = self.board.clone();
                self.say(&board.updates[update]);
            }
        }
    }

    /// Leaves word whom to wake, once: a stream is polled by the same task all its life.
    fn be_woken(&mut self, waker: &Waker) {
        match &self.place {
            Some((_, known)) if known.will_wake(waker) => {}
            Some((place, _)) => {
                let place = *place;
                lock(&self.board.wakers)[place] = Some(waker.clone());
                self.place = Some((place, waker.clone()));
            }
            None => {
                let mut wakers = lock(&self.board.wakers);
                wakers.push(Some(waker.clone()));
                self.place = Some((wakers.len() - 1, waker.clone()));
            }
        }
    }
}

impl http_body::Body for Responses {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        this.be_woken(context.waker());
        loop {
            if let Some(frame) = this.frames.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            this.take_updates();
            if !this.frames.is_empty() {
                continue;
            }
            match Pin::new(&mut this.requests).poll_next(context) {
                Poll::Ready(Some(Ok(ask))) => this.hear(&ask),
                Poll::Ready(Some(Err(status))) => return Poll::Ready(Some(Err(status))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Responses {
    fn drop(&mut self) {
        if let Some((place, _)) = self.place {
            lock(&self.board.wakers)[place] = None;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
