//! Namespaces, for the documents that have them: read off host names, and who sees what is exported.
//!
//! A service's namespace is that of its `NAME.NAMESPACE.svc.cluster.local` host (`Service::namespace`); a proxy's is
//! what its node says, else that of the service it is (`Namespaces::of_proxy`); where nothing says one, `default`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{name::ServiceName, proxy::Proxy};

/// The namespace of whatever says none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What follows NAME.NAMESPACE in the full host of a service in a cluster.
const CLUSTER_DOMAIN: &str = ".svc.cluster.local";

/// The namespace in a host of the form `NAME.NAMESPACE.svc.cluster.local`.
pub fn namespace_of_host(host: &str) -> Option<&str> {
    let (name, namespace) = host.strip_suffix(CLUSTER_DOMAIN)?.split_once('.')?;
    (!name.is_empty() && !namespace.is_empty() && !namespace.contains('.')).then_some(namespace)
}

/// What a host in a document of a namespace means in full: a short one gets that namespace behind it.
pub fn full_host(host: &str, namespace: &str) -> String {
    if host.contains('.') || host == "*" { host.to_owned() } else { format!("{host}.{namespace}{CLUSTER_DOMAIN}") }
}

/// The namespaces that see something: what `exportTo` comes to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Visibility {
    /// All of them.
    #[default]
    Everyone,
    /// None.
    Nobody,
    /// Only these.
    Only(BTreeSet<Arc<str>>),
}

impl Visibility {
    /// Whether a client sees it. `None` = a client in a namespace that nothing names.
    pub fn includes(&self, client: Option<&str>) -> bool {
        match self {
            Self::Everyone => true,
            Self::Nobody => false,
            Self::Only(namespaces) => client.is_some_and(|client| namespaces.contains(client)),
        }
    }

    /// The namespaces it names.
    pub fn named(&self) -> impl Iterator<Item = &Arc<str>> {
        let named = match self {
            Self::Everyone | Self::Nobody => None,
            Self::Only(namespaces) => Some(namespaces),
        };
        named.into_iter().flatten()
    }
}

/// Which namespaces of clients distinguish anything, and what is needed to know a client's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// Each namespace whose clients get another answer than those of unnamed ones, with the one that stands for all
    /// that get the same: the first by name.
    pub representatives: BTreeMap<Arc<str>, Arc<str>>,
    /// The namespaces of services that are not in `default`; empty where nobody asks for a client's namespace.
    pub of_services: BTreeMap<ServiceName, Arc<str>>,
}

impl Namespaces {
    /// A proxy's namespace.
    pub fn of_proxy<'a>(&'a self, proxy: &'a Proxy) -> &'a str {
        if !proxy.namespace.is_empty() {
            return &proxy.namespace;
        }
        self.of_services.get(&*proxy.workload).map_or(DEFAULT_NAMESPACE, |namespace| namespace)
    }

    /// The namespace that stands for a proxy's; `None` = it distinguishes nothing.
    pub fn representative(&self, proxy: &Proxy) -> Option<Arc<str>> {
        self.representatives.get(self.of_proxy(proxy)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_read_off_a_full_host_only() {
        assert_eq!(namespace_of_host("orders.shop.svc.cluster.local"), Some("shop"));
        for other in ["orders.shop", "shop.svc.cluster.local", "a.b.c.svc.cluster.local", ".shop.svc.cluster.local"] {
            assert_eq!(namespace_of_host(other), None, "{other}");
        }
    }

    #[test]
    fn a_short_host_is_one_of_the_documents_namespace() {
        assert_eq!(full_host("orders", "shop"), "orders.shop.svc.cluster.local");
        assert_eq!(full_host("orders.shop", "other"), "orders.shop");
        assert_eq!(full_host("*", "shop"), "*");
    }

    #[test]
    fn an_unnamed_namespace_sees_what_everyone_sees() {
        let only = Visibility::Only(["shop".into()].into());
        assert!(only.includes(Some("shop")) && !only.includes(Some("other")) && !only.includes(None));
        assert!(Visibility::Everyone.includes(None) && !Visibility::Nobody.includes(Some("shop")));
    }
}
