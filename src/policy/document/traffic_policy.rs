//! `TrafficPolicy`: our own dialect. Settings for a target, optionally only as seen by some clients.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{
    scalar::Span,
    settings::{
        ConnectionPool, Dns, HealthCheck, Hedging, LoadBalancer, OutlierDetection, Priority, ProxyProtocol, Retries,
        RetryBudget, Settings, StatefulSession, Tls,
    },
};
use crate::{
    diagnostic::Diagnostic,
    model::{NamePattern, SubsetName},
    yaml::{self, UniqueMap},
};

/// `spec` of a `TrafficPolicy`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TrafficPolicy {
    /// Which services.
    ///
    /// - default: every service
    /// - example: `{ service: orders }`
    pub target: Target,
    /// Only as seen by these workloads.
    ///
    /// - default: all workloads
    /// - example: `{ services: [ checkout, "batch-*" ] }`
    pub clients: Option<Clients>,
    /// Subsets of the target service, each a cluster of its own.
    ///
    /// - default: none
    /// - envoy: a cluster `SERVICE:PORT/SUBSET`
    /// - example: `[ { name: v1, labels: { version: v1 } } ]`
    pub subsets: Vec<Subset>,
    /// Which endpoint takes a request.
    load_balancer: Option<LoadBalancer>,
    /// Connections and limits.
    connection_pool: Option<ConnectionPool>,
    /// Ejection of endpoints that fail. A detector is on where one of its own fields is set.
    ///
    /// - default: none
    /// - envoy: `outlier_detection`
    /// - example: `{ consecutive5xxErrors: 5 }`
    outlier_detection: Option<OutlierDetection>,
    /// Active checks of every endpoint by every sidecar.
    ///
    /// - default: none
    /// - envoy: `health_checks`
    /// - example: `[ { httpHealthCheck: { path: /healthz } } ]`
    health_checks: Option<Vec<HealthCheck>>,
    /// Retries as a share of requests, in place of `connectionPool.http.maxRetries`.
    ///
    /// - default: none
    /// - envoy: `circuit_breakers.thresholds[0].retry_budget`
    /// - example: `{ percent: 20 }`
    retry_budget: Option<RetryBudget>,
    /// How long a request may take in all, retries included; `0s` = no limit.
    ///
    /// - default: `0s`
    /// - envoy: `route.timeout`
    /// - example: `2s`
    timeout: Option<Span>,
    /// How long a request may go without a byte in either direction; `0s` = no limit.
    ///
    /// - default: `0s`
    /// - envoy: `route.idle_timeout`
    /// - example: `30s`
    stream_idle_timeout: Option<Span>,
    /// How long a request or stream may last, from its first byte to its last.
    ///
    /// - default: none
    /// - envoy: `route.max_stream_duration.max_stream_duration`
    /// - example: `1h`
    max_stream_duration: Option<Span>,
    /// Which limits count the requests that routes lead to the target: `HIGH` has those of `connectionPool.high`, and
    /// goes on where the others are reached. For some of a service's requests alone, give their rule a name
    /// (`http[].name`, of a Gateway route `rules[].name`) and set `route.priority` in an EnvoyPatch of that route.
    ///
    /// - default: `DEFAULT`
    /// - envoy: `route.priority`
    /// - example: `HIGH`
    priority: Option<Priority>,
    /// When and how often a request is sent again.
    ///
    /// - default: twice on `connect-failure,refused-stream,reset-before-request`
    /// - envoy: `route.retry_policy`
    /// - example: `{ attempts: 2, retryOn: "connect-failure,refused-stream" }`
    retries: Option<Retries>,
    hedging: Option<Hedging>,
    /// Keep a client with the endpoint that took its first request.
    ///
    /// - default: no sessions
    /// - envoy: `typed_per_filter_config["envoy.filters.http.stateful_session"]` of routes
    /// - example: `{ cookie: { name: shop-session } }`
    stateful_session: Option<StatefulSession>,
    /// TLS to the endpoints.
    ///
    /// - default: none
    /// - envoy: `transport_socket`
    /// - example: `{ mode: SIMPLE }`
    tls: Option<Tls>,
    /// Tell endpoints the client's address in a PROXY protocol header.
    ///
    /// - default: none
    /// - envoy: `transport_socket`
    /// - example: `{ version: V2 }`
    proxy_protocol: Option<ProxyProtocol>,
    /// How Envoy resolves endpoints that are host names.
    dns: Option<Dns>,
}

/// Which services a policy is for.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Target {
    /// A service's name, or a pattern with `*`. Excludes `labels`.
    ///
    /// - default: every service
    /// - envoy: none, it decides whose clusters and routes change
    /// - example: `orders`
    pub service: Option<Pattern>,
    /// Labels of services, all of which must be there. Excludes `service`.
    ///
    /// - default: every service
    /// - envoy: none, it decides whose clusters and routes change
    /// - example: `{ team: shop }`
    pub labels: Option<UniqueMap<String, String>>,
    /// One port, by its number.
    ///
    /// - default: every port
    /// - envoy: none, it decides whose clusters and routes change
    /// - example: `80`
    pub port: Option<std::num::NonZeroU16>,
    /// One subset.
    ///
    /// - default: the service itself and every subset
    /// - envoy: none, it decides whose clusters and routes change
    /// - example: `v1`
    pub subset: Option<Subsets>,
}

