//! Retries that multiply load along a chain of calls.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Risk, RiskLevel, causes_of};
use crate::{
    model::{NamePattern, Scope},
    plan::{Change, Question, compare::Comparison},
    resources::{ResourceType, to_json},
};

/// Retries that multiply along the calls that `Dependencies` tell of: each hop sends a failing request once and
/// `num_retries` times again, and so does each hop behind it.
pub(super) fn amplified(question: &Question<'_>, comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
    let dependencies = question.after.dependencies();
    for resource in comparison.resources.iter().filter(|resource| resource.resource_type == ResourceType::Route) {
        let (was, is) = (attempts_by_service(&resource.before), attempts_by_service(&resource.after));
        for (service, attempts) in is {
            let before = was.get(&service).copied().unwrap_or(1);
            if attempts <= before {
                continue;
            }
            // Of the chains of calls that end in this one, the longest: every hop before it multiplies.
            let chain = longest_chain(&service, &dependencies);
            let factors: Vec<u64> = chain.iter().map(|hop| attempts_of(hop, comparison).unwrap_or(1)).collect();
            let upstream: u64 = factors.iter().product();
            let (old, new) = (before * upstream, attempts * upstream);
            if new < MOST_ATTEMPTS {
                continue;
            }
            let path = match chain.is_empty() {
                true => String::new(),
                false => format!(" (along {} → {service})", chain.join(" → ")),
            };
            risks.push(Risk {
                id: "retry-amplification",
                level: if new >= 3 * MOST_ATTEMPTS { RiskLevel::High } else { RiskLevel::Medium },
                text: format!("one failing request becomes up to {new} at {service}{path}, and was {old}"),
                causes: causes_of(changes, ResourceType::Route, resource.name.as_str(), "num_retries"),
            });
        }
    }
}

/// From this factor on it is told: one request and Istio's two retries are three.
const MOST_ATTEMPTS: u64 = 4;

/// How often a request is sent at most, by service; of several routes the most.
fn attempts_by_service(routes: &Value) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for host in routes["virtual_hosts"].as_array().into_iter().flatten() {
        let name = host["name"].as_str().unwrap_or_default();
        let service = name.rsplit_once(':').map_or(name, |(service, _)| service);
        let attempts = most_attempts(host);
        let known = found.entry(service.to_owned()).or_insert(1);
        *known = attempts.max(*known);
    }
    found
}

fn most_attempts(value: &Value) -> u64 {
    match value {
        Value::Object(fields) => {
            let here = fields.get("retry_policy").map_or(1, |policy| 1 + policy["num_retries"].as_u64().unwrap_or(1));
            fields.values().map(most_attempts).fold(here, u64::max)
        }
        Value::Array(items) => items.iter().map(most_attempts).fold(1, u64::max),
        _ => 1,
    }
}

/// As the first proxy that has routes to it is served.
fn attempts_of(service: &str, comparison: &Comparison) -> Option<u64> {
    comparison.alike.iter().find_map(|alike| {
        let routes = alike.after.set(ResourceType::Route).iter().next()?;
        attempts_by_service(&to_json(ResourceType::Route, routes)).get(service).copied()
    })
}

/// The longest chain of workloads by exact name, each called by the one before, the last of which calls the service.
fn longest_chain(service: &str, dependencies: &BTreeMap<NamePattern, Scope>) -> Vec<String> {
    fn before(service: &str, dependencies: &BTreeMap<NamePattern, Scope>, seen: &mut Vec<String>) -> Vec<String> {
        let callers = dependencies
            .iter()
            .filter(|(workload, scope)| workload.is_exact() && scope.0.iter().any(|pattern| pattern.matches(service)));
        let mut longest = Vec::new();
        // Deeper than this nobody's calls go, and circles end.
        if seen.len() > 16 {
            return longest;
        }
        for (workload, _) in callers {
            let name = workload.as_str().to_owned();
            if seen.contains(&name) {
                continue;
            }
            seen.push(name.clone());
            let mut chain = before(&name, dependencies, seen);
            seen.pop();
            chain.push(name);
            if chain.len() > longest.len() {
                longest = chain;
            }
        }
        longest
    }
    before(service, dependencies, &mut vec![service.to_owned()])
}
