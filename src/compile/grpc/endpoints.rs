//! Endpoints into a `ClusterLoadAssignment` as gRPC libraries want it (A27): every locality named, even the unknown one,
//! and weighted above zero, since one without a weight gets nothing; no address twice, which rejects the whole; and
//! only what takes calls.

use std::collections::{BTreeMap, BTreeSet};

use super::withheld::sent;
use crate::{
    compile::{
        shares::{Place, Share, Vantage, distance_by_labels, shares},
        wire::{socket_address, u32_value},
    },
    model::{ClusterName, Endpoint, EndpointSet, Labels, Locality, Port, policy::LocalityRouting},
    proto::envoy::config::{
        core::v3::Locality as ProtoLocality,
        endpoint::v3::{
            ClusterLoadAssignment, Endpoint as ProtoEndpoint, LbEndpoint, LocalityLbEndpoints,
            lb_endpoint::HostIdentifier,
        },
    },
};

/// The assignment of one cluster.
pub(super) fn assignment(
    name: &ClusterName,
    port: &Port,
    endpoints: &EndpointSet,
    subset: Option<&Labels>,
    routing: &LocalityRouting,
    client: &Vantage,
) -> ClusterLoadAssignment {
    let mut seen = BTreeSet::new();
    let mut by_place: BTreeMap<(&Locality, u32), Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in sent(endpoints, subset) {
        if seen.insert((&endpoint.address, endpoint.port_for(port))) {
            let by_labels = distance_by_labels(endpoint, routing, client);
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
    let shares = shares(&places, routing, client);
    let localities = by_place.iter().zip(shares).filter_map(|(((locality, _), endpoints), share)| {
        let Share { priority, weight } = share;
        // A place that gets no share is not there.
        Some(LocalityLbEndpoints {
            locality: Some(proto_locality(locality)),
            lb_endpoints: endpoints.iter().map(|endpoint| lb_endpoint(endpoint, port)).collect(),
            load_balancing_weight: u32_value(weight?.get()),
            priority,
            ..Default::default()
        })
    });
    ClusterLoadAssignment { endpoints: localities.collect(), ..empty_assignment(name.to_string()) }
}

/// No endpoints.
pub(super) fn empty_assignment(cluster_name: String) -> ClusterLoadAssignment {
    ClusterLoadAssignment { cluster_name, ..Default::default() }
}

fn lb_endpoint(endpoint: &Endpoint, port: &Port) -> LbEndpoint {
    let address = socket_address(&endpoint.address, endpoint.port_for(port).get());
    LbEndpoint {
        load_balancing_weight: u32_value(endpoint.weight.get()),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint { address: Some(address), ..Default::default() })),
        ..Default::default()
    }
}

fn proto_locality(locality: &Locality) -> ProtoLocality {
    let Locality { region, zone, subzone } = locality;
    ProtoLocality { region: region.to_string(), zone: zone.to_string(), sub_zone: subzone.to_string() }
}
