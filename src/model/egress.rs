//! What a workload's sidecars may reach by a `Sidecar`: services by namespace and host, and which workload has which.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    catalog::lower_names,
    namespace::full_host,
    pattern::NamePattern,
    service::{Labels, Service},
};

/// The namespace in a host of `egress`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EgressNamespace {
    /// `*`.
    Any,
    /// `.`: that of the workload.
    Own,
    /// This one.
    Named(Arc<str>),
}

/// A host of `egress`, `NAMESPACE/HOST`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressHost {
    /// Where the service is.
    pub namespace: EgressNamespace,
    /// A name or a wildcard, in lower case.
    pub host: NamePattern,
}

impl EgressHost {
    /// As a workload of a namespace means it.
    pub fn of(&self, own: &Arc<str>) -> Self {
        let namespace = match &self.namespace {
            EgressNamespace::Own => EgressNamespace::Named(own.clone()),
            other => other.clone(),
        };
        Self { namespace, host: self.host.clone() }
    }

    /// Whether a service is one of these. A short name is one of the namespace's.
    pub fn matches(&self, service: &Service) -> bool {
        let full = match &self.namespace {
            EgressNamespace::Named(namespace) if **namespace != *service.namespace() => return false,
            EgressNamespace::Named(namespace) if self.host.is_exact() => full_host(self.host.as_str(), namespace),
            EgressNamespace::Any | EgressNamespace::Own | EgressNamespace::Named(_) => String::new(),
        };
        lower_names(service).any(|name| self.host.matches(&name) || *name == *full)
    }
}

/// Services, by namespaces and hosts: those that a workload's sidecars may reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Egress(pub Arc<BTreeSet<EgressHost>>);

impl Egress {
    /// As a workload of a namespace means it.
    pub fn of(&self, own: &Arc<str>) -> Self {
        match self.0.iter().any(|host| host.namespace == EgressNamespace::Own) {
            true => Self(Arc::new(self.0.iter().map(|host| host.of(own)).collect())),
            false => self.clone(),
        }
    }

    /// Whether a service is among them.
    pub fn contains(&self, service: &Service) -> bool {
        self.0.iter().any(|host| host.matches(service))
    }
}

/// For which workloads of its namespace something is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkloadEgress {
    /// Those that have all these labels; none = all that no other one selects.
    pub selector: Labels,
    /// What they may reach.
    pub egress: Egress,
}

/// Which workload may reach what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sidecars {
    /// For each namespace, in the order in which they count.
    pub by_namespace: BTreeMap<Arc<str>, Vec<WorkloadEgress>>,
    /// The namespace whose own for all workloads is the default of the mesh.
    pub root: Arc<str>,
}

impl Sidecars {
    /// What a workload may reach: by the first of its namespace that selects it, else by that of its namespace for all,
    /// else by that of the root namespace for all. `None` = everything.
    pub fn of(&self, namespace: &str, labels: &Labels) -> Option<Egress> {
        let selects = |one: &&WorkloadEgress| one.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        let of = |namespace: &str| self.by_namespace.get(namespace).into_iter().flatten();
        let selected = of(namespace).filter(|one| !one.selector.is_empty()).find(selects);
        let for_all = |namespace| of(namespace).find(|one| one.selector.is_empty());
        let chosen = selected.or_else(|| for_all(namespace)).or_else(|| for_all(&self.root))?;
        Some(chosen.egress.of(&namespace.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostName, ServiceName};

    fn service(name: &str, host: &str) -> Service {
        let hosts = vec![HostName::new(host).expect("valid")];
        Service { hosts, ..Service::named(ServiceName::new(name).expect("valid")) }
    }

    #[test]
    fn a_host_is_looked_for_in_its_namespace() {
        let orders = service("orders", "orders.shop.svc.cluster.local");
        let matches = |namespace: &str, host: &str| {
            let namespace = match namespace {
                "*" => EgressNamespace::Any,
                named => EgressNamespace::Named(named.into()),
            };
            EgressHost { namespace, host: NamePattern::new(host) }.matches(&orders)
        };
        assert!(matches("shop", "*") && matches("*", "*") && !matches("books", "*"));
        assert!(matches("shop", "orders") && matches("*", "orders.shop.svc.cluster.local"));
        assert!(matches("*", "*.shop.svc.cluster.local") && !matches("*", "*.books.svc.cluster.local"));
        assert!(!matches("books", "orders") && !matches("shop", "reviews"));
    }
}
