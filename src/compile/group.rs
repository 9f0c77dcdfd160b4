//! What one group of sidecars is served: its units, and the resources that are made of all of them together.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use imbl::ordmap::DiffItem;
use prost::Message;

use super::{
    Compiled, Input, Problem,
    cluster::{self, Awareness},
    endpoints, listener,
    memo::Memo,
    reach::Reach,
    route,
    shares::Vantage,
    unit::{
        Arranged, Assignments, AssignmentsInput, Definition, DefinitionInput, HostEntry, OwnListener,
        route_configuration,
    },
};
use crate::{
    model::{
        CatalogEntry, LOCAL_CLUSTER, NodeGroup, OutboundTraffic, ResourceName, ServiceName, ServicePolicy,
        policy::LocalityRouting,
    },
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
};

/// A group's input and snapshot as they were last.
#[derive(Debug)]
pub(super) struct Group {
    facts: NodeGroup,
    input: Input,
    addresses: Arc<BTreeMap<ServiceName, Ipv4Addr>>,
    units: BTreeMap<ServiceName, Units>,
    /// Only kept where the group is sent some services and not all.
    reach: Reach,
    sets: PerType<Arc<ResourceSet>>,
    compiled: Compiled,
    fresh: bool,
}

#[derive(Debug, Clone)]
struct Units {
    definition: Arc<Definition>,
    /// Absent where Envoy resolves the addresses.
    assignments: Option<Arc<Assignments>>,
    presence: Presence,
}

/// As what a service is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Applications dial it.
    Dialled,
    /// The routes of one that is dialled lead to it: it has neither a virtual host nor a listener.
    LedTo,
}

impl Units {
    fn virtual_hosts(&self) -> &[HostEntry] {
        match self.presence {
            Presence::Dialled => &self.definition.virtual_hosts,
            Presence::LedTo => &[],
        }
    }

    fn listeners(&self) -> &[OwnListener] {
        match self.presence {
            Presence::Dialled => &self.definition.listeners,
            Presence::LedTo => &[],
        }
    }
}

/// Which of the resources made of all units together have to be made again.
#[derive(Debug, Clone, Copy, Default)]
struct Stale {
    virtual_hosts: bool,
    listeners: bool,
}

impl Group {
    pub fn new(facts: &NodeGroup) -> Self {
        Self {
            facts: facts.clone(),
            input: Input::default(),
            addresses: Arc::default(),
            units: BTreeMap::new(),
            reach: Reach::default(),
            sets: PerType::default(),
            compiled: Compiled::default(),
            fresh: true,
        }
    }

    pub fn compile(
        &mut self,
        memo: &mut Memo,
        input: &Input,
        addresses: Arc<BTreeMap<ServiceName, Ipv4Addr>>,
    ) -> Compiled {
        let mesh_differs = self.fresh || *self.input.mesh != *input.mesh;
        let outbound_differs = mesh_differs || self.input.outbound_patches != input.outbound_patches;
        let mut changed = self.changed(input, &addresses, mesh_differs);
        self.input = input.clone();
        let reached: Vec<ServiceName> = changed.iter().flat_map(|name| self.follow_routes(name)).collect();
        changed.extend(reached);
        self.addresses = addresses;
        let mut stale = Stale { virtual_hosts: mesh_differs, listeners: outbound_differs };
        let mut sets = self.sets.clone();
        let mut problems = std::mem::take(&mut self.compiled.problems);
        for name in &changed {
            self.replace(name, memo, &mut sets, &mut stale);
            problems
                .retain(|problem| !matches!(problem, Problem::ZonesUnknown { cluster } if cluster.service == *name));
            let unaware = self.units.get(name).into_iter().flat_map(|units| &units.definition.unaware);
            problems.extend(unaware.map(|cluster| Problem::ZonesUnknown { cluster: cluster.clone() }));
        }
        if mesh_differs {
            self.place_mesh_clusters(memo, &mut sets);
        }
        if let Some(local) = &self.facts.local
            && (sets[ResourceType::Endpoints].get(LOCAL_CLUSTER).is_none()
                || changed.iter().any(|n| n.as_str() == &**local))
        {
            let assignment = endpoints::local(self.input.catalog.get(local));
            let name = ResourceName::new(LOCAL_CLUSTER);
            memo.work.resources_encoded += 1;
            insert(&mut sets, ResourceType::Endpoints, Resource::encode(ResourceType::Endpoints, name, &assignment));
        }
        if stale.virtual_hosts {
            problems.retain(|problem| !matches!(problem, Problem::DomainTaken { .. }));
            let routes = self.outbound_routes(&mut problems);
            memo.work.resources_encoded += 1;
            insert(&mut sets, ResourceType::Route, routes);
        }
        if stale.listeners {
            problems.retain(|problem| !matches!(problem, Problem::AddressTaken { .. }));
            memo.work.resources_encoded += u64::from(outbound_differs);
            self.place_listeners(&mut sets, &mut problems, outbound_differs);
        }
        problems.sort_unstable();
        self.fresh = false;
        let snapshot = Snapshot::new(sets.clone());
        let snapshot =
            if snapshot == *self.compiled.snapshot { self.compiled.snapshot.clone() } else { Arc::new(snapshot) };
        self.sets = snapshot.sets().clone();
        self.compiled = Compiled { snapshot, problems };
        self.compiled.clone()
    }

