//! A service's own address: the same on every replica and after every restart.
//!
//! It is picked by a hash of the name; of two that collide, the later by name takes the next free one. The first and
//! last address of the range stay free. A wildcard has none: nobody can look it up.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
};

use xxhash_rust::xxh3::xxh3_64;

use crate::model::{Catalog, ServiceName, mesh::AddressRange};

/// The own address of every service. Services beyond the size of the range have none.
pub fn own_addresses(catalog: &Catalog, range: &AddressRange) -> BTreeMap<ServiceName, Ipv4Addr> {
    let AddressRange { first, prefix } = *range;
    let usable = (1_u64 << (32 - u32::from(prefix))) - 2;
    let mut taken = BTreeSet::new();
    let mut addresses = BTreeMap::new();
    let names = catalog.iter().map(|(name, _)| name).filter(|name| !name.is_wildcard());
    for name in names.take(usize::try_from(usable).unwrap_or(usize::MAX)) {
        let mut slot = xxh3_64(name.as_str().as_bytes()) % usable;
        while !taken.insert(slot) {
            slot = (slot + 1) % usable;
        }
        let offset = u32::try_from(slot + 1).expect("a slot lies within the range, which has 32 bits at most");
        addresses.insert(name.clone(), Ipv4Addr::from(u32::from(first) + offset));
    }
    addresses
}

/// The addresses of the latest catalog, worked out again only when services come or go.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    catalog: Catalog,
    range: Option<AddressRange>,
    addresses: Arc<BTreeMap<ServiceName, Ipv4Addr>>,
}

impl Addresses {
    pub fn of(&mut self, catalog: &Catalog, range: &AddressRange) -> Arc<BTreeMap<ServiceName, Ipv4Addr>> {
        let same_names = || {
            catalog
                .changed_since(&self.catalog)
                .into_iter()
                .all(|name| catalog.get(name.as_str()).is_some() == self.catalog.get(name.as_str()).is_some())
        };
        if self.range != Some(*range) || !same_names() {
            self.addresses = Arc::new(own_addresses(catalog, range));
            self.range = Some(*range);
        }
        self.catalog = catalog.clone();
        self.addresses.clone()
    }
}
