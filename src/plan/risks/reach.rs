//! Traffic that is led to where nothing is.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Risk, RiskLevel, causes_of, protection::endpoints_in};
use crate::{
    plan::{Change, compare::Comparison},
    resources::{ResourceType, to_json},
};

/// Routes that lead to a cluster that is not there or has no endpoint, and did not before.
pub(super) fn to_nothing(comparison: &Comparison, changes: &[Change], risks: &mut Vec<Risk>) {
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
