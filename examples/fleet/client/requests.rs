//! What sidecars ask, encoded: each request is a complete gRPC message.

use super::{Node, proto::put};

/// Which dialect of xDS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Dialect {
    Delta,
    Sotw,
}

impl Dialect {
    pub fn path(self) -> &'static str {
        match self {
            Self::Delta => "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
            Self::Sotw => "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
        }
    }
}

/// A type of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cluster,
    Endpoints,
    Listener,
    Route,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Route];

    pub fn url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    pub fn of_url(url: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.url().as_bytes() == url)
    }
}

/// Field numbers of the two requests.
struct Numbers {
    node: u32,
    type_url: u32,
    names: u32,
    nonce: u32,
    error: u32,
}

const DELTA: Numbers = Numbers { node: 1, type_url: 2, names: 3, nonce: 6, error: 7 };
const SOTW: Numbers = Numbers { node: 2, type_url: 4, names: 3, nonce: 5, error: 6 };
/// `DeltaDiscoveryRequest.initial_resource_versions`.
const INITIAL_VERSIONS: u32 = 5;
/// `DiscoveryRequest.version_info`.
const VERSION_INFO: u32 = 1;

/// How requests are written.
#[derive(Debug, Clone)]
pub struct Requests {
    pub dialect: Dialect,
    pub node: Node,
    /// Whether the node stands in every request: what Envoy does unless told not to.
    pub node_every_time: bool,
}

impl Requests {
    fn numbers(&self) -> Numbers {
        match self.dialect {
            Dialect::Delta => DELTA,
            Dialect::Sotw => SOTW,
        }
    }

    /// The first request of a type; `with_node` on the very first of a stream. `held` is what an earlier stream left.
    pub fn first(&self, kind: Kind, with_node: bool, names: &[String], held: &[(String, String)]) -> Vec<u8> {
        let Numbers { node, type_url, names: field, .. } = self.numbers();
        let mut message = Vec::new();
        if with_node || self.node_every_time {
            put(&mut message, node, self.node.bytes());
        }
        put(&mut message, type_url, kind.url().as_bytes());
        for name in names {
            put(&mut message, field, name.as_bytes());
        }
        for (name, version) in held.iter().filter(|_| self.dialect == Dialect::Delta) {
            let mut entry = Vec::new();
            put(&mut entry, 1, name.as_bytes());
            put(&mut entry, 2, version.as_bytes());
            put(&mut message, INITIAL_VERSIONS, &entry);
        }
        framed(&message)
    }

    /// What every acknowledgement of a type begins with.
    pub fn answer_prefix(&self, kind: Kind, names: &[String]) -> Vec<u8> {
        let Numbers { node, type_url, names: field, .. } = self.numbers();
        let mut message = Vec::new();
        if self.node_every_time {
            put(&mut message, node, self.node.bytes());
        }
        put(&mut message, type_url, kind.url().as_bytes());
        // State of the world says everything it wants each time.
        for name in names.iter().filter(|_| self.dialect == Dialect::Sotw) {
            put(&mut message, field, name.as_bytes());
        }
        message
    }

    /// An answer to a response: an acknowledgement, or with an error a rejection. `more` are names to subscribe to.
    pub fn answer(&self, out: &mut Vec<u8>, prefix: &[u8], nonce: &str, version: &str, more: &[String], error: bool) {
        let Numbers { names: field, nonce: nonce_field, error: error_field, .. } = self.numbers();
        let begin = out.len();
        out.extend_from_slice(&[0; 5]);
        out.extend_from_slice(prefix);
        put(out, nonce_field, nonce.as_bytes());
        if self.dialect == Dialect::Sotw && !error {
            put(out, VERSION_INFO, version.as_bytes());
        }
        for name in more {
            put(out, field, name.as_bytes());
        }
        if error {
            let mut status = vec![0x08, 13];
            put(&mut status, 2, b"the simulated sidecar rejects everything");
            put(out, error_field, &status);
        }
        let length = (out.len() - begin - 5) as u32;
        out[begin + 1..begin + 5].copy_from_slice(&length.to_be_bytes());
    }
}

/// A gRPC message: not compressed, its length, itself.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(message.len() + 5);
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    framed
}
