//! Listeners: the HTTP proxy that routes by authority, and those of single ports.
//!
//! A changed listener drains its connections, so what changes often (routes) is asked for over RDS and never inline.

use std::{net::SocketAddr, time::Duration};

use super::{
    route::ON,
    wire::{address_of, ads, duration, duration_or_absent},
};
use crate::{
    model::{
        ClusterName, MeshSettings, Port,
        policy::{ConsistentHash, EffectivePolicy, HashKey, LoadBalancer},
    },
    proto::{
        self, Any,
        envoy::{
            config::{
                accesslog::v3::{AccessLog, access_log},
                core::v3::{HttpProtocolOptions, TrafficDirection},
                listener::v3::{Filter, FilterChain, Listener, filter},
            },
            extensions::{
                access_loggers::file::v3::FileAccessLog,
                filters::{
                    http::router::v3::Router,
                    network::{
                        http_connection_manager::v3::{
                            HttpConnectionManager, HttpFilter, Rds,
                            http_connection_manager::{RouteSpecifier, UpgradeConfig},
                            http_filter,
                        },
                        tcp_proxy::v3::{TcpProxy, tcp_proxy},
                    },
                },
            },
            r#type::v3::{HashPolicy, hash_policy},
        },
    },
};

/// The name of the HTTP listener and of its RouteConfiguration.
pub(super) const OUTBOUND: &str = "outbound";

/// The HTTP proxy on the loopback interface.
pub(super) fn outbound(mesh: &MeshSettings) -> Listener {
    let mut manager = http_connection_manager(OUTBOUND, mesh);
    // Clients of an HTTP proxy write absolute URLs, which Envoy's codec takes by default, or CONNECT, which it does not.
    manager.upgrade_configs.push(upgrade("CONNECT"));
    manager.http2_protocol_options =
        Some(proto::envoy::config::core::v3::Http2ProtocolOptions { allow_connect: true, ..Default::default() });
    listener(OUTBOUND, mesh.outbound, "envoy.filters.network.http_connection_manager", proto::any(&manager))
}

/// A port's listener of its own.
pub(super) fn own(
    name: &ClusterName,
    port: &Port,
    address: SocketAddr,
    policy: &EffectivePolicy,
    mesh: &MeshSettings,
) -> Listener {
    let name = name.to_string();
    if port.protocol.is_http() {
        let manager = http_connection_manager(&name, mesh);
        listener(&name, address, "envoy.filters.network.http_connection_manager", proto::any(&manager))
    } else {
        listener(&name, address, "envoy.filters.network.tcp_proxy", proto::any(&tcp_proxy(&name, policy, mesh)))
    }
}

fn listener(name: &str, address: SocketAddr, filter_name: &str, config: Any) -> Listener {
    let filter = Filter { name: filter_name.into(), config_type: Some(filter::ConfigType::TypedConfig(config)) };
    Listener {
        name: name.into(),
        address: Some(address_of(address)),
        filter_chains: vec![FilterChain { filters: vec![filter], ..Default::default() }],
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

fn http_connection_manager(routes: &str, mesh: &MeshSettings) -> HttpConnectionManager {
    HttpConnectionManager {
        stat_prefix: routes.into(),
        route_specifier: Some(RouteSpecifier::Rds(Rds { config_source: ads(), route_config_name: routes.into() })),
        http_filters: vec![HttpFilter {
            name: "envoy.filters.http.router".into(),
            config_type: Some(http_filter::ConfigType::TypedConfig(proto::any(&Router::default()))),
            ..Default::default()
        }],
        upgrade_configs: vec![upgrade("websocket")],
        // Long polls and streams are the application's business.
        stream_idle_timeout: duration(Duration::ZERO),
        common_http_protocol_options: Some(HttpProtocolOptions::default()),
        // The client is the application beside the sidecar: its address is real, and its headers are its own.
        use_remote_address: proto::google::protobuf::BoolValue { value: false }.into(),
        access_log: access_log(mesh),
        ..Default::default()
    }
}

fn upgrade(kind: &str) -> UpgradeConfig {
    UpgradeConfig { upgrade_type: kind.into(), enabled: ON, ..Default::default() }
}

fn tcp_proxy(name: &str, policy: &EffectivePolicy, mesh: &MeshSettings) -> TcpProxy {
    TcpProxy {
        stat_prefix: name.into(),
        cluster_specifier: Some(tcp_proxy::ClusterSpecifier::Cluster(name.into())),
        idle_timeout: duration_or_absent(policy.connection_pool.tcp_idle_timeout),
        max_downstream_connection_duration: duration_or_absent(policy.connection_pool.max_connection_duration),
        hash_policy: tcp_hash_policy(&policy.load_balancer),
        access_log: access_log(mesh),
        ..Default::default()
    }
}

/// Of the keys, only the client's address exists below HTTP.
fn tcp_hash_policy(load_balancer: &LoadBalancer) -> Vec<HashPolicy> {
    let LoadBalancer::ConsistentHash(ConsistentHash { keys, table: _ }) = load_balancer else { return Vec::new() };
    let source_ip =
        || HashPolicy { policy_specifier: Some(hash_policy::PolicySpecifier::SourceIp(hash_policy::SourceIp {})) };
    keys.contains(&HashKey::SourceIp).then(source_ip).into_iter().collect()
}

fn access_log(mesh: &MeshSettings) -> Vec<AccessLog> {
    let log = mesh.access_log.as_deref().map(|path| AccessLog {
        name: "envoy.access_loggers.file".into(),
        config_type: Some(access_log::ConfigType::TypedConfig(proto::any(&FileAccessLog {
            path: path.into(),
            ..Default::default()
        }))),
        ..Default::default()
    });
    log.into_iter().collect()
}
