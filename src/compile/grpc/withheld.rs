//! Clusters that gRPC clients are not sent, since they would not do what is asked of them; and the clusters without
//! endpoints that calls are led to instead, so that they fail at once and say why.

use std::fmt;

use super::lacking::Lackings;
use crate::{
    compile::cluster::has_endpoints,
    model::{ClusterName, Endpoint, EndpointSet, Labels, Port, Protocol, policy::EffectivePolicy},
};

/// Why a cluster is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::compile) enum Withheld {
    /// Its endpoints are to be spoken to in TLS. A library takes keys and authorities only from its own bootstrap
    /// (A29), and none at all where the application dials with insecure credentials: it would speak plain text.
    Tls,
    /// It is behind a PROXY protocol header.
    ProxyProtocol,
    /// The address that the client was going to: a gRPC client was going to none.
    Passthrough,
    /// Requests pick among its endpoints.
    SubsetsOfRequests,
    /// Some number of host names: gRPC resolves one (A37).
    HostNames(usize),
    /// It does not exist, or not for this client.
    Absent,
}

impl Withheld {
    /// Of a port, or a subset of it. `endpoints` are there where names have to be resolved.
    pub fn of(port: &Port, policy: &EffectivePolicy, names: Option<(&EndpointSet, Option<&Labels>)>) -> Option<Self> {
        match policy {
            _ if policy.tls.is_some() || port.protocol == Protocol::Tls => Some(Self::Tls),
            _ if policy.proxy_protocol.is_some() => Some(Self::ProxyProtocol),
            _ if !has_endpoints(policy) => Some(Self::Passthrough),
            _ if policy.subset_selection.is_some() => Some(Self::SubsetsOfRequests),
            _ => {
                let (endpoints, labels) = names?;
                let count = sent(endpoints, labels).count();
                let only_name = count == 1;
                (!only_name).then_some(Self::HostNames(count))
            }
        }
    }

    /// Says it where people ask why.
    pub(super) fn tell(self, lackings: &mut Lackings<'_>) {
        let setting = match self {
            Self::Tls => "tls",
            Self::ProxyProtocol => "proxyProtocol",
            Self::Passthrough => "loadBalancer.simple",
            Self::SubsetsOfRequests => "loadBalancer.subsetSelectors",
            Self::HostNames(_) => "endpoints",
            Self::Absent => "service",
        };
        lackings.alarm(setting, format!("the cluster is withheld, and calls fail: {self}"));
    }
}

/// The reason, without a full stop.
impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls => f.write_str("gRPC clients are given no TLS yet, and must not speak plain text"),
            Self::ProxyProtocol => f.write_str("a gRPC client writes no PROXY protocol header"),
            Self::Passthrough => f.write_str("PASSTHROUGH has no endpoints that a gRPC client could dial"),
            Self::SubsetsOfRequests => f.write_str("a gRPC client cannot pick subsets by headers"),
            Self::HostNames(count) => {
                write!(f, "its endpoints are {count}, host names among them: gRPC resolves exactly one")
            }
            Self::Absent => f.write_str("it is not there"),
        }
    }
}

/// The cluster that stands for one that is withheld: a name that tells whoever reads an error. No service's cluster is
/// called so: there are no spaces in their names.
pub(super) fn stand_in(cluster: &ClusterName, withheld: Withheld) -> String {
    format!("{cluster} is withheld: {withheld}")
}

/// The endpoints of a subset that gRPC clients are sent: what is draining or unhealthy takes no new call, and they look
/// at nothing else (A27).
pub(super) fn sent<'a>(endpoints: &'a EndpointSet, labels: Option<&Labels>) -> impl Iterator<Item = &'a Endpoint> {
    let is_healthy = |endpoint: &&Endpoint| endpoint.health == crate::model::Health::Healthy;
    let has_labels = move |endpoint: &&Endpoint| {
        labels.is_none_or(|labels| labels.iter().all(|(key, value)| endpoint.labels.get(key) == Some(value)))
    };
    endpoints.iter().filter(is_healthy).filter(has_labels)
}

/// The one name that a cluster resolves.
pub(super) fn only_name<'a>(endpoints: &'a EndpointSet, labels: Option<&'a Labels>) -> Option<&'a Endpoint> {
    sent(endpoints, labels).next()
}
