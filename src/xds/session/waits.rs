//! What waits for what, and until when at the latest.
//!
//! Nothing waits for an answer for ever, and nothing waits without saying until when: a session that is asked for its
//! [`Session::deadline`] names the earliest of these instants.

use std::time::{Duration, Instant};

use super::{Oddity, Removals, Session};
use crate::resources::{ResourceType, Snapshot};

/// After how long it is odd that a client asks for endpoints alone.
const ODD_AFTER: Duration = Duration::from_secs(30);

/// How long the removal of what a client has from an earlier stream waits for it to ask for listeners and routes, so
/// that these go first. Envoy asks for everything at once.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// How many route configurations may be on their way: each goes alone.
const ROUTES_IN_FLIGHT: usize = 64;

/// What removals wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// An answer, at the latest until then.
    Until(Instant),
    /// Responses that have to go first, and wait themselves.
    ForOthers,
}

/// Whether the client has clusters or listeners from an earlier stream that might be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameBack {
    No,
    /// It just said so.
    Now,
    /// It said so then.
    At(Instant),
}

impl CameBack {
    pub(super) fn now_if(&mut self, condition: bool) {
        if condition {
            *self = Self::Now;
        }
    }
}

/// Whether people heard of an oddity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Not,
    Now(Oddity),
    Done,
}

impl Session {
    /// Until when a type has to wait, at the latest, before anything of it may be sent.
    pub(super) fn must_wait(&self, resource_type: ResourceType, target: &Snapshot, now: Instant) -> Option<Instant> {
        match resource_type {
            // Envoy withholds the acknowledgement while anything warms, and takes the next response all the same.
            ResourceType::Cluster => None,
            ResourceType::Endpoints | ResourceType::Secret => self.own_wait(resource_type, now),
            ResourceType::Listener => {
                self.own_wait(resource_type, now).max(self.others_wait(resource_type, target, now))
            }
            // Each goes alone, so that a bad one stops no good one; several may be on their way.
            ResourceType::Route => {
                let own = self.types[resource_type].in_flight.room_at(ROUTES_IN_FLIGHT, now);
                own.max(self.others_wait(resource_type, target, now))
            }
        }
    }

    /// One response of a type is on its way at a time. The rest of what did not fit follows at once: what comes after
    /// it in push order would overtake it.
    fn own_wait(&self, resource_type: ResourceType, now: Instant) -> Option<Instant> {
        let state = &self.types[resource_type];
        if state.unfinished { None } else { state.in_flight.room_at(1, now) }
    }

    /// A route to a cluster that is not warm, or whose endpoints have not been said, answers 503. What a client never
    /// had cannot be torn.
    fn others_wait(&self, resource_type: ResourceType, target: &Snapshot, now: Instant) -> Option<Instant> {
        if !self.types[resource_type].holds_some {
            return None;
        }
        let set = target.set(ResourceType::Endpoints);
        let unsaid = || {
            let news = self.has_news(ResourceType::Endpoints, set);
            news && !self.pending(ResourceType::Endpoints, target, Removals::Kept).is_empty()
        };
        let endpoints = self.own_wait(ResourceType::Endpoints, now).filter(|_| unsaid());
        self.types[ResourceType::Cluster].in_flight.warm_at(now).max(endpoints)
    }

    /// What keeps back removals: something may still lead to what is to be removed.
    pub(super) fn removals_wait(&mut self, target: &Snapshot, now: Instant) -> Option<Wait> {
        for resource_type in [ResourceType::Listener, ResourceType::Route] {
            let set = target.set(resource_type);
            if let Some(until) = self.types[resource_type].in_flight.room_at(1, now) {
                return Some(Wait::Until(until));
            }
            if self.has_news(resource_type, set) && !self.pending(resource_type, target, Removals::Sent).is_empty() {
                return Some(Wait::ForOthers);
            }
        }
        if self.came_back == CameBack::Now {
            self.came_back = CameBack::At(now);
        }
        match self.came_back {
            CameBack::At(then) if now < then + ASKED_AGAIN => {
                let everything = self.types[ResourceType::Listener].asked && self.types[ResourceType::Route].asked;
                (!everything).then_some(Wait::Until(then + ASKED_AGAIN))
            }
            _ => None,
        }
    }

    pub(super) fn may_be_odd(&self) -> bool {
        let endpoints = &self.types[ResourceType::Endpoints];
        self.oddity == Told::Not && endpoints.subscription.is_active() && !self.types[ResourceType::Cluster].asked
    }

    pub(super) fn look_for_oddities(&mut self, now: Instant) {
        if !self.may_be_odd() {
            self.odd_since = None;
            return;
        }
        let told_at = *self.odd_since.get_or_insert(now) + ODD_AFTER;
        if now < told_at {
            self.wake_at(told_at);
        } else {
            self.oddity = Told::Now(Oddity::EndpointsWithoutClusters);
        }
    }
}
