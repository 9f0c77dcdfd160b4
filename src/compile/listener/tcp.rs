//! Filter chains of a port whose traffic is bytes: straight to its service, or by its rules.
//!
//! Envoy picks the chain whose match is the most specific, and refuses a listener with two equal matches; so of rules
//! with equal matches the first has a chain, as the first that matches counts.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{access_log, filter_chain};
use crate::{
    compile::wire::{duration_or_absent, u32_value},
    model::{
        ClusterName, MeshSettings,
        policy::{
            EffectivePolicy, HashKey,
            routing::{Subnet, TcpDestination, TcpMatch, TcpRule, TcpRules},
        },
    },
    proto::{
        self,
        envoy::{
            config::{
                core::v3::CidrRange,
                listener::v3::{FilterChain, FilterChainMatch, ListenerFilter, listener_filter},
            },
            extensions::filters::{
                listener::tls_inspector::v3::TlsInspector,
                network::tcp_proxy::v3::{
                    TcpProxy,
                    tcp_proxy::{ClusterSpecifier, WeightedCluster, weighted_cluster::ClusterWeight},
                },
            },
            r#type::v3::{HashPolicy, hash_policy},
        },
    },
};

const FILTER: &str = "envoy.filters.network.tcp_proxy";

/// One chain: straight to the service.
pub(super) fn straight(name: &ClusterName, policy: &EffectivePolicy, mesh: &MeshSettings) -> FilterChain {
    let name = name.to_string();
    let proxy = proxy(Proxied {
        stat_prefix: &name,
        to: ClusterSpecifier::Cluster(name.clone()),
        idle_timeout: policy.connection_pool.tcp_idle_timeout,
        max_connection_duration: policy.connection_pool.max_connection_duration,
        // Of the keys, only the client's address exists below HTTP.
        hash_source_ip: policy.load_balancer.hash_keys().contains(&HashKey::SourceIp),
        mesh,
    });
    filter_chain(FILTER, proto::any(&proxy))
}

/// A chain for each match of each rule.
pub(super) fn by_rules(name: &ClusterName, rules: &TcpRules, mesh: &MeshSettings) -> Vec<FilterChain> {
    let name = name.to_string();
    let mut taken = BTreeSet::new();
    let mut chains = Vec::new();
    for rule in &rules.rules {
        for matched in &rule.matches {
            let Some(matched) = left_over(matched, &mut taken) else { continue };
            let TcpRule { matches: _, destinations, documents: _, .. } = rule;
            let proxy = proxy(Proxied {
                stat_prefix: &name,
                to: cluster_specifier(destinations),
                idle_timeout: rule.idle_timeout,
                max_connection_duration: rule.max_connection_duration,
                hash_source_ip: rule.hash_source_ip,
                mesh,
            });
            let chain = filter_chain(FILTER, proto::any(&proxy));
            chains.push(FilterChain { filter_chain_match: chain_match(&matched), ..chain });
        }
    }
    chains
}

/// What reads the name in a TLS ClientHello, where a rule looks at it.
pub(super) fn listener_filters(rules: &TcpRules) -> Vec<ListenerFilter> {
    let mut matches = rules.rules.iter().flat_map(|rule| &rule.matches);
    let inspector = ListenerFilter {
        name: "envoy.filters.listener.tls_inspector".into(),
        config_type: Some(listener_filter::ConfigType::TypedConfig(proto::any(&TlsInspector::default()))),
        ..Default::default()
    };
    matches.any(|matched| !matched.server_names.is_empty()).then_some(inspector).into_iter().collect()
}

/// A match without the pairs of name and subnet that a chain before it has; `None` where nothing is left.
fn left_over(matched: &TcpMatch, taken: &mut BTreeSet<(Option<Arc<str>>, Option<Subnet>)>) -> Option<TcpMatch> {
    let TcpMatch { server_names, destination_subnets } = matched;
    let names: Vec<Option<Arc<str>>> = match server_names.as_slice() {
        [] => vec![None],
        names => names.iter().cloned().map(Some).collect(),
    };
    let subnets: Vec<Option<Subnet>> = match destination_subnets.as_slice() {
        [] => vec![None],
        subnets => subnets.iter().copied().map(Some).collect(),
    };
    let free = |name: &Option<Arc<str>>| subnets.iter().all(|subnet| !taken.contains(&(name.clone(), *subnet)));
    let names: Vec<_> = names.into_iter().filter(free).collect();
    taken.extend(names.iter().flat_map(|name| subnets.iter().map(|subnet| (name.clone(), *subnet))));
    (!names.is_empty()).then(|| TcpMatch {
        server_names: names.into_iter().flatten().collect(),
        destination_subnets: destination_subnets.clone(),
    })
}

fn chain_match(matched: &TcpMatch) -> Option<FilterChainMatch> {
    let TcpMatch { server_names, destination_subnets } = matched;
    let range = |subnet: &Subnet| CidrRange {
        address_prefix: subnet.address.to_string(),
        prefix_len: u32_value(subnet.prefix.into()),
    };
    (*matched != TcpMatch::default()).then(|| FilterChainMatch {
        server_names: server_names.iter().map(|name| name.to_string()).collect(),
        prefix_ranges: destination_subnets.iter().map(range).collect(),
        ..Default::default()
    })
}

fn cluster_specifier(destinations: &[TcpDestination]) -> ClusterSpecifier {
    match destinations {
        [only] => ClusterSpecifier::Cluster(only.target.to_string()),
        several => ClusterSpecifier::WeightedClusters(WeightedCluster {
            clusters: several
                .iter()
                .map(|TcpDestination { target, weight }| ClusterWeight {
                    name: target.to_string(),
                    weight: *weight,
                    ..Default::default()
                })
                .collect(),
        }),
    }
}

struct Proxied<'a> {
    stat_prefix: &'a str,
    to: ClusterSpecifier,
    idle_timeout: Option<Duration>,
    max_connection_duration: Option<Duration>,
    hash_source_ip: bool,
    mesh: &'a MeshSettings,
}

fn proxy(proxied: Proxied<'_>) -> TcpProxy {
    let Proxied { stat_prefix, to, idle_timeout, max_connection_duration, hash_source_ip, mesh } = proxied;
    let source_ip =
        HashPolicy { policy_specifier: Some(hash_policy::PolicySpecifier::SourceIp(hash_policy::SourceIp {})) };
    TcpProxy {
        stat_prefix: stat_prefix.into(),
        cluster_specifier: Some(to),
        idle_timeout: duration_or_absent(idle_timeout),
        max_downstream_connection_duration: duration_or_absent(max_connection_duration),
        hash_policy: hash_source_ip.then_some(source_ip).into_iter().collect(),
        access_log: access_log(mesh),
        ..Default::default()
    }
}
