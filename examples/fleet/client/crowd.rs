//! All sidecars, in one thread: an event loop over their sockets.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, net::TcpStream};
use socket2::{Domain, Protocol, Socket, Type};

use super::{
    http2::Http2,
    inbox::Seen,
    requests::Dialect,
    sidecar::{Manner, Progress, Script},
};

/// How many connections may wait for the server's first word at a time: a listener's backlog has an end.
const GREETING: usize = 256;

/// How many connections go out from one source address; each address has its own ports.
const PER_ADDRESS: usize = 20_000;

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    GoOn,
    Stop,
}

/// Many sidecars against one server.
pub struct Crowd {
    server: SocketAddr,
    poll: Poll,
    events: Events,
    members: Vec<Member>,
    to_connect: VecDeque<usize>,
    greeting: usize,
    /// How many of the honest have everything they asked for.
    complete: usize,
    /// How many streams have ended, for whatever reason.
    ended: usize,
    /// How the first of them did.
    first_end: Option<String>,
    buffer: Vec<u8>,
    scratch: Scratch,
}

#[derive(Default)]
struct Scratch {
    out: Vec<u8>,
    message: Vec<u8>,
    seen: Vec<Seen>,
}

struct Member {
    script: Rc<Script>,
    stream: Option<TcpStream>,
    http2: Http2,
    progress: Progress,
    unsent: Vec<u8>,
}

