//! Istio's `ServiceEntry`, read unmodified: services that no source of discovery knows. What we do not support is
//! refused by name.

mod check;

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

pub(super) use self::check::check;
pub(in crate::policy) use self::check::port_of;
use super::{
    export_to::ExportTo,
    unsupported::{EndpointNetwork, EndpointServiceAccount, ServiceWorkloads},
};
use crate::{
    model::{PortName, Protocol},
    yaml::{self, UniqueMap, did_you_mean},
};

/// `spec` of a `ServiceEntry`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceEntry {
    /// The names that clients dial: each is a service of its own, with these ports and endpoints. On HTTP ports a
    /// wildcard (`*.example.com`) stands for every name below it that no other service has.
    ///
    /// - envoy: `virtual_hosts[].domains`, and the names of clusters
    /// - example: `[api.example.com]`
    pub hosts: Vec<String>,
    /// IP addresses that mean the service, too: in the authority of a request, and where one is of 127.0.0.0/8
    /// as where sidecars listen for it. Where there are several hosts, they belong to the first.
    ///
    /// - envoy: `virtual_hosts[].domains`, and the `address` of its listeners
    /// - example: `[127.10.0.7]`
    #[serde(default)]
    pub addresses: Vec<String>,
    /// What clients dial, and what is spoken there; none = the entry has no effect.
    #[serde(default)]
    pub ports: Vec<EntryPort>,
    /// Whether it is a part of the mesh. Without effect as long as the mesh has no certificates of its own.
    ///
    /// - default: `MESH_EXTERNAL`
    /// - envoy: none, it has no effect
    /// - example: `MESH_EXTERNAL`
    #[serde(default)]
    pub location: Option<Location>,
    /// How its instances are found.
    ///
    /// - default: `NONE`
    /// - envoy: `type` of the cluster
    /// - example: `DNS`
    #[serde(default)]
    pub resolution: Resolution,
    /// Where it runs. With `DNS` and without any, the host itself is resolved.
    ///
    /// - envoy: `endpoints[].lb_endpoints`
    #[serde(default)]
    pub endpoints: Vec<EntryEndpoint>,
    /// Whose clients see it: `.` (this namespace), `*` (all, the default), names of namespaces, or `~` (nobody).
    ///
    /// - default: `["*"]`
    /// - envoy: none, it says whose resources have the services
    /// - example: `["."]`
    #[serde(default)]
    pub export_to: ExportTo,
    /// The names that endpoints' certificates may have, where TLS is spoken to them and the policy that says so names
    /// none.
    ///
    /// - default: the name that was sent as SNI
    /// - envoy: `common_tls_context.validation_context.match_typed_subject_alt_names`
    /// - example: `[api.example.com]`
    #[serde(default)]
    pub subject_alt_names: Vec<String>,
    #[serde(default)]
    workload_selector: Option<ServiceWorkloads>,
}

/// An entry of `ports`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryPort {
    /// What clients dial.
    ///
    /// - envoy: `virtual_hosts[].domains`, and the names of clusters
    /// - example: `443`
    pub number: NonZeroU16,
    /// What endpoints call it.
    ///
    /// - envoy: none, endpoints refer to it
    /// - example: `https`
    pub name: EntryPortName,
    /// What is spoken there: `HTTP`, `HTTP2`, `GRPC`, `GRPC-WEB`, `TLS`, `HTTPS`, `TCP`, `MONGO`, `MYSQL` or `REDIS`,
    /// in any case. HTTPS and TLS are passed on without a look into them; the last four are bytes.
    ///
    /// - envoy: whether the port has a virtual host, and `http2_protocol_options` of its cluster
    /// - example: `HTTP`
    #[serde(default)]
    pub protocol: Option<EntryProtocol>,
    /// The port that endpoints listen on, where they do not say one of their own.
    ///
    /// - default: `number`
    /// - envoy: `endpoint.address.socket_address.port_value`
    /// - example: `8443`
    #[serde(default)]
    pub target_port: Option<NonZeroU16>,
}

/// The name of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPortName(pub PortName);

yaml::scalar_schema!(EntryPortName, { "type": "string", "minLength": 1, "maxLength": 63 });

