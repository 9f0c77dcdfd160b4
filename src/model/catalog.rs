//! Everything discovery knows at one instant: an immutable value.
//!
//! An unchanged part keeps its `Arc` from one generation to the next, and the map shares its unchanged branches, so
//! that finding what differs between two catalogs costs what differs ([`Catalog::changed_since`]).

use std::{sync::Arc, time::SystemTime};

use imbl::{OrdMap, OrdSet, ordmap::DiffItem};

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
    /// Every name and host in lower case, with the services that have it.
    names: OrdMap<Arc<str>, OrdSet<ServiceName>>,
}

impl Catalog {
    /// The entry of a service.
    pub fn get(&self, name: &str) -> Option<&CatalogEntry> {
        self.services.get(name)
    }

    /// The service that a host means, case ignored: the one with this name, else the first by name that has the host.
    pub fn find(&self, host: &str) -> Option<&CatalogEntry> {
        let host = host.to_ascii_lowercase();
        let by_host = || self.services.get(self.names.get(host.as_str())?.get_min()?);
        self.services.get(host.as_str()).or_else(by_host)
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
        match self.services.get(&name) {
            Some(present) if *present == entry => return self,
            Some(present) if present.service == entry.service => {}
            present => {
                if let Some(present) = present {
                    forget_names(&mut self.names, &present.service);
                }
                for host in lower_names(&entry.service) {
                    self.names.entry(host).or_default().insert(name.clone());
                }
            }
        }
        self.services.insert(name, entry);
        self
    }

    /// This catalog without one service.
    #[must_use]
    pub fn without(mut self, name: &ServiceName) -> Self {
        if let Some(gone) = self.services.remove(name) {
            forget_names(&mut self.names, &gone.service);
        }
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

fn forget_names(names: &mut OrdMap<Arc<str>, OrdSet<ServiceName>>, service: &Service) {
    for host in lower_names(service) {
        if let Some(services) = names.get_mut(&host) {
            services.remove(&service.name);
            if services.is_empty() {
                names.remove(&host);
            }
        }
    }
}

/// The names by which a service is found, in lower case; a name may be among them twice.
pub fn lower_names(service: &Service) -> impl Iterator<Item = Arc<str>> {
    let names = std::iter::once(service.name.as_str()).chain(service.hosts.iter().map(|host| host.as_str()));
    names.map(|name| name.to_ascii_lowercase().into())
}
