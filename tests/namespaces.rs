//! Which DestinationRules a client gets by its namespace, and that namespaces make no more groups than answers.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::collections::BTreeSet;

use chancery::{
    control::World,
    model::{ClientKind, Labels, Locality, NodeGroup, Proxy, Role, policy::PolicyKey},
};
use support::world::world;

const SERVICES: &str = "services:
  - name: orders
    hosts: [ orders.shop.svc.cluster.local ]
    ports: [ { name: http, port: 80, protocol: http } ]
  - name: reviews
    hosts: [ reviews.books.svc.cluster.local ]
    ports: [ { name: http, port: 80, protocol: http } ]
";

/// A rule with connect timeout `seconds`, so that it is known which one applies.
fn rule(namespace: &str, name: &str, host: &str, export_to: &str, seconds: u32) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: {name}, namespace: {namespace} }}\n\
         spec: {{ host: \"{host}\", {export_to} trafficPolicy: {{ connectionPool: {{ tcp: {{ connectTimeout: {seconds}s }} }} }} }}\n"
    )
}

fn proxy(namespace: &str, workload: &str) -> Proxy {
    Proxy {
        id: "p".into(),
        workload: workload.into(),
        namespace: namespace.into(),
        labels: Labels::new(),
        locality: Locality::default(),
        local_cluster: false,
        kind: ClientKind::Envoy,
        role: Role::Sidecar,
    }
}

fn group(world: &World, namespace: &str) -> NodeGroup {
    world.grouping().group_of(&proxy(namespace, ""))
}

/// The connect timeout that a client in a namespace has towards a service; 10 where no rule applies.
fn seconds(world: &World, namespace: &str, service: &str) -> u64 {
    let entry = world.catalog().get(service).unwrap();
    let resolved = world.policies().resolve(&entry.service, &group(world, namespace).view, world.catalog());
    let key = PolicyKey { port: entry.service.ports[0].number, subset: None };
    resolved.policy.effective[&key].connection_pool.connect_timeout.as_secs()
}

#[test]
fn the_clients_namespace_then_the_services_then_the_root_namespace() {
    let world = world(
        SERVICES,
        &[
            rule("books", "client", "orders.shop.svc.cluster.local", "", 1),
            rule("shop", "service", "orders", "", 2),
            rule("istio-system", "root", "*.svc.cluster.local", "", 3),
        ]
        .concat(),
    );
    assert_eq!(seconds(&world, "books", "orders"), 1, "the client's own namespace decides");
    assert_eq!(seconds(&world, "elsewhere", "orders"), 2, "then the service's");
    assert_eq!(seconds(&world, "elsewhere", "reviews"), 3, "then the root namespace");
    assert_eq!(seconds(&world, "istio-system", "orders"), 2, "the root namespace's rules for all come last there too");
}

#[test]
fn a_rule_of_a_third_namespace_never_applies() {
    let world = world(SERVICES, &rule("elsewhere", "third", "orders.shop.svc.cluster.local", "", 1));
    assert_eq!(seconds(&world, "books", "orders"), 10);
    assert_eq!(seconds(&world, "elsewhere", "orders"), 1);
}

#[test]
fn what_is_not_exported_is_not_seen() {
    let world = world(
        SERVICES,
        &[
            rule("shop", "own", "orders", "exportTo: [ \".\" ],", 1),
            rule("books", "some", "reviews", "exportTo: [ shop ],", 2),
            rule("istio-system", "root", "*", "exportTo: [ shop ],", 3),
        ]
        .concat(),
    );
    assert_eq!(seconds(&world, "shop", "orders"), 1);
    assert_eq!(seconds(&world, "books", "orders"), 10, "neither the service's rule nor the root's is exported to it");
    assert_eq!(seconds(&world, "shop", "reviews"), 2);
    assert_eq!(seconds(&world, "books", "reviews"), 10, "a rule may leave out its own namespace");
}

