//! Connections and limits: `connectionPool` and `retryBudget`.

use super::super::scalar::{Count, Percent, Span};

settings! {
    /// Connections and limits.
    pub struct ConnectionPool {
        /// For every protocol.
        tcp: TcpPool,
        /// For HTTP.
        http: HttpPool,
        /// Publish how much of each limit remains. Default false.
        track_remaining: bool,
        /// Connections at once to one endpoint.
        max_connections_per_host: Count,
        /// Limits for routes of priority HIGH.
        high: HighLimits,
    }

    /// For every protocol.
    pub struct TcpPool {
        /// Connections at once; default none.
        max_connections: Count,
        /// Default 10 s.
        connect_timeout: Span,
        /// Socket keepalive; absent = none.
        tcp_keepalive: TcpKeepalive,
        /// Replace a connection older than this.
        max_connection_duration: Span,
        /// Close a connection without bytes for this long; default Envoy's 1 h, `0s` = never.
        idle_timeout: Span,
    }

    /// Socket keepalive; whole seconds.
    pub struct TcpKeepalive {
        /// Probes without an answer.
        probes: Count,
        /// Idle time until the first probe.
        time: Span,
        /// Between probes.
        interval: Span,
    }

    /// For HTTP.
    pub struct HttpPool {
        /// Requests that wait for a connection.
        http1_max_pending_requests: Count,
        /// Requests in flight, HTTP/1 included.
        http2_max_requests: Count,
        /// Until a connection is replaced.
        max_requests_per_connection: Count,
        /// Retries in flight.
        max_retries: Count,
        /// Close a connection without requests for this long; default Envoy's 1 h, `0s` = never.
        idle_timeout: Span,
        /// Speak HTTP/2 to an http port.
        h2_upgrade_policy: H2UpgradePolicy,
        /// Speak to endpoints what the client spoke.
        use_client_protocol: bool,
        /// Streams on one HTTP/2 connection.
        max_concurrent_streams: Count,
        /// HTTP/2 pings.
        http2_keep_alive: Http2KeepAlive,
    }

    /// HTTP/2 pings; both are needed.
    pub struct Http2KeepAlive {
        /// Between pings.
        interval: Span,
        /// How long one may stay unanswered.
        timeout: Span,
    }

    /// Limits for routes of priority HIGH; default Envoy's 1024 of everything, 3 retries.
    pub struct HighLimits {
        /// Connections at once.
        max_connections: Count,
        /// Requests that wait for a connection.
        max_pending_requests: Count,
        /// Requests in flight.
        max_requests: Count,
        /// Retries in flight.
        max_retries: Count,
    }

    /// Retries as a share of requests.
    pub struct RetryBudget {
        /// Default 20.
        percent: Percent,
        /// So many are always allowed; default 3.
        min_retry_concurrency: Count,
        /// Count over this time instead of what is in flight.
        budget_interval: Span,
    }
}

words! {
    /// Speak HTTP/2 to an http port.
    pub enum H2UpgradePolicy {
        /// As the mesh says.
        Default = "DEFAULT",
        /// No.
        DoNotUpgrade = "DO_NOT_UPGRADE",
        /// Yes.
        Upgrade = "UPGRADE",
    }
}
