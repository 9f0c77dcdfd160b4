//! A cluster, in the few fields that gRPC libraries read: where endpoints come from, load balancing (A52, A42), requests
//! in flight (A32), outlier detection (A50).

use super::load_balancer;
use crate::{
    compile::wire::{ads, duration_or_absent, socket_address, u32_or_absent, u32_value},
    model::{
        ClusterName, Endpoint, Port,
        policy::{EffectivePolicy, LoadBalancer, OutlierDetection},
    },
    proto::envoy::config::{
        cluster::v3::{
            CircuitBreakers, Cluster, OutlierDetection as ProtoOutlierDetection,
            circuit_breakers::Thresholds,
            cluster::{ClusterDiscoveryType, DiscoveryType, EdsClusterConfig},
        },
        endpoint::v3::{
            ClusterLoadAssignment, Endpoint as ProtoEndpoint, LbEndpoint, LocalityLbEndpoints,
            lb_endpoint::HostIdentifier,
        },
    },
};

/// The cluster. Its endpoints come over EDS, or are the one name that the library resolves.
pub(super) fn compile(
    name: &ClusterName,
    port: &Port,
    policy: &EffectivePolicy,
    resolved: Option<&Endpoint>,
) -> Cluster {
    let mut cluster = match resolved {
        None => eds(name.to_string()),
        Some(endpoint) => Cluster {
            name: name.to_string(),
            cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::LogicalDns.into())),
            load_assignment: Some(one_name(name, port, endpoint)),
            ..Default::default()
        },
    };
    cluster.circuit_breakers = Some(limits(policy.connection_pool.circuit_breakers.default.max_requests));
    cluster.outlier_detection = policy.outlier_detection.as_ref().and_then(outlier_detection);
    load_balancer::apply(&policy.load_balancer, &mut cluster);
    cluster
}

/// A cluster that has no endpoints, ever.
pub(super) fn without_endpoints(name: &str) -> Cluster {
    let mut cluster = eds(name.to_owned());
    load_balancer::apply(&LoadBalancer::RoundRobin { slow_start: None }, &mut cluster);
    cluster
}

fn eds(name: String) -> Cluster {
    Cluster {
        name,
        cluster_discovery_type: Some(ClusterDiscoveryType::Type(DiscoveryType::Eds.into())),
        eds_cluster_config: Some(EdsClusterConfig { eds_config: ads(), ..Default::default() }),
        ..Default::default()
    }
}

fn one_name(name: &ClusterName, port: &Port, endpoint: &Endpoint) -> ClusterLoadAssignment {
    let address = socket_address(&endpoint.address, endpoint.port_for(port).get());
    let endpoint = ProtoEndpoint { address: Some(address), ..Default::default() };
    let lb_endpoint = LbEndpoint { host_identifier: Some(HostIdentifier::Endpoint(endpoint)), ..Default::default() };
    ClusterLoadAssignment {
        cluster_name: name.to_string(),
        endpoints: vec![LocalityLbEndpoints { lb_endpoints: vec![lb_endpoint], ..Default::default() }],
        ..Default::default()
    }
}

/// Always written: where nothing is, gRPC lets 1024 through.
fn limits(max_requests: u32) -> CircuitBreakers {
    let thresholds = Thresholds { max_requests: u32_value(max_requests), ..Default::default() };
    CircuitBreakers { thresholds: vec![thresholds], ..Default::default() }
}

/// Absent where neither of gRPC's two detectors ejects. Both enforcements are written out, since libraries differ in what
/// they do without.
fn outlier_detection(outlier: &OutlierDetection) -> Option<ProtoOutlierDetection> {
    const ENVOYS_SUCCESS_RATE: u32 = 100;
    let o = outlier;
    let success_rate = o.enforcing_success_rate.unwrap_or(ENVOYS_SUCCESS_RATE);
    let failure_percentage = o.enforcing_failure_percentage.unwrap_or(0);
    (success_rate > 0 || failure_percentage > 0).then(|| ProtoOutlierDetection {
        interval: duration_or_absent(o.interval),
        base_ejection_time: duration_or_absent(o.base_ejection_time),
        max_ejection_time: duration_or_absent(o.max_ejection_time),
        max_ejection_percent: u32_or_absent(o.max_ejection_percent),
        enforcing_success_rate: u32_value(success_rate),
        success_rate_minimum_hosts: u32_or_absent(o.success_rate_minimum_hosts),
        success_rate_request_volume: u32_or_absent(o.success_rate_request_volume),
        success_rate_stdev_factor: u32_or_absent(o.success_rate_stdev_factor),
        enforcing_failure_percentage: u32_value(failure_percentage),
        failure_percentage_threshold: u32_or_absent(o.failure_percentage_threshold),
        failure_percentage_minimum_hosts: u32_or_absent(o.failure_percentage_minimum_hosts),
        failure_percentage_request_volume: u32_or_absent(o.failure_percentage_request_volume),
        ..Default::default()
    })
}
