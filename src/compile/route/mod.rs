//! Virtual hosts and routes: which names lead to a service, and what applies to a request on the way.

mod cors;
mod fault;
mod hash;
mod headers;
mod matching;
mod methods;
mod retry;
mod rules;
mod session;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::wire::{address_of, duration, u32_value};
use crate::{
    model::{
        ClusterName, MeshSettings, Port, Service,
        policy::{
            EffectivePolicy, LoadBalancer, Routing, Shaped,
            routing::{HttpMatch, MAX_DIRECT_RESPONSE_BODY},
        },
    },
    proto::{
        envoy::config::{
            cluster::v3::{
                Cluster,
                cluster::{ClusterDiscoveryType, DiscoveryType},
            },
            core::v3::{DataSource, Metadata, data_source},
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier,
            },
            route::v3::{
                DirectResponseAction, Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost,
                route::Action,
                route_action::{ClusterSpecifier, UpgradeConfig, upgrade_config::ConnectConfig},
                route_match::{ConnectMatcher, PathSpecifier},
            },
        },
        google::protobuf::{BoolValue, ListValue, Struct, Value, value::Kind},
    },
};

/// The cluster that leads back into the HTTP listener, so that what comes through a CONNECT tunnel is routed request
/// by request. No service's cluster is called so: those have a colon in their names.
const LOOPBACK: &str = "outbound";

/// A port's virtual host in the HTTP listener: the service's names with the port, and without where it is the port
/// they mean. The documents that shaped it, and its route, are named in their metadata, so that `/config_dump` leads
/// to them.
pub(super) fn virtual_host(
    service: &Service,
    port: &Port,
    cluster: &ClusterName,
    policy: &EffectivePolicy,
    shaped: &Shaped,
    routing: Option<&Routing>,
) -> VirtualHost {
    let is_default = service.default_http_port().is_some_and(|default| default.number == port.number);
    let names = || std::iter::once(service.name.as_str()).chain(service.hosts.iter().map(|host| host.as_str()));
    let mut domains: Vec<String> = names().map(|name| format!("{name}:{}", port.number)).collect();
    if is_default {
        domains.extend(names().map(ToOwned::to_owned));
    }
    let mut seen = std::collections::HashSet::new();
    domains.retain(|domain| seen.insert(domain.to_ascii_lowercase()));
    domains.sort_unstable();
    VirtualHost {
        name: cluster.to_string(),
        domains,
        routes: std::iter::once(connect_route()).chain(routes(cluster, policy, shaped, routing)).collect(),
        metadata: provenance(&shaped.host),
        ..Default::default()
    }
}

/// The routes of a port's own listener: whatever the authority.
pub(super) fn for_every_authority(
    cluster: &ClusterName,
    policy: &EffectivePolicy,
    shaped: &Shaped,
    routing: Option<&Routing>,
) -> RouteConfiguration {
    let host = VirtualHost {
        name: cluster.to_string(),
        domains: vec!["*".into()],
        routes: routes(cluster, policy, shaped, routing),
        metadata: provenance(&shaped.host),
        ..Default::default()
    };
    RouteConfiguration { virtual_hosts: vec![host], ..empty_configuration(&cluster.to_string()) }
}

/// A RouteConfiguration without virtual hosts. Envoy takes 4 KiB of a direct response's body unless told otherwise, and
/// refuses the whole for a longer one.
pub(super) fn empty_configuration(name: &str) -> RouteConfiguration {
    RouteConfiguration {
        name: name.to_owned(),
        max_direct_response_body_size_bytes: u32_value(MAX_DIRECT_RESPONSE_BODY),
        ..Default::default()
    }
}

