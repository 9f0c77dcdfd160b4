//! Connections to a service's endpoints: how they are made and kept, and how many of what at once.

use std::{num::NonZeroU32, time::Duration};

use super::{DEFAULT_CONNECT_TIMEOUT, UNLIMITED};
use crate::model::Decimal;

/// Connections of one sidecar to one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConnectionPool {
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// TCP keepalive; absent = none.
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// A connection older than this is closed once its requests are done; absent = no limit.
    pub max_connection_duration: Option<Duration>,
    /// A TCP connection without bytes for this long is closed; absent = Envoy's 1 h, zero = never.
    pub tcp_idle_timeout: Option<Duration>,
    /// An upstream HTTP connection without requests for this long is closed; absent = Envoy's 1 h, zero = never.
    pub http_idle_timeout: Option<Duration>,
    /// Requests until a connection is replaced; absent = no limit, 1 = no keep-alive.
    pub max_requests_per_connection: Option<NonZeroU32>,
    /// Whether HTTP/1 ports are spoken to in HTTP/2.
    pub h2_upgrade: H2Upgrade,
    /// Speak to endpoints what the client spoke.
    pub use_client_protocol: bool,
    /// Streams at once on one HTTP/2 connection; absent = Envoy's default.
    pub max_concurrent_streams: Option<NonZeroU32>,
    /// HTTP/2 pings; absent = none.
    pub http2_keepalive: Option<Http2KeepAlive>,
    /// Connections at once to one endpoint; absent = no limit.
    pub max_connections_per_host: Option<NonZeroU32>,
    /// Limits over all endpoints of the cluster.
    pub circuit_breakers: CircuitBreakers,
}

impl Default for ConnectionPool {
    fn default() -> Self {
        Self {
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            tcp_keepalive: None,
            max_connection_duration: None,
            tcp_idle_timeout: None,
            http_idle_timeout: None,
            max_requests_per_connection: None,
            h2_upgrade: H2Upgrade::Default,
            use_client_protocol: false,
            max_concurrent_streams: None,
            http2_keepalive: None,
            max_connections_per_host: None,
            circuit_breakers: CircuitBreakers::default(),
        }
    }
}

/// Socket keepalive; an absent part is the operating system's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TcpKeepalive {
    /// Probes without an answer until the connection is dead.
    pub probes: Option<u32>,
    /// Idle time until the first probe; whole seconds.
    pub time: Option<Duration>,
    /// Between probes; whole seconds.
    pub interval: Option<Duration>,
}

/// Whether HTTP/1 ports are spoken to in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum H2Upgrade {
    /// As the port's protocol says.
    #[default]
    Default,
    /// As the port's protocol says, whatever a mesh-wide default may be.
    DoNotUpgrade,
    /// HTTP/2.
    Upgrade,
}

/// HTTP/2 pings on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Http2KeepAlive {
    /// Between pings.
    pub interval: Duration,
    /// How long a ping may stay unanswered.
    pub timeout: Duration,
}

/// Limits, by the priority of a route.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct CircuitBreakers {
    /// For routes of priority DEFAULT.
    pub default: Thresholds,
    /// For routes of priority HIGH; absent = Envoy's 1024 of everything.
    pub high: Option<Thresholds>,
}

/// How many of what at once; over the limit Envoy answers 503 at once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Thresholds {
    /// TCP connections.
    pub max_connections: u32,
    /// Requests waiting for a connection.
    pub max_pending_requests: u32,
    /// Requests in flight.
    pub max_requests: u32,
    /// Retries in flight; without meaning beside a retry budget.
    pub max_retries: u32,
    /// Whether Envoy publishes how much of each limit remains.
    pub track_remaining: bool,
    /// Retries as a share of requests instead of a number.
    pub retry_budget: Option<RetryBudget>,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            max_connections: UNLIMITED,
            max_pending_requests: UNLIMITED,
            max_requests: UNLIMITED,
            max_retries: UNLIMITED,
            track_remaining: false,
            retry_budget: None,
        }
    }
}

/// Retries in flight as a share of requests in flight.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RetryBudget {
    /// In percent; default 20.
    pub percent: Decimal,
    /// So many are allowed however few requests there are; default 3.
    pub min_retry_concurrency: u32,
    /// Count requests over this time instead of those in flight; absent = in flight.
    pub budget_interval: Option<Duration>,
}
