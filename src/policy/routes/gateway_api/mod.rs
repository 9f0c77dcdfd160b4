//! HTTPRoutes and GRPCRoutes by the Gateway API's rules for a mesh: which of them lead a port of a service, and in which
//! order their rules count.
//!
//! ```text
//!  routes attached to the port
//!     │ of the client's namespace, attached to a service of another?  ── those alone (a consumer's)
//!     │ else: of the service's namespace                              ── those (a producer's)
//!     ▼
//!  a GRPCRoute among them? ── GRPCRoutes alone
//!     ▼
//!  all their rules together: the most specific match, then the oldest route, then by NAMESPACE/NAME
//! ```

mod filters;
mod matching;
mod rules;
mod session;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    num::NonZeroU16,
    sync::Arc,
};

pub(in crate::policy) use self::rules::absent_from;
use self::rules::{Candidate, Translation};
use super::{Decision, Destinations, Host, PortRoutes, ServiceRoutes, Services};
use crate::{
    diagnostic::Diagnostic,
    model::{ClientView, Port, Service, policy::routing::HttpRule},
    policy::{
        document::{Body, Document, DocumentId, gateway_api::ParentReference},
        set::PolicySet,
    },
};

/// A parent of a route.
#[derive(Debug, Clone)]
pub(in crate::policy) struct Attached {
    pub document: Arc<Document>,
    pub host: Host,
    /// The route's own.
    namespace: Arc<str>,
    /// Whether it is for clients of its own namespace alone.
    is_consumer: bool,
    port: Option<NonZeroU16>,
    port_name: Option<Arc<str>>,
    /// Where it stands in `parentRefs`.
    pub index: usize,
}

impl Attached {
    /// Every parent of a route; nothing of another document.
    pub fn all(document: &Arc<Document>) -> Vec<Self> {
        let own = document.namespace();
        let attached = |(index, parent): (usize, &ParentReference)| {
            let namespace = parent.namespace(&own);
            Self {
                document: document.clone(),
                host: Host::beside_namespace(&parent.name, parent.namespace.as_deref(), &own),
                namespace: own.clone(),
                is_consumer: *namespace != *own,
                port: parent.port,
                port_name: parent.section_name.as_deref().map(Into::into),
                index,
            }
        };
        parents(document).iter().enumerate().map(attached).collect()
    }

    /// Whether the clients of a namespace are led by it.
    fn is_for(&self, client: Option<&str>) -> bool {
        !self.is_consumer || client == Some(&*self.namespace)
    }

    /// Whether it is attached to a port, of those that speak HTTP.
    pub fn covers(&self, port: &Port) -> bool {
        port.protocol.is_http()
            && self.port.is_none_or(|number| number == port.number)
            && self.port_name.as_deref().is_none_or(|name| *name == *port.name.as_str())
    }

    fn is_grpc(&self) -> bool {
        matches!(self.document.body, Body::GRPCRoute(_))
    }

    /// The namespace that is written beside the parent's name.
    pub fn parents_namespace(&self) -> Option<&str> {
        parents(&self.document).get(self.index).and_then(|parent| parent.namespace.as_deref())
    }

    /// The path of the parent.
    pub fn field(&self) -> String {
        format!("spec.parentRefs[{}]", self.index)
    }

    /// Those with a timestamp first, the oldest first; then by namespace and name.
    fn age(&self) -> (bool, Option<String>, String) {
        let created = self.document.metadata.creation_timestamp.clone();
        (created.is_none(), created, format!("{}/{}", self.namespace, self.document.id.name))
    }
}

fn parents(document: &Document) -> &[ParentReference] {
    match &document.body {
        Body::HTTPRoute(route) => &route.parent_refs,
        Body::GRPCRoute(route) => &route.parent_refs,
        _ => &[],
    }
}

/// Every route, found by the names a service has.
#[derive(Debug, Default)]
pub(in crate::policy) struct GatewayRoutes {
    by_host: HashMap<String, Vec<Attached>>,
}

impl GatewayRoutes {
    /// Adds a document, where it is one.
    pub fn add(&mut self, document: &Arc<Document>) {
        for attached in Attached::all(document) {
            if attached.host.full != attached.host.written {
                self.by_host.entry(attached.host.full.as_str().to_owned()).or_default().push(attached.clone());
            }
            self.by_host.entry(attached.host.written.as_str().to_owned()).or_default().push(attached);
        }
    }

    /// The namespaces whose clients may be led by routes of their own.
    pub fn namespaces_named_for(&self, service: &Service) -> BTreeSet<Arc<str>> {
        let consumers = self.can_lead(service).into_iter().filter(|attached| attached.is_consumer);
        consumers.map(|attached| attached.namespace.clone()).collect()
    }

    /// What tells the routes of clients of different namespaces apart.
    pub fn answer(&self, service: &Service, client: Option<&str>) -> BTreeSet<DocumentId> {
        let leading = self.can_lead(service).into_iter().filter(|attached| attached.is_for(client));
        leading.map(|attached| attached.document.id.clone()).collect()
    }

    fn can_lead(&self, service: &Service) -> Vec<&Attached> {
        let names = crate::model::catalog::lower_names(service);
        names.filter_map(|name| self.by_host.get(&*name)).flatten().collect()
    }

    /// The parents that mean a service, each once, sorted.
    fn of_service<'a>(&'a self, service: &Service, services: &mut Services<'_>) -> Vec<&'a Attached> {
        let mut found: BTreeMap<(&DocumentId, usize), &Attached> = BTreeMap::new();
        for attached in self.can_lead(service) {
            if attached.host.means(service, services) {
                found.insert((&attached.document.id, attached.index), attached);
            }
        }
        found.into_values().collect()
    }
}

