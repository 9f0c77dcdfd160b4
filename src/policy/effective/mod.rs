//! Merged settings into the complete policy: the one place that says what an absent field means.
//!
//! The defaults are Istio's for a cluster without any rule (connect timeout 10 s, LEAST_REQUEST, no limits, no outlier
//! detection, panic off, no timeout), and for retries what is safe for any request. A detector of outlier detection
//! is enforced when one of its own fields is set, else not; an explicit `enforcing…` decides.

mod connection_pool;
mod health_check;
mod load_balancer;
mod locality;
mod outlier_detection;
mod route;
mod session;
mod subset_selection;
mod transport;

use std::sync::Arc;

pub(super) use self::route::{conditions, limit};
use self::{
    connection_pool::pool,
    health_check::health_check,
    load_balancer::algorithm,
    locality::locality,
    outlier_detection::outlier,
    route::{hedge, retry},
    session::session,
    subset_selection::subset_selection,
    transport::{dns, proxy_protocol, tls},
};
use super::document::{
    scalar::{Percent, WholePercent},
    settings::{self, Settings},
};
use crate::model::{
    Decimal, EffectivePolicy,
    policy::{Priority, RoutePolicy, UnhealthyEndpoints},
};

/// Fills in every default.
pub fn effective(settings: &Settings) -> EffectivePolicy {
    let Settings {
        load_balancer,
        connection_pool,
        outlier_detection,
        health_checks,
        retry_budget,
        timeout,
        stream_idle_timeout,
        max_stream_duration,
        priority,
        retries,
        hedging,
        stateful_session,
        tls: written_tls,
        proxy_protocol: written_proxy_protocol,
        dns: written_dns,
    } = settings;
    let load_balancer = load_balancer.clone().unwrap_or_default();
    let min_health = outlier_detection.as_ref().and_then(|outlier| outlier.min_health_percent);
    let algorithm = algorithm(&load_balancer);
    EffectivePolicy {
        subset_selection: subset_selection(&load_balancer, &algorithm),
        locality: locality(&load_balancer),
        panic_threshold: match (load_balancer.panic_threshold, min_health) {
            (Some(Percent(threshold)), _) => threshold,
            (None, Some(WholePercent(percent))) => Decimal::whole(percent),
            (None, None) => Decimal::ZERO,
        },
        overprovisioning_factor: load_balancer.overprovisioning_factor.map(|factor| factor.0),
        unhealthy_endpoints: match min_health {
            Some(WholePercent(1..)) => UnhealthyEndpoints::Omitted,
            Some(WholePercent(0)) | None => UnhealthyEndpoints::Sent,
        },
        load_balancer: algorithm,
        connection_pool: pool(connection_pool.as_ref(), retry_budget.as_ref()),
        outlier_detection: outlier_detection.as_ref().map(outlier),
        health_checks: health_checks.iter().flatten().map(health_check).collect(),
        tls: written_tls.as_ref().and_then(tls),
        proxy_protocol: written_proxy_protocol.as_ref().map(proxy_protocol),
        dns: dns(written_dns.as_ref()),
        route: RoutePolicy {
            timeout: limit(*timeout),
            stream_idle_timeout: limit(*stream_idle_timeout),
            max_stream_duration: limit(*max_stream_duration),
            priority: match priority {
                None | Some(settings::Priority::Default) => Priority::Default,
                Some(settings::Priority::High) => Priority::High,
            },
            retry: retry(retries.as_ref()),
            hedge: hedge(hedging.as_ref(), retries.as_ref()),
            session: stateful_session.as_ref().and_then(session),
        },
    }
}

fn text(written: &Option<String>) -> Arc<str> {
    written.as_deref().unwrap_or_default().into()
}

fn texts(written: &Option<Vec<String>>) -> Vec<Arc<str>> {
    written.iter().flatten().map(|text| text.as_str().into()).collect()
}
