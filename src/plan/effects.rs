//! What Envoys do when the change is pushed, beside taking the new values.
//!
//! Envoy compares whole clusters and listeners: one that differs in a word is built anew, warmed beside the old one and
//! put in its place, and what hung on the old one drains. Endpoints and routes are replaced where they are.

use std::collections::{BTreeMap, BTreeSet};

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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// A stable word in kebab case.
    pub id: &'static str,
    /// The cluster or listener it happens to.
    pub resource: ResourceName,
    /// A sentence without a full stop.
    pub text: String,
}

/// How many of the keys of a consistent hash go to another endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reshuffle {
    /// Between 0 and 1.
    pub moved: f64,
}

/// As many keys are followed.
const KEYS: u64 = 10_000;

pub(super) fn find(comparison: &Comparison) -> Vec<Effect> {
    let mut effects = BTreeSet::new();
    for resource in &comparison.resources {
        match resource.resource_type {
            ResourceType::Cluster => of_cluster(resource, &mut effects),
            ResourceType::Listener => of_listener(resource, &mut effects),
            ResourceType::Endpoints => of_endpoints(resource, &mut effects),
            ResourceType::Secret | ResourceType::Route => {}
        }
    }
    let mut asked = BTreeSet::new();
    for alike in &comparison.alike {
        let names: BTreeSet<&ResourceName> = alike
            .resources
            .iter()
            .map(|&at| &comparison.resources[at])
            .filter(|resource| matches!(resource.resource_type, ResourceType::Cluster | ResourceType::Endpoints))
            .map(|resource| &resource.name)
            .collect();
        for name in names {
            // Proxies that see one cluster in one way are asked once.
            let seen: Vec<usize> =
                alike.resources.iter().copied().filter(|&at| comparison.resources[at].name == *name).collect();
            if asked.insert(seen) {
                effects.extend(reshuffle(alike, name));
            }
        }
    }
    effects.into_iter().collect()
}

fn of_cluster(resource: &Differing, effects: &mut BTreeSet<Effect>) {
    let name = &resource.name;
    let mut add = |id, text: String| {
        effects.insert(Effect { id, resource: name.clone(), text });
    };
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

fn of_listener(resource: &Differing, effects: &mut BTreeSet<Effect>) {
    let name = &resource.name;
    let text = match resource.kind() {
        ChangeKind::Added => return,
        ChangeKind::Removed => format!("listener {name} drains and closes"),
        ChangeKind::Changed => format!("listener {name} is replaced: connections of applications to the old one drain"),
    };
    effects.insert(Effect { id: "listener-drain", resource: name.clone(), text });
}

fn of_endpoints(resource: &Differing, effects: &mut BTreeSet<Effect>) {
    let name = &resource.name;
    if resource.kind() != ChangeKind::Changed {
        return;
    }
    let priorities = |value: &Value| {
        let groups = value["endpoints"].as_array().into_iter().flatten();
        groups.map(|group| group["priority"].as_u64().unwrap_or(0)).collect::<BTreeSet<u64>>()
    };
    let (before, after) = (priorities(&resource.before), priorities(&resource.after));
    if after.len() > before.len() && after.len() > 1 {
        let text = format!(
            "locality failover of {name} becomes active: {} tiers of endpoints where there {}",
            after.len(),
            if before.len() == 1 { "was 1".into() } else { format!("were {}", before.len()) }
        );
        effects.insert(Effect { id: "failover-active", resource: name.clone(), text });
    }
    let addresses = |value: &Value| addresses(value).into_iter().map(|host| host.address).collect::<BTreeSet<String>>();
    let (before, after) = (addresses(&resource.before), addresses(&resource.after));
    let lost = before.difference(&after).count();
    if lost > 0 {
        let text = format!("connections to {lost} of {} endpoints of {name} drain", before.len());
        effects.insert(Effect { id: "connections-drain", resource: name.clone(), text });
        if name.as_str().contains('/') {
            let text = format!("{name} loses {lost} of {} endpoints", before.len());
            effects.insert(Effect { id: "subset-shrinks", resource: name.clone(), text });
        }
    }
}

/// The endpoints of an assignment at its first priority, with what each weighs.
fn addresses(assignment: &Value) -> Vec<Host> {
    let groups: Vec<&Value> = assignment["endpoints"].as_array().into_iter().flatten().collect();
    let first = groups.iter().map(|group| group["priority"].as_u64().unwrap_or(0)).min().unwrap_or(0);
    let mut hosts = Vec::new();
    for group in groups.into_iter().filter(|group| group["priority"].as_u64().unwrap_or(0) == first) {
        for endpoint in group["lb_endpoints"].as_array().into_iter().flatten() {
            let socket = &endpoint["endpoint"]["address"]["socket_address"];
            let address = socket["address"].as_str().unwrap_or_default();
            let port = socket["port_value"].as_u64().unwrap_or(0);
            let address =
                if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") };
            let unhealthy = matches!(endpoint["health_status"].as_str(), Some("UNHEALTHY" | "DRAINING" | "TIMEOUT"));
            let weight = endpoint["load_balancing_weight"].as_u64().unwrap_or(1) as f64;
            if !unhealthy {
                hosts.push(Host { address, weight });
            }
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

fn reshuffle(alike: &Alike, name: &ResourceName) -> Option<Effect> {
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
    (moved > 0.0).then(|| Effect {
        id: "hash-reshuffle",
        resource: name.clone(),
        text: format!("{:.1} % of the keys of {name} go to another endpoint", moved * 100.0),
    })
}
