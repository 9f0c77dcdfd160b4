//! When to try again: `retries`.

use super::super::{
    regex::Regex,
    scalar::{Count, Span},
};
use serde::{Deserialize, Serialize};

settings! {
    /// When to try again.
    pub struct Retries {
        /// How many times more; 0 = never.
        ///
        /// - default: `2`
        /// - envoy: `retry_policy.num_retries`
        /// - example: `3`
        attempts: Count,
        /// For each try, the first included. `0s` = the request's `timeout` alone.
        ///
        /// - default: `0s`
        /// - envoy: `retry_policy.per_try_timeout`
        /// - example: `500ms`
        per_try_timeout: Span,
        /// How long each try, the first included, may be without a byte from the endpoint. `0s` = for ever.
        ///
        /// - default: `0s`
        /// - envoy: `retry_policy.per_try_idle_timeout`
        /// - example: `200ms`
        per_try_idle_timeout: Span,
        /// Envoy's conditions and status codes, separated by commas.
        ///
        /// - default: `connect-failure,refused-stream,reset-before-request`
        /// - envoy: `retry_policy.retry_on`, `retry_policy.retriable_status_codes`
        /// - example: `connect-failure,refused-stream,503`
        retry_on: RetryOn,
        /// Whether a request that is not idempotent (POST, PATCH) is repeated too where an endpoint may have acted on
        /// it. Without this, conditions such as `5xx`, `reset` and status codes are for GET, HEAD, OPTIONS, TRACE, PUT
        /// and DELETE alone; those that are met before an endpoint has the request are for every request. gRPC's
        /// conditions (`unavailable`) need no more asking: all of its calls are POST.
        ///
        /// - default: `false`
        /// - envoy: one route, or two by `match.headers` of `:method`
        non_idempotent: bool,
        /// Avoid endpoints already tried.
        ///
        /// - default: `true`
        /// - envoy: `retry_policy.retry_host_predicate`
        retry_ignore_previous_hosts: bool,
        /// Turn to other localities.
        ///
        /// - default: `false`
        /// - envoy: `retry_policy.retry_priority`
        retry_remote_localities: bool,
        /// The base of the exponential back-off; 1 ms at least.
        ///
        /// - default: Envoy's 25 ms
        /// - envoy: `retry_policy.retry_back_off.base_interval`
        /// - example: `50ms`
        backoff: Span,
        /// The longest back-off; no shorter than `backoff`.
        ///
        /// - default: ten times `backoff`
        /// - envoy: `retry_policy.retry_back_off.max_interval`
        /// - example: `1s`
        max_backoff: Span,
        /// Wait as long as a response asks for, instead of the back-off. It retries nothing of itself: `retryOn` says
        /// what is retried, for example `envoy-ratelimited` or `429`. The whole block is one field.
        ///
        /// - default: no response is asked
        /// - envoy: `retry_policy.rate_limited_retry_back_off`
        /// - example: `{ resetHeaders: [{ name: retry-after }] }`
        rate_limited_backoff: RateLimitedBackoff,
        /// How often another endpoint is picked where the one picked was tried before; then that one is taken.
        ///
        /// - default: `5`
        /// - envoy: `retry_policy.host_selection_retry_max_attempts`
        /// - example: `3`
        host_selection_attempts: Count,
        /// Headers of a response, one of which is enough to try again. The condition `retriable-headers` stands for
        /// them and is added to `retryOn`.
        ///
        /// - envoy: `retry_policy.retriable_headers`
        /// - example: `[{ name: x-try-again, exact: "yes" }]`
        retriable_headers: Vec<HeaderCondition>,
        /// Only requests that have one of these headers are tried again. Beside `nonIdempotent: true` this is how to
        /// name requests that may be repeated. Hedging does not look at it.
        ///
        /// - default: every request
        /// - envoy: `retry_policy.retriable_request_headers`
        /// - example: `[{ name: idempotency-key }]`
        retriable_request_headers: Vec<HeaderCondition>,
    }
}

