//! What one group of gRPC clients is served: its units, and each name that is dialled with the service that has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::ordmap::DiffItem;

use super::{
    lacking::Lacking,
    unit::{Assignments, Definition, DefinitionInput, withheld_clusters},
    withheld::Withheld,
};
use crate::{
    compile::{
        Compiled, Input, Problem,
        group::{insert, swap, vantage},
        memo::Memo,
        reach::Reach,
        unit::{Arranged, AssignmentsInput},
    },
    model::{ClusterName, NodeGroup, ResourceName, ServiceName, policy::Routing},
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
};

/// A group's input and snapshot as they were last.
#[derive(Debug)]
pub(in crate::compile) struct Group {
    facts: NodeGroup,
    input: Input,
    units: BTreeMap<ServiceName, Units>,
    /// Only kept where the group is sent some services and not all.
    reach: Reach,
    /// From where routes lead to a service: what they meet there is written into them.
    led_from: BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    /// The services that have a name; the first of them counts.
    claims: BTreeMap<ResourceName, BTreeSet<ServiceName>>,
    sets: PerType<Arc<ResourceSet>>,
    compiled: Compiled,
    fresh: bool,
}

#[derive(Debug, Clone)]
struct Units {
    definition: Arc<Definition>,
    /// Absent where the client resolves a name.
    assignments: Option<Arc<Assignments>>,
    /// Whether applications may dial it, and not only routes lead to it.
    dialled: bool,
    leads_to: BTreeSet<ServiceName>,
}

impl Units {
    fn listeners(&self) -> &[Resource] {
        if self.dialled { &self.definition.listeners } else { &[] }
    }
}

impl Group {
    pub fn new(facts: &NodeGroup) -> Self {
        Self {
            facts: facts.clone(),
            input: Input::default(),
            units: BTreeMap::new(),
            reach: Reach::default(),
            led_from: BTreeMap::new(),
            claims: BTreeMap::new(),
            sets: PerType::default(),
            compiled: Compiled::default(),
            fresh: true,
        }
    }

    pub fn compile(&mut self, memo: &mut Memo, input: &Input) -> Compiled {
        let mut changed = self.changed(input);
        self.input = input.clone();
        let reached: Vec<ServiceName> = changed.iter().flat_map(|name| self.follow_routes(name)).collect();
        changed.extend(reached);
        let leading: Vec<ServiceName> =
            changed.iter().filter_map(|name| self.led_from.get(name)).flatten().cloned().collect();
        changed.extend(leading);
        let mut sets = self.sets.clone();
        let mut dialled = BTreeSet::new();
        let mut problems = std::mem::take(&mut self.compiled.problems);
        for name in &changed {
            self.replace(name, memo, &mut sets, &mut dialled);
            problems
                .retain(|problem| !matches!(problem, Problem::NotForGrpc(lacking) if lacking.cluster.service == *name));
            problems
                .extend(self.lacking(name).filter(|lacking| lacking.changes_traffic).cloned().map(Problem::NotForGrpc));
        }
        self.place_listeners(&dialled, &mut sets, &mut problems);
        problems.sort_unstable();
        self.fresh = false;
        let snapshot = Snapshot::new(sets.clone());
        let snapshot =
            if snapshot == *self.compiled.snapshot { self.compiled.snapshot.clone() } else { Arc::new(snapshot) };
        self.sets = snapshot.sets().clone();
        self.compiled = Compiled { snapshot, problems };
        self.compiled.clone()
    }

    /// What is asked of a service and not done.
    pub fn lacking(&self, name: &ServiceName) -> impl Iterator<Item = &Lacking> {
        self.units.get(name).into_iter().flat_map(|units| &units.definition.lacking)
    }

    /// The services whose units may differ from what they were.
    fn changed(&self, input: &Input) -> BTreeSet<ServiceName> {
        if self.fresh {
            return input.catalog.iter().map(|(name, _)| name.clone()).collect();
        }
        let mut changed: BTreeSet<ServiceName> =
            input.catalog.changed_since(&self.input.catalog).into_iter().cloned().collect();
        changed.extend(self.input.policies.diff(&input.policies).map(|item| match item {
            DiffItem::Add(name, _) | DiffItem::Remove(name, _) => name.clone(),
            DiffItem::Update { new: (name, _), .. } => name.clone(),
        }));
        changed
    }

    /// Looks again where a service's routes lead. Returns the services that are reached now and were not, or no longer.
    fn follow_routes(&mut self, name: &ServiceName) -> Vec<ServiceName> {
        if !self.facts.is_scoped() {
            return Vec::new();
        }
        let policy = self.input.policies.get(name).filter(|_| self.is_dialled(name));
        self.reach.set(name, policy.map(|policy| policy.leads_to(name)).unwrap_or_default())
    }

    /// Whether applications may dial a service.
    fn is_dialled(&self, name: &ServiceName) -> bool {
        self.input.catalog.get(name.as_str()).is_some_and(|entry| self.facts.dials(&entry.service))
    }