impl Crowd {
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            server,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            members: Vec::new(),
            to_connect: VecDeque::new(),
            greeting: 0,
            complete: 0,
            ended: 0,
            first_end: None,
            buffer: vec![0; 256 * 1024],
            scratch: Scratch::default(),
        })
    }

    /// Adds sidecars that will connect as soon as the loop runs.
    pub fn add(&mut self, script: &Rc<Script>, count: usize) {
        for _ in 0..count {
            self.to_connect.push_back(self.members.len());
            let mut http2 = Http2::default();
            http2.inbox.is_sotw = script.dialect() == Dialect::Sotw;
            self.members.push(Member {
                script: script.clone(),
                stream: None,
                http2,
                progress: Progress::default(),
                unsent: Vec::new(),
            });
        }
    }

    /// How many of the honest have everything they asked for.
    pub fn complete(&self) -> usize {
        self.complete
    }

    /// How many streams have ended.
    pub fn ended(&self) -> usize {
        self.ended
    }

    /// How far each has come.
    pub fn progress(&self) -> impl Iterator<Item = &Progress> {
        self.members.iter().map(|member| &member.progress)
    }

    /// From now on responses are seen with their bodies.
    pub fn keep_bodies(&mut self) {
        self.members.iter_mut().for_each(|member| member.http2.inbox.keeps_bodies = true);
    }

    /// Runs until everybody who is honest is complete; the time it took, or how many were.
    pub fn until_complete(&mut self, limit: Duration) -> Result<Duration, String> {
        let began = Instant::now();
        let honest = self.members.iter().filter(|member| member.script.manner == Manner::Honest).count();
        let mut done = 0;
        self.run(
            began + limit,
            |_| {
                done += 1;
                Flow::GoOn
            },
            |crowd| crowd.complete >= honest,
        );
        if self.complete >= honest {
            return Ok(began.elapsed());
        }
        Err(format!(
            "after {limit:?} {} of {honest} sidecars have everything; {} streams ended (first: {}), {done} responses came",
            self.complete,
            self.ended,
            self.first_end.as_deref().unwrap_or("none")
        ))
    }

    /// Runs until `observe` says stop, `enough` is true or the deadline is reached. `observe` is told of every response.
    pub fn run(
        &mut self,
        deadline: Instant,
        mut observe: impl FnMut(Response<'_>) -> Flow,
        enough: impl Fn(&Self) -> bool,
    ) {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let mut flow = Flow::GoOn;
        while flow == Flow::GoOn && !enough(self) {
            self.connect_some();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.poll.poll(&mut events, Some(left)) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("the event loop of the simulated sidecars failed: {error}"),
                Ok(()) => {}
            }
            for event in &events {
                let index = event.token().0;
                if event.is_writable() {
                    self.write(index);
                }
                if event.is_readable() && self.read(index, &mut observe) == Flow::Stop {
                    flow = Flow::Stop;
                }
            }
        }
        self.events = events;
    }

    fn connect_some(&mut self) {
        while self.greeting < GREETING {
            let Some(index) = self.to_connect.pop_front() else { return };
            self.greeting += 1;
            if let Err(error) = self.connect(index) {
                panic!("sidecar {index} cannot connect to {}: {error}", self.server);
            }
        }
    }

    fn connect(&mut self, index: usize) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(self.server), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        // Closed without a trace: ten thousand connections in TIME_WAIT would keep their ports from the next run.
        socket.set_linger(Some(Duration::ZERO))?;
        if self.server.ip().is_loopback() && index >= PER_ADDRESS {
            let source = Ipv4Addr::new(127, 0, 0, 1 + u8::try_from(index / PER_ADDRESS).unwrap_or(u8::MAX));
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        match socket.connect(&self.server.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        self.poll.registry().register(&mut stream, Token(index), Interest::READABLE | Interest::WRITABLE)?;
        let Member { script, http2, progress, unsent, stream: place, .. } = &mut self.members[index];
        script.clone().begin(progress, http2, unsent);
        *place = Some(stream);
        Ok(())
    }

    fn read(&mut self, index: usize, observe: &mut impl FnMut(Response<'_>) -> Flow) -> Flow {
        let Self { members, buffer, scratch, .. } = self;
        let Member { script, stream: Some(stream), http2, progress, unsent } = &mut members[index] else {
            return Flow::GoOn;
        };
        let was_greeted = http2.greeted;
        let was_complete = progress.complete;
        if script.manner == Manner::NeverReads {
            if !was_greeted {
                http2.greeted = true;
                self.greeting -= 1;
            }
            return Flow::GoOn;
        }
        let Scratch { out, message, seen } = scratch;
        let (mut flow, mut over) = (Flow::GoOn, None);
        loop {
            match stream.read(buffer) {
                Ok(0) => over = Some("the server closed the connection".to_owned()),
                Ok(count) => {
                    let now = Instant::now();
                    http2.take(&buffer[..count], seen, out);
                    for seen in seen.drain(..) {
                        script.react(&seen, progress, http2, message, out);
                        if observe(Response {
                            sidecar: index,
                            is_honest: script.manner == Manner::Honest,
                            seen: &seen,
                            at: now,
                        }) == Flow::Stop
                        {
                            flow = Flow::Stop;
                        }
                    }
                    over = http2.ended.take();
                    // A short read has emptied the socket: the next event says when there is more.
                    if count == buffer.len() && over.is_none() {
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => over = Some(error.to_string()),
            }
            break;
        }
        let is_honest = script.manner == Manner::Honest;
        self.complete += usize::from(is_honest && progress.complete && !was_complete);
        let is_greeted = http2.greeted;
        if is_greeted && script.manner == Manner::Vanishes {
            over.get_or_insert_with(|| "it vanishes".to_owned());
        }
        if !out.is_empty() {
            if unsent.is_empty() && over.is_none() {
                let sent = send(stream, out);
                unsent.extend_from_slice(&out[sent..]);
            } else {
                unsent.extend_from_slice(out);
            }
            out.clear();
        }
        if !was_greeted && (is_greeted || over.is_some()) {
            self.greeting -= 1;
        }
        if let Some(end) = over {
            self.members[index].stream = None;
            self.ended += 1;
            self.first_end.get_or_insert(end);
        }
        flow
    }

    fn write(&mut self, index: usize) {
        let Member { stream: Some(stream), unsent, .. } = &mut self.members[index] else { return };
        if !unsent.is_empty() {
            let sent = send(stream, unsent);
            unsent.drain(..sent);
            if unsent.is_empty() {
                *unsent = Vec::new();
            }
        }
    }
}

/// A response that a sidecar was sent.
#[derive(Debug, Clone, Copy)]
pub struct Response<'a> {
    pub sidecar: usize,
    pub is_honest: bool,
    pub seen: &'a Seen,
    pub at: Instant,
}

/// Writes as much as the socket takes. A socket that fails says so when it is read.
fn send(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    sent
}
