//! What Envoys do when the change is pushed, beside taking the new values.
//!
//! Envoy compares whole clusters and listeners: one that differs in a word is built anew, warmed beside the old one and
//! put in its place, and what hung on the old one drains. Endpoints and routes are replaced where they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    ChangeKind,
    compare::{Alike, Comparison, Differing},
    hashing::{HashFunction, Host, Maglev, Ring},
};
use crate::{
    model::ResourceName,
    resources::{ResourceType, Snapshot, to_json},
};

/// A side effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// A stable word in kebab case.
    pub id: &'static str,
    /// The cluster or listener it happens to.
    pub resource: ResourceName,
    /// A sentence without a full stop.
    pub text: String,
    /// Whose proxies.
    pub workloads: BTreeSet<Arc<str>>,
}

/// The ids of effects that are predicted.
pub const EFFECTS: &[&str] = &[
    "cluster-rewarm",
    "connections-drain",
    "failover-active",
    "hash-reshuffle",
    "health-checks-restart",
    "listener-drain",
    "subset-shrinks",
];

/// How many of the keys of a consistent hash go to another endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reshuffle {
    /// Between 0 and 1.
    pub moved: f64,
}

/// As many keys are followed.
const KEYS: u64 = 10_000;

/// What was found, each once, with whose proxies it happens to.
#[derive(Debug, Default)]
struct Found(BTreeMap<(&'static str, ResourceName, String), BTreeSet<Arc<str>>>);

impl Found {
    fn add(&mut self, id: &'static str, resource: &ResourceName, text: String, workloads: &BTreeSet<Arc<str>>) {
        self.0.entry((id, resource.clone(), text)).or_default().extend(workloads.iter().cloned());
    }
}

pub(super) fn find(comparison: &Comparison) -> Vec<Effect> {
    let mut found = Found::default();
    let mut seen_by: Vec<BTreeSet<Arc<str>>> = vec![BTreeSet::new(); comparison.resources.len()];
    for alike in &comparison.alike {
        for at in &alike.resources {
            seen_by[*at].extend(alike.workloads.iter().cloned());
        }
    }
    for (resource, workloads) in comparison.resources.iter().zip(&seen_by) {
        match resource.resource_type {
            ResourceType::Cluster => of_cluster(resource, workloads, &mut found),
            ResourceType::Listener => of_listener(resource, workloads, &mut found),
            ResourceType::Endpoints => of_endpoints(resource, workloads, &mut found),
            ResourceType::Secret | ResourceType::Route => {}
        }
    }
    // Proxies that see one cluster in one way are asked once.
    let mut asked: BTreeMap<Vec<usize>, Option<(ResourceName, String)>> = BTreeMap::new();
    for alike in &comparison.alike {
        let resources = || alike.resources.iter().map(|&at| (at, &comparison.resources[at]));
        let hashed = |resource_type| matches!(resource_type, ResourceType::Cluster | ResourceType::Endpoints);
        let names: BTreeSet<&ResourceName> = resources()
            .filter(|(_, resource)| hashed(resource.resource_type))
            .map(|(_, resource)| &resource.name)
            .collect();
        for name in names {
            let seen = resources().filter(|(_, resource)| resource.name == *name).map(|(at, _)| at).collect();
            let moved = asked.entry(seen).or_insert_with(|| Some((name.clone(), reshuffle(alike, name)?)));
            if let Some((name, text)) = moved {
                found.add("hash-reshuffle", name, text.clone(), &alike.workloads);
            }
        }
    }
    let effect = |((id, resource, text), workloads)| Effect { id, resource, text, workloads };
    found.0.into_iter().map(effect).collect()
}

fn of_cluster(resource: &Differing, workloads: &BTreeSet<Arc<str>>, found: &mut Found) {
    let name = &resource.name;
    let mut add = |id, text: String| found.add(id, name, text, workloads);
    match resource.kind() {
        ChangeKind::Added => {}
        ChangeKind::Removed => add("connections-drain", format!("{name} is gone: its connections are closed")),
        ChangeKind::Changed => {
            add(
                "cluster-rewarm",
                format!("{name} is built anew and warmed beside the old one, which serves until then"),
            );
            add(
                "connections-drain",
                format!("connections to {name} drain and new ones are opened, by each proxy for itself"),
            );
            let checks = |value: &Value| value["health_checks"].as_array().map_or(0, Vec::len);
            if checks(&resource.after) > 0 {
                let text = match checks(&resource.before) {
                    0 => format!("health checks of {name} begin: an endpoint is used after its first"),
                    _ => format!("health checks of {name} start over: an endpoint is used after its first"),
                };
                add("health-checks-restart", text);
            }
        }
    }
}

fn of_listener(resource: &Differing, workloads: &BTreeSet<Arc<str>>, found: &mut Found) {
    let name = &resource.name;
    let text = match resource.kind() {
        ChangeKind::Added => return,
        ChangeKind::Removed => format!("listener {name} drains and closes"),
        ChangeKind::Changed => format!("listener {name} is replaced: connections of applications to the old one drain"),
    };
    found.add("listener-drain", name, text, workloads);
}

fn of_endpoints(resource: &Differing, workloads: &BTreeSet<Arc<str>>, found: &mut Found) {
    let name = &resource.name;
    if resource.kind() != ChangeKind::Changed {
        return;
    }
    let tiers = |value: &Value| groups(value).map(priority).collect::<BTreeSet<u64>>().len();
    let (before, after) = (tiers(&resource.before), tiers(&resource.after));
    if after > before && after > 1 {
        let were = if before == 1 { "was 1".to_owned() } else { format!("were {before}") };
        let text = format!("locality failover of {name} becomes active: {after} tiers of endpoints where there {were}");
        found.add("failover-active", name, text, workloads);
    }
    let addresses =
        |value: &Value| hosts(groups(value)).into_iter().map(|host| host.address).collect::<BTreeSet<String>>();
    let (before, after) = (addresses(&resource.before), addresses(&resource.after));
    let lost = before.difference(&after).count();
    if lost > 0 {
        let text = format!("connections to {lost} of {} endpoints of {name} drain", before.len());
        found.add("connections-drain", name, text, workloads);
        if name.as_str().contains('/') {
            let text = format!("{name} loses {lost} of {} endpoints", before.len());
            found.add("subset-shrinks", name, text, workloads);
        }
    }
}

fn groups(assignment: &Value) -> impl Iterator<Item = &Value> {
    assignment["endpoints"].as_array().into_iter().flatten()
}

fn priority(group: &Value) -> u64 {
    group["priority"].as_u64().unwrap_or(0)
}

/// The endpoints of an assignment that keys are hashed to, with what each weighs: those of its first tier.
fn addresses(assignment: &Value) -> Vec<Host> {
    let first = groups(assignment).map(priority).min().unwrap_or(0);
    hosts(groups(assignment).filter(|group| priority(group) == first))
}

/// The endpoints of groups that take requests.
fn hosts<'a>(groups: impl Iterator<Item = &'a Value>) -> Vec<Host> {
    let mut hosts = Vec::new();
    for endpoint in groups.flat_map(|group| group["lb_endpoints"].as_array().into_iter().flatten()) {
        let socket = &endpoint["endpoint"]["address"]["socket_address"];
        let address = socket["address"].as_str().unwrap_or_default();
        let port = socket["port_value"].as_u64().unwrap_or(0);
        let address = if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
        let unhealthy = matches!(endpoint["health_status"].as_str(), Some("UNHEALTHY" | "DRAINING" | "TIMEOUT"));
        let weight = endpoint["load_balancing_weight"].as_u64().unwrap_or(1) as f64;
        if !unhealthy {
            hosts.push(Host { address, weight });
        }
    }
    hosts
}

/// A cluster's hashing, where it hashes.
enum Table {
    Ring(Ring),
    Maglev(Maglev),
}

impl Table {
    fn of(cluster: &Value, hosts: &[Host]) -> Option<Self> {
        let number = |value: &Value, absent: u64| {
            value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok())).unwrap_or(absent)
        };
        match cluster["lb_policy"].as_str()? {
            "RING_HASH" => {
                let config = &cluster["ring_hash_lb_config"];
                let function = match config["hash_function"].as_str() {
                    Some("MURMUR_HASH_2") => HashFunction::Murmur2,
                    _ => HashFunction::XxHash,
                };
                let (least, most) =
                    (number(&config["minimum_ring_size"], 1024), number(&config["maximum_ring_size"], 8_388_608));
                Some(Self::Ring(Ring::new(hosts, least, most, function)))
            }
            "MAGLEV" => {
                Some(Self::Maglev(Maglev::new(hosts, number(&cluster["maglev_lb_config"]["table_size"], 65_537))))
            }
            _ => None,
        }
    }

    fn pick(&self, key: u64) -> Option<usize> {
        match self {
            Self::Ring(ring) => ring.pick(key),
            Self::Maglev(maglev) => maglev.pick(key),
        }
    }
}