    /// Compiles a service's units anew, and puts their resources in the place of the old ones. Collects the names under
    /// which it is or was dialled.
    fn replace(
        &mut self,
        name: &ServiceName,
        memo: &mut Memo,
        sets: &mut PerType<Arc<ResourceSet>>,
        dialled: &mut BTreeSet<ResourceName>,
    ) {
        let new = self.units_of(name, memo);
        let old = self.units.remove(name);
        let same_definition = match (&old, &new) {
            (Some(old), Some(new)) => Arc::ptr_eq(&old.definition, &new.definition) && old.dialled == new.dialled,
            _ => false,
        };
        if !same_definition {
            let (before, after) =
                (old.as_ref().map(|units| &units.definition), new.as_ref().map(|units| &units.definition));
            swap(sets, ResourceType::Cluster, before.map(|d| &*d.clusters), after.map(|d| &*d.clusters));
            let empty = |definition: &Arc<Definition>| definition.empty_assignments.clone();
            let (before, after) = (before.map(empty), after.map(empty));
            swap(sets, ResourceType::Endpoints, before.as_deref(), after.as_deref());
            for (units, is_there) in [(&old, false), (&new, true)] {
                self.claim(name, units.iter().flat_map(Units::listeners), is_there, dialled);
            }
        }
        let assignments = |units: &Option<Units>| units.as_ref().and_then(|units| units.assignments.clone());
        let (before, after) = (assignments(&old), assignments(&new));
        let same = matches!((&before, &after), (Some(before), Some(after)) if Arc::ptr_eq(before, after));
        if !same {
            let list = |assignments: &Option<Arc<Assignments>>| assignments.as_ref().map(|a| a.assignments.clone());
            swap(sets, ResourceType::Endpoints, list(&before).as_deref(), list(&after).as_deref());
        }
        self.remember_leads(name, old.as_ref(), new.as_ref());
        drop(old);
        match new {
            Some(units) => drop(self.units.insert(name.clone(), units)),
            None => memo.forget_unused(name),
        }
    }

    fn units_of(&self, name: &ServiceName, memo: &mut Memo) -> Option<Units> {
        let entry = self.input.catalog.get(name.as_str())?;
        let policy = self.input.policies.get(name)?;
        let dialled = !self.facts.is_scoped() || self.is_dialled(name);
        if !dialled && !self.reach.contains(name) {
            return None;
        }
        let needs_dns = entry.endpoints.needs_dns();
        let withheld = policy.routing.values().flat_map(|routing| self.withheld_by_others(routing, name)).collect();
        let definition = memo.grpc_definition(DefinitionInput {
            service: entry.service.clone(),
            policy: policy.clone(),
            names: needs_dns.then(|| entry.endpoints.clone()),
            withheld,
        });
        let assignments = (!needs_dns).then(|| {
            let arranged = Arranged { endpoints: entry.endpoints.clone(), client: vantage(&self.facts, policy) };
            memo.grpc_assignments(AssignmentsInput { service: entry.service.clone(), policy: policy.clone(), arranged })
        });
        Some(Units { definition, assignments, dialled, leads_to: policy.leads_to(name) })
    }

    /// Where rules lead to clusters of other services that are not sent.
    fn withheld_by_others(&self, routing: &Routing, own: &ServiceName) -> BTreeMap<ClusterName, Withheld> {
        let Routing::Http(rules) = routing else { return BTreeMap::new() };
        let clusters = rules.rules.iter().flat_map(|rule| rule.clusters()).filter(|cluster| cluster.service != *own);
        clusters.filter_map(|cluster| Some((cluster.clone(), self.why_withheld(cluster)?))).collect()
    }

    fn why_withheld(&self, cluster: &ClusterName) -> Option<Withheld> {
        let entry = self.input.catalog.get(cluster.service.as_str());
        let (Some(entry), Some(policy)) = (entry, self.input.policies.get(&cluster.service)) else {
            return Some(Withheld::Absent);
        };
        let names = Some(&*entry.endpoints).filter(|endpoints| endpoints.needs_dns());
        withheld_clusters(&entry.service, policy, names).get(cluster).copied()
    }

    fn remember_leads(&mut self, name: &ServiceName, old: Option<&Units>, new: Option<&Units>) {
        let nothing = BTreeSet::new();
        let (before, after) =
            (old.map_or(&nothing, |units| &units.leads_to), new.map_or(&nothing, |units| &units.leads_to));
        for gone in before.difference(after) {
            if let Some(leading) = self.led_from.get_mut(gone) {
                leading.remove(name);
                if leading.is_empty() {
                    self.led_from.remove(gone);
                }
            }
        }
        for to in after.difference(before) {
            self.led_from.entry(to.clone()).or_default().insert(name.clone());
        }
    }

    fn claim<'a>(
        &mut self,
        service: &ServiceName,
        listeners: impl Iterator<Item = &'a Resource>,
        is_there: bool,
        dialled: &mut BTreeSet<ResourceName>,
    ) {
        for listener in listeners {
            let claims = self.claims.entry(listener.name().clone()).or_default();
            if is_there {
                claims.insert(service.clone());
            } else {
                claims.remove(service);
            }
            dialled.insert(listener.name().clone());
        }
    }

    /// Puts a listener under each of the names: that of the first service by name that has it. Two services may come
    /// from sources that know nothing of each other.
    fn place_listeners(
        &mut self,
        names: &BTreeSet<ResourceName>,
        sets: &mut PerType<Arc<ResourceSet>>,
        problems: &mut Vec<Problem>,
    ) {
        for name in names {
            problems.retain(|problem| !matches!(problem, Problem::NameTaken { name: taken, .. } if taken == name));
            let claims = self.claims.get(name).cloned().unwrap_or_default();
            let listener = claims.first().and_then(|service| {
                let listeners = self.units.get(service)?.listeners();
                listeners.iter().find(|listener| listener.name() == name)
            });
            match listener {
                Some(listener) => insert(sets, ResourceType::Listener, listener.clone()),
                None => {
                    Arc::make_mut(&mut sets[ResourceType::Listener]).remove(name.as_str());
                    self.claims.remove(name);
                }
            }
            let others = claims.iter().skip(1);
            problems.extend(others.map(|service| Problem::NameTaken { service: service.clone(), name: name.clone() }));
        }
    }
}
