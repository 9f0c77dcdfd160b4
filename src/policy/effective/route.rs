//! Timeouts and `retries`, complete.

use std::{sync::Arc, time::Duration};

use super::super::document::{
    scalar::Span,
    settings::{self},
};
use crate::model::policy::{Repeats, Retry};

/// How long something may take; zero = as long as it likes.
pub(in crate::policy) fn limit(written: Option<Span>) -> Option<Duration> {
    written.map(|span| span.0).filter(|span| !span.is_zero())
}

pub(super) fn retry(written: Option<&settings::Retries>) -> Option<Retry> {
    let default = Retry::default();
    let Some(written) = written else { return Some(default) };
    let attempts = written.attempts.map_or(default.attempts, |attempts| attempts.0);
    let (retry_on, retriable_status_codes) = match &written.retry_on {
        None => (default.retry_on, default.retriable_status_codes),
        Some(retry_on) => conditions(retry_on),
    };
    (attempts > 0).then_some(Retry {
        attempts,
        per_try_timeout: limit(written.per_try_timeout),
        per_try_idle_timeout: limit(written.per_try_idle_timeout),
        retry_on,
        retriable_status_codes,
        repeats: match written.non_idempotent {
            Some(true) => Repeats::Any,
            Some(false) | None => Repeats::Idempotent,
        },
        back_off_base: written.backoff.map(|backoff| backoff.0),
        avoid_previous_hosts: written.retry_ignore_previous_hosts.unwrap_or(default.avoid_previous_hosts),
        retry_remote_localities: written.retry_remote_localities.unwrap_or(default.retry_remote_localities),
    })
}

/// Envoy's conditions, and the status codes that one of them stands for: codes count only beside it.
pub(in crate::policy) fn conditions(retry_on: &settings::RetryOn) -> (Vec<Arc<str>>, Vec<u32>) {
    const CODES: &str = "retriable-status-codes";
    let mut conditions: Vec<Arc<str>> = retry_on.conditions.iter().map(|word| word.as_str().into()).collect();
    if !retry_on.status_codes.is_empty() && !conditions.iter().any(|word| **word == *CODES) {
        conditions.push(CODES.into());
    }
    (conditions, retry_on.status_codes.clone())
}
