//! Retries and faults of a rule.

use super::{Found, actions::check_status, destinations::check_old_percent};
use crate::policy::document::virtual_service::{HttpFaultInjection, HttpRetry};

pub(super) fn check_retries(retries: &HttpRetry, path: &str, found: &mut Found<'_>) {
    let HttpRetry {
        attempts,
        per_try_timeout,
        retry_on,
        retry_remote_localities,
        retry_ignore_previous_hosts,
        backoff,
    } = retries;
    let says_more = per_try_timeout.is_some()
        || retry_on.is_some()
        || retry_remote_localities.is_some()
        || retry_ignore_previous_hosts.is_some()
        || backoff.is_some();
    if attempts.is_none_or(|attempts| attempts.0 == 0) && says_more {
        let message = match attempts {
            Some(_) => "with 0 attempts the rest of `retries` has no effect",
            None => "`attempts` is missing, which is 0: the rest of `retries` has no effect",
        };
        found.error(&format!("{path}.attempts"), message, "write `attempts` above 0, or remove the rest");
    }
    if backoff.is_some_and(|backoff| backoff.0 < std::time::Duration::from_millis(1)) {
        found.error(&format!("{path}.backoff"), "Envoy's back-off is 1 ms at least", "write `1ms` or more");
    }
}

pub(super) fn check_fault(fault: &HttpFaultInjection, path: &str, found: &mut Found<'_>) {
    let HttpFaultInjection { delay, abort } = fault;
    if delay.is_none() && abort.is_none() {
        found.error(path, "this fault is none", "add `delay` or `abort`");
    }
    if let Some(delay) = delay {
        let path = format!("{path}.delay");
        match delay.fixed_delay {
            None => found.error(&path, "`fixedDelay` is missing", "say how long, for example `fixedDelay: 5s`"),
            Some(span) if span.0.is_zero() => {
                found.error(&format!("{path}.fixedDelay"), "Envoy takes no zero here", "write a duration above 0s");
            }
            Some(_) => {}
        }
        check_old_percent(delay.percent, &format!("{path}.percent"), "percentage", found);
        if delay.percentage.is_none() && delay.percent.is_none() {
            let message = "without `percentage` no request waits";
            found.warning("no-effect", &path, message, "write `percentage: { value: 100 }`");
        }
    }
    if let Some(abort) = abort {
        let path = format!("{path}.abort");
        match (abort.http_status, abort.grpc_status) {
            (Some(status), None) => check_status(status, &format!("{path}.httpStatus"), found),
            (None, Some(_)) => {}
            (Some(_), Some(_)) => {
                let message = "`httpStatus` and `grpcStatus` exclude each other";
                found.error(&format!("{path}.grpcStatus"), message, "keep one");
            }
            (None, None) => found.error(&path, "it aborts with nothing", "write `httpStatus` or `grpcStatus`"),
        }
        if abort.percentage.is_none() {
            let message = "without `percentage` no request is aborted";
            found.warning("no-effect", &path, message, "write `percentage: { value: 100 }`");
        }
    }
}
