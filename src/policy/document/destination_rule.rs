//! Istio's `DestinationRule`, read unmodified. What we do not support is refused by name.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    export_to::{ExportTo, Nobody},
    istio_durations,
    settings::{ConnectionPool, LoadBalancer, OutlierDetection, ProxyProtocol, RetryBudget, Settings, Tls},
    traffic_policy::Subsets,
    unsupported::{RuleWorkloads, Tunnel},
};
use crate::{
    diagnostic::Diagnostic,
    yaml::{self, UniqueMap},
};

/// `spec` of a `DestinationRule`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DestinationRule {
    /// A short name, a full name, or a wildcard `*.shop.svc.cluster.local`.
    ///
    /// - envoy: none, it chooses the clusters
    /// - example: `orders`
    pub host: String,
    /// For every subset and port that says nothing itself.
    #[serde(default)]
    pub traffic_policy: Option<RulePolicy>,
    /// Named subsets of the endpoints.
    ///
    /// - envoy: a cluster `SERVICE:PORT/SUBSET` each
    /// - example: `[ { name: v1, labels: { version: v1 } } ]`
    #[serde(default)]
    pub subsets: Vec<RuleSubset>,
    /// Whose clients see it: `.` (this namespace), `*` (all, the default), or names of namespaces.
    ///
    /// - default: `["*"]`
    /// - envoy: none, it says whose clusters have the rule
    /// - example: `["."]`
    #[serde(default)]
    pub export_to: ExportTo,
    #[serde(default)]
    workload_selector: Option<RuleWorkloads>,
}

/// `trafficPolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RulePolicy {
    /// Which endpoint takes a request.
    pub load_balancer: Option<LoadBalancer>,
    /// Connections and limits.
    pub connection_pool: Option<ConnectionPool>,
    /// Ejection of endpoints that fail.
    pub outlier_detection: Option<OutlierDetection>,
    /// Retries as a share of requests.
    pub retry_budget: Option<RetryBudget>,
    /// Each replaces the whole policy for its port.
    pub port_level_settings: Vec<PortPolicy>,
    /// TLS to the endpoints.
    pub tls: Option<Tls>,
    /// Tell endpoints the client's address.
    pub proxy_protocol: Option<ProxyProtocol>,
    tunnel: Option<Tunnel>,
}

/// An entry of `portLevelSettings`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortPolicy {
    /// Which port.
    pub port: PortSelector,
    /// Which endpoint takes a request.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Connections and limits.
    #[serde(default)]
    pub connection_pool: Option<ConnectionPool>,
    /// Ejection of endpoints that fail.
    #[serde(default)]
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS to the endpoints.
    #[serde(default)]
    pub tls: Option<Tls>,
}

/// `port` of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortSelector {
    /// By number.
    ///
    /// - envoy: none, it chooses the cluster
    /// - example: `80`
    pub number: std::num::NonZeroU16,
}

/// An entry of `subsets`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleSubset {
    /// What rules call it.
    ///
    /// - envoy: the last part of the cluster's name
    /// - example: `v1`
    pub name: Subsets,
    /// All must be there.
    ///
    /// - default: every endpoint
    /// - envoy: `ClusterLoadAssignment.endpoints`, those that have them
    /// - example: `{ version: v1 }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    /// Overrides the rule's policy block by block.
    #[serde(default)]
    pub traffic_policy: Option<RulePolicy>,
}

impl DestinationRule {
    /// Every place that has settings, with its path below the document's root.
    pub fn settings(&self) -> Vec<(String, Settings)> {
        let top = self.traffic_policy.iter().map(|policy| ("spec.trafficPolicy".to_owned(), policy));
        let subsets = self.subsets.iter().enumerate().filter_map(|(index, subset)| {
            Some((format!("spec.subsets[{index}].trafficPolicy"), subset.traffic_policy.as_ref()?))
        });
        top.chain(subsets)
            .flat_map(|(path, policy)| {
                let ports = policy.port_level_settings.iter().enumerate();
                let ports = ports.map(|(index, port)| (format!("{path}.portLevelSettings[{index}]"), port.blocks()));
                std::iter::once((path.clone(), policy.blocks())).chain(ports.collect::<Vec<_>>())
            })
            .collect()
    }
}

impl RulePolicy {
    /// The blocks as settings.
    pub fn blocks(&self) -> Settings {
        let Self {
            load_balancer,
            connection_pool,
            outlier_detection,
            retry_budget,
            port_level_settings: _,
            tls,
            proxy_protocol,
            tunnel: _,
        } = self;
        Settings {
            load_balancer: load_balancer.clone(),
            connection_pool: connection_pool.clone(),
            outlier_detection: outlier_detection.clone(),
            retry_budget: retry_budget.clone(),
            tls: tls.clone(),
            proxy_protocol: proxy_protocol.clone(),
            ..Settings::default()
        }
    }
}

