//! All resources of one type, by name: an immutable value that shares unchanged branches with its predecessor.

use imbl::{OrdMap, ordmap::DiffItem};

use super::{resource::Resource, version::Version};
use crate::model::ResourceName;

/// Resources of one type. Two sets are equal when their versions are.
#[derive(Debug, Clone, Default)]
pub struct ResourceSet {
    resources: OrdMap<ResourceName, Resource>,
    version: Version,
}

/// What became of one name between two sets.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// It is new, or its content is.
    Set(&'a Resource),
    /// It is gone.
    Removed(&'a ResourceName),
}

impl ResourceSet {
    /// The resource of that name.
    pub fn get(&self, name: &str) -> Option<&Resource> {
        self.resources.get(name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.resources.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.resources.is_empty()
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.resources.values()
    }

    /// A hash over all names and versions: what state-of-the-world calls the version of a response that holds all.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Adds or replaces one. Equal content keeps what is there; the answer says whether anything changed.
    pub fn insert(&mut self, resource: Resource) -> bool {
        let name = resource.name().clone();
        if let Some(present) = self.resources.get(&name) {
            if *present == resource {
                return false;
            }
            self.version = self.version.without_member(name.as_str(), present.version());
        }
        self.version = self.version.with_member(name.as_str(), resource.version());
        self.resources.insert(name, resource);
        true
    }

    /// Takes one out; the answer says whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(removed) = self.resources.remove(name) else { return false };
        self.version = self.version.without_member(name, removed.version());
        true
    }

    /// What differs from an earlier set, sorted by name, at a cost that follows the number of differences.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Change<'a>> {
        before.resources.diff(&self.resources).filter_map(|item| match item {
            DiffItem::Add(_, resource) => Some(Change::Set(resource)),
            DiffItem::Update { old: (_, old), new: (_, new) } => (old != new).then_some(Change::Set(new)),
            DiffItem::Remove(name, _) => Some(Change::Removed(name)),
        })
    }
}

impl PartialEq for ResourceSet {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version && self.resources.len() == other.resources.len()
    }
}

impl Eq for ResourceSet {}

impl FromIterator<Resource> for ResourceSet {
    fn from_iter<I: IntoIterator<Item = Resource>>(resources: I) -> Self {
        let mut set = Self::default();
        for resource in resources {
            set.insert(resource);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        proto::envoy::config::endpoint::v3::ClusterLoadAssignment,
        resources::{ResourceType, Version},
    };

    fn assignment(name: &str, content: &str) -> Resource {
        let message = ClusterLoadAssignment { cluster_name: content.into(), ..Default::default() };
        Resource::encode(ResourceType::Endpoints, ResourceName::new(name), &message)
    }

    #[test]
    fn a_sets_version_depends_on_its_members_alone() {
        let all: ResourceSet = [assignment("a", "1"), assignment("b", "2")].into_iter().collect();
        let mut grown = ResourceSet::default();
        for resource in [assignment("b", "old"), assignment("c", "3"), assignment("b", "2"), assignment("a", "1")] {
            grown.insert(resource);
        }
        assert_ne!(grown.version(), all.version());
        assert!(grown.remove("c"));
        assert_eq!(grown, all);
        let traded: ResourceSet = [assignment("a", "2"), assignment("b", "1")].into_iter().collect();
        assert_ne!(traded.version(), all.version());
        grown.remove("a");
        grown.remove("b");
        assert_eq!(grown.version(), Version::default());
    }

    #[test]
    fn a_difference_names_what_is_new_changed_and_gone() {
        let before: ResourceSet = ["same", "changed", "gone"].map(|name| assignment(name, "1")).into_iter().collect();
        let mut after = before.clone();
        assert!(!after.insert(assignment("same", "1")), "equal content changes nothing");
        after.insert(assignment("changed", "2"));
        after.insert(assignment("new", "1"));
        after.remove("gone");
        let changes: Vec<String> = after
            .changed_since(&before)
            .map(|change| match change {
                Change::Set(resource) => format!("+{}", resource.name()),
                Change::Removed(name) => format!("-{name}"),
            })
            .collect();
        assert_eq!(changes, ["+changed", "-gone", "+new"]);
    }
}
