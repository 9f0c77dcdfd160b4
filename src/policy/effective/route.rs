//! `timeout` and `retries`, complete.

use std::sync::Arc;

use super::super::document::{
    scalar::Span,
    settings::{self},
};
use crate::model::policy::{Retry, RoutePolicy};

pub(super) fn route(timeout: Option<Span>, retries: Option<&settings::Retries>) -> RoutePolicy {
    RoutePolicy {
        timeout: timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero()),
        retry: match retries {
            None => Some(Retry::default()),
            Some(written) => retry(written),
        },
    }
}

fn retry(written: &settings::Retries) -> Option<Retry> {
    let default = Retry::default();
    let attempts = written.attempts.map_or(default.attempts, |attempts| attempts.0);
    let (retry_on, retriable_status_codes) = match &written.retry_on {
        None => (default.retry_on, default.retriable_status_codes),
        Some(retry_on) => conditions(retry_on),
    };
    (attempts > 0).then_some(Retry {
        attempts,
        per_try_timeout: written.per_try_timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero()),
        retry_on,
        retriable_status_codes,
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
