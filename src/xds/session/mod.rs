//! One stream's protocol state: requests, snapshots and instants in; responses out.
//!
//! What always holds:
//! - Responses go out in push order: clusters, their endpoints, listeners, routes. Removals of clusters and endpoints
//!   come last, once the routes that led to them are gone.
//! - A cluster that is sent is followed by its endpoints, changed or not: Envoy warms a changed cluster until they
//!   come again, and asks for nothing. Nothing ever waits for the acknowledgement of a cluster to send endpoints,
//!   since Envoy withholds it until they came.
//! - Every name that is subscribed to is answered, with the resource or with its absence.
//! - What a client rejected is what it was sent: it stays as it is until the content differs. What was sent beside it
//!   is sent again without it ([`super::rejections`]).
//! - A replica that lags takes nothing from a client that another replica may have given to it: what a client brings
//!   from an earlier stream, and is not known here, stays until the replica is sure.
//! - One response of a type is in flight at a time, and never for ever: a newer answer, or time, lets the next go.
//! - A session that waits says until when, and one that has nothing to say says nothing and wants no waking.
//!
//! It knows no runtime, no clock and no transport: instants are given.
//!
//! ```text
//!  request ──► verdicts ──► asking ──►┐
//!                                     ├─ type_state ──► waits ──► pending ──► answer ──► response
//!                        snapshot ───►┘
//! ```

mod answer;
mod asking;
mod pending;
mod type_state;
mod verdicts;
mod waits;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use bytes::Bytes;

use self::{
    pending::Removals,
    type_state::TypeState,
    waits::{CameBack, Told, Wait},
};
pub use super::dialect::Dialect;
use super::{asked::Asked, changes::Shared, subscription::Subscription};
pub use super::{nonce::Nonce, progress::Progress};
use crate::{
    model::ResourceName,
    resources::{PerType, ResourceSet, ResourceType, Snapshot, Testimony},
};

/// A request, of either dialect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Of the response it answers; empty = it answers none.
    pub nonce: String,
    /// Present = that response was rejected, whatever the other fields say.
    pub error: Option<String>,
    /// What is asked for.
    pub ask: Ask,
}

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Changes of the subscription; on the first request of a type also what the client still has from before.
    Delta {
        /// New names.
        subscribe: Vec<String>,
        /// Names no longer wanted.
        unsubscribe: Vec<String>,
        /// Versions by name.
        initial_versions: BTreeMap<String, String>,
    },
    /// The full list.
    Sotw {
        /// All names.
        names: Vec<String>,
        /// The last version the client accepted.
        version: String,
    },
    /// A delta request without names no longer wanted, its lists shared with other streams.
    LongDelta(Arc<Asked>),
    /// A full list, shared with other streams.
    LongSotw {
        /// All names.
        asked: Arc<Asked>,
        /// The last version the client accepted.
        version: String,
    },
}

impl Ask {
    /// Whether it leaves the subscription as it is, found without looking at that.
    fn changes_nothing(&self) -> bool {
        matches!(self, Self::Delta { subscribe, unsubscribe, .. } if subscribe.is_empty() && unsubscribe.is_empty())
    }
}

impl Default for Ask {
    fn default() -> Self {
        Self::Sotw { names: Vec::new(), version: String::new() }
    }
}

/// A response, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Of what.
    pub resource_type: ResourceType,
    /// Everything but the nonce, shared with other streams.
    pub body: Bytes,
    /// The stream's own part.
    pub nonce: Nonce,
    /// How many resources are in it.
    pub resources: usize,
}

impl Response {
    /// How many bytes the message has.
    pub fn length(&self) -> usize {
        self.nonce.field_length() + self.body.len()
    }

    /// The message in one piece, for whoever does not care to share the body.
    pub fn message(&self) -> Vec<u8> {
        let mut message = Vec::with_capacity(self.length());
        self.nonce.put_field(&mut message);
        message.extend_from_slice(&self.body);
        message
    }
}

/// What a request said about an earlier response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing, or about one that is history.
    None,
    /// It was applied.
    Ack,
    /// It was not, or not wholly.
    Nack {
        /// The client's words, shortened.
        message: String,
        /// The resources it is about: those that the words blame, or all that may be meant.
        names: Vec<ResourceName>,
    },
}

/// Something that is legal, and yet hardly what anybody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Endpoints are asked for and clusters are not. After a rejection and a new connection Envoy has been seen to never
    /// ask for clusters again, which nobody notices: it goes on with what it has.
    EndpointsWithoutClusters,
}

/// All mutable state of one stream.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    shared: Arc<Shared>,
    target: Option<Arc<Snapshot>>,
    types: PerType<TypeState>,
    last_nonce: Nonce,
    /// When to go on even if nothing happens.
    wake: Option<Instant>,
    /// Since when the client has been in a state that is odd if it lasts; absent once that was told.
    odd_since: Option<Instant>,
    oddity: Told,
    /// Since when removals wait for a client that came back to ask for everything again.
    came_back: CameBack,
    testimonies: Vec<Testimony>,
}

