//! The service snapshot as written.

use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::UniqueMap;

/// A snapshot: who runs where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotFile {
    /// The services; `[]` if there really are none.
    ///
    /// - envoy: as its fields say
    /// - example: `[ { name: orders, ports: [ { name: http, port: 80, protocol: http } ] } ]`
    pub services: Vec<WrittenService>,
}

/// A service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenService {
    /// What policies call it, and one of its hosts.
    ///
    /// - envoy: `Cluster.name`, and one of `VirtualHost.domains`
    /// - example: `orders`
    pub name: String,
    /// Further hosts by which clients dial it.
    ///
    /// - default: `[]`
    /// - envoy: `VirtualHost.domains`
    /// - example: `[ orders.default.svc.cluster.local ]`
    #[serde(default)]
    pub hosts: Vec<String>,
    /// For policies that choose services by label.
    ///
    /// - default: `{}`
    /// - envoy: none, policies choose by them
    /// - example: `{ team: shop }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    /// Its ports, one cluster for each.
    ///
    /// - envoy: `Cluster`
    /// - example: `[ { name: http, port: 80, protocol: http } ]`
    pub ports: Vec<WrittenPort>,
    /// Its instances. A service without any is answered with 503.
    ///
    /// - default: `[]`
    /// - envoy: `ClusterLoadAssignment.endpoints`
    /// - example: `[ { address: 10.0.0.1 } ]`
    #[serde(default)]
    pub endpoints: Vec<WrittenEndpoint>,
}

/// A port of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPort {
    /// What endpoints call it where they have it at another number.
    ///
    /// - envoy: none, endpoints refer to it
    /// - example: `http`
    pub name: String,
    /// The number that clients dial.
    ///
    /// - envoy: `Cluster.name` (`orders:80`)
    /// - example: `80`
    pub port: NonZeroU16,
    /// What is spoken there.
    ///
    /// - envoy: the listener's filter, and the cluster's `HttpProtocolOptions`
    /// - example: `http`
    pub protocol: WrittenProtocol,
    /// An address of the sidecar's machine, with a port, on which this port gets a listener of its own.
    ///
    /// - default: none
    /// - envoy: `Listener.address`
    /// - example: `127.0.0.1:9000`
    #[serde(default)]
    pub listen: Option<String>,
}

/// What is spoken at a port.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenProtocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// gRPC without TLS.
    Grpc,
    /// Bytes.
    Tcp,
    /// TLS that the client began; the name in its ClientHello is read.
    Tls,
}

/// An instance of a service.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEndpoint {
    /// An IP address, or a host name that Envoy resolves.
    ///
    /// - envoy: `lb_endpoints[].endpoint.address.socket_address.address`
    /// - example: `10.0.0.1`
    pub address: String,
    /// Where it has ports at other numbers than the service: by the port's name.
    ///
    /// - default: the service's numbers
    /// - envoy: `lb_endpoints[].endpoint.address.socket_address.port_value`
    /// - example: `{ http: 8080 }`
    #[serde(default)]
    pub ports: UniqueMap<String, NonZeroU16>,
    /// Where it runs.
    ///
    /// - default: `{}`
    /// - envoy: `ClusterLoadAssignment.endpoints[].locality`
    /// - example: `{ region: eu, zone: eu-1 }`
    #[serde(default)]
    pub locality: WrittenLocality,
    /// Its share of requests, relative to the others'.
    ///
    /// - default: 1
    /// - envoy: `lb_endpoints[].load_balancing_weight`
    /// - example: `3`
    #[serde(default)]
    pub weight: Option<NonZeroU32>,
    /// What discovery knows of it.
    ///
    /// - default: `healthy`
    /// - envoy: `lb_endpoints[].health_status`
    /// - example: `draining`
    #[serde(default)]
    pub health: WrittenHealth,
    /// For subsets.
    ///
    /// - default: `{}`
    /// - envoy: none, subsets choose by them
    /// - example: `{ version: v1 }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
}

/// Where an endpoint runs.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLocality {
    /// For example a cloud's region.
    ///
    /// - default: none
    /// - envoy: `locality.region`
    /// - example: `eu`
    pub region: String,
    /// A place in it that fails by itself.
    ///
    /// - default: none
    /// - envoy: `locality.zone`
    /// - example: `eu-1`
    pub zone: String,
    /// A place in that, for example a rack.
    ///
    /// - default: none
    /// - envoy: `locality.sub_zone`
    /// - example: `rack-7`
    pub subzone: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenHealth {
    /// It takes requests.
    #[default]
    Healthy,
    /// It takes none, unless too many are unhealthy.
    Unhealthy,
    /// It takes no new ones; those it has are finished.
    Draining,
}
