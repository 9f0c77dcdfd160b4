//! What may go wrong with a change, each with an id and a level: read off the lines, and off the documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Cause, Change, ChangeKind, Question,
    causes::Edited,
    compare::{Comparison, Differing},
};
use crate::{
    diagnostic::{At, Diagnostic},
    model::{NamePattern, Scope},
    policy::lint,
    resources::{ResourceType, to_json},
};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RiskLevel {
    /// Somebody should know.
    Low,
    /// Somebody should look.
    Medium,
    /// Somebody should say why.
    High,
}

impl RiskLevel {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that may go wrong.
#[derive(Debug, Clone)]
pub struct Risk {
    /// One of [`RISKS`].
    pub id: &'static str,
    /// How much it matters.
    pub level: RiskLevel,
    /// A sentence without a full stop.
    pub text: String,
    /// What brings it about.
    pub causes: Vec<Cause>,
}

/// The ids of risks that are looked for.
pub const RISKS: &[&str] = &[
    "expired",
    "ownerless",
    "pool-can-empty",
    "protection-removed",
    "retry-amplification",
    "tls-downgraded",
    "traffic-to-nothing",
];

pub(super) fn find(
    question: &Question<'_>,
    comparison: &Comparison,
    changes: &[Change],
    edited: &[Edited],
) -> Vec<Risk> {
    let mut risks = Vec::new();
    for resource in &comparison.resources {
        match resource.resource_type {
            ResourceType::Cluster if resource.kind() == ChangeKind::Changed => {
                protection(resource, changes, &mut risks);
                tls(resource, changes, &mut risks);
                emptied_pool(resource, comparison, changes, &mut risks);
            }
            _ => {}
        }
    }
    to_nothing(comparison, changes, &mut risks);
    amplification(question, comparison, changes, &mut risks);
    annotations(question, edited, &mut risks);
    risks.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| (a.id, &a.text).cmp(&(b.id, &b.text))));
    risks.dedup_by(|a, b| (a.id, &a.text) == (b.id, &b.text));
    risks
}

/// What causes the lines of a resource whose field begins so.
fn causes_of(changes: &[Change], resource_type: ResourceType, name: &str, field: &str) -> Vec<Cause> {
    let lines = changes.iter().filter(|change| {
        change.resource_type == resource_type
            && change.resource.as_str() == name
            && change.field.as_deref().unwrap_or_default().contains(field)
    });
    let mut causes: Vec<Cause> = Vec::new();
    for cause in lines.flat_map(|change| &change.causes) {
        if !causes.iter().any(|known| known.document.id == cause.document.id && known.field == cause.field) {
            causes.push(cause.clone());
        }
    }
    causes
}

/// What Envoy is told where a limit shall not limit.
const NO_LIMIT: u64 = u32::MAX as u64;

fn protection(resource: &Differing, changes: &[Change], risks: &mut Vec<Risk>) {
    let Differing { resource_type, name, before, after } = resource;
    let mut lost = |what: String, field: &str| {
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
            lost(what.into(), field);
        }
    }
    let limits = |value: &Value| -> BTreeMap<String, u64> {
        let thresholds = value["circuit_breakers"]["thresholds"].as_array().cloned().unwrap_or_default();
        let default = thresholds.into_iter().next().unwrap_or_default();
        let fields = default.as_object().into_iter().flatten();
        fields.filter_map(|(key, value)| Some((key.clone(), value.as_u64()?))).collect()
    };
    let (before, after) = (limits(before), limits(after));
    for (field, limit) in before.iter().filter(|(_, limit)| **limit < NO_LIMIT) {
        if after.get(field).is_none_or(|limit| *limit >= NO_LIMIT) {
            lost(format!("its limit of {limit} on `{field}`"), field);
        }
    }
}

