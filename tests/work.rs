//! How much is done, not only what comes out: a change costs what it touches.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::sync::Arc;

use chancery::{
    control::{Work, World},
    model::{Catalog, NodeGroup},
    resources::ResourceType,
};
use support::world::{catalog, library, source};

fn services(count: usize, changed: Option<usize>) -> String {
    let service = |index: usize| {
        let host = if Some(index) == changed { 99 } else { 1 };
        format!(
            "  - name: service-{index}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n      \
             - {{ address: 10.0.0.{host} }}\n      - {{ address: 10.0.1.1 }}\n"
        )
    };
    format!("services:\n{}", (0..count).map(service).collect::<String>())
}

/// The catalog after, sharing with the one before what is equal, as the file source makes it.
fn next_catalog(before: &Catalog, text: &str) -> Catalog {
    let after = catalog(text);
    let keep_equal = after.iter().fold(before.clone(), |catalog, (name, entry)| match before.get(name.as_str()) {
        Some(old) if old.service == entry.service => catalog.with(chancery::model::CatalogEntry {
            service: old.service.clone(),
            endpoints: if old.endpoints == entry.endpoints { old.endpoints.clone() } else { entry.endpoints.clone() },
            observed: entry.observed,
        }),
        _ => catalog.with(entry.clone()),
    });
    let gone: Vec<_> =
        before.iter().filter(|(name, _)| after.get(name.as_str()).is_none()).map(|(name, _)| name.clone()).collect();
    gone.iter().fold(keep_equal, |catalog, name| catalog.without(name))
}

fn since(after: Work, before: Work) -> Work {
    Work {
        services_resolved: after.services_resolved - before.services_resolved,
        units_compiled: after.units_compiled - before.units_compiled,
        resources_encoded: after.resources_encoded - before.resources_encoded,
    }
}

#[test]
fn one_endpoint_of_a_thousand_services_is_one_unit_and_one_resource() {
    let (library, _) = library("");
    let before = catalog(&services(1000, None));
    let mut world = World::default();
    world.update(before.clone(), library.policies().clone());
    let group = NodeGroup::default();
    let first = world.compile(&group).snapshot;
    let work = world.work();

    world.update(next_catalog(&before, &services(1000, Some(500))), library.policies().clone());
    let second = world.compile(&group).snapshot;
    assert_eq!(since(world.work(), work), Work { services_resolved: 0, units_compiled: 1, resources_encoded: 1 });
    let changed: Vec<_> =
        second.set(ResourceType::Endpoints).changed_since(first.set(ResourceType::Endpoints)).collect();
    assert_eq!(changed.len(), 1);
    for (resource_type, set) in
        first.sets().iter().filter(|(resource_type, _)| *resource_type != ResourceType::Endpoints)
    {
        assert!(Arc::ptr_eq(set, second.set(resource_type)), "{resource_type:?} was not touched");
    }
}

#[test]
fn one_endpoint_is_one_unit_and_one_resource_for_grpc_clients_too() {
    let (library, _) = library("");
    let before = catalog(&services(1000, None));
    let mut world = World::default();
    world.update(before.clone(), library.policies().clone());
    let group = NodeGroup { kind: chancery::model::ClientKind::Grpc, ..NodeGroup::default() };
    let first = world.compile(&group).snapshot;
    let work = world.work();

    world.update(next_catalog(&before, &services(1000, Some(500))), library.policies().clone());
    let second = world.compile(&group).snapshot;
    assert_eq!(since(world.work(), work), Work { services_resolved: 0, units_compiled: 1, resources_encoded: 1 });
    for resource_type in [ResourceType::Cluster, ResourceType::Listener] {
        assert!(Arc::ptr_eq(first.set(resource_type), second.set(resource_type)), "{resource_type:?} was not touched");
    }
}

/// A round as the control loop plays it, problems and forgetting included, with policies for some clients only.
#[test]
fn a_round_keeps_what_the_next_one_needs() {
    let (library, _) = library(&format!(
        "{TWO_POLICIES}---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: few }}\nspec: {{ clients: {{ services: [ batch ] }}, timeout: 9s }}\n"
    ));
    let mut catalog = catalog(&services(100, None));
    let mut world = World::default();
    let group = NodeGroup::default();
    let mut work = Work::default();
    for round in 0..3 {
        catalog = next_catalog(&catalog, &services(100, Some(round)));
        world.update(catalog.clone(), library.policies().clone());
        world.compile(&group);
        world.retain(std::slice::from_ref(&group));
        world.problems();
        let done = since(world.work(), work);
        assert!(round == 0 || done.services_resolved == 0, "round {round}: {done:?}");
        work = world.work();
    }
}

#[test]
fn nothing_changed_is_nothing_done() {
    let (library, _) = library("");
    let catalog = catalog(&services(100, None));
    let mut world = World::default();
    world.update(catalog.clone(), library.policies().clone());
    let first = world.compile(&NodeGroup::default()).snapshot;
    let work = world.work();
    world.update(catalog, library.policies().clone());
    let second = world.compile(&NodeGroup::default()).snapshot;
    assert_eq!(since(world.work(), work), Work::default());
    assert!(Arc::ptr_eq(&first, &second));
}

