//! Limits below what is in use now: what is above them waits, or is refused, from the moment the change is pushed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{LIMIT_BELOW_USE, Risk, RiskLevel, causes_of};
use crate::plan::{Change, Load, compare::Differing, load::Use};

/// What Envoy is told where a limit shall not limit.
pub(super) const NO_LIMIT: u64 = u32::MAX as u64;

/// The limits of a cluster for requests of ordinary priority, by Envoy's names for them.
pub(super) fn limits(cluster: &Value) -> BTreeMap<String, u64> {
    let fields = cluster["circuit_breakers"]["thresholds"][0].as_object().into_iter().flatten();
    fields.filter_map(|(key, value)| Some((key.clone(), value.as_u64()?))).collect()
}

pub(super) fn below_use(resource: &Differing, load: &Load, changes: &[Change], risks: &mut Vec<Risk>) {
    let Differing { resource_type, name, before, after } = resource;
    let Some(used) = load.of(name.as_str()) else { return };
    let Use { connections, connections_per_endpoint, pending_requests, requests, retries } = used;
    let (was, is) = (limits(before), limits(after));
    let per_endpoint =
        |cluster: &Value| cluster["circuit_breakers"]["per_host_thresholds"][0]["max_connections"].as_u64();
    let of = |field: &str| (was.get(field).copied(), is.get(field).copied());
    let asked = [
        ("max_connections", of("max_connections"), connections, "connections"),
        ("max_pending_requests", of("max_pending_requests"), pending_requests, "requests that wait for a connection"),
        ("max_requests", of("max_requests"), requests, "requests in flight"),
        ("max_retries", of("max_retries"), retries, "retries in flight"),
        (
            "per_host_thresholds",
            (per_endpoint(before), per_endpoint(after)),
            connections_per_endpoint,
            "connections to one endpoint",
        ),
    ];
    for (field, (was, is), used, what) in asked {
        let (Some(limit), Some(used)) = (is, *used) else { continue };
        if was == is || limit >= used {
            continue;
        }
        risks.push(Risk {
            id: LIMIT_BELOW_USE,
            level: RiskLevel::High,
            text: format!("{name} may have {limit} {what} in each proxy, and one proxy has {used} now"),
            causes: causes_of(changes, *resource_type, name.as_str(), field),
        });
    }
}
