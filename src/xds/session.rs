//! One stream's protocol state: requests, snapshots and instants in; responses out.
//!
//! What always holds:
//! - Responses go out in push order: clusters, their endpoints, listeners, routes. Removals of clusters and endpoints
//!   come last, once the routes that led to them are gone.
//! - A cluster that is sent is followed by its endpoints, changed or not: Envoy warms a changed cluster until they
//!   come again, and asks for nothing. Nothing ever waits for the acknowledgement of a cluster to send endpoints,
//!   since Envoy withholds it until they came.
//! - Every name that is subscribed to is answered, with the resource or with its absence.
//! - What a client rejected is what it was sent: it stays as it is until the content differs.
//! - One response of a type is in flight at a time, and never for ever: a newer request, or time, lets the next go.
//!
//! It knows no runtime, no clock and no transport: instants are given.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

pub use super::dialect::Dialect;
use super::{
    changes::{BodyKey, Shared},
    held::Held,
    message::{self, Content},
    subscription::Subscription,
};
use crate::{
    model::ResourceName,
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot, Version},
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
        /// The client's words.
        message: String,
        /// Some of the names the response had.
        names: Vec<ResourceName>,
    },
}

/// How long routes and listeners wait for new clusters to be warm. Envoy gives a resource 15 s itself.
const WARMING: Duration = Duration::from_secs(15);

/// How long a response may stay unanswered before the next one goes all the same.
const UNANSWERED: Duration = Duration::from_secs(5);

/// gRPC clients take 4 MiB at most by default; what is longer is split, which delta allows.
const LARGEST_RESPONSE: usize = 3 * 1024 * 1024;

/// All mutable state of one stream.
#[derive(Debug)]
pub struct Session {
    dialect: Dialect,
    shared: Arc<Shared>,
    target: Option<Arc<Snapshot>>,
    types: PerType<TypeState>,
    last_nonce: u64,
}

#[derive(Debug, Default)]
struct TypeState {
    asked: bool,
    subscription: Subscription,
    held: Held,
    /// Answered next, whatever is held.
    to_answer: BTreeSet<ResourceName>,
    /// Something must be said even if there is nothing: Envoy waits for the first answer to a wildcard.
    answer_due: bool,
    /// The version of the whole set that the client says it has from an earlier stream (state of the world).
    claimed: Option<Version>,
    in_flight: VecDeque<InFlight>,
    answered: bool,
}

#[derive(Debug)]
struct InFlight {
    nonce: u64,
    since: Instant,
    names: Vec<ResourceName>,
    /// Whether it had resources that the client did not hold before.
    adds: bool,
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
        Self { dialect, shared, target: None, types: PerType::default(), last_nonce: 0 }
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

    /// Takes the snapshot the client should come to hold.
    pub fn set_target(&mut self, target: Arc<Snapshot>) {
        for (resource_type, state) in self.types.iter_mut() {
            state.check_claim(target.set(resource_type));
        }
        self.target = Some(target);
    }

    /// Takes a request.
    pub fn on_request(&mut self, resource_type: ResourceType, request: Request) -> Verdict {
        let Request { nonce, error, ask } = request;
        let first = !self.types[resource_type].asked;
        let verdict = self.settle(resource_type, &nonce, error);
        let set = self.target.as_ref().map(|target| target.set(resource_type).clone());
        let state = &mut self.types[resource_type];
        state.asked = true;
        let changed = match ask {
            Ask::Delta { subscribe, unsubscribe, initial_versions } => {
                if first {
                    state.remember_initial(resource_type, initial_versions);
                }
                state.subscription.delta(resource_type, first, &subscribe, &unsubscribe)
            }
            Ask::Sotw { names, version } => {
                let changed = state.subscription.sotw(resource_type, &names);
                let is_everything = state.subscription.is_wildcard() && state.subscription.names().is_empty();
                state.claimed = Version::parse(&version).filter(|_| first && is_everything);
                changed
            }
        };
        for name in changed.dropped {
            state.to_answer.remove(&name);
            state.held.forget(name);
        }
        state.to_answer.extend(changed.to_answer);
        state.answer_due |= changed.wildcard_began;
        if let Some(set) = set {
            state.check_claim(&set);
        }
        if !state.subscription.names().is_empty() {
            let shared = self.shared.intern(state.subscription.names());
            state.subscription.share_names(shared);
        }
        verdict
    }

