//! Mesh-wide settings that are not traffic policy, complete: what the `Mesh` document says, or its defaults.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use super::service::{Port, Protocol};

/// The effective `Mesh`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeshSettings {
    /// Where the listener `outbound` stands. Default 127.0.0.1:15001.
    pub outbound: SocketAddr,
    /// Which ports get a listener of their own. Default: TCP ports.
    pub listeners: ListenerPorts,
    /// Where services get an address of their own from. Default 127.64.0.0/10.
    pub addresses: AddressRange,
    /// What becomes of a request to a host that no service has. Default: it is answered with 404.
    pub outbound_traffic: OutboundTraffic,
    /// The bundle that verifies TLS to a service unless a policy says otherwise.
    pub ca_certificates: Arc<str>,
    /// Where listeners write their access log; absent = no log.
    pub access_log: Option<Arc<str>>,
    /// Whether documents must say who owns them.
    pub require_owner: bool,
    /// The namespace whose documents are the defaults of the mesh. Default `istio-system`.
    pub root_namespace: Arc<str>,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            outbound: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 15001),
            listeners: ListenerPorts::Tcp,
            addresses: AddressRange { first: Ipv4Addr::new(127, 64, 0, 0), prefix: 10 },
            outbound_traffic: OutboundTraffic::RegistryOnly,
            ca_certificates: "/etc/ssl/certs/ca-certificates.crt".into(),
            access_log: None,
            require_owner: false,
            root_namespace: "istio-system".into(),
        }
    }
}

impl MeshSettings {
    /// Whether a port of a service has a listener of its own on other sidecars.
    pub fn gives_listener(&self, port: &Port) -> bool {
        port.listen.is_some()
            || match self.listeners {
                ListenerPorts::All => true,
                ListenerPorts::Tcp => matches!(port.protocol, Protocol::Tcp | Protocol::Tls),
                ListenerPorts::None => false,
            }
    }
}

/// Which ports of services get a listener of their own on every sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ListenerPorts {
    /// Those that an HTTP proxy cannot route: tcp and tls.
    #[default]
    Tcp,
    /// All of them.
    All,
    /// None, except where a port says `listen`.
    None,
}

/// What may leave the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OutboundTraffic {
    /// A host that no service has is answered with 404 and a sentence.
    #[default]
    RegistryOnly,
    /// It is resolved by DNS, and the request passed on to it.
    AllowAny,
}

/// An IPv4 network, from which services get an address each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// Its first address; the bits after the prefix are zero.
    pub first: Ipv4Addr,
    /// How many leading bits are fixed, 0 to 30.
    pub prefix: u8,
}
