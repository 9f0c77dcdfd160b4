//! One step of a stream, shared: from the same state to the same set, ten thousand streams say the same.
//!
//! What a stream says next follows from what it holds, what it subscribes to, what it has to answer and what it should
//! hold. All of these are shared values where streams are alike, so that they can be told apart by where they lie. The
//! first stream works the step out; the others take it. A step that was forgotten is worked out again.
//!
//! A step keeps the sets it is between alive. So steps to a set go as soon as one from it to a later set is known: the
//! streams that are still behind go to the later one. Under steady churn the sets of minutes would be kept otherwise.
//! What no stream goes on from, as where all of a group came once, goes by age and size.

use std::{
    collections::{
        HashMap, VecDeque,
        hash_map::{DefaultHasher, Entry},
    },
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

    /// Of steps to one set: equal for what [`From::is`] calls the same.
    fn place(&self) -> u64 {
        let Self { resource_type, held, names, .. } = self;
        let mut hasher = DefaultHasher::new();
        let lies_at = |is_empty: bool, pointer: *const u8| if is_empty { std::ptr::null() } else { pointer };
        (*resource_type as u8).hash(&mut hasher);
        lies_at(held.base.is_empty(), Arc::as_ptr(&held.base).cast()).hash(&mut hasher);
        lies_at(names.is_empty(), Arc::as_ptr(names).cast()).hash(&mut hasher);
        hasher.finish()
    }
}

/// Where a set lies: its own place as long as somebody holds it, as each step does with the set it leads to.
fn address(set: &Arc<ResourceSet>) -> usize {
    Arc::as_ptr(set) as usize
}

/// How many steps are kept: a few for each of many groups.
const KEPT: usize = 512;

/// How many bytes of responses they may have: enough for the first answers of a large mesh.
const BYTES_KEPT: usize = 32 * 1024 * 1024;

/// The steps that were taken lately.
#[derive(Debug, Default)]
pub(super) struct Steps {
    /// By the address of the set they lead to, then by their place.
    leading_to: HashMap<usize, HashMap<u64, (From, Step)>>,
    /// Address and place of each, the oldest first.
    order: VecDeque<(usize, u64)>,
    bytes: usize,
}

impl Steps {
    pub fn find(&self, from: &From) -> Option<Step> {
        let (known, step) = self.leading_to.get(&address(&from.set))?.get(&from.place())?;
        known.is(from).then(|| step.clone())
    }

    pub fn remember(&mut self, from: From, step: Step) {
        self.forget_superseded(&from);
        let (set, place) = (address(&from.set), from.place());
        self.bytes += step.bytes();
        match self.leading_to.entry(set).or_default().insert(place, (from, step)) {
            Some((_, replaced)) => self.bytes -= replaced.bytes(),
            None => self.order.push_back((set, place)),
        }
        while self.order.len() > KEPT || self.bytes > BYTES_KEPT {
            let Some((set, place)) = self.order.pop_front() else { break };
            self.forget(set, place);
        }
    }

    fn forget(&mut self, set: usize, place: u64) {
        let Entry::Occupied(mut steps) = self.leading_to.entry(set) else { return };
        self.bytes -= steps.get_mut().remove(&place).map_or(0, |(_, step)| step.bytes());
        if steps.get().is_empty() {
            steps.remove();
        }
    }

    /// Steps to the set that is left. Almost always there are none any more, and this is a look-up.
    fn forget_superseded(&mut self, From { held: Held { base: left, .. }, set, .. }: &From) {
        if left.is_empty() || Arc::ptr_eq(left, set) {
            return;
        }
        let Some(steps) = self.leading_to.remove(&address(left)) else { return };
        self.bytes -= steps.values().map(|(_, step)| step.bytes()).sum::<usize>();
        self.order.retain(|(set, _)| *set != address(left));
    }
}

impl Step {
    fn bytes(&self) -> usize {
        self.said.as_ref().map_or(0, |said| said.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::Resource;

    fn set(content: &str) -> Arc<ResourceSet> {
        let name = ResourceName::new("orders:80");
        Arc::new([Resource::from_body(ResourceType::Endpoints, name, content.as_bytes())].into_iter().collect())
    }

    fn from(before: &Arc<ResourceSet>, after: &Arc<ResourceSet>) -> From {
        From {
            dialect: Dialect::Delta,
            resource_type: ResourceType::Endpoints,
            removals_may_go: true,
            answer_due: false,
            held: Held { base: before.clone(), except: Arc::default() },
            wildcard: true,
            names: Names::default(),
            answers_all: false,
            set: after.clone(),
            doubts: None,
        }
    }

    fn step(after: &Arc<ResourceSet>) -> Step {
        let said =
            Said { body: Bytes::from_static(b"body"), names: Arc::default(), resources: 1, adds: false, beside: None };
        let held = Held { base: after.clone(), except: Arc::default() };
        Step { said: Some(said), held, to_answer: ToAnswer::default(), unfinished: false }
    }

    #[test]
    fn steps_to_a_set_go_once_one_leaves_it() {
        let [nothing, first, second, third] = [Arc::default(), set("1"), set("2"), set("3")];
        let mut steps = Steps::default();
        let taken = [(&nothing, &first), (&first, &first), (&first, &second), (&nothing, &second), (&second, &third)];
        for (before, after) in taken {
            steps.remember(from(before, after), step(after));
        }
        let known = |before, after| steps.find(&from(before, after)).is_some();
        let behind = [(&nothing, &first), (&first, &first), (&first, &second), (&nothing, &second)];
        assert!(behind.into_iter().all(|(before, after)| !known(before, after)));
        assert!(known(&second, &third));
        assert_eq!((steps.leading_to.len(), steps.order.len(), steps.bytes), (1, 1, 4));
        assert_eq!(Arc::strong_count(&first), 1, "nobody keeps the first set alive");
    }

    #[test]
    fn churn_keeps_no_more_sets_than_the_latest_two() {
        let sets: Vec<_> = (0..100).map(|number| set(&number.to_string())).collect();
        let mut steps = Steps::default();
        for pair in sets.windows(2) {
            steps.remember(from(&pair[0], &pair[1]), step(&pair[1]));
            steps.remember(from(&pair[1], &pair[1]), step(&pair[1]));
        }
        let alive = sets.iter().filter(|set| Arc::strong_count(set) > 1).count();
        assert_eq!(alive, 2);
    }

    #[test]
    fn the_oldest_go_where_too_many_are_kept() {
        let sets: Vec<_> = (0..=KEPT).map(|number| set(&number.to_string())).collect();
        let mut steps = Steps::default();
        for set in &sets {
            steps.remember(from(&Arc::default(), set), step(set));
        }
        let known = |set| steps.find(&from(&Arc::default(), set)).is_some();
        assert!(!known(&sets[0]) && sets[1..].iter().all(known));
        assert_eq!((steps.leading_to.len(), steps.order.len(), steps.bytes), (KEPT, KEPT, 4 * KEPT));
    }
}
