//! Section J of the rules: gRPC libraries without a proxy. What they ask is asked of a session, what they are served is
//! compiled.

use chancery::{
    compile::Compiled,
    control::World,
    model::{Catalog, ClientKind, NodeGroup},
    resources::ResourceType,
};
use serde_json::Value;

use super::{
    conversation::{CDS, EDS, LDS, Talk, snapshot},
    support::world::{catalog, world},
};

/// What a group of a kind of clients is served.
fn served(world: &mut World, kind: ClientKind) -> Value {
    world.compile(&NodeGroup { kind, ..NodeGroup::default() }).snapshot.to_json()
}

const SERVICES: &str = "services:
  - name: orders
    ports: [ { name: grpc, port: 80, protocol: grpc } ]
    endpoints:
      - { address: 10.0.0.1 }
      - { address: 10.0.0.2, locality: { region: eu }, health: unhealthy }
  - name: ledger
    ports: [ { name: grpc, port: 80, protocol: grpc } ]
";

fn policies(ring: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: orders }}\nspec:\n  hosts: [ orders ]\n  \
         http:\n    - match: [ {{ queryParams: {{ debug: {{ exact: \"1\" }} }} }} ]\n      route: [ {{ destination: {{ host: ledger }} }} ]\n    \
         - match: [ {{ uri: {{ exact: /a.B/C }} }}, {{ uri: {{ regex: \"/a.*\" }} }} ]\n      redirect: {{ uri: / }}\n    \
         - route: [ {{ destination: {{ host: orders }}, weight: 1 }}, {{ destination: {{ host: ledger }}, weight: 1 }} ]\n\
         ---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: ledger }}\n\
         spec: {{ target: {{ service: ledger }}, loadBalancer: {{ consistentHash: {{ httpHeaderName: user, ringHash: {ring} }} }} }}\n"
    )
}

#[test]
fn item_85_a_library_is_sent_what_it_names_and_nothing_else() {
    let target = snapshot("a=ca b=cb", "a=ea b=eb", "x=lx y=ly z=lz", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(LDS, "x");
    assert_eq!(talk.all(), ["listeners lx"]);
    talk.ack(LDS, "x");
    talk.ask(CDS, "a");
    assert_eq!(talk.all(), ["clusters ca"]);
    talk.ack(CDS, "a");
    talk.ask(EDS, "a");
    assert_eq!(talk.all(), ["endpoints ea"]);
    talk.ack(EDS, "a");

    talk.ack(LDS, "x y");
    assert_eq!(talk.all(), ["listeners lx ly"], "what a response lacks is deleted, so both are in it");
    talk.ack(LDS, "x y");
    talk.target(&snapshot("a=ca b=changed", "a=ea b=changed", "x=lx y=ly z=changed", ""));
    assert!(talk.all().is_empty(), "what it did not name may change");
    talk.target(&snapshot("a=ca", "a=ea", "x=lx", ""));
    assert_eq!(talk.all(), ["listeners lx"], "a name that is gone is missing");
}

#[test]
fn item_85_a_name_that_nobody_has_is_answered() {
    let mut talk = Talk::sotw(&snapshot("", "", "x=lx", ""));
    talk.ask(LDS, "nobody");
    assert_eq!(talk.all(), ["listeners"]);
    talk.ack(LDS, "nobody");
    talk.target(&snapshot("", "", "x=lx nobody=here", ""));
    assert_eq!(talk.all(), ["listeners here"]);
}

#[test]
fn item_86_listeners_and_routes_are_as_libraries_want_them() {
    let mut world = world(SERVICES, &policies("{}"));
    let served = served(&mut world, ClientKind::Grpc);
    let listeners = served["listeners"].as_array().unwrap();
    assert_eq!(
        listeners.iter().map(|l| l["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["ledger", "ledger:80", "orders", "orders:80"]
    );
    for listener in listeners {
        let manager = &listener["api_listener"]["api_listener"];
        assert!(manager["@type"].as_str().unwrap().ends_with(".HttpConnectionManager"));
        let filters: Vec<&str> =
            manager["http_filters"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
        assert_eq!(filters, ["envoy.filters.http.fault", "envoy.filters.http.router"], "the router is last");
        for route in manager["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap() {
            let matched = route["match"].as_object().unwrap();
            assert_eq!(["prefix", "path", "safe_regex"].iter().filter(|key| matched.contains_key(**key)).count(), 1);
            assert!(
                !matched.contains_key("query_parameters"),
                "they are ignored, so such a route would match every call"
            );
            assert!(route.get("route").is_some(), "no other action is known: {route}");
        }
    }
    for cluster in served["clusters"].as_array().unwrap() {
        assert!(cluster["eds_cluster_config"]["eds_config"].get("ads").is_some(), "{cluster}");
    }
}

#[test]
fn item_88_libraries_and_sidecars_are_served_apart() {
    for agent in ["gRPC C-core", "gRPC Node Pure JS", "grpc-go", "GRPC Java"] {
        assert_eq!(ClientKind::of_user_agent(agent), ClientKind::Grpc);
    }
    assert_eq!(ClientKind::of_user_agent("envoy"), ClientKind::Envoy);
    let mut world = world(SERVICES, "");
    let (library, sidecar) = (served(&mut world, ClientKind::Grpc), served(&mut world, ClientKind::Envoy));
    let names = |served: &Value, types: &str| -> Vec<String> {
        served[types].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&sidecar, "listeners"), ["outbound"]);
    assert!(!names(&library, "listeners").contains(&"outbound".to_owned()));
    assert!(names(&library, "routes").is_empty(), "its routes are in its listeners");
    assert_eq!(names(&library, "clusters"), ["ledger:80", "orders:80"]);
}

#[test]
fn item_89_a_new_stream_is_answered_in_full_and_at_once() {
    let target = snapshot("a=ca", "a=ea", "x=lx", "");
    let mut talk = Talk::sotw(&target);
    // What it has from before: names, and the version it last took.
    for (resource_type, name) in [(LDS, "x"), (CDS, "a"), (EDS, "a")] {
        talk.claim_version(resource_type, target.set(resource_type).version().to_string());
        talk.ask(resource_type, name);
    }
    assert_eq!(talk.all(), ["clusters ca", "endpoints ea", "listeners lx"]);
}

#[test]
fn item_90_what_a_call_was_led_to_stays_until_it_is_led_elsewhere() {
    let mut talk = Talk::sotw(&snapshot("a=ca", "a=ea", "x=to-a", ""));
    for (resource_type, name) in [(LDS, "x"), (CDS, "a"), (EDS, "a")] {
        talk.ask(resource_type, name);
        talk.all();
        talk.ack(resource_type, name);
    }
    talk.target(&snapshot("b=cb", "b=eb", "x=to-b", ""));
    assert_eq!(talk.all(), ["listeners to-b"], "the old cluster is not taken away under the calls that use it");
    talk.ack(LDS, "x");
    // The library asks for what its new routes lead to, and drops the old one when that is there.
    talk.ask(CDS, "a b");
    assert!(talk.all().contains(&"clusters cb".to_owned()));
    talk.ack(CDS, "b");
    talk.ask(EDS, "b");
    assert_eq!(talk.all(), ["endpoints eb"]);
}

#[test]
fn item_90_a_listener_brings_its_routes_along() {
    let mut world = world(SERVICES, &policies("{}"));
    let group = NodeGroup { kind: ClientKind::Grpc, ..NodeGroup::default() };
    let snapshot = world.compile(&group).snapshot;
    assert!(snapshot.set(ResourceType::Route).is_empty());
    for listener in snapshot.to_json()["listeners"].as_array().unwrap() {
        assert!(listener["api_listener"]["api_listener"].get("route_config").is_some(), "{listener}");
    }
}

#[test]
fn item_91_rings_are_no_larger_than_libraries_take() {
    let mut world = world(
        SERVICES,
        &policies("{ minimumRingSize: 8388608, maximumRingSize: 8388608, hashFunction: MURMUR_HASH_2 }"),
    );
    let served = served(&mut world, ClientKind::Grpc);
    let cluster = |name: &str| -> Value {
        served["clusters"].as_array().unwrap().iter().find(|cluster| cluster["name"] == name).unwrap().clone()
    };
    let ring = &cluster("ledger:80")["ring_hash_lb_config"];
    let size = |key: &str| ring[key].as_str().map(|size| size.parse::<u64>().unwrap());
    assert!(size("minimum_ring_size") <= Some(8 << 20) && size("maximum_ring_size") <= Some(8 << 20), "{ring}");
    assert_eq!(ring.get("hash_function"), None, "XX_HASH is the only one there is");

    // A list ends in what every library has, and a locality is picked before.
    let outer = &cluster("orders:80")["load_balancing_policy"]["policies"];
    let [outer] = outer.as_array().unwrap().as_slice() else { panic!("{outer}") };
    let locality = &outer["typed_extension_config"];
    assert_eq!(locality["name"], "envoy.load_balancing_policies.wrr_locality");
    let picking = locality["typed_config"]["endpoint_picking_policy"]["policies"].as_array().unwrap();
    let last = &picking.last().unwrap()["typed_extension_config"];
    assert_eq!(last["name"], "envoy.load_balancing_policies.round_robin");
}

/// Item 57 asks more of an assignment where a library reads it.
#[test]
fn item_57_localities_are_named_and_weighted_for_libraries() {
    let mut world = world(SERVICES, "");
    let served = served(&mut world, ClientKind::Grpc);
    let orders = served["endpoints"].as_array().unwrap().iter().find(|a| a["cluster_name"] == "orders:80").unwrap();
    let localities = orders["endpoints"].as_array().unwrap();
    assert_eq!(localities.len(), 1, "what takes no calls is not sent: {orders}");
    assert!(localities[0].get("locality").is_some(), "the unknown one too");
    assert_eq!(localities[0]["load_balancing_weight"], 1);
}

/// Two services may come from sources that know nothing of each other.
#[test]
fn item_85_a_name_that_two_services_have_leads_to_the_first() {
    let service = |name: &str, hosts: &str| {
        format!("services:\n  - name: {name}\n    {hosts}ports: [ {{ name: grpc, port: 80, protocol: grpc }} ]\n")
    };
    let mut world = World::default();
    let update = |world: &mut World, texts: &[String]| {
        let entries = texts.iter().flat_map(|text| {
            let read = catalog(text);
            read.iter().map(|(_, entry)| entry.clone()).collect::<Vec<_>>()
        });
        world.update(entries.fold(Catalog::default(), Catalog::with), Default::default());
    };
    let shared = "hosts: [ shared ]\n    ";
    let (first, second) = (service("a", shared), service("b", shared));
    let group = NodeGroup { kind: ClientKind::Grpc, ..NodeGroup::default() };
    let leads_to = |compiled: &Compiled| -> Vec<String> {
        let json = compiled.snapshot.to_json();
        let named = |listener: &&Value| listener["name"].as_str().unwrap().starts_with("shared");
        let listeners = json["listeners"].as_array().unwrap().iter().filter(named);
        listeners.map(|l| l["api_listener"]["api_listener"]["stat_prefix"].as_str().unwrap().to_owned()).collect()
    };
    update(&mut world, &[first.clone(), second.clone()]);
    let compiled = world.compile(&group);
    assert_eq!(leads_to(&compiled), ["a:80", "a:80"], "without a port, and with it");
    assert_eq!(compiled.problems.len(), 2, "{:?}", compiled.problems);
    assert!(compiled.problems[0].to_string().contains("`shared` does not lead to b"), "{}", compiled.problems[0]);

    update(&mut world, &[second]);
    let compiled = world.compile(&group);
    assert_eq!(leads_to(&compiled), ["b:80", "b:80"], "the next one has it when the first is gone");
    assert!(compiled.problems.is_empty(), "{:?}", compiled.problems);
    update(&mut world, &[]);
    assert!(leads_to(&world.compile(&group)).is_empty());
}
