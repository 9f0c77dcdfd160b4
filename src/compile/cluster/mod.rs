//! A service's port, or a subset of it, into a `Cluster`. One file for each of Envoy's blocks.
//!
//! A changed cluster costs Envoy its ejections, breaker counts and warm connections, so nothing here depends on what
//! changes all day, and nothing without meaning (names of documents) is written into it.

mod circuit_breakers;
mod connections;
mod dns;
mod health_checks;
mod load_balancer;
mod outlier_detection;
mod passthrough;
mod subset_selection;
mod transport_socket;
mod weighted_round_robin;

pub(super) use self::{
    passthrough::compile as passthrough, weighted_round_robin::endpoint_picking as weighted_round_robin_policy,
};

use super::{
    endpoints::assignment,
    unit::Arranged,
    wire::{ads, duration},
};
use crate::{
    model::{
        ClusterName, Labels, MeshSettings, Port, Service,
        policy::{EffectivePolicy, LoadBalancer},
    },
    proto::envoy::config::cluster::v3::{
        Cluster,
        cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
    },
};

/// Whether proxies know their own zone's share of their workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Awareness {
    /// They have a cluster for it.
    OfZones,
    /// They have none.
    OfNothing,
}

/// The cluster. Its endpoints come over EDS, or are in it where Envoy resolves them.
pub(super) fn compile(
    name: &ClusterName,
    service: &Service,
    port: &Port,
    policy: &EffectivePolicy,
    mesh: &MeshSettings,
    client: Awareness,
    dns: Option<(&Arranged, Option<&Labels>)>,
) -> Cluster {
    let mut cluster = Cluster {
        name: name.to_string(),
        connect_timeout: duration(policy.connection_pool.connect_timeout),
        common_lb_config: Some(load_balancer::common(policy, client)),
        circuit_breakers: Some(circuit_breakers::compile(&policy.connection_pool)),
        outlier_detection: policy.outlier_detection.as_ref().map(outlier_detection::compile),
        health_checks: policy.health_checks.iter().map(health_checks::compile).collect(),
        // Discovery owns liveness: an endpoint it removed goes at once, whatever a check last said.
        ignore_health_on_host_removal: !policy.health_checks.is_empty(),
        typed_extension_protocol_options: connections::protocol_options(port, policy),
        upstream_connection_options: connections::tcp(&policy.connection_pool),
        transport_socket: transport_socket::compile(service, port, policy, mesh),
        ..Default::default()
    };
    // Only requests have headers to pick by.
    let selection = policy.subset_selection.as_ref().filter(|_| port.protocol.is_http());
    load_balancer::apply(policy, selection, &mut cluster);
    match dns {
        _ if !has_endpoints(policy) => {
            cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::OriginalDst.into()));
        }
        None => {
            cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()));
            cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config: ads(), ..Default::default() });
        }
        Some((Arranged { endpoints, client }, subset)) => {
            let assignment = assignment(name, port, endpoints, subset, policy, client);
            dns::apply(&policy.dns, assignment, &mut cluster);
        }
    }
    cluster
}

/// Whether discovery's endpoints are of any use: not where traffic goes to wherever the client was going.
pub(super) fn has_endpoints(policy: &EffectivePolicy) -> bool {
    policy.load_balancer != LoadBalancer::Passthrough
}
