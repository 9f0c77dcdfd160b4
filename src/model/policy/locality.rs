//! How localities take part in load balancing.

use std::{collections::BTreeMap, sync::Arc};

use crate::model::{Decimal, Locality};

/// What an endpoint's place means for its share of the load.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum LocalityRouting {
    /// Nothing: all endpoints are equal.
    #[default]
    Ignored,
    /// Shares between localities as written, by where the client is. A client that no entry's `from` matches is
    /// served as under `Ignored`.
    Distribute(Vec<Distribute>),
    /// What is near to the client first, others only as that loses healthy endpoints.
    Failover(Failover),
    /// The client's region first, and within it the client's own place as far as that overloads nobody.
    ZoneAware(ZoneAware),
}

impl LocalityRouting {
    /// Whether the client's own place decides anything.
    pub fn reads_client_locality(&self) -> bool {
        match self {
            Self::Ignored => false,
            Self::Distribute(_) => true,
            Self::Failover(failover) => failover.by_place.is_some(),
            Self::ZoneAware(zone_aware) => zone_aware.is_on(),
        }
    }

    /// The labels that the client's own decide something of.
    pub fn compared_labels(&self) -> impl Iterator<Item = &Arc<str>> {
        let labels = match self {
            Self::Failover(failover) => &failover.by_labels[..],
            Self::Ignored | Self::Distribute(_) | Self::ZoneAware(_) => &[],
        };
        labels.iter().filter(|label| label.value.is_none()).map(|label| &label.key)
    }
}

/// Envoy's `ZoneAwareLbConfig`; what is absent is Envoy's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ZoneAware {
    /// The share of requests for which places are looked at, in percent; zero = off.
    pub routing_enabled: Option<Decimal>,
    /// Endpoints that a service has at least.
    pub min_cluster_size: Option<u32>,
    /// Fail requests in panic.
    pub fail_traffic_on_panic: bool,
}

impl ZoneAware {
    /// Whether places mean anything.
    pub fn is_on(&self) -> bool {
        self.routing_enabled != Some(Decimal::ZERO)
    }
}

/// How near an endpoint is: by labels first, and among those equally near by place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Failover {
    /// The more of these, from the first on, an endpoint has as wanted, the nearer it is.
    pub by_labels: Vec<PriorityLabel>,
    /// By closeness: sub-zone, zone, region, then elsewhere; of elsewhere the regions that a rule names first. Absent =
    /// places mean nothing.
    pub by_place: Option<Vec<FailoverRule>>,
}

/// A label, and what an endpoint near to the client has there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriorityLabel {
    /// Of an endpoint, or the name of a part of its place ([`Locality::label`]).
    pub key: Arc<str>,
    /// Absent = what the client has.
    pub value: Option<Arc<str>>,
}

/// Shares for clients at one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Distribute {
    /// Which clients.
    pub from: LocalityPattern,
    /// The share of each place, in percent; they add up to 100.
    pub to: BTreeMap<LocalityPattern, u32>,
}

/// Where clients of a region go when their own fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FailoverRule {
    /// The clients' region.
    pub from: Arc<str>,
    /// The region preferred among the others.
    pub to: Arc<str>,
}

/// A place, or all places below one: `*`, `eu`, `eu/*`, `eu/eu-1/*`, `eu/eu-1/rack-3`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalityPattern {
    /// Absent = any.
    pub region: Option<Arc<str>>,
    /// Absent = any.
    pub zone: Option<Arc<str>>,
    /// Absent = any.
    pub subzone: Option<Arc<str>>,
}

impl LocalityPattern {
    /// Reads `region/zone/subzone`, where `*` or a missing part means any.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/').map(|part| (part != "*").then(|| Arc::from(part)));
        let mut next = || parts.next().flatten();
        Self { region: next(), zone: next(), subzone: next() }
    }

    /// Whether a place lies within.
    pub fn matches(&self, place: &Locality) -> bool {
        let Self { region, zone, subzone } = self;
        let fits = |wanted: &Option<Arc<str>>, found: &Arc<str>| wanted.as_ref().is_none_or(|wanted| wanted == found);
        fits(region, &place.region) && fits(zone, &place.zone) && fits(subzone, &place.subzone)
    }
}
