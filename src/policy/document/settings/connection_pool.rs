//! Connections and limits: `connectionPool` and `retryBudget`.

use super::super::scalar::{Count, Percent, Span};

settings! {
    /// Connections and limits.
    pub struct ConnectionPool {
        /// Connections of any protocol.
        tcp: TcpPool,
        /// Requests over HTTP/1.1, HTTP/2 and gRPC.
        http: HttpPool,
        /// Publish how much of each limit remains as a gauge. Costs Envoy some work for each request.
        ///
        /// - default: `false`
        /// - envoy: `circuit_breakers.thresholds[0].track_remaining`
        /// - example: `true`
        track_remaining: bool,
        /// Connections at once from one sidecar to one endpoint.
        ///
        /// - default: none
        /// - envoy: `circuit_breakers.per_host_thresholds[0].max_connections`
        /// - example: `100`
        max_connections_per_host: Count,
        /// Limits of their own for requests of `priority: HIGH`, which those above then do not count.
        ///
        /// - default: Envoy's
        /// - envoy: `circuit_breakers.thresholds[1]`
        /// - example: `{ maxRequests: 2000 }`
        high: HighLimits,
    }

    /// For every protocol.
    pub struct TcpPool {
        /// Connections at once from one sidecar to all endpoints together.
        ///
        /// - default: `4294967295`
        /// - envoy: `circuit_breakers.thresholds[0].max_connections`
        /// - example: `100`
        max_connections: Count,
        /// How long a connection may take to be made.
        ///
        /// - default: `10s`
        /// - envoy: `connect_timeout`
        /// - example: `500ms`
        connect_timeout: Span,
        /// Socket keepalive; a block without fields turns it on with the values of the operating system.
        ///
        /// - default: none
        /// - envoy: `upstream_connection_options.tcp_keepalive`
        /// - example: `{ time: 300s }`
        tcp_keepalive: TcpKeepalive,
        /// Replace a connection that is older than this.
        ///
        /// - default: none
        /// - envoy: `common_http_protocol_options.max_connection_duration`
        /// - example: `1h`
        max_connection_duration: Span,
        /// Close a connection without bytes for this long; `0s` = never. For HTTP where
        /// `connectionPool.http.idleTimeout` says nothing.
        ///
        /// - default: Envoy's 1 h
        /// - envoy: `common_http_protocol_options.idle_timeout`, and `idle_timeout` of the TCP proxy
        /// - example: `10m`
        idle_timeout: Span,
    }

    /// Socket keepalive; whole seconds.
    pub struct TcpKeepalive {
        /// How many probes may stay unanswered.
        ///
        /// - default: the operating system's
        /// - envoy: `upstream_connection_options.tcp_keepalive.keepalive_probes`
        /// - example: `3`
        probes: Count,
        /// Idle time until the first probe, in whole seconds.
        ///
        /// - default: the operating system's
        /// - envoy: `upstream_connection_options.tcp_keepalive.keepalive_time`
        /// - example: `300s`
        time: Span,
        /// Time between probes, in whole seconds.
        ///
        /// - default: the operating system's
        /// - envoy: `upstream_connection_options.tcp_keepalive.keepalive_interval`
        /// - example: `30s`
        interval: Span,
    }

    /// For HTTP.
    pub struct HttpPool {
        /// Requests that wait for a connection, HTTP/2 included; one more is answered with 503.
        ///
        /// - default: `4294967295`
        /// - envoy: `circuit_breakers.thresholds[0].max_pending_requests`
        /// - example: `100`
        http1_max_pending_requests: Count,
        /// Requests in flight, HTTP/1.1 included; one more is answered with 503.
        ///
        /// - default: `4294967295`
        /// - envoy: `circuit_breakers.thresholds[0].max_requests`
        /// - example: `1000`
        http2_max_requests: Count,
        /// After so many requests a connection is replaced; 1 = no keep-alive.
        ///
        /// - default: none
        /// - envoy: `common_http_protocol_options.max_requests_per_connection`
        /// - example: `1000`
        max_requests_per_connection: Count,
        /// Retries in flight; a `retryBudget` is better where load varies.
        ///
        /// - default: `4294967295`
        /// - envoy: `circuit_breakers.thresholds[0].max_retries`
        /// - example: `10`
        max_retries: Count,
        /// Close a connection without requests for this long; `0s` = never.
        ///
        /// - default: Envoy's 1 h
        /// - envoy: `common_http_protocol_options.idle_timeout`
        /// - example: `1m`
        idle_timeout: Span,
        /// Whether HTTP/2 is spoken to a port of protocol http. Excludes `useClientProtocol`.
        ///
        /// - default: `DEFAULT`
        /// - envoy: `explicit_http_config.http2_protocol_options`
        /// - example: `UPGRADE`
        h2_upgrade_policy: H2UpgradePolicy,
        /// Speak to endpoints what the client spoke.
        ///
        /// - default: `false`
        /// - envoy: `use_downstream_protocol_config`
        /// - example: `true`
        use_client_protocol: bool,
        /// Requests at once on one HTTP/2 connection. Only where HTTP/2 is spoken.
        ///
        /// - default: Envoy's
        /// - envoy: `explicit_http_config.http2_protocol_options.max_concurrent_streams`
        /// - example: `100`
        max_concurrent_streams: Count,
        /// HTTP/2 pings, which find dead connections. Only where HTTP/2 is spoken.
        ///
        /// - default: none
        /// - envoy: `explicit_http_config.http2_protocol_options.connection_keepalive`
        /// - example: `{ interval: 30s, timeout: 5s }`
        http2_keep_alive: Http2KeepAlive,
    }

    /// HTTP/2 pings; both are needed.
    pub struct Http2KeepAlive {
        /// Time between pings.
        ///
        /// - envoy: `explicit_http_config.http2_protocol_options.connection_keepalive.interval`
        /// - example: `30s`
        interval: Span,
        /// How long a ping may stay unanswered before the connection is closed.
        ///
        /// - envoy: `explicit_http_config.http2_protocol_options.connection_keepalive.timeout`
        /// - example: `5s`
        timeout: Span,
    }

    /// Limits for requests of `priority: HIGH`; what is not said is Envoy's: 1024 of everything, 3 retries.
    pub struct HighLimits {
        /// Connections at once.
        ///
        /// - default: Envoy's 1024
        /// - envoy: `circuit_breakers.thresholds[1].max_connections`
        /// - example: `200`
        max_connections: Count,
        /// Requests that wait for a connection.
        ///
        /// - default: Envoy's 1024
        /// - envoy: `circuit_breakers.thresholds[1].max_pending_requests`
        /// - example: `200`
        max_pending_requests: Count,
        /// Requests in flight.
        ///
        /// - default: Envoy's 1024
        /// - envoy: `circuit_breakers.thresholds[1].max_requests`
        /// - example: `2000`
        max_requests: Count,
        /// Retries in flight.
        ///
        /// - default: Envoy's 3
        /// - envoy: `circuit_breakers.thresholds[1].max_retries`
        /// - example: `20`
        max_retries: Count,
    }

    /// Retries as a share of requests.
    pub struct RetryBudget {
        /// The share of requests in flight that may be retries, in percent.
        ///
        /// - default: `20`
        /// - envoy: `circuit_breakers.thresholds[0].retry_budget.budget_percent`
        /// - example: `10`
        percent: Percent,
        /// So many retries at once are always allowed.
        ///
        /// - default: `3`
        /// - envoy: `circuit_breakers.thresholds[0].retry_budget.min_retry_concurrency`
        /// - example: `5`
        min_retry_concurrency: Count,
        /// Count requests over this time instead of those in flight.
        ///
        /// - default: none
        /// - envoy: `circuit_breakers.thresholds[0].retry_budget.budget_interval`
        /// - example: `10s`
        budget_interval: Span,
    }
}

words! {
    /// Which limits count a request.
    pub enum Priority {
        /// Those of `connectionPool.tcp` and `connectionPool.http`.
        Default = "DEFAULT",
        /// Those of `connectionPool.high`.
        High = "HIGH",
    }

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
