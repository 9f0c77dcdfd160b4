//! Services of documents beside those of discovery: who counts while both come and go, who sees them, and that a change
//! costs what it touches.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::sync::Arc;

use chancery::{
    control::World,
    model::{ClientKind, Labels, Locality, Proxy, Role},
    policy::PolicySet,
};
use support::world::{catalog, library};

/// An entry for hosts, at an address.
fn entry(namespace: &str, hosts: &str, export_to: &str, address: &str) -> String {
    let name = hosts.split(',').next().unwrap().replace('.', "-");
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ hosts: [ {hosts} ], {export_to} resolution: STATIC, ports: [ {{ number: 80, name: http, protocol: HTTP }} ], \
         endpoints: [ {{ address: {address} }} ] }}\n"
    )
}

fn policies(text: &str) -> Arc<PolicySet> {
    let (library, problems) = library(text);
    assert!(!library.has_errors(), "{problems:#?}");
    library.policies().clone()
}

/// What discovery knows: services with hosts, `orders=orders.example`.
fn discovery(services: &[&str]) -> chancery::model::Catalog {
    let service = |written: &&str| {
        let (name, hosts) = written.split_once('=').unwrap_or((written, ""));
        format!(
            "  - {{ name: {name}, hosts: [ {hosts} ], ports: [ {{ name: http, port: 80, protocol: http }} ], \
             endpoints: [ {{ address: 10.9.9.9 }} ] }}\n"
        )
    };
    match services {
        [] => catalog("services: []\n"),
        services => catalog(&format!("services:\n{}", services.iter().map(service).collect::<String>())),
    }
}

/// The clusters that a client in a namespace is sent, each with the address of its first endpoint.
fn clusters(world: &mut World, namespace: &str) -> Vec<String> {
    let group = world.grouping().group_of(&Proxy {
        id: "p".into(),
        workload: "".into(),
        namespace: namespace.into(),
        labels: Labels::new(),
        locality: Locality::default(),
        kind: ClientKind::Envoy,
        role: Role::Sidecar,
        local_cluster: false,
    });
    let snapshot = world.compile(&group).snapshot.to_json();
    let assignments = snapshot["endpoints"].as_array().unwrap().iter();
    let line = |assignment: &serde_json::Value| {
        let address = &assignment["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]["socket_address"];
        format!("{} {}", assignment["cluster_name"].as_str().unwrap(), address["address"].as_str().unwrap_or_default())
    };
    assignments.map(line).collect()
}

fn problems(world: &mut World) -> Vec<String> {
    world.problems().iter().map(|problem| format!("{} {}", problem.id, problem.field)).collect()
}

#[test]
fn discovery_counts_while_it_has_the_name_in_whatever_order_both_come() {
    let documents = policies(&entry("shop", "orders.example, free.example", "", "10.0.0.1"));
    let mut world = World::default();
    world.update(discovery(&[]), documents.clone());
    let both = ["free.example:80 10.0.0.1", "orders.example:80 10.0.0.1"];
    assert_eq!(clusters(&mut world, "shop"), both);

    world.update(discovery(&["Orders.Example"]), documents.clone());
    assert_eq!(clusters(&mut world, "shop"), ["Orders.Example:80 10.9.9.9", "free.example:80 10.0.0.1"]);
    assert_eq!(problems(&mut world), ["host-taken spec.hosts[0]"]);

    world.update(discovery(&["orders=ORDERS.example"]), documents.clone());
    assert_eq!(clusters(&mut world, "shop"), ["free.example:80 10.0.0.1", "orders:80 10.9.9.9"], "a host is a name");
    assert_eq!(problems(&mut world), ["host-taken spec.hosts[0]"]);

    world.update(discovery(&["orders.example"]), policies(""));
    assert_eq!(clusters(&mut world, "shop"), ["orders.example:80 10.9.9.9"]);
    assert!(problems(&mut world).is_empty());

    world.update(discovery(&["orders.example"]), documents.clone());
    assert_eq!(clusters(&mut world, "shop"), ["free.example:80 10.0.0.1", "orders.example:80 10.9.9.9"]);

    world.update(discovery(&[]), documents);
    assert_eq!(clusters(&mut world, "shop"), both, "and the document's is back");
    assert!(problems(&mut world).is_empty());
}

#[test]
fn only_those_it_is_exported_to_know_of_it() {
    let text = [
        entry("shop", "own.example", "exportTo: [ . ],", "10.0.0.1"),
        entry("shop", "some.example", "exportTo: [ ., books ],", "10.0.0.2"),
        entry("shop", "all.example", "", "10.0.0.3"),
        entry("shop", "nobody.example", "exportTo: [ \"~\" ],", "10.0.0.4"),
    ];
    let mut world = World::default();
    world.update(discovery(&[]), policies(&text.concat()));
    let seen = |world: &mut World, namespace| -> Vec<String> {
        let clusters = clusters(world, namespace).into_iter();
        clusters.map(|cluster| cluster.split('.').next().unwrap().to_owned()).collect()
    };
    assert_eq!(seen(&mut world, "shop"), ["all", "own", "some"]);
    assert_eq!(seen(&mut world, "books"), ["all", "some"]);
    assert_eq!(seen(&mut world, "toys"), ["all"]);
    assert_eq!(seen(&mut world, ""), ["all"]);
    let (one, other) = (clusters(&mut world, "toys"), clusters(&mut world, "elsewhere"));
    assert_eq!(one, other);
    assert_eq!(world.grouping().namespaces.representatives.len(), 2, "no more namespaces than answers");
}

#[test]
fn one_changed_document_resolves_its_own_services() {
    let others: String =
        (0..50).map(|at| entry("shop", &format!("s{at}.example"), "", &format!("10.0.1.{at}"))).collect();
    let with = |address: &str| policies(&format!("{others}{}", entry("shop", "orders.example", "", address)));
    let mut world = World::default();
    world.update(discovery(&["reviews"]), with("10.0.0.1"));
    assert_eq!(clusters(&mut world, "shop").len(), 52);
    let before = world.work();
    world.update(discovery(&["reviews"]), with("10.0.0.2"));
    assert!(clusters(&mut world, "shop").contains(&"orders.example:80 10.0.0.2".to_owned()));
    let after = world.work();
    let resolved = after.services_resolved - before.services_resolved;
    assert!(resolved <= 1, "{resolved} services were resolved");
    assert_eq!(after.units_compiled - before.units_compiled, 1, "its endpoints");
}

#[test]
fn what_two_documents_say_alike_is_one_service_and_the_older_counts_otherwise() {
    let same = [
        entry("shop", "geo.example", "exportTo: [ . ],", "10.0.0.1"),
        entry("books", "geo.example", "exportTo: [ . ],", "10.0.0.1"),
    ];
    let mut world = World::default();
    world.update(discovery(&[]), policies(&same.concat()));
    for (namespace, sees) in [("shop", 1), ("books", 1), ("toys", 0)] {
        assert_eq!(clusters(&mut world, namespace).len(), sees, "{namespace}");
    }
    let differing = format!("{}{}", same[0], entry("books", "geo.example", "", "10.0.0.2"));
    let (library, problems) = library(&differing);
    assert!(library.has_errors() && problems.iter().any(|problem| problem.id == "contradiction"), "{problems:#?}");
    world.update(discovery(&[]), library.policies().clone());
    assert_eq!(
        clusters(&mut world, "books"),
        ["geo.example:80 10.0.0.2"],
        "of equal age the first by name and namespace"
    );
}
