//! How connections and streams are treated: every limit and every duration of the server, in one place.

use std::{fs, time::Duration};

/// How connections and streams are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A connection is told to go around this age, and its streams end, so that its client connects anew, perhaps to
    /// another replica. Default 30 min, a fifth more or less.
    pub stream_age: Duration,
    /// The first request after a reconnect lists everything a client knows; gRPC's own 4 MiB would lock large proxies
    /// out for ever. Default 64 MiB.
    pub largest_request: usize,
    /// HTTP/2 pings find connections whose other end is gone. Default every 30 s.
    pub keepalive_interval: Duration,
    /// How long a ping may stay unanswered. Default 20 s.
    pub keepalive_timeout: Duration,
    /// How long a client may have no room for what there is to say: it is cut after this time, or up to half as much
    /// longer. Envoy's main thread can be busy for tens of seconds. Default 60 s.
    pub stalled: Duration,
    /// How long a client may take over each of the two handshakes, TLS and HTTP/2. Default 10 s.
    pub handshake: Duration,
    /// How many connections there may be; one more is closed at once. Default 100,000; `serve` takes what
    /// the system lets the process open.
    pub connections: usize,
    /// How many streams a connection may have. Without ADS, Envoy has one for each cluster. Default 10,000.
    pub streams_per_connection: u32,
    /// How streams are let in.
    pub admission: Admission,
    /// How long all streams may take to end when the server does. Default 7 s.
    pub drain: Duration,
    /// What each response says of its server, so that "which replica said that" can be answered: Envoy shows it among its
    /// stats. Default: the build and the host's name.
    pub identity: String,
}

/// How streams are let in: those that begin wait for each other, those that are served never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// How many first requests are read and answered at once: what bounds the memory they take when a whole fleet
    /// connects. Default 256.
    pub at_once: usize,
    /// How long a stream waits for its turn before it is refused; less than the 15 s after which clients take what
    /// they asked for to be absent. Default 10 s.
    pub wait: Duration,
    /// How long a turn lasts at most: a client that is slow to send its first request goes on without one. Default 2 s.
    pub turn: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_age: Duration::from_secs(30 * 60),
            largest_request: 64 * 1024 * 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            stalled: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            connections: 100_000,
            streams_per_connection: 10_000,
            admission: Admission::default(),
            drain: Duration::from_secs(7),
            identity: identity(),
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self { at_once: 256, wait: Duration::from_secs(10), turn: Duration::from_secs(2) }
    }
}

fn identity() -> String {
    let build = concat!("chancery/", env!("CARGO_PKG_VERSION"));
    match fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => format!("{build} {}", host.trim()),
        Err(_) => build.to_owned(),
    }
}
