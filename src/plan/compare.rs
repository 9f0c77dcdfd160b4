//! Both sides compiled for every kind of proxy, and the resources in which they differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    Change, ChangeKind, Plan, Question, Winner,
    difference::{fields, without_provenance},
};
use crate::{
    control::World,
    model::{NodeGroup, Proxy, ResourceName},
    resources::{self, ResourceType, Snapshot, differing_json},
};

/// Proxies that are served alike on both sides.
#[derive(Debug)]
pub(super) struct Alike {
    /// One of them.
    pub proxy: Proxy,
    /// All their ids.
    pub ids: Vec<Arc<str>>,
    pub workloads: BTreeSet<Arc<str>>,
    pub before: Arc<Snapshot>,
    pub after: Arc<Snapshot>,
    /// The resources that differ, as positions in the comparison's list.
    pub resources: Vec<usize>,
}

/// A resource that differs, as proto3 JSON without provenance; `Null` where it is not there. Of routes only the
/// virtual hosts that differ.
#[derive(Debug)]
pub(super) struct Differing {
    pub resource_type: ResourceType,
    pub name: ResourceName,
    pub before: Value,
    pub after: Value,
}

impl Differing {
    pub fn kind(&self) -> ChangeKind {
        match (&self.before, &self.after) {
            (Value::Null, _) => ChangeKind::Added,
            (_, Value::Null) => ChangeKind::Removed,
            _ => ChangeKind::Changed,
        }
    }
}

#[derive(Debug)]
pub(super) struct Comparison {
    pub alike: Vec<Alike>,
    /// Each pair of contents once, whoever is served it.
    pub resources: Vec<Differing>,
    proxies: usize,
    workloads: usize,
}

pub(super) fn compare(world: &mut World, question: &Question<'_>) -> Comparison {
    let Question { catalog, before, after, proxies, load: _, today: _ } = question;
    // Grouping reads no id, so that it is done once for all that differ in nothing else.
    let mut kinds: BTreeMap<Proxy, Vec<Arc<str>>> = BTreeMap::new();
    for proxy in *proxies {
        kinds.entry(Proxy { id: "".into(), ..proxy.clone() }).or_default().push(proxy.id.clone());
    }
    let mut side = |policies: &Arc<crate::policy::PolicySet>| {
        world.update((*catalog).clone(), policies.clone());
        let grouping = world.grouping().clone();
        let mut snapshots: BTreeMap<NodeGroup, Arc<Snapshot>> = BTreeMap::new();
        let groups: Vec<NodeGroup> = kinds.keys().map(|proxy| grouping.group_of(proxy)).collect();
        for group in &groups {
            if !snapshots.contains_key(group) {
                snapshots.insert(group.clone(), world.compile(group).snapshot);
            }
        }
        groups.into_iter().map(|group| (snapshots[&group].clone(), group)).collect::<Vec<_>>()
    };
    let (befores, afters) = (side(before), side(after));
    let mut pairs: BTreeMap<(NodeGroup, NodeGroup), Alike> = BTreeMap::new();
    for (((proxy, ids), (before, group_before)), (after, group_after)) in kinds.iter().zip(befores).zip(afters) {
        let alike = pairs.entry((group_before, group_after)).or_insert_with(|| Alike {
            proxy: Proxy { id: ids[0].clone(), ..proxy.clone() },
            ids: Vec::new(),
            workloads: BTreeSet::new(),
            before,
            after,
            resources: Vec::new(),
        });
        alike.ids.extend(ids.iter().cloned());
        alike.workloads.insert(name_of(proxy, &ids[0]));
    }
    let workloads: BTreeSet<Arc<str>> = pairs.values().flat_map(|alike| alike.workloads.iter().cloned()).collect();
    let mut comparison = Comparison {
        alike: pairs.into_values().collect(),
        resources: Vec::new(),
        proxies: proxies.len(),
        workloads: workloads.len(),
    };
    comparison.find_differences();
    comparison
}

/// A proxy that did not say whose it is stands for itself.
fn name_of(proxy: &Proxy, id: &Arc<str>) -> Arc<str> {
    if proxy.workload.is_empty() { id.clone() } else { proxy.workload.clone() }
}

