//! Retries: time for them, a limit for them, and whether a request may be repeated at all.

use std::{fmt::Display, time::Duration};

use super::{super::document::scalar::Span, findings::Findings, target::Target};
use crate::model::{
    Protocol,
    policy::{Repeats, Retry, RoutePolicy, SAFE_RETRY_ON, UNLIMITED, is_grpc_condition, is_safe_condition},
};

pub(super) fn check(target: &Target<'_>, findings: &mut Findings) {
    let Some(retry) = target.policy.route.retry.as_ref().filter(|_| target.port.protocol.is_http()) else { return };
    exceed_timeout(target, findings);
    hedge_without_time(target, findings);
    let unsafe_conditions = unsafe_conditions(retry);
    if unsafe_conditions.is_empty() {
        return;
    }
    without_budget(target, retry, findings);
    // Whoever writes `nonIdempotent` has decided.
    if retry.repeats == Repeats::Idempotent {
        match unsafe_conditions.iter().find(|condition| is_grpc_condition(condition)) {
            Some(condition) => repeated_calls(target, condition, findings),
            None if target.port.protocol == Protocol::Grpc => of_no_call(target, &unsafe_conditions[0], findings),
            None => {}
        }
    }
}

/// Conditions under which an endpoint may have acted on the request, or said that it is overloaded.
pub(super) fn unsafe_conditions(retry: &Retry) -> Vec<String> {
    let conditions = retry.retry_on.iter().filter(|condition| {
        !is_safe_condition(condition)
            // Without codes it stands for nothing.
            && (&***condition != "retriable-status-codes" || !retry.retriable_status_codes.is_empty())
    });
    conditions
        .map(|condition| match &**condition {
            "retriable-status-codes" => {
                let codes: Vec<String> = retry.retriable_status_codes.iter().map(u32::to_string).collect();
                codes.join(",")
            }
            other => other.to_owned(),
        })
        .collect()
}

/// Hedging begins when a try took as long as a try may take.
fn hedge_without_time(target: &Target<'_>, findings: &mut Findings) {
    let policy = &target.policy.route;
    if policy.hedge.is_none() || policy.hedges().is_some() {
        return;
    }
    let Some(said) = target.said("hedging.onPerTryTimeout") else { return };
    target.warn("hedging-without-time", said, findings, || {
        let message = format!(
            "no try of a request to {target} has a timeout, after which it would be sent again: nothing is hedged"
        );
        (message, "add `retries: { perTryTimeout: 300ms }`: about what the slowest requests in a hundred take".into())
    });
}

fn exceed_timeout(target: &Target<'_>, findings: &mut Findings) {
    let Some(sentence) = exceeding(target, &target.policy.route) else { return };
    let Some(said) = target.first_said(&["retries.perTryTimeout", "retries.attempts", "timeout"]) else { return };
    target.warn("retries-exceed-timeout", said, findings, || sentence);
}

/// What to say of tries that do not fit into the time for all of them.
pub(super) fn exceeding(what: &dyn Display, policy: &RoutePolicy) -> Option<(String, String)> {
    let (retry, timeout) = (policy.retry.as_ref()?, policy.timeout?);
    let each = retry.per_try_timeout?;
    let tries = retry.attempts.saturating_add(1);
    let all = each.saturating_mul(tries);
    if all <= timeout {
        return None;
    }
    let fit = match timeout.as_nanos() / each.as_nanos().max(1) {
        0 => "none".to_owned(),
        1 => "one".to_owned(),
        fit => fit.to_string(),
    };
    let message = format!(
        "{tries} tries of {} take up to {}, and a request to {what} ends after {}: {fit} of them fit into that",
        Span(each),
        Span(all),
        Span(timeout),
    );
    let shorter = Duration::from_millis(u64::try_from((timeout / tries).as_millis()).unwrap_or(u64::MAX));
    let remedy = match shorter.is_zero() {
        true => format!("write `timeout: {}`, or fewer `attempts`", Span(all)),
        false => format!("write `timeout: {}`, `perTryTimeout: {}`, or fewer `attempts`", Span(all), Span(shorter)),
    };
    Some((message, remedy))
}

fn repeated_calls(target: &Target<'_>, condition: &str, findings: &mut Findings) {
    let Some(said) = target.said("retries.retryOn") else { return };
    target.warn("retry-non-idempotent", said, findings, || {
        let message = format!(
            "`{condition}` repeats gRPC calls to {target} that an endpoint may have acted on: a call can happen twice"
        );
        let remedy = format!(
            "keep to `{}`, which is safe for any call, or write `nonIdempotent: true` where each may happen twice",
            SAFE_RETRY_ON.join(",")
        );
        (message, remedy)
    });
}

fn of_no_call(target: &Target<'_>, condition: &str, findings: &mut Findings) {
    let Some(said) = target.said("retries.retryOn") else { return };
    target.warn("retry-of-no-request", said, findings, || {
        let message = format!("`{condition}` is for idempotent requests, and every gRPC call to {target} is a POST");
        let remedy = "write gRPC's own conditions, for example `unavailable`, or `nonIdempotent: true`";
        (message, remedy.into())
    });
}

fn without_budget(target: &Target<'_>, retry: &Retry, findings: &mut Findings) {
    let limits = &target.policy.connection_pool.circuit_breakers.default;
    if limits.retry_budget.is_some() || limits.max_retries != UNLIMITED {
        return;
    }
    let Some(said) = target.first_said(&["retries.retryOn", "retries.attempts"]) else { return };
    target.warn("retry-without-budget", said, findings, || {
        let tries = retry.attempts.saturating_add(1);
        let message = format!(
            "while {target} fails, each request is sent {tries} times: {tries} times the load, without a limit"
        );
        (message, "add `retryBudget: { percent: 20 }`, or `connectionPool.http.maxRetries`".into())
    });
}
