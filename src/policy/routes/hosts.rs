//! Hosts as documents of routing write them: a short name means one in the document's namespace, or in the one beside it.

use std::sync::Arc;

use super::Services;
use crate::model::{CatalogEntry, NamePattern, Service, namespace::full_host};

/// A host, as written and in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::policy) struct Host {
    pub written: NamePattern,
    pub full: NamePattern,
    /// A namespace that stands beside it: a service that is known to be in another is not meant.
    namespace: Option<Arc<str>>,
}

impl Host {
    pub fn new(written: &str, namespace: &str) -> Self {
        let full = full_host(written, namespace);
        // Hosts are compared without regard to case.
        Self {
            written: NamePattern::new(&written.to_ascii_lowercase()),
            full: NamePattern::new(&full.to_ascii_lowercase()),
            namespace: None,
        }
    }

    /// A service's name, and its namespace where one is written beside it; absent = the document's `own`.
    pub fn beside_namespace(name: &str, written: Option<&str>, own: &str) -> Self {
        let written = written.filter(|namespace| !namespace.is_empty());
        Self { namespace: written.map(Into::into), ..Self::new(name, written.unwrap_or(own)) }
    }

    fn may_be(&self, service: &Service) -> bool {
        let wanted = self.namespace.as_deref();
        wanted.is_none_or(|wanted| service.known_namespace().is_none_or(|known| known == wanted))
    }

    /// The service it names: by the full name, else by the name as written.
    pub fn find<'a>(&self, services: &mut Services<'a>) -> Option<&'a CatalogEntry> {
        let by_full_name = services.find(self.full.as_str());
        if by_full_name.is_some() || self.full == self.written {
            return by_full_name;
        }
        services.find(self.written.as_str()).filter(|found| self.may_be(&found.service))
    }

    /// Whether it means a service. A short name means the service that has the full one, where there is one.
    pub fn means(&self, service: &Service, services: &mut Services<'_>) -> bool {
        if !self.written.is_exact() {
            return names(service).any(|name| self.written.matches(&name));
        }
        self.can_mean(service) && self.find(services).is_some_and(|found| found.service.name == service.name)
    }

    /// Whether it means a service, whatever others there are.
    pub fn can_mean(&self, service: &Service) -> bool {
        names(service).any(|name| self.full.matches(&name) || self.written.matches(&name) && self.may_be(service))
    }
}

fn names(service: &Service) -> impl Iterator<Item = Arc<str>> {
    crate::model::catalog::lower_names(service)
}