/// Adds the rules of routes to ports that have none. What leads a port already is a VirtualService, which comes first.
pub(in crate::policy) fn by_gateway_routes<'a>(
    set: &'a PolicySet,
    service: &'a Service,
    view: &'a ClientView,
    services: &mut Services<'a>,
    routes: &mut ServiceRoutes,
) {
    if set.gateway_routes.by_host.is_empty() {
        return;
    }
    let attached = set.gateway_routes.of_service(service, services);
    let client = view.namespace.as_deref();
    let (for_client, for_others): (Vec<_>, Vec<_>) = attached.into_iter().partition(|attached| attached.is_for(client));
    for other in for_others {
        let reason = format!(
            "it is for clients of its own namespace, {}, since {} is of another; this client's is {}",
            other.namespace,
            service.name,
            client.unwrap_or("none that a document names")
        );
        routes.not_applied.push((other.document.clone(), "metadata.namespace".to_owned(), reason));
    }
    for attached in &for_client {
        if !service.ports.iter().any(|port| attached.covers(port)) {
            let reason = format!("{} has no such port that speaks HTTP", service.name);
            routes.not_applied.push((attached.document.clone(), attached.field(), reason));
        }
    }
    let mut destinations = Destinations::new(set, view, services);
    for port in &service.ports {
        let covering = for_client.iter().copied().filter(|attached| attached.covers(port)).collect();
        let leading = leading(covering, service, port, routes);
        if leading.is_empty() {
            continue;
        }
        let mut candidates = Vec::new();
        for route in leading {
            let problems = &mut routes.problems;
            let mut translation = Translation { route, service, port, destinations: &mut destinations, problems };
            candidates.extend(translation.candidates());
        }
        routes.ports.insert(port.number, PortRoutes::Http(in_order(candidates)));
    }
}

/// The routes that lead a port, each document once; of the others it is noted why they do not.
fn leading<'a>(
    mut covering: Vec<&'a Attached>,
    service: &Service,
    port: &Port,
    routes: &mut ServiceRoutes,
) -> Vec<&'a Attached> {
    let mut seen = BTreeSet::new();
    covering.retain(|attached| seen.insert(&attached.document.id));
    let by_virtual_service = match routes.ports.get(&port.number) {
        Some(PortRoutes::Http(rules)) => rules.first().map(|decision| decision.document.clone()),
        Some(PortRoutes::Tcp(_)) | None => None,
    };
    if let Some(first) = by_virtual_service {
        for attached in covering {
            let reason = format!("{} leads port {}: a VirtualService comes before it", first.id, port.number);
            shadow(attached, &first, "a VirtualService comes before a route", service, port, routes);
            routes.not_applied.push((attached.document.clone(), attached.field(), reason));
        }
        return Vec::new();
    }
    if let Some(consumer) = covering.iter().copied().find(|attached| attached.is_consumer) {
        let (consumers, producers): (Vec<_>, Vec<_>) = covering.into_iter().partition(|attached| attached.is_consumer);
        for producer in producers {
            let reason = format!(
                "clients of namespace {} have routes of their own to port {}: {} for one",
                consumer.namespace, port.number, consumer.document.id
            );
            routes.not_applied.push((producer.document.clone(), producer.field(), reason));
        }
        covering = consumers;
    }
    if let Some(first) = covering.iter().copied().find(|attached| attached.is_grpc()) {
        let (calls, requests): (Vec<_>, Vec<_>) = covering.into_iter().partition(|attached| attached.is_grpc());
        for attached in requests {
            let reason = format!("{} leads port {}: a GRPCRoute comes before it", first.document.id, port.number);
            shadow(attached, &first.document, "a GRPCRoute comes before an HTTPRoute", service, port, routes);
            routes.not_applied.push((attached.document.clone(), attached.field(), reason));
        }
        covering = calls;
    }
    covering
}

/// Warns of a route that has no say at a port.
fn shadow(
    attached: &Attached,
    winner: &Document,
    order: &str,
    service: &Service,
    port: &Port,
    routes: &mut ServiceRoutes,
) {
    let message = format!(
        "port {} of {} is led by {} already, and {order}: this has no effect on it",
        port.number, service.name, winner.id
    );
    let problem = Diagnostic::warning(
        "shadowed-routes",
        attached.document.place_of(&attached.field()),
        attached.field(),
        message,
    )
    .related(winner.place_of("metadata.name"), format!("{} stands here", winner.id))
    .remedy("keep one of the two, or name another port in `parentRefs`");
    routes.problems.push(problem);
}

/// In the order in which they count. Matches of one rule that stand side by side are that rule's again.
fn in_order(mut candidates: Vec<Candidate>) -> Vec<Decision<HttpRule>> {
    candidates.sort_by(|a, b| {
        let key = |candidate: &Candidate| (Reverse(candidate.specificity), candidate.age.clone(), candidate.place);
        key(a).cmp(&key(b))
    });
    let mut rules: Vec<Decision<HttpRule>> = Vec::new();
    for Candidate { matched, decision, .. } in candidates {
        match rules.last_mut() {
            Some(last) if last.document.id == decision.document.id && last.field == decision.field => {
                last.rule.matches.push(matched);
            }
            _ => {
                let mut next = Decision::clone(&decision);
                next.rule.matches.push(matched);
                rules.push(next);
            }
        }
    }
    rules
}
