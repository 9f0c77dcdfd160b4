//! From what is pending to a response, and what is held afterwards.
//!
//! Streams that are alike take the same step ([`super::super::step`]): the first works it out, the others take it. A body
//! is encoded once for all that are sent the same. Whatever is sent counts as held from then on, acknowledged or not.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;

use super::{
    super::{
        changes::{BodyKey, SharedBody},
        in_flight::{Beside, Sent},
        message::Content,
        nonce::Nonce,
        step::{self, Said, Step},
    },
    Dialect, Response, Session,
    pending::{Pending, Removals, split},
    type_state::TypeState,
};
use crate::{
    model::ResourceName,
    resources::{Resource, ResourceSet, ResourceType, Snapshot},
};

impl Session {
    pub(super) fn respond(
        &mut self,
        resource_type: ResourceType,
        target: &Arc<Snapshot>,
        removals: Removals,
        now: Instant,
    ) -> Option<Response> {
        let TypeState { subscription, held, to_answer, answer_due, unknown, rejections, .. } =
            &self.types[resource_type];
        let set = target.set(resource_type);
        let from = step::From::of(self.dialect, resource_type, subscription, held, to_answer, set).map(|from| {
            let removals_may_go = removals == Removals::Sent;
            step::From { removals_may_go, answer_due: *answer_due, doubts: target.doubts().cloned(), ..from }
        });
        // What only this client brought, or rejected, is nobody else's.
        let Some(from) = from.filter(|_| unknown.is_empty() && rejections.is_none()) else {
            return self.find_response(resource_type, target, removals, now);
        };
        if let Some(step) = self.shared.step(&from) {
            return self.take_step(resource_type, set, step, now);
        }
        let response = self.find_response(resource_type, target, removals, now);
        let TypeState { held, to_answer, unfinished, in_flight, .. } = &self.types[resource_type];
        let said = response.as_ref().zip(in_flight.latest()).map(|(response, sent)| Said {
            body: response.body.clone(),
            names: sent.names.clone(),
            resources: response.resources,
            adds: sent.adds,
            beside: sent.beside.clone(),
        });
        let step = Step { said, held: held.clone(), to_answer: to_answer.clone(), unfinished: *unfinished };
        self.shared.remember_step(from, step);
        response
    }

    /// Does what another stream did from the same state.
    fn take_step(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        step: Step,
        now: Instant,
    ) -> Option<Response> {
        let Step { said, held, to_answer, unfinished } = step;
        let state = &mut self.types[resource_type];
        let first = !state.answered;
        let before = std::mem::replace(&mut state.held, held).base;
        (state.to_answer, state.unfinished) = (to_answer, unfinished);
        state.answer_due = false;
        let Said { body, names, resources, adds, beside } = said?;
        let sent =
            Sent { nonce: Nonce::default(), since: now, names: names.clone(), adds, set: set.clone(), before, beside };
        let response = self.hand_out(resource_type, body, resources, sent);
        self.endpoints_follow(resource_type, &names, first);
        Some(response)
    }

    fn find_response(
        &mut self,
        resource_type: ResourceType,
        target: &Arc<Snapshot>,
        removals: Removals,
        now: Instant,
    ) -> Option<Response> {
        let set = target.set(resource_type);
        let pending = self.pending(resource_type, target, removals);
        let state = &mut self.types[resource_type];
        if pending.is_empty() && !state.answer_due {
            state.unfinished = false;
            state.all_answered();
            // What is kept is said again in each full state, so its content has to stay within reach.
            let says_all = self.dialect == Dialect::Sotw && resource_type.is_full_state();
            if !says_all || pending.kept.is_empty() {
                state.held.rebase(set, pending.kept);
            }
            return None;
        }
        match self.dialect {
            Dialect::Delta => Some(self.respond_delta(resource_type, target, pending, now)),
            Dialect::Sotw => self.respond_sotw(resource_type, target, pending, now),
        }
    }

