//! `Mesh`: mesh-wide settings that are not traffic policy, as written.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{export_to::is_dns_label, unsupported::DefaultTrafficPolicy};
use crate::{
    model::{self, ListenerPorts, MeshSettings, mesh::AddressRange},
    yaml::{invalid, scalar_schema},
};

/// `spec` of a `Mesh`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Mesh {
    /// Where sidecars listen for their application.
    outbound: Outbound,
    /// The network that services get addresses of their own from, by a hash of their names.
    ///
    /// - default: `127.64.0.0/10`
    /// - envoy: `address` of listeners
    /// - example: `127.80.0.0/12`
    addresses: Option<Addresses>,
    /// What becomes of a request to a host that no service has: `registryOnly` answers it with 404 and a sentence;
    /// `allowAny` resolves the host by DNS and passes the request on, CONNECT as a tunnel. To change it changes routes
    /// and adds or removes one cluster; no listener drains.
    ///
    /// - default: `registryOnly`
    /// - envoy: the virtual host `unknown` of the RouteConfiguration `outbound`, and the cluster `passthrough`
    /// - example: `allowAny`
    outbound_traffic: Option<OutboundTraffic>,
    /// A file on the proxy's machine that TLS to a service is verified with, unless a policy says otherwise.
    ///
    /// - default: `/etc/ssl/certs/ca-certificates.crt`
    /// - envoy: `common_tls_context.validation_context.trusted_ca.filename`
    /// - example: `/etc/certs/mesh-ca.pem`
    ca_certificates: Option<String>,
    /// Whether every document must have an annotation `owner`; without one it is a warning.
    ///
    /// - default: `false`
    /// - envoy: none, it is a lint
    /// - example: `true`
    require_owner: Option<bool>,
    /// Where sidecars write what they proxied.
    ///
    /// - default: none
    /// - envoy: `access_log`
    /// - example: `{ path: /dev/stdout }`
    access_log: Option<AccessLog>,
    /// The namespace whose DestinationRules and Sidecar are the defaults of the mesh, as in Istio.
    ///
    /// - default: `istio-system`
    /// - envoy: none, it decides whose documents count
    /// - example: `mesh-config`
    root_namespace: Option<RootNamespace>,
    /// MeshConfig's defaults for DestinationRules: refused, write a `TrafficPolicy` without a target.
    ///
    /// - default: none
    default_traffic_policy: Option<DefaultTrafficPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Outbound {
    /// The address of the listener.
    ///
    /// - default: `127.0.0.1`
    /// - envoy: `address.socket_address.address`
    /// - example: `127.0.0.1`
    address: Option<IpAddr>,
    /// The port of the listener.
    ///
    /// - default: `15001`
    /// - envoy: `address.socket_address.port_value`
    /// - example: `15001`
    port: Option<std::num::NonZeroU16>,
    /// Which ports of services get a listener of their own besides, at the service's own address.
    ///
    /// - default: `tcp`
    /// - envoy: a listener `SERVICE:PORT`
    /// - example: `all`
    listeners: Option<Listeners>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum Listeners {
    Tcp,
    All,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
enum OutboundTraffic {
    RegistryOnly,
    AllowAny,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AccessLog {
    /// A file; `/dev/stdout` is Envoy's own output.
    ///
    /// - envoy: `access_log[0].typed_config.path`
    /// - example: `/dev/stdout`
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Addresses(AddressRange);

scalar_schema!(Addresses, {
    "type": "string",
    "pattern": r"^([0-9]{1,3}\.){3}[0-9]{1,3}/([12]?[0-9]|30)$",
    "patternErrorMessage": "write an IPv4 network with a prefix of at most 30 bits, for example `127.64.0.0/10`",
});

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let remedy = "write an IPv4 network with a prefix of at most 30 bits, for example `127.64.0.0/10`";
        let network = text.split_once('/').and_then(|(first, prefix)| {
            let (first, prefix): (Ipv4Addr, u8) = (first.parse().ok()?, prefix.parse().ok()?);
            (prefix <= 30).then_some((first, prefix))
        });
        let Some((first, prefix)) = network else {
            return Err(invalid(format_args!("`{text}` is no network of addresses"), remedy));
        };
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let network = Ipv4Addr::from(u32::from(first) & mask);
        if network != first {
            let sentence = format!("`{text}` has bits set behind its prefix");
            return Err(invalid(sentence, format_args!("write `{network}/{prefix}`")));
        }
        Ok(Self(AddressRange { first, prefix }))
    }
}

/// A name of a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RootNamespace(Arc<str>);

scalar_schema!(RootNamespace, {
    "type": "string",
    "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
    "patternErrorMessage": "write a name of lower-case letters, digits and `-`, for example `istio-system`",
});

impl<'de> Deserialize<'de> for RootNamespace {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if is_dns_label(&text) {
            return Ok(Self(text.into()));
        }
        let remedy = "write a name of lower-case letters, digits and `-`, for example `istio-system`";
        Err(invalid(format_args!("`{text}` is no name of a namespace"), remedy))
    }
}

impl Mesh {
    /// Complete, with the defaults of [`MeshSettings`].
    pub fn effective(&self) -> MeshSettings {
        let Self {
            outbound: Outbound { address, port, listeners },
            addresses,
            outbound_traffic,
            ca_certificates,
            require_owner,
            access_log,
            root_namespace,
            default_traffic_policy: _,
        } = self;
        let default = MeshSettings::default();
        MeshSettings {
            outbound: SocketAddr::new(
                address.unwrap_or(default.outbound.ip()),
                port.map_or(default.outbound.port(), std::num::NonZeroU16::get),
            ),
            listeners: match listeners {
                Some(Listeners::Tcp) => ListenerPorts::Tcp,
                Some(Listeners::All) => ListenerPorts::All,
                Some(Listeners::None) => ListenerPorts::None,
                None => default.listeners,
            },
            addresses: addresses.map_or(default.addresses, |Addresses(range)| range),
            outbound_traffic: match outbound_traffic {
                Some(OutboundTraffic::RegistryOnly) => model::OutboundTraffic::RegistryOnly,
                Some(OutboundTraffic::AllowAny) => model::OutboundTraffic::AllowAny,
                None => default.outbound_traffic,
            },
            ca_certificates: ca_certificates.as_deref().map_or(default.ca_certificates, Into::into),
            access_log: access_log.as_ref().map(|log| log.path.as_str().into()),
            require_owner: require_owner.unwrap_or(default.require_owner),
            root_namespace: root_namespace.clone().map_or(default.root_namespace, |RootNamespace(name)| name),
        }
    }
}
