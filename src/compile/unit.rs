//! The two units of a service.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use prost::Message;

use super::{
    cluster::{self, Awareness},
    endpoints, listener,
    patch::{Patches, Tried},
    route,
    shares::Vantage,
};
use crate::{
    model::{
        ClusterName, EndpointSet, MeshSettings, Port, Service, ServicePolicy, SubsetName,
        policy::{EffectivePolicy, LocalityRouting, PatchedResource, PolicyKey, Shaped},
    },
    proto::envoy::config::route::v3::VirtualHost,
    resources::{Resource, ResourceType},
};

/// Everything that the definition unit may read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DefinitionInput {
    pub service: Arc<Service>,
    pub policy: Arc<ServicePolicy>,
    pub mesh: Arc<MeshSettings>,
    pub own_address: Option<Ipv4Addr>,
    pub client: Awareness,
    /// Only of a service whose addresses Envoy resolves: they are then part of the cluster.
    pub dns: Option<Arranged>,
}

/// Everything that the endpoints unit may read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AssignmentsInput {
    pub service: Arc<Service>,
    pub policy: Arc<ServicePolicy>,
    pub arranged: Arranged,
}

/// Endpoints, and what of the client they are arranged by: nothing where the service's policy does not read it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Arranged {
    pub endpoints: Arc<EndpointSet>,
    pub client: Vantage,
}

/// What follows from a service's definition and policy.
#[derive(Debug)]
pub(super) struct Definition {
    pub clusters: Vec<Resource>,
    pub virtual_hosts: Vec<HostEntry>,
    pub listeners: Vec<OwnListener>,
    /// The clusters that go by zones, where the client cannot.
    pub unaware: Vec<ClusterName>,
    /// What became of patches.
    pub tried: Vec<Tried>,
}

/// A virtual host of the HTTP listener, encoded as it stands in the RouteConfiguration.
#[derive(Debug)]
pub(super) struct HostEntry {
    pub cluster: ClusterName,
    pub message: VirtualHost,
    pub encoded: Bytes,
}

/// A port's listener of its own, and the routes it asks for where it is HTTP.
#[derive(Debug)]
pub(super) struct OwnListener {
    pub address: SocketAddr,
    pub listener: Resource,
    pub routes: Option<Resource>,
}

/// What follows from a service's endpoints.
#[derive(Debug)]
pub(super) struct Assignments {
    pub assignments: Vec<Resource>,
    /// What became of patches.
    pub tried: Vec<Tried>,
}

impl Definition {
    pub fn compile(input: &DefinitionInput) -> Self {
        let DefinitionInput { service, policy, mesh, own_address, client, dns } = input;
        let none = Shaped::default();
        let mut definition = Self {
            clusters: Vec::new(),
            virtual_hosts: Vec::new(),
            listeners: Vec::new(),
            unaware: Vec::new(),
            tried: Vec::new(),
        };
        for (port, subset, effective) in targets(service, policy) {
            let name = cluster_name(service, port, subset);
            let labels = subset.and_then(|subset| policy.subsets.get(subset));
            let mut patches = patches(policy, &name);
            if dns.is_some() || !cluster::has_endpoints(effective) {
                patches
                    .nothing_to_patch(PatchedResource::Endpoints, "the endpoints are not sent apart from the cluster");
            }
            let dns = dns.as_ref().map(|arranged| (arranged, labels));
            let cluster = cluster::compile(&name, service, port, effective, mesh, *client, dns);
            let cluster = patches.apply(PatchedResource::Cluster, cluster);
            definition.clusters.push(Resource::encode(ResourceType::Cluster, name.resource_name(), &cluster));
            if *client == Awareness::OfNothing && is_zone_aware(effective) {
                definition.unaware.push(name.clone());
            }
            if subset.is_some() {
                definition.tried.append(&mut patches.tried);
                continue;
            }
            let shaped = policy.documents.get(&port.number).unwrap_or(&none);
            let routing = policy.routing.get(&port.number).map(|routing| &**routing);
            if port.protocol.is_http() {
                let message = route::virtual_host(service, port, &name, effective, shaped, routing);
                let message = patches.apply_to_host(message);
                let encoded = Bytes::from(message.encode_to_vec());
                definition.virtual_hosts.push(HostEntry { cluster: name.clone(), message, encoded });
            } else {
                let reason = "there is none: no HTTP is spoken on this port";
                patches.nothing_to_patch(PatchedResource::VirtualHost, reason);
                patches.nothing_to_patch(PatchedResource::Route, reason);
            }
            let address = port.listen.or_else(|| Some(SocketAddr::new(IpAddr::V4((*own_address)?), port.number.get())));
            if let Some(address) = address.filter(|_| mesh.gives_listener(port)) {
                let routes = port.protocol.is_http().then(|| {
                    let mut routes = route::for_every_authority(&name, effective, shaped, routing);
                    let hosts = std::mem::take(&mut routes.virtual_hosts).into_iter();
                    routes.virtual_hosts = hosts.map(|host| patches.apply_to_host(host)).collect();
                    Resource::encode(ResourceType::Route, name.resource_name(), &routes)
                });
                let message = listener::own(&name, port, address, effective, routing, mesh);
                let message = patches.apply(PatchedResource::Listener, message);
                let listener = Resource::encode(ResourceType::Listener, name.resource_name(), &message);
                definition.listeners.push(OwnListener { address, listener, routes });
            } else {
                let reason =
                    "there is none: this port has no listener of its own (`listeners` in the Mesh, or `listen`)";
                patches.nothing_to_patch(PatchedResource::Listener, reason);
            }
            definition.tried.append(&mut patches.tried);
        }
        definition
    }

