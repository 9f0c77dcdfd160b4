//! VirtualServices by Istio's own rules: which one counts for a service, and what it comes to for a port.
//!
//! Of a host's VirtualServices the first alone counts: an exact host before a wildcard, a longer wildcard before a
//! shorter; then the oldest, then by name and namespace. One that has no rule for a port leaves it as it is.

mod http;
mod l4;

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap},
    num::NonZeroU16,
    sync::Arc,
};

use super::{
    Decision, Destinations, Host, PortRoutes, ServiceRoutes, Services, destination::NotThere, destination::Part,
};
use crate::{
    diagnostic::Diagnostic,
    model::{ClientView, Labels, Port, Protocol, Service, Visibility},
    policy::{
        document::{
            Body, Document, DocumentId,
            virtual_service::{
                self, Destination, HttpMatchRequest, L4MatchAttributes, TlsMatchAttributes, VirtualService,
            },
        },
        set::PolicySet,
    },
    yaml::UniqueMap,
};

/// A host of a VirtualService.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Routed {
    pub document: Arc<Document>,
    pub host: Host,
    namespace: Arc<str>,
    /// Where it stands in `hosts`.
    pub index: usize,
}

impl Routed {
    /// Every host of a VirtualService for sidecars; nothing of another document.
    pub fn all(document: &Arc<Document>) -> Vec<Self> {
        let Body::VirtualService(service) = &document.body else { return Vec::new() };
        if !service.is_for_mesh() {
            return Vec::new();
        }
        let namespace = document.namespace();
        let routed = |(index, host): (usize, &String)| Self {
            document: document.clone(),
            host: Host::new(host, &namespace),
            namespace: namespace.clone(),
            index,
        };
        service.hosts.iter().enumerate().map(routed).collect()
    }

    /// Which of two hosts that mean one service comes first: a name before a wildcard, a longer wildcard before a
    /// shorter. Two names are equal, whichever of the service's they are.
    fn cmp_host(&self, other: &Self) -> Ordering {
        match (self.host.written.is_exact(), other.host.written.is_exact()) {
            (true, true) => Ordering::Equal,
            _ => self.host.written.cmp_specificity(&other.host.written),
        }
    }

    /// Whose clients see it.
    pub fn visibility(&self) -> Visibility {
        body(&self.document).export_to.visibility(&self.namespace)
    }

    /// The path of the host.
    pub fn field(&self) -> String {
        format!("spec.hosts[{}]", self.index)
    }

    /// Those with a timestamp first, the oldest first; then by name.
    fn age(&self) -> (bool, Option<&str>, &str, &str) {
        let created = self.document.metadata.creation_timestamp.as_deref();
        (created.is_none(), created, &self.document.id.name, &self.namespace)
    }
}

fn body(document: &Document) -> &VirtualService {
    match &document.body {
        Body::VirtualService(service) => service,
        _ => unreachable!("`Routed::all` takes VirtualServices only"),
    }
}

/// Every VirtualService, found by the names a service has.
#[derive(Debug, Default)]
pub(in crate::policy) struct VirtualServices {
    by_host: HashMap<String, Vec<Routed>>,
    /// Those with a wildcard host.
    wide: Vec<Routed>,
}

impl VirtualServices {
    /// Adds a document, where it is one.
    pub fn add(&mut self, document: &Arc<Document>) {
        for routed in Routed::all(document) {
            if !routed.host.written.is_exact() {
                self.wide.push(routed);
                continue;
            }
            if routed.host.full != routed.host.written {
                self.by_host.entry(routed.host.full.as_str().to_owned()).or_default().push(routed.clone());
            }
            self.by_host.entry(routed.host.written.as_str().to_owned()).or_default().push(routed);
        }
    }

    /// The namespaces that VirtualServices for a service name: whose clients may get other routes than those of an
    /// unnamed one.
    pub fn namespaces_named_for(&self, service: &Service) -> BTreeSet<Arc<str>> {
        let mut named = BTreeSet::new();
        for routed in self.can_route(service) {
            named.extend(routed.visibility().named().cloned());
            named.extend(sources(body(&routed.document)).map(Arc::from));
        }
        named
    }

