//! What a client subscribed to, for one type on one stream: the wildcard, names, or both.
//!
//! The rules are those of the xDS protocol, "How the client specifies what resources to return": an empty first
//! request means everything, for clusters and listeners only, and only as long as no name was ever given.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
};

use crate::{model::ResourceName, resources::ResourceType};

/// Names, shared by the streams that subscribe to the same ones.
pub type Names = Arc<BTreeSet<ResourceName>>;

/// No names, as every stream begins: one value for all of them.
static NO_NAMES: LazyLock<Names> = LazyLock::new(Names::default);

/// A subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    wildcard: bool,
    /// Whether a name, `*` included, was ever given: from then on an empty list means nothing.
    named_ever: bool,
    names: Names,
}

/// What a request changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Names to be answered, whatever the client is thought to hold.
    pub to_answer: BTreeSet<ResourceName>,
    /// Names that are no longer subscribed to, by name or wildcard: what was sent for them is forgotten.
    pub dropped: BTreeSet<ResourceName>,
    /// The wildcard is new: it is answered even when there is nothing.
    pub wildcard_began: bool,
}

const WILDCARD: &str = "*";

impl Default for Subscription {
    fn default() -> Self {
        Self { wildcard: false, named_ever: false, names: NO_NAMES.clone() }
    }
}

impl Subscription {
    /// Whether everything is subscribed to.
    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The names subscribed to beside the wildcard.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Replaces the names by an equal value that others share.
    pub fn share_names(&mut self, names: Names) {
        debug_assert_eq!(self.names, names, "sharing must not change what is subscribed to");
        self.names = names;
    }

    /// Whether a resource is subscribed to.
    pub fn covers(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Whether anything is subscribed to.
    pub fn is_active(&self) -> bool {
        self.wildcard || !self.names.is_empty()
    }

    /// Whether these very names are subscribed to, and no wildcard.
    pub fn is_just(&self, names: &Names) -> bool {
        !self.wildcard && Arc::ptr_eq(&self.names, names)
    }

    /// Takes names that are shared already, in a type's first delta request. Absent = they have to be taken one by one.
    pub fn begin(&mut self, resource_type: ResourceType, first: bool, subscribe: &Names) -> Option<Changed> {
        if !first || self.is_active() || subscribe.contains(WILDCARD) {
            return None;
        }
        self.named_ever = !subscribe.is_empty();
        self.wildcard = subscribe.is_empty() && has_legacy_wildcard(resource_type);
        self.names = subscribe.clone();
        Some(Changed { wildcard_began: self.wildcard, ..Changed::default() })
    }

    /// Takes the lists of a delta request: subscribe first, then unsubscribe.
    pub fn delta(
        &mut self,
        resource_type: ResourceType,
        first: bool,
        subscribe: &[String],
        unsubscribe: &[String],
    ) -> Changed {
        let mut changed = Changed::default();
        let had_wildcard = self.wildcard;
        if first && subscribe.is_empty() && has_legacy_wildcard(resource_type) {
            self.wildcard = true;
        }
        let mut names = self.names.clone();
        for name in subscribe {
            self.named_ever = true;
            if name == WILDCARD {
                self.wildcard = true;
            } else {
                let name = ResourceName::new(name.as_str());
                if !names.contains(&name) {
                    Arc::make_mut(&mut names).insert(name.clone());
                }
                changed.to_answer.insert(name);
            }
        }
        // Whether the wildcard stays decides what becomes of the names beside it.
        self.wildcard &= !unsubscribe.iter().any(|name| name == WILDCARD);
        for name in unsubscribe.iter().filter(|name| *name != WILDCARD) {
            let name = ResourceName::new(name.as_str());
            Arc::make_mut(&mut names).remove(&name);
            changed.to_answer.remove(&name);
            // Under the wildcard the client goes on holding it if it exists: it is told which is the case.
            if self.wildcard {
                changed.to_answer.insert(name);
            } else {
                changed.dropped.insert(name);
            }
        }
        changed.wildcard_began = self.wildcard && !had_wildcard;
        self.names = names;
        changed
    }

    /// Takes the full list of a state-of-the-world request.
    pub fn sotw(&mut self, resource_type: ResourceType, list: &[String]) -> Changed {
        let had_wildcard = self.wildcard;
        self.named_ever |= !list.is_empty();
        let empty_means_all = !self.named_ever && has_legacy_wildcard(resource_type);
        self.wildcard = list.iter().any(|name| name == WILDCARD) || empty_means_all;
        // What every acknowledgement repeats. A list that says a name twice is as long as one that says another.
        let is_same = list.len() == self.names.len()
            && list.iter().all(|name| self.names.contains(name.as_str()))
            && (list.is_sorted_by(|a, b| a < b) || list.iter().collect::<BTreeSet<_>>().len() == list.len());
        if is_same {
            return Changed { wildcard_began: self.wildcard && !had_wildcard, ..Changed::default() };
        }
        let names: BTreeSet<ResourceName> =
            list.iter().filter(|name| *name != WILDCARD).map(|name| ResourceName::new(name.as_str())).collect();
        let changed = Changed {
            to_answer: names.difference(&self.names).cloned().collect(),
            // Under the wildcard the client goes on holding them.
            dropped: if self.wildcard { BTreeSet::new() } else { self.names.difference(&names).cloned().collect() },
            wildcard_began: self.wildcard && !had_wildcard,
        };
        self.names = Arc::new(names);
        changed
    }
}

/// The specification has the empty wildcard for listeners and clusters; Envoy really sends empty lists for others,
/// and means nothing by them.
fn has_legacy_wildcard(resource_type: ResourceType) -> bool {
    match resource_type {
        ResourceType::Cluster | ResourceType::Listener => true,
        ResourceType::Endpoints | ResourceType::Secret | ResourceType::Route => false,
    }
}
