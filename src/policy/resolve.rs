//! What all documents come to for one service, as one kind of client sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    document::{Document, DocumentId},
    effective::effective,
    entries::Entry,
    istio::{self, Rule},
    leaves,
    merge::{Merged, merge},
    routes::{ServiceRoutes, Services, routes_of},
    rule_choice::{self, Client},
    set::{Policy, PolicySet, contradiction},
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Catalog, ClientView, Service, ServicePolicy, SubsetName,
        policy::{PolicyKey, Shaped},
        service::{Labels, Port},
    },
    yaml::UniqueMap,
};

/// What clients of one namespace get for a service. Equal answers lead to equal resources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamespaceAnswer {
    /// The DestinationRules that apply, in the order in which they count.
    pub rules: Vec<DocumentId>,
    /// The VirtualService that routes it, and the namespace where that has rules for its clients alone.
    pub routes: Option<(DocumentId, Option<Arc<str>>)>,
    /// Whether they know of it at all.
    pub visible: bool,
    /// The HTTPRoutes and GRPCRoutes that are for its clients.
    pub gateway_routes: BTreeSet<DocumentId>,
}

/// A service's policy, and what had to be decided arbitrarily.
#[derive(Debug, Clone, Default)]
pub struct Resolved {
    /// Complete.
    pub policy: ServicePolicy,
    /// What shows only with this service: contradictions, of which the document first by name counts; rules that lead
    /// to what is not there.
    pub problems: Vec<Diagnostic>,
    /// The hosts that were looked for on the way, in lower case: where one of them comes, goes, or has something else
    /// said of it, the answer may be another.
    pub asked: BTreeSet<Arc<str>>,
}

impl PolicySet {
    /// Resolves every port of a service, and every subset of it. The catalog tells of the services that rules lead to.
    pub fn resolve(&self, service: &Service, view: &ClientView, catalog: &Catalog) -> Resolved {
        let candidates = self.candidates(service, view);
        let subsets = candidates.subsets();
        let mut resolved = Resolved::default();
        let mut services = Services::new(catalog, view);
        let routes = routes_of(self, service, view, &mut services);
        let mut problems: BTreeSet<Diagnostic> = routes.problems.into_iter().collect();
        for port in &service.ports {
            let mut shaped_host: BTreeSet<Arc<str>> = candidates.definitions().map(Into::into).collect();
            let mut shaped_route: BTreeSet<Arc<str>> = BTreeSet::new();
            for subset in std::iter::once(None).chain(subsets.keys().map(Some)) {
                let merged = candidates.decide(port, subset);
                for (path, decided) in &merged.settings {
                    let document: Arc<str> = decided.leaf.document.name().into();
                    if subset.is_none() && shapes_route(path) {
                        shaped_route.insert(document.clone());
                    }
                    shaped_host.insert(document);
                }
                problems.extend(merged.contradictions.iter().map(|(path, won, lost)| contradiction(path, won, lost)));
                let settings = merged.settings.iter().map(|(path, decided)| (path, &decided.leaf.value));
                let policy = effective(&leaves::unflatten(settings));
                let key = PolicyKey { port: port.number, subset: subset.cloned() };
                let patches = self.patch_operations(service, port, subset, view);
                if !patches.is_empty() {
                    resolved.policy.patches.insert(key.clone(), patches);
                }
                resolved.policy.effective.insert(key, Arc::new(policy));
            }
            if let Some(rules) = routes.ports.get(&port.number) {
                let routing = rules.routing();
                shaped_host.extend(routing.documents().into_iter().cloned());
                resolved.policy.routing.insert(port.number, Arc::new(routing));
            }
            if !shaped_host.is_empty() {
                let shaped =
                    Shaped { host: shaped_host.into_iter().collect(), route: shaped_route.into_iter().collect() };
                resolved.policy.documents.insert(port.number, shaped);
            }
        }
        resolved.policy.subsets = subsets;
        resolved.problems = problems.into_iter().collect();
        resolved.asked = services.asked;
        resolved
    }

    /// Every setting of a port, or a subset of it: what counts, where it is said, and what it overrode.
    pub fn explain(&self, service: &Service, port: &Port, subset: Option<&SubsetName>, view: &ClientView) -> Merged {
        self.candidates(service, view).decide(port, subset)
    }

    /// The rules of each port with where they come from, and the documents of routing that have no say about the service.
    pub fn explain_routes(&self, service: &Service, view: &ClientView, catalog: &Catalog) -> ServiceRoutes {
        routes_of(self, service, view, &mut Services::new(catalog, view))
    }

    /// Every namespace whose clients get another answer for a service than clients of a namespace that nothing names,
    /// with what tells the answers apart.
    pub fn answers_by_namespace(&self, service: &Service) -> BTreeMap<Arc<str>, NamespaceAnswer> {
        let mut named = rule_choice::named_by(&self.rules, service);
        named.extend(self.virtual_services.namespaces_named_for(service));
        named.extend(self.gateway_routes.namespaces_named_for(service));
        named.extend(service.visibility.named().cloned());
        let answer = |namespace: Option<&str>| NamespaceAnswer {
            rules: rule_choice::answer(&self.rules, service, Client { namespace, root: self.root_namespace() }),
            routes: self.virtual_services.answer(service, namespace),
            visible: service.visibility.includes(namespace),
            gateway_routes: self.gateway_routes.answer(service, namespace),
        };
        let others = answer(None);
        let answers = named.into_iter().map(|namespace| (namespace.clone(), answer(Some(&namespace))));
        answers.filter(|(_, answer)| *answer != others).collect()
    }