    /// What tells the routes of clients of different namespaces apart: the VirtualService that counts, and their
    /// namespace where it has rules for just that. Which services there are besides plays no part in that.
    pub fn answer(&self, service: &Service, client: Option<&str>) -> Option<(DocumentId, Option<Arc<str>>)> {
        let mut found = self.can_route(service);
        found.retain(|routed| routed.visibility().includes(client));
        let first = in_order(found).into_iter().next()?;
        let named = client.filter(|client| sources(body(&first.document)).any(|source| source == *client));
        Some((first.document.id.clone(), named.map(Into::into)))
    }

    /// Every selector of clients by their labels.
    pub fn label_selectors(&self) -> BTreeSet<Labels> {
        let all = self.by_host.values().flatten().chain(&self.wide);
        all.flat_map(|routed| clients(body(&routed.document))).filter_map(|client| client.label_selector()).collect()
    }

    /// The hosts that can mean a service.
    fn can_route(&self, service: &Service) -> Vec<&Routed> {
        let names = crate::model::catalog::lower_names(service);
        let mut found: Vec<&Routed> = names.filter_map(|name| self.by_host.get(&*name)).flatten().collect();
        found.extend(self.wide.iter().filter(|routed| routed.host.can_mean(service)));
        found
    }

    /// The hosts that mean a service, in the order in which they count, each document once.
    fn of_service<'a>(
        &'a self,
        service: &Service,
        client: Option<&str>,
        services: &mut Services<'_>,
    ) -> Vec<&'a Routed> {
        if self.by_host.is_empty() && self.wide.is_empty() {
            return Vec::new();
        }
        let mut found = self.can_route(service);
        found.retain(|routed| routed.visibility().includes(client) && routed.host.means(service, services));
        in_order(found)
    }
}

/// In the order in which they count, each document once.
fn in_order(mut found: Vec<&Routed>) -> Vec<&Routed> {
    found.sort_by(|a, b| a.cmp_host(b).then_with(|| a.age().cmp(&b.age())).then(a.index.cmp(&b.index)));
    let mut seen = BTreeSet::new();
    found.retain(|routed| seen.insert(&routed.document.id));
    found
}

/// The namespaces that a VirtualService has rules for.
fn sources(service: &VirtualService) -> impl Iterator<Item = &str> {
    clients(service).filter_map(|client| client.namespace)
}

/// For whom a match is, and where it applies.
#[derive(Debug, Clone, Copy)]
struct MatchedClient<'a> {
    gateways: &'a [String],
    port: Option<NonZeroU16>,
    namespace: Option<&'a str>,
    labels: &'a UniqueMap<String, String>,
}

impl MatchedClient<'_> {
    /// The labels of the clients that are meant; `None` = any.
    fn label_selector(&self) -> Option<Labels> {
        let labels: Labels =
            self.labels.0.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        (!labels.is_empty()).then_some(labels)
    }
}

macro_rules! matched_client {
    ($matched:expr) => {
        MatchedClient {
            gateways: &$matched.gateways,
            port: $matched.port,
            namespace: $matched.source_namespace.as_deref(),
            labels: &$matched.source_labels,
        }
    };
}

impl<'a> From<&'a HttpMatchRequest> for MatchedClient<'a> {
    fn from(matched: &'a HttpMatchRequest) -> Self {
        matched_client!(matched)
    }
}

impl<'a> From<&'a TlsMatchAttributes> for MatchedClient<'a> {
    fn from(matched: &'a TlsMatchAttributes) -> Self {
        matched_client!(matched)
    }
}

impl<'a> From<&'a L4MatchAttributes> for MatchedClient<'a> {
    fn from(matched: &'a L4MatchAttributes) -> Self {
        matched_client!(matched)
    }
}

/// For whom the matches of a VirtualService are.
fn clients(service: &VirtualService) -> impl Iterator<Item = MatchedClient<'_>> {
    let http = service.http.iter().flat_map(|route| &route.matches).map(MatchedClient::from);
    let tls = service.tls.iter().flat_map(|route| &route.matches).map(MatchedClient::from);
    let tcp = service.tcp.iter().flat_map(|route| &route.matches).map(MatchedClient::from);
    http.chain(tls).chain(tcp)
}

