//! What is to be said of one type: the difference between what a client holds and what it should.
//!
//! Found by looking at what differs between two sets and at the few names with a story of their own, never at all
//! resources.

use std::sync::Arc;

use super::{
    super::{rejections::Offer, to_answer::Because},
    Session,
};
use crate::{
    model::ResourceName,
    resources::{ResourceSet, ResourceType, Snapshot},
};

/// What is to be said of one type.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub set: Vec<ResourceName>,
    pub removed: Vec<ResourceName>,
    /// Removals whose time has not come.
    pub kept: Vec<ResourceName>,
}

/// Whether what is gone may be said to be gone: clusters and endpoints go last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removals {
    /// Not yet.
    Kept,
    /// Now.
    Sent,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

impl Session {
    /// What differs between what is held and what should be, as far as it is subscribed to.
    pub(super) fn pending(&self, resource_type: ResourceType, target: &Snapshot, removals: Removals) -> Pending {
        let (state, set) = (&self.types[resource_type], target.set(resource_type));
        let keeps = removals == Removals::Kept && resource_type.is_removed_last();
        let mut pending = Pending::default();
        let mut consider = |name: &ResourceName, because: Option<Because>| {
            let held = state.held.version(name.as_str());
            match (state.offer(resource_type, target, name), held) {
                (Offer::Resource(wanted), held) if because.is_some() || held != Some(wanted.version()) => {
                    pending.set.push(name.clone());
                }
                // Another form than the set's, which it has already.
                (Offer::Resource(wanted), _) if set.get(name.as_str()) != Some(wanted) => {
                    pending.kept.push(name.clone());
                }
                (Offer::Resource(_), _) => {}
                // Who asks is answered.
                (Offer::AsHeld(Some(_)), _) if because.is_some() => pending.set.push(name.clone()),
                (Offer::AsHeld(None), _) if because == Some(Because::Asked) => pending.removed.push(name.clone()),
                (Offer::AsHeld(_), _) => pending.kept.push(name.clone()),
                (Offer::Nothing, _) if state.unknown.contains(name) => pending.kept.push(name.clone()),
                (Offer::Nothing, Some(_)) if keeps && because != Some(Because::Asked) => {
                    pending.kept.push(name.clone());
                }
                (Offer::Nothing, Some(_)) => pending.removed.push(name.clone()),
                (Offer::Nothing, None) if because == Some(Because::Asked) => pending.removed.push(name.clone()),
                (Offer::Nothing, None) => {}
            }
        };
        for (name, because) in state.to_answer.iter() {
            consider(name, Some(because));
        }
        let rejections = state.rejections.as_ref();
        let unasked =
            |name: &&ResourceName| !state.to_answer.contains(name) && state.subscription.covers(name.as_str());
        let may_differ =
            |name: &&ResourceName| unasked(name) && !rejections.is_some_and(|rejections| rejections.contains(name));
        if !Arc::ptr_eq(&state.held.base, set) {
            let difference = self.shared.difference(&state.held.base, set);
            let unlisted = difference.iter().filter(may_differ).filter(|name| !state.held.except.contains_key(*name));
            unlisted.for_each(|name| consider(name, None));
        }
        state.held.except.keys().filter(may_differ).for_each(|name| consider(name, None));
        let rejected = rejections.into_iter().flat_map(|rejections| rejections.names());
        rejected.filter(unasked).for_each(|name| consider(name, None));
        pending
    }
}

/// Cuts the lists where a response would get too large. Returns whether nothing was cut.
pub(super) fn split(
    names: &mut Vec<ResourceName>,
    removed: &mut Vec<ResourceName>,
    set: &ResourceSet,
    resource_type: ResourceType,
    largest: usize,
) -> bool {
    let most = match resource_type {
        // With several RouteConfigurations in a response, a bad one also stops some of the good.
        ResourceType::Route => 1,
        ResourceType::Cluster | ResourceType::Endpoints | ResourceType::Secret | ResourceType::Listener => usize::MAX,
    };
    let mut size = 0;
    let mut fits = |length: usize| {
        size += length;
        size <= largest
    };
    let length = |name: &ResourceName| set.get(name.as_str()).map_or(0, |resource| resource.delta_entry().len());
    let keep = names.iter().take(most).take_while(|name| fits(length(name))).count().max(1);
    if keep < names.len() {
        names.truncate(keep);
        // Removals come last.
        removed.clear();
        return false;
    }
    let keep = removed.iter().take_while(|name| fits(name.as_str().len() + 8)).count();
    let keep = if names.is_empty() { keep.max(1) } else { keep };
    let whole = keep >= removed.len();
    removed.truncate(keep);
    whole
}
