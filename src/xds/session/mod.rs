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

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

pub use super::dialect::Dialect;
use super::{
    asked::Asked,
    blame,
    changes::{BodyKey, Shared, SharedBody},
    held::{Exceptions, Held},
    in_flight::{Beside, InFlight, Sent, nonce_text},
    message::{self, Content},
    rejections::{self, Offer, Rejections},
    step::{self, Said, Step},
    subscription::{Changed, Subscription},
    to_answer::{Because, ToAnswer},
};
use crate::{
    model::ResourceName,
    resources::{Contested, PerType, Resource, ResourceSet, ResourceType, Snapshot, Testimony, Version},
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
    /// The nonce as a field, to be sent behind the body.
    pub nonce_field: Bytes,
    /// The nonce itself.
    pub nonce: String,
    /// How many resources are in it.
    pub resources: usize,
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

/// After how long it is odd that a client asks for endpoints alone.
const ODD_AFTER: Duration = Duration::from_secs(30);

/// How long the removal of what a client has from an earlier stream waits for it to ask for listeners and routes, so
/// that these go first. Envoy asks for everything at once.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// How many route configurations may be on their way: each goes alone.
const ROUTES_IN_FLIGHT: usize = 64;

/// All mutable state of one stream.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    shared: Arc<Shared>,
    target: Option<Arc<Snapshot>>,
    types: PerType<TypeState>,
    last_nonce: u64,
    /// When to go on even if nothing happens.
    wake: Option<Instant>,
    /// Since when the client has been in a state that is odd if it lasts; absent once that was told.
    odd_since: Option<Instant>,
    oddity: Told,
    /// Since when removals wait for a client that came back to ask for everything again.
    came_back: CameBack,
    testimonies: Vec<Testimony>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Not,
    Now(Oddity),
    Done,
}

/// Whether the client has clusters or listeners from an earlier stream that might be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CameBack {
    No,
    /// It just said so.
    Now,
    /// It said so then.
    At(Instant),
}

#[derive(Debug, Default)]
struct TypeState {
    asked: bool,
    subscription: Subscription,
    held: Held,
    /// Answered next, whatever is held.
    to_answer: ToAnswer,
    /// Something must be said even if there is nothing: Envoy waits for the first answer to a wildcard.
    answer_due: bool,
    /// The version of the whole set that the client says it has from an earlier stream (state of the world).
    claimed: Option<Version>,
    /// While this replica lags: names that the client has from an earlier stream, and that were never known here.
    unknown: BTreeSet<ResourceName>,
    /// While this replica lags: whether the client has a full state from an earlier stream (state of the world), of
    /// which it does not say what is in it.
    brought: bool,
    in_flight: InFlight,
    /// What left the subscription while responses were on their way: the client may take it from one of these, once the
    /// wildcard has come back.
    crossing: BTreeSet<ResourceName>,
    /// Something was sent on this stream.
    answered: bool,
    /// The client may hold something, from this stream or an earlier one: what it goes by can be torn.
    holds_some: bool,
    /// What was to be said did not fit into one response: the rest follows without waiting.
    unfinished: bool,
    /// Absent = nothing was rejected, or nothing is left of it.
    rejections: Option<Box<Rejections>>,
}

/// What is to be said of one type.
#[derive(Debug, Default)]
struct Pending {
    set: Vec<ResourceName>,
    removed: Vec<ResourceName>,
    /// Removals whose time has not come.
    kept: Vec<ResourceName>,
}

