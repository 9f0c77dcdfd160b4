//! Whom `plan` names: the proxies whose compiled snapshots differ, and no others, whatever makes groups of them: clients,
//! `Dependencies`, localities, namespaces. Held against every proxy compiled on its own, from nothing, on both sides.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chancery::{
    control::World,
    model::{Catalog, ClientKind, Labels, Locality, Proxy, Role},
    plan::{self, Load, Plan, Question, without_provenance},
    policy::{Date, Document, PolicySet, read_file},
    resources::{ResourceType, to_json},
};
use proptest::{collection::vec, prelude::*};
use serde_json::Value;
use support::world::{catalog, source};

const WORKLOADS: [&str; 5] = ["orders", "billing", "checkout", "batch-1", "batch-2"];
const ZONES: [&str; 3] = ["eu-1", "eu-2", "us-1"];

/// Three services with endpoints in three zones of two regions, in two namespaces.
fn services() -> Catalog {
    let service = |name: &str, namespace: &str, at: usize| {
        let endpoints: String = ZONES
            .iter()
            .enumerate()
            .map(|(zone, name)| {
                format!(
                    "      - {{ address: 10.0.{at}.{zone}, locality: {{ region: {}, zone: {name} }}, labels: {{ version: v{} }} }}\n",
                    &name[..2],
                    zone % 2
                )
            })
            .collect();
        format!(
            "  - name: {name}\n    hosts: [ {name}.{namespace}.svc.cluster.local ]\n    labels: {{ team: {namespace} }}\n    \
             ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n{endpoints}"
        )
    };
    let texts = [service("orders", "shop", 1), service("billing", "money", 2), service("checkout", "shop", 3)];
    catalog(&format!("services:\n{}", texts.concat()))
}

/// Beside the sidecars of the services, those of workloads that are clients only, in every zone.
fn proxies(catalog: &Catalog) -> Vec<Proxy> {
    let mut proxies = plan::workloads_of(catalog);
    for workload in ["batch-1", "batch-2", "stranger"] {
        proxies.extend(ZONES.iter().map(|zone| Proxy {
            id: format!("{workload}-{zone}").into(),
            workload: workload.into(),
            namespace: if workload == "batch-1" { "shop".into() } else { "".into() },
            labels: Labels::default(),
            locality: Locality::new(&zone[..2], zone, ""),
            local_cluster: false,
            kind: ClientKind::Envoy,
            role: Role::Sidecar,
        }));
    }
    proxies
}

/// A document, by a few numbers: which kind, for whom, and what it says.
type Written = (u8, u8, u8, u8);

fn written() -> impl Strategy<Value = Written> {
    (0_u8..10, 0_u8..6, 0_u8..6, 0_u8..4)
}

fn document(name: usize, (kind, target, client, value): Written) -> String {
    let number = 10 + u32::from(value);
    let service = ["orders", "billing", "checkout"][target as usize % 3];
    let native = |kind: &str, spec: &str| {
        format!("apiVersion: chancery.dev/v1alpha1\nkind: {kind}\nmetadata: {{ name: d{name} }}\nspec: {{ {spec} }}\n")
    };
    let setting = match kind {
        0 => format!("timeout: {number}s"),
        1 => format!("connectionPool: {{ tcp: {{ maxConnections: {number} }} }}"),
        2 => {
            let to = ["us", "ap"][value as usize % 2];
            format!("loadBalancer: {{ localityLbSetting: {{ failover: [ {{ from: eu, to: {to} }} ] }} }}")
        }
        3 => format!("loadBalancer: {{ simple: {} }}", ["RANDOM", "ROUND_ROBIN"][value as usize % 2]),
        4 => format!("subsets: [ {{ name: v{value}, labels: {{ version: v{} }} }} ]", value % 3),
        _ => String::new(),
    };
    match kind {
        0..=4 => {
            let target = match target {
                0..=2 => format!("target: {{ service: {service} }}, "),
                3 => "target: { service: \"*o*\" }, ".to_owned(),
                4 => "target: { labels: { team: shop } }, ".to_owned(),
                _ => String::new(),
            };
            let clients = match client {
                0..=1 => String::new(),
                2 => "clients: { services: [ \"batch-*\" ] }, ".to_owned(),
                other => format!("clients: {{ services: [ {} ] }}, ", WORKLOADS[other as usize - 2]),
            };
            // A subset is of one service.
            let clients = if kind == 4 { String::new() } else { clients };
            let target = if kind == 4 { format!("target: {{ service: {service} }}, ") } else { target };
            native("TrafficPolicy", &format!("{target}{clients}{setting}"))
        }
        5 | 6 => {
            let workload = match client {
                0 => "\"batch-*\"",
                other => WORKLOADS[other as usize - 1],
            };
            let more = if value == 0 && service != "checkout" { ", checkout" } else { "" };
            native("Dependencies", &format!("workload: {workload}, services: [ {service}{more} ]"))
        }
        7 => format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: d{name}, namespace: {} }}\nspec: {{ \
             host: {service}.{}.svc.cluster.local, trafficPolicy: {{ connectionPool: {{ tcp: {{ connectTimeout: {number}s }} }} \
             }} }}\n",
            ["shop", "money"][client as usize % 2],
            if service == "billing" { "money" } else { "shop" },
        ),
        8 => format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: d{name}, namespace: shop }}\nspec: {{ \
             hosts: [ {service} ], exportTo: [ \"{}\" ], http: [ {{ route: [ {{ destination: {{ host: checkout }} }} ], timeout: \
             {number}s }} ] }}\n",
            if client < 3 { "*" } else { "." },
        ),
        _ => native("Mesh", &format!("accessLog: {{ path: /dev/std{} }}", ["out", "err"][value as usize % 2])),
    }
}