    fn respond_delta(
        &mut self,
        resource_type: ResourceType,
        target: &Snapshot,
        pending: Pending,
        now: Instant,
    ) -> Response {
        let set = target.set(resource_type);
        let Pending { set: mut names, mut removed, kept } = pending;
        let whole = split(&mut names, &mut removed, set, resource_type, self.shared.largest_response);
        let instead = self.types[resource_type].instead(resource_type, target, &names);
        let resources = resources_of(&names, &instead, set);
        let first = !self.types[resource_type].answered;
        let beside = Beside { due: None, instead: instead.clone(), removed: removed.clone() }.shared();
        let response = self.send(resource_type, set, resources, beside, now);
        self.now_held(resource_type, set, &names, &removed, if whole { Some(kept) } else { None }, &instead);
        self.endpoints_follow(resource_type, &names, first);
        response
    }

    /// Remembers what was sent. `kept` is there when nothing was cut: then all but these are as in the set, or as what was
    /// sent `instead`.
    fn now_held(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        names: &[ResourceName],
        removed: &[ResourceName],
        kept: Option<Vec<ResourceName>>,
        instead: &[Resource],
    ) {
        let state = &mut self.types[resource_type];
        state.unfinished = kept.is_none();
        match kept {
            Some(kept) => {
                state.all_answered();
                state.held.rebase(set, kept);
            }
            None => {
                names.iter().chain(removed).for_each(|name| state.to_answer.remove(name));
                for name in names {
                    state.held.set(name.clone(), set.get(name.as_str()).map(Resource::version));
                }
            }
        }
        // The set may have them: who rejected the only form there is, and asks, is told that there is none.
        for name in removed {
            state.held.forget(name.clone());
        }
        for resource in instead {
            state.held.set(resource.name().clone(), Some(resource.version()));
        }
    }

    /// Clusters and listeners are the full state: what is missing is deleted. Of the other types what changed
    /// suffices, and absence cannot be said.
    fn respond_sotw(
        &mut self,
        resource_type: ResourceType,
        target: &Snapshot,
        pending: Pending,
        now: Instant,
    ) -> Option<Response> {
        let set = target.set(resource_type);
        let Pending { set: mut names, mut removed, kept } = pending;
        if resource_type.is_full_state() {
            let state = &self.types[resource_type];
            let instead = state.instead(resource_type, target, &names);
            let base = state.full_state(set, &kept, &removed, &instead);
            let first = !state.answered;
            let covered: Vec<&Resource> =
                base.iter().filter(|resource| state.subscription.covers(resource.name().as_str())).collect();
            let due = names.iter().filter(|name| base.get(name.as_str()).is_some());
            let due = (names.len() != covered.len()).then(|| due.cloned().collect());
            let beside = Beside { due, instead: Vec::new(), removed: Vec::new() }.shared();
            let response = self.send(resource_type, &base, covered, beside, now);
            let state = &mut self.types[resource_type];
            state.to_answer.clear();
            (state.brought, state.claimed) = (false, None);
            state.held.rebase(&base, []);
            self.endpoints_follow(resource_type, &names, first);
            return Some(response);
        }
        let whole = split(&mut names, &mut Vec::new(), set, resource_type, self.shared.largest_response);
        if !whole {
            removed.clear();
        }
        let instead = self.types[resource_type].instead(resource_type, target, &names);
        let resources = resources_of(&names, &instead, set);
        let beside = Beside { due: None, instead: instead.clone(), removed: Vec::new() }.shared();
        let response = (!resources.is_empty()).then(|| self.send(resource_type, set, resources, beside, now));
        self.types[resource_type].answer_due = false;
        self.now_held(resource_type, set, &names, &removed, if whole { Some(kept) } else { None }, &instead);
        response
    }

