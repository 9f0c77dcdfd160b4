//! `retry_policy`: when a request is tried again, and where.

use crate::{
    compile::wire::{duration_or_absent, u32_value},
    model::policy::Retry,
    proto::{
        self,
        envoy::{
            config::route::v3::{
                RetryPolicy,
                retry_policy::{RetryBackOff, RetryHostPredicate, RetryPriority, retry_host_predicate, retry_priority},
            },
            extensions::retry::{
                host::previous_hosts::v3::PreviousHostsPredicate,
                priority::previous_priorities::v3::PreviousPrioritiesConfig,
            },
        },
    },
};

/// How often another endpoint is picked, where the one picked was tried before (Istio's number).
const HOST_SELECTION_ATTEMPTS: i64 = 5;

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
        back_off_base,
        avoid_previous_hosts,
        retry_remote_localities,
    } = retry;
    let avoids = *avoid_previous_hosts && !hashes_to_one;
    RetryPolicy {
        retry_on: retry_on.join(","),
        num_retries: u32_value(*attempts),
        per_try_timeout: duration_or_absent(*per_try_timeout),
        per_try_idle_timeout: duration_or_absent(*per_try_idle_timeout),
        retriable_status_codes: retriable_status_codes.clone(),
        retry_back_off: back_off_base
            .map(|base| RetryBackOff { base_interval: Some(proto::duration(base)), max_interval: None }),
        retry_host_predicate: avoids.then(previous_hosts).into_iter().collect(),
        host_selection_retry_max_attempts: if avoids { HOST_SELECTION_ATTEMPTS } else { 0 },
        retry_priority: retry_remote_localities.then(previous_priorities),
        ..Default::default()
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
