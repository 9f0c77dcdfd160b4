//! Which services asked for which hosts while they were resolved: rules lead to other services, and what is said of
//! those decides part of the answer. Where one of them comes, goes, is redefined or touched, only those who asked for
//! it are resolved again.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use crate::model::{Catalog, ServiceName, catalog::lower_names};

/// Who asked for what, in both directions.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    by_service: BTreeMap<ServiceName, BTreeSet<Arc<str>>>,
    by_host: HashMap<Arc<str>, BTreeSet<ServiceName>>,
}

impl Asked {
    /// Replaces what a service asked for.
    pub fn set(&mut self, service: &ServiceName, hosts: BTreeSet<Arc<str>>) {
        let before = match hosts.is_empty() {
            true => self.by_service.remove(service),
            false => self.by_service.insert(service.clone(), hosts.clone()),
        };
        let before = before.unwrap_or_default();
        for host in before.difference(&hosts) {
            if let Some(services) = self.by_host.get_mut(host) {
                services.remove(service);
                if services.is_empty() {
                    self.by_host.remove(host);
                }
            }
        }
        for host in hosts.difference(&before) {
            self.by_host.entry(host.clone()).or_default().insert(service.clone());
        }
    }

    /// The stale services, and those who asked for one of them by any of the names they have or had.
    pub fn with_askers(&self, stale: &BTreeSet<ServiceName>, names: &BTreeSet<Arc<str>>) -> BTreeSet<ServiceName> {
        let askers = names.iter().filter_map(|name| self.by_host.get(name)).flatten();
        stale.iter().chain(askers).cloned().collect()
    }
}

/// Every name, in lower case, that some services have or had.
pub(super) fn names_of(services: &BTreeSet<ServiceName>, before: &Catalog, after: &Catalog) -> BTreeSet<Arc<str>> {
    let entries = |catalog| services.iter().filter_map(move |name| Catalog::get(catalog, name.as_str()));
    entries(before).chain(entries(after)).flat_map(|entry| lower_names(&entry.service)).collect()
}
