//! Timeouts, retries and sessions of the route that leads to a service.

use std::{sync::Arc, time::Duration};

use super::{StatefulSession, routing::HeaderMatch};

/// What applies to one request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoutePolicy {
    /// From the last byte of the request to the last byte of the response; absent = no limit.
    pub timeout: Option<Duration>,
    /// How long a stream may be without a byte in either direction; absent = for ever.
    pub stream_idle_timeout: Option<Duration>,
    /// From the first byte of the request to the last byte of the response, however much flows; absent = no limit.
    pub max_stream_duration: Option<Duration>,
    /// Which limits count the request.
    pub priority: Priority,
    /// Absent = no retries.
    pub retry: Option<Retry>,
    /// Which requests are sent again while their first try goes on, once that took as long as a try may take; the first
    /// good answer counts. Absent = none. See [`Self::hedges`].
    pub hedge: Option<Repeats>,
    /// Absent = a request goes wherever load balancing leads it.
    pub session: Option<StatefulSession>,
}

impl Default for RoutePolicy {
    /// No timeout, as Istio; retries only where they are safe for any request: nothing of it can have reached the
    /// application.
    fn default() -> Self {
        Self {
            timeout: None,
            stream_idle_timeout: None,
            max_stream_duration: None,
            priority: Priority::Default,
            retry: Some(Retry::default()),
            hedge: None,
            session: None,
        }
    }
}

impl RoutePolicy {
    /// What holds for requests of other methods than [`IDEMPOTENT_METHODS`], where that is another policy: nothing
    /// repeats them that is for idempotent requests alone.
    pub fn for_other_methods(&self) -> Option<Self> {
        let retry = self.retry.as_ref()?;
        let of_others = retry.for_other_methods();
        if of_others.is_none() && self.hedges() != Some(Repeats::Idempotent) {
            return None;
        }
        let hedge = self.hedge.filter(|repeats| *repeats == Repeats::Any);
        Some(Self { retry: Some(of_others.unwrap_or_else(|| retry.clone())), hedge, ..self.clone() })
    }

    /// [`Self::hedge`], where there is a time after which to do it.
    pub fn hedges(&self) -> Option<Repeats> {
        self.hedge.filter(|_| self.retry.as_ref().is_some_and(|retry| retry.per_try_timeout.is_some()))
    }
}

/// Which limits of a cluster count a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Priority {
    /// Those that every cluster has.
    #[default]
    Default,
    /// Those for requests that go on where the others are reached.
    High,
}

/// Which requests may be sent again although an endpoint may have acted on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Repeats {
    /// Those whose repetition changes nothing: [`IDEMPOTENT_METHODS`].
    #[default]
    Idempotent,
    /// All of them: somebody asked for it.
    Any,
}

/// The methods of requests that mean the same once and twice (RFC 9110, 9.2.2).
pub const IDEMPOTENT_METHODS: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

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
    /// Which requests are tried again under conditions that are met after an endpoint may have acted on them.
    pub repeats: Repeats,
    /// Of responses, headers that the condition `retriable-headers` stands for: one of them is enough.
    pub retriable_headers: Vec<HeaderMatch>,
    /// Only requests that have one of these are tried again; empty = all.
    pub retriable_request_headers: Vec<HeaderMatch>,
    /// How long to wait before the next try; absent = as Envoy does: up to 25 ms, then more, up to 250 ms.
    pub back_off: Option<BackOff>,
    /// How long to wait where the response says so; absent = it is not asked.
    pub rate_limited_back_off: Option<RateLimitedBackOff>,
    /// Whether to avoid the endpoints already tried.
    pub avoid_previous_hosts: bool,
    /// How often another endpoint is picked where the one picked is to be avoided.
    pub host_selection_attempts: u32,
    /// Whether to turn to other priorities (localities further away).
    pub retry_remote_localities: bool,
}

/// An exponential back-off, jittered from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BackOff {
    /// The longest wait before the first of the further tries.
    pub base: Duration,
    /// The longest of all; absent = ten times the base.
    pub longest: Option<Duration>,
}

/// A back-off that a response asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RateLimitedBackOff {
    /// The headers that say it, of which the first that is there counts; names in lower case.
    pub reset_headers: Vec<(Arc<str>, ResetFormat)>,
    /// What is longer is not heeded; absent = Envoy's 5 minutes.
    pub longest: Option<Duration>,
}

/// How a header says until when to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ResetFormat {
    /// For so many seconds.
    #[default]
    Seconds,
    /// Until so many seconds after 1970.
    UnixTimestamp,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 2,
            per_try_timeout: None,
            per_try_idle_timeout: None,
            retry_on: SAFE_RETRY_ON.iter().map(|&condition| condition.into()).collect(),
            retriable_status_codes: Vec::new(),
            repeats: Repeats::Idempotent,
            retriable_headers: Vec::new(),
            retriable_request_headers: Vec::new(),
            back_off: None,
            rate_limited_back_off: None,
            avoid_previous_hosts: true,
            host_selection_attempts: 5,
            retry_remote_localities: false,
        }
    }
}

impl Retry {
    /// What holds for requests that are not idempotent, where that is something else. Without conditions nothing is
    /// tried again, and what is said of each try still holds.
    fn for_other_methods(&self) -> Option<Self> {
        match self.repeats {
            Repeats::Any => return None,
            Repeats::Idempotent if !self.retry_on.iter().any(|condition| is_for_idempotent(condition)) => return None,
            Repeats::Idempotent => {}
        }
        let mut retry = self.clone();
        retry.retry_on.retain(|condition| !is_for_idempotent(condition));
        retry.retriable_status_codes.clear();
        retry.retriable_headers.clear();
        Some(retry)
    }
}

/// What is retried unless something is said: no endpoint can have acted on the request, so any may be repeated.
pub const SAFE_RETRY_ON: [&str; 3] = ["connect-failure", "refused-stream", "reset-before-request"];

/// Further conditions under which no endpoint can have acted on the request.
const ALSO_SAFE: [&str; 2] = ["envoy-ratelimited", "http3-post-connect-failure"];

/// Statuses of gRPC, which only gRPC calls end with. Whoever names one speaks of calls, all of which are POST: that is
/// asking for them to be repeated.
const GRPC_CONDITIONS: [&str; 5] = ["cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"];

/// Whether a condition is met before an endpoint can have acted on the request.
pub fn is_safe_condition(condition: &str) -> bool {
    SAFE_RETRY_ON.contains(&condition) || ALSO_SAFE.contains(&condition)
}

/// Whether only gRPC calls meet a condition.
pub fn is_grpc_condition(condition: &str) -> bool {
    GRPC_CONDITIONS.contains(&condition)
}

fn is_for_idempotent(condition: &str) -> bool {
    !is_safe_condition(condition) && !is_grpc_condition(condition)
}
