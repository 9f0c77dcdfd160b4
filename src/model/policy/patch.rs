//! Changes of resources in Envoy's own words, for what the model lacks. They are made after everything else.

use std::sync::Arc;

/// One change of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PatchOperation {
    /// Of what.
    pub of: PatchedResource,
    /// Of routes only those of this name; absent = all.
    pub route: Option<Arc<str>>,
    /// What changes.
    pub change: PatchChange,
    /// Who says so, as `KIND/NAME`.
    pub document: Arc<str>,
    /// Where in that document.
    pub field: Arc<str>,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatchChange {
    /// Fields are set: an object of proto3 JSON, as text.
    Merge(Arc<str>),
    /// A field is unset, an item or an entry taken out: its path.
    Remove(Arc<str>),
}

/// The kinds of resources, and parts of them, that can be patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PatchedResource {
    /// The cluster of a port, or of a subset of it.
    Cluster,
    /// Its endpoints.
    Endpoints,
    /// The port's listener of its own.
    Listener,
    /// The HTTP listener, which all services share.
    OutboundListener,
    /// The port's virtual host.
    VirtualHost,
    /// The routes in it.
    Route,
}

impl PatchedResource {
    /// As documents write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Endpoints => "endpoints",
            Self::Listener => "listener",
            Self::OutboundListener => "outboundListener",
            Self::VirtualHost => "virtualHost",
            Self::Route => "route",
        }
    }

    /// Whether a subset has one of its own.
    pub fn has_subsets(self) -> bool {
        match self {
            Self::Cluster | Self::Endpoints => true,
            Self::Listener | Self::OutboundListener | Self::VirtualHost | Self::Route => false,
        }
    }
}