/// As many of the documents as do not contradict each other.
fn consistent(written: &BTreeMap<usize, Written>) -> Arc<PolicySet> {
    let mut kept: Vec<Arc<Document>> = Vec::new();
    let mut set = PolicySet::default();
    for (name, written) in written {
        let file = read_file(&source(&format!("{name}.yaml"), &document(*name, *written)));
        assert!(file.documents.len() == 1, "{:#?}", file.problems);
        let with: Vec<Arc<Document>> = kept.iter().cloned().chain(file.documents).collect();
        let (next, problems) = PolicySet::build(&with);
        if problems.is_empty() {
            (kept, set) = (with, next);
        }
    }
    Arc::new(set)
}

/// Everything a proxy is served, from nothing, without what only tells where it comes from.
fn served(catalog: &Catalog, policies: &Arc<PolicySet>, proxy: &Proxy) -> Vec<(String, Value)> {
    let mut world = World::default();
    world.update(catalog.clone(), policies.clone());
    let group = world.grouping().group_of(proxy);
    let snapshot = world.compile(&group).snapshot;
    let mut resources = Vec::new();
    for resource_type in ResourceType::ALL {
        for resource in snapshot.set(resource_type).iter() {
            let mut value = to_json(resource_type, resource);
            without_provenance(&mut value);
            resources.push((format!("{} {}", plan::type_name(resource_type), resource.name()), value));
        }
    }
    resources
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn exactly_the_proxies_that_are_served_something_else_are_affected(
        documents in vec(written(), 1..7),
        edited in 0_usize..8,
        edit in proptest::option::of(written()),
    ) {
        let catalog = services();
        let proxies = proxies(&catalog);
        let mut written: BTreeMap<usize, Written> = documents.into_iter().enumerate().collect();
        let before = consistent(&written);
        // One document is another, is new, or is gone.
        match edit {
            Some(edit) => drop(written.insert(edited, edit)),
            None => drop(written.remove(&edited)),
        }
        let after = consistent(&written);
        let (today, load) = (Date::parse("2026-06-01").unwrap(), Load::default());
        let question =
            Question { catalog: &catalog, before: &before, after: &after, proxies: &proxies, load: &load, today };
        let plan = Plan::of(&mut World::default(), &question);
        let differs = |proxy: &&Proxy| served(&catalog, &before, proxy) != served(&catalog, &after, proxy);
        let affected: BTreeSet<Arc<str>> = proxies.iter().filter(differs).map(|proxy| proxy.id.clone()).collect();
        prop_assert_eq!(&plan.affected, &affected);
        let workloads: BTreeSet<Arc<str>> =
            proxies.iter().filter(|proxy| affected.contains(&proxy.id)).map(|proxy| proxy.workload.clone()).collect();
        prop_assert_eq!(&plan.affected_workloads, &workloads);
        prop_assert_eq!((plan.proxies, plan.workloads), (proxies.len(), 6));
        // Whoever is affected stands beside a line, and every line has a cause.
        let told: BTreeSet<Arc<str>> = plan.changes.iter().flat_map(|change| change.workloads.iter().cloned()).collect();
        prop_assert_eq!(told, workloads);
        prop_assert!(plan.changes.iter().all(|change| !change.causes.is_empty()));
    }
}