    /// The clusters that are there for the HTTP listener and not for a service.
    fn place_mesh_clusters(&self, memo: &mut Memo, sets: &mut PerType<Arc<ResourceSet>>) {
        let mesh = &self.input.mesh;
        let mut clusters = vec![route::loopback_cluster(mesh)];
        match mesh.outbound_traffic {
            OutboundTraffic::AllowAny => clusters.push(cluster::passthrough()),
            OutboundTraffic::RegistryOnly => {
                Arc::make_mut(&mut sets[ResourceType::Cluster]).remove(route::PASSTHROUGH);
            }
        }
        for cluster in clusters {
            let name = ResourceName::new(cluster.name.as_str());
            memo.work.resources_encoded += 1;
            insert(sets, ResourceType::Cluster, Resource::encode(ResourceType::Cluster, name, &cluster));
        }
    }

    /// The services whose units may differ from what they were.
    fn changed(
        &self,
        input: &Input,
        addresses: &Arc<BTreeMap<ServiceName, Ipv4Addr>>,
        everything: bool,
    ) -> BTreeSet<ServiceName> {
        if everything {
            let all = input.catalog.iter().map(|(name, _)| name.clone());
            return all.chain(self.units.keys().cloned()).collect();
        }
        let mut changed: BTreeSet<ServiceName> =
            input.catalog.changed_since(&self.input.catalog).into_iter().cloned().collect();
        changed.extend(self.input.policies.diff(&input.policies).map(|item| match item {
            DiffItem::Add(name, _) | DiffItem::Remove(name, _) => name.clone(),
            DiffItem::Update { new: (name, _), .. } => name.clone(),
        }));
        if !Arc::ptr_eq(addresses, &self.addresses) {
            let moved = addresses.iter().filter(|(name, address)| self.addresses.get(*name) != Some(address));
            changed.extend(moved.map(|(name, _)| name.clone()));
        }
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

    /// As what a service is there, if it is.
    fn presence(&self, name: &ServiceName) -> Option<Presence> {
        let is_dialled = !self.facts.is_scoped() || self.is_dialled(name);
        let presence = if is_dialled { Presence::Dialled } else { Presence::LedTo };
        (is_dialled || self.reach.contains(name)).then_some(presence)
    }

    /// Whether applications dial a service, where not all are.
    fn is_dialled(&self, name: &ServiceName) -> bool {
        self.input.catalog.get(name.as_str()).is_some_and(|entry| self.facts.dials(&entry.service))
    }

    /// Compiles a service's units anew, and puts their resources in the place of the old ones.
    fn replace(
        &mut self,
        name: &ServiceName,
        memo: &mut Memo,
        sets: &mut PerType<Arc<ResourceSet>>,
        stale: &mut Stale,
    ) {
        let new = match (self.input.catalog.get(name.as_str()), self.input.policies.get(name), self.presence(name)) {
            (Some(entry), Some(policy), Some(presence)) => Some(self.units_of(name, entry, policy, presence, memo)),
            _ => None,
        };
        let old = self.units.remove(name);
        let same_definition = match (&old, &new) {
            (Some(old), Some(new)) => Arc::ptr_eq(&old.definition, &new.definition) && old.presence == new.presence,
            _ => false,
        };
        if !same_definition {
            let clusters = |units: &Option<Units>| units.as_ref().map(|units| units.definition.clone());
            let (before, after) = (clusters(&old), clusters(&new));
            swap(
                sets,
                ResourceType::Cluster,
                before.as_deref().map(|d| &*d.clusters),
                after.as_deref().map(|d| &*d.clusters),
            );
            let hosts = |units: &Option<Units>| -> Vec<Bytes> {
                let hosts = units.iter().flat_map(|units| units.virtual_hosts());
                hosts.map(|host| host.encoded.clone()).collect()
            };
            let has_listeners =
                |units: &Option<Units>| units.as_ref().is_some_and(|units| !units.listeners().is_empty());
            stale.virtual_hosts |= hosts(&old) != hosts(&new);
            stale.listeners |= has_listeners(&old) || has_listeners(&new);
        }
        let assignments = |units: &Option<Units>| units.as_ref().and_then(|units| units.assignments.clone());
        let (before, after) = (assignments(&old), assignments(&new));
        let same = matches!((&before, &after), (Some(before), Some(after)) if Arc::ptr_eq(before, after));
        if !same {
            swap(
                sets,
                ResourceType::Endpoints,
                before.as_deref().map(|a| &*a.assignments),
                after.as_deref().map(|a| &*a.assignments),
            );
        }
        drop(old);
        match new {
            Some(units) => drop(self.units.insert(name.clone(), units)),
            None => memo.forget_unused(name),
        }
    }

    fn units_of(
        &self,
        name: &ServiceName,
        entry: &CatalogEntry,
        policy: &Arc<ServicePolicy>,
        presence: Presence,
        memo: &mut Memo,
    ) -> Units {
        let needs_dns = entry.endpoints.needs_dns();
        let arranged = Arranged { endpoints: entry.endpoints.clone(), client: vantage(&self.facts, policy) };
        let definition = memo.definition(DefinitionInput {
            service: entry.service.clone(),
            policy: policy.clone(),
            mesh: self.input.mesh.clone(),
            own_address: self.addresses.get(name).copied(),
            client: match self.facts.local {
                Some(_) => Awareness::OfZones,
                None => Awareness::OfNothing,
            },
            dns: needs_dns.then(|| arranged.clone()),
        });
        let assignments = (!needs_dns).then(|| {
            memo.assignments(AssignmentsInput { service: entry.service.clone(), policy: policy.clone(), arranged })
        });
        Units { definition, assignments, presence }
    }

    /// The routes of the HTTP listener: every virtual host, and an answer for authorities that nobody has. A domain
    /// stands once, case aside: Envoy would reject the whole (two services may come from sources that know nothing of
    /// each other).
    fn outbound_routes(&self, problems: &mut Vec<Problem>) -> Resource {
        let mut domains = HashSet::new();
        let mut hosts: Vec<Bytes> = Vec::new();
        for entry in self.units.values().flat_map(Units::virtual_hosts) {
            let mut host = None;
            for domain in &entry.message.domains {
                if !domains.insert(domain.to_ascii_lowercase()) {
                    let host = host.get_or_insert_with(|| entry.message.clone());
                    host.domains.retain(|kept| kept != domain);
                    problems.push(Problem::DomainTaken { service: entry.cluster.clone(), domain: domain.clone() });
                }
            }
            match host {
                None => hosts.push(entry.encoded.clone()),
                Some(host) if host.domains.is_empty() => {}
                Some(host) => hosts.push(host.encode_to_vec().into()),
            }
        }
        hosts.push(route::unknown_host(&self.input.mesh).encode_to_vec().into());
        let body = route_configuration(listener::OUTBOUND, hosts.into_iter());
        Resource::from_body(ResourceType::Route, ResourceName::new(listener::OUTBOUND), &body)
    }

    /// Puts the listeners where they belong, each address once, and the routes of those that are there.
    fn place_listeners(
        &self,
        sets: &mut PerType<Arc<ResourceSet>>,
        problems: &mut Vec<Problem>,
        outbound_differs: bool,
    ) {
        let outbound = self.input.mesh.outbound;
        let mut holders: BTreeMap<SocketAddr, ResourceName> = BTreeMap::new();
        holders.insert(outbound, ResourceName::new(listener::OUTBOUND));
        let mut listeners = ResourceSet::default();
        let mut routes = BTreeMap::new();
        match sets[ResourceType::Listener].get(listener::OUTBOUND) {
            Some(present) if !outbound_differs => drop(listeners.insert(present.clone())),
            _ => {
                let (message, _) = listener::patched_outbound(&self.input);
                let name = ResourceName::new(listener::OUTBOUND);
                listeners.insert(Resource::encode(ResourceType::Listener, name, &message));
            }
        }
        let units = self.units.iter().filter(|(name, _)| Some(*name) != self.facts.own.as_ref());
        for own in units.flat_map(|(_, units)| units.listeners()) {
            if let Some(holder) = holders.get(&own.address) {
                problems.push(Problem::AddressTaken {
                    listener: own.listener.name().clone(),
                    address: own.address,
                    holder: holder.clone(),
                });
                continue;
            }
            holders.insert(own.address, own.listener.name().clone());
            listeners.insert(own.listener.clone());
            routes.extend(own.routes.as_ref().map(|routes| (routes.name().clone(), routes.clone())));
        }
        let set = Arc::make_mut(&mut sets[ResourceType::Route]);
        let gone: Vec<ResourceName> = set
            .iter()
            .map(Resource::name)
            .filter(|name| name.as_str() != listener::OUTBOUND && !routes.contains_key(*name))
            .cloned()
            .collect();
        for name in gone {
            set.remove(name.as_str());
        }
        for routes in routes.into_values() {
            set.insert(routes);
        }
        *Arc::make_mut(&mut sets[ResourceType::Listener]) = listeners;
    }
}

/// What of the client a service's policy reads.
pub(super) fn vantage(facts: &NodeGroup, policy: &ServicePolicy) -> Vantage {
    let routings = || policy.effective.values().map(|policy| &policy.locality);
    let reads_locality = routings().any(LocalityRouting::reads_client_locality);
    let label = |key: &Arc<str>| Some((key.clone(), facts.labels.get(key)?.clone()));
    Vantage {
        locality: facts.locality.clone().filter(|_| reads_locality),
        labels: routings().flat_map(LocalityRouting::compared_labels).filter_map(label).collect(),
    }
}

pub(super) fn insert(sets: &mut PerType<Arc<ResourceSet>>, resource_type: ResourceType, resource: Resource) {
    if sets[resource_type].get(resource.name().as_str()) != Some(&resource) {
        Arc::make_mut(&mut sets[resource_type]).insert(resource);
    }
}

/// Takes out what only the old list has, puts in what the new one has.
pub(super) fn swap(
    sets: &mut PerType<Arc<ResourceSet>>,
    resource_type: ResourceType,
    before: Option<&[Resource]>,
    after: Option<&[Resource]>,
) {
    let after = after.unwrap_or_default();
    for old in before.unwrap_or_default() {
        if !after.iter().any(|new| new.name() == old.name()) {
            Arc::make_mut(&mut sets[resource_type]).remove(old.name().as_str());
        }
    }
    for new in after {
        insert(sets, resource_type, new.clone());
    }
}
