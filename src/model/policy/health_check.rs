//! Active health checks: Envoy's `HealthCheck`, the parts that make sense beside discovery.

use std::{sync::Arc, time::Duration};

/// One active check of every endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are Envoy's own, one for one; its documentation is theirs")]
pub struct HealthCheck {
    pub timeout: Duration,
    pub interval: Duration,
    pub initial_jitter: Option<Duration>,
    pub interval_jitter: Option<Duration>,
    pub interval_jitter_percent: Option<u32>,
    pub unhealthy_threshold: u32,
    pub healthy_threshold: u32,
    pub reuse_connection: Option<bool>,
    pub no_traffic_interval: Option<Duration>,
    pub no_traffic_healthy_interval: Option<Duration>,
    pub unhealthy_interval: Option<Duration>,
    pub unhealthy_edge_interval: Option<Duration>,
    pub healthy_edge_interval: Option<Duration>,
    pub always_log_health_check_failures: bool,
    pub protocol: HealthCheckProtocol,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are Envoy's own, one for one; its documentation is theirs")]
pub enum HealthCheckProtocol {
    Http {
        host: Option<Arc<str>>,
        path: Arc<str>,
        method: Option<Arc<str>>,
        expected_statuses: Vec<StatusRange>,
        retriable_statuses: Vec<StatusRange>,
        request_headers_to_add: Vec<HeaderToAdd>,
        request_headers_to_remove: Vec<Arc<str>>,
        /// Ask in HTTP/2.
        http2: bool,
    },
    Grpc {
        service_name: Option<Arc<str>>,
        authority: Option<Arc<str>>,
    },
    /// Nothing to send: connecting suffices.
    Tcp {
        send: Option<Payload>,
        receive: Vec<Payload>,
    },
}

/// Status codes from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub struct StatusRange {
    pub start: u16,
    pub end: u16,
}

/// A header of the check's request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub struct HeaderToAdd {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

/// Bytes of a TCP check, as hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Payload(pub Arc<str>);
