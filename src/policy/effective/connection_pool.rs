//! `connectionPool` and `retryBudget`, complete.

use std::num::NonZeroU32;

use super::super::document::{
    scalar::Count,
    settings::{self, H2UpgradePolicy, HighLimits},
};
use crate::model::{
    Decimal,
    policy::{
        CircuitBreakers, ConnectionPool, DEFAULT_CONNECT_TIMEOUT, H2Upgrade, Http2KeepAlive, RetryBudget, TcpKeepalive,
        Thresholds, UNLIMITED,
    },
};

pub(super) fn pool(
    written: Option<&settings::ConnectionPool>,
    budget: Option<&settings::RetryBudget>,
) -> ConnectionPool {
    let settings::ConnectionPool { tcp, http, track_remaining, max_connections_per_host, high } =
        written.cloned().unwrap_or_default();
    let tcp = tcp.unwrap_or_default();
    let http = http.unwrap_or_default();
    let retry_budget = budget.map(retry_budget);
    let track_remaining = track_remaining.unwrap_or(false);
    let limit = |count: Option<Count>| count.map_or(UNLIMITED, |count| count.0);
    ConnectionPool {
        connect_timeout: tcp.connect_timeout.map_or(DEFAULT_CONNECT_TIMEOUT, |timeout| timeout.0),
        tcp_keepalive: tcp.tcp_keepalive.map(|keepalive| TcpKeepalive {
            probes: keepalive.probes.map(|count| count.0),
            time: keepalive.time.map(|time| time.0),
            interval: keepalive.interval.map(|interval| interval.0),
        }),
        max_connection_duration: tcp.max_connection_duration.map(|duration| duration.0),
        tcp_idle_timeout: tcp.idle_timeout.map(|timeout| timeout.0),
        http_idle_timeout: http.idle_timeout.or(tcp.idle_timeout).map(|timeout| timeout.0),
        max_requests_per_connection: at_least_one(http.max_requests_per_connection),
        h2_upgrade: match http.h2_upgrade_policy {
            None | Some(H2UpgradePolicy::Default) => H2Upgrade::Default,
            Some(H2UpgradePolicy::DoNotUpgrade) => H2Upgrade::DoNotUpgrade,
            Some(H2UpgradePolicy::Upgrade) => H2Upgrade::Upgrade,
        },
        use_client_protocol: http.use_client_protocol.unwrap_or(false),
        max_concurrent_streams: at_least_one(http.max_concurrent_streams),
        http2_keepalive: http.http2_keep_alive.and_then(|keepalive| {
            Some(Http2KeepAlive { interval: keepalive.interval?.0, timeout: keepalive.timeout?.0 })
        }),
        max_connections_per_host: at_least_one(max_connections_per_host),
        circuit_breakers: CircuitBreakers {
            default: Thresholds {
                max_connections: limit(tcp.max_connections),
                max_pending_requests: limit(http.http1_max_pending_requests),
                max_requests: limit(http.http2_max_requests),
                max_retries: limit(http.max_retries),
                track_remaining,
                retry_budget,
            },
            high: high.map(|high| high_thresholds(&high, track_remaining)),
        },
    }
}

/// Envoy's own defaults of 1024 and 3, for the priority that Istio does not know.
fn high_thresholds(written: &HighLimits, track_remaining: bool) -> Thresholds {
    let or = |count: Option<Count>, default: u32| count.map_or(default, |count| count.0);
    Thresholds {
        max_connections: or(written.max_connections, 1024),
        max_pending_requests: or(written.max_pending_requests, 1024),
        max_requests: or(written.max_requests, 1024),
        max_retries: or(written.max_retries, 3),
        track_remaining,
        retry_budget: None,
    }
}

/// Zero is "no limit" for these, as in Envoy.
fn at_least_one(count: Option<Count>) -> Option<NonZeroU32> {
    count.and_then(|count| NonZeroU32::new(count.0))
}

fn retry_budget(written: &settings::RetryBudget) -> RetryBudget {
    RetryBudget {
        percent: written.percent.map_or(Decimal::whole(20), |percent| percent.0),
        min_retry_concurrency: written.min_retry_concurrency.map_or(3, |count| count.0),
        budget_interval: written.budget_interval.map(|interval| interval.0),
    }
}
