//! A service's port, or a subset of it, into a `Cluster`. One file for each of Envoy's blocks.
//!
//! A changed cluster costs Envoy its ejections, breaker counts and warm connections, so nothing here depends on what
//! changes all day, and nothing without meaning (names of documents) is written into it.

mod circuit_breakers;
mod connections;
mod health_checks;
mod load_balancer;
mod outlier_detection;

use super::{
    endpoints::localities,
    wire::{ads, duration},
};
use crate::{
    model::{ClusterName, EndpointSet, Labels, Port, policy::EffectivePolicy},
    proto::envoy::config::{
        cluster::v3::{
            Cluster,
            cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
        },
        endpoint::v3::ClusterLoadAssignment,
    },
};

/// The cluster. Its endpoints come over EDS, or are in it where Envoy resolves them.
#[expect(deprecated, reason = "Envoy's plain DNS fields are read by every version; their successor is an extension")]
pub(super) fn compile(
    name: &ClusterName,
    port: &Port,
    policy: &EffectivePolicy,
    dns: Option<(&EndpointSet, Option<&Labels>)>,
) -> Cluster {
    let mut cluster = Cluster {
        name: name.to_string(),
        connect_timeout: duration(policy.connection_pool.connect_timeout),
        common_lb_config: Some(load_balancer::common(policy)),
        circuit_breakers: Some(circuit_breakers::compile(&policy.connection_pool)),
        outlier_detection: policy.outlier_detection.as_ref().map(outlier_detection::compile),
        health_checks: policy.health_checks.iter().map(health_checks::compile).collect(),
        // Discovery owns liveness: an endpoint it removed goes at once, whatever a check last said.
        ignore_health_on_host_removal: !policy.health_checks.is_empty(),
        typed_extension_protocol_options: connections::protocol_options(port, policy),
        upstream_connection_options: connections::tcp(&policy.connection_pool),
        ..Default::default()
    };
    load_balancer::apply(&policy.load_balancer, &mut cluster);
    match dns {
        None => {
            cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into()));
            cluster.eds_cluster_config = Some(EdsClusterConfig { eds_config: ads(), ..Default::default() });
        }
        Some((endpoints, subset)) => {
            cluster.cluster_discovery_type = Some(ClusterDiscoveryType::Type(DiscoveryType::StrictDns.into()));
            cluster.dns_refresh_rate = duration(std::time::Duration::from_secs(60));
            cluster.respect_dns_ttl = true;
            cluster.load_assignment = Some(ClusterLoadAssignment {
                cluster_name: cluster.name.clone(),
                endpoints: localities(endpoints, port, subset, policy, None),
                ..Default::default()
            });
        }
    }
    cluster
}
