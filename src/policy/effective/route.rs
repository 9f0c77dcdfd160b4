//! Timeouts and `retries`, complete.

use std::{sync::Arc, time::Duration};

use super::{
    super::document::{
        regex::ANYTHING,
        scalar::Span,
        settings::{self},
    },
    text,
};
use crate::model::policy::{
    BackOff, RateLimitedBackOff, Repeats, ResetFormat, Retry,
    routing::{HeaderMatch, TextMatch, ValueMatch},
};

/// The base of Envoy's back-off, for those who say only how long it may become.
const ENVOY_BACK_OFF: Duration = Duration::from_millis(25);

/// How long something may take; zero = as long as it likes.
pub(in crate::policy) fn limit(written: Option<Span>) -> Option<Duration> {
    written.map(|span| span.0).filter(|span| !span.is_zero())
}

pub(super) fn retry(written: Option<&settings::Retries>) -> Option<Retry> {
    let default = Retry::default();
    let Some(written) = written else { return Some(default) };
    let attempts = written.attempts.map_or(default.attempts, |attempts| attempts.0);
    let (mut retry_on, retriable_status_codes) = match &written.retry_on {
        None => (default.retry_on, default.retriable_status_codes),
        Some(retry_on) => conditions(retry_on),
    };
    let headers = |written: &Option<Vec<settings::HeaderCondition>>| written.iter().flatten().map(header).collect();
    let retriable_headers: Vec<HeaderMatch> = headers(&written.retriable_headers);
    if !retriable_headers.is_empty() {
        add_once("retriable-headers", &mut retry_on);
    }
    (attempts > 0).then_some(Retry {
        attempts,
        per_try_timeout: limit(written.per_try_timeout),
        per_try_idle_timeout: limit(written.per_try_idle_timeout),
        retry_on,
        retriable_status_codes,
        repeats: repeats(written),
        retriable_headers,
        retriable_request_headers: headers(&written.retriable_request_headers),
        back_off: back_off(written.backoff, written.max_backoff),
        rate_limited_back_off: written.rate_limited_backoff.as_ref().map(rate_limited),
        avoid_previous_hosts: written.retry_ignore_previous_hosts.unwrap_or(default.avoid_previous_hosts),
        host_selection_attempts: written
            .host_selection_attempts
            .map_or(default.host_selection_attempts, |attempts| attempts.0),
        retry_remote_localities: written.retry_remote_localities.unwrap_or(default.retry_remote_localities),
    })
}

/// Which requests are hedged. Envoy's hedging looks at no condition: it is as safe as a retry of what may have been
/// acted on, and for the same requests.
pub(super) fn hedge(hedging: Option<&settings::Hedging>, retries: Option<&settings::Retries>) -> Option<Repeats> {
    let settings::Hedging { on_per_try_timeout } = hedging?;
    (*on_per_try_timeout == Some(true)).then(|| retries.map_or(Repeats::Idempotent, repeats))
}

fn repeats(written: &settings::Retries) -> Repeats {
    match written.non_idempotent {
        Some(true) => Repeats::Any,
        Some(false) | None => Repeats::Idempotent,
    }
}

/// Of two documents one may say a base above the other's longest: the base counts.
fn back_off(base: Option<Span>, longest: Option<Span>) -> Option<BackOff> {
    let base = base.or(longest.map(|_| Span(ENVOY_BACK_OFF)))?.0;
    Some(BackOff { base, longest: longest.map(|longest| longest.0.max(base)) })
}

fn rate_limited(written: &settings::RateLimitedBackoff) -> RateLimitedBackOff {
    let settings::RateLimitedBackoff { reset_headers, max_interval } = written;
    let header = |settings::ResetHeader { name, format }: &settings::ResetHeader| {
        let format = match format {
            None | Some(settings::ResetFormat::Seconds) => ResetFormat::Seconds,
            Some(settings::ResetFormat::UnixTimestamp) => ResetFormat::UnixTimestamp,
        };
        (text(name).to_ascii_lowercase().into(), format)
    };
    RateLimitedBackOff {
        reset_headers: reset_headers.iter().flatten().map(header).collect(),
        longest: max_interval.map(|longest| longest.0),
    }
}

fn header(written: &settings::HeaderCondition) -> HeaderMatch {
    let settings::HeaderCondition { name, exact, prefix, regex } = written;
    let exact = exact.as_deref().map(|value| TextMatch::Exact(value.into()));
    let prefix = prefix.as_deref().map(|value| TextMatch::Prefix(value.into()));
    let regex = regex.as_ref().filter(|regex| regex.0 != ANYTHING);
    let regex = regex.map(|regex| TextMatch::Regex(regex.0.as_str().into()));
    HeaderMatch {
        name: text(name).to_ascii_lowercase().into(),
        value: exact.or(prefix).or(regex).map_or(ValueMatch::Present, ValueMatch::Text),
        inverted: false,
    }
}

fn add_once(condition: &str, conditions: &mut Vec<Arc<str>>) {
    if !conditions.iter().any(|word| **word == *condition) {
        conditions.push(condition.into());
    }
}

/// Envoy's conditions, and the status codes that one of them stands for: codes count only beside it.
pub(in crate::policy) fn conditions(retry_on: &settings::RetryOn) -> (Vec<Arc<str>>, Vec<u32>) {
    let mut conditions: Vec<Arc<str>> = retry_on.conditions.iter().map(|word| word.as_str().into()).collect();
    if !retry_on.status_codes.is_empty() {
        add_once("retriable-status-codes", &mut conditions);
    }
    (conditions, retry_on.status_codes.clone())
}