/// What an authority gets that no service has.
pub(super) fn unknown_host() -> VirtualHost {
    const SENTENCE: &str =
        "No service in the mesh has this host name. `chancery render --type routes` lists those there are.\n";
    let answer = DirectResponseAction {
        status: 404,
        body: Some(DataSource {
            specifier: Some(data_source::Specifier::InlineString(SENTENCE.into())),
            ..Default::default()
        }),
        ..Default::default()
    };
    // `/` does not match CONNECT.
    let routes = [PathSpecifier::ConnectMatcher(ConnectMatcher {}), PathSpecifier::Prefix("/".into())]
        .into_iter()
        .map(|path| Route {
            r#match: Some(path_match(path)),
            action: Some(Action::DirectResponse(answer.clone())),
            ..Default::default()
        })
        .collect();
    VirtualHost { name: "unknown".into(), domains: vec!["*".into()], routes, ..Default::default() }
}

/// Where CONNECT leads to: the HTTP listener itself.
pub(super) fn loopback_cluster(mesh: &MeshSettings) -> Cluster {
    let endpoint = Endpoint { address: Some(address_of(mesh.outbound)), ..Default::default() };
    let lb_endpoint = LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..Default::default() };
    Cluster {
        name: LOOPBACK.into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Static.into())),
        connect_timeout: duration(Duration::from_secs(1)),
        load_assignment: Some(ClusterLoadAssignment {
            cluster_name: LOOPBACK.into(),
            endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![lb_endpoint], ..Default::default() }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn path_match(path: PathSpecifier) -> RouteMatch {
    RouteMatch { path_specifier: Some(path), ..Default::default() }
}

fn connect_route() -> Route {
    let upgrade = UpgradeConfig {
        upgrade_type: "CONNECT".into(),
        connect_config: Some(ConnectConfig::default()),
        ..Default::default()
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(LOOPBACK.into())),
        upgrade_configs: vec![upgrade],
        timeout: duration(Duration::ZERO),
        ..Default::default()
    };
    let path = PathSpecifier::ConnectMatcher(ConnectMatcher {});
    Route { r#match: Some(path_match(path)), action: Some(Action::Route(action)), ..Default::default() }
}

/// The route that leads straight to a service, or the two by the method.
fn service_routes(cluster: &ClusterName, policy: &EffectivePolicy, shaped: &Shaped) -> Vec<Route> {
    // A hash leads to one endpoint; picking again would pick it again.
    let hashes = matches!(policy.load_balancer, LoadBalancer::ConsistentHash(_));
    methods::apart(&policy.route, &HttpMatch::default(), |policy_of_method| {
        let action = RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_string())),
            hash_policy: policy.load_balancer.hash_keys().iter().map(hash::compile).collect(),
            ..rules::action(policy_of_method, hashes)
        };
        Route {
            r#match: Some(path_match(PathSpecifier::Prefix("/".into()))),
            action: Some(Action::Route(action)),
            metadata: provenance(&shaped.route),
            typed_per_filter_config: rules::per_filter_config(None, None, policy.route.session.as_ref()),
            ..Default::default()
        }
    })
}

/// What a port's traffic meets: its rules, or where it has none the way straight to the service.
fn routes(cluster: &ClusterName, policy: &EffectivePolicy, shaped: &Shaped, routing: Option<&Routing>) -> Vec<Route> {
    match routing {
        Some(Routing::Http(rules)) => rules::routes(rules),
        Some(Routing::Tcp(_)) | None => service_routes(cluster, policy, shaped),
    }
}

/// The documents' names under `chancery`. Names alone: a line number would change bytes for nothing.
fn provenance(documents: &[Arc<str>]) -> Option<Metadata> {
    let text = |text: &Arc<str>| Value { kind: Some(Kind::StringValue(text.to_string())) };
    let list = Value { kind: Some(Kind::ListValue(ListValue { values: documents.iter().map(text).collect() })) };
    let filter_metadata =
        BTreeMap::from([("chancery".to_owned(), Struct { fields: BTreeMap::from([("documents".to_owned(), list)]) })]);
    (!documents.is_empty()).then(|| Metadata { filter_metadata, ..Default::default() })
}

/// Something is on, where Envoy wants a wrapped boolean.
pub(super) const ON: Option<BoolValue> = Some(BoolValue { value: true });
