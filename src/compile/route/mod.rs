//! Virtual hosts and routes: which names lead to a service, and what applies to a request on the way.

mod cors;
pub(super) mod fault;
mod hash;
mod headers;
mod matching;
mod methods;
mod outside;
mod retry;
mod rules;
mod session;
mod subset_headers;
mod tunnel;

pub(super) use self::{
    hash::compile as hash_policy,
    matching::regex,
    outside::{PASSTHROUGH, virtual_host as unknown_host},
    tunnel::loopback_cluster,
};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::wire::u32_value;
use crate::{
    model::{
        ClusterName, Port, Service,
        policy::{
            EffectivePolicy, LoadBalancer, Routing, Shaped,
            routing::{HttpMatch, MAX_DIRECT_RESPONSE_BODY},
        },
    },
    proto::{
        envoy::config::{
            core::v3::Metadata,
            route::v3::{
                Route, RouteAction, RouteConfiguration, RouteMatch, VirtualHost, route::Action,
                route_action::ClusterSpecifier, route_match::PathSpecifier,
            },
        },
        google::protobuf::{BoolValue, ListValue, Struct, Value, value::Kind},
    },
};

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
        routes: std::iter::once(tunnel::back_through_listener())
            .chain(routes(cluster, policy, shaped, routing))
            .collect(),
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

fn path_match(path: PathSpecifier) -> RouteMatch {
    RouteMatch { path_specifier: Some(path), ..Default::default() }
}

/// The route that leads straight to a service, or the two by the method.
fn service_routes(cluster: &ClusterName, policy: &EffectivePolicy, shaped: &Shaped) -> Vec<Route> {
    // A hash leads to one endpoint; picking again would pick it again.
    let hashes = matches!(policy.load_balancer, LoadBalancer::ConsistentHash(_));
    let everything = HttpMatch::default();
    methods::apart(&policy.route, &everything, |policy_of_method| {
        let action = RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_string())),
            hash_policy: policy.load_balancer.hash_keys().iter().map(hash::compile).collect(),
            ..rules::action(policy_of_method, hashes)
        };
        Route {
            r#match: Some(path_match(PathSpecifier::Prefix("/".into()))),
            action: Some(Action::Route(action)),
            metadata: provenance(&shaped.route),
            typed_per_filter_config: rules::per_filter_config(
                None,
                None,
                policy.route.session.as_ref().map(|session| session::compile(session, &everything)),
                policy.subset_headers(),
            ),
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
pub(super) fn provenance(documents: &[Arc<str>]) -> Option<Metadata> {
    let text = |text: &Arc<str>| Value { kind: Some(Kind::StringValue(text.to_string())) };
    let list = Value { kind: Some(Kind::ListValue(ListValue { values: documents.iter().map(text).collect() })) };
    let filter_metadata =
        BTreeMap::from([("chancery".to_owned(), Struct { fields: BTreeMap::from([("documents".to_owned(), list)]) })]);
    (!documents.is_empty()).then(|| Metadata { filter_metadata, ..Default::default() })
}

/// Adds documents' names to those that are there.
pub(super) fn add_provenance(metadata: &mut Option<Metadata>, documents: &[Arc<str>]) {
    let present = metadata.as_ref().and_then(|metadata| metadata.filter_metadata.get("chancery"));
    let present = present.and_then(|chancery| chancery.fields.get("documents"));
    let mut named: BTreeSet<Arc<str>> = documents.iter().cloned().collect();
    if let Some(Value { kind: Some(Kind::ListValue(list)) }) = present {
        named.extend(list.values.iter().filter_map(|value| match &value.kind {
            Some(Kind::StringValue(text)) => Some(text.as_str().into()),
            _ => None,
        }));
    }
    let named: Vec<Arc<str>> = named.into_iter().collect();
    if let Some(Metadata { filter_metadata, .. }) = provenance(&named) {
        metadata.get_or_insert_default().filter_metadata.extend(filter_metadata);
    }
}

/// Whether a route is the way of CONNECT.
pub(super) fn is_tunnel(route: &Route) -> bool {
    let path = route.r#match.as_ref().and_then(|matched| matched.path_specifier.as_ref());
    matches!(path, Some(PathSpecifier::ConnectMatcher(_)))
}

/// Something is on, where Envoy wants a wrapped boolean.
pub(super) const ON: Option<BoolValue> = Some(BoolValue { value: true });
