//! The services of documents beside those that discovery knows: one catalog of both, kept incrementally.
//!
//! Where both have a name, discovery's service counts, whole, and the document's is reported. An update costs what
//! differs, and nothing where no document defines a service.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    diagnostic::Diagnostic,
    model::{Catalog, CatalogEntry, ServiceName, catalog::lower_names},
    policy::PolicySet,
};

/// What was merged last.
#[derive(Debug, Default)]
pub(super) struct Entries {
    discovered: Catalog,
    merged: Catalog,
    policies: Arc<PolicySet>,
    defined: BTreeMap<ServiceName, CatalogEntry>,
    /// Services of documents whose name discovery has, with the one that counts.
    shadowed: BTreeMap<ServiceName, ServiceName>,
}

impl Entries {
    /// Takes the latest of both. What did not change is kept.
    pub fn merge(&mut self, discovered: Catalog, policies: &Arc<PolicySet>) -> Catalog {
        let defined = (!Arc::ptr_eq(&self.policies, policies)).then(|| policies.services());
        let changed: Vec<ServiceName> = discovered.changed_since(&self.discovered).into_iter().cloned().collect();
        let mut catalog = std::mem::take(&mut self.merged);
        for name in &changed {
            catalog = match discovered.get(name.as_str()) {
                Some(entry) => catalog.with(entry.clone()),
                None => catalog.without(name),
            };
        }
        let stale = self.stale(&changed, &discovered, defined.as_ref());
        if let Some(defined) = defined {
            self.defined = defined;
            self.policies = policies.clone();
        }
        for name in stale {
            self.shadowed.remove(&name);
            let shadow = discovered.find(name.as_str()).map(|entry| entry.service.name.clone());
            catalog = match (self.defined.get(&name), shadow) {
                (Some(entry), None) => catalog.with(entry.clone()),
                (None, None) => catalog.without(&name),
                (defined, Some(shadow)) => {
                    // Discovery may have the name as a further one of another service.
                    let catalog = if shadow == name { catalog } else { catalog.without(&name) };
                    if defined.is_some() {
                        self.shadowed.insert(name, shadow);
                    }
                    catalog
                }
            };
        }
        self.discovered = discovered;
        self.merged = catalog.clone();
        catalog
    }

    /// The services of documents that may be another than they were, or that discovery may have taken or given up.
    /// `defined` is absent where documents say what they said.
    fn stale(
        &self,
        changed: &[ServiceName],
        discovered: &Catalog,
        defined: Option<&BTreeMap<ServiceName, CatalogEntry>>,
    ) -> BTreeSet<ServiceName> {
        let before = &self.defined;
        let after = defined.unwrap_or(before);
        if after.is_empty() && before.is_empty() {
            return BTreeSet::new();
        }
        let hosts = |catalog: &Catalog| -> Vec<Arc<str>> {
            let entries = changed.iter().filter_map(|name| catalog.get(name.as_str()));
            entries.flat_map(|entry| lower_names(&entry.service)).collect()
        };
        let touched = hosts(&self.discovered).into_iter().chain(hosts(discovered));
        let key =
            |host: Arc<str>| Some(after.get_key_value(&*host).or_else(|| before.get_key_value(&*host))?.0.clone());
        let touched = touched.filter_map(key);
        let differing = defined.into_iter().flat_map(|defined| {
            let gone = before.keys().filter(|name| !defined.contains_key(*name));
            let other = defined.iter().filter(|(name, entry)| before.get(*name) != Some(entry)).map(|(name, _)| name);
            gone.chain(other)
        });
        touched.chain(differing.cloned()).collect()
    }

    /// Services of documents that are not there, since discovery has their name.
    pub fn problems(&self, policies: &PolicySet) -> Vec<Diagnostic> {
        let problem = |(name, shadow): (&ServiceName, &ServiceName)| {
            policies.shadowed(name, &self.discovered.get(shadow.as_str())?.service)
        };
        self.shadowed.iter().filter_map(problem).collect()
    }
}
