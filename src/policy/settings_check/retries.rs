//! `retries`: times that Envoy takes, and headers that are some.

use std::time::Duration;

use super::Found;
use crate::policy::document::{
    scalar::Span,
    settings::{HeaderCondition, RateLimitedBackoff, Retries},
};

pub(super) fn check(retries: &Retries, found: &mut Found<'_>) {
    let too_short = |span: &Option<Span>| span.is_some_and(|span| span.0 < Duration::from_millis(1));
    for (name, span) in [("backoff", &retries.backoff), ("maxBackoff", &retries.max_backoff)] {
        if too_short(span) {
            found.error(&format!("retries.{name}"), "Envoy's back-off is 1 ms at least", "write `1ms` or more");
        }
    }
    if let (Some(base), Some(longest)) = (retries.backoff, retries.max_backoff)
        && longest.0 < base.0
    {
        let message = "the longest back-off is shorter than the first";
        found.error("retries.maxBackoff", message, "raise it to `backoff` at least");
    }
    if retries.host_selection_attempts.is_some_and(|attempts| attempts.0 == 0) {
        found.error(
            "retries.hostSelectionAttempts",
            "Envoy picks again once at least",
            "write 1 or more, or `retryIgnorePreviousHosts: false`",
        );
    }
    if let Some(backoff) = &retries.rate_limited_backoff {
        check_rate_limited(backoff, found);
    }
    check_headers(retries.retriable_headers.as_deref(), "retries.retriableHeaders", found);
    check_headers(retries.retriable_request_headers.as_deref(), "retries.retriableRequestHeaders", found);
}

fn check_rate_limited(backoff: &RateLimitedBackoff, found: &mut Found<'_>) {
    const FIELD: &str = "retries.rateLimitedBackoff";
    let RateLimitedBackoff { reset_headers, max_interval } = backoff;
    if reset_headers.as_ref().is_none_or(Vec::is_empty) {
        let remedy = "for example `resetHeaders: [ { name: retry-after } ]`";
        found.error(FIELD, "no header says how long to wait", remedy);
    }
    for (index, header) in reset_headers.iter().flatten().enumerate() {
        found.name(header.name.as_deref(), &format!("{FIELD}.resetHeaders[{index}]"));
    }
    if max_interval.is_some_and(|interval| interval.0.is_zero()) {
        found.error(&format!("{FIELD}.maxInterval"), "Envoy takes no zero here", "write a duration above 0s");
    }
}

fn check_headers(headers: Option<&[HeaderCondition]>, field: &str, found: &mut Found<'_>) {
    let Some(headers) = headers else { return };
    if headers.is_empty() {
        found.error(field, "no header is named here", "remove the field, or name one");
    }
    for (index, condition) in headers.iter().enumerate() {
        let HeaderCondition { name, exact, prefix, regex } = condition;
        let field = format!("{field}[{index}]");
        found.name(name.as_deref().map(|name| name.strip_prefix(':').unwrap_or(name)), &field);
        let forms = [exact.is_some(), prefix.is_some(), regex.is_some()];
        if forms.into_iter().filter(|&written| written).count() > 1 {
            found.error(&field, "`exact`, `prefix` and `regex` exclude each other", "keep one");
        }
    }
}
