//! What policies say of requests that a rule leads on, whatever dialect the rule is of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Destinations,
    destination::{Found, only_service},
};
use crate::{
    model::{
        ClusterName, Port, Service,
        policy::{HashKey, Repeats, Retry, RoutePolicy},
    },
    policy::{document::Document, leaves::Path, merge::Leaf, resolve::shapes_route},
};

/// Who says what of a rule, while it is put together.
#[derive(Debug, Default)]
pub(super) struct Origins {
    /// The settings that count.
    pub settings: BTreeMap<Path, Leaf>,
    /// What policies say of the route in vain, since the rule says it.
    pub replaced: BTreeMap<Path, Leaf>,
    /// Every document that has a say, by name.
    pub documents: BTreeSet<Arc<str>>,
}

impl Origins {
    /// Of a rule of this document.
    pub fn of(document: &Document) -> Self {
        Self { documents: BTreeSet::from([document.name().into()]), ..Self::default() }
    }

    /// The rule says a setting at a field of its document.
    pub fn say(&mut self, path: String, value: Value, document: &Arc<Document>, field: String) {
        self.take_back(&path);
        self.settings.insert(path, Leaf { value, document: document.clone(), field });
    }

    /// What policies say at a path, or below it, does not count.
    pub fn take_back(&mut self, path: &str) {
        let is_meant = |said: &Path, _: &mut Leaf| {
            said.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.replaced.extend(self.settings.extract_if(.., is_meant));
    }

    fn policies_say(&mut self, path: &str, leaf: &Leaf) {
        self.settings.entry(path.to_owned()).or_insert_with(|| leaf.clone());
        self.documents.insert(leaf.document.name().into());
    }
}

/// Timeouts and retries by the policies of the service that a rule leads to: of a split over several services, of the
/// one that was dialled. `written` is how many destinations the rule names, `found` those that are there.
pub(super) fn base_policy<'a>(
    destinations: &mut Destinations<'a, '_>,
    (service, port): (&'a Service, &Port),
    written: usize,
    found: &[Arc<Found>],
    origins: &mut Origins,
) -> RoutePolicy {
    let base = match found {
        [only] if written == 1 => Some(only.clone()),
        // Of a split over subsets of one service, what is said of all of it.
        [first, ..] if found.len() == written && only_service(found.iter().map(|found| &**found)).is_some() => {
            let whole = ClusterName { subset: None, ..first.cluster.clone() };
            destinations.of_cluster(&whole)
        }
        _ => None,
    };
    let Some(base) = base.or_else(|| destinations.cluster(service, port, None).ok()) else {
        return RoutePolicy::default();
    };
    let said = base.merged.settings.iter().filter(|(path, _)| shapes_route(path));
    origins.settings.extend(said.map(|(path, decided)| (path.clone(), decided.leaf.clone())));
    base.effective.route.clone()
}

/// What of a request is hashed, for any of the destinations.
pub(super) fn hash_keys(found: &[Arc<Found>], origins: &mut Origins) -> Vec<HashKey> {
    let mut hash_keys = Vec::new();
    for found in found {
        for key in found.hash_keys() {
            if !hash_keys.contains(key) {
                hash_keys.push(key.clone());
            }
        }
        let said = found.merged.settings.iter();
        let hashing = said.filter(|(path, _)| path.starts_with("loadBalancer.") && shapes_route(path));
        for (path, decided) in hashing {
            origins.policies_say(path, &decided.leaf);
        }
    }
    hash_keys
}

/// What Istio retries a request for unless a VirtualService says otherwise.
const ISTIO_RETRY_ON: [&str; 5] =
    ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"];

/// Istio's retry of a route whose document says nothing of retries. It asks for no method.
pub(super) fn istio_retry() -> Retry {
    let retry_on = ISTIO_RETRY_ON.iter().map(|&condition| condition.into()).collect();
    Retry { retry_on, repeats: Repeats::Any, ..Retry::default() }
}
