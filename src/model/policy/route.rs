//! Timeouts and retries of the route that leads to a service.

use std::{sync::Arc, time::Duration};

/// What applies to one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePolicy {
    /// From the last byte of the request to the last byte of the response; absent = no limit.
    pub timeout: Option<Duration>,
    /// How long a stream may be without a byte in either direction; absent = for ever.
    pub stream_idle_timeout: Option<Duration>,
    /// From the first byte of the request to the last byte of the response, however much flows; absent = no limit.
    pub max_stream_duration: Option<Duration>,
    /// Absent = no retries.
    pub retry: Option<Retry>,
}

impl Default for RoutePolicy {
    /// No timeout, as Istio; retries only where they are safe for any request: nothing of it can have reached the
    /// application.
    fn default() -> Self {
        Self { timeout: None, stream_idle_timeout: None, max_stream_duration: None, retry: Some(Retry::default()) }
    }
}

/// When and how a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Retry {
    /// At most so many times more.
    pub attempts: u32,
    /// For each try; absent = the request's timeout alone.
    pub per_try_timeout: Option<Duration>,
    /// How long a try may be without a byte from the endpoint; absent = no limit.
    pub per_try_idle_timeout: Option<Duration>,
    /// Envoy's retry conditions, in the order written.
    pub retry_on: Vec<Arc<str>>,
    /// Statuses that the condition `retriable-status-codes` stands for.
    pub retriable_status_codes: Vec<u32>,
    /// The base of the exponential back-off; absent = Envoy's 25 ms.
    pub back_off_base: Option<Duration>,
    /// Whether to avoid the endpoints already tried.
    pub avoid_previous_hosts: bool,
    /// Whether to turn to other priorities (localities further away).
    pub retry_remote_localities: bool,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            per_try_timeout: None,
            per_try_idle_timeout: None,
            retry_on: SAFE_RETRY_ON.iter().map(|&condition| condition.into()).collect(),
            retriable_status_codes: Vec::new(),
            back_off_base: None,
            avoid_previous_hosts: true,
            retry_remote_localities: false,
        }
    }
}

/// The conditions under which no endpoint can have acted on the request, so that any request may be repeated.
pub const SAFE_RETRY_ON: [&str; 3] = ["connect-failure", "refused-stream", "reset-before-request"];
