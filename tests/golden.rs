//! Goldens: services and policies beside the Envoy resources they become. One case, one idea: these are the
//! documentation of the features. `UPDATE_GOLDEN=1` rewrites; a file that no case writes fails.
//!
//! `input.yaml` holds the services, then `---`, then policy documents. A first line `# node: …` names the client as
//! the command line does; with the word `grpc` in it there is also a `grpc.yaml`, which is what a gRPC client without a proxy
//! is served of the same, and what it does not do. What is the same for everybody (the HTTP listener, the cluster that leads back into it, the
//! answer for unknown hosts) is left out of `envoy.yaml`; the cases `outbound` and `outbound-…` show it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{collections::BTreeMap, fs, path::PathBuf};

use chancery::{
    control::World,
    model::{ClientKind, Locality, NodeGroup, Proxy, Role},
};
use serde_json::{Value, json};
use support::{envoy, identity, world};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

struct Case {
    name: String,
    input: String,
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            Case {
                input: fs::read_to_string(path.join("input.yaml"))
                    .unwrap_or_else(|_| panic!("{name} has no input.yaml")),
                name,
            }
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() > 20, "the goldens are gone");
    cases
}

impl Case {
    fn world(&self) -> World {
        let (services, policies) = self.input.split_once("\n---\n").unwrap_or((&self.input, ""));
        world::world(services, policies)
    }

    fn snapshot(&self) -> (World, Value) {
        let mut world = self.world();
        let group = self.group(&world, ClientKind::Envoy);
        let snapshot = world.compile(&group).snapshot.to_json();
        (world, snapshot)
    }

    /// Its `grpc.yaml`, where it has one.
    fn for_grpc(&self) -> Option<String> {
        self.node().split(' ').find(|word| *word == "grpc")?;
        let mut world = self.world();
        let group = self.group(&world, ClientKind::Grpc);
        let mut shown = world.compile(&group).snapshot.to_json();
        shown.as_object_mut().unwrap().retain(|_, resources| !resources.as_array().unwrap().is_empty());
        merge_names(&mut shown["listeners"]);
        let services: Vec<_> = world.catalog().iter().map(|(name, _)| name.clone()).collect();
        let lacking = services.iter().flat_map(|name| world.lacking(&group, name)).map(|lacking| {
            let loudness = if lacking.changes_traffic { "problem" } else { "note" };
            Value::from(format!("{loudness}: {} {}: {}", lacking.cluster, lacking.setting, lacking.sentence))
        });
        shown["lacking"] = lacking.collect();
        Some(serde_saphyr::to_string(&shown).unwrap())
    }

    fn node(&self) -> &str {
        self.input.lines().next().and_then(|line| line.strip_prefix("# node: ")).unwrap_or_default()
    }

    fn group(&self, world: &World, kind: ClientKind) -> NodeGroup {
        let node = self.node();
        let value = |key: &str| node.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default().to_owned();
        world.grouping().group_of(&Proxy {
            id: "golden".into(),
            workload: value("service=").into(),
            namespace: value("namespace=").into(),
            labels: value("labels=")
                .split_once(':')
                .map(|(key, value)| (key.into(), value.into()))
                .into_iter()
                .collect(),
            locality: Locality::parse(&value("locality=")),
            local_cluster: node.split(' ').any(|word| word == "zone-aware"),
            kind,
            role: Role::Sidecar,
        })
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(FOLDER).join(&self.name)
    }
}

/// Listeners that differ in nothing but their names become one that has them all.
fn merge_names(listeners: &mut Value) {
    let mut by_content: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
    for mut listener in std::mem::take(listeners.as_array_mut().unwrap()) {
        let name = listener.as_object_mut().unwrap().remove("name").unwrap().as_str().unwrap().to_owned();
        by_content.entry(listener.to_string()).or_insert((listener, Vec::new())).1.push(name);
    }
    *listeners =
        by_content.into_values().map(|(listener, names)| json!({ "names": names, "each": listener })).collect();
}

/// Leaves out what is the same for everybody.
fn own_part(mut snapshot: Value) -> Value {
    for (key, resources) in snapshot.as_object_mut().unwrap() {
        let resources = resources.as_array_mut().unwrap();
        if key == "clusters" || key == "listeners" {
            resources.retain(|resource| resource["name"] != "outbound");
        }
        if key == "routes" {
            for routes in resources.iter_mut() {
                routes.as_object_mut().unwrap().remove("max_direct_response_body_size_bytes");
            }
            for routes in resources.iter_mut().filter(|routes| routes["name"] == "outbound") {
                let hosts = routes["virtual_hosts"].as_array_mut().unwrap();
                hosts.retain(|host| host["name"] != "unknown");
                for host in hosts {
                    host["routes"]
                        .as_array_mut()
                        .unwrap()
                        .retain(|route| route["match"].get("connect_matcher").is_none());
                }
            }
        }
    }
    snapshot.as_object_mut().unwrap().retain(|_, resources| !resources.as_array().unwrap().is_empty());
    snapshot
}

