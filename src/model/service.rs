//! What a service is, apart from its endpoints: names, labels, ports.
//!
//! Definition and endpoints are separate values on purpose: endpoints change all day, and must not make anything
//! that depends on the definition alone (clusters, routes, listeners) look changed.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU16, sync::Arc};

use super::{
    name::{HostName, PortName, ServiceName},
    namespace::{DEFAULT_NAMESPACE, Visibility, namespace_of_host},
};

/// Labels of a service or an endpoint, by key.
pub type Labels = BTreeMap<Arc<str>, Arc<str>>;

/// A service as clients know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Service {
    /// Unique in a catalog; clients may dial it.
    pub name: ServiceName,
    /// Further names clients may dial, sorted; no two services claim one, case ignored.
    pub hosts: Vec<HostName>,
    /// For policies that select services by label.
    pub labels: Labels,
    /// Sorted by number; names and numbers are unique within the service.
    pub ports: Vec<Port>,
    /// Where a document says it; absent = read off its names ([`Service::namespace`]).
    pub said_namespace: Option<Arc<str>>,
    /// Whose clients may know of it.
    pub visibility: Visibility,
}

impl Service {
    /// A service of which nothing but the name is known.
    pub fn named(name: ServiceName) -> Self {
        Self {
            name,
            hosts: Vec::new(),
            labels: Labels::new(),
            ports: Vec::new(),
            said_namespace: None,
            visibility: Visibility::Everyone,
        }
    }

    /// Where it is: what a document says, else what its `NAME.NAMESPACE.svc.cluster.local` host says, else `default`.
    pub fn namespace(&self) -> &str {
        self.known_namespace().unwrap_or(DEFAULT_NAMESPACE)
    }

    /// Where it is, if anything says so.
    pub fn known_namespace(&self) -> Option<&str> {
        self.said_namespace.as_deref().or_else(|| self.names().find_map(namespace_of_host))
    }

    /// Every name clients may dial.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.hosts.iter().map(|host| host.as_str()))
    }

    /// The port that an authority without a port means: 80, or where there is none the first HTTP port.
    pub fn default_http_port(&self) -> Option<&Port> {
        let mut http = self.ports.iter().filter(|port| port.protocol.is_http());
        http.clone().find(|port| port.number.get() == 80).or_else(|| http.next())
    }
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// What clients dial.
    pub number: NonZeroU16,
    /// What endpoints and rules call it.
    pub name: PortName,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Where sidecars take it besides the ordinary ways in.
    pub listen: Option<SocketAddr>,
}

/// What is spoken on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS.
    Http2,
    /// gRPC, which is HTTP/2.
    Grpc,
    /// Bytes.
    Tcp,
    /// TLS that the sidecar does not look into.
    Tls,
}

impl Protocol {
    /// Whether requests can be told apart, and so routed, retried and balanced one by one.
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Http2 | Self::Grpc => true,
            Self::Tcp | Self::Tls => false,
        }
    }

    /// Whether endpoints take HTTP/2 with prior knowledge.
    pub fn is_http2(self) -> bool {
        match self {
            Self::Http2 | Self::Grpc => true,
            Self::Http | Self::Tcp | Self::Tls => false,
        }
    }

    /// As written in YAML.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
        }
    }
}