settings! {
    /// Wait as long as a response asks for.
    pub struct RateLimitedBackoff {
        /// Headers that say how long; the first that is there counts.
        ///
        /// - envoy: `reset_headers`
        /// - example: `[{ name: retry-after }, { name: x-ratelimit-reset, format: UNIX_TIMESTAMP }]`
        reset_headers: Vec<ResetHeader>,
        /// A longer wait is not heeded; the next header is looked at, and then the back-off.
        ///
        /// - default: Envoy's 5 min
        /// - envoy: `max_interval`
        /// - example: `30s`
        max_interval: Span,
    }

    /// A header that says how long to wait.
    pub struct ResetHeader {
        /// Its name.
        ///
        /// - envoy: `name`
        /// - example: `retry-after`
        name: String,
        /// What its number means.
        ///
        /// - default: `SECONDS`
        /// - envoy: `format`
        format: ResetFormat,
    }

    /// A header and its value; a name alone asks whether it is there. At most one of `exact`, `prefix` and `regex`.
    pub struct HeaderCondition {
        /// Its name; of a request also `:method`, `:path` and the like.
        ///
        /// - envoy: `name`
        /// - example: `idempotency-key`
        name: String,
        /// All of its value.
        ///
        /// - envoy: `string_match.exact`
        /// - example: `"1"`
        exact: String,
        /// Its value begins with these characters.
        ///
        /// - envoy: `string_match.prefix`
        /// - example: `over`
        prefix: String,
        /// All of its value, as a regular expression (RE2).
        ///
        /// - envoy: `string_match.safe_regex`
        /// - example: `"5[0-9]+"`
        regex: Regex,
    }

    /// A further try while the first goes on.
    pub struct Hedging {
        /// Send a request again when a try took `retries.perTryTimeout`, without giving up the try: the first good
        /// answer counts. Of idempotent requests alone, unless `retries.nonIdempotent` says otherwise. Up to
        /// `retries.attempts` more at once, so it multiplies the load of a slow service.
        ///
        /// - default: `false`
        /// - envoy: `route.hedge_policy.hedge_on_per_try_timeout`
        on_per_try_timeout: bool,
    }
}

words! {
    /// What the number in a header means.
    pub enum ResetFormat {
        /// For so many seconds.
        Seconds = "SECONDS",
        /// Until so many seconds after 1970.
        UnixTimestamp = "UNIX_TIMESTAMP",
    }
}

/// Envoy's retry conditions and status codes, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// The conditions.
    pub conditions: Vec<String>,
    /// The status codes, which Envoy takes in a list of their own.
    pub status_codes: Vec<u32>,
}

// A single status code may be written as a number.
crate::yaml::scalar_schema!(RetryOn, { "type": ["string", "integer"] });

/// What Envoy knows as `x-envoy-retry-on` and `x-envoy-retry-grpc-on` (its router filter's documentation).
/// Names of other gRPC statuses mean nothing to it: it ignores them without a word (tried on 1.40).
const RETRY_CONDITIONS: [&str; 16] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
];

impl Serialize for RetryOn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let codes = self.status_codes.iter().map(u32::to_string);
        serializer.serialize_str(&self.conditions.iter().cloned().chain(codes).collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut retry_on = Self { conditions: Vec::new(), status_codes: Vec::new() };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.parse::<u32>() {
                Ok(code) if (100..600).contains(&code) => retry_on.status_codes.push(code),
                Err(_) if RETRY_CONDITIONS.contains(&word) => retry_on.conditions.push(word.to_owned()),
                _ => {
                    let remedy = crate::yaml::did_you_mean(word, RETRY_CONDITIONS).unwrap_or_default();
                    return Err(crate::yaml::invalid(format_args!("`{word}` is no retry condition"), remedy));
                }
            }
        }
        Ok(retry_on)
    }
}
