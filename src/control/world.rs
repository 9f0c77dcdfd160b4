//! What the one writer knows, and what follows from it: a function of facts, kept incrementally.
//!
//! A [`World`] takes the latest catalog and the latest policies and answers what a node group is served. It
//! resolves policies per client view and service, and only where a service's definition changed or a changed
//! document can touch it; the compiler below it recompiles only what that changed. Offline commands and the running
//! server use the same `World`, so `render` shows what `serve` sends.
//!
//! It deliberately knows no source, no file, no stream and no clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use imbl::OrdMap;

use crate::{
    compile::{Compiled, Compiler, Input, Lacking},
    diagnostic::Diagnostic,
    model::{Catalog, ClientView, Grouping, MeshSettings, NodeGroup, Service, ServiceName, ServicePolicy},
    policy::{self, PolicySet, lint},
};

use super::{
    asked::{Asked, names_of},
    by_namespace::ByNamespace,
    entries::Entries,
    patches,
    status::Work,
};

/// The facts, and everything kept of what was derived from them.
#[derive(Debug, Default)]
pub struct World {
    /// The services of discovery and of documents.
    catalog: Catalog,
    entries: Entries,
    policies: Arc<PolicySet>,
    /// The two ends of what a client can see: only what is meant for all, and everything that is meant for some.
    ends: [ClientView; 2],
    mesh: Arc<MeshSettings>,
    grouping: Arc<Grouping>,
    views: BTreeMap<ClientView, View>,
    by_namespace: ByNamespace,
    compiler: Compiler,
    services_resolved: u64,
}

/// What policies mean for each service that one kind of client sees.
#[derive(Debug, Clone, Default)]
struct View {
    policies: OrdMap<ServiceName, Arc<ServicePolicy>>,
    /// Contradictions that arose only because a service appeared or its labels changed.
    problems: BTreeMap<ServiceName, Vec<Diagnostic>>,
    asked: Asked,
}

impl World {
    /// Takes the latest facts: what discovery knows, and what documents say. What did not change is kept.
    pub fn update(&mut self, discovered: Catalog, policies: Arc<PolicySet>) {
        let catalog = self.entries.merge(discovered, &policies);
        let redefined = redefined_services(&self.catalog, &catalog);
        let before = std::mem::replace(&mut self.catalog, catalog);
        let mut stale: BTreeSet<ServiceName> = redefined.iter().cloned().collect();
        let new_policies = !Arc::ptr_eq(&self.policies, &policies);
        let mut listeners_may_differ = false;
        if new_policies {
            let touched = policies.touched_since(&self.policies);
            let mesh = policies.mesh();
            listeners_may_differ = *self.mesh != mesh;
            if listeners_may_differ {
                self.mesh = Arc::new(mesh);
            }
            self.ends[1].selectors = policies.selectors();
            self.ends[1].labels = policies.label_selectors();
            self.policies = policies;
            if !touched.is_nothing() {
                let others = self.catalog.iter().filter(|(name, _)| !stale.contains(*name));
                let services: Vec<_> = others.filter(|(_, entry)| touched.can_touch(&entry.service)).collect();
                stale.extend(services.into_iter().map(|(name, _)| name.clone()));
            }
        }
        let names = names_of(&stale, &before, &self.catalog);
        for (client, view) in &mut self.views {
            let stale = view.asked.with_askers(&stale, &names);
            self.services_resolved += view.refresh(client, &self.policies, &self.catalog, &stale);
        }
        self.services_resolved += self.by_namespace.refresh(&self.policies, &self.catalog, &stale, &names);
        if new_policies || !redefined.is_empty() {
            self.regroup(&redefined, listeners_may_differ);
        }
    }

    /// All services.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// All policies.
    pub fn policies(&self) -> &Arc<PolicySet> {
        &self.policies
    }

    /// The mesh-wide settings.
    pub fn mesh(&self) -> &Arc<MeshSettings> {
        &self.mesh
    }

    /// What policies mean for a service, as one kind of client sees it.
    pub(super) fn policy(&mut self, client: &ClientView, service: &ServiceName) -> Option<Arc<ServicePolicy>> {
        self.view(client).policies.get(service).cloned()
    }

    /// Which facts about a proxy distinguish anything.
    pub fn grouping(&self) -> &Arc<Grouping> {
        &self.grouping
    }

    /// What a node group is served, and what could not be done for it.
    pub fn compile(&mut self, group: &NodeGroup) -> Compiled {
        let input = Input {
            catalog: self.catalog.clone(),
            policies: self.view(&group.view).policies.clone(),
            mesh: self.mesh.clone(),
            outbound_patches: self.policies.outbound_patches(&group.view),
        };
        self.compiler.compile(group, &input)
    }

    /// What policies ask for of a service and a group's clients do not do.
    pub fn lacking(&mut self, group: &NodeGroup, service: &ServiceName) -> Vec<Lacking> {
        self.compile(group);
        self.compiler.lacking(group, service)
    }

    /// Contradictions between documents, and with discovery, that arose only because of the services there are: reported,
    /// while discovery, or the document first by name counts.
    pub fn problems(&mut self) -> Vec<Diagnostic> {
        let mut problems: BTreeSet<Diagnostic> = self.by_namespace.problems().cloned().collect();
        problems.extend(self.entries.problems(&self.policies));
        for client in self.ends.clone() {
            problems.extend(self.view(&client).problems.values().flatten().cloned());
        }
        problems.extend(self.patches_in_vain());
        problems.into_iter().collect()
    }

