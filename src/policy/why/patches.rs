//! What patches change for a service, each value at its line, and patches that change nothing for it.

use serde_json::Value;

use super::{NotApplied, Origin, Overrode, Stated, near_miss};
use crate::{
    model::{ClientView, Port, Proxy, Service},
    policy::{document::envoy_patch::Patch, patches::Patching, set::PolicySet},
};

/// Everything that patches set or unset of a service's ports, or of one of them.
pub(super) fn stated(policies: &PolicySet, service: &Service, port: Option<&Port>, view: &ClientView) -> Vec<Stated> {
    let covering = policies.patchings_for(service, view).filter(|patch| concerns(*patch, service, port));
    let mut counting: Vec<Change<'_>> = Vec::new();
    for change in covering.flat_map(changes) {
        let mut change = change;
        let (lost, left) = counting.into_iter().partition(|earlier| change.overrides(earlier));
        counting = left;
        for Change { stated: Stated { setting, value, document, field, overrode }, .. } in Vec::into_iter(lost) {
            let reason = "of patches the last by name counts, and in one document the last".to_owned();
            change.stated.overrode.push(Overrode { setting, value, from: Origin { document, field }, reason });
            change.stated.overrode.extend(overrode);
        }
        counting.push(change);
    }
    counting.into_iter().map(|change| change.stated).collect()
}

/// One field that a patch sets or unsets, and the patch.
#[derive(Debug)]
struct Change<'a> {
    stated: Stated,
    patching: Patching<'a>,
    patch: &'a Patch,
}

impl Change<'_> {
    /// Whether nothing is left of an earlier one: it is of the same field, and this is made wherever that is.
    fn overrides(&self, earlier: &Self) -> bool {
        let (target, other) = (&self.patching.spec.target, &earlier.patching.spec.target);
        // Items of lists are added to those that are there.
        let is_item = self.stated.setting.split('[').skip(1).any(|item| item.starts_with(|c: char| c.is_ascii_digit()));
        self.stated.setting == earlier.stated.setting
            && !is_item
            && (target.port.is_none() || target.port == other.port)
            && (target.subset.is_none() || target.subset == other.subset)
            && (self.patch.route.is_none() || self.patch.route == earlier.patch.route)
    }
}

fn concerns(patch: Patching<'_>, service: &Service, port: Option<&Port>) -> bool {
    let mut ports = service.ports.iter().filter(|found| port.is_none_or(|port| port == *found));
    ports.any(|found| patch.spec.target.port.is_none_or(|number| number == found.number))
}

fn changes(patching: Patching<'_>) -> Vec<Change<'_>> {
    let mut changes = Vec::new();
    for (index, patch) in patching.spec.patches.iter().enumerate() {
        let path = format!("spec.patches[{index}]");
        let of = patch.of.resource().as_str();
        let change = |setting, value, field| Change {
            stated: Stated {
                setting,
                value: Value::String(value),
                document: patching.document.clone(),
                field,
                overrode: Vec::new(),
            },
            patching,
            patch,
        };
        for (field, removed) in patching.document.scalars(&format!("{path}.remove")) {
            changes.push(change(format!("patches.{of}.{removed}"), "(removed)".to_owned(), field));
        }
        let merged = format!("{path}.merge");
        for (field, value) in patching.document.scalars(&merged) {
            let below = field.strip_prefix(&merged).unwrap_or_default();
            changes.push(change(format!("patches.{of}{below}"), value, field));
        }
    }
    changes
}

/// Patches that a reader would expect to change something here.
pub(super) fn without_a_say(
    policies: &PolicySet,
    service: &Service,
    port: Option<&Port>,
    proxy: &Proxy,
    view: &ClientView,
) -> Vec<NotApplied> {
    let mut reasons = Vec::new();
    for patch in policies.patchings() {
        let target = &patch.spec.target;
        let reason = if !patch.targets(service) {
            near_miss(target, service)
        } else if !patch.is_seen_by(view) {
            let listed: Vec<&str> = patch.clients().map(|pattern| pattern.as_str()).collect();
            let workload = if proxy.workload.is_empty() { "(none)" } else { &proxy.workload };
            let reason = format!("it is for the clients {}; this node's workload is {workload}", listed.join(", "));
            Some(("spec.clients", reason))
        } else {
            let number = target.port.filter(|_| !concerns(patch, service, port));
            number.map(|number| ("spec.target.port", format!("it is for port {number}")))
        };
        reasons.extend(reason.map(|(field, reason)| NotApplied {
            document: patch.document.clone(),
            field: field.into(),
            reason,
        }));
    }
    reasons
}
