//! The proxies there would be: one beside each endpoint.

use std::sync::Arc;

use crate::model::{Catalog, ClientKind, Labels, Proxy, Role};

/// Each service with endpoints as a workload: a proxy for each of its endpoints, in its locality, with its labels, in
/// the service's namespace.
pub fn workloads_of(catalog: &Catalog) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    for (name, entry) in catalog.iter() {
        let workload: Arc<str> = name.as_str().into();
        let namespace: Arc<str> = entry.service.namespace().into();
        for (index, endpoint) in entry.endpoints.iter().enumerate() {
            let labels: Labels = endpoint.labels.clone();
            proxies.push(Proxy {
                id: format!("{name}-{index}").into(),
                workload: workload.clone(),
                namespace: namespace.clone(),
                labels,
                locality: endpoint.locality.clone(),
                local_cluster: false,
                kind: ClientKind::Envoy,
                role: Role::Sidecar,
            });
        }
    }
    proxies
}
