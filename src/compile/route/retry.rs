//! `retry_policy`: when a request is tried again, and where.

use std::sync::Arc;

use super::matching;
use crate::{
    compile::wire::{duration, duration_or_absent, u32_value},
    model::policy::{BackOff, RateLimitedBackOff, ResetFormat, Retry},
    proto::{
        self,
        envoy::{
            config::route::v3::{
                RetryPolicy,
                retry_policy::{
                    RateLimitedRetryBackOff, ResetHeader, ResetHeaderFormat, RetryBackOff, RetryHostPredicate,
                    RetryPriority, retry_host_predicate, retry_priority,
                },
            },
            extensions::retry::{
                host::previous_hosts::v3::PreviousHostsPredicate,
                priority::previous_priorities::v3::PreviousPrioritiesConfig,
            },
        },
    },
};

/// `hashes_to_one`: a hash leads to one endpoint, so that picking again would pick it again.
pub(super) fn compile(retry: &Retry, hashes_to_one: bool) -> RetryPolicy {
    let Retry {
        attempts,
        per_try_timeout,
        per_try_idle_timeout,
        retry_on,
        retriable_status_codes,
        // Which requests it is for is the route's match.
        repeats: _,
        retriable_headers,
        retriable_request_headers,
        back_off,
        rate_limited_back_off,
        avoid_previous_hosts,
        host_selection_attempts,
        retry_remote_localities,
    } = retry;
    let avoids = *avoid_previous_hosts && !hashes_to_one;
    RetryPolicy {
        retry_on: retry_on.join(","),
        num_retries: u32_value(*attempts),
        per_try_timeout: duration_or_absent(*per_try_timeout),
        per_try_idle_timeout: duration_or_absent(*per_try_idle_timeout),
        retriable_status_codes: retriable_status_codes.clone(),
        retriable_headers: retriable_headers.iter().map(matching::header).collect(),
        retriable_request_headers: retriable_request_headers.iter().map(matching::header).collect(),
        retry_back_off: back_off.map(|BackOff { base, longest }| RetryBackOff {
            base_interval: duration(base),
            max_interval: duration_or_absent(longest),
        }),
        rate_limited_retry_back_off: rate_limited_back_off.as_ref().map(rate_limited),
        retry_host_predicate: avoids.then(previous_hosts).into_iter().collect(),
        host_selection_retry_max_attempts: if avoids { i64::from(*host_selection_attempts) } else { 0 },
        retry_priority: retry_remote_localities.then(previous_priorities),
        ..Default::default()
    }
}

fn rate_limited(back_off: &RateLimitedBackOff) -> RateLimitedRetryBackOff {
    let RateLimitedBackOff { reset_headers, longest } = back_off;
    let header = |(name, format): &(Arc<str>, ResetFormat)| ResetHeader {
        name: name.to_string(),
        format: match format {
            ResetFormat::Seconds => ResetHeaderFormat::Seconds,
            ResetFormat::UnixTimestamp => ResetHeaderFormat::UnixTimestamp,
        }
        .into(),
    };
    RateLimitedRetryBackOff {
        reset_headers: reset_headers.iter().map(header).collect(),
        max_interval: duration_or_absent(*longest),
    }
}

fn previous_hosts() -> RetryHostPredicate {
    RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".into(),
        config_type: Some(retry_host_predicate::ConfigType::TypedConfig(
            proto::any(&PreviousHostsPredicate::default()),
        )),
    }
}

fn previous_priorities() -> RetryPriority {
    let config = PreviousPrioritiesConfig { update_frequency: 2 };
    RetryPriority {
        name: "envoy.retry_priorities.previous_priorities".into(),
        config_type: Some(retry_priority::ConfigType::TypedConfig(proto::any(&config))),
    }
}
