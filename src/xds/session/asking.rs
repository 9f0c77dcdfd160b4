//! What a client asks for, and what it says it brought along.
//!
//! A request changes a subscription; what is new in it is answered, what left it is forgotten. Lists that many streams
//! have in common are taken as they are, not name by name.

use std::sync::Arc;

use super::{
    super::{
        held::Exceptions,
        message,
        subscription::{Changed, Names},
    },
    Ask, Dialect, Request, Session, Verdict,
    type_state::TypeState,
};
use crate::{
    model::ResourceName,
    resources::{ResourceSet, ResourceType, Snapshot, Version},
};

/// What a request says of a subscription.
struct Said {
    changed: Changed,
    /// All of these are to be answered: a list that is shared with other streams.
    answers: Option<Names>,
    /// What the client has from an earlier stream, by version.
    brought: Option<Exceptions>,
}

impl Session {
    /// Takes a request.
    pub fn on_request(&mut self, resource_type: ResourceType, request: Request) -> Verdict {
        let Request { nonce, error, ask } = request;
        let first = !self.types[resource_type].asked;
        let verdict = self.settle(resource_type, &nonce, error);
        if !first && ask.changes_nothing() {
            // A mere answer, as nearly all requests are.
            return verdict;
        }
        // A replica that is sure knows everything.
        let is_unsure = self.target.as_ref().is_none_or(|target| target.is_lagging());
        let present = self.target.as_ref().map(|target| target.set(resource_type));
        let state = &mut self.types[resource_type];
        state.asked = true;
        let had_wildcard = state.subscription.is_wildcard();
        let names_before = state.subscription.names().clone();
        let Said { changed, answers, brought } = state.take_ask(resource_type, ask, first, present);
        if let Some(versions) = brought.filter(|versions| first && !versions.is_empty()) {
            self.came_back.now_if(resource_type.is_full_state());
            state.remember_initial(resource_type, &versions, present, is_unsure);
        }
        if changed.wildcard_began && !first {
            // Until now only what was named counted as held. What was not, and is on its way, may be taken all the same.
            let crossing = state.in_flight.names().filter(|name| !names_before.contains(*name));
            let is_delta = self.dialect == Dialect::Delta;
            state.held.limit_to(&names_before, crossing.filter(|_| is_delta).cloned().collect());
        }
        for name in changed.dropped {
            state.to_answer.remove(&name);
            if let Some(rejections) = &mut state.rejections {
                rejections.forget(&name);
            }
            state.held.forget(name);
        }
        let is_all = state.to_answer.is_empty() && changed.to_answer == **state.subscription.names();
        if answers.is_none() && !is_all {
            state.to_answer.asked(changed.to_answer);
        }
        if had_wildcard && !state.subscription.is_wildcard() {
            let TypeState { to_answer, subscription, .. } = state;
            to_answer.retain(|name, _| subscription.covers(name.as_str()));
        }
        state.answer_due = state.subscription.is_wildcard() && (state.answer_due || changed.wildcard_began);
        if !state.subscription.is_active() {
            state.in_flight.abandon();
            state.unfinished = false;
        }
        let is_known = answers.is_some() || Arc::ptr_eq(&names_before, state.subscription.names());
        if !is_known && !state.subscription.names().is_empty() {
            let shared = self.shared.intern(state.subscription.names());
            state.subscription.share_names(shared);
        }
        if is_all || answers.is_some() {
            state.to_answer.share(state.subscription.names());
        }
        if let Some(target) = self.target.clone() {
            self.learn(resource_type, &target);
        }
        verdict
    }

    /// What the target says of what the client brought. A client that has exactly this set is sent nothing: equal
    /// versions mean equal bytes, on every replica. Its endpoints are sent again all the same, as after any answer to
    /// clusters. A replica that is sure knows everything, and one that lags at least what it has.
    pub(super) fn learn(&mut self, resource_type: ResourceType, target: &Snapshot) {
        let set = target.set(resource_type);
        let state = &mut self.types[resource_type];
        let has_all = state.claimed == Some(set.version());
        if has_all {
            state.claimed = None;
            state.brought = false;
            state.held.rebase(set, []);
            state.answer_due = false;
            state.answered = true;
        }
        if target.is_lagging() {
            state.unknown.retain(|name| set.get(name.as_str()).is_none());
        } else {
            state.claimed = None;
            state.unknown.clear();
            state.brought = false;
        }
        if has_all && resource_type == ResourceType::Cluster {
            self.all_endpoints_follow();
        }
    }
}

impl TypeState {
    fn take_ask(
        &mut self,
        resource_type: ResourceType,
        ask: Ask,
        first: bool,
        present: Option<&Arc<ResourceSet>>,
    ) -> Said {
        match ask {
            Ask::Delta { subscribe, unsubscribe, initial_versions } => {
                let changed = self.subscription.delta(resource_type, first, &subscribe, &unsubscribe);
                // A version that is not one of ours differs from all of ours.
                let version = |text: &str| Some(Version::parse(text).unwrap_or_default());
                let named = |(name, text): (String, String)| (ResourceName::new(name), version(&text));
                let brought: Exceptions = Arc::new(initial_versions.into_iter().map(named).collect());
                Said { changed, answers: None, brought: Some(brought) }
            }
            Ask::LongDelta(asked) => {
                let shared = self.subscription.begin(resource_type, first, &asked.subscribe);
                let answers = shared.is_some().then(|| asked.subscribe.clone());
                let one_by_one = || self.subscription.delta(resource_type, first, &asked.names(), &[]);
                let changed = shared.unwrap_or_else(one_by_one);
                Said { changed, answers, brought: Some(asked.initial_versions.clone()) }
            }
            Ask::Sotw { names, version } => {
                let changed = self.subscription.sotw(resource_type, &names);
                self.remember_version(resource_type, &version, present, first);
                // Of other types a response may have held a part of the set alone, at the version of the whole.
                let is_everything = resource_type.is_full_state()
                    && self.subscription.is_wildcard()
                    && self.subscription.names().is_empty();
                self.claimed = Version::parse(&version).filter(|_| first && is_everything);
                Said { changed, answers: None, brought: None }
            }
            Ask::LongSotw { asked, version } => {
                // What every acknowledgement repeats.
                let is_same = self.subscription.is_just(&asked.subscribe);
                let changed = match is_same {
                    true => Changed::default(),
                    false => self.subscription.sotw(resource_type, &asked.names()),
                };
                self.remember_version(resource_type, &version, present, first);
                self.claimed = None;
                Said { changed, answers: None, brought: None }
            }
        }
    }

    /// What a client of state of the world says it accepted last, on an earlier stream.
    fn remember_version(
        &mut self,
        resource_type: ResourceType,
        version: &str,
        present: Option<&Arc<ResourceSet>>,
        first: bool,
    ) {
        if !first || version.is_empty() {
            return;
        }
        let has_this = present.is_some_and(|set| message::version_of(version) == Some(set.version()));
        self.holds_some |= !has_this;
        self.brought |= resource_type.is_full_state();
    }
}
