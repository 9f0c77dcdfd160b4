//! Where a service runs right now.
//!
//! An [`EndpointSet`] is sorted and has no address twice, so that equal sets are equal values and encode equally.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    num::{NonZeroU16, NonZeroU32},
    ops::Deref,
    sync::Arc,
};

use super::{
    locality::Locality,
    name::{HostName, PortName},
    service::{Labels, Port},
};

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// Where to connect to.
    pub address: Address,
    /// The port it listens on, for each of the service's ports where the two differ.
    pub ports: BTreeMap<PortName, NonZeroU16>,
    /// Where it runs.
    pub locality: Locality,
    /// Its share of the load, relative to the others; 1 unless said otherwise.
    pub weight: NonZeroU32,
    /// What discovery says of it.
    pub health: Health,
    /// For subsets.
    pub labels: Labels,
}

impl Endpoint {
    /// The port this endpoint listens on for a port of its service.
    pub fn port_for(&self, port: &Port) -> NonZeroU16 {
        self.ports.get(&port.name).copied().unwrap_or(port.number)
    }

    /// What it has for a label: its own, else the part of its place that the label names.
    pub fn label(&self, key: &str) -> Option<&Arc<str>> {
        self.labels.get(key).or_else(|| self.locality.label(key))
    }
}

/// An IP address, or a name that Envoy resolves.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// Connected to as it is.
    Ip(IpAddr),
    /// Makes the service DNS-resolved by Envoy.
    Host(HostName),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(ip) => ip.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}

/// What discovery says of an endpoint; discovery owns liveness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Health {
    /// Takes traffic.
    #[default]
    Healthy,
    /// Takes none, except in panic.
    Unhealthy,
    /// Takes no new requests; those in flight finish.
    Draining,
}

/// The endpoints of a service: sorted, and equal ones once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EndpointSet(Vec<Endpoint>);

impl EndpointSet {
    /// Sorts; of two equal endpoints one stays.
    pub fn new(mut endpoints: Vec<Endpoint>) -> Self {
        endpoints.sort_unstable();
        endpoints.dedup();
        Self(endpoints)
    }

    /// Whether Envoy has to resolve a name to reach one of them.
    pub fn needs_dns(&self) -> bool {
        self.0.iter().any(|endpoint| matches!(endpoint.address, Address::Host(_)))
    }
}

impl Deref for EndpointSet {
    type Target = [Endpoint];

    fn deref(&self) -> &[Endpoint] {
        &self.0
    }
}
