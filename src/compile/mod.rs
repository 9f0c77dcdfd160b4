//! Services and their policies into Envoy's resources: a function of values, memoised per unit.
//!
//! ```text
//!            ┌ definition ── clusters, virtual hosts, listeners ┐
//!  service ──┤                                                  ├─ group ── Snapshot
//!            └ endpoints ─── assignments                        ┘
//! ```
//!
//! gRPC clients without a proxy are served resources of another make from the same input (`grpc`).
//!
//! A service is two units: what follows from its definition and policy, and what follows from its endpoints, which
//! change all day. A unit is compiled once for all groups to which it looks the same, its resources are encoded once,
//! and a change recompiles the units it touches and nothing else; the counts are in [`Work`].
//!
//! This room knows neither sources nor documents nor streams.

mod addresses;
mod cluster;
mod endpoints;
mod group;
mod grpc;
mod listener;
mod memo;
mod patch;
mod reach;
mod route;
mod shares;
mod unit;
mod wire;

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use imbl::OrdMap;

pub use addresses::own_addresses;
pub use grpc::Lacking;
pub use patch::Tried;

use self::{
    addresses::Addresses,
    cluster::Awareness,
    group::Group,
    memo::Memo,
    shares::Vantage,
    unit::{Arranged, AssignmentsInput, DefinitionInput},
};
use crate::{
    model::{
        Catalog, ClientKind, ClusterName, MeshSettings, NodeGroup, ResourceName, ServiceName, ServicePolicy,
        policy::PatchOperation,
    },
    resources::Snapshot,
};

/// What a group's snapshot is compiled from. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// All services.
    pub catalog: Catalog,
    /// Their policies, as the group's view has them: one for each service.
    pub policies: OrdMap<ServiceName, Arc<ServicePolicy>>,
    /// Mesh-wide settings.
    pub mesh: Arc<MeshSettings>,
    /// Changes of the listener `outbound`, as the group's view has them.
    pub outbound_patches: Vec<PatchOperation>,
}

/// A snapshot, and what could not be done.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// Everything the group is served.
    pub snapshot: Arc<Snapshot>,
    /// Conflicts between services.
    pub problems: Vec<Problem>,
}

/// A conflict between services, which only shows when all are seen together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Problem {
    /// Two listeners would stand at one address: the second by name is not there.
    AddressTaken {
        /// The listener that is not there.
        listener: ResourceName,
        /// Where it would stand.
        address: SocketAddr,
        /// Whose it is.
        holder: ResourceName,
    },
    /// A name by which two services would be dialled: it leads to the first by name.
    DomainTaken {
        /// The service that does not have it.
        service: ClusterName,
        /// The name.
        domain: String,
    },
    /// A policy asks for zone-aware routing, and the proxy does not know the share of its own zone.
    ZonesUnknown {
        /// Where the policy has no effect.
        cluster: ClusterName,
    },
    /// A name that two services would have among gRPC clients: it leads to the first by name.
    NameTaken {
        /// The service that does not have it.
        service: ServiceName,
        /// The name.
        name: ResourceName,
    },
    /// A policy asks for something that gRPC clients do not do, so that calls fail or go elsewhere.
    NotForGrpc(Lacking),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressTaken { listener, address, holder } => write!(
                f,
                "{listener} has no listener: {address} is taken by {holder}; give one of the two another `listen`, or \
                 widen `addresses` in the Mesh"
            ),
            Self::DomainTaken { service, domain } => write!(
                f,
                "`{domain}` does not lead to {service}: a service before it by name has that name too; rename one"
            ),
            Self::ZonesUnknown { cluster } => write!(
                f,
                "`zoneAwareLbSetting` has no effect on {cluster} for proxies that do not know their own zone's share: \
                 start them with what `chancery bootstrap --zone-aware` prints"
            ),
            Self::NameTaken { service, name } => write!(
                f,
                "`{name}` does not lead to {service} for gRPC clients: a service before it by name has that name too; \
                 rename one"
            ),
            Self::NotForGrpc(lacking) => lacking.fmt(f),
        }
    }
}

/// How much was done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Definitions and endpoint sets compiled.
    pub units_compiled: u64,
    /// Resources encoded.
    pub resources_encoded: u64,
}

/// Compiles for every group, and remembers what it compiled. There is one, and one caller.
#[derive(Debug, Default)]
pub struct Compiler {
    memo: Memo,
    addresses: Addresses,
    groups: BTreeMap<NodeGroup, AnyGroup>,
}

/// A group of either kind of client.
#[derive(Debug)]
enum AnyGroup {
    Sidecars(Box<Group>),
    Grpc(Box<grpc::Group>),
}

impl AnyGroup {
    fn new(facts: &NodeGroup) -> Self {
        match facts.kind {
            ClientKind::Envoy => Self::Sidecars(Box::new(Group::new(facts))),
            ClientKind::Grpc => Self::Grpc(Box::new(grpc::Group::new(facts))),
        }
    }
}

impl Compiler {
    /// What a group is served, worked out against what it was served before.
    pub fn compile(&mut self, group: &NodeGroup, input: &Input) -> Compiled {
        let Self { memo, addresses, groups } = self;
        match groups.entry(group.clone()).or_insert_with(|| AnyGroup::new(group)) {
            AnyGroup::Sidecars(group) => {
                group.compile(memo, input, addresses.of(&input.catalog, &input.mesh.addresses))
            }
            AnyGroup::Grpc(group) => group.compile(memo, input),
        }
    }

    /// What policies ask for of a service and a group that was compiled does not do: of sidecars nothing.
    pub fn lacking(&self, group: &NodeGroup, service: &ServiceName) -> Vec<Lacking> {
        match self.groups.get(group) {
            Some(AnyGroup::Grpc(group)) => group.lacking(service).cloned().collect(),
            Some(AnyGroup::Sidecars(_)) | None => Vec::new(),
        }
    }

    /// What became of each patch of each service.
    pub fn patches(&mut self, input: &Input) -> Vec<Tried> {
        let addresses = self.addresses.of(&input.catalog, &input.mesh.addresses);
        let patched = input.policies.iter().filter(|(_, policy)| !policy.patches.is_empty());
        let (_, mut tried) = listener::patched_outbound(input);
        for (name, policy) in patched {
            let Some(entry) = input.catalog.get(name.as_str()) else { continue };
            let arranged = Arranged { endpoints: entry.endpoints.clone(), client: Vantage::default() };
            let needs_dns = entry.endpoints.needs_dns();
            let definition = self.memo.definition(DefinitionInput {
                service: entry.service.clone(),
                policy: policy.clone(),
                mesh: input.mesh.clone(),
                own_address: addresses.get(name).copied(),
                client: Awareness::OfNothing,
                dns: needs_dns.then(|| arranged.clone()),
            });
            tried.extend(definition.tried.iter().cloned());
            if !needs_dns {
                let (service, policy) = (entry.service.clone(), policy.clone());
                let assignments = self.memo.assignments(AssignmentsInput { service, policy, arranged });
                tried.extend(assignments.tried.iter().cloned());
            }
        }
        tried
    }

    /// Forgets all other groups.
    pub fn retain(&mut self, groups: &[NodeGroup]) {
        self.groups.retain(|group, _| groups.contains(group));
    }

    /// How much was done since the start.
    pub fn work(&self) -> Work {
        self.memo.work
    }
}
