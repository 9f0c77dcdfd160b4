//! Everything discovery knows at one instant: an immutable value.
//!
//! An unchanged part keeps its `Arc` from one generation to the next, and the map shares its unchanged branches, so
//! that finding what differs between two catalogs costs what differs ([`Catalog::changed_since`]).

use std::{sync::Arc, time::SystemTime};

use imbl::{OrdMap, ordmap::DiffItem};

use super::{endpoint::EndpointSet, name::ServiceName, service::Service};

/// One service in a catalog.
#[derive(Debug, Clone)]
pub struct CatalogEntry {
    /// The definition.
    pub service: Arc<Service>,
    /// The endpoints, which change more often.
    pub endpoints: Arc<EndpointSet>,
    /// When its source was seen to say so; not part of equality.
    pub observed: SystemTime,
}

impl PartialEq for CatalogEntry {
    fn eq(&self, other: &Self) -> bool {
        let Self { service, endpoints, observed: _ } = self;
        let same = |a: &Arc<Service>, b: &Arc<Service>| Arc::ptr_eq(a, b) || a == b;
        same(service, &other.service) && (Arc::ptr_eq(endpoints, &other.endpoints) || *endpoints == other.endpoints)
    }
}

impl Eq for CatalogEntry {}

/// All services, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Catalog {
    services: OrdMap<ServiceName, CatalogEntry>,
}

impl Catalog {
    /// The entry of a service.
    pub fn get(&self, name: &str) -> Option<&CatalogEntry> {
        self.services.get(name)
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// Whether there is no service at all.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// All entries, sorted by name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&ServiceName, &CatalogEntry)> {
        self.services.iter()
    }

    /// This catalog with one entry set. An entry equal to the one there keeps what is there.
    #[must_use]
    pub fn with(mut self, entry: CatalogEntry) -> Self {
        let name = entry.service.name.clone();
        if self.services.get(&name) != Some(&entry) {
            self.services.insert(name, entry);
        }
        self
    }

    /// This catalog without one service.
    #[must_use]
    pub fn without(mut self, name: &ServiceName) -> Self {
        self.services.remove(name);
        self
    }

    /// The services that were added, removed or changed, sorted by name, at a cost that follows their number.
    pub fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a ServiceName> {
        before
            .services
            .diff(&self.services)
            .map(|item| match item {
                DiffItem::Add(name, _) | DiffItem::Remove(name, _) => name,
                DiffItem::Update { new: (name, _), .. } => name,
            })
            .collect()
    }
}
