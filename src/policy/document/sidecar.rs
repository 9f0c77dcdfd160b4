//! Istio's `Sidecar`, read unmodified: which services a workload's sidecars may reach, and so are sent. What else Istio
//! says in it is refused by name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    export_to::is_dns_label,
    key_segment,
    unsupported::{EgressCapture, EgressPort, Inbound, SidecarOutbound},
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        NamePattern,
        egress::{EgressHost, EgressNamespace},
    },
    yaml::{self, UniqueMap},
};

/// `spec` of a `Sidecar`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sidecar {
    /// For which workloads of its namespace it is; absent = for all that no other Sidecar selects, and where it stands in
    /// the root namespace for those of every namespace that has none for all.
    ///
    /// - envoy: none, it decides which sidecars are sent less
    /// - example: `{ labels: { app: checkout } }`
    #[serde(default)]
    pub workload_selector: Option<WorkloadSelector>,
    /// What they may reach.
    #[serde(default)]
    pub egress: Vec<EgressListener>,
    #[serde(default)]
    ingress: Option<Inbound>,
    #[serde(default)]
    outbound_traffic_policy: Option<SidecarOutbound>,
    #[serde(default)]
    inbound_connection_pool: Option<Inbound>,
}

/// `workloadSelector`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkloadSelector {
    /// `node.metadata.LABELS` of the sidecar has all of these.
    ///
    /// - envoy: none, it decides which sidecars are sent less
    /// - example: `{ app: checkout }`
    pub labels: UniqueMap<String, String>,
}

/// An entry of `egress`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EgressListener {
    /// Services, as `NAMESPACE/HOST`: the namespace is a name, `.` (the workload's own) or `*` (any); the host a name or a
    /// wildcard (`*.example.com`, `*`). `~/*` is nothing. Services that the routes of these lead to come along.
    ///
    /// - envoy: which clusters, endpoints, listeners and virtual hosts are sent
    /// - example: `["./*", "books/reviews.books.svc.cluster.local"]`
    pub hosts: Vec<String>,
    #[serde(default)]
    port: Option<EgressPort>,
    #[serde(default)]
    bind: Option<EgressPort>,
    #[serde(default)]
    capture_mode: Option<EgressCapture>,
}

impl Sidecar {
    /// The labels it selects by; none = all workloads.
    pub fn selector(&self) -> Option<&UniqueMap<String, String>> {
        self.workload_selector.as_ref().map(|selector| &selector.labels).filter(|labels| !labels.0.is_empty())
    }

    /// Every host with its path below the document's root, and what it means; `~` means nothing.
    pub fn hosts(&self) -> impl Iterator<Item = (String, &str, Option<EgressHost>)> {
        self.egress.iter().enumerate().flat_map(|(at, listener)| {
            let hosts = listener.hosts.iter().enumerate();
            hosts.map(move |(index, host)| (format!("spec.egress[{at}].hosts[{index}]"), &**host, read(host)))
        })
    }
}

/// What a host means.
fn read(host: &str) -> Option<EgressHost> {
    let (namespace, host) = host.split_once('/')?;
    let namespace = match namespace {
        "~" => return None,
        "*" => EgressNamespace::Any,
        "." => EgressNamespace::Own,
        named => EgressNamespace::Named(named.into()),
    };
    Some(EgressHost { namespace, host: NamePattern::new(&host.to_ascii_lowercase()) })
}

/// What the types cannot see: Istio's own validation.
pub(super) fn check(sidecar: &Sidecar, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let error = |path: &str, message: String, remedy: &str| {
        Diagnostic::error("invalid-value", source.place(path), path, message).remedy(remedy)
    };
    let no_effect = |path: &str, message: String| {
        Diagnostic::warning("no-effect", source.place(path), path, message).remedy("remove it")
    };
    if let Some(WorkloadSelector { labels }) = &sidecar.workload_selector {
        let path = "spec.workloadSelector";
        if labels.0.is_empty() {
            let message = "a selector without labels selects all workloads of the namespace".to_owned();
            problems.push(no_effect(path, message));
        }
        for (key, value) in &labels.0 {
            let path = format!("{path}.labels{}", key_segment(key));
            if key.is_empty() {
                problems.push(error(&path, "a label without a name".to_owned(), "name it, or remove it"));
            } else if key.contains('*') || value.contains('*') {
                let message = format!("`{key}: {value}`: labels are compared as they stand, without wildcards");
                problems.push(error(&path, message, "write the whole key and value"));
            }
        }
    }
    if sidecar.egress.is_empty() {
        let message = "a Sidecar without `egress` says nothing".to_owned();
        problems.push(error("spec", message, "add `egress: [ { hosts: [\"./*\"] } ]`"));
    }
    for index in 1..sidecar.egress.len() {
        let path = format!("spec.egress[{index}]");
        let message = "of entries without `port` there is one".to_owned();
        problems.push(error(&path, message, "merge its `hosts` into those of the first"));
    }
    for (index, listener) in sidecar.egress.iter().enumerate() {
        if listener.hosts.is_empty() {
            let path = format!("spec.egress[{index}].hosts");
            problems.push(error(&path, "`hosts` is empty".to_owned(), "write `[\"~/*\"]` for nothing at all"));
        }
    }
    let all: Vec<_> = sidecar.hosts().collect();
    let everything = all.iter().position(|(_, host, _)| *host == "*/*");
    for (index, (path, host, _)) in all.iter().enumerate() {
        if let Err((message, remedy)) = check_host(host) {
            problems.push(error(path, message, remedy));
        } else if all[..index].iter().any(|(_, earlier, _)| earlier == host) {
            problems.push(no_effect(path, format!("`{host}` stands twice")));
        } else if everything.is_some_and(|everything| everything != index) {
            problems.push(no_effect(path, format!("`*/*` is everything, and so `{host}` too")));
        }
    }
    problems
}

fn check_host(host: &str) -> Result<(), (String, &'static str)> {
    const FORM: &str =
        "write `NAMESPACE/HOST`, for example `./*`, `*/orders.shop.svc.cluster.local` or `shop/*.example.com`";
    let Some((namespace, name)) = host.split_once('/') else {
        return Err((format!("`{host}` has no namespace"), FORM));
    };
    if !matches!(namespace, "*" | "." | "~") && !is_dns_label(namespace) {
        return Err((format!("`{namespace}` is no name of a namespace"), FORM));
    }
    if namespace == "~" && name != "*" {
        return Err((format!("`~` is no namespace, and has no `{name}`"), "write `~/*` for nothing at all"));
    }
    let rest = name.strip_prefix('*').unwrap_or(name);
    let rest = if rest.len() < name.len() { rest.strip_prefix('.').unwrap_or(rest) } else { rest };
    let is_label = |label: &str| is_dns_label(&label.to_ascii_lowercase());
    if name != "*" && !rest.split('.').all(is_label) {
        return Err((format!("`{name}` is no host"), FORM));
    }
    Ok(())
}