    fn send(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        resources: Vec<&Resource>,
        beside: Option<Arc<Beside>>,
        now: Instant,
    ) -> Response {
        let count = resources.len();
        let version = set.version();
        let TypeState { held, subscription, .. } = &self.types[resource_type];
        // A client that comes back with the version of a part must not be believed to have everything.
        let is_full_state = self.dialect == Dialect::Sotw && resource_type.is_full_state();
        let is_part = is_full_state && !subscription.is_wildcard();
        let adds = resources.iter().any(|resource| held.version(resource.name().as_str()).is_none());
        let content = Content {
            dialect: self.dialect,
            resource_type,
            version,
            is_part,
            resources,
            removed: beside.as_ref().map(|beside| beside.removed.clone()).unwrap_or_default(),
            identity: &self.shared.identity,
        };
        let SharedBody { bytes: body, names } = self.shared.body(body_key(&content), || SharedBody {
            bytes: content.encode(),
            names: content.resources.iter().map(|resource| resource.name().clone()).collect(),
        });
        let before = held.base.clone();
        let sent = Sent { nonce: Nonce::default(), since: now, names, adds, set: set.clone(), before, beside };
        self.hand_out(resource_type, body, count, sent)
    }

    /// Gives a response its nonce, and remembers that it is on its way.
    fn hand_out(&mut self, resource_type: ResourceType, body: Bytes, resources: usize, sent: Sent) -> Response {
        self.last_nonce = self.last_nonce.next();
        let nonce = self.last_nonce;
        let state = &mut self.types[resource_type];
        state.progress.sent = Some(nonce);
        state.answer_due = false;
        state.answered = true;
        state.holds_some = true;
        state.in_flight.push(Sent { nonce, ..sent });
        Response { resource_type, body, nonce, resources }
    }

    /// A cluster that was sent warms until its endpoints come again. An assignment is called as its cluster is. After
    /// the first answer of a stream all are sent again: clusters may be warming since an earlier stream.
    fn endpoints_follow(&mut self, resource_type: ResourceType, names: &[ResourceName], first: bool) {
        if resource_type != ResourceType::Cluster {
            return;
        }
        if first {
            self.all_endpoints_follow();
        }
        if !self.types[ResourceType::Endpoints].subscription.is_active() {
            return;
        }
        let Some(target) = &self.target else { return };
        let assignments = target.set(ResourceType::Endpoints);
        let endpoints = &mut self.types[ResourceType::Endpoints];
        for name in names.iter().filter(|name| endpoints.subscription.covers(name.as_str())) {
            if assignments.get(name.as_str()).is_some() {
                endpoints.to_answer.follows(name);
            }
        }
    }

    pub(super) fn all_endpoints_follow(&mut self) {
        let Some(target) = &self.target else { return };
        let assignments = target.set(ResourceType::Endpoints);
        let endpoints = &mut self.types[ResourceType::Endpoints];
        if endpoints.answered {
            for name in endpoints.subscription.names().iter().filter(|name| assignments.get(name.as_str()).is_some()) {
                endpoints.to_answer.follows(name);
            }
        }
    }
}

/// What is sent under these names.
fn resources_of<'a>(names: &[ResourceName], instead: &'a [Resource], set: &'a ResourceSet) -> Vec<&'a Resource> {
    let other = |name: &ResourceName| instead.iter().find(|resource| resource.name() == name);
    names.iter().filter_map(|name| other(name).or_else(|| set.get(name.as_str()))).collect()
}

/// Versions are hashes of contents, so a hash of names and versions stands for both.
fn body_key(content: &Content<'_>) -> BodyKey {
    let Content { dialect, resource_type, version, is_part, resources, removed, identity: _ } = content;
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for resource in resources {
        hasher.update(resource.name().as_str().as_bytes());
        hasher.update(&resource.version().as_u128().to_le_bytes());
    }
    for name in removed {
        hasher.update(name.as_str().as_bytes());
        hasher.update(&[0xff]);
    }
    hasher.update(&(resources.len() as u64).to_le_bytes());
    hasher.update(&[*dialect as u8, *resource_type as u8, u8::from(*is_part)]);
    BodyKey(version.as_u128(), hasher.digest128())
}
