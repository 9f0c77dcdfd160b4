//! Endpoints into a `ClusterLoadAssignment`: grouped by locality, weighted, with priorities where localities matter.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::wire::{socket_address, u32_or_absent, u32_value};
use crate::{
    model::{
        ClusterName, Endpoint, Health, Labels, Locality, Port,
        policy::{Distribute, EffectivePolicy, FailoverRule, LocalityRouting, UnhealthyEndpoints},
    },
    proto::envoy::config::{
        core::v3::{HealthStatus, Locality as ProtoLocality},
        endpoint::v3::{
            ClusterLoadAssignment, Endpoint as ProtoEndpoint, LbEndpoint, LocalityLbEndpoints, cluster_load_assignment,
            lb_endpoint::HostIdentifier,
        },
    },
};

/// The assignment of one cluster. A service without endpoints has an empty one: an answer beats silence.
pub(super) fn assignment(
    name: &ClusterName,
    port: &Port,
    endpoints: &[Endpoint],
    subset: Option<&Labels>,
    policy: &EffectivePolicy,
    client: Option<&Locality>,
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

/// The endpoints of a subset, by locality.
pub(super) fn localities(
    endpoints: &[Endpoint],
    port: &Port,
    subset: Option<&Labels>,
    policy: &EffectivePolicy,
    client: Option<&Locality>,
) -> Vec<LocalityLbEndpoints> {
    let mut by_locality: BTreeMap<&Locality, Vec<&Endpoint>> = BTreeMap::new();
    for endpoint in endpoints {
        if is_sent(endpoint, policy) && subset.is_none_or(|labels| has_labels(endpoint, labels)) {
            by_locality.entry(&endpoint.locality).or_default().push(endpoint);
        }
    }
    let places: Vec<Place> = by_locality
        .iter()
        .map(|(locality, endpoints)| Place {
            locality,
            weight: endpoints.iter().fold(0, |sum: u32, endpoint| sum.saturating_add(endpoint.weight.get())),
        })
        .collect();
    let shares = shares(&places, &policy.locality, client);
    by_locality
        .iter()
        .zip(shares)
        .map(|((locality, endpoints), Share { priority, weight })| LocalityLbEndpoints {
            locality: (!locality.is_unknown()).then(|| proto_locality(locality)),
            lb_endpoints: match weight {
                Some(_) => endpoints.iter().map(|endpoint| lb_endpoint(endpoint, port)).collect(),
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

fn lb_endpoint(endpoint: &Endpoint, port: &Port) -> LbEndpoint {
    let address = socket_address(&endpoint.address, endpoint.port_for(port).get());
    let health_status = match endpoint.health {
        Health::Healthy => HealthStatus::Unknown,
        Health::Unhealthy => HealthStatus::Unhealthy,
        Health::Draining => HealthStatus::Draining,
    };
    LbEndpoint {
        health_status: health_status.into(),
        load_balancing_weight: u32_value(endpoint.weight.get()),
        host_identifier: Some(HostIdentifier::Endpoint(ProtoEndpoint { address: Some(address), ..Default::default() })),
        ..Default::default()
    }
}

fn proto_locality(locality: &Locality) -> ProtoLocality {
    let Locality { region, zone, subzone } = locality;
    ProtoLocality { region: region.to_string(), zone: zone.to_string(), sub_zone: subzone.to_string() }
}

/// A locality with endpoints, and their weights added up.
struct Place<'a> {
    locality: &'a Locality,
    weight: u32,
}

/// What a locality gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Share {
    priority: u32,
    /// Absent = nothing.
    weight: Option<NonZeroU32>,
}

/// One share for each place, in order.
fn shares(places: &[Place<'_>], routing: &LocalityRouting, client: Option<&Locality>) -> Vec<Share> {
    let by_endpoints =
        || places.iter().map(|place| Share { priority: 0, weight: NonZeroU32::new(scaled(place, places)) });
    match (routing, client) {
        (LocalityRouting::Distribute(entries), Some(client)) => {
            match entries.iter().find(|entry| entry.from.matches(client)) {
                Some(entry) => distributed(places, entry),
                None => by_endpoints().collect(),
            }
        }
        // A client that does not say where it runs is near to nothing.
        (LocalityRouting::Failover(rules), Some(client)) if !client.is_unknown() => {
            let priorities = compacted(places.iter().map(|place| distance(client, place.locality, rules)).collect());
            by_endpoints().zip(priorities).map(|(share, priority)| Share { priority, ..share }).collect()
        }
        (LocalityRouting::Ignored | LocalityRouting::Distribute(_) | LocalityRouting::Failover(_), _) => {
            by_endpoints().collect()
        }
    }
}

/// Envoy takes localities whose weights add up to 2^32-1 at most.
fn scaled(place: &Place<'_>, places: &[Place<'_>]) -> u32 {
    let total: u64 = places.iter().map(|place| u64::from(place.weight)).sum();
    match total.div_ceil(u64::from(u32::MAX)) {
        0 | 1 => place.weight.max(1),
        divisor => u32::try_from(u64::from(place.weight) / divisor).unwrap_or(u32::MAX).max(1),
    }
}

/// Shares in percent; within a pattern that several places match, by their endpoints' weights, rounded up.
fn distributed(places: &[Place<'_>], entry: &Distribute) -> Vec<Share> {
    let matching = |place: &Place<'_>| {
        // The most specific pattern decides: `eu/eu-1/*` before `eu/*`.
        let patterns = entry.to.iter().filter(|(pattern, _)| pattern.matches(place.locality));
        patterns
            .max_by_key(|(pattern, _)| [pattern.region.is_some(), pattern.zone.is_some(), pattern.subzone.is_some()])
    };
    places
        .iter()
        .map(|place| {
            let weight = matching(place).map_or(0, |(pattern, share)| {
                let same = places.iter().filter(|other| matching(other).is_some_and(|(found, _)| found == pattern));
                let total: u64 = same.map(|place| u64::from(place.weight)).sum();
                let part = u64::from(*share) * u64::from(place.weight);
                u32::try_from(part.div_ceil(total.max(1))).unwrap_or(u32::MAX)
            });
            Share { priority: 0, weight: NonZeroU32::new(weight) }
        })
        .collect()
}

/// How far a place is: the same sub-zone, zone, region, elsewhere; elsewhere the region that a rule names comes first.
fn distance(client: &Locality, place: &Locality, rules: &[FailoverRule]) -> u32 {
    if client.region != place.region {
        let preferred = rules.iter().find(|rule| rule.from == client.region);
        return match preferred {
            Some(rule) if rule.to != place.region => 4,
            Some(_) | None => 3,
        };
    }
    match (client.zone == place.zone, client.subzone == place.subzone) {
        (true, true) => 0,
        (true, false) => 1,
        (false, _) => 2,
    }
}

/// Priorities without gaps: Envoy wants 0, 1, 2 in a row.
fn compacted(distances: Vec<u32>) -> Vec<u32> {
    let mut used = distances.clone();
    used.sort_unstable();
    used.dedup();
    distances.iter().map(|distance| used.iter().position(|used| used == distance).unwrap_or(0) as u32).collect()
}

/// Whether a cluster needs locality weights to be read at all.
pub(super) fn is_locality_weighted(policy: &EffectivePolicy) -> bool {
    match &policy.locality {
        LocalityRouting::Ignored => false,
        LocalityRouting::Distribute(_) => true,
        LocalityRouting::Failover(rules) => !rules.is_empty(),
    }
}
