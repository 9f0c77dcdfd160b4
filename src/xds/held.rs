//! What a client holds of one type: what was sent to it, acknowledged or not.
//!
//! Almost always that is "exactly this set, as far as subscribed to", so it is kept as the set and the few names that
//! differ. A rejected resource counts as held: it is not sent again until its content differs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use crate::{
    model::ResourceName,
    resources::{Resource, ResourceSet, Version},
};

/// Versions by name, shared by the streams of clients that came back with the same.
pub(super) type Exceptions = Arc<BTreeMap<ResourceName, Option<Version>>>;

/// What was sent.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Holds for every name subscribed to, but for those below.
    pub base: Arc<ResourceSet>,
    /// What is held of these; absent = nothing.
    pub except: Exceptions,
}

/// Nothing, as every stream begins: one value for all of them.
static NOTHING: LazyLock<Held> = LazyLock::new(|| Held { base: Arc::default(), except: Exceptions::default() });

impl Default for Held {
    fn default() -> Self {
        NOTHING.clone()
    }
}

impl Held {
    /// The version held of a name that is subscribed to.
    pub fn version(&self, name: &str) -> Option<Version> {
        match self.except.get(name) {
            Some(version) => *version,
            None => self.base.get(name).map(Resource::version),
        }
    }

    /// Whether it is exactly this set, without looking at it.
    pub fn is(&self, set: &Arc<ResourceSet>) -> bool {
        self.except.is_empty() && Arc::ptr_eq(&self.base, set)
    }

    /// Whether other streams may hold the very same.
    pub fn is_shared(&self) -> bool {
        self.except.is_empty() || Arc::strong_count(&self.except) > 1
    }

    /// Whether it is the same, without looking at it.
    pub fn is_same(&self, other: &Self) -> bool {
        let base = Arc::ptr_eq(&self.base, &other.base) || (self.base.is_empty() && other.base.is_empty());
        let except = Arc::ptr_eq(&self.except, &other.except) || (self.except.is_empty() && other.except.is_empty());
        base && except
    }

    /// Remembers that nothing is held of a name.
    pub fn forget(&mut self, name: ResourceName) {
        if self.base.get(name.as_str()).is_some() {
            Arc::make_mut(&mut self.except).insert(name, None);
        } else {
            self.take_back(&name);
        }
    }

    /// Remembers that of all names but these nothing is held, and that nobody knows what is held of `unsure`.
    pub fn limit_to(&mut self, names: &BTreeSet<ResourceName>, unsure: BTreeSet<ResourceName>) {
        let held = |name: &ResourceName| self.version(name.as_str()).map(|version| (name.clone(), Some(version)));
        // No content has this version.
        let unknown = unsure.into_iter().map(|name| (name, Some(Version::default())));
        let except = Arc::new(unknown.chain(names.iter().filter_map(held)).collect());
        *self = Self { base: NOTHING.base.clone(), except };
    }

    /// Remembers what was sent of a name, while the base stays.
    pub fn set(&mut self, name: ResourceName, version: Option<Version>) {
        if self.base.get(name.as_str()).map(Resource::version) == version {
            self.take_back(&name);
        } else {
            Arc::make_mut(&mut self.except).insert(name, version);
        }
    }

    /// Takes a new base. What is held of `kept` stays what it was.
    pub fn rebase(&mut self, base: &Arc<ResourceSet>, kept: impl IntoIterator<Item = ResourceName>) {
        let kept: Vec<(ResourceName, Option<Version>)> =
            kept.into_iter().map(|name| (name.clone(), self.version(name.as_str()))).collect();
        self.base = base.clone();
        if !self.except.is_empty() {
            self.except = NOTHING.except.clone();
        }
        for (name, version) in kept {
            self.set(name, version);
        }
    }

    fn take_back(&mut self, name: &ResourceName) {
        if self.except.contains_key(name) {
            Arc::make_mut(&mut self.except).remove(name);
        }
    }
}
