//! Proxies that get identical resources.
//!
//! A [`NodeGroup`] holds exactly the facts the compiler may read about a proxy, and no others: what is not in here
//! cannot influence a resource. A fact that distinguishes nothing under the present policies and services is left
//! out (`None`, empty), so that there are no more groups than there are different answers. Which facts distinguish
//! something is the [`Grouping`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    egress::{Egress, Sidecars},
    locality::Locality,
    name::ServiceName,
    namespace::Namespaces,
    pattern::NamePattern,
    proxy::{ClientKind, Proxy},
    service::{Labels, Service},
};

/// The facts that decide what a proxy is served.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NodeGroup {
    /// Envoy or gRPC.
    pub kind: ClientKind,
    /// How policies see the workload.
    pub view: ClientView,
    /// The service the workload is, where its own ports would otherwise get a listener on its own sidecars.
    pub own: Option<ServiceName>,
    /// Where it runs, where a policy reads that.
    pub locality: Option<Locality>,
    /// The workload of a proxy that has a cluster for it ([`LOCAL_CLUSTER`](super::LOCAL_CLUSTER)).
    pub local: Option<Arc<str>>,
    /// Of its labels those that a policy compares with endpoints'.
    pub labels: Labels,
    /// The services it calls, by `Dependencies`; absent = all.
    pub scope: Option<Scope>,
    /// The services it may reach, by a `Sidecar`; absent = all.
    pub egress: Option<Egress>,
}

impl NodeGroup {
    /// Whether it is sent some services and not all.
    pub fn is_scoped(&self) -> bool {
        self.scope.is_some() || self.egress.is_some()
    }

    /// Whether its applications may dial a service.
    pub fn dials(&self, service: &Service) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.contains(&service.name))
            && self.egress.as_ref().is_none_or(|egress| egress.contains(service))
    }
}

/// Services, by names and patterns: those that a workload says it calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(pub Arc<BTreeSet<NamePattern>>);

impl Scope {
    /// Whether a service is among them.
    pub fn contains(&self, service: &ServiceName) -> bool {
        self.0.iter().any(|pattern| pattern.matches(service.as_str()))
    }
}

/// How documents see a workload. Two workloads with one view are one to every document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClientView {
    /// The client selectors, as written in policies (`checkout`, `batch-*`), that match it.
    pub selectors: BTreeSet<NamePattern>,
    /// Its namespace, or the first by name of those whose clients get the same answers. Absent where its namespace
    /// distinguishes nothing.
    pub namespace: Option<Arc<str>>,
    /// The label selectors of rules (`sourceLabels`) that match it.
    pub labels: BTreeSet<Labels>,
}

impl ClientView {
    /// Whether it may know of a service.
    pub fn sees(&self, service: &Service) -> bool {
        service.visibility.includes(self.namespace.as_deref())
    }
}

/// Which facts about a proxy distinguish anything, given the present policies and services.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Grouping {
    /// Every client selector that a policy uses.
    pub selectors: BTreeSet<NamePattern>,
    /// The services with a port that has a listener on other sidecars.
    pub with_listeners: Arc<BTreeSet<ServiceName>>,
    /// Whether a policy reads where the client runs.
    pub locality: LocalityUse,
    /// The labels of clients that policies compare with endpoints'.
    pub compared_labels: Arc<BTreeSet<Arc<str>>>,
    /// What workloads call, as documents say.
    pub dependencies: Arc<BTreeMap<NamePattern, Scope>>,
    /// What workloads may reach, as documents say.
    pub sidecars: Arc<Sidecars>,
    /// Every selector of clients by their labels that a rule uses.
    pub label_selectors: Arc<BTreeSet<Labels>>,
    /// The namespaces that distinguish something.
    pub namespaces: Arc<Namespaces>,
}

/// Whether all the labels wanted are there.
fn has_labels(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Whether a policy reads where the client runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum LocalityUse {
    /// None does.
    #[default]
    Unread,
    /// At least one does.
    Read,
}

impl Grouping {
    /// The group a proxy belongs to.
    pub fn group_of(&self, proxy: &Proxy) -> NodeGroup {
        let Self {
            selectors,
            with_listeners,
            locality,
            compared_labels,
            dependencies: _,
            sidecars,
            label_selectors,
            namespaces,
        } = self;
        let matching = selectors.iter().filter(|selector| selector.matches(&proxy.workload));
        NodeGroup {
            kind: proxy.kind,
            view: ClientView {
                selectors: matching.cloned().collect(),
                namespace: namespaces.representative(proxy),
                labels: label_selectors.iter().filter(|wanted| has_labels(&proxy.labels, wanted)).cloned().collect(),
            },
            own: match proxy.kind {
                ClientKind::Envoy => with_listeners.get(&*proxy.workload).cloned(),
                ClientKind::Grpc => None,
            },
            locality: match locality {
                LocalityUse::Unread => None,
                LocalityUse::Read => Some(proxy.locality.clone()),
            },
            local: (proxy.local_cluster && proxy.kind == ClientKind::Envoy).then(|| proxy.workload.clone()),
            labels: compared_labels.iter().filter_map(|key| Some((key.clone(), proxy.label(key)?.clone()))).collect(),
            scope: self.scope_of(&proxy.workload),
            egress: sidecars.of(namespaces.of_proxy(proxy), &proxy.labels),
        }
    }

    /// What a workload is sent: by the documents that name it, else by all whose pattern matches it.
    fn scope_of(&self, workload: &str) -> Option<Scope> {
        let matching = || self.dependencies.iter().filter(|(pattern, _)| pattern.matches(workload));
        if let Some((_, scope)) = matching().find(|(pattern, _)| pattern.is_exact()) {
            return Some(scope.clone());
        }
        let patterns: Vec<&Scope> = matching().map(|(_, scope)| scope).collect();
        match patterns.as_slice() {
            [] => None,
            [one] => Some((*one).clone()),
            several => Some(Scope(Arc::new(several.iter().flat_map(|scope| scope.0.iter().cloned()).collect()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_places_distinguish_only_where_a_policy_compares_them() {
        let proxy = |version: &str, zone: &str| Proxy {
            id: "p".into(),
            workload: "checkout".into(),
            namespace: "".into(),
            labels: [("version".into(), version.into()), ("team".into(), version.into())].into(),
            locality: Locality::new("eu", zone, ""),
            local_cluster: false,
            kind: ClientKind::Envoy,
            role: super::super::proxy::Role::Sidecar,
        };
        let groups = |grouping: &Grouping| {
            let proxies = [proxy("v1", "eu-1"), proxy("v2", "eu-1"), proxy("v1", "eu-2")];
            proxies.iter().map(|proxy| grouping.group_of(proxy)).collect::<BTreeSet<_>>().len()
        };
        let comparing = |key: &str| Grouping { compared_labels: Arc::new([key.into()].into()), ..Grouping::default() };
        assert_eq!(groups(&Grouping::default()), 1);
        assert_eq!(groups(&comparing("version")), 2);
        assert_eq!(groups(&comparing(Locality::REGION_LABEL)), 1);
        assert_eq!(groups(&comparing(Locality::ZONE_LABEL)), 2);
    }
}
