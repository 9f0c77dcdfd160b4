//! `circuit_breakers`: limits by priority, and for one endpoint.

use crate::{
    compile::wire::{duration_or_absent, percent, u32_value},
    model::policy::{ConnectionPool, RetryBudget, Thresholds},
    proto::envoy::config::{
        cluster::v3::{
            CircuitBreakers,
            circuit_breakers::{Thresholds as ProtoThresholds, thresholds},
        },
        core::v3::RoutingPriority,
    },
};

/// The first entry is DEFAULT's. All limits are written, since Envoy's own are 1024 and 3.
pub(super) fn compile(pool: &ConnectionPool) -> CircuitBreakers {
    let breakers = &pool.circuit_breakers;
    let high = breakers.high.as_ref().map(|limits| limits_of(RoutingPriority::High, limits));
    CircuitBreakers {
        thresholds: std::iter::once(limits_of(RoutingPriority::Default, &breakers.default)).chain(high).collect(),
        per_host_thresholds: pool
            .max_connections_per_host
            .map(|limit| ProtoThresholds { max_connections: u32_value(limit.get()), ..Default::default() })
            .into_iter()
            .collect(),
    }
}

fn limits_of(priority: RoutingPriority, limits: &Thresholds) -> ProtoThresholds {
    let Thresholds { max_connections, max_pending_requests, max_requests, max_retries, track_remaining, retry_budget } =
        limits;
    ProtoThresholds {
        priority: priority.into(),
        max_connections: u32_value(*max_connections),
        max_pending_requests: u32_value(*max_pending_requests),
        max_requests: u32_value(*max_requests),
        max_retries: u32_value(*max_retries),
        track_remaining: *track_remaining,
        retry_budget: retry_budget.as_ref().map(budget),
        ..Default::default()
    }
}

fn budget(budget: &RetryBudget) -> thresholds::RetryBudget {
    let RetryBudget { percent: share, min_retry_concurrency, budget_interval } = budget;
    thresholds::RetryBudget {
        budget_percent: percent(*share),
        min_retry_concurrency: u32_value(*min_retry_concurrency),
        budget_interval: duration_or_absent(*budget_interval),
    }
}
