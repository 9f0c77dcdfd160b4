//! `Sidecar` documents by Istio's rules: which one counts for a workload.
//!
//! Of the workload's namespace the first that selects it by labels, the oldest first; else the one of that namespace
//! for all; else that of the root namespace for all. Nothing is inherited from the others.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    document::{Body, Document, sidecar::Sidecar},
    resolve::labels,
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Labels,
        egress::{Egress, Sidecars, WorkloadEgress},
    },
};

/// Every Sidecar, in the order in which they count.
#[derive(Debug, Clone, Default)]
pub(super) struct SidecarDocuments(Vec<Arc<Document>>);

/// A Sidecar that does not count for a workload, and why: the field that is the reason, and a sentence.
pub(super) type Other<'a> = (&'a Arc<Document>, (&'static str, String));

impl SidecarDocuments {
    /// Puts them in order. Two for all workloads of one namespace are a contradiction.
    pub fn of(mut documents: Vec<Arc<Document>>) -> (Self, Vec<Diagnostic>) {
        documents.sort_by_cached_key(|document| {
            let created = document.metadata.creation_timestamp.clone();
            (body(document).selector().is_none(), created.is_none(), created, document.id.clone())
        });
        let mut first: BTreeMap<Arc<str>, &Arc<Document>> = BTreeMap::new();
        let mut problems = Vec::new();
        for document in documents.iter().filter(|document| body(document).selector().is_none()) {
            let Some(first) = first.insert(document.namespace(), document) else { continue };
            let message = format!("a second Sidecar for all workloads of namespace {}", document.namespace());
            problems.push(
                Diagnostic::error("contradiction", document.place(), "spec.workloadSelector", message)
                    .related(first.place(), format!("the first is {}", first.id))
                    .remedy("merge the two, or write a `workloadSelector`"),
            );
        }
        (Self(documents), problems)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they say, without where.
    pub fn model(&self, root: &str) -> Sidecars {
        let mut sidecars = Sidecars { root: root.into(), ..Sidecars::default() };
        for document in &self.0 {
            let sidecar = body(document);
            let hosts = sidecar.hosts().filter_map(|(_, _, host)| host).collect();
            let said = WorkloadEgress {
                selector: sidecar.selector().map(labels).unwrap_or_default(),
                egress: Egress(Arc::new(hosts)),
            };
            sidecars.by_namespace.entry(document.namespace()).or_default().push(said);
        }
        sidecars
    }

    /// The one that counts for a workload, and why others of its namespace and the root namespace do not.
    pub fn choose(
        &self,
        namespace: &str,
        workload_labels: &Labels,
        root: &str,
    ) -> (Option<&Arc<Document>>, Vec<Other<'_>>) {
        let selects = |document: &Document| {
            body(document)
                .selector()
                .is_none_or(|wanted| labels(wanted).iter().all(|(key, value)| workload_labels.get(key) == Some(value)))
        };
        let near = || self.0.iter().filter(|document| [namespace, root].contains(&&*document.namespace()));
        let mut chosen: Option<&Arc<Document>> = None;
        let mut others = Vec::new();
        let (own, root): (Vec<_>, Vec<_>) = near().partition(|document| *document.namespace() == *namespace);
        for document in own {
            match chosen {
                _ if !selects(document) => {
                    let reason = "it is for workloads with other labels".to_owned();
                    others.push((document, ("spec.workloadSelector", reason)));
                }
                None => chosen = Some(document),
                Some(first) => {
                    let reason = format!("{} comes first for this workload", first.id);
                    others.push((document, ("spec.workloadSelector", reason)));
                }
            }
        }
        for document in root {
            match chosen {
                _ if body(document).selector().is_some() => {
                    let reason = "it is for workloads of its own namespace".to_owned();
                    others.push((document, ("metadata.namespace", reason)));
                }
                None => chosen = Some(document),
                Some(first) => {
                    let reason = format!("{} comes first for this workload", first.id);
                    others.push((document, ("metadata.namespace", reason)));
                }
            }
        }
        (chosen, others)
    }
}

pub(super) fn body(document: &Document) -> &Sidecar {
    match &document.body {
        Body::Sidecar(sidecar) => sidecar,
        _ => unreachable!("only Sidecars are put here"),
    }
}
