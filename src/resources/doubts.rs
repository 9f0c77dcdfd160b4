//! What of a snapshot some client rejected: what is asked about it, and what those who rejected it are offered instead.
//!
//! A snapshot of which nothing was rejected has no doubts, which is the ordinary case and costs nothing.

use std::collections::BTreeMap;

use super::{Resource, ResourceType, Version, resource_type::PerType};
use crate::model::ResourceName;

/// Doubts by type and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Doubts(PerType<BTreeMap<ResourceName, Doubt>>);

/// A resource that some client rejected in the form it has, or that is not offered since too many did. Where the set
/// lacks a doubted resource, it is withheld: who holds an earlier form keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// Forms of which it would help to know that a client accepted one.
    pub asked: Vec<Version>,
    /// What those who rejected a form are offered; absent = what they hold is all there is.
    pub instead: Option<Resource>,
}

impl Doubts {
    /// Whether nothing is doubted.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, doubts)| doubts.is_empty())
    }

    /// The doubts about resources of one type.
    pub fn of(&self, resource_type: ResourceType) -> &BTreeMap<ResourceName, Doubt> {
        &self.0[resource_type]
    }

    /// Adds one.
    pub fn insert(&mut self, resource_type: ResourceType, name: ResourceName, doubt: Doubt) {
        self.0[resource_type].insert(name, doubt);
    }
}
