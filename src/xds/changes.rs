//! Work that streams share: what differs between two sets, the bodies of responses, lists of names.
//!
//! Thousands of streams walk from the same set to the same set; what differs is found once, and the response that
//! says so is put together once. The caches are small and hold what the latest pushes need; losing an entry costs
//! work and nothing else. Locks are held for a look-up, never across an await.

use std::{
    collections::{HashMap, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, Weak},
};

use bytes::Bytes;

use super::{
    asked::AskedBefore,
    step::{self, Step, Steps},
    subscription::Names,
};
use crate::{
    model::ResourceName,
    publish::lock,
    resources::{Change, ResourceSet},
};

/// How many recent differences and bodies are kept.
const KEPT: usize = 32;

/// How many bytes of bodies are kept at most: enough for the first answers of a large mesh.
const BYTES_KEPT: usize = 16 * 1024 * 1024;

/// gRPC clients take 4 MiB at most by default; what is longer is split, which delta allows.
const LARGEST_RESPONSE: usize = 3 * 1024 * 1024;

/// What streams share.
#[derive(Debug)]
pub struct Shared {
    /// Who answers: the server's name and build, in each response. Empty = it is not said.
    pub(super) identity: String,
    /// How many bytes of resources go into a response that can be split.
    pub(super) largest_response: usize,
    /// Long lists of requests.
    pub(super) asked: AskedBefore,
    steps: Mutex<Steps>,
    differences: Mutex<VecDeque<Difference>>,
    bodies: Mutex<VecDeque<(BodyKey, SharedBody)>>,
    names: Mutex<HashMap<u64, Weak<std::collections::BTreeSet<ResourceName>>>>,
    /// How often a difference was worked out, for tests that count work.
    pub differences_computed: std::sync::atomic::AtomicU64,
    /// How often a body was put together, for tests that count work.
    pub bodies_built: std::sync::atomic::AtomicU64,
}

/// The names that differ between two sets. The sets are held, so that their addresses stand for them.
#[derive(Debug)]
struct Difference {
    before: Arc<ResourceSet>,
    after: Arc<ResourceSet>,
    names: Arc<[ResourceName]>,
}

/// A body, and the names of the resources in it.
#[derive(Debug, Clone)]
pub(super) struct SharedBody {
    pub bytes: Bytes,
    pub names: Arc<[ResourceName]>,
}

/// What a body consists of: equal keys, equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BodyKey(pub u128, pub u128);

impl Default for Shared {
    fn default() -> Self {
        Self {
            identity: String::new(),
            largest_response: LARGEST_RESPONSE,
            asked: AskedBefore::default(),
            steps: Mutex::default(),
            differences: Mutex::default(),
            bodies: Mutex::default(),
            names: Mutex::default(),
            differences_computed: std::sync::atomic::AtomicU64::default(),
            bodies_built: std::sync::atomic::AtomicU64::default(),
        }
    }
}

impl Shared {
    /// Of a server that tells its clients who it is.
    pub fn of(identity: String) -> Self {
        Self { identity, ..Self::default() }
    }

    /// Splits what is longer than this many bytes, in place of 3 MiB.
    #[must_use]
    pub fn with_largest_response(self, largest_response: usize) -> Self {
        Self { largest_response, ..self }
    }

    /// A step that another stream has taken.
    pub(super) fn step(&self, from: &step::From) -> Option<Step> {
        lock(&self.steps).find(from)
    }

    /// For the streams that come after.
    pub(super) fn remember_step(&self, from: step::From, step: Step) {
        lock(&self.steps).remember(from, step);
    }

    /// The names that differ, sorted.
    pub(super) fn difference(&self, before: &Arc<ResourceSet>, after: &Arc<ResourceSet>) -> Arc<[ResourceName]> {
        let mut kept = lock(&self.differences);
        let same = |a: &Arc<ResourceSet>, b: &Arc<ResourceSet>| Arc::ptr_eq(a, b) || (a.is_empty() && b.is_empty());
        let known = kept.iter().find(|known| same(&known.before, before) && same(&known.after, after));
        if let Some(known) = known {
            return known.names.clone();
        }
        self.differences_computed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let names: Arc<[ResourceName]> = after
            .changed_since(before)
            .map(|change| match change {
                Change::Set(resource) => resource.name().clone(),
                Change::Removed(name) => name.clone(),
            })
            .collect();
        push(&mut kept, Difference { before: before.clone(), after: after.clone(), names: names.clone() });
        names
    }

    /// The body with that key.
    pub(super) fn body(&self, key: BodyKey, build: impl FnOnce() -> SharedBody) -> SharedBody {
        let mut kept = lock(&self.bodies);
        if let Some((_, body)) = kept.iter().find(|(known, _)| *known == key) {
            return body.clone();
        }
        self.bodies_built.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let body = build();
        push(&mut kept, (key, body.clone()));
        while kept.iter().map(|(_, body)| body.bytes.len()).sum::<usize>() > BYTES_KEPT {
            kept.pop_front();
        }
        body
    }

    /// The one value that stands for these names.
    pub(super) fn intern(&self, names: &Names) -> Names {
        let mut hasher = DefaultHasher::new();
        names.hash(&mut hasher);
        let mut known = lock(&self.names);
        let entry = known.entry(hasher.finish()).or_default();
        match entry.upgrade() {
            Some(shared) if shared == *names => shared,
            _ => {
                *entry = Arc::downgrade(names);
                if known.len() > 1024 {
                    known.retain(|_, names| names.strong_count() > 0);
                }
                names.clone()
            }
        }
    }
}

fn push<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() == KEPT {
        kept.pop_front();
    }
    kept.push_back(new);
}