    /// Patches that change nothing for anybody.
    fn patches_in_vain(&mut self) -> Vec<Diagnostic> {
        if !self.policies.has_patches() {
            return Vec::new();
        }
        let mut tried = Vec::new();
        for client in self.ends.clone() {
            let policies = self.view(&client).policies.clone();
            let input = Input {
                catalog: self.catalog.clone(),
                policies,
                mesh: self.mesh.clone(),
                outbound_patches: self.policies.outbound_patches(&client),
            };
            tried.extend(self.compiler.patches(&input));
        }
        let mut problems = policy::patches::without_target(&self.policies, &self.catalog);
        problems.extend(patches::without_effect(&self.policies, tried));
        problems
    }

    /// What is right and probably not meant, where `expires` is held against this day. Nothing is silenced yet.
    pub fn lints(&self, today: policy::Date) -> Vec<Diagnostic> {
        let mut found = lint::of_documents(&self.policies, today);
        found.extend(lint::of_services(&self.policies, &self.catalog, &self.ends));
        found
    }

    /// Forgets what was kept for other groups.
    pub fn retain(&mut self, groups: &[NodeGroup]) {
        self.compiler.retain(groups);
        let ends = &self.ends;
        self.views.retain(|client, _| ends.contains(client) || groups.iter().any(|group| group.view == *client));
    }

    /// What was done so far.
    pub fn work(&self) -> Work {
        let crate::compile::Work { units_compiled, resources_encoded } = self.compiler.work();
        Work { services_resolved: self.services_resolved, units_compiled, resources_encoded }
    }

    fn view(&mut self, client: &ClientView) -> &View {
        if !self.views.contains_key(client) {
            let (mut view, stale) = self.begin_view(client);
            self.services_resolved += view.refresh(client, &self.policies, &self.catalog, &stale);
            self.views.insert(client.clone(), view);
        }
        &self.views[client]
    }

    /// What a view begins from, and the services to resolve in it: those that a known view sees differently, or all.
    fn begin_view(&self, client: &ClientView) -> (View, BTreeSet<ServiceName>) {
        let like = self.views.iter().filter_map(|(known, view)| {
            Some((view, self.policies.seen_differently(known, client)?, known.selectors.len()))
        });
        let Some((like, touched, _)) = like.min_by_key(|(_, _, selectors)| *selectors) else {
            return (View::default(), self.catalog.iter().map(|(name, _)| name.clone()).collect());
        };
        let entries = self.catalog.iter().filter(|(_, entry)| touched.can_touch(&entry.service));
        let stale: BTreeSet<ServiceName> = entries.map(|(name, _)| name.clone()).collect();
        let stale = like.asked.with_askers(&stale, &names_of(&stale, &self.catalog, &self.catalog));
        (like.clone(), stale)
    }

    fn regroup(&mut self, redefined: &[ServiceName], all_may_differ: bool) {
        let Self { catalog, policies, mesh, grouping, by_namespace, .. } = self;
        let has_listener = |service: &Service| service.ports.iter().any(|port| mesh.gives_listener(port));
        let with_listeners = if all_may_differ {
            let services = catalog.iter().filter(|(_, entry)| has_listener(&entry.service));
            Arc::new(services.map(|(name, _)| name.clone()).collect())
        } else {
            let mut names = grouping.with_listeners.clone();
            for name in redefined {
                let wanted = catalog.get(name.as_str()).is_some_and(|entry| has_listener(&entry.service));
                match (wanted, names.contains(name)) {
                    (true, false) => drop(Arc::make_mut(&mut names).insert(name.clone())),
                    (false, true) => drop(Arc::make_mut(&mut names).remove(name)),
                    (true, true) | (false, false) => {}
                }
            }
            names
        };
        let new = Grouping {
            selectors: policies.selectors(),
            with_listeners,
            locality: policies.locality_use(),
            compared_labels: Arc::new(policies.compared_labels()),
            dependencies: policies.dependencies(),
            sidecars: policies.sidecars(),
            label_selectors: Arc::new(policies.label_selectors()),
            namespaces: by_namespace.namespaces().clone(),
        };
        if **grouping != new {
            *grouping = Arc::new(new);
        }
    }
}

impl View {
    /// Resolves the stale services anew; an equal answer keeps its `Arc`. Returns how many were resolved.
    fn refresh(
        &mut self,
        client: &ClientView,
        policies: &PolicySet,
        catalog: &Catalog,
        stale: &BTreeSet<ServiceName>,
    ) -> u64 {
        let mut resolved = 0;
        for name in stale {
            let Some(entry) = catalog.get(name.as_str()).filter(|entry| client.sees(&entry.service)) else {
                self.policies.remove(name);
                self.problems.remove(name);
                self.asked.set(name, BTreeSet::new());
                continue;
            };
            resolved += 1;
            let answer = policies.resolve(&entry.service, client, catalog);
            self.asked.set(name, answer.asked);
            if self.policies.get(name).is_none_or(|present| **present != answer.policy) {
                self.policies.insert(name.clone(), Arc::new(answer.policy));
            }
            if answer.problems.is_empty() {
                self.problems.remove(name);
            } else {
                self.problems.insert(name.clone(), answer.problems);
            }
        }
        resolved
    }
}

/// Services that are new, gone, or defined differently; a change of endpoints alone is none.
fn redefined_services(before: &Catalog, after: &Catalog) -> Vec<ServiceName> {
    let definition = |catalog: &Catalog, name: &ServiceName| catalog.get(name.as_str()).map(|e| e.service.clone());
    let changed = after.changed_since(before).into_iter();
    changed.filter(|name| definition(before, name) != definition(after, name)).cloned().collect()
}
