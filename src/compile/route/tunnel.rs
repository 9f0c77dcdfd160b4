//! CONNECT: led back through the HTTP listener for hosts of the mesh, so that what comes through the tunnel is routed
//! request by request.

use std::time::Duration;

use super::path_match;
use crate::{
    compile::wire::{address_of, duration},
    model::MeshSettings,
    proto::envoy::config::{
        cluster::v3::{
            Cluster,
            cluster::{ClusterDiscoveryType, DiscoveryType},
        },
        endpoint::v3::{ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints, lb_endpoint::HostIdentifier},
        route::v3::{
            Route, RouteAction,
            route::Action,
            route_action::{ClusterSpecifier, UpgradeConfig, upgrade_config::ConnectConfig},
            route_match::{ConnectMatcher, PathSpecifier},
        },
    },
};

/// The cluster that leads back into the HTTP listener. No service's cluster is called so: those have a colon in their
/// names.
const LOOPBACK: &str = "outbound";

/// Where CONNECT to a host of the mesh leads to: the HTTP listener itself.
pub(in crate::compile) fn loopback_cluster(mesh: &MeshSettings) -> Cluster {
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

/// The route of CONNECT in a virtual host of the mesh.
pub(super) fn back_through_listener() -> Route {
    to_cluster(LOOPBACK)
}

/// A route that takes CONNECT and makes it a tunnel to a cluster.
pub(super) fn to_cluster(cluster: &str) -> Route {
    let upgrade = UpgradeConfig {
        upgrade_type: "CONNECT".into(),
        connect_config: Some(ConnectConfig::default()),
        ..Default::default()
    };
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.into())),
        upgrade_configs: vec![upgrade],
        timeout: duration(Duration::ZERO),
        ..Default::default()
    };
    let path = PathSpecifier::ConnectMatcher(ConnectMatcher {});
    Route { r#match: Some(path_match(path)), action: Some(Action::Route(action)), ..Default::default() }
}
