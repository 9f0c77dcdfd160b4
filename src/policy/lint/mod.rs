//! What is right and still probably not what its author meant: for `validate`, never for the running server.
//!
//! ```text
//!  documents ──────────────► annotations, dialect                    (once each)
//!  services × views ──decide──► Target ──► every lint of a target    (each service once for each kind of client)
//!                                  └─────► shadowed: who never won    (collected over all of them)
//! ```
//!
//! A lint has an id, a sentence with the numbers of the case, and a remedy; `docs/lints.md` has a section for each. What
//! one policy does to many services is one finding, at the line of the policy. Nothing here reads a clock.

mod annotations;
mod date;
mod ejection;
mod findings;
mod hashing;
mod locality;
pub mod patched;
mod pool;
mod priority;
mod retries;
mod routes;
mod shadowed;
mod silence;
mod subsets;
mod target;

pub use date::Date;
pub use silence::{Silence, Tried, heed};
pub(super) use silence::{is_silenced, read as read_silences};

use self::{findings::Findings, shadowed::Contest, target::Target};
use super::{check_against, effective::effective, leaves, set::PolicySet};
use crate::{
    diagnostic::Diagnostic,
    model::{Catalog, ClientView},
};

/// A lint: a warning that can be silenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lint {
    /// A stable word in kebab case, and the heading of its section in `docs/lints.md`.
    pub id: &'static str,
    /// What it finds, in one line.
    pub about: &'static str,
    /// What it has to look at.
    pub needs: Needs,
}

/// What a lint has to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Documents alone.
    Documents,
    /// The services there are, too.
    Services,
}

/// Every lint, by id.
pub const LINTS: &[Lint] = &[
    on_services("breaker-below-need", "a limit on connections or requests below the number of endpoints"),
    on_services("dns-logical", "LOGICAL name resolution of a service with several endpoints"),
    on_services("ejection-can-empty-pool", "outlier detection that may eject every endpoint at once, with panic off"),
    on_documents("expired", "an annotation `expires` whose day has passed"),
    on_documents("expires-soon", "an annotation `expires` whose day is near"),
    on_documents("expires-unreadable", "an annotation `expires` that is no day"),
    on_services("failover-unknown-label", "failover by a label, or a value of it, that no endpoint has"),
    on_services("failover-unknown-zone", "locality shares or failover that name a place where nothing runs"),
    on_services(
        "hash-by-local-source",
        "consistent hashing by source address, where every caller is the local application",
    ),
    on_services("hash-without-key", "consistent hashing without anything to hash"),
    on_services("hedging-without-time", "hedging without a timeout of tries, after which it would begin"),
    on_services(
        "high-priority-half-said",
        "limits of priority HIGH that no route has, or the priority without its limits",
    ),
    on_services("http1-knobs-on-http2", "an HTTP/2 or gRPC port limited by settings that count connections"),
    on_services("matches-nothing", "a host, service, subset, port or client that there is not"),
    on_services("min-health-percent-hides-unhealthy", "minHealthPercent over endpoints that it keeps from Envoy"),
    on_documents("no-effect", "a field that is read and means nothing"),
    on_services("outlier-too-few-endpoints", "outlier detection with too few endpoints to eject one"),
    on_documents("owner-missing", "no annotation `owner`, where the Mesh requires one"),
    on_services("panic-off", "health checks or wide ejection, and nothing said of panic"),
    on_services("passthrough", "PASSTHROUGH, which uses no endpoint of discovery"),
    on_documents("patch-instead-of-policy", "an EnvoyPatch of what a policy has words for"),
    on_services("retries-exceed-timeout", "retries that the request's timeout leaves no time for"),
    on_services("retry-non-idempotent", "retry conditions that can repeat a request which was acted on"),
    on_services("retry-of-no-request", "retry conditions that no request of the port is repeated for"),
    on_services("retry-without-budget", "retries of overload without a limit on retries"),
    on_services("session-of-split", "sessions of a rule that several destinations share"),
    on_services("shadowed", "a document whose every field is overridden, wherever it applies"),
    on_services("shadowed-routes", "a second document of routing for a host, which has no say"),
    on_services("sticky-on-draining", "session affinity on a service with draining endpoints"),
    on_services("subset-without-endpoints", "a subset that no endpoint is in"),
    on_documents("unreachable-rule", "a rule of routing that no request gets to"),
    on_services("zone-aware-bootstrap", "zone-aware routing, which only proxies of a certain bootstrap can do"),
];

const fn on_services(id: &'static str, about: &'static str) -> Lint {
    Lint { id, about, needs: Needs::Services }
}

const fn on_documents(id: &'static str, about: &'static str) -> Lint {
    Lint { id, about, needs: Needs::Documents }
}

/// The lint with this id.
pub fn find(id: &str) -> Option<&'static Lint> {
    LINTS.binary_search_by(|lint| lint.id.cmp(id)).ok().map(|index| &LINTS[index])
}

/// What shows without knowing services.
pub fn of_documents(policies: &PolicySet, today: Date) -> Vec<Diagnostic> {
    let mut problems = annotations::check(policies, today);
    problems.extend(patched::check(policies));
    problems
}

/// What shows with the services there are, as seen by the kinds of clients given.
pub fn of_services(policies: &PolicySet, catalog: &Catalog, views: &[ClientView]) -> Vec<Diagnostic> {
    let places = locality::Places::of(catalog);
    let mut findings = Findings::default();
    let mut contest = Contest::default();
    let somebody_is_high = priority::is_said_somewhere(policies);
    for (_, entry) in catalog.iter() {
        subsets::check(policies, entry, views, &mut findings);
        let mut seen_before = Vec::new();
        for view in views {
            routes::check(&entry.service, &policies.explain_routes(&entry.service, view, catalog), &mut findings);
            let candidates = policies.candidates(&entry.service, view);
            if candidates.is_empty() || seen_before.contains(&candidates.identity()) {
                continue;
            }
            seen_before.push(candidates.identity());
            contest.rules(policies, &entry.service, &candidates);
            let subsets = candidates.subsets();
            for port in &entry.service.ports {
                for subset in std::iter::once(None).chain(subsets.iter().map(Some)) {
                    let merged = candidates.decide(port, subset.map(|(name, _)| name));
                    contest.settings(&merged);
                    let values = merged.settings.iter().map(|(path, decided)| (path, &decided.leaf.value));
                    let policy = effective(&leaves::unflatten(values));
                    let target = Target::new(entry, port, subset, &merged.settings, &policy);
                    pool::check(&target, &mut findings);
                    priority::check(&target, somebody_is_high, &mut findings);
                    ejection::check(&target, &mut findings);
                    retries::check(&target, &mut findings);
                    hashing::check(&target, &mut findings);
                    locality::check(&target, &places, &mut findings);
                }
            }
        }
    }
    contest.end(&mut findings);
    let mut problems = check_against(policies, catalog);
    problems.extend(findings.end());
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lints_are_found_by_their_ids() {
        assert!(LINTS.is_sorted_by(|a, b| a.id < b.id));
        for lint in LINTS {
            assert_eq!(find(lint.id), Some(lint));
        }
        assert_eq!(find("shadow"), None);
    }
}
