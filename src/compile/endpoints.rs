//! Endpoints into a `ClusterLoadAssignment`: grouped by locality, weighted, with priorities where localities matter.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

use super::{
    shares::{Place, Share, Vantage, distance_by_labels, shares},
    wire::{socket_address, u32_or_absent, u32_value},
};
use crate::{
    model::{
        Address, CatalogEntry, ClusterName, Endpoint, Health, LOCAL_CLUSTER, Labels, Locality, Port,
        policy::{EffectivePolicy, Failover, LocalityRouting, UnhealthyEndpoints},
    },
    proto::{
        envoy::config::{
            core::v3::{HealthStatus, Locality as ProtoLocality, Metadata},
            endpoint::v3::{
                ClusterLoadAssignment, Endpoint as ProtoEndpoint, LbEndpoint, LocalityLbEndpoints,
                cluster_load_assignment, lb_endpoint::HostIdentifier,
            },
        },
        google::protobuf::{Struct, Value, value::Kind},
    },
};

/// The assignment of one cluster. A service without endpoints has an empty one: an answer beats silence.
pub(super) fn assignment(
    name: &ClusterName,
    port: &Port,
    endpoints: &[Endpoint],
    subset: Option<&Labels>,
    policy: &EffectivePolicy,
    client: &Vantage,
) -> ClusterLoadAssignment {
    ClusterLoadAssignment {
        cluster_name: name.to_string(),
        endpoints: localities(endpoints, port, subset, policy, client),
        policy: policy.overprovisioning_factor.map(|factor| cluster_load_assignment::Policy {
            overprovisioning_factor: u32_value(factor),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The workload of a proxy, as its cluster for itself has it: how many endpoints run where. Nobody connects to them, so
/// one port stands for all; what has no address of its own is left out.
pub(super) fn local(workload: Option<&CatalogEntry>) -> ClusterLoadAssignment {
    let everything = || EffectivePolicy { locality: LocalityRouting::Ignored, ..EffectivePolicy::default() };
    let endpoints = workload.and_then(|entry| {
        let port = entry.service.ports.first()?;
        let has_address = |endpoint: &&Endpoint| matches!(endpoint.address, Address::Ip(_));
        let endpoints: Vec<Endpoint> = entry.endpoints.iter().filter(has_address).cloned().collect();
        Some(localities(&endpoints, port, None, &everything(), &Vantage::default()))
    });
    ClusterLoadAssignment {
        cluster_name: LOCAL_CLUSTER.into(),
        endpoints: endpoints.unwrap_or_default(),
        ..Default::default()
    }
}

/// The endpoints of a subset, by locality, and where labels decide by nearness.
fn localities(
    endpoints: &[Endpoint],
    port: &Port,
    subset: Option<&Labels>,
    policy: &EffectivePolicy,
    client: &Vantage,
) -> Vec<LocalityLbEndpoints> {
    let mut by_place: BTreeMap<(&Locality, u32), Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        if is_sent(endpoint, policy) && subset.is_none_or(|labels| has_labels(endpoint, labels)) {
            let by_labels = distance_by_labels(endpoint, &policy.locality, client);
            by_place.entry((&endpoint.locality, by_labels)).or_default().push(endpoint);
        }
    }
    let places: Vec<Place> = by_place
        .iter()
        .map(|((locality, by_labels), endpoints)| Place {
            locality,
            by_labels: *by_labels,
            weight: endpoints.iter().fold(0, |sum: u32, endpoint| sum.saturating_add(endpoint.weight.get())),
        })
        .collect();
    let shares = shares(&places, &policy.locality, client);
    by_place
        .iter()
        .zip(shares)
        .map(|(((locality, _), endpoints), Share { priority, weight })| LocalityLbEndpoints {
            locality: (!locality.is_unknown()).then(|| proto_locality(locality)),
            lb_endpoints: match weight {
                Some(_) => endpoints.iter().map(|endpoint| lb_endpoint(endpoint, port, policy)).collect(),
                // A place that gets no share is emptied, not weighted 0: Envoy would fall back to it in panic.
                None => Vec::new(),
            },
            load_balancing_weight: u32_or_absent(weight.map(NonZeroU32::get)),
            priority,
            ..Default::default()
        })
        .collect()
}

fn is_sent(endpoint: &Endpoint, policy: &EffectivePolicy) -> bool {
    endpoint.health != Health::Unhealthy || policy.unhealthy_endpoints == UnhealthyEndpoints::Sent
}

fn has_labels(endpoint: &Endpoint, labels: &Labels) -> bool {
    labels.iter().all(|(key, value)| endpoint.labels.get(key) == Some(value))
}

/// Where Envoy looks for what subsets are made of.
pub(super) const SUBSET_METADATA: &str = "envoy.lb";

/// The labels that requests pick by, and no others: what is picked by nobody may change all day.
fn metadata(endpoint: &Endpoint, port: &Port, policy: &EffectivePolicy) -> Option<Metadata> {
    let selection = policy.subset_selection.as_ref().filter(|_| port.protocol.is_http())?;
    let labels: Labels =
        selection.labels().into_iter().filter_map(|key| Some((key.clone(), endpoint.label(key)?.clone()))).collect();
    let filter_metadata = [(SUBSET_METADATA.to_owned(), text_struct(labels.iter()))].into();
    (!labels.is_empty()).then(|| Metadata { filter_metadata, ..Default::default() })
}

/// Texts by key.
pub(super) fn text_struct<'a>(texts: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>)>) -> Struct {
    let value = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
    Struct { fields: texts.map(|(key, text)| (key.to_string(), value(text))).collect() }
}

fn lb_endpoint(endpoint: &Endpoint, port: &Port, policy: &EffectivePolicy) -> LbEndpoint {
    let address = socket_address(&endpoint.address, endpoint.port_for(port).get());
    let health_status = match endpoint.health {
        Health::Healthy => HealthStatus::Unknown,
        Health::Unhealthy => HealthStatus::Unhealthy,
        Health::Draining => HealthStatus::Draining,
    };
    LbEndpoint {
        health_status: health_status.into(),
        load_balancing_weight: u32_value(endpoint.weight.get()),
        metadata: metadata(endpoint, port, policy),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint { address: Some(address), ..Default::default() })),
    }
}

fn proto_locality(locality: &Locality) -> ProtoLocality {
    let Locality { region, zone, subzone } = locality;
    ProtoLocality { region: region.to_string(), zone: zone.to_string(), sub_zone: subzone.to_string() }
}

/// Whether a cluster needs locality weights to be read at all.
pub(super) fn is_locality_weighted(policy: &EffectivePolicy) -> bool {
    match &policy.locality {
        LocalityRouting::Ignored | LocalityRouting::ZoneAware(_) => false,
        LocalityRouting::Distribute(_) => true,
        LocalityRouting::Failover(Failover { by_labels, by_place }) => {
            !by_labels.is_empty() || by_place.as_ref().is_some_and(|rules| !rules.is_empty())
        }
    }
}
