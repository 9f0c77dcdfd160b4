//! `Dependencies`: which services a workload calls. Its sidecars are sent these and no others.

use schemars::JsonSchema;
use serde::Deserialize;

use super::traffic_policy::Pattern;
use crate::{diagnostic::Diagnostic, yaml};

/// `spec` of `Dependencies`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dependencies {
    /// `node.cluster` of the sidecars, or a pattern. Documents for one workload unite; one that names it replaces those
    /// that match it by a pattern.
    ///
    /// - envoy: none, it decides which proxies are sent less
    /// - example: `checkout`
    pub workload: Pattern,
    /// Names or patterns of services; none = the workload calls nobody.
    ///
    /// - envoy: the clusters, endpoints and virtual hosts that are sent
    /// - example: `[ orders, "pay-*" ]`
    pub services: Vec<Pattern>,
}

/// What the types cannot see.
pub(super) fn check(dependencies: &Dependencies, source: &yaml::Document) -> Vec<Diagnostic> {
    let services = &dependencies.services;
    let repeated = services.iter().enumerate().filter(|(index, pattern)| services[..*index].contains(pattern));
    repeated
        .map(|(index, Pattern(pattern))| {
            let path = format!("spec.services[{index}]");
            let message = format!("`{pattern}` is listed twice");
            Diagnostic::error("invalid-value", source.place(&path), path, message).remedy("remove one")
        })
        .collect()
}
