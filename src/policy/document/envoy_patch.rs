//! `EnvoyPatch`: changes of resources in Envoy's own words, for what the model lacks.
//!
//! It is checked against Envoy's own descriptors: a field that no message has is an error here, not a NACK there.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::traffic_policy::{Clients, Target, nobody};
use crate::{
    descriptors::{self, Finding, names},
    diagnostic::Diagnostic,
    model::policy::PatchedResource,
    yaml,
};

/// `spec` of an `EnvoyPatch`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvoyPatch {
    /// Whose resources; absent = those of all services. A patch that finds nothing to change is an error.
    #[serde(default)]
    pub target: Target,
    /// Only as these workloads get them; absent = as all do.
    pub clients: Option<Clients>,
    /// What changes, in this order; documents follow each other by name.
    pub patches: Vec<Patch>,
}

/// Changes of one kind of resource: first what is removed, then what is merged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// The kind of resource.
    ///
    /// - envoy: none, it says which resources change
    /// - example: `cluster`
    #[serde(rename = "type")]
    pub of: PatchType,
    /// Of routes only those of this name (`http[].name` of a VirtualService); absent = all of them.
    ///
    /// - envoy: none, it says which routes change
    /// - example: `reports`
    pub route: Option<String>,
    /// Fields to set, as proto3 JSON of Envoy's message. Messages and maps are merged, items of a list merged with the
    /// one of equal `name` or added; a map in the place of a list speaks of items by `name` or `[position]`.
    ///
    /// - envoy: the fields that it names
    /// - example: `{ alt_stat_name: orders }`
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub merge: Option<Value>,
    /// Paths of fields to unset, of items of lists and of entries of maps to take out: `a.b`, `a.list[0]`, `a.list[name]`.
    ///
    /// - envoy: the fields that it names
    /// - example: `[alt_stat_name]`
    #[serde(default)]
    pub remove: Vec<String>,
}

/// The kinds of resources that can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PatchType {
    /// The cluster of a port or a subset (`envoy.config.cluster.v3.Cluster`).
    Cluster,
    /// Its endpoints (`envoy.config.endpoint.v3.ClusterLoadAssignment`).
    Endpoints,
    /// The port's listener of its own (`envoy.config.listener.v3.Listener`).
    Listener,
    /// The listener `outbound` (`envoy.config.listener.v3.Listener`), which is no service's: such a patch has no target.
    OutboundListener,
    /// The port's virtual host (`envoy.config.route.v3.VirtualHost`).
    VirtualHost,
    /// The routes in it (`envoy.config.route.v3.Route`).
    Route,
}

impl PatchType {
    /// As the model has it.
    pub fn resource(self) -> PatchedResource {
        match self {
            Self::Cluster => PatchedResource::Cluster,
            Self::Endpoints => PatchedResource::Endpoints,
            Self::Listener => PatchedResource::Listener,
            Self::OutboundListener => PatchedResource::OutboundListener,
            Self::VirtualHost => PatchedResource::VirtualHost,
            Self::Route => PatchedResource::Route,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::Cluster => names::CLUSTER,
            Self::Endpoints => names::ENDPOINTS,
            Self::Listener | Self::OutboundListener => names::LISTENER,
            Self::VirtualHost => names::VIRTUAL_HOST,
            Self::Route => names::ROUTE,
        }
    }

    /// Fields by which resources find each other, each with what to write instead.
    fn fixed(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Cluster => &[
                ("name", "a cluster is called after its service and port"),
                ("eds_cluster_config", "its endpoints come over ADS, under the cluster's name"),
            ],
            Self::Endpoints => &[("cluster_name", "endpoints are found by the name of their cluster")],
            Self::Listener => &[
                ("name", "a listener is called after its service and port"),
                ("address", "say `listen` at the port in the service snapshot, or `addresses` in the Mesh"),
            ],
            Self::OutboundListener => &[
                ("name", "the listener is called `outbound`"),
                ("address", "say `outbound.address` and `outbound.port` in the Mesh"),
            ],
            Self::VirtualHost => &[
                ("name", "a virtual host is called after its service and port"),
                ("domains", "say `hosts` of the service in the service snapshot"),
            ],
            Self::Route => &[],
        }
    }

    fn belongs_to_subset(self) -> bool {
        matches!(self, Self::Cluster | Self::Endpoints)
    }
}

