//! One type on one stream: what is subscribed to, held, owed, on its way and rejected.

use std::{collections::BTreeSet, sync::Arc};

use super::super::{
    held::{Exceptions, Held},
    in_flight::InFlight,
    progress::Progress,
    rejections::{self, Offer, Rejections},
    subscription::Subscription,
    to_answer::{Because, ToAnswer},
};
use crate::{
    model::ResourceName,
    resources::{Resource, ResourceSet, ResourceType, Snapshot, Version},
};

/// Everything that is kept of one type on one stream.
#[derive(Debug, Default)]
pub(super) struct TypeState {
    pub asked: bool,
    pub subscription: Subscription,
    pub held: Held,
    /// Answered next, whatever is held.
    pub to_answer: ToAnswer,
    /// Something must be said even if there is nothing: Envoy waits for the first answer to a wildcard.
    pub answer_due: bool,
    /// The version of the whole set that the client says it has from an earlier stream (state of the world).
    pub claimed: Option<Version>,
    /// While this replica lags: names that the client has from an earlier stream, and that were never known here.
    pub unknown: BTreeSet<ResourceName>,
    /// While this replica lags: whether the client has a full state from an earlier stream (state of the world), of
    /// which it does not say what is in it.
    pub brought: bool,
    pub in_flight: InFlight,
    /// Something was sent on this stream.
    pub answered: bool,
    /// The client may hold something, from this stream or an earlier one: what it goes by can be torn.
    pub holds_some: bool,
    /// What was to be said did not fit into one response: the rest follows without waiting.
    pub unfinished: bool,
    /// Absent = nothing was rejected, or nothing is left of it.
    pub rejections: Option<Box<Rejections>>,
    pub progress: Progress,
}

impl TypeState {
    /// Everything that can be said has been said: of what is not known here, nothing can.
    pub(super) fn all_answered(&mut self) {
        let Self { to_answer, unknown, .. } = self;
        if unknown.is_empty() {
            to_answer.clear();
        } else {
            to_answer.retain(|name, because| because == Because::Asked && unknown.contains(name));
        }
    }

    /// What the client should have of a name.
    pub(super) fn offer<'a>(
        &'a self,
        resource_type: ResourceType,
        target: &'a Snapshot,
        name: &ResourceName,
    ) -> Offer<'a> {
        let (rejections, doubts) = (self.rejections.as_deref(), target.doubts().map(|doubts| &**doubts));
        let of = (resource_type, &**target.set(resource_type));
        rejections::offer(rejections, doubts, of, &self.held, name.as_str())
    }

    /// Of the names that are due those of which another form than the set's is sent.
    pub(super) fn instead(
        &self,
        resource_type: ResourceType,
        target: &Snapshot,
        names: &[ResourceName],
    ) -> Vec<Resource> {
        if self.rejections.is_none() && target.doubts().is_none() {
            return Vec::new();
        }
        let set = target.set(resource_type);
        let other = |name: &ResourceName| match self.offer(resource_type, target, name) {
            Offer::Resource(other) | Offer::AsHeld(Some(other)) if set.get(name.as_str()) != Some(other) => {
                Some(other.clone())
            }
            Offer::Resource(_) | Offer::AsHeld(_) | Offer::Nothing => None,
        };
        names.iter().filter_map(other).collect()
    }

    /// The set with what is not to be removed yet, with what is sent instead, and without what was rejected.
    pub(super) fn full_state(
        &self,
        set: &Arc<ResourceSet>,
        kept: &[ResourceName],
        removed: &[ResourceName],
        instead: &[Resource],
    ) -> Arc<ResourceSet> {
        if kept.is_empty() && removed.is_empty() && instead.is_empty() {
            return set.clone();
        }
        let mut full = (**set).clone();
        for name in removed {
            full.remove(name.as_str());
        }
        for name in kept {
            let rejected = self.rejections.as_ref().and_then(|rejections| rejections.before(name));
            match rejected.unwrap_or_else(|| self.held.base.get(name.as_str())) {
                Some(resource) => drop(full.insert(resource.clone())),
                None => drop(full.remove(name.as_str())),
            }
        }
        for resource in instead {
            full.insert(resource.clone());
        }
        Arc::new(full)
    }

    /// Whether a full state would delete what the client has, and only another replica knows of.
    pub(super) fn would_take_the_unknown(&self, set: &ResourceSet) -> bool {
        let names = self.subscription.names();
        let lacks = || names.iter().any(|name| set.get(name.as_str()).is_none());
        self.brought && (self.subscription.is_wildcard() || lacks())
    }

    /// What a client brings from an earlier stream counts where it is the whole state. Endpoints and routes are sent
    /// again in full: Envoy has been seen to report a version and not to have the endpoints. Those asked for by name are
    /// answered anyway; under a wildcard, what is gone has to be removed.
    pub(super) fn remember_initial(
        &mut self,
        resource_type: ResourceType,
        versions: &Exceptions,
        present: Option<&Arc<ResourceSet>>,
        is_unsure: bool,
    ) {
        self.holds_some = !has_just_these(resource_type, present, versions);
        if is_unsure {
            self.unknown = versions.keys().cloned().collect();
        }
        if resource_type.is_full_state() {
            self.held.except = versions.clone();
        } else if self.subscription.is_wildcard() {
            let unlike_any = versions.keys().map(|name| (name.clone(), Some(Version::default())));
            self.held.except = Arc::new(unlike_any.collect());
        }
    }
}

/// Whether a client that comes back has the routes as they are: to hear them again changes nothing, so that it need not
/// wait. (Of listeners it hears what differs; for the others nobody waits.)
fn has_just_these(resource_type: ResourceType, set: Option<&Arc<ResourceSet>>, versions: &Exceptions) -> bool {
    let is_present = |set: &ResourceSet, (name, version): (&ResourceName, &Option<Version>)| {
        set.get(name.as_str()).is_some_and(|resource| *version == Some(resource.version()))
    };
    resource_type == ResourceType::Route && set.is_some_and(|set| versions.iter().all(|entry| is_present(set, entry)))
}
