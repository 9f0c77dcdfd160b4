//! Where something runs: region, zone and sub-zone, each empty when unknown, as Envoy's `Locality` has it.

use std::{fmt, sync::Arc};

/// A place. Ordered by region, then zone, then sub-zone; the default is "unknown".
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Locality {
    /// The widest part, for example `eu`.
    pub region: Arc<str>,
    /// Within the region, for example `eu-1`.
    pub zone: Arc<str>,
    /// Within the zone, for example `rack-3`.
    pub subzone: Arc<str>,
}

impl Locality {
    /// The label that names a region.
    pub const REGION_LABEL: &str = "topology.kubernetes.io/region";
    /// The label that names a zone.
    pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
    /// The label that names a sub-zone.
    pub const SUBZONE_LABEL: &str = "topology.istio.io/subzone";

    /// The place with these parts; a part that is unknown is empty.
    pub fn new(region: &str, zone: &str, subzone: &str) -> Self {
        Self { region: region.into(), zone: zone.into(), subzone: subzone.into() }
    }

    /// Reads `region/zone/subzone`, of which the later parts may be missing.
    pub fn parse(text: &str) -> Self {
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().unwrap_or_default();
        Self::new(next(), next(), next())
    }

    /// What a label says that is the name of a part of every place, as Kubernetes and Istio call them. `None` where the
    /// label is no such name, or the part is unknown.
    pub fn label(&self, key: &str) -> Option<&Arc<str>> {
        let part = match key {
            Self::REGION_LABEL => &self.region,
            Self::ZONE_LABEL => &self.zone,
            Self::SUBZONE_LABEL => &self.subzone,
            _ => return None,
        };
        (!part.is_empty()).then_some(part)
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        let Self { region, zone, subzone } = self;
        region.is_empty() && zone.is_empty() && subzone.is_empty()
    }
}

impl Default for Locality {
    fn default() -> Self {
        Self::new("", "", "")
    }
}

impl fmt::Display for Locality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, zone, subzone } = self;
        write!(f, "{region}")?;
        if !zone.is_empty() || !subzone.is_empty() {
            write!(f, "/{zone}")?;
        }
        if !subzone.is_empty() {
            write!(f, "/{subzone}")?;
        }
        Ok(())
    }
}