impl<'de> Deserialize<'de> for EntryPortName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        PortName::new(&text).map(Self).map_err(de::Error::custom)
    }
}

/// What is spoken on a port, by Istio's words for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryProtocol(pub Protocol);

/// Istio's words, and what each is here.
const PROTOCOLS: [(&str, Protocol); 11] = [
    ("HTTP", Protocol::Http),
    ("HTTP2", Protocol::Http2),
    ("GRPC", Protocol::Grpc),
    ("GRPC-WEB", Protocol::Http),
    ("HTTP_PROXY", Protocol::Http),
    ("TLS", Protocol::Tls),
    ("HTTPS", Protocol::Tls),
    ("TCP", Protocol::Tcp),
    ("MONGO", Protocol::Tcp),
    ("MYSQL", Protocol::Tcp),
    ("REDIS", Protocol::Tcp),
];

yaml::scalar_schema!(EntryProtocol, {
    "type": "string",
    "examples": ["HTTP", "HTTP2", "GRPC", "GRPC-WEB", "TLS", "HTTPS", "TCP", "MONGO", "MYSQL", "REDIS"],
});

impl<'de> Deserialize<'de> for EntryProtocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some((_, protocol)) = PROTOCOLS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text)) {
            return Ok(Self(*protocol));
        }
        if text.eq_ignore_ascii_case("UDP") {
            return Err(yaml::invalid("UDP is not supported: sidecars take TCP", "take this port out"));
        }
        let near = did_you_mean(&text.to_ascii_uppercase(), PROTOCOLS.iter().map(|(word, _)| *word));
        let words = || format!("write one of: {}", PROTOCOLS.map(|(word, _)| word).join(", "));
        Err(yaml::invalid(format_args!("`{text}` is no protocol"), near.unwrap_or_else(words)))
    }
}

/// Whether a service is a part of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// It is not.
    MeshExternal,
    /// It is.
    MeshInternal,
}

/// How a service's instances are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// They are not: a connection goes on to where the client was going. That is known only where something redirects
    /// connections to the sidecar.
    #[default]
    None,
    /// By the addresses of `endpoints`.
    Static,
    /// By DNS, every address that a name has.
    Dns,
    /// By DNS, the first address that a name has.
    DnsRoundRobin,
    /// By DNS, whatever name below a wildcard the client dials: refused.
    DynamicDns,
}

/// An entry of `endpoints`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryEndpoint {
    /// An IP address; with `DNS` also a host name, which Envoy resolves.
    ///
    /// - envoy: `endpoint.address.socket_address.address`
    /// - example: `10.0.0.5`
    #[serde(default)]
    pub address: Option<String>,
    /// The port it listens on, for each of the entry's ports (by name) where the two differ.
    ///
    /// - default: `targetPort` of the port, else its `number`
    /// - envoy: `endpoint.address.socket_address.port_value`
    /// - example: `{ https: 8443 }`
    #[serde(default)]
    pub ports: UniqueMap<String, NonZeroU16>,
    /// For subsets.
    ///
    /// - envoy: none, subsets choose by them
    /// - example: `{ version: v1 }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    /// Where it runs, as `region/zone/subzone`; later parts may be left out.
    ///
    /// - envoy: `endpoints[].locality`
    /// - example: `eu/eu-1`
    #[serde(default)]
    pub locality: Option<String>,
    /// Its share of the load, relative to the others.
    ///
    /// - default: `1`
    /// - envoy: `lb_endpoints[].load_balancing_weight`
    /// - example: `3`
    #[serde(default)]
    pub weight: Option<u32>,
    #[serde(default)]
    network: Option<EndpointNetwork>,
    #[serde(default)]
    service_account: Option<EndpointServiceAccount>,
}

impl EntryEndpoint {
    /// One of which nothing but the address is known.
    pub(in crate::policy) fn at(address: &str) -> Self {
        Self {
            address: Some(address.to_owned()),
            ports: UniqueMap::default(),
            labels: UniqueMap::default(),
            locality: None,
            weight: None,
            network: None,
            service_account: None,
        }
    }
}
