//! The slices of all sources into one catalog.
//!
//! Merging costs what changed: slices are compared with the ones before through their shared branches, and only the
//! services that differ are looked at. Where two sources have one name, the source configured first counts, and the
//! other is reported. Between a source's new slice and its place here stands a [`Guard`], which holds sudden removals.

mod guard;

use std::{collections::BTreeSet, sync::Arc};

use imbl::ordmap::DiffItem;

pub use guard::{Admitted, Guard, GuardSettings, Held};

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

    /// Services that several sources have; the source configured first counts.
    pub fn shared(&self) -> &BTreeSet<ServiceName> {
        &self.shared
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
