//! What policies say of requests that a rule leads on, whatever dialect the rule is of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    Destinations,
    destination::{Found, only_service},
};
use crate::{
    model::{
        ClusterName, Port, Service,
        policy::{HashKey, Repeats, Retry, RoutePolicy},
    },
    policy::{leaves::Path, merge::Leaf, resolve::shapes_route},
};

/// Timeouts and retries by the policies of the service that a rule leads to: of a split over several services, of the
/// one that was dialled. `written` is how many destinations the rule names, `found` those that are there.
pub(super) fn base_policy<'a>(
    destinations: &mut Destinations<'a, '_>,
    (service, port): (&'a Service, &Port),
    written: usize,
    found: &[Arc<Found>],
    settings: &mut BTreeMap<Path, Leaf>,
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
    settings.extend(said.map(|(path, decided)| (path.clone(), decided.leaf.clone())));
    base.effective.route.clone()
}

/// What of a request is hashed, for any of the destinations.
pub(super) fn hash_keys(
    found: &[Arc<Found>],
    settings: &mut BTreeMap<Path, Leaf>,
    documents: &mut BTreeSet<Arc<str>>,
) -> Vec<HashKey> {
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
            settings.entry(path.clone()).or_insert_with(|| decided.leaf.clone());
            documents.insert(decided.leaf.document.name().into());
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