/// The workloads that a policy is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clients {
    /// `node.cluster` of the proxies: names, or patterns with `*`.
    ///
    /// - envoy: none, it decides which proxies are sent this
    /// - example: `[ checkout, "batch-*" ]`
    pub services: Vec<Pattern>,
}

/// A name or a pattern, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub NamePattern);

yaml::scalar_schema!(Pattern, { "type": "string", "minLength": 1 });

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Err(yaml::invalid("an empty name matches nothing", "write a name, or a pattern such as `pay-*`"));
        }
        Ok(Self(NamePattern::new(&text)))
    }
}

/// A subset's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subsets(pub SubsetName);

yaml::scalar_schema!(Subsets, { "type": "string", "minLength": 1 });

impl<'de> Deserialize<'de> for Subsets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SubsetName::new(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A subset: the endpoints that have all these labels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subset {
    /// What rules call it, and the part of the cluster's name behind the `/`.
    ///
    /// - envoy: the name of the cluster
    /// - example: `v1`
    pub name: Subsets,
    /// Labels of endpoints, all of which must be there; none = every endpoint.
    ///
    /// - default: none
    /// - envoy: the endpoints of the cluster
    /// - example: `{ version: v1 }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
}

impl TrafficPolicy {
    /// The settings, which stand directly under `spec`.
    pub fn settings(&self) -> Settings {
        let Self {
            target: _,
            clients: _,
            subsets: _,
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
            tls,
            proxy_protocol,
            dns,
        } = self;
        Settings {
            load_balancer: load_balancer.clone(),
            connection_pool: connection_pool.clone(),
            outlier_detection: outlier_detection.clone(),
            health_checks: health_checks.clone(),
            retry_budget: retry_budget.clone(),
            timeout: *timeout,
            stream_idle_timeout: *stream_idle_timeout,
            max_stream_duration: *max_stream_duration,
            priority: *priority,
            retries: retries.clone(),
            hedging: hedging.clone(),
            stateful_session: stateful_session.clone(),
            tls: tls.clone(),
            proxy_protocol: proxy_protocol.clone(),
            dns: dns.clone(),
        }
    }
}

/// Clients that are none.
pub(super) fn nobody(clients: &Clients, source: &yaml::Document) -> Option<Diagnostic> {
    let path = "spec.clients.services";
    let problem = Diagnostic::error("invalid-value", source.key_place(path), path, "this is for nobody");
    clients.services.is_empty().then(|| problem.remedy("name workloads, or remove `clients`, which means all of them"))
}

/// What the types cannot see.
pub(super) fn check(policy: &TrafficPolicy, source: &yaml::Document) -> Vec<Diagnostic> {
    let mut problems = super::super::settings_check::check(&policy.settings(), "spec", source);
    problems.extend(policy.clients.as_ref().and_then(|clients| nobody(clients, source)));
    if policy.settings() == Settings::default() && policy.subsets.is_empty() {
        let message = "this policy says nothing of its target: it has no effect";
        problems.push(
            Diagnostic::warning("no-effect", source.key_place("spec"), "spec", message)
                .remedy("add a setting, for example `timeout: 2s`, or remove the document"),
        );
    }
    let balancer = policy.load_balancer.as_ref();
    let locality = balancer.and_then(|balancer| balancer.locality_lb_setting.as_ref());
    if locality.is_some() && balancer.is_some_and(|balancer| balancer.zone_aware_lb_setting.is_some()) {
        let path = "spec.loadBalancer.zoneAwareLbSetting";
        let message = "`localityLbSetting` and `zoneAwareLbSetting` exclude each other";
        problems.push(
            Diagnostic::error("invalid-value", source.key_place(path), path, message).remedy("remove one of the two"),
        );
    }
    if locality.is_some_and(|setting| setting.distribute.is_some() && setting.failover_priority.is_some()) {
        let path = "spec.loadBalancer.localityLbSetting.failoverPriority";
        let message = "`distribute` and `failoverPriority` exclude each other";
        let place = source.key_place(path);
        problems.push(Diagnostic::error("invalid-value", place, path, message).remedy("remove one"));
    }
    let Target { service, labels, .. } = &policy.target;
    if service.is_some() && labels.is_some() {
        let place = source.key_place("spec.target.labels");
        let message = "a target names services either by `service` or by `labels`";
        problems.push(Diagnostic::error("invalid-value", place, "spec.target.labels", message).remedy("remove one"));
    }
    for (index, subset) in policy.subsets.iter().enumerate() {
        let path = format!("spec.subsets[{index}].name");
        if policy.subsets[..index].iter().any(|earlier| earlier.name == subset.name) {
            let message = format!("subset `{}` is defined twice", subset.name.0);
            problems.push(
                Diagnostic::error("duplicate-subset", source.place(&path), path, message)
                    .remedy("rename one of the two"),
            );
        }
    }
    if !policy.subsets.is_empty() && !service.as_ref().is_some_and(|Pattern(pattern)| pattern.is_exact()) {
        let message = "subsets are those of one service";
        problems.push(
            Diagnostic::error("invalid-value", source.key_place("spec.subsets"), "spec.subsets", message)
                .remedy("name the service in `spec.target.service`"),
        );
    }
    problems
}
