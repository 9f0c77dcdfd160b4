//! One step of a stream, shared: from the same state to the same set, ten thousand streams say the same.
//!
//! What a stream says next follows from what it holds, what it subscribes to, what it has to answer and what it should
//! hold. All of these are shared values where streams are alike, so that they can be told apart by where they lie. The
//! first stream works the step out; the others take it. A step that was forgotten is worked out again.

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::Arc,
};

use bytes::Bytes;

use super::{
    dialect::Dialect,
    held::Held,
    in_flight::Beside,
    subscription::{Names, Subscription},
    to_answer::ToAnswer,
};
use crate::{
    model::ResourceName,
    resources::{Doubts, ResourceSet, ResourceType},
};

/// What a step follows from.
#[derive(Debug, Clone)]
pub(super) struct From {
    pub dialect: Dialect,
    pub resource_type: ResourceType,
    pub removals_may_go: bool,
    pub answer_due: bool,
    pub held: Held,
    pub wildcard: bool,
    pub names: Names,
    /// Whether all these names have to be answered; otherwise none.
    pub answers_all: bool,
    pub set: Arc<ResourceSet>,
    /// What is doubted of the snapshot: almost always nothing.
    pub doubts: Option<Arc<Doubts>>,
}

/// What is said, and what is so afterwards.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Absent = nothing.
    pub said: Option<Said>,
    pub held: Held,
    pub to_answer: ToAnswer,
    pub unfinished: bool,
}

/// A response before it has a nonce.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub body: Bytes,
    pub names: Arc<[ResourceName]>,
    pub resources: usize,
    pub adds: bool,
    pub beside: Option<Arc<Beside>>,
}

impl From {
    /// Absent where a stream has something that others do not share: it would not be found again.
    pub fn of(
        dialect: Dialect,
        resource_type: ResourceType,
        subscription: &Subscription,
        held: &Held,
        to_answer: &ToAnswer,
        set: &Arc<ResourceSet>,
    ) -> Option<Self> {
        let names = subscription.names();
        let answers_all = !to_answer.is_empty() && to_answer.is(names);
        // A full state is more than what is new in it, and only that is followed by endpoints.
        let is_full_state = dialect == Dialect::Sotw && resource_type.is_full_state();
        let is_shared = (to_answer.is_empty() || answers_all) && held.is_shared() && !is_full_state;
        is_shared.then(|| Self {
            dialect,
            resource_type,
            removals_may_go: false,
            answer_due: false,
            held: held.clone(),
            wildcard: subscription.is_wildcard(),
            names: names.clone(),
            answers_all,
            set: set.clone(),
            doubts: None,
        })
    }

    /// The values are held, so none of them can lie where another lay before.
    fn is(&self, other: &Self) -> bool {
        let Self { dialect, resource_type, removals_may_go, answer_due, held, wildcard, names, answers_all, .. } = self;
        let Self { set, doubts, .. } = self;
        let same_names = Arc::ptr_eq(names, &other.names) || (names.is_empty() && other.names.is_empty());
        Arc::ptr_eq(set, &other.set)
            && same_names
            && held.is_same(&other.held)
            && doubts.as_ref().map(Arc::as_ptr) == other.doubts.as_ref().map(Arc::as_ptr)
            && (dialect, resource_type) == (&other.dialect, &other.resource_type)
            && (removals_may_go, answer_due) == (&other.removals_may_go, &other.answer_due)
            && (wildcard, answers_all) == (&other.wildcard, &other.answers_all)
    }

    /// Equal for what [`From::is`] calls the same.
    fn place(&self) -> u64 {
        let Self { resource_type, held, names, set, .. } = self;
        let mut hasher = DefaultHasher::new();
        let lies_at = |is_empty: bool, pointer: *const u8| if is_empty { std::ptr::null() } else { pointer };
        (*resource_type as u8, Arc::as_ptr(set)).hash(&mut hasher);
        lies_at(held.base.is_empty(), Arc::as_ptr(&held.base).cast()).hash(&mut hasher);
        lies_at(names.is_empty(), Arc::as_ptr(names).cast()).hash(&mut hasher);
        hasher.finish()
    }
}

/// How many steps are kept: a few for each of many groups.
const KEPT: usize = 512;

/// How many bytes of responses they may have: enough for the first answers of a large mesh.
const BYTES_KEPT: usize = 32 * 1024 * 1024;

/// The steps that were taken lately.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: HashMap<u64, (From, Step)>,
    /// The oldest first.
    order: VecDeque<u64>,
    bytes: usize,
}

impl Steps {
    pub fn find(&self, from: &From) -> Option<Step> {
        let (known, step) = self.steps.get(&from.place())?;
        known.is(from).then(|| step.clone())
    }

    pub fn remember(&mut self, from: From, step: Step) {
        let place = from.place();
        self.bytes += step.bytes();
        match self.steps.insert(place, (from, step)) {
            Some((_, replaced)) => self.bytes -= replaced.bytes(),
            None => self.order.push_back(place),
        }
        while self.steps.len() > KEPT || self.bytes > BYTES_KEPT {
            let Some((_, step)) = self.order.pop_front().and_then(|place| self.steps.remove(&place)) else { break };
            self.bytes -= step.bytes();
        }
    }
}

impl Step {
    fn bytes(&self) -> usize {
        self.said.as_ref().map_or(0, |said| said.body.len())
    }
}
