//! Names that are answered next, whatever the client holds.
//!
//! Nearly always there are none, or all that were subscribed to at once; then the list is the subscription's own,
//! shared with every stream that asked for the same.

use std::{collections::BTreeMap, sync::Arc};

use super::subscription::Names;
use crate::model::ResourceName;

/// Why a name is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// The client asked: it is told even that there is nothing.
    Asked,
    /// Its cluster was sent, and warms until the endpoints come; if there are none any more, their removal has its time.
    OfItsCluster,
}

/// The names, each with its reason.
#[derive(Debug, Clone, Default)]
pub(super) struct ToAnswer {
    /// All of these, because they were asked for; then there are no others.
    shared: Option<Names>,
    own: BTreeMap<ResourceName, Because>,
}

impl ToAnswer {
    pub fn is_empty(&self) -> bool {
        self.shared.is_none() && self.own.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ResourceName, Because)> {
        let shared = self.shared.iter().flat_map(|names| names.iter()).map(|name| (name, Because::Asked));
        shared.chain(self.own.iter().map(|(name, because)| (name, *because)))
    }

    pub fn contains(&self, name: &ResourceName) -> bool {
        self.own.contains_key(name) || self.shared.as_ref().is_some_and(|names| names.contains(name))
    }

    /// Whether these are the very names, asked for, not only equal ones.
    pub fn is(&self, names: &Names) -> bool {
        self.shared.as_ref().is_some_and(|shared| Arc::ptr_eq(shared, names))
    }

    /// All of these and no others.
    pub fn share(&mut self, names: &Names) {
        self.own.clear();
        self.shared = (!names.is_empty()).then(|| names.clone());
    }

    pub fn clear(&mut self) {
        self.shared = None;
        self.own.clear();
    }

    /// Adds names that were asked for.
    pub fn asked(&mut self, names: impl IntoIterator<Item = ResourceName>) {
        let mut names = names.into_iter().peekable();
        if names.peek().is_some() {
            self.own().extend(names.map(|name| (name, Because::Asked)));
        }
    }

    /// Adds a name whose cluster was sent, unless it is to be answered anyway.
    pub fn follows(&mut self, name: &ResourceName) {
        if !self.contains(name) {
            self.own().insert(name.clone(), Because::OfItsCluster);
        }
    }

    pub fn remove(&mut self, name: &ResourceName) {
        if self.contains(name) {
            self.own().remove(name);
        }
    }

    pub fn retain(&mut self, keep: impl Fn(&ResourceName, Because) -> bool) {
        if !self.is_empty() {
            self.own().retain(|name, because| keep(name, *because));
        }
    }

    /// The names as a list of one's own.
    fn own(&mut self) -> &mut BTreeMap<ResourceName, Because> {
        if let Some(shared) = self.shared.take() {
            self.own = shared.iter().map(|name| (name.clone(), Because::Asked)).collect();
        }
        &mut self.own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_list_is_its_own_once_it_changes() {
        let name = |text: &str| ResourceName::new(text);
        let names: Names = Arc::new(["a", "b"].map(name).into());
        let mut to_answer = ToAnswer::default();
        to_answer.share(&names);
        to_answer.follows(&name("a"));
        to_answer.remove(&name("x"));
        assert!(to_answer.is(&names), "nothing has changed");
        to_answer.follows(&name("c"));
        to_answer.remove(&name("b"));
        assert!(!to_answer.is(&names) && names.len() == 2);
        let (a, c) = (name("a"), name("c"));
        assert!(to_answer.iter().eq([(&a, Because::Asked), (&c, Because::OfItsCluster)]));
        to_answer.clear();
        assert!(to_answer.is_empty());
    }
}
