//! The two units of a service, as gRPC clients are served it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    cluster, endpoints,
    lacking::{self, Lacking, Lackings},
    listener,
    route::{self, Making},
    withheld::{Withheld, only_name, stand_in},
};
use crate::{
    compile::{
        route::provenance,
        unit::{Arranged, AssignmentsInput, cluster_name, patches, targets},
    },
    model::{
        ClusterName, EndpointSet, Labels, Port, ResourceName, Service, ServicePolicy, SubsetName,
        policy::{EffectivePolicy, PatchedResource, Routing, Shaped},
    },
    proto::envoy::config::route::v3::VirtualHost,
    resources::{Resource, ResourceType},
};

/// Everything that the definition unit may read.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::compile) struct DefinitionInput {
    pub service: Arc<Service>,
    pub policy: Arc<ServicePolicy>,
    /// Only of a service that has host names: they are part of the cluster.
    pub names: Option<Arc<EndpointSet>>,
    /// The clusters of other services that its routes lead to and that are not sent.
    pub withheld: BTreeMap<ClusterName, Withheld>,
}

/// What follows from a service's definition and policy.
#[derive(Debug)]
pub(in crate::compile) struct Definition {
    /// Those of its ports and subsets, and those without endpoints.
    pub clusters: Vec<Resource>,
    /// The assignments of those without endpoints.
    pub empty_assignments: Vec<Resource>,
    /// By the names that are dialled.
    pub listeners: Vec<Resource>,
    /// What is asked for and not done.
    pub lacking: Vec<Lacking>,
}

/// What follows from a service's endpoints.
#[derive(Debug)]
pub(in crate::compile) struct Assignments {
    pub assignments: Vec<Resource>,
}

impl Definition {
    pub fn compile(input: &DefinitionInput) -> Self {
        let DefinitionInput { service, policy, names, withheld: of_others } = input;
        let mut definition =
            Self { clusters: Vec::new(), empty_assignments: Vec::new(), listeners: Vec::new(), lacking: Vec::new() };
        let mut withheld = of_others.clone();
        withheld.extend(withheld_clusters(service, policy, names.as_deref()));
        for (port, subset, effective) in targets(service, policy) {
            let name = cluster_name(service, port, subset);
            let mut lackings = Lackings::of(&name);
            match withheld.get(&name) {
                Some(reason) => {
                    reason.tell(&mut lackings);
                    definition.add_without_endpoints(&stand_in(&name, *reason));
                }
                None => {
                    lacking::of_cluster(effective, &mut lackings);
                    let endpoint =
                        names.as_deref().and_then(|endpoints| only_name(endpoints, labels_of(policy, subset)));
                    let message = cluster::compile(&name, port, effective, endpoint);
                    let message = patches(policy, &name).apply(PatchedResource::Cluster, message);
                    definition.clusters.push(Resource::encode(ResourceType::Cluster, name.resource_name(), &message));
                }
            }
            definition.lacking.append(&mut lackings.found);
            if subset.is_none() {
                definition.add_listeners(service, port, &name, effective, policy, &withheld);
            }
        }
        definition
    }

    fn add_listeners(
        &mut self,
        service: &Service,
        port: &Port,
        name: &ClusterName,
        effective: &EffectivePolicy,
        policy: &ServicePolicy,
        withheld: &BTreeMap<ClusterName, Withheld>,
    ) {
        let mut making =
            Making { own: name, withheld, without_endpoints: Default::default(), lackings: Lackings::of(name) };
        if !port.protocol.is_http() {
            let word = port.protocol.as_str();
            let sentence =
                format!("a gRPC client finds nothing to call on a {word} port; declare it as grpc if it is that");
            making.lackings.note("protocol", sentence);
            self.lacking.append(&mut making.lackings.found);
            return;
        }
        let none = Shaped::default();
        let shaped = policy.documents.get(&port.number).unwrap_or(&none);
        let routes = match policy.routing.get(&port.number).map(|routing| &**routing) {
            Some(Routing::Http(rules)) => making.by_rules(rules),
            Some(Routing::Tcp(_)) | None => making.straight(effective, shaped),
        };
        let host = VirtualHost {
            name: name.to_string(),
            domains: vec!["*".into()],
            routes,
            metadata: provenance(&shaped.host),
            ..Default::default()
        };
        let mut host = patches(policy, name).apply_to_host(host);
        if route::without_other_filters(&mut host) {
            making
                .lackings
                .note("patches", "what a patch says to filters of a sidecar is left out: gRPC clients lack them");
        }
        for message in listener::for_names(service, port, host) {
            let resource_name = ResourceName::new(message.name.as_str());
            self.listeners.push(Resource::encode(ResourceType::Listener, resource_name, &message));
        }
        let Making { without_endpoints, lackings, .. } = making;
        for name in &without_endpoints {
            self.add_without_endpoints(name);
        }
        self.lacking.extend(lackings.found);
    }

    fn add_without_endpoints(&mut self, name: &str) {
        let resource_name = ResourceName::new(name);
        let cluster = cluster::without_endpoints(name);
        let assignment = endpoints::empty_assignment(name.to_owned());
        self.clusters.push(Resource::encode(ResourceType::Cluster, resource_name.clone(), &cluster));
        self.empty_assignments.push(Resource::encode(ResourceType::Endpoints, resource_name, &assignment));
    }

    /// How many resources were encoded for it.
    pub fn resources(&self) -> u64 {
        (self.clusters.len() + self.empty_assignments.len() + self.listeners.len()) as u64
    }
}

impl Assignments {
    pub fn compile(input: &AssignmentsInput) -> Self {
        let AssignmentsInput { service, policy, arranged: Arranged { endpoints, client } } = input;
        let sent = targets(service, policy)
            .filter(|(port, _, effective)| Withheld::of(port, effective, None).is_none())
            .map(|(port, subset, effective)| {
                let name = cluster_name(service, port, subset);
                let labels = labels_of(policy, subset);
                let message = endpoints::assignment(&name, port, endpoints, labels, &effective.locality, client);
                let message = patches(policy, &name).apply(PatchedResource::Endpoints, message);
                Resource::encode(ResourceType::Endpoints, name.resource_name(), &message)
            });
        Self { assignments: sent.collect() }
    }

    /// How many resources were encoded for it.
    pub fn resources(&self) -> u64 {
        self.assignments.len() as u64
    }
}

/// Those of a service's clusters that gRPC clients are not sent.
pub(super) fn withheld_clusters(
    service: &Service,
    policy: &ServicePolicy,
    names: Option<&EndpointSet>,
) -> BTreeMap<ClusterName, Withheld> {
    targets(service, policy)
        .filter_map(|(port, subset, effective)| {
            let names = names.map(|endpoints| (endpoints, labels_of(policy, subset)));
            Some((cluster_name(service, port, subset), Withheld::of(port, effective, names)?))
        })
        .collect()
}

fn labels_of<'a>(policy: &'a ServicePolicy, subset: Option<&SubsetName>) -> Option<&'a Labels> {
    policy.subsets.get(subset?)
}
