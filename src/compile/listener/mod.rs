//! Listeners: the HTTP proxy that routes by authority, and those of single ports.
//!
//! A changed listener drains its connections, so what changes often (routes) is asked for over RDS and never inline.

mod tcp;

use std::{net::SocketAddr, time::Duration};

use super::{
    Input,
    patch::{Patches, Tried},
    route::ON,
    wire::{address_of, ads, duration},
};
use crate::{
    model::{
        ClusterName, MeshSettings, Port,
        policy::{EffectivePolicy, PatchedResource, Routing},
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
                    http::{
                        cors::v3::Cors, fault::v3::HttpFault, header_to_metadata::v3::Config as HeaderToMetadata,
                        router::v3::Router, stateful_session::v3::StatefulSession,
                    },
                    network::http_connection_manager::v3::{
                        HttpConnectionManager, HttpFilter, Rds,
                        http_connection_manager::{RouteSpecifier, UpgradeConfig},
                        http_filter,
                    },
                },
            },
        },
    },
};

/// The name of the HTTP listener and of its RouteConfiguration.
pub(super) const OUTBOUND: &str = "outbound";

const HTTP: &str = "envoy.filters.network.http_connection_manager";
/// The filters that routes speak to.
pub(super) const CORS: &str = "envoy.filters.http.cors";
pub(super) const FAULT: &str = "envoy.filters.http.fault";
pub(super) const STATEFUL_SESSION: &str = "envoy.filters.http.stateful_session";
pub(super) const HEADER_TO_METADATA: &str = "envoy.filters.http.header_to_metadata";

/// The HTTP proxy on the loopback interface.
fn outbound(mesh: &MeshSettings) -> Listener {
    let mut manager = http_connection_manager(OUTBOUND, mesh);
    // Clients of an HTTP proxy write absolute URLs, which Envoy's codec takes by default, or CONNECT, which it does not.
    manager.upgrade_configs.push(upgrade("CONNECT"));
    manager.http2_protocol_options =
        Some(proto::envoy::config::core::v3::Http2ProtocolOptions { allow_connect: true, ..Default::default() });
    listener(OUTBOUND, mesh.outbound, vec![filter_chain(HTTP, proto::any(&manager))])
}

/// The HTTP proxy with the changes that patches make to it, and what became of them.
pub(super) fn patched_outbound(input: &Input) -> (Listener, Vec<Tried>) {
    let mut patches = Patches::new(Some(&input.outbound_patches), OUTBOUND.into());
    let listener = patches.apply(PatchedResource::OutboundListener, outbound(&input.mesh));
    (listener, patches.tried)
}

/// A port's listener of its own.
pub(super) fn own(
    name: &ClusterName,
    port: &Port,
    address: SocketAddr,
    policy: &EffectivePolicy,
    routing: Option<&Routing>,
    mesh: &MeshSettings,
) -> Listener {
    if port.protocol.is_http() {
        let manager = http_connection_manager(&name.to_string(), mesh);
        return listener(&name.to_string(), address, vec![filter_chain(HTTP, proto::any(&manager))]);
    }
    match routing {
        Some(Routing::Tcp(rules)) => Listener {
            listener_filters: tcp::listener_filters(rules),
            ..listener(&name.to_string(), address, tcp::by_rules(name, rules, mesh))
        },
        Some(Routing::Http(_)) | None => listener(&name.to_string(), address, vec![tcp::straight(name, policy, mesh)]),
    }
}

fn listener(name: &str, address: SocketAddr, filter_chains: Vec<FilterChain>) -> Listener {
    Listener {
        name: name.into(),
        address: Some(address_of(address)),
        filter_chains,
        traffic_direction: TrafficDirection::Outbound.into(),
        ..Default::default()
    }
}

fn filter_chain(filter_name: &str, config: Any) -> FilterChain {
    let filter = Filter { name: filter_name.into(), config_type: Some(filter::ConfigType::TypedConfig(config)) };
    FilterChain { filters: vec![filter], ..Default::default() }
}

fn http_connection_manager(routes: &str, mesh: &MeshSettings) -> HttpConnectionManager {
    HttpConnectionManager {
        stat_prefix: routes.into(),
        route_specifier: Some(RouteSpecifier::Rds(Rds { config_source: ads(), route_config_name: routes.into() })),
        http_filters: vec![
            http_filter(CORS, proto::any(&Cors {})),
            http_filter(FAULT, proto::any(&HttpFault::default())),
            http_filter(STATEFUL_SESSION, proto::any(&StatefulSession::default())),
            http_filter(HEADER_TO_METADATA, proto::any(&HeaderToMetadata::default())),
            http_filter("envoy.filters.http.router", proto::any(&Router::default())),
        ],
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

/// The filters that a route may speak to are always there, and do nothing of their own accord: so a change of policy is
/// a change of routes, and drains no listener.
fn http_filter(name: &str, config: Any) -> HttpFilter {
    HttpFilter {
        name: name.into(),
        config_type: Some(http_filter::ConfigType::TypedConfig(config)),
        ..Default::default()
    }
}

fn upgrade(kind: &str) -> UpgradeConfig {
    UpgradeConfig { upgrade_type: kind.into(), enabled: ON, ..Default::default() }
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
