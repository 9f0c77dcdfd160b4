//! What each locality of a cluster gets: its priority, and its weight among those of the same priority.
//!
//! A function of places and weights alone: endpoints are grouped before, messages are built after (`endpoints`).

use std::num::NonZeroU32;

use crate::model::{
    Endpoint, Labels, Locality,
    policy::{Distribute, Failover, FailoverRule, LocalityRouting, PriorityLabel},
};

/// Where the client is, as far as policies read it: what its endpoints are arranged by.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Vantage {
    /// Where it runs.
    pub locality: Option<Locality>,
    /// Its labels.
    pub labels: Labels,
}

/// Endpoints at one place that are equally near by their labels, and their weights added up.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub locality: &'a Locality,
    /// How far they are by their labels; 0 = nearest.
    pub by_labels: u32,
    pub weight: u32,
}

/// What a place gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    pub priority: u32,
    /// Absent = nothing.
    pub weight: Option<NonZeroU32>,
}

/// Two places that differ by labels are never nearer to each other than the widest difference of places: 0 to 4.
const STEPS_BY_PLACE: u32 = 5;

/// A label that, standing first, sorts whole networks: endpoints elsewhere keep their order among themselves.
const NETWORK_LABEL: &str = "topology.istio.io/network";

/// How far an endpoint is by its labels: the number of labels less the length of the first run that is as wanted.
pub(super) fn distance_by_labels(endpoint: &Endpoint, routing: &LocalityRouting, client: &Vantage) -> u32 {
    let LocalityRouting::Failover(Failover { by_labels, by_place: _ }) = routing else { return 0 };
    let is_as_wanted = |PriorityLabel { key, value }: &PriorityLabel| {
        endpoint.label(key) == value.as_ref().or_else(|| client.labels.get(key))
    };
    let count = by_labels.len() as u32;
    let mut network = 0;
    for (matched, label) in (0..).zip(by_labels) {
        match is_as_wanted(label) {
            true => {}
            false if matched == 0 && &*label.key == NETWORK_LABEL => network = count,
            false => return network + count - matched,
        }
    }
    network
}

/// One share for each place, in order.
pub(super) fn shares(places: &[Place<'_>], routing: &LocalityRouting, client: &Vantage) -> Vec<Share> {
    let priorities = match routing {
        LocalityRouting::Distribute(entries) => {
            let by_client = client.locality.as_ref().and_then(|client| entries.iter().find(|e| e.from.matches(client)));
            match by_client {
                Some(entry) => return distributed(places, entry),
                None => vec![0; places.len()],
            }
        }
        LocalityRouting::Failover(Failover { by_labels: _, by_place }) => {
            // A client that does not say where it runs is near to nothing.
            let client = client.locality.as_ref().filter(|client| !client.is_unknown());
            let by_place = |place: &Place<'_>| match (by_place, client) {
                (Some(rules), Some(client)) => distance(client, place.locality, rules),
                _ => 0,
            };
            compacted(places.iter().map(|place| place.by_labels * STEPS_BY_PLACE + by_place(place)).collect())
        }
        LocalityRouting::ZoneAware(zone_aware) => {
            let region = client.locality.as_ref().filter(|client| zone_aware.is_on() && !client.region.is_empty());
            let is_elsewhere = |place: &Place<'_>| region.is_some_and(|client| client.region != place.locality.region);
            compacted(places.iter().map(|place| u32::from(is_elsewhere(place))).collect())
        }
        LocalityRouting::Ignored => vec![0; places.len()],
    };
    let weight = |place: &Place<'_>| NonZeroU32::new(scaled(place, places));
    places.iter().zip(priorities).map(|(place, priority)| Share { priority, weight: weight(place) }).collect()
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
