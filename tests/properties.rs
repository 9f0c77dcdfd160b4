//! Laws of compiling: the same facts give the same bytes, however they were come by.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use chancery::{
    control::World,
    model::NodeGroup,
    policy::Library,
    resources::{ResourceType, Snapshot},
};
use proptest::{collection::vec, prelude::*};
use support::world::{catalog, source};

/// A few services in a few forms.
#[derive(Debug, Clone)]
struct Facts {
    services: Vec<(u8, u8, Vec<u8>)>,
    policies: Vec<(u8, u8)>,
    /// The routed service, where its rules lead, and their form.
    routes: Vec<(u8, u8, u8)>,
    listeners: u8,
}

fn facts() -> impl Strategy<Value = Facts> {
    let service = (0_u8..6, 0_u8..4, vec(1_u8..6, 0..4));
    let routes = vec((0_u8..6, 0_u8..7, 0_u8..6), 0..4);
    (vec(service, 0..6), vec((0_u8..7, 0_u8..5), 0..4), routes, 0_u8..3)
        .prop_map(|(services, policies, routes, listeners)| Facts { services, policies, routes, listeners })
}

impl Facts {
    fn services(&self) -> String {
        let mut seen = std::collections::BTreeSet::new();
        let mut text = String::from("services:");
        for (name, ports, endpoints) in self.services.iter().filter(|(name, ..)| seen.insert(*name)) {
            let ports = [
                "{ name: a, port: 80, protocol: http }",
                "{ name: a, port: 80, protocol: http }, { name: b, port: 81, protocol: grpc }",
                "{ name: a, port: 90, protocol: tcp }",
                "{ name: a, port: 80, protocol: http, listen: \"127.0.0.1:9000\" }",
            ][*ports as usize];
            text.push_str(&format!("\n  - name: s{name}\n    ports: [ {ports} ]\n    endpoints:"));
            let mut addresses = endpoints.clone();
            addresses.sort_unstable();
            addresses.dedup();
            if addresses.is_empty() {
                text.push_str(" []");
            }
            for address in addresses {
                text.push_str(&format!(
                    "\n      - {{ address: 10.0.0.{address}, weight: {address}, labels: {{ v: \"{}\" }} }}",
                    address % 2
                ));
            }
        }
        if text == "services:" { "services: []".into() } else { text }
    }

    fn policies(&self) -> String {
        let mut seen = std::collections::BTreeSet::new();
        let listeners = ["tcp", "all", "none"][self.listeners as usize];
        let mut text = format!(
            "apiVersion: chancery.dev/v1alpha1\nkind: Mesh\nmetadata: {{ name: mesh }}\nspec: {{ outbound: {{ listeners: {listeners} }} }}\n"
        );
        for (target, what) in self.policies.iter().filter(|(target, _)| seen.insert(*target)) {
            let target_text = if *target == 6 { "{}".to_owned() } else { format!("{{ service: s{target} }}") };
            let mut what = [
                "timeout: 1s",
                "loadBalancer: { simple: RANDOM }",
                "connectionPool: { tcp: { maxConnections: 5 } }",
                "loadBalancer: { localityLbSetting: {} }",
                "subsets: [ { name: one, labels: { v: \"1\" } } ]",
            ][*what as usize];
            if *target == 6 && what.starts_with("subsets") {
                what = "timeout: 9s";
            }
            text.push_str(&format!("---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: p{target} }}\nspec: {{ target: {target_text}, {what} }}\n"));
        }
        // A seventh service is never there; of two documents for one the first by name counts.
        for (index, (service, to, form)) in self.routes.iter().enumerate() {
            let rules = [
                format!("http: [ {{ route: [ {{ destination: {{ host: s{to} }} }} ] }} ]"),
                format!(
                    "http: [ {{ match: [ {{ uri: {{ prefix: /a }} }} ], route: [ {{ destination: {{ host: s{to}, subset: one }} }} ] }} ]"
                ),
                format!(
                    "http: [ {{ route: [ {{ destination: {{ host: s{to} }}, weight: 1 }}, {{ destination: {{ host: s{service} }}, weight: 3 }} ] }} ]"
                ),
                format!(
                    "http: [ {{ mirror: {{ host: s{to} }}, timeout: {to}s, route: [ {{ destination: {{ host: s{service} }} }} ] }} ]"
                ),
                format!("tcp: [ {{ route: [ {{ destination: {{ host: s{to} }} }} ] }} ]"),
                format!(
                    "http: [ {{ match: [ {{ sourceNamespace: n{to} }} ], route: [ {{ destination: {{ host: s{to} }} }} ] }} ]"
                ),
            ];
            let rules = &rules[*form as usize];
            text.push_str(&format!("---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: v{index} }}\nspec: {{ hosts: [ s{service} ], {rules} }}\n"));
        }
        text
    }
}