    /// Who asks, for the choice of rules.
    pub(super) fn client<'a>(&'a self, view: &'a ClientView) -> Client<'a> {
        Client { namespace: view.namespace.as_deref(), root: self.root_namespace() }
    }

    /// What can have a say about a service, found once for all its ports and subsets.
    pub(super) fn candidates<'a>(&'a self, service: &'a Service, view: &'a ClientView) -> Candidates<'a> {
        Candidates {
            policies: self.policies_for(service, view).collect(),
            rules: rule_choice::applicable(&self.rules, service, self.client(view)),
            entry: self.entries.defining(service),
        }
    }
}

/// The documents that can have a say about one service, as one kind of client sees it.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    pub policies: Vec<&'a Policy>,
    pub rules: Vec<&'a Rule>,
    /// What defines the service, where that is no source of discovery.
    pub entry: Option<&'a Entry>,
}

/// A subset as a document defines it.
#[derive(Debug)]
pub(super) struct DefinedSubset<'a> {
    pub document: &'a Arc<Document>,
    /// In `spec.subsets`.
    pub index: usize,
    pub name: &'a SubsetName,
    pub labels: &'a UniqueMap<String, String>,
}

impl<'a> Candidates<'a> {
    /// What they come to for a port, or a subset of it.
    pub fn decide(&self, port: &Port, subset: Option<&SubsetName>) -> Merged {
        let covering = self.policies.iter().filter(|policy| policy.covers(port, subset));
        let mut layers: Vec<_> = covering.map(|policy| policy.layer()).collect();
        layers.extend(istio::layer(&self.rules, port, subset));
        layers.extend(self.entry.and_then(Entry::layer));
        let mut merged = merge(layers);
        if let Some(entry) = self.entry {
            entry.name_certificates(&mut merged);
        }
        merged
    }

    /// The names of the documents that define the service.
    fn definitions(&self) -> impl Iterator<Item = String> {
        self.entry.into_iter().flat_map(|entry| &entry.definitions).map(|(document, _)| document.name())
    }

    /// Whether no document has a say.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty() && self.rules.is_empty()
    }

    /// What tells candidates for one service apart: which documents they are.
    pub fn identity(&self) -> Vec<*const Document> {
        let policies = self.policies.iter().map(|policy| Arc::as_ptr(&policy.document));
        policies.chain(self.rules.iter().map(|rule| Arc::as_ptr(&rule.document))).collect()
    }

    /// Every definition of a subset, those that another of its name comes before included.
    pub fn defined_subsets(&self) -> Vec<DefinedSubset<'a>> {
        let mut defined = Vec::new();
        for policy in &self.policies {
            for (index, subset) in policy.traffic_policy().subsets.iter().enumerate() {
                let (name, labels) = (&subset.name.0, &subset.labels);
                defined.push(DefinedSubset { document: &policy.document, index, name, labels });
            }
        }
        for rule in &self.rules {
            for (index, subset) in rule.defined_subsets().iter().enumerate() {
                let (name, labels) = (&subset.name.0, &subset.labels);
                defined.push(DefinedSubset { document: &rule.document, index, name, labels });
            }
        }
        defined
    }

    /// The subsets of the service: those of its policies, then those of its DestinationRules; the first of a name
    /// counts.
    pub fn subsets(&self) -> BTreeMap<SubsetName, Labels> {
        let mut subsets = BTreeMap::new();
        for policy in &self.policies {
            for subset in &policy.traffic_policy().subsets {
                subsets.entry(subset.name.0.clone()).or_insert_with(|| labels(&subset.labels));
            }
        }
        for (name, subset) in istio::subsets(&self.rules) {
            subsets.entry(name).or_insert_with(|| labels(&subset.labels));
        }
        subsets
    }
}

/// Whether a setting ends up in the route rather than in a cluster.
pub(super) fn shapes_route(path: &str) -> bool {
    [
        "timeout",
        "streamIdleTimeout",
        "maxStreamDuration",
        "priority",
        "retries.",
        "hedging",
        "statefulSession",
        "loadBalancer.consistentHash.http",
        "loadBalancer.consistentHash.useSourceIp",
        "loadBalancer.subsetHeaders",
    ]
    .iter()
    .any(|prefix| path.starts_with(prefix))
}

/// Whether a setting is of requests, so that it means nothing to a port that does not speak HTTP. Of connections that
/// wait Envoy has one limit for all protocols.
pub(super) fn is_of_requests(path: &str) -> bool {
    const OF_REQUESTS: [&str; 11] = [
        "timeout",
        "streamIdleTimeout",
        "maxStreamDuration",
        "priority",
        "retries",
        "hedging",
        "statefulSession",
        "retryBudget",
        "connectionPool.http",
        "connectionPool.high",
        "loadBalancer.subsetSelectors",
    ];
    let is_below = |start: &str| path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    OF_REQUESTS.iter().any(|start| is_below(start)) && path != "connectionPool.http.http1MaxPendingRequests"
}

pub(super) fn labels(written: &UniqueMap<String, String>) -> Labels {
    written.0.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect()
}