const TWO_POLICIES: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: one }\n\
    spec: { target: { service: service-7 }, timeout: 1s }\n---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\n\
    metadata: { name: some }\nspec: { target: { service: \"service-1*\" }, timeout: 5s }\n";

#[test]
fn one_document_is_resolved_for_the_services_it_touches() {
    let (mut library, _) = library(TWO_POLICIES);
    let catalog = catalog(&services(100, None));
    let mut world = World::default();
    world.update(catalog.clone(), library.policies().clone());
    let group = NodeGroup::default();
    world.compile(&group);
    let work = world.work();

    // The routes of one service: its virtual host, and the configuration that all virtual hosts make together.
    library.update([&source("policies.yaml", &TWO_POLICIES.replace("timeout: 1s", "timeout: 2s"))]);
    world.update(catalog.clone(), library.policies().clone());
    world.compile(&group);
    let done = since(world.work(), work);
    assert_eq!((done.services_resolved, done.units_compiled), (1, 2));
}

#[test]
fn what_has_no_meaning_is_not_even_resolved() {
    let (mut library, _) = library(TWO_POLICIES);
    let catalog = catalog(&services(100, None));
    let mut world = World::default();
    world.update(catalog.clone(), library.policies().clone());
    let first = world.compile(&NodeGroup::default()).snapshot;
    let work = world.work();

    library.update([&source(
        "policies.yaml",
        &format!("# a comment\n\n{}", TWO_POLICIES.replace("timeout: 5s", "timeout:    5000ms # five")),
    )]);
    world.update(catalog, library.policies().clone());
    let second = world.compile(&NodeGroup::default()).snapshot;
    assert_eq!(since(world.work(), work), Work::default());
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn groups_that_differ_in_their_own_listeners_share_every_resource() {
    let (library, _) = library(
        "apiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: { name: mesh }\nspec: { outbound: { listeners: all } }\n",
    );
    let mut world = World::default();
    world.update(catalog(&services(50, None)), library.policies().clone());
    let group =
        |name: &str| NodeGroup { own: Some(chancery::model::ServiceName::new(name).unwrap()), ..NodeGroup::default() };
    let first = world.compile(&group("service-1")).snapshot;
    let work = world.work();
    let second = world.compile(&group("service-2")).snapshot;
    // What is made of all services together is the group's own: the routes and the listener by authority, and the
    // cluster that leads back into it.
    let done = since(world.work(), work);
    assert_eq!((done.units_compiled, done.resources_encoded), (0, 3));
    assert_eq!(first.set(ResourceType::Listener).len(), 50);
    assert!(first.set(ResourceType::Listener).get("service-1:80").is_none());
    assert!(second.set(ResourceType::Listener).get("service-1:80").is_some());
}

const ROUTES: &str = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: one }\n\
    spec: { hosts: [ service-1 ], http: [ { timeout: 1s, route: [ { destination: { host: service-2 } } ] } ] }\n---\n\
    apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: other }\n\
    spec: { hosts: [ service-3 ], http: [ { route: [ { destination: { host: absent } } ] } ] }\n";

#[test]
fn rules_are_resolved_again_when_where_they_lead_changes_and_only_then() {
    let (mut library, problems) = library(ROUTES);
    assert!(!library.has_errors(), "{problems:#?}");
    let mut facts = catalog(&services(100, None));
    let mut world = World::default();
    let group = NodeGroup::default();
    world.update(facts.clone(), library.policies().clone());
    world.compile(&group);
    let mut work = world.work();
    let mut done = |world: &mut World| {
        world.compile(&group);
        let done = since(world.work(), work);
        work = world.work();
        done
    };

    // Endpoints of a service that is led to: nothing is resolved.
    facts = next_catalog(&facts, &services(100, Some(2)));
    world.update(facts.clone(), library.policies().clone());
    assert_eq!(done(&mut world), Work { services_resolved: 0, units_compiled: 1, resources_encoded: 1 });

    // The rules themselves: the one service they route.
    library.update([&source("policies.yaml", &ROUTES.replace("timeout: 1s", "timeout: 2s"))]);
    world.update(facts.clone(), library.policies().clone());
    assert_eq!(done(&mut world).services_resolved, 1);

    // What is said of the service that is led to: that one, and the one whose rules lead there.
    let policy = "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: two }\n\
        spec: { target: { service: service-2 }, retries: { attempts: 7 } }\n";
    library.update([&source("policies.yaml", &format!("{ROUTES}{policy}"))]);
    world.update(facts.clone(), library.policies().clone());
    assert_eq!(done(&mut world).services_resolved, 2);
    let routes = world.compile(&group).snapshot.to_json()["routes"].to_string();
    assert!(routes.contains("\"num_retries\":7"), "the rule takes what is said of the service it leads to");

    // A service that was missing comes: it, and the one whose rules lead there.
    let absent = "  - name: absent\n    ports: [ { name: http, port: 80, protocol: http } ]\n    endpoints: []\n";
    facts = next_catalog(&facts, &format!("{}{absent}", services(100, Some(2))));
    world.update(facts, library.policies().clone());
    assert_eq!(done(&mut world).services_resolved, 2);
    let routes = world.compile(&group).snapshot.to_json()["routes"].to_string();
    assert!(!routes.contains("nowhere"), "{routes}");
}