impl Session {
    /// A stream that has just begun.
    pub fn new(dialect: Dialect, shared: Arc<Shared>) -> Self {
        Self {
            dialect,
            shared,
            target: None,
            types: PerType::default(),
            last_nonce: 0,
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

    /// What the stream shares with others.
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// How many names are subscribed to, and whether the wildcard is.
    pub fn subscribed(&self, resource_type: ResourceType) -> (usize, bool) {
        let subscription = &self.types[resource_type].subscription;
        (subscription.names().len(), subscription.is_wildcard())
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

    /// Takes a request.
    pub fn on_request(&mut self, resource_type: ResourceType, request: Request) -> Verdict {
        let Request { nonce, error, ask } = request;
        let first = !self.types[resource_type].asked;
        let verdict = self.settle(resource_type, &nonce, error);
        if !first && ask.changes_nothing() {
            // A mere answer, as nearly all requests are.
            return verdict;
        }
        let state = &mut self.types[resource_type];
        state.asked = true;
        let had_wildcard = state.subscription.is_wildcard();
        let names_before = state.subscription.names().clone();
        // A replica that is sure knows everything.
        let is_unsure = self.target.as_ref().is_none_or(|target| target.is_lagging());
        let present = self.target.as_ref().map(|target| target.set(resource_type));
        let mut answers = None;
        let changed = match ask {
            Ask::Delta { subscribe, unsubscribe, initial_versions } => {
                let changed = state.subscription.delta(resource_type, first, &subscribe, &unsubscribe);
                if first && !initial_versions.is_empty() {
                    self.came_back.now_if(resource_type.is_full_state());
                    // A version that is not one of ours differs from all of ours.
                    let version = |text: &str| Some(Version::parse(text).unwrap_or_default());
                    let named = |(name, text): (String, String)| (ResourceName::new(name), version(&text));
                    let versions = Arc::new(initial_versions.into_iter().map(named).collect());
                    state.remember_initial(resource_type, &versions, present, is_unsure);
                }
                changed
            }
            Ask::LongDelta(asked) => {
                let changed = match state.subscription.begin(resource_type, first, &asked.subscribe) {
                    Some(changed) => {
                        answers = Some(asked.subscribe.clone());
                        changed
                    }
                    None => state.subscription.delta(resource_type, first, &asked.names(), &[]),
                };
                if first && !asked.initial_versions.is_empty() {
                    self.came_back.now_if(resource_type.is_full_state());
                    state.remember_initial(resource_type, &asked.initial_versions, present, is_unsure);
                }
                changed
            }
            Ask::LongSotw { asked, version } => {
                let has_this = present.is_some_and(|set| message::version_of(&version) == Some(set.version()));
                state.holds_some |= first && !version.is_empty() && !has_this;
                state.brought |= first && !version.is_empty() && resource_type.is_full_state();
                state.claimed = None;
                // What every acknowledgement repeats.
                let is_same = state.subscription.is_just(&asked.subscribe);
                if is_same { Changed::default() } else { state.subscription.sotw(resource_type, &asked.names()) }
            }
            Ask::Sotw { names, version } => {
                let changed = state.subscription.sotw(resource_type, &names);
                let has_this = present.is_some_and(|set| message::version_of(&version) == Some(set.version()));
                state.holds_some |= first && !version.is_empty() && !has_this;
                // Of other types a response may have held a part of the set alone, at the version of the whole.
                let is_everything = resource_type.is_full_state()
                    && state.subscription.is_wildcard()
                    && state.subscription.names().is_empty();
                state.claimed = Version::parse(&version).filter(|_| first && is_everything);
                state.brought |= first && !version.is_empty() && resource_type.is_full_state();
                changed
            }
        };
        let crosses = self.dialect == Dialect::Delta && !state.in_flight.is_empty();
        if changed.wildcard_began && !first {
            // Until now only what was named counted as held.
            state.held.limit_to(&names_before, std::mem::take(&mut state.crossing));
        }
        if crosses && had_wildcard && !state.subscription.is_wildcard() {
            let left = state.held.names().filter(|name| !state.subscription.covers(name.as_str()));
            state.crossing.extend(left.cloned());
        }
        for name in changed.dropped {
            let was_covered = had_wildcard || names_before.contains(&name);
            if crosses && was_covered && state.held.version(name.as_str()).is_some() {
                state.crossing.insert(name.clone());
            }
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
            state.in_flight.forget();
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

    /// What the request says about the response it names.
    fn settle(&mut self, resource_type: ResourceType, nonce: &str, error: Option<String>) -> Verdict {
        let sent = self.types[resource_type].in_flight.settle(nonce);
        match (sent, error) {
            (Some((sent, skipped)), Some(words)) => self.reject(resource_type, &sent, &skipped, &words),
            (None, Some(words)) => Verdict::Nack { message: blame::summary(&words), names: Vec::new() },
            (Some((sent, _)), None) => {
                self.accept(resource_type, &sent);
                Verdict::Ack
            }
            (None, None) => Verdict::None,
        }
    }

    fn reject(&mut self, resource_type: ResourceType, sent: &Sent, skipped: &[Sent], words: &str) -> Verdict {
        let is_full_state = self.dialect == Dialect::Sotw && resource_type.is_full_state();
        let endpoints = self.types[ResourceType::Endpoints].held.base.clone();
        let state = &mut self.types[resource_type];
        let mut rejections = state.rejections.take().unwrap_or_default();
        let mut blamed = blame::named(words, &sent.names);
        // It was on its way when something in it was rejected already: that explains it.
        let is_known = |name: &ResourceName| sent.resource(name).is_some_and(|content| rejections.is_parked(content));
        let is_explained = blamed.is_empty() && sent.names.iter().any(is_known);
        if blamed.is_empty() && !is_explained && sent.due().len() == 1 {
            blamed = sent.due().to_vec();
        }
        let is_alone = !blamed.is_empty();
        let mut park = |name: &ResourceName| {
            let content = sent.resource(name)?;
            let is_certain = !skipped.iter().any(|skipped| skipped.names.contains(name));
            let before = sent.before.get(name.as_str()).filter(|before| is_certain || *before != content);
            let before = rejections.park(content, before, is_alone).filter(|_| is_certain).cloned();
            let endpoints = endpoints.get(name.as_str()).filter(|_| resource_type == ResourceType::Cluster).cloned();
            Some(Contested { content: content.clone(), before, endpoints })
        };
        let message = blame::summary(words);
        if is_alone || is_explained {
            let contested: Vec<Contested> = blamed.iter().filter_map(park).collect();
            if !contested.is_empty() {
                self.testimonies.push(Testimony::Rejected { resource_type, contested, message: message.clone() });
            }
            let others = sent.due().iter().filter(|name| !blamed.contains(name));
            let others = others.filter(|name| state.subscription.covers(name.as_str()));
            state.to_answer.asked(others.cloned());
        } else {
            blamed = sent.due().to_vec();
            blamed.iter().for_each(|name| drop(park(name)));
            rejections.offer_apart(blamed.clone());
        }
        // It may have applied nothing of all this, so what is gone is said again as well.
        let removed = sent.removed().iter().filter(|name| state.subscription.covers(name.as_str()));
        state.to_answer.asked(removed.cloned());
        state.answer_due |= is_full_state && (is_explained || !blamed.is_empty());
        state.rejections = (!rejections.is_empty()).then_some(rejections);
        Verdict::Nack { message, names: blamed }
    }

    fn accept(&mut self, resource_type: ResourceType, sent: &Sent) {
        let doubts = self.target.as_ref().and_then(|target| target.doubts());
        let state = &mut self.types[resource_type];
        if let Some(mut rejections) = state.rejections.take() {
            let accepted = sent.names.iter().filter_map(|name| sent.resource(name));
            accepted.for_each(|content| rejections.accepted(content, doubts, resource_type));
            state.rejections = (!rejections.is_empty()).then_some(rejections);
        }
        for (name, doubt) in doubts.iter().flat_map(|doubts| doubts.of(resource_type)) {
            let version = sent.resource(name).filter(|_| sent.names.contains(name)).map(Resource::version);
            if let Some(version) = version.filter(|version| doubt.asked.contains(version)) {
                self.testimonies.push(Testimony::Accepted { resource_type, name: name.clone(), version });
            }
        }
    }

    /// Says which doubted forms the client has held for long.
    fn testify_of_what_is_held(&mut self) {
        let Some(doubts) = self.target.as_ref().and_then(|target| target.doubts()) else { return };
        for (resource_type, state) in self.types.iter() {
            let doubts = doubts.of(resource_type).iter().filter(|(name, _)| state.subscription.covers(name.as_str()));
            for (name, doubt) in doubts {
                let held = state.held.version(name.as_str()).filter(|version| doubt.asked.contains(version));
                let rejected =
                    |version| state.rejections.as_ref().is_some_and(|known| known.has(name.as_str(), version));
                if let Some(version) = held.filter(|version| !rejected(*version) && !state.in_flight.has(name)) {
                    self.testimonies.push(Testimony::Accepted { resource_type, name: name.clone(), version });
                }
            }
        }
    }

    /// Lets the next of those that were rejected together be offered again, once the client has said what it thinks of
    /// the last.
    fn offer_apart(&mut self, resource_type: ResourceType, now: Instant) {
        let state = &mut self.types[resource_type];
        let Some(rejections) = state.rejections.as_mut().filter(|rejections| rejections.has_apart()) else { return };
        if !state.to_answer.is_empty() {
            return;
        }
        if let Some(until) = state.in_flight.room_at(1, now) {
            return self.wake_at(until);
        }
        // Some may be of no interest any more, all of a list.
        while state.to_answer.is_empty() && rejections.has_apart() {
            let names = rejections.next_apart().into_iter();
            state.to_answer.asked(names.filter(|name| state.subscription.covers(name.as_str())));
        }
    }

    /// What the target says of what the client brought. A client that has exactly this set is sent nothing: equal
    /// versions mean equal bytes, on every replica. Its endpoints are sent again all the same, as after any answer to
    /// clusters. A replica that is sure knows everything, and one that lags at least what it has.
    fn learn(&mut self, resource_type: ResourceType, target: &Snapshot) {
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

    /// Until when a type has to wait, at the latest, before anything of it may be sent.
    fn must_wait(&self, resource_type: ResourceType, target: &Snapshot, now: Instant) -> Option<Instant> {
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
    fn removals_wait(&mut self, target: &Snapshot, now: Instant) -> Option<Wait> {
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

    fn may_be_odd(&self) -> bool {
        let endpoints = &self.types[ResourceType::Endpoints];
        self.oddity == Told::Not && endpoints.subscription.is_active() && !self.types[ResourceType::Cluster].asked
    }

    fn look_for_oddities(&mut self, now: Instant) {
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

    fn respond(
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
        let sent = Sent { nonce: 0, since: now, names: names.clone(), adds, set: set.clone(), before, beside };
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

    /// What differs between what is held and what should be, as far as it is subscribed to.
    fn pending(&self, resource_type: ResourceType, target: &Snapshot, removals: Removals) -> Pending {
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
                for name in names.iter().chain(removed) {
                    state.to_answer.remove(name);
                    let version = set.get(name.as_str()).map(Resource::version);
                    state.held.set(name.clone(), version);
                }
            }
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
        let sent = Sent { nonce: 0, since: now, names, adds, set: set.clone(), before, beside };
        self.hand_out(resource_type, body, count, sent)
    }

    /// Gives a response its nonce, and remembers that it is on its way.
    fn hand_out(&mut self, resource_type: ResourceType, body: Bytes, resources: usize, sent: Sent) -> Response {
        self.last_nonce += 1;
        let nonce = nonce_text(self.last_nonce);
        let state = &mut self.types[resource_type];
        state.answer_due = false;
        state.answered = true;
        state.holds_some = true;
        state.in_flight.push(Sent { nonce: self.last_nonce, ..sent });
        Response { resource_type, body, nonce_field: message::nonce_field(&nonce), nonce, resources }
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

    fn all_endpoints_follow(&mut self) {
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

/// What removals wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// An answer, at the latest until then.
    Until(Instant),
    /// Responses that have to go first, and wait themselves.
    ForOthers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removals {
    /// Not yet.
    Kept,
    /// Now.
    Sent,
}

impl TypeState {
    /// Everything that can be said has been said: of what is not known here, nothing can.
    fn all_answered(&mut self) {
        let Self { to_answer, unknown, .. } = self;
        if unknown.is_empty() {
            to_answer.clear();
        } else {
            to_answer.retain(|name, because| because == Because::Asked && unknown.contains(name));
        }
    }

    /// What the client should have of a name.
    fn offer<'a>(&'a self, resource_type: ResourceType, target: &'a Snapshot, name: &ResourceName) -> Offer<'a> {
        let (rejections, doubts) = (self.rejections.as_deref(), target.doubts().map(|doubts| &**doubts));
        let of = (resource_type, &**target.set(resource_type));
        rejections::offer(rejections, doubts, of, &self.held, name.as_str())
    }

    /// Of the names that are due those of which another form than the set's is sent.
    fn instead(&self, resource_type: ResourceType, target: &Snapshot, names: &[ResourceName]) -> Vec<Resource> {
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
    fn full_state(
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
    fn would_take_the_unknown(&self, set: &ResourceSet) -> bool {
        let names = self.subscription.names();
        let lacks = || names.iter().any(|name| set.get(name.as_str()).is_none());
        self.brought && (self.subscription.is_wildcard() || lacks())
    }

    /// What a client brings from an earlier stream counts where it is the whole state. Endpoints and routes are sent
    /// again in full: Envoy has been seen to report a version and not to have the endpoints. Those asked for by name are
    /// answered anyway; under a wildcard, what is gone has to be removed.
    fn remember_initial(
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

impl CameBack {
    fn now_if(&mut self, condition: bool) {
        if condition {
            *self = Self::Now;
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
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

/// Cuts the lists where a response would get too large. Returns whether nothing was cut.
fn split(
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