fn groups() -> Vec<NodeGroup> {
    let own = NodeGroup { own: chancery::model::ServiceName::new("s1").ok(), ..NodeGroup::default() };
    let placed = NodeGroup { locality: Some(chancery::model::Locality::parse("eu/eu-1")), ..NodeGroup::default() };
    let scope = chancery::model::Scope(std::sync::Arc::new([chancery::model::NamePattern::new("s1")].into()));
    let scoped = NodeGroup { scope: Some(scope), ..NodeGroup::default() };
    let grpc = |group: &NodeGroup| NodeGroup { kind: chancery::model::ClientKind::Grpc, ..group.clone() };
    let (calling, calling_few) = (grpc(&placed), grpc(&scoped));
    vec![NodeGroup::default(), own, placed, scoped, calling, calling_few]
}

/// Names and bodies of one type.
type Bodies = Vec<(String, Vec<u8>)>;

fn bytes(snapshot: &Snapshot) -> Vec<(ResourceType, Bodies)> {
    let resources = |set: &chancery::resources::ResourceSet| {
        set.iter().map(|resource| (resource.name().to_string(), resource.body().to_vec())).collect()
    };
    snapshot.sets().iter().map(|(resource_type, set)| (resource_type, resources(set))).collect()
}

/// Each EDS cluster has its assignment, each listener that asks for routes has them, and nothing is without use. A gRPC
/// client's listener leads to clusters that are there.
fn assert_consistent(snapshot: &Snapshot) {
    let json = snapshot.to_json();
    for cluster in json["clusters"].as_array().unwrap().iter().filter(|cluster| cluster["type"] == "EDS") {
        let name = cluster["name"].as_str().unwrap();
        assert!(snapshot.set(ResourceType::Endpoints).get(name).is_some(), "{name} has no assignment");
    }
    let mut wanted = std::collections::BTreeSet::new();
    for listener in json["listeners"].as_array().unwrap() {
        let routes = listener["filter_chains"][0]["filters"][0]["typed_config"]["rds"]["route_config_name"].as_str();
        wanted.extend(routes.map(ToOwned::to_owned));
        let inline = &listener["api_listener"]["api_listener"]["route_config"]["virtual_hosts"][0]["routes"];
        for route in inline.as_array().into_iter().flatten() {
            let split = route["route"]["weighted_clusters"]["clusters"].as_array();
            let split = split.into_iter().flatten().filter_map(|cluster| cluster["name"].as_str());
            for cluster in route["route"]["cluster"].as_str().into_iter().chain(split) {
                assert!(snapshot.set(ResourceType::Cluster).get(cluster).is_some(), "nothing is called {cluster}");
            }
        }
    }
    let present: std::collections::BTreeSet<String> =
        snapshot.set(ResourceType::Route).iter().map(|routes| routes.name().to_string()).collect();
    assert_eq!(wanted, present, "listeners ask for exactly the routes there are");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn incremental_equals_from_scratch(history in vec(facts(), 1..6)) {
        let mut world = World::default();
        let mut library = Library::default();
        for facts in &history {
            library.update([&source("p.yaml", &facts.policies())]);
            prop_assert!(!library.has_errors(), "{:#?}", library.problems());
            world.update(catalog(&facts.services()), library.policies().clone());
            for group in groups() {
                let kept = world.compile(&group);
                let mut fresh_library = Library::default();
                fresh_library.update([&source("p.yaml", &facts.policies())]);
                let mut fresh = World::default();
                fresh.update(catalog(&facts.services()), fresh_library.policies().clone());
                let from_scratch = fresh.compile(&group);
                prop_assert_eq!(bytes(&kept.snapshot), bytes(&from_scratch.snapshot));
                prop_assert_eq!(kept.snapshot.sets(), from_scratch.snapshot.sets());
                prop_assert_eq!(&kept.problems, &from_scratch.problems);
                prop_assert_eq!(world.grouping(), fresh.grouping());
                assert_consistent(&kept.snapshot);
            }
        }
    }
}