#[test]
fn every_case_becomes_what_stands_beside_it() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for case in cases() {
        let (_, snapshot) = case.snapshot();
        let shown = if case.name.starts_with("outbound") { snapshot } else { own_part(snapshot) };
        let mut outputs = vec![("envoy.yaml", serde_saphyr::to_string(&shown).unwrap())];
        outputs.extend(case.for_grpc().map(|text| ("grpc.yaml", text)));
        for (name, text) in &outputs {
            let path = case.folder().join(name);
            if update {
                fs::write(&path, text).unwrap();
            }
            let golden =
                fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} has no {name}: UPDATE_GOLDEN=1", case.name));
            similar_asserts::assert_eq!(golden, *text, "{}", case.name);
        }
        let written = |name: &std::ffi::OsString| name == "input.yaml" || outputs.iter().any(|(own, _)| name == own);
        let stale = fs::read_dir(case.folder()).unwrap().map(|entry| entry.unwrap().file_name());
        let stale: Vec<_> = stale.filter(|name| !written(name)).collect();
        assert!(stale.is_empty(), "{}: nobody writes {stale:?}", case.name);
    }
}

/// Comments, order, layout and the places of documents have no meaning, so no byte may depend on them.
#[test]
fn what_has_no_meaning_changes_no_bytes() {
    for case in cases() {
        let (services, policies) = case.input.split_once("\n---\n").unwrap_or((&case.input, ""));
        let mut documents: Vec<String> =
            policies.split("\n---\n").map(|text| format!("\n# moved\n\n{text}\n")).collect();
        documents.reverse();
        let moved = Case {
            name: case.name.clone(),
            input: format!("{services}\n# the end\n---\n{}", documents.join("\n---\n# a comment\n")),
        };
        assert_eq!(case.snapshot().1, moved.snapshot().1, "{}", case.name);
    }
}

#[test]
fn envoy_accepts_every_case() {
    for case in cases() {
        let (_, snapshot) = case.snapshot();
        let config = static_bootstrap(&snapshot);
        if let Err(error) = envoy::validate(&config) {
            panic!("{}: {error}\n{config}", case.name);
        }
    }
}

/// The same resources without a control plane: assignments in their clusters, routes in their listeners.
fn static_bootstrap(snapshot: &Value) -> String {
    let list = |key: &str| snapshot[key].as_array().cloned().unwrap_or_default();
    let by_name = |key: &str, name: &str| -> BTreeMap<String, Value> {
        list(key).into_iter().map(|value| (value[name].as_str().unwrap().to_owned(), value)).collect()
    };
    let assignments = by_name("endpoints", "cluster_name");
    let routes = by_name("routes", "name");
    let clusters: Vec<Value> = list("clusters")
        .into_iter()
        .map(|mut cluster| {
            if cluster["type"] == "EDS" {
                let assignment = assignments[cluster["name"].as_str().unwrap()].clone();
                let fields = cluster.as_object_mut().unwrap();
                fields.remove("eds_cluster_config");
                fields.insert("type".into(), "STATIC".into());
                fields.insert("load_assignment".into(), assignment);
            }
            cluster
        })
        .collect();
    let listeners: Vec<Value> = list("listeners")
        .into_iter()
        .map(|mut listener| {
            let chains = listener["filter_chains"].as_array_mut().unwrap().iter_mut();
            for filter in chains.flat_map(|chain| chain["filters"].as_array_mut().unwrap()) {
                let config = filter["typed_config"].as_object_mut().unwrap();
                if let Some(rds) = config.remove("rds") {
                    let mut routes = routes[rds["route_config_name"].as_str().unwrap()].clone();
                    // Over RDS a route may lead to a cluster that is not there.
                    routes["validate_clusters"] = json!(false);
                    config.insert("route_config".into(), routes);
                }
            }
            listener
        })
        .collect();
    let mut resources = json!({ "clusters": clusters, "listeners": listeners });
    let mut secrets = BTreeMap::new();
    identity::stand_in(&mut resources, &mut secrets);
    resources["secrets"] = secrets.into_values().collect();
    json!({ "static_resources": resources }).to_string()
}

#[test]
fn the_bootstraps_in_the_repository_are_accepted() {
    for name in ["sidecar-delta.yaml", "sidecar-sotw.yaml"] {
        let path = format!("{}/envoy-configs/{name}", env!("CARGO_MANIFEST_DIR"));
        envoy::validate(&fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{path}: {error}"));
    }
}
