//! What protected a service and does not any more: limits, outlier detection, health checks, TLS, and endpoints that may
//! all be ejected.

use serde_json::Value;

use super::{
    Risk, RiskLevel, causes_of,
    limits::{NO_LIMIT, limits},
};
use crate::{
    plan::{
        Change,
        compare::{Comparison, Differing},
    },
    resources::{ResourceType, to_json},
};

pub(super) fn lost(resource: &Differing, changes: &[Change], risks: &mut Vec<Risk>) {
    let Differing { resource_type, name, before, after } = resource;
    let mut lose = |what: String, field: &str| {
        risks.push(Risk {
            id: "protection-removed",
            level: RiskLevel::High,
            text: format!("{name} loses {what}"),
            causes: causes_of(changes, *resource_type, name.as_str(), field),
        });
    };
    let is_there = |value: &Value, field: &str| match &value[field] {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    for (field, what) in [("outlier_detection", "its outlier detection"), ("health_checks", "its health checks")] {
        if is_there(before, field) && !is_there(after, field) {
            lose(what.into(), field);
        }
    }
    let (before, after) = (limits(before), limits(after));
    for (field, limit) in before.iter().filter(|(_, limit)| **limit < NO_LIMIT) {
        if after.get(field).is_none_or(|limit| *limit >= NO_LIMIT) {
            lose(format!("its limit of {limit} on `{field}`"), field);
        }
    }
}

pub(super) fn tls(resource: &Differing, changes: &[Change], risks: &mut Vec<Risk>) {
    let Differing { resource_type, name, before, after } = resource;
    let text_of = |value: &Value| value["transport_socket"].to_string();
    let (was, is) = (text_of(before), text_of(after));
    let sentence = match () {
        () if was.contains("UpstreamTlsContext") && !is.contains("UpstreamTlsContext") => {
            Some(format!("{name} is spoken to without TLS, and was with"))
        }
        () if was.contains("trusted_ca") && !is.contains("trusted_ca") => {
            Some(format!("the certificate of {name} is not verified any more"))
        }
        () if was.contains("match_typed_subject_alt_names") && !is.contains("match_typed_subject_alt_names") => {
            Some(format!("of the certificate of {name} the names are not verified any more"))
        }
        () => None,
    };
    if let Some(text) = sentence {
        let causes = causes_of(changes, *resource_type, name.as_str(), "transport_socket");
        risks.push(Risk { id: "tls-downgraded", level: RiskLevel::High, text, causes });
    }
}

/// Ejection of every endpoint, where Envoy does not panic.
pub(super) fn emptied_pool(resource: &Differing, comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
    let Differing { resource_type, name, before, after } = resource;
    let size = comparison.alike.iter().find_map(|alike| {
        let assignment = alike.after.set(ResourceType::Endpoints).get(name.as_str())?;
        Some(endpoints_in(&to_json(ResourceType::Endpoints, assignment)))
    });
    let Some(size) = size.filter(|size| *size > 0) else { return };
    let can_empty = |cluster: &Value| {
        let detection = &cluster["outlier_detection"];
        let threshold = cluster["common_lb_config"]["healthy_panic_threshold"]["value"].as_f64();
        let panics = match &cluster["common_lb_config"]["healthy_panic_threshold"] {
            Value::Null => true,
            _ => threshold.is_some_and(|value| value > 0.0),
        };
        // Envoy ejects one whatever the share, and then while the share ejected is below it.
        let percent = detection["max_ejection_percent"].as_u64().unwrap_or(10);
        !detection.is_null() && !panics && (size == 1 || (size - 1) * 100 < percent * size)
    };
    if can_empty(after) && !can_empty(before) {
        let causes = causes_of(changes, *resource_type, name.as_str(), "");
        let text =
            format!("all {size} endpoints of {name} may be ejected at once, and panic is off: 503 for every request");
        risks.push(Risk { id: "pool-can-empty", level: RiskLevel::High, text, causes });
    }
}

pub(super) fn endpoints_in(assignment: &Value) -> u64 {
    let groups = assignment["endpoints"].as_array().into_iter().flatten();
    groups.map(|group| group["lb_endpoints"].as_array().map_or(0, Vec::len) as u64).sum()
}