    /// How many resources were encoded for it; virtual hosts are parts of one.
    pub fn resources(&self) -> u64 {
        let routes = self.listeners.iter().filter(|listener| listener.routes.is_some()).count();
        (self.clusters.len() + self.listeners.len() + routes) as u64
    }
}

impl Assignments {
    pub fn compile(input: &AssignmentsInput) -> Self {
        let AssignmentsInput { service, policy, arranged: Arranged { endpoints, client } } = input;
        let mut tried = Vec::new();
        let assignments = targets(service, policy)
            .filter(|(_, _, effective)| cluster::has_endpoints(effective))
            .map(|(port, subset, effective)| {
                let name = cluster_name(service, port, subset);
                let labels = subset.and_then(|subset| policy.subsets.get(subset));
                let message = endpoints::assignment(&name, port, endpoints, labels, effective, client);
                let mut patches = patches(policy, &name);
                let message = patches.apply(PatchedResource::Endpoints, message);
                tried.append(&mut patches.tried);
                Resource::encode(ResourceType::Endpoints, name.resource_name(), &message)
            })
            .collect();
        Self { assignments, tried }
    }

    pub fn resources(&self) -> u64 {
        self.assignments.len() as u64
    }
}

/// What changes in the resources of a cluster's name.
pub(super) fn patches<'a>(policy: &'a ServicePolicy, name: &ClusterName) -> Patches<'a> {
    let ClusterName { service: _, port, subset } = name;
    let key = PolicyKey { port: *port, subset: subset.clone() };
    Patches::new(policy.patches.get(&key), name.to_string())
}

fn is_zone_aware(policy: &EffectivePolicy) -> bool {
    matches!(&policy.locality, LocalityRouting::ZoneAware(zones) if zones.is_on())
}

/// Every port, alone and with each subset.
pub(super) fn targets<'a>(
    service: &'a Service,
    policy: &'a ServicePolicy,
) -> impl Iterator<Item = (&'a Port, Option<&'a SubsetName>, &'a EffectivePolicy)> {
    service.ports.iter().flat_map(move |port| {
        std::iter::once(None).chain(policy.subsets.keys().map(Some)).filter_map(move |subset| {
            let key = PolicyKey { port: port.number, subset: subset.cloned() };
            Some((port, subset, &**policy.effective.get(&key)?))
        })
    })
}

pub(super) fn cluster_name(service: &Service, port: &Port, subset: Option<&SubsetName>) -> ClusterName {
    ClusterName { service: service.name.clone(), port: port.number, subset: subset.cloned() }
}

/// A RouteConfiguration put together from virtual hosts that were encoded before.
pub(super) fn route_configuration(name: &str, encoded_hosts: impl Iterator<Item = Bytes>) -> Vec<u8> {
    /// `RouteConfiguration.virtual_hosts`, length-delimited: field 2 of wire type 2.
    const VIRTUAL_HOSTS_KEY: u8 = 2 << 3 | 2;
    let mut body = route::empty_configuration(name).encode_to_vec();
    for host in encoded_hosts {
        body.push(VIRTUAL_HOSTS_KEY);
        prost::encoding::encode_varint(host.len() as u64, &mut body);
        body.extend_from_slice(&host);
    }
    body
}
