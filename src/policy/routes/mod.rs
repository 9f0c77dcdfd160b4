//! Documents of routing into the rules of one service's ports, as one kind of client sees them.
//!
//! ```text
//!  VirtualService ───────┐                          ┌─ destinations: other services, with their policies
//!                        ├─ which counts for a port ┤
//!  HTTPRoute, GRPCRoute ─┘                          └─► PortRoutes ──► model::policy::Routing
//! ```
//!
//! Rules lead to other services, so resolving one service asks for others by their hosts. What was asked for is
//! written down ([`Services`]): when one of these comes, goes, or is said something else of, the rules are resolved
//! again, and otherwise not. Each decision keeps where it comes from, for those who ask why.

mod destination;
mod forward;
mod gateway_api;
mod hosts;
mod istio;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    sync::Arc,
};

pub(super) use self::{
    destination::Destinations,
    gateway_api::{Attached, GatewayRoutes, absent_from},
    hosts::Host,
    istio::{Routed, VirtualServices},
};
use self::{gateway_api::by_gateway_routes, istio::by_virtual_services};
use super::{document::Document, leaves::Path, merge::Leaf, set::PolicySet};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Catalog, CatalogEntry, ClientView, Service,
        policy::{
            Routing,
            routing::{HttpRule, HttpRules, TcpRule, TcpRules},
        },
    },
};

/// The services that a kind of client sees, and a note of every host that was asked for.
#[derive(Debug)]
pub(super) struct Services<'a> {
    catalog: &'a Catalog,
    view: &'a ClientView,
    /// In lower case.
    pub asked: BTreeSet<Arc<str>>,
}

impl<'a> Services<'a> {
    pub fn new(catalog: &'a Catalog, view: &'a ClientView) -> Self {
        Self { catalog, view, asked: BTreeSet::new() }
    }

    /// The service a host means, where the client may know of it.
    pub fn find(&mut self, host: &str) -> Option<&'a CatalogEntry> {
        self.asked.insert(host.to_ascii_lowercase().into());
        self.catalog.find(host).filter(|entry| self.view.sees(&entry.service))
    }

    /// Whether a service has a host that the client may not know of.
    pub fn is_hidden(&self, host: &str) -> bool {
        self.catalog.find(host).is_some_and(|entry| !self.view.sees(&entry.service))
    }

    /// What to suggest for a host that no service has.
    pub fn nearest(&self, host: &str) -> Option<&'a str> {
        crate::yaml::nearest(host, self.catalog.iter().map(|(name, _)| name.as_str()))
    }
}

/// What the documents of all dialects come to for a service. A port that a VirtualService leads is led by no other.
pub(super) fn routes_of<'a>(
    set: &'a PolicySet,
    service: &'a Service,
    view: &'a ClientView,
    services: &mut Services<'a>,
) -> ServiceRoutes {
    let mut routes = by_virtual_services(set, service, view, services);
    by_gateway_routes(set, service, view, services, &mut routes);
    routes
}

/// What documents of routing come to for a service.
#[derive(Debug, Default)]
pub struct ServiceRoutes {
    /// A port without an entry leads straight to the service.
    pub ports: BTreeMap<NonZeroU16, PortRoutes>,
    /// Documents that could be expected to route this service and do not: which, the field that is the reason, and
    /// the reason.
    pub not_applied: Vec<(Arc<Document>, String, String)>,
    /// Destinations that are not there, documents that are in each other's way.
    pub problems: Vec<Diagnostic>,
}

/// The rules of a port, each with where it comes from, in order.
#[derive(Debug, Clone)]
pub enum PortRoutes {
    /// For requests.
    Http(Vec<Decision<HttpRule>>),
    /// For connections.
    Tcp(Vec<Decision<TcpRule>>),
}

/// A rule, and where what it says comes from.
#[derive(Debug, Clone)]
pub struct Decision<R> {
    /// The rule, complete.
    pub rule: R,
    /// The document it stands in.
    pub document: Arc<Document>,
    /// At which path below the document's root.
    pub field: String,
    /// The settings (`timeout`, `retries.attempts`, …) that a document says, by path: the rule's own document, or the
    /// policies of the service it leads to. What is not among them is a default.
    pub settings: BTreeMap<Path, Leaf>,
    /// What policies say of these settings in vain, since the rule's own document says it.
    pub replaced: BTreeMap<Path, Leaf>,
}

impl PortRoutes {
    /// The rules without their origins.
    pub fn routing(&self) -> Routing {
        match self {
            Self::Http(rules) => {
                Routing::Http(HttpRules { rules: rules.iter().map(|decision| decision.rule.clone()).collect() })
            }
            Self::Tcp(rules) => {
                Routing::Tcp(TcpRules { rules: rules.iter().map(|decision| decision.rule.clone()).collect() })
            }
        }
    }
}