fn tls(resource: &Differing, changes: &[Change], risks: &mut Vec<Risk>) {
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
fn emptied_pool(resource: &Differing, comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
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

fn endpoints_in(assignment: &Value) -> u64 {
    let groups = assignment["endpoints"].as_array().into_iter().flatten();
    groups.map(|group| group["lb_endpoints"].as_array().map_or(0, Vec::len) as u64).sum()
}

/// Routes that lead to a cluster that is not there or has no endpoint, and did not before.
fn to_nothing(comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
    let mut told = BTreeSet::new();
    for alike in &comparison.alike {
        let differing = alike.resources.iter().map(|&at| &comparison.resources[at]);
        for resource in differing.filter(|resource| resource.resource_type != ResourceType::Cluster) {
            let names: BTreeSet<String> = match resource.resource_type {
                ResourceType::Endpoints => [resource.name.as_str().to_owned()].into(),
                _ => {
                    let (mut was, mut is) = (BTreeSet::new(), BTreeSet::new());
                    clusters_in(&resource.before, &mut was);
                    clusters_in(&resource.after, &mut is);
                    is.difference(&was).cloned().collect()
                }
            };
            for name in names {
                let assignment = alike.after.set(ResourceType::Endpoints).get(&name);
                let cluster = alike.after.set(ResourceType::Cluster).get(&name);
                let why = match (cluster, assignment) {
                    (None, _) => format!("traffic is led to {name}, which is not there"),
                    (Some(_), Some(assignment)) if endpoints_in(&to_json(ResourceType::Endpoints, assignment)) == 0 => {
                        format!("traffic is led to {name}, which has no endpoint")
                    }
                    (Some(_), _) => continue,
                };
                if cluster.is_none() && resource.resource_type == ResourceType::Endpoints {
                    continue;
                }
                if told.insert(why.clone()) {
                    let causes = causes_of(changes, resource.resource_type, resource.name.as_str(), "");
                    risks.push(Risk { id: "traffic-to-nothing", level: RiskLevel::High, text: why, causes });
                }
            }
        }
    }
}

/// The clusters that routes and listeners name.
fn clusters_in(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get("cluster") {
                found.insert(name.clone());
            }
            let weighted = fields.get("weighted_clusters").and_then(|weighted| weighted["clusters"].as_array());
            found.extend(weighted.into_iter().flatten().filter_map(|part| Some(part["name"].as_str()?.to_owned())));
            fields.values().for_each(|below| clusters_in(below, found));
        }
        Value::Array(items) => items.iter().for_each(|below| clusters_in(below, found)),
        _ => {}
    }
}

/// Retries that multiply along the calls that `Dependencies` tell of: each hop sends a failing request once and
/// `num_retries` times again, and so does each hop behind it.
fn amplification(question: &Question<'_>, comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
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

/// Changed documents without an owner, and those whose day is over.
fn annotations(question: &Question<'_>, edited: &[Edited], risks: &mut Vec<Risk>) {
    let of_documents: Vec<Diagnostic> = lint::of_documents(question.after, question.today);
    for document in edited.iter().filter_map(|edited| edited.after.as_ref()) {
        let cause = |field: &str| vec![Cause { document: document.clone(), field: field.into() }];
        if !document.metadata.annotations.0.contains_key("owner") {
            risks.push(Risk {
                id: "ownerless",
                level: RiskLevel::Low,
                text: format!("{} has no annotation `owner`: nobody is asked when it is in the way", document.name()),
                causes: cause("metadata"),
            });
        }
        let is_of_it = |found: &&Diagnostic| match &found.at {
            At::Place(place) => *place == document.place_of(&found.field),
            At::File(_) => false,
        };
        if let Some(found) = of_documents.iter().filter(|found| found.id == "expired").find(is_of_it) {
            risks.push(Risk {
                id: "expired",
                level: RiskLevel::Medium,
                text: format!("{}: {}", document.name(), found.message),
                causes: cause(&found.field),
            });
        }
    }
}
