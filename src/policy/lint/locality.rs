//! Places that policies name, held against the places where anything runs.

use std::collections::BTreeSet;

use super::{
    findings::{Findings, Said},
    target::Target,
};
use crate::{
    model::{
        Catalog, Locality,
        policy::{Failover, LocalityPattern, LocalityRouting, PriorityLabel},
    },
    yaml::nearest,
};

/// Every place where an endpoint runs.
#[derive(Debug)]
pub(super) struct Places(BTreeSet<Locality>);

impl Places {
    pub fn of(catalog: &Catalog) -> Self {
        let endpoints = catalog.iter().flat_map(|(_, entry)| entry.endpoints.iter());
        Self(endpoints.map(|endpoint| endpoint.locality.clone()).filter(|place| !place.is_unknown()).collect())
    }

    fn remedy(&self, written: &str) -> String {
        let names: Vec<String> = self.0.iter().map(Locality::to_string).collect();
        let regions: BTreeSet<&str> = self.0.iter().map(|place| &*place.region).collect();
        // A pattern is compared without its last part.
        let bare = written.trim_end_matches("/*");
        let candidates = names.iter().map(String::as_str).chain(regions);
        let zones: Vec<String> = self.0.iter().map(|place| format!("{}/{}", place.region, place.zone)).collect();
        match nearest(bare, candidates.chain(zones.iter().map(String::as_str))) {
            Some(near) if bare != written => format!("did you mean `{near}/*`?"),
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "say in the snapshot where endpoints run (`locality`)".into(),
            None => format!("there are {}", names.join(", ")),
        }
    }
}

const SETTING: &str = "loadBalancer.localityLbSetting";

pub(super) fn check(target: &Target<'_>, places: &Places, findings: &mut Findings) {
    match &target.policy.locality {
        LocalityRouting::Distribute(entries) => {
            let Some(said) = target.said(&format!("{SETTING}.distribute")) else { return };
            for (index, entry) in entries.iter().enumerate() {
                let field = format!("{}[{index}]", said.field);
                unknown(target, places, &entry.from, said, &format!("{field}.from"), findings);
                for to in entry.to.keys() {
                    unknown(target, places, to, said, &format!("{field}.to[\"{}\"]", written(to)), findings);
                }
            }
        }
        LocalityRouting::Failover(Failover { by_labels, by_place }) => {
            unknown_labels(target, by_labels, findings);
            let Some(said) = target.said(&format!("{SETTING}.failover")) else { return };
            for (index, rule) in by_place.iter().flatten().enumerate() {
                for (part, region) in [("from", &rule.from), ("to", &rule.to)] {
                    let pattern = LocalityPattern { region: Some(region.clone()), zone: None, subzone: None };
                    let field = format!("{}[{index}].{part}", said.field);
                    unknown(target, places, &pattern, said, &field, findings);
                }
            }
        }
        LocalityRouting::ZoneAware(zones) if zones.is_on() => {
            let Some(said) = target.said_below("loadBalancer.zoneAwareLbSetting") else { return };
            target.warn("zone-aware-bootstrap", said, findings, || {
                (
                    "only proxies that know their own zone's share of their workload go by zones".into(),
                    "start sidecars with what `chancery bootstrap --zone-aware` prints, and silence this where all are"
                        .into(),
                )
            });
        }
        LocalityRouting::ZoneAware(_) | LocalityRouting::Ignored => {}
    }
}

/// A label that no endpoint has puts all of them equally far, and everything after it in the list decides nothing.
fn unknown_labels(target: &Target<'_>, labels: &[PriorityLabel], findings: &mut Findings) {
    let Some(said) = target.said(&format!("{SETTING}.failoverPriority")) else { return };
    for (index, PriorityLabel { key, value }) in labels.iter().enumerate() {
        let found: BTreeSet<&str> = target.endpoints.iter().filter_map(|e| e.label(key)).map(|v| &**v).collect();
        let is_known = value.as_ref().map_or(!found.is_empty(), |value| found.contains(&**value));
        if is_known || target.endpoints.is_empty() {
            continue;
        }
        let field = format!("{}[{index}]", said.field);
        target.warn("failover-unknown-label", Said { field: &field, ..said }, findings, || {
            let message = match value {
                Some(value) if !found.is_empty() => format!("no endpoint has `{value}` for the label `{key}`"),
                Some(_) | None => format!("no endpoint has the label `{key}`"),
            };
            let keys = target.endpoints.iter().flat_map(|endpoint| endpoint.labels.keys()).map(|key| &**key);
            let near = match value {
                Some(value) if !found.is_empty() => nearest(value, found.iter().copied()).map(|v| format!("{key}={v}")),
                Some(_) | None => nearest(key, keys).map(ToOwned::to_owned),
            };
            let remedy = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name a label of the service's endpoints, or say it in the snapshot".into(),
            };
            (message, remedy)
        });
    }
}

fn unknown(
    target: &Target<'_>,
    Places(places): &Places,
    pattern: &LocalityPattern,
    said: Said<'_>,
    field: &str,
    findings: &mut Findings,
) {
    if places.iter().any(|place| pattern.matches(place)) {
        return;
    }
    target.warn("failover-unknown-zone", Said { field, ..said }, findings, || {
        let name = written(pattern);
        let message = match places.is_empty() {
            true => format!("nothing runs in `{name}`: no endpoint says where it runs"),
            false => format!("nothing runs in `{name}`"),
        };
        (message, Places(places.clone()).remedy(&name))
    });
}

/// The pattern as it is written: `eu/eu-1/*`.
fn written(pattern: &LocalityPattern) -> String {
    let LocalityPattern { region, zone, subzone } = pattern;
    let mut text = region.as_deref().unwrap_or("*").to_owned();
    for part in [zone, subzone] {
        match part {
            Some(part) => text = format!("{text}/{part}"),
            None if text.ends_with('*') => {}
            None => return if text.contains('/') { format!("{text}/*") } else { text },
        }
    }
    text
}
