//! Which patches concern a service, in the order in which they are made, and patches that concern nothing.

use std::sync::Arc;

use super::{
    check,
    document::{
        Body, Document, EnvoyPatch,
        envoy_patch::Patch,
        traffic_policy::{Clients, Pattern},
    },
    set::{PolicySet, targets},
};
use crate::{
    diagnostic::{Diagnostic, Level},
    model::{
        Catalog, ClientView, NamePattern, Port, Service, SubsetName,
        policy::{PatchChange, PatchOperation, PatchedResource},
    },
};

/// An `EnvoyPatch` and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patching<'a> {
    pub document: &'a Arc<Document>,
    pub spec: &'a EnvoyPatch,
}

impl<'a> Patching<'a> {
    /// The patch that a document is, if it is one.
    pub fn of(document: &'a Arc<Document>) -> Option<Self> {
        match &document.body {
            Body::EnvoyPatch(spec) => Some(Self { document, spec }),
            _ => None,
        }
    }

    /// The clients it is for; none = all.
    pub fn clients(self) -> impl Iterator<Item = &'a NamePattern> {
        let patterns = self.spec.clients.as_ref().map_or(&[][..], |Clients { services }| services);
        patterns.iter().map(|Pattern(pattern)| pattern)
    }

    pub fn targets(self, service: &Service) -> bool {
        targets(&self.spec.target, service)
    }

    pub fn is_seen_by(self, view: &ClientView) -> bool {
        self.spec.clients.is_none() || self.clients().any(|pattern| view.selectors.contains(pattern))
    }

    pub fn covers(self, port: &Port, subset: Option<&SubsetName>) -> bool {
        let target = &self.spec.target;
        target.port.is_none_or(|number| number == port.number)
            && target.subset.as_ref().is_none_or(|wanted| Some(&wanted.0) == subset)
    }

    fn operations(self) -> impl Iterator<Item = PatchOperation> + 'a {
        let document: Arc<str> = self.document.name().into();
        self.spec.patches.iter().enumerate().flat_map(move |(index, Patch { of, route, merge, remove })| {
            let operation = {
                let document = document.clone();
                move |change, field: String| PatchOperation {
                    of: of.resource(),
                    route: route.as_deref().map(Into::into),
                    change,
                    document: document.clone(),
                    field: field.into(),
                }
            };
            let path = format!("spec.patches[{index}]");
            let mut operations: Vec<PatchOperation> = Vec::new();
            for (at, removed) in remove.iter().enumerate() {
                let change = PatchChange::Remove(removed.as_str().into());
                operations.push(operation(change, format!("{path}.remove[{at}]")));
            }
            if let Some(merge) = merge {
                operations.push(operation(PatchChange::Merge(merge.to_string().into()), format!("{path}.merge")));
            }
            operations
        })
    }
}

impl PolicySet {
    /// Every patch, by name.
    pub(super) fn patchings(&self) -> impl Iterator<Item = Patching<'_>> {
        self.patches.iter().filter_map(Patching::of)
    }

    /// Those that concern a service, as some clients see it.
    pub(super) fn patchings_for<'a>(
        &'a self,
        service: &'a Service,
        view: &'a ClientView,
    ) -> impl Iterator<Item = Patching<'a>> {
        self.patchings().filter(|patch| patch.targets(service) && patch.is_seen_by(view))
    }

    /// What changes in the resources of a port, or a subset of it.
    pub(super) fn patch_operations(
        &self,
        service: &Service,
        port: &Port,
        subset: Option<&SubsetName>,
        view: &ClientView,
    ) -> Vec<PatchOperation> {
        let covering = self.patchings_for(service, view).filter(|patch| patch.covers(port, subset));
        let operations = covering.flat_map(Patching::operations);
        operations
            .filter(|operation| operation.of != PatchedResource::OutboundListener)
            .filter(|operation| subset.is_none() || operation.of.has_subsets())
            .collect()
    }

    /// Whether there are any.
    pub fn has_patches(&self) -> bool {
        !self.patches.is_empty()
    }

    /// What changes in the listener `outbound`, as some clients have it.
    pub fn outbound_patches(&self, view: &ClientView) -> Vec<PatchOperation> {
        let seen = self.patchings().filter(|patch| patch.is_seen_by(view));
        let operations = seen.flat_map(Patching::operations);
        operations.filter(|operation| operation.of == PatchedResource::OutboundListener).collect()
    }
}

/// Patches whose target is nothing there is: errors, since a patch that changes nothing is a mistake. Of an empty
/// catalog nothing can be said.
pub fn without_target(policies: &PolicySet, catalog: &Catalog) -> Vec<Diagnostic> {
    if catalog.iter().next().is_none() {
        return Vec::new();
    }
    let everyone = check::everyone(policies);
    let problems = policies.patchings().flat_map(|patch| {
        let target = &patch.spec.target;
        check::target_problems(patch.document, target, &check::targeted(target, catalog), policies, &everyone, catalog)
    });
    problems.map(|problem| Diagnostic { level: Level::Error, ..problem }).collect()
}