    /// The next response, if there is one to be sent now.
    pub fn next_response(&mut self, now: Instant) -> Option<Response> {
        let target = self.target.clone()?;
        let order = ResourceType::ALL;
        let ready = |session: &Self, resource_type| !session.must_wait(resource_type, now);
        for resource_type in order {
            if ready(self, resource_type)
                && let Some(response) = self.respond(resource_type, &target, Removals::Kept, now)
            {
                return Some(response);
            }
        }
        if self.removals_may_go(&target, now) {
            for resource_type in order {
                if ready(self, resource_type)
                    && let Some(response) = self.respond(resource_type, &target, Removals::Sent, now)
                {
                    return Some(response);
                }
            }
        }
        None
    }

    /// When to ask for a response again even if nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        let unanswered =
            |(_, state): (ResourceType, &TypeState)| state.in_flight.front().map(|sent| sent.since + UNANSWERED);
        let warming = self.types[ResourceType::Cluster].in_flight.front().map(|sent| sent.since + WARMING);
        self.types.iter().filter_map(unanswered).chain(warming).min()
    }

    /// Whether responses are on their way that were not answered yet.
    pub fn is_settled(&self) -> bool {
        self.types.iter().all(|(_, state)| state.in_flight.is_empty())
    }

    /// What the request says about the response it names.
    fn settle(&mut self, resource_type: ResourceType, nonce: &str, error: Option<String>) -> Verdict {
        let state = &mut self.types[resource_type];
        let position = state.in_flight.iter().position(|sent| nonce_text(sent.nonce) == nonce);
        let sent = position.and_then(|position| state.in_flight.remove(position));
        match (sent, error) {
            (sent, Some(message)) => Verdict::Nack { message, names: sent.map(|sent| sent.names).unwrap_or_default() },
            (Some(_), None) => Verdict::Ack,
            (None, None) => Verdict::None,
        }
    }

    /// Whether a type has to wait before anything of it may be sent.
    fn must_wait(&self, resource_type: ResourceType, now: Instant) -> bool {
        let state = &self.types[resource_type];
        let recent = |sent: &&InFlight| now < sent.since + UNANSWERED;
        let in_flight = state.in_flight.iter().filter(recent).count();
        let warming = || {
            let clusters = &self.types[ResourceType::Cluster];
            clusters.in_flight.iter().any(|sent| sent.adds && now < sent.since + WARMING)
        };
        match resource_type {
            // Envoy withholds the acknowledgement while anything warms, and takes the next response all the same.
            ResourceType::Cluster => false,
            ResourceType::Endpoints => in_flight > 0,
            // A route to a cluster that is not warm answers 503. What a client was never sent cannot be torn.
            ResourceType::Listener => in_flight > 0 || (state.answered && warming()),
            // Each goes alone, so that a bad one stops no good one; several may be on their way.
            ResourceType::Route => in_flight >= 64 || (state.answered && warming()),
        }
    }

    /// Whether nothing leads any more to what is to be removed.
    fn removals_may_go(&self, target: &Snapshot, now: Instant) -> bool {
        [ResourceType::Listener, ResourceType::Route].into_iter().all(|resource_type| {
            let state = &self.types[resource_type];
            let waiting = state.in_flight.iter().any(|sent| now < sent.since + UNANSWERED);
            let pending = self.pending(resource_type, target.set(resource_type), Removals::Sent);
            !waiting && (!state.subscription.is_active() || pending.is_empty())
        })
    }

    fn respond(
        &mut self,
        resource_type: ResourceType,
        target: &Arc<Snapshot>,
        removals: Removals,
        now: Instant,
    ) -> Option<Response> {
        let set = target.set(resource_type);
        let state = &self.types[resource_type];
        let nothing_new = state.held.is(set) && state.to_answer.is_empty() && !state.answer_due;
        if !state.subscription.is_active() || nothing_new {
            return None;
        }
        let pending = self.pending(resource_type, set, removals);
        if pending.is_empty() && !state.answer_due {
            self.types[resource_type].held.rebase(set, pending.kept);
            return None;
        }
        match self.dialect {
            Dialect::Delta => Some(self.respond_delta(resource_type, set, pending, now)),
            Dialect::Sotw => self.respond_sotw(resource_type, set, pending, now),
        }
    }

    /// What differs between what is held and what should be, as far as it is subscribed to.
    fn pending(&self, resource_type: ResourceType, set: &Arc<ResourceSet>, removals: Removals) -> Pending {
        let state = &self.types[resource_type];
        let keeps = removals == Removals::Kept && resource_type.is_removed_last();
        let mut pending = Pending::default();
        let mut consider = |name: &ResourceName, forced: bool| {
            let wanted = set.get(name.as_str()).map(Resource::version);
            let held = state.held.version(name.as_str());
            match (wanted, held) {
                (Some(wanted), held) if forced || held != Some(wanted) => pending.set.push(name.clone()),
                (Some(_), _) => {}
                (None, Some(_)) if keeps && !forced => pending.kept.push(name.clone()),
                (None, Some(_)) => pending.removed.push(name.clone()),
                (None, None) if forced => pending.removed.push(name.clone()),
                (None, None) => {}
            }
        };
        for name in &state.to_answer {
            consider(name, true);
        }
        let may_differ =
            |name: &&ResourceName| !state.to_answer.contains(*name) && state.subscription.covers(name.as_str());
        if !Arc::ptr_eq(&state.held.base, set) {
            let difference = self.shared.difference(&state.held.base, set);
            let unlisted = difference.iter().filter(may_differ).filter(|name| !state.held.except.contains_key(*name));
            unlisted.for_each(|name| consider(name, false));
        }
        state.held.except.keys().filter(may_differ).for_each(|name| consider(name, false));
        pending
    }

    fn respond_delta(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        pending: Pending,
        now: Instant,
    ) -> Response {
        let Pending { set: mut names, removed, kept } = pending;
        let whole = split(&mut names, set, resource_type);
        let resources: Vec<&Resource> = names.iter().filter_map(|name| set.get(name.as_str())).collect();
        let removed = if whole { removed } else { Vec::new() };
        let state = &self.types[resource_type];
        let adds = names.iter().any(|name| state.held.version(name.as_str()).is_none());
        let response = self.send(resource_type, set, resources, &removed, adds, now);
        let state = &mut self.types[resource_type];
        for name in names.iter().chain(&removed) {
            state.to_answer.remove(name);
        }
        if whole {
            state.held.rebase(set, kept);
        } else {
            for name in &names {
                let version = set.get(name.as_str()).map(Resource::version);
                state.held.set(name.clone(), version);
            }
        }
        self.endpoints_follow(resource_type, &names);
        response
    }

    /// Clusters and listeners are the full state: what is missing is deleted. Of the other types what changed
    /// suffices, and absence cannot be said.
    fn respond_sotw(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        pending: Pending,
        now: Instant,
    ) -> Option<Response> {
        let Pending { set: mut names, removed, kept } = pending;
        if resource_type.is_full_state() {
            let base = with_kept(set, &self.types[resource_type].held.base, &kept);
            let state = &self.types[resource_type];
            let adds = names.iter().any(|name| state.held.version(name.as_str()).is_none());
            let covered: Vec<&Resource> =
                base.iter().filter(|resource| state.subscription.covers(resource.name().as_str())).collect();
            let response = self.send(resource_type, &base, covered, &[], adds, now);
            let state = &mut self.types[resource_type];
            state.to_answer.clear();
            state.held.rebase(&base, []);
            self.endpoints_follow(resource_type, &names);
            return Some(response);
        }
        let whole = split(&mut names, set, resource_type);
        let resources: Vec<&Resource> = names.iter().filter_map(|name| set.get(name.as_str())).collect();
        let response = (!resources.is_empty()).then(|| self.send(resource_type, set, resources, &[], false, now));
        let state = &mut self.types[resource_type];
        state.answer_due = false;
        for name in names.iter().chain(&removed) {
            state.to_answer.remove(name);
        }
        if whole {
            state.held.rebase(set, kept);
        } else {
            for name in names {
                let version = set.get(name.as_str()).map(Resource::version);
                state.held.set(name, version);
            }
        }
        response
    }

    fn send(
        &mut self,
        resource_type: ResourceType,
        set: &Arc<ResourceSet>,
        resources: Vec<&Resource>,
        removed: &[ResourceName],
        adds: bool,
        now: Instant,
    ) -> Response {
        const NAMES_REMEMBERED: usize = 8;
        self.last_nonce += 1;
        let nonce = nonce_text(self.last_nonce);
        let names = resources.iter().map(|resource| resource.name()).take(NAMES_REMEMBERED).cloned().collect();
        let count = resources.len();
        let version = set.version();
        let content = Content { dialect: self.dialect, resource_type, version, resources, removed: removed.to_vec() };
        let body = self.shared.body(body_key(&content), || content.encode());
        let state = &mut self.types[resource_type];
        state.answer_due = false;
        state.answered = true;
        // What was never answered in time is history.
        state.in_flight.retain(|sent| now < sent.since + WARMING);
        state.in_flight.push_back(InFlight { nonce: self.last_nonce, since: now, names, adds });
        Response { resource_type, body, nonce_field: message::nonce_field(&nonce), nonce, resources: count }
    }

    /// A cluster that was sent warms until its endpoints come again. An assignment is called as its cluster is.
    fn endpoints_follow(&mut self, resource_type: ResourceType, names: &[ResourceName]) {
        if resource_type == ResourceType::Cluster {
            let endpoints = &mut self.types[ResourceType::Endpoints];
            let watched = names.iter().filter(|name| endpoints.subscription.covers(name.as_str()));
            let watched: Vec<ResourceName> = watched.cloned().collect();
            endpoints.to_answer.extend(watched);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Removals {
    /// Not yet.
    Kept,
    /// Now.
    Sent,
}

impl TypeState {
    /// A client that has exactly this set is sent nothing: equal versions mean equal bytes, on every replica.
    fn check_claim(&mut self, set: &Arc<ResourceSet>) {
        if self.claimed.take() == Some(set.version()) {
            self.held.rebase(set, []);
            self.answer_due = false;
            self.answered = true;
        }
    }

    /// What a client brings from an earlier stream counts where it is the whole state. Endpoints and routes are sent
    /// again in full: Envoy has been seen to report a version and not to have the endpoints.
    fn remember_initial(&mut self, resource_type: ResourceType, versions: BTreeMap<String, String>) {
        if resource_type.is_full_state() {
            // A version that is not one of ours differs from all of ours.
            let version = |text: &str| Some(Version::parse(text).unwrap_or_default());
            let held = versions.iter().map(|(name, text)| (ResourceName::new(name.as_str()), version(text)));
            self.held.except = held.collect();
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.set.is_empty() && self.removed.is_empty()
    }
}

/// Cuts the list where a response would get too large. Returns whether nothing was cut.
fn split(names: &mut Vec<ResourceName>, set: &ResourceSet, resource_type: ResourceType) -> bool {
    let most = match resource_type {
        // With several RouteConfigurations in a response, a bad one also stops some of the good.
        ResourceType::Route => 1,
        ResourceType::Cluster | ResourceType::Endpoints | ResourceType::Listener => usize::MAX,
    };
    let mut size = 0;
    let fits = names.iter().take(most).take_while(|name| {
        size += set.get(name.as_str()).map_or(0, |resource| resource.delta_entry().len());
        size <= LARGEST_RESPONSE
    });
    let keep = fits.count().max(1);
    let whole = keep >= names.len();
    names.truncate(keep);
    whole
}

/// The set, and what is not to be removed yet.
fn with_kept(set: &Arc<ResourceSet>, held: &ResourceSet, kept: &[ResourceName]) -> Arc<ResourceSet> {
    if kept.is_empty() {
        return set.clone();
    }
    let mut with_kept = (**set).clone();
    for resource in kept.iter().filter_map(|name| held.get(name.as_str())) {
        with_kept.insert(resource.clone());
    }
    Arc::new(with_kept)
}

/// Versions are hashes of contents, so their sum stands for the contents.
fn body_key(content: &Content<'_>) -> BodyKey {
    let Content { dialect, resource_type, version, resources, removed } = content;
    let sum = resources
        .iter()
        .fold(version.as_u128(), |sum, resource| sum.rotate_left(1).wrapping_add(resource.version().as_u128()));
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    for name in removed {
        hasher.update(name.as_str().as_bytes());
        hasher.update(&[0]);
    }
    hasher.update(&[*dialect as u8, *resource_type as u8]);
    BodyKey(sum, hasher.digest() ^ resources.len() as u64)
}

fn nonce_text(nonce: u64) -> String {
    format!("{nonce:x}")
}