impl PortPolicy {
    /// The blocks as settings; a port has no retry budget and no PROXY protocol.
    pub fn blocks(&self) -> Settings {
        let Self { port: _, load_balancer, connection_pool, outlier_detection, tls } = self;
        Settings {
            load_balancer: load_balancer.clone(),
            connection_pool: connection_pool.clone(),
            outlier_detection: outlier_detection.clone(),
            tls: tls.clone(),
            ..Settings::default()
        }
    }
}

/// What the types cannot see: Istio's own validation, as far as it concerns what we support.
pub(super) fn check(rule: &DestinationRule, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let error = |path: &str, message: &str, remedy: &str| {
        Diagnostic::error("invalid-value", source.place(path), path, message).remedy(remedy)
    };
    if rule.host.is_empty() {
        problems.push(error("spec.host", "`host` is empty", "name the service"));
    }
    problems.extend(rule.export_to.check(Nobody::Refused, source));
    problems.extend(istio_durations::check(source));
    if let Some(policy) = &rule.traffic_policy {
        check_policy(policy, "spec.trafficPolicy", source, &mut problems);
    }
    for (index, subset) in rule.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{index}]");
        if rule.subsets[..index].iter().any(|earlier| earlier.name == subset.name) {
            let message = format!("subset `{}` is defined twice", subset.name.0);
            problems.push(error(&format!("{path}.name"), &message, "rename one of the two"));
        }
        if let Some(policy) = &subset.traffic_policy {
            check_policy(policy, &format!("{path}.trafficPolicy"), source, &mut problems);
        }
    }
    problems
}

fn check_policy(policy: &RulePolicy, path: &str, source: &yaml::Document, problems: &mut Vec<Diagnostic>) {
    let check = super::super::settings_check::check;
    problems.extend(check(&policy.blocks(), path, source));
    if *policy == RulePolicy::default() {
        let message = "a policy without any setting";
        problems.push(Diagnostic::error("invalid-value", source.place(path), path, message).remedy("remove it"));
    }
    check_blocks(&policy.blocks(), path, source, problems);
    problems.extend(no_effect_beside_shares(policy.load_balancer.as_ref(), path, source));
    for (index, port) in policy.port_level_settings.iter().enumerate() {
        let path = format!("{path}.portLevelSettings[{index}]");
        problems.extend(check(&port.blocks(), &path, source));
        check_blocks(&port.blocks(), &path, source, problems);
        problems.extend(no_effect_beside_shares(port.load_balancer.as_ref(), &path, source));
        if policy.port_level_settings[..index].iter().any(|earlier| earlier.port == port.port) {
            let message = format!("port {} has settings twice", port.port.number);
            problems
                .push(Diagnostic::error("invalid-value", source.place(&path), path, message).remedy("merge the two"));
        }
    }
}

/// Istio takes both and reads one.
fn no_effect_beside_shares(
    load_balancer: Option<&LoadBalancer>,
    path: &str,
    source: &yaml::Document,
) -> Option<Diagnostic> {
    let setting = load_balancer?.locality_lb_setting.as_ref()?;
    let path = format!("{path}.loadBalancer.localityLbSetting.failoverPriority");
    (setting.distribute.is_some() && setting.failover_priority.is_some()).then(|| {
        let message = "`failoverPriority` has no effect beside `distribute`";
        Diagnostic::warning("no-effect", source.key_place(&path), path, message).remedy("remove one of the two")
    })
}

/// What Istio refuses in a block, and a TrafficPolicy may say.
fn check_blocks(blocks: &Settings, path: &str, source: &yaml::Document, problems: &mut Vec<Diagnostic>) {
    let mut error = |field: &str, message: &str, remedy: &str| {
        let field = format!("{path}.{field}");
        problems.push(Diagnostic::error("invalid-value", source.place(&field), field, message).remedy(remedy));
    };
    if blocks.connection_pool.as_ref().is_some_and(|pool| *pool == ConnectionPool::default()) {
        error("connectionPool", "a pool without any setting", "remove it");
    }
    if let Some(tls) = blocks.tls.as_ref().filter(|tls| tls.insecure_skip_verify == Some(true)) {
        let contradicting =
            [("caCertificates", tls.ca_certificates.is_some()), ("subjectAltNames", tls.subject_alt_names.is_some())];
        for (name, _) in contradicting.into_iter().filter(|(_, written)| *written) {
            let message = format!("`{name}` is what to verify with, and `insecureSkipVerify` verifies nothing");
            error(&format!("tls.{name}"), &message, "remove one of the two");
        }
    }
    if let Some(balancer) = &blocks.load_balancer
        && balancer.locality_lb_setting.is_some()
        && balancer.zone_aware_lb_setting.is_some()
    {
        let message = "`localityLbSetting` and `zoneAwareLbSetting` exclude each other";
        error("loadBalancer.zoneAwareLbSetting", message, "remove one of the two");
    }
}
