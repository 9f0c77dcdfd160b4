//! Because of what a workload is sent a service, or else is not: `Dependencies` and the `Sidecar` that counts for it.

use std::sync::Arc;

use serde_json::Value;

use super::{NotApplied, Stated};
use crate::{
    model::{Catalog, DEFAULT_NAMESPACE, Proxy, Service, egress::EgressHost},
    policy::{
        document::{Body, Document, traffic_policy::Pattern},
        set::PolicySet,
        sidecars,
    },
};

impl PolicySet {
    /// What makes a proxy be sent the service; and documents that do not.
    pub(super) fn scope(&self, service: &Service, proxy: &Proxy, catalog: &Catalog) -> (Vec<Stated>, Vec<NotApplied>) {
        let (mut because, mut not) = self.dependencies_of(service, proxy);
        let (more, others) = self.sidecar_of(service, proxy, catalog);
        because.extend(more);
        not.extend(others);
        (because, not)
    }

    fn dependencies_of(&self, service: &Service, proxy: &Proxy) -> (Vec<Stated>, Vec<NotApplied>) {
        let dependencies = self.documents().filter_map(|document| match &document.body {
            Body::Dependencies(dependencies) => Some((document, dependencies)),
            _ => None,
        });
        let matching: Vec<_> =
            dependencies.filter(|(_, dependencies)| dependencies.workload.0.matches(&proxy.workload)).collect();
        let named = matching.iter().any(|(_, dependencies)| dependencies.workload.0.is_exact());
        let counting: Vec<_> =
            matching.into_iter().filter(|(_, dependencies)| !named || dependencies.workload.0.is_exact()).collect();
        let mut because = Vec::new();
        for (document, dependencies) in &counting {
            for (index, Pattern(pattern)) in dependencies.services.iter().enumerate() {
                if pattern.matches(service.name.as_str()) {
                    let field = format!("spec.services[{index}]");
                    because.push(stated("dependencies.services", pattern.as_str(), document, field));
                }
            }
        }
        if !because.is_empty() {
            return (because, Vec::new());
        }
        let reason = format!(
            "{} is not among the services that {} calls: it is not visible to it, and not sent",
            service.name, proxy.workload
        );
        let not = counting.into_iter().map(|(document, _)| NotApplied {
            document: document.clone(),
            field: "spec.services".into(),
            reason: reason.clone(),
        });
        (because, not.collect())
    }

    fn sidecar_of(&self, service: &Service, proxy: &Proxy, catalog: &Catalog) -> (Vec<Stated>, Vec<NotApplied>) {
        if self.sidecar_documents.is_empty() {
            return (Vec::new(), Vec::new());
        }
        let of_workload = || catalog.get(&proxy.workload).map_or(DEFAULT_NAMESPACE, |entry| entry.service.namespace());
        let namespace: Arc<str> =
            if proxy.namespace.is_empty() { of_workload().into() } else { proxy.namespace.clone() };
        let (chosen, others) = self.sidecar_documents.choose(&namespace, &proxy.labels, self.root_namespace());
        let not = others.into_iter().map(|(document, (field, reason))| NotApplied {
            document: document.clone(),
            field: field.to_owned(),
            reason,
        });
        let mut not: Vec<NotApplied> = not.collect();
        let Some(document) = chosen else { return (Vec::new(), not) };
        let reaches = |host: &EgressHost| host.of(&namespace).matches(service);
        let matching = sidecars::body(document).hosts().filter(|(_, _, host)| host.as_ref().is_some_and(reaches));
        let because: Vec<Stated> =
            matching.map(|(field, host, _)| stated("sidecar.egress.hosts", host, document, field)).collect();
        if because.is_empty() {
            let reason = format!(
                "{} is not among the hosts that workloads of namespace {namespace} may reach: it is not sent",
                service.name
            );
            not.push(NotApplied { document: document.clone(), field: "spec.egress".to_owned(), reason });
        }
        (because, not)
    }
}

fn stated(setting: &str, value: &str, document: &Arc<Document>, field: String) -> Stated {
    Stated {
        setting: setting.to_owned(),
        value: Value::String(value.to_owned()),
        document: document.clone(),
        field,
        overrode: Vec::new(),
    }
}
