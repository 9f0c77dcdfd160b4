//! What wins, and what contradicts: the ranks of policies, as one value seen through `render`'s own code.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use chancery::{
    model::{ClientView, NamePattern, policy::PolicyKey},
    policy::PolicySet,
};
use support::world::{catalog, library};

const SERVICES: &str = "services:
  - name: pay-card
    labels: { team: money }
    ports: [ { name: http, port: 80, protocol: http }, { name: side, port: 81, protocol: http } ]
";

fn policy(name: &str, target: &str, more: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec: {{ target: {{ {target} }}, {more} }}\n---\n"
    )
}

/// The timeout of pay-card:80 under these documents, in seconds.
fn timeout(documents: &[String], view: &ClientView) -> (u64, usize) {
    let (library, problems) = library(&documents.concat());
    assert!(!library.has_errors(), "{problems:#?}");
    timeout_of(library.policies(), view)
}

fn timeout_of(policies: &PolicySet, view: &ClientView) -> (u64, usize) {
    let catalog = catalog(SERVICES);
    let resolved = policies.resolve(&catalog.get("pay-card").unwrap().service, view, &catalog);
    let key = PolicyKey { port: std::num::NonZeroU16::new(80).unwrap(), subset: None };
    let timeout = resolved.policy.effective[&key].route.timeout;
    (timeout.unwrap_or(Duration::ZERO).as_secs(), resolved.problems.len())
}

#[test]
fn the_more_specific_wins_whatever_the_order() {
    // From the least specific to the most; each beats all before it.
    let ladder = [
        policy("a", "", "timeout: 1s"),
        policy("b", "labels: { team: money }", "timeout: 2s"),
        policy("c", "service: \"pay*\"", "timeout: 3s"),
        policy("d", "service: \"pay-c*\"", "timeout: 4s"),
        policy("e", "service: pay-card", "timeout: 5s"),
        policy("f", "service: pay-card, port: 80", "timeout: 6s"),
    ];
    for length in 1..=ladder.len() {
        let mut documents = ladder[..length].to_vec();
        for _ in 0..2 {
            assert_eq!(timeout(&documents, &ClientView::default()), (length as u64, 0), "{documents:#?}");
            documents.reverse();
        }
    }
}

#[test]
fn clients_see_what_is_meant_for_them() {
    let documents = [
        policy("a", "service: pay-card", "timeout: 1s"),
        policy("b", "service: pay-card", "clients: { services: [ \"batch-*\" ] }, timeout: 9s"),
    ];
    let batch =
        ClientView { selectors: [NamePattern::new("batch-*")].into(), namespace: None, labels: BTreeSet::new() };
    assert_eq!(timeout(&documents, &ClientView::default()).0, 1);
    assert_eq!(timeout(&documents, &batch).0, 9);
}

#[test]
fn a_port_that_is_not_meant_is_not_touched() {
    assert_eq!(timeout(&[policy("a", "service: pay-card, port: 81", "timeout: 7s")], &ClientView::default()).0, 0);
}

#[test]
fn equal_ranks_that_meet_only_by_labels_are_reported_and_the_first_by_name_counts() {
    let documents = [
        policy("z", "labels: { team: money }", "timeout: 2s"),
        policy("y", "labels: { team: money, x: \"\" }", "timeout: 3s"),
    ];
    assert_eq!(timeout(&documents, &ClientView::default()), (2, 0), "the second one's labels are not there");
    let documents =
        [policy("z", "service: \"pay-*\"", "timeout: 2s"), policy("y", "service: \"*card\"", "timeout: 3s")];
    assert_eq!(
        timeout(&documents, &ClientView::default()),
        (3, 1),
        "`y` comes first; both patterns fix four characters"
    )
}

#[test]
fn equal_ranks_that_agree_are_no_contradiction() {
    let documents =
        [policy("z", "service: \"pay-*\"", "timeout: 2s"), policy("y", "service: \"*card\"", "timeout: 2s")];
    assert_eq!(timeout(&documents, &ClientView::default()), (2, 0));
}

#[test]
fn a_destination_rule_ranks_below_a_name_and_above_a_pattern() {
    let rule = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: r }\n\
                spec: { host: pay-card, trafficPolicy: { connectionPool: { tcp: { maxConnections: 50 } } } }\n---\n";
    let limit = |more: &str| {
        let (library, _) = library(&format!("{rule}{more}"));
        let catalog = catalog(SERVICES);
        let resolved =
            library.policies().resolve(&catalog.get("pay-card").unwrap().service, &ClientView::default(), &catalog);
        let key = PolicyKey { port: std::num::NonZeroU16::new(80).unwrap(), subset: None };
        let limit = resolved.policy.effective[&key].connection_pool.circuit_breakers.default.max_connections;
        (limit, resolved.problems.len())
    };
    let says = |target: &str| policy("p", target, "connectionPool: { tcp: { maxConnections: 9 } }");
    assert_eq!(limit(""), (50, 0));
    assert_eq!(limit(&says("service: \"pay-*\"")), (50, 0));
    assert_eq!(limit(&says("service: pay-card, port: 80")), (9, 0), "a refinement is no contradiction");
    assert_eq!(limit(&says("service: pay-card")), (9, 1), "two dialects that say different things of one target");
}