impl Reshuffle {
    /// Between two clusters, each with its assignment, in proto3 JSON. `None` where one of them does not hash.
    pub fn between(before: (&Value, &Value), after: (&Value, &Value)) -> Option<Self> {
        let (from, to) = (addresses(before.1), addresses(after.1));
        let (old, new) = (Table::of(before.0, &from)?, Table::of(after.0, &to)?);
        if from.is_empty() || to.is_empty() {
            return None;
        }
        let places: BTreeMap<&str, usize> = to.iter().enumerate().map(|(at, host)| (&*host.address, at)).collect();
        let moved = (0..KEYS)
            .map(|number| xxhash_rust::xxh64::xxh64(format!("key-{number}").as_bytes(), 0))
            .filter(|key| {
                let was = old.pick(*key).and_then(|at| places.get(&*from[at].address).copied());
                was != new.pick(*key)
            })
            .count();
        Some(Self { moved: moved as f64 / KEYS as f64 })
    }
}

fn reshuffle(alike: &Alike, name: &ResourceName) -> Option<String> {
    let of = |snapshot: &Snapshot, resource_type| {
        let resource = snapshot.set(resource_type).get(name.as_str());
        resource.map_or(Value::Null, |resource| to_json(resource_type, resource))
    };
    let side = |snapshot: &Snapshot| {
        let cluster = of(snapshot, ResourceType::Cluster);
        let assignment = match of(snapshot, ResourceType::Endpoints) {
            Value::Null => cluster["load_assignment"].clone(),
            assignment => assignment,
        };
        (cluster, assignment)
    };
    let (before, after) = (side(&alike.before), side(&alike.after));
    let Reshuffle { moved } = Reshuffle::between((&before.0, &before.1), (&after.0, &after.1))?;
    (moved > 0.0).then(|| format!("{:.1} % of the keys of {name} go to another endpoint", moved * 100.0))
}