#[test]
fn the_root_namespace_keeps_rules_for_itself_and_can_have_another_name() {
    let mesh =
        "---\napiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { rootNamespace: base }\n";
    let world = world(
        SERVICES,
        &[
            rule("base", "own", "orders.shop.svc.cluster.local", "exportTo: [ \".\" ],", 1),
            rule("base", "all", "*", "", 2),
            rule("istio-system", "no-root", "*", "", 3),
            mesh.to_owned(),
        ]
        .concat(),
    );
    assert_eq!((seconds(&world, "base", "orders"), seconds(&world, "base", "reviews")), (1, 2));
    assert_eq!(seconds(&world, "shop", "orders"), 2);
}

#[test]
fn nothing_is_inherited_from_a_less_specific_rule() {
    let world = world(
        SERVICES,
        &[
            rule("shop", "wide", "*.shop.svc.cluster.local", "", 1),
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: exact, namespace: shop }\nspec: { host: orders }\n".to_owned(),
        ]
        .concat(),
    );
    assert_eq!(seconds(&world, "books", "orders"), 10);
}

#[test]
fn rules_of_one_host_are_merged_where_they_are_exported_alike() {
    let alike = world(SERVICES, &[rule("shop", "a", "orders", "", 1), rule("shop", "b", "orders", "", 2)].concat());
    assert_eq!(seconds(&alike, "books", "orders"), 1, "the first top-level policy counts");
    let apart = [
        rule("shop", "a", "orders", "exportTo: [ \".\" ],", 1),
        rule("shop", "b", "orders", "exportTo: [ books ],", 2),
    ];
    let apart = world(SERVICES, &apart.concat());
    assert_eq!((seconds(&apart, "shop", "orders"), seconds(&apart, "books", "orders")), (1, 2));
}

/// How many groups proxies of these namespaces make.
fn groups(world: &World, namespaces: &[&str]) -> usize {
    namespaces.iter().map(|namespace| group(world, namespace)).collect::<BTreeSet<_>>().len()
}

#[test]
fn there_are_no_more_groups_than_different_answers() {
    const ALL: &[&str] = &["", "default", "shop", "books", "toys", "games", "istio-system"];
    let at_home = [rule("shop", "a", "orders", "", 1), rule("books", "b", "reviews", "exportTo: [ \"*\" ],", 2)];
    assert_eq!(
        groups(&world(SERVICES, &at_home.concat()), ALL),
        1,
        "a rule where its service stands is the same for all"
    );
    assert_eq!(groups(&world(SERVICES, &rule("istio-system", "root", "*", "", 1)), ALL), 1, "and so is the root's");

    let own = rule("shop", "a", "orders", "exportTo: [ \".\" ],", 1);
    assert_eq!(groups(&world(SERVICES, &own), ALL), 2, "what one namespace keeps for itself makes two");

    let two = rule("shop", "a", "orders", "exportTo: [ books, toys ],", 1);
    let world_of_two = world(SERVICES, &two);
    assert_eq!(groups(&world_of_two, ALL), 2, "namespaces with the same answers are one group");
    assert_eq!(group(&world_of_two, "toys").view.namespace.as_deref(), Some("books"));

    let unmatched = rule("games", "a", "nobody.example.com", "exportTo: [ books ],", 1);
    assert_eq!(groups(&world(SERVICES, &unmatched), ALL), 1, "a rule for no service distinguishes nobody");
}

#[test]
fn a_proxy_that_names_no_namespace_has_that_of_its_service() {
    let world = world(SERVICES, &rule("shop", "a", "reviews.books.svc.cluster.local", "exportTo: [ \".\" ],", 1));
    let group_of = |namespace: &str, workload: &str| world.grouping().group_of(&proxy(namespace, workload));
    assert_eq!(group_of("", "orders").view, group_of("shop", "").view);
    assert_eq!(group_of("", "stranger").view.namespace, None, "else `default`");
    assert_eq!(group_of("books", "orders").view.namespace, None, "what the node says counts");
}

/// A contradiction that only clients of one namespace see is an error all the same.
#[test]
fn contradictions_are_found_whatever_namespace_sees_them() {
    let policy = "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: own }\n\
                  spec: { target: { service: orders }, connectionPool: { tcp: { connectTimeout: 7s } } }\n";
    let rule = rule("books", "theirs", "orders.shop.svc.cluster.local", "exportTo: [ \".\" ],", 1);
    let mut world = world(SERVICES, &format!("{rule}{policy}"));
    let problems = world.problems();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert_eq!(problems[0].id, "contradiction");
}
