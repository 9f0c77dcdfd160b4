//! What becomes of traffic to a port of a service before an endpoint is picked: rules, the first that matches counts.
//!
//! A port without rules leads straight to its service. These values know no dialect: a VirtualService, an HTTPRoute
//! and a GRPCRoute all become them, with everything that depends on the client or on other services decided and every
//! default filled in. How a rule is written for Envoy is known to `compile::route`.

mod http;
mod matching;
mod tcp;

use std::{collections::BTreeSet, fmt, sync::Arc};

pub use http::{
    Cors, DirectResponse, Fault, FaultAbort, FaultDelay, FaultStatus, HeaderChanges, HostRewrite, HttpAction,
    HttpDestination, HttpForward, HttpRule, HttpRules, Mirror, OfNowhere, PathRewrite, Redirect, Rewrite,
    UnmatchedPreflights,
};
pub use matching::{HeaderMatch, HttpMatch, PathMatch, QueryMatch, TextMatch, ValueMatch};
pub use tcp::{Subnet, TcpDestination, TcpMatch, TcpRule, TcpRules};

use crate::model::{ClusterName, ServiceName};

/// The longest body of a direct response, in bytes; Envoy is told to take as much.
pub const MAX_DIRECT_RESPONSE_BODY: u32 = 1024 * 1024;

/// The rules of one port, by what is spoken on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Routing {
    /// Each request on its own.
    Http(HttpRules),
    /// Each connection as a whole.
    Tcp(TcpRules),
}

impl Routing {
    /// The services that traffic can lead to, mirrors included.
    pub fn services(&self) -> BTreeSet<&ServiceName> {
        match self {
            Self::Http(HttpRules { rules }) => {
                rules.iter().flat_map(HttpRule::clusters).map(|cluster| &cluster.service).collect()
            }
            Self::Tcp(TcpRules { rules }) => {
                let destinations = rules.iter().flat_map(|rule| &rule.destinations);
                destinations.filter_map(|destination| Some(&destination.target.cluster()?.service)).collect()
            }
        }
    }

    /// The documents that shaped any of the rules.
    pub fn documents(&self) -> BTreeSet<&Arc<str>> {
        match self {
            Self::Http(HttpRules { rules }) => rules.iter().flat_map(|rule| &rule.documents).collect(),
            Self::Tcp(TcpRules { rules }) => rules.iter().flat_map(|rule| &rule.documents).collect(),
        }
    }
}

/// Where a rule leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A port of a service, or a subset of it.
    Cluster(ClusterName),
    /// What was written does not exist: requests are answered as [`OfNowhere`] has it, connections are closed. The text is for
    /// those who look at Envoy's configuration or its log.
    Nowhere(Arc<str>),
}

impl Target {
    /// The cluster, where there is one.
    pub fn cluster(&self) -> Option<&ClusterName> {
        match self {
            Self::Cluster(cluster) => Some(cluster),
            Self::Nowhere(_) => None,
        }
    }
}

/// As Envoy's configuration names it. No cluster is called as `Nowhere` is: clusters have no spaces in their names.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(cluster) => cluster.fmt(f),
            Self::Nowhere(written) => write!(f, "nowhere ({written})"),
        }
    }
}
