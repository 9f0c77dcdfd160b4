//! Which DestinationRules apply to a service for a client, by Istio's order of namespaces.
//!
//! ```text
//!  the client's namespace ── a rule there? ── it, whatever others say
//!          │ none
//!  the service's namespace ── exported from there? ── those that the client sees
//!          │ none
//!  the root namespace ── exported from there? ── those that the client sees
//! ```
//!
//! The first step that finds something decides, and nothing is inherited from the others. Within a step the most
//! specific host counts, and rules of one host are merged: the oldest first, subsets united, the first top-level policy.
//! Rules whose `exportTo` differ are kept apart; where a client sees several of those, the last of them counts alone.
//! For a client in the root namespace the first step is what that namespace keeps for itself: its rules for everyone
//! are the defaults of the mesh, and must not come before those of a service's own namespace.

use std::collections::BTreeSet;

use std::sync::Arc;

use super::{
    document::DocumentId,
    istio::{Rule, Rules},
};
use crate::model::Service;

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Client<'a> {
    /// The client's namespace; `None` = one that no document names.
    pub namespace: Option<&'a str>,
    /// The mesh's root namespace.
    pub root: &'a str,
}

/// The rules that apply to a service, in the order in which they count.
pub(super) fn applicable<'a>(rules: &'a Rules, service: &Service, client: Client<'_>) -> Vec<&'a Rule> {
    choose(&rules.matching(service), service, client)
}

/// The namespaces that the rules for a service name: whose clients may get other rules than those of an unnamed one.
pub(super) fn named_by(rules: &Rules, service: &Service) -> BTreeSet<Arc<str>> {
    let matching = rules.matching(service);
    let mut named: BTreeSet<Arc<str>> = matching.iter().map(|rule| rule.namespace().clone()).collect();
    for rule in &matching {
        named.extend(rule.visibility().named().cloned());
    }
    named
}

/// The rules that a client gets, by name.
pub(super) fn answer(rules: &Rules, service: &Service, client: Client<'_>) -> Vec<DocumentId> {
    applicable(rules, service, client).iter().map(|rule| rule.document.id.clone()).collect()
}

/// Why a rule that means the service is not among those that apply: the field that is the reason, and a sentence.
pub(super) fn why_not(rule: &Rule, applied: &[&Rule], service: &Service, client: Client<'_>) -> (&'static str, String) {
    let Client { namespace, root } = client;
    let own = &**rule.namespace();
    let of_client = namespace.unwrap_or("none that a document names");
    if namespace != Some(own) && own != service.namespace() && own != root {
        let reason = format!(
            "it stands in namespace {own}; rules count that stand in the client's ({of_client}), the service's ({}) or \
             the root namespace ({root})",
            service.namespace()
        );
        return ("metadata.namespace", reason);
    }
    let hidden = if namespace == Some(own) { !rule.is_for_its_own_namespace() } else { rule.is_private() };
    let reaches = namespace.is_some_and(|client| rule.visibility().includes(Some(client)));
    if hidden || !(reaches || rule.visibility().includes(None)) {
        return ("spec.exportTo", format!("it is not exported to the client's namespace ({of_client})"));
    }
    let Some(first) = applied.first() else {
        // Another rule of its namespace was the more specific one, and the client does not see that.
        let reason = "a rule of its namespace comes before it, and that one is not exported to the client's";
        return ("spec.host", reason.to_owned());
    };
    let winner = &first.document.id;
    if first.namespace() != rule.namespace() {
        let of = &**first.namespace();
        return (
            "metadata.namespace",
            format!("{winner} comes before it: a rule of namespace {of} is looked for first"),
        );
    }
    if rule.cmp_host(first).is_ne() {
        return ("spec.host", format!("{winner} comes before it: its host is more specific"));
    }
    ("spec.exportTo", format!("it and {winner} are exported differently, so they are not merged; the last one counts"))
}

fn choose<'a>(matching: &[&'a Rule], service: &Service, client: Client<'_>) -> Vec<&'a Rule> {
    let Client { namespace, root } = client;
    let of = |namespace: &str, keeps: &dyn Fn(&Rule) -> bool| -> Vec<Merged<'a>> {
        let there = matching.iter().copied().filter(|rule| **rule.namespace() == *namespace && keeps(rule));
        merged(most_specific(there.collect()))
    };
    let own = match namespace {
        None => Vec::new(),
        Some(client) if client == root => of(root, &Rule::is_private),
        Some(client) => of(client, &Rule::is_for_its_own_namespace),
    };
    if let Some(last) = own.last() {
        return last.rules.clone();
    }
    let exported = |owner: &str| {
        let mut there = of(owner, &|rule| !rule.is_private());
        there.retain(|merged| merged.is_seen_by(namespace));
        there.pop().map(|last| last.rules)
    };
    exported(service.namespace()).or_else(|| exported(root)).unwrap_or_default()
}

/// Those with the most specific host, the oldest first.
fn most_specific(mut rules: Vec<&Rule>) -> Vec<&Rule> {
    rules.sort_by(|a, b| a.cmp_host(b).then_with(|| age(a).cmp(&age(b))));
    if let Some(&best) = rules.first() {
        rules.retain(|rule| rule.cmp_host(best).is_eq());
    }
    rules
}

/// Those with a timestamp first, the oldest first; then by name.
fn age(rule: &Rule) -> (bool, Option<&str>, &str, &str) {
    let created = rule.document.metadata.creation_timestamp.as_deref();
    (created.is_none(), created, &rule.document.id.name, rule.namespace())
}

/// Rules that count as one.
struct Merged<'a> {
    /// The `exportTo` of the first of them, as written, is that of all.
    exported_to: BTreeSet<&'a str>,
    rules: Vec<&'a Rule>,
}

impl Merged<'_> {
    fn is_seen_by(&self, client: Option<&str>) -> bool {
        let to = &self.exported_to;
        to.is_empty() || to.contains("*") || client.is_some_and(|client| to.contains(client))
    }
}

/// Merges rules of equal `exportTo`, as written. One that is exported to more than an earlier one goes into that, as
/// Istio has it; one that is exported to others stands alone.
fn merged(rules: Vec<&Rule>) -> Vec<Merged<'_>> {
    let mut all: Vec<Merged<'_>> = Vec::new();
    for rule in rules {
        let entries = rule.export_to();
        let mut stands_alone = true;
        for earlier in &mut all {
            let is_wider = !earlier.exported_to.is_empty() && entries.is_superset(&earlier.exported_to);
            if entries == earlier.exported_to || is_wider {
                earlier.rules.push(rule);
                stands_alone = false;
            } else {
                stands_alone = true;
            }
        }
        if stands_alone {
            all.push(Merged { exported_to: entries, rules: vec![rule] });
        }
    }
    all
}
