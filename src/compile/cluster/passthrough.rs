//! Hosts outside the mesh, where it lets them be reached: resolved by DNS for each request, by its authority.

use std::collections::BTreeMap;

use super::{circuit_breakers, connections::HTTP_PROTOCOL_OPTIONS};
use crate::{
    compile::{route::PASSTHROUGH, wire::duration},
    model::policy::{ConnectionPool, DEFAULT_CONNECT_TIMEOUT},
    proto::{
        self,
        envoy::{
            config::{
                cluster::v3::{
                    Cluster,
                    cluster::{ClusterDiscoveryType, CustomClusterType, DnsLookupFamily, LbPolicy},
                },
                core::v3::{Http1ProtocolOptions, Http2ProtocolOptions, UpstreamHttpProtocolOptions},
            },
            extensions::{
                clusters::dynamic_forward_proxy::v3::{ClusterConfig, cluster_config::ClusterImplementationSpecifier},
                common::dynamic_forward_proxy::v3::DnsCacheConfig,
                upstreams::http::v3::{
                    HttpProtocolOptions,
                    http_protocol_options::{UpstreamProtocolOptions, UseDownstreamHttpConfig},
                },
            },
        },
    },
};

/// The cluster. It resolves names itself, so no filter has to stand in the listener for it; it speaks the HTTP that the
/// application speaks, and like a cluster of a service limits nothing.
pub(in crate::compile) fn compile() -> Cluster {
    let cache = DnsCacheConfig {
        name: PASSTHROUGH.into(),
        // Both families, the one that answers first: a host may have an IPv6 address that this network does not reach.
        dns_lookup_family: DnsLookupFamily::All.into(),
        ..Default::default()
    };
    let config = ClusterConfig {
        cluster_implementation_specifier: Some(ClusterImplementationSpecifier::DnsCacheConfig(cache)),
        ..Default::default()
    };
    let as_asked = UseDownstreamHttpConfig {
        http_protocol_options: Some(Http1ProtocolOptions::default()),
        http2_protocol_options: Some(Http2ProtocolOptions::default()),
        ..Default::default()
    };
    let options = HttpProtocolOptions {
        upstream_protocol_options: Some(UpstreamProtocolOptions::UseDownstreamProtocolConfig(as_asked)),
        // Envoy asks for these of such a cluster, should it ever speak TLS.
        upstream_http_protocol_options: Some(UpstreamHttpProtocolOptions {
            auto_sni: true,
            auto_san_validation: true,
            ..Default::default()
        }),
        ..Default::default()
    };
    Cluster {
        name: PASSTHROUGH.into(),
        cluster_discovery_type: Some(ClusterDiscoveryType::ClusterType(CustomClusterType {
            name: "envoy.clusters.dynamic_forward_proxy".into(),
            typed_config: Some(proto::any(&config)),
        })),
        lb_policy: LbPolicy::ClusterProvided.into(),
        connect_timeout: duration(DEFAULT_CONNECT_TIMEOUT),
        circuit_breakers: Some(circuit_breakers::compile(&ConnectionPool::default())),
        typed_extension_protocol_options: BTreeMap::from([(HTTP_PROTOCOL_OPTIONS.to_owned(), proto::any(&options))]),
        ..Default::default()
    }
}