/// What the types cannot see.
pub(super) fn check(patch: &EnvoyPatch, source: &yaml::Document) -> Vec<Diagnostic> {
    let EnvoyPatch { target, clients, patches } = patch;
    let mut problems: Vec<Diagnostic> = clients.iter().filter_map(|clients| nobody(clients, source)).collect();
    let mut wrong = |id, path: String, message: String, remedy: &str| {
        let problem = Diagnostic::error(id, source.key_place(&path), path, message);
        problems.push(problem.remedy(remedy));
    };
    if target.service.is_some() && target.labels.is_some() {
        let message = "a target names services either by `service` or by `labels`";
        wrong("invalid-value", "spec.target.labels".into(), message.into(), "remove one");
    }
    if patches.is_empty() {
        wrong(
            "invalid-value",
            "spec.patches".into(),
            "there is no patch".into(),
            "add one: `type`, and `merge` or `remove`",
        );
    }
    for (index, Patch { of, route, merge, remove }) in patches.iter().enumerate() {
        let path = format!("spec.patches[{index}]");
        let kind = of.resource().as_str();
        if merge.is_none() && remove.is_empty() {
            wrong("invalid-value", path.clone(), "this patch changes nothing".into(), "add `merge` or `remove`");
        }
        if route.is_some() && *of != PatchType::Route {
            let message = format!("a {kind} is no route and has no name among routes");
            wrong("invalid-value", format!("{path}.route"), message, "remove `route`, or write `type: route`");
        }
        if *of == PatchType::OutboundListener && *target != Target::default() {
            let message = "the listener `outbound` is no service's";
            wrong(
                "invalid-value",
                format!("{path}.type"),
                message.into(),
                "remove `target`, or write `type: listener`",
            );
        } else if target.subset.is_some() && !of.belongs_to_subset() {
            let message = format!("a subset has no {kind} of its own");
            wrong("invalid-value", format!("{path}.type"), message, "remove `subset` from the target");
        }
        for (field, instead) in of.fixed() {
            if merge.as_ref().is_some_and(|merge| merge.get(field).is_some()) {
                let message = format!("`{field}` of `type: {kind}` cannot be patched");
                wrong("invalid-value", format!("{path}.merge.{field}"), message, instead);
            }
            for (at, removed) in remove.iter().enumerate() {
                if removed == field || removed.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '['])) {
                    let message = format!("`{field}` of `type: {kind}` cannot be patched");
                    wrong("invalid-value", format!("{path}.remove[{at}]"), message, instead);
                }
            }
        }
    }
    for (index, Patch { of, route: _, merge, remove }) in patches.iter().enumerate() {
        let path = format!("spec.patches[{index}]");
        let merges = merge.iter().flat_map(|merge| descriptors::check_merge(of.message(), merge));
        problems.extend(merges.map(|finding| found(finding, &format!("{path}.merge"), source)));
        for (at, removed) in remove.iter().enumerate() {
            let finding = descriptors::check_remove(of.message(), removed);
            problems.extend(finding.map(|finding| found(finding, &format!("{path}.remove[{at}]"), source)));
        }
    }
    problems
}

fn found(finding: Finding, at: &str, source: &yaml::Document) -> Diagnostic {
    let Finding { path, id, message, remedy } = finding;
    let path = format!("{at}{path}");
    let place = if id == "unknown-field" { source.key_place(&path) } else { source.place(&path) };
    Diagnostic { remedy, ..Diagnostic::error(id, place, path, message) }
}