/// What the VirtualServices come to for a service.
pub(in crate::policy) fn by_virtual_services<'a>(
    set: &'a PolicySet,
    service: &'a Service,
    view: &'a ClientView,
    services: &mut Services<'a>,
) -> ServiceRoutes {
    let candidates = set.virtual_services.of_service(service, view.namespace.as_deref(), services);
    let Some((first, others)) = candidates.split_first() else { return ServiceRoutes::default() };
    let mut routes = ServiceRoutes::default();
    for other in others {
        let equal = other.cmp_host(first).is_eq();
        let reason = match equal {
            true => {
                format!("of two for one host the first counts, {}: it is older, or first by name", first.document.id)
            }
            false => format!("{} has a host that is more specific", first.document.id),
        };
        if equal {
            let message =
                format!("{} is routed by {} already: this has no effect on it", service.name, first.document.id);
            let place = other.document.place_of(&other.field());
            let problem = Diagnostic::warning("shadowed-routes", place, other.field(), message)
                .related(first.document.place_of(&first.field()), format!("routed by {}", first.document.id))
                .remedy("merge the two");
            routes.problems.push(problem);
        }
        routes.not_applied.push((other.document.clone(), other.field(), reason));
    }
    let mut destinations = Destinations::new(set, view, services);
    for port in &service.ports {
        let mut translation = Translation {
            document: &first.document,
            namespace: &first.namespace,
            service,
            port,
            destinations: &mut destinations,
            problems: &mut routes.problems,
        };
        let rules = match port.protocol {
            Protocol::Http | Protocol::Http2 | Protocol::Grpc => translation.http().map(PortRoutes::Http),
            Protocol::Tls | Protocol::Tcp => translation.l4().map(PortRoutes::Tcp),
        };
        if let Some(rules) = rules {
            routes.ports.insert(port.number, rules);
        } else {
            let reason = format!("it has no rule for port {}, which is {}", port.number, port.protocol.as_str());
            routes.not_applied.push((first.document.clone(), "spec".to_owned(), reason));
        }
    }
    routes
}

/// A VirtualService on its way into the rules of one port.
struct Translation<'t, 'a, 's> {
    document: &'t Arc<Document>,
    namespace: &'t str,
    service: &'a Service,
    port: &'a Port,
    destinations: &'t mut Destinations<'a, 's>,
    problems: &'t mut Vec<Diagnostic>,
}

/// Some decisions; none is not a list without any.
fn some<R>(decisions: Vec<Decision<R>>) -> Option<Vec<Decision<R>>> {
    (!decisions.is_empty()).then_some(decisions)
}

impl<'a> Translation<'_, 'a, '_> {
    /// Whether a match is for what these clients' sidecars take at this port.
    fn concerns<'m>(&self, matched: impl Into<MatchedClient<'m>>) -> bool {
        let matched: MatchedClient<'_> = matched.into();
        let view = self.destinations.view;
        virtual_service::names_mesh(matched.gateways)
            && matched.port.is_none_or(|port| port == self.port.number)
            && matched.namespace.is_none_or(|namespace| view.namespace.as_deref() == Some(namespace))
            && matched.label_selector().is_none_or(|selector| view.labels.contains(&selector))
    }

    /// Finds a destination, or says that it is not there.
    /// `then` is what becomes of traffic that is led there.
    fn find(&mut self, destination: &Destination, field: &str, then: &str) -> Option<Arc<super::destination::Found>> {
        let Destination { host, subset, port } = destination;
        let host = Host::new(host, self.namespace);
        let subset = subset.as_ref().map(|subset| &subset.0);
        match self.destinations.find(&host, port.map(|port| port.number), subset, self.port) {
            Ok(found) => Some(found),
            Err(NotThere { part, message, remedy }) => {
                let field = match part {
                    Part::Host => format!("{field}.host"),
                    Part::Port => format!("{field}.port"),
                    Part::Subset => format!("{field}.subset"),
                };
                let place = self.document.place_of(&field);
                let problem = Diagnostic::error("no-such-destination", place, field, format!("{message}: {then}"));
                self.problems.push(Diagnostic { remedy, ..problem });
                None
            }
        }
    }
}