/// The resources that differ between two snapshots, provenance aside.
pub(super) fn differing(before: &Snapshot, after: &Snapshot) -> Vec<Differing> {
    let mut found = Vec::new();
    for (resource_type, name) in changed_names(before, after) {
        found.extend(differing_resource(resource_type, name, before, after));
    }
    found
}

fn changed_names(before: &Snapshot, after: &Snapshot) -> Vec<(ResourceType, ResourceName)> {
    let mut names = Vec::new();
    for resource_type in ResourceType::ALL {
        for change in after.set(resource_type).changed_since(before.set(resource_type)) {
            names.push(match change {
                resources::Change::Set(resource) => (resource_type, resource.name().clone()),
                resources::Change::Removed(name) => (resource_type, name.clone()),
            });
        }
    }
    names
}

fn differing_resource(
    resource_type: ResourceType,
    name: ResourceName,
    before: &Snapshot,
    after: &Snapshot,
) -> Option<Differing> {
    let of = |snapshot: &Snapshot| snapshot.set(resource_type).get(name.as_str()).cloned();
    let (mut before, mut after) = differing_json(resource_type, of(before).as_ref(), of(after).as_ref());
    without_provenance(&mut before);
    without_provenance(&mut after);
    (before != after).then_some(Differing { resource_type, name, before, after })
}

impl Comparison {
    fn find_differences(&mut self) {
        let mut known: BTreeMap<_, Option<usize>> = BTreeMap::new();
        for alike in &mut self.alike {
            for (resource_type, name) in changed_names(&alike.before, &alike.after) {
                let version = |snapshot: &Snapshot| {
                    snapshot.set(resource_type).get(name.as_str()).map(|resource| resource.version().to_string())
                };
                let key = (resource_type, name.clone(), version(&alike.before), version(&alike.after));
                let position = known.entry(key).or_insert_with(|| {
                    let differing = differing_resource(resource_type, name, &alike.before, &alike.after)?;
                    self.resources.push(differing);
                    Some(self.resources.len() - 1)
                });
                alike.resources.extend(*position);
            }
        }
    }

    /// The lines, and whom they concern.
    pub fn plan(&self) -> Plan {
        let mut seen_by: BTreeMap<usize, (usize, BTreeSet<Arc<str>>)> = BTreeMap::new();
        let mut plan = Plan { proxies: self.proxies, workloads: self.workloads, ..Plan::default() };
        for (at, alike) in self.alike.iter().enumerate().filter(|(_, alike)| !alike.resources.is_empty()) {
            plan.affected.extend(alike.ids.iter().cloned());
            plan.affected_workloads.extend(alike.workloads.iter().cloned());
            for position in &alike.resources {
                let (_, workloads) = seen_by.entry(*position).or_insert_with(|| (at, BTreeSet::new()));
                workloads.extend(alike.workloads.iter().cloned());
            }
        }
        let mut lines: BTreeMap<_, Change> = BTreeMap::new();
        for (position, (seen_by, workloads)) in seen_by {
            for change in self.resources[position].changes() {
                let key = (
                    change.resource_type,
                    change.resource.clone(),
                    change.field.clone(),
                    change.before.to_string(),
                    change.after.to_string(),
                );
                let line = lines.entry(key).or_insert(Change { seen_by, ..change });
                line.workloads.extend(workloads.iter().cloned());
            }
        }
        plan.changes = lines.into_values().collect();
        plan
    }
}

impl Differing {
    /// A line for each field, or one for the whole.
    pub fn changes(&self) -> Vec<Change> {
        let Self { resource_type, name, before, after } = self;
        let line = |field: Option<String>, before: Value, after: Value| Change {
            resource_type: *resource_type,
            resource: name.clone(),
            kind: self.kind(),
            field,
            before,
            after,
            workloads: BTreeSet::new(),
            causes: Vec::new(),
            winner: Winner::default(),
            seen_by: 0,
        };
        match self.kind() {
            ChangeKind::Added | ChangeKind::Removed => vec![line(None, before.clone(), after.clone())],
            ChangeKind::Changed => {
                let changes = fields(before, after).into_iter();
                changes.map(|change| line(Some(change.field), change.before, change.after)).collect()
            }
        }
    }
}