impl Session {
    /// A stream that has just begun.
    pub fn new(dialect: Dialect, shared: Arc<Shared>) -> Self {
        Self {
            dialect,
            shared,
            target: None,
            types: PerType::default(),
            last_nonce: Nonce::default(),
            wake: None,
            odd_since: None,
            oddity: Told::Not,
            came_back: CameBack::No,
            testimonies: Vec::new(),
        }
    }

    /// Which dialect the stream speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// How many names are subscribed to, and whether the wildcard is.
    pub fn subscribed(&self, resource_type: ResourceType) -> (usize, bool) {
        let subscription = &self.types[resource_type].subscription;
        (subscription.names().len(), subscription.is_wildcard())
    }

    /// How far the client has come.
    pub fn progress(&self, resource_type: ResourceType) -> &Progress {
        &self.types[resource_type].progress
    }

    /// Every name that is subscribed to, whatever its type; absent when a wildcard is, or when there are more than so
    /// many.
    pub fn names_wanted(&self, at_most: usize) -> Option<Vec<ResourceName>> {
        let subscriptions = || self.types.iter().map(|(_, state)| &state.subscription);
        let few = !subscriptions().any(Subscription::is_wildcard)
            && subscriptions().map(|subscription| subscription.names().len()).sum::<usize>() <= at_most;
        few.then(|| subscriptions().flat_map(|subscription| subscription.names().iter().cloned()).collect())
    }

    /// Whether there is certainly nothing to be said, now or later, at the cost of a few comparisons.
    pub fn is_at_rest(&self) -> bool {
        if self.wake.is_some() || self.may_be_odd() {
            return false;
        }
        let Some(target) = &self.target else { return true };
        self.types.iter().all(|(resource_type, state)| {
            let is_settled = state.held.is(target.set(resource_type)) && state.to_answer.is_empty();
            let is_good = state.rejections.is_none();
            !state.subscription.is_active() || (is_settled && is_good && !state.answer_due)
        })
    }

    /// Whether there is something the client should come to hold.
    pub fn has_target(&self) -> bool {
        self.target.is_some()
    }

    /// Takes the snapshot the client should come to hold.
    pub fn set_target(&mut self, target: Arc<Snapshot>) {
        if self.target.as_ref().is_some_and(|present| Arc::ptr_eq(present, &target)) {
            return;
        }
        for resource_type in ResourceType::ALL {
            self.learn(resource_type, &target);
        }
        self.target = Some(target);
        self.testify_of_what_is_held();
    }

    /// What the client has said that may decide what others are sent. Asked for after each request and each target.
    pub fn take_testimonies(&mut self) -> Vec<Testimony> {
        std::mem::take(&mut self.testimonies)
    }

    /// The next response, if there is one to be sent now. Whoever gets none asks again when something happens, or at
    /// the [`Session::deadline`].
    pub fn next_response(&mut self, now: Instant) -> Option<Response> {
        self.wake = None;
        self.look_for_oddities(now);
        let target = self.target.clone()?;
        ResourceType::ALL.into_iter().for_each(|resource_type| self.offer_apart(resource_type, now));
        if let Some(response) = self.respond_first(&target, Removals::Kept, now) {
            return Some(response);
        }
        let kept = |resource_type: &ResourceType| {
            resource_type.is_removed_last() && self.has_news(*resource_type, target.set(*resource_type))
        };
        if !ResourceType::ALL.iter().any(kept) {
            return None;
        }
        match self.removals_wait(&target, now) {
            Some(Wait::Until(until)) => self.wake_at(until),
            Some(Wait::ForOthers) => {}
            None => return self.respond_first(&target, Removals::Sent, now),
        }
        None
    }

    /// When to ask for a response again even if nothing happens; absent while nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.wake
    }

    /// What people should hear of, once.
    pub fn take_oddity(&mut self) -> Option<Oddity> {
        let Told::Now(oddity) = self.oddity else { return None };
        self.oddity = Told::Done;
        Some(oddity)
    }

    /// Whether all responses that were sent have been answered.
    pub fn is_settled(&self) -> bool {
        self.types.iter().all(|(_, state)| state.in_flight.is_empty())
    }

    /// The first response that may go, in push order.
    fn respond_first(&mut self, target: &Arc<Snapshot>, removals: Removals, now: Instant) -> Option<Response> {
        for resource_type in ResourceType::ALL {
            if !self.has_news(resource_type, target.set(resource_type)) {
                continue;
            }
            if let Some(until) = self.must_wait(resource_type, target, now) {
                self.wake_at(until);
            } else if let Some(response) = self.respond(resource_type, target, removals, now) {
                self.wake = None;
                return Some(response);
            }
        }
        None
    }

    fn wake_at(&mut self, until: Instant) {
        self.wake = Some(self.wake.map_or(until, |earlier| earlier.min(until)));
    }

    /// Whether there may be something to say, found without looking at what is held.
    fn has_news(&self, resource_type: ResourceType, set: &Arc<ResourceSet>) -> bool {
        let state = &self.types[resource_type];
        let nothing_new = state.held.is(set) && state.to_answer.is_empty() && !state.answer_due;
        let nothing_new = nothing_new && state.rejections.is_none();
        state.subscription.is_active() && !nothing_new && !state.would_take_the_unknown(set)
    }
}
