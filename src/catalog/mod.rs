//! The slices of all sources into one catalog.
//!
//! Merging costs what changed: slices are compared with the ones before through their shared branches, and only the
//! services that differ are looked at. Where two sources have one name, the source configured first counts, and the
//! other is reported. Between a source's new slice and its place here stands a [`Guard`], which holds sudden removals.

mod guard;
mod json;

use std::{collections::BTreeSet, sync::Arc};

use imbl::ordmap::DiffItem;

pub use guard::{Admitted, Guard, GuardSettings, Held, Lost};
pub use json::{service_json, services_json};

use crate::{
    discovery::Slice,
    model::{Catalog, CatalogEntry, ServiceName},
};

/// A catalog and the slices it was merged from.
#[derive(Debug, Clone, Default)]
pub struct Merge {
    slices: Vec<Arc<Slice>>,
    catalog: Catalog,
    /// Services that several sources have.
    shared: BTreeSet<ServiceName>,
}

impl Merge {
    /// The merged catalog.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Services that several sources have, each with the positions of these sources; the first one's counts.
    pub fn shared(&self) -> impl Iterator<Item = (&ServiceName, Vec<usize>)> {
        let having = |name: &ServiceName| {
            let slices = self.slices.iter().enumerate();
            slices.filter(|(_, slice)| slice.services.contains_key(name)).map(|(position, _)| position).collect()
        };
        self.shared.iter().map(move |name| (name, having(name)))
    }

    /// Takes the newest slice of each source, in the order the sources are configured.
    pub fn update(&mut self, slices: Vec<Arc<Slice>>) {
        let mut changed: BTreeSet<ServiceName> = BTreeSet::new();
        let nothing = Slice::default();
        for position in 0..slices.len().max(self.slices.len()) {
            let before = self.slices.get(position).map_or(&nothing, |slice| slice);
            let after = slices.get(position).map_or(&nothing, |slice| slice);
            changed.extend(changed_services(before, after).cloned());
        }
        self.slices = slices;
        for name in changed {
            self.settle(&name);
        }
    }

    fn settle(&mut self, name: &ServiceName) {
        let mut entries = self.slices.iter().filter_map(|slice| slice.services.get(name));
        let first: Option<CatalogEntry> = entries.next().cloned();
        if entries.next().is_some() {
            self.shared.insert(name.clone());
        } else {
            self.shared.remove(name);
        }
        let catalog = std::mem::take(&mut self.catalog);
        self.catalog = match first {
            Some(entry) => catalog.with(entry),
            None => catalog.without(name),
        };
    }
}

fn changed_services<'a>(before: &'a Slice, after: &'a Slice) -> impl Iterator<Item = &'a ServiceName> {
    before.services.diff(&after.services).map(|item| match item {
        DiffItem::Add(name, _) | DiffItem::Remove(name, _) => name,
        DiffItem::Update { new: (name, _), .. } => name,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::model::{EndpointSet, Labels, Service};

    /// A slice with services of these names, each labelled with the source.
    fn slice(source: &str, names: &str) -> Arc<Slice> {
        let entry = |name: &str| {
            let name = ServiceName::new(name).expect("valid");
            let labels: Labels = [("source".into(), source.into())].into();
            let service = Arc::new(Service { labels, ..Service::named(name.clone()) });
            let endpoints = Arc::new(EndpointSet::default());
            (name, CatalogEntry { service, endpoints, observed: SystemTime::UNIX_EPOCH })
        };
        Arc::new(Slice { services: names.split_whitespace().map(entry).collect(), ..Slice::default() })
    }

    fn merged(merge: &Merge) -> Vec<String> {
        merge.catalog().iter().map(|(name, entry)| format!("{name} of {}", entry.service.labels["source"])).collect()
    }

    #[test]
    fn the_source_configured_first_counts_and_who_else_has_the_service_is_known() {
        let mut merge = Merge::default();
        merge.update(vec![slice("a", "x y"), slice("b", "y z"), slice("c", "y")]);
        assert_eq!(merged(&merge), ["x of a", "y of a", "z of b"]);
        let shared: Vec<_> = merge.shared().map(|(name, sources)| (name.to_string(), sources)).collect();
        assert_eq!(shared, [("y".to_owned(), vec![0, 1, 2])]);

        merge.update(vec![slice("a", "x"), slice("b", "y z"), slice("c", "")]);
        assert_eq!(
            (merged(&merge), merge.shared().count()),
            (vec!["x of a".into(), "y of b".into(), "z of b".into()], 0)
        );
    }
}
