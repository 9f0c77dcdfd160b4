//! Everything one node group is served at one instant.

use std::sync::Arc;

use super::{
    doubts::Doubts,
    resource_type::{PerType, ResourceType},
    set::ResourceSet,
};

/// The sets of all types. Consistent by construction: each EDS cluster has its assignment, each RDS listener its
/// routes. A set that did not change is the same `Arc` as in the snapshot before.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    sets: PerType<Arc<ResourceSet>>,
    lagging: bool,
    /// Absent = nothing is doubted.
    doubts: Option<Arc<Doubts>>,
}

impl Snapshot {
    /// Puts the sets together; the caller answers for their consistency.
    pub fn new(sets: PerType<Arc<ResourceSet>>) -> Self {
        Self { sets, lagging: false, doubts: None }
    }

    /// The same, of a replica that is not sure to know all there is at present: what it lacks may still exist.
    #[must_use]
    pub fn lagging(&self) -> Self {
        Self { lagging: true, ..self.clone() }
    }

    /// Whether what is not here may exist all the same, and only another replica knows.
    pub fn is_lagging(&self) -> bool {
        self.lagging
    }

    /// The sets, of which some resources are doubted.
    pub fn with_doubts(sets: PerType<Arc<ResourceSet>>, doubts: Doubts) -> Self {
        Self { doubts: (!doubts.is_empty()).then(|| Arc::new(doubts)), ..Self::new(sets) }
    }

    /// What is doubted, if anything is.
    pub fn doubts(&self) -> Option<&Arc<Doubts>> {
        self.doubts.as_ref()
    }

    /// The resources of one type.
    pub fn set(&self, resource_type: ResourceType) -> &Arc<ResourceSet> {
        &self.sets[resource_type]
    }

    /// All types, in push order.
    pub fn sets(&self) -> &PerType<Arc<ResourceSet>> {
        &self.sets
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        let same = |(resource_type, set): (ResourceType, &Arc<ResourceSet>)| {
            Arc::ptr_eq(set, other.set(resource_type)) || set == other.set(resource_type)
        };
        self.lagging == other.lagging && self.doubts == other.doubts && self.sets.iter().all(same)
    }
}

impl Eq for Snapshot {}
