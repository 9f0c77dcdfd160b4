//! A client of the control plane: what its node says of it, read once at the border.

use std::sync::Arc;

use super::{locality::Locality, service::Labels};

/// The cluster of a proxy's own workload in its bootstrap, and the name of its assignment. Envoy holds the endpoints of
/// other clusters against it: which share of the workload is in the proxy's own zone? No service's cluster is called so:
/// those have a colon in their names.
pub const LOCAL_CLUSTER: &str = "local";

/// A sidecar or a gRPC client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    /// `node.id`, unique, never empty.
    pub id: Arc<str>,
    /// `node.cluster`: the workload's service name; empty when it did not say.
    pub workload: Arc<str>,
    /// `node.metadata.NAMESPACE`; empty when it did not say.
    pub namespace: Arc<str>,
    /// `node.metadata.LABELS`: the labels of the workload.
    pub labels: Labels,
    /// `node.locality`: where it runs.
    pub locality: Locality,
    /// `node.metadata.LOCAL_CLUSTER`: whether its bootstrap has the cluster [`LOCAL_CLUSTER`], for zone-aware routing.
    pub local_cluster: bool,
    /// What it is.
    pub kind: ClientKind,
    /// `node.metadata.role`.
    pub role: Role,
}

impl Proxy {
    /// What it has for a label: its own, else the part of its place that the label names.
    pub fn label(&self, key: &str) -> Option<&Arc<str>> {
        self.labels.get(key).or_else(|| self.locality.label(key))
    }
}

/// Who speaks: they need different resources for one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum ClientKind {
    /// An Envoy sidecar.
    #[default]
    Envoy,
    /// A gRPC library that is its own proxy (`user_agent_name` starts with `grpc`, in any case).
    Grpc,
}

impl ClientKind {
    /// Read off `node.user_agent_name`.
    pub fn of_user_agent(name: &str) -> Self {
        let starts_with_grpc = name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("grpc"));
        if starts_with_grpc { Self::Grpc } else { Self::Envoy }
    }
}

/// What a proxy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    /// Beside one workload.
    #[default]
    Sidecar,
    /// At the edge; served as a sidecar for now.
    Gateway,
}

impl Role {
    /// Read off `node.metadata.role`; what is neither is a sidecar.
    pub fn of_metadata(role: &str) -> Self {
        match role {
            "gateway" => Self::Gateway,
            _ => Self::Sidecar,
        }
    }
}
