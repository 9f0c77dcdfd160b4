//! Which namespaces of clients distinguish anything, kept service by service.
//!
//! Documents name namespaces by the dozen, and most make no difference: a rule that stands where its service stands and
//! that everyone sees is the same for all. So for each service it is kept which namespaces get another answer than the
//! rest; namespaces with equal answers everywhere are one to the grouping, and one that differs nowhere is none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::asked::Asked;
use crate::{
    diagnostic::Diagnostic,
    model::{Catalog, ClientView, DEFAULT_NAMESPACE, Namespaces, ServiceName},
    policy::{NamespaceAnswer, PolicySet},
};

/// What clients of different namespaces get.
#[derive(Debug, Default)]
pub(super) struct ByNamespace {
    /// Services for which some namespace differs.
    answers: BTreeMap<ServiceName, BTreeMap<Arc<str>, NamespaceAnswer>>,
    /// Contradictions that only clients of such a namespace see.
    problems: BTreeMap<ServiceName, Vec<Diagnostic>>,
    /// The namespaces of services that are not in `default`.
    of_services: BTreeMap<ServiceName, Arc<str>>,
    namespaces: Arc<Namespaces>,
    /// Whether documents need to know every client's namespace.
    all_count: bool,
    asked: Asked,
}

impl ByNamespace {
    /// Looks at the stale services anew. Returns how many were resolved.
    /// `names` are all that the stale services have or had.
    pub fn refresh(
        &mut self,
        policies: &PolicySet,
        catalog: &Catalog,
        stale: &BTreeSet<ServiceName>,
        names: &BTreeSet<Arc<str>>,
    ) -> u64 {
        let all_count = !policies.sidecars().by_namespace.is_empty();
        let (mut resolved, mut differs) = (0, self.all_count != all_count);
        self.all_count = all_count;
        for name in &self.asked.with_askers(stale, names) {
            let entry = catalog.get(name.as_str());
            let namespace = entry.map_or(DEFAULT_NAMESPACE, |entry| entry.service.namespace());
            differs |= match namespace {
                DEFAULT_NAMESPACE => self.of_services.remove(name).is_some(),
                other => self.of_services.insert(name.clone(), other.into()).as_deref() != Some(other),
            };
            let answers = entry.map(|entry| policies.answers_by_namespace(&entry.service)).unwrap_or_default();
            let (mut problems, mut asked) = (BTreeSet::new(), BTreeSet::new());
            for namespace in entry.iter().flat_map(|_| answers.keys()) {
                let view = ClientView {
                    selectors: policies.selectors(),
                    namespace: Some(namespace.clone()),
                    labels: policies.label_selectors(),
                };
                let answer = entry.map(|entry| policies.resolve(&entry.service, &view, catalog)).unwrap_or_default();
                problems.extend(answer.problems);
                asked.extend(answer.asked);
                resolved += 1;
            }
            self.asked.set(name, asked);
            keep(&mut self.problems, name, problems.into_iter().collect::<Vec<_>>(), Vec::is_empty);
            differs |= keep(&mut self.answers, name, answers, BTreeMap::is_empty);
        }
        if differs {
            let representatives = representatives(&self.answers);
            let is_needed = all_count || !representatives.is_empty();
            let of_services = if !is_needed { BTreeMap::new() } else { self.of_services.clone() };
            self.namespaces = Arc::new(Namespaces { representatives, of_services });
        }
        resolved
    }

    /// What a grouping needs to know.
    pub fn namespaces(&self) -> &Arc<Namespaces> {
        &self.namespaces
    }

    /// Contradictions that only clients of some namespaces see.
    pub fn problems(&self) -> impl Iterator<Item = &Diagnostic> {
        self.problems.values().flatten()
    }
}

/// Sets or, where it is empty, removes a value. Returns whether that changed anything.
fn keep<T: PartialEq>(
    map: &mut BTreeMap<ServiceName, T>,
    name: &ServiceName,
    value: T,
    is_empty: impl Fn(&T) -> bool,
) -> bool {
    if is_empty(&value) {
        return map.remove(name).is_some();
    }
    let same = map.get(name) == Some(&value);
    if !same {
        map.insert(name.clone(), value);
    }
    !same
}

/// For each namespace that differs, the first by name of those with the same answers everywhere.
fn representatives(
    answers: &BTreeMap<ServiceName, BTreeMap<Arc<str>, NamespaceAnswer>>,
) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut by_namespace: BTreeMap<&Arc<str>, Vec<(&ServiceName, &NamespaceAnswer)>> = BTreeMap::new();
    for (service, answers) in answers {
        for (namespace, answer) in answers {
            by_namespace.entry(namespace).or_default().push((service, answer));
        }
    }
    let mut first: BTreeMap<Vec<(&ServiceName, &NamespaceAnswer)>, &Arc<str>> = BTreeMap::new();
    let representative =
        |(namespace, answers)| (Arc::clone(namespace), (*first.entry(answers).or_insert(namespace)).clone());
    by_namespace.into_iter().map(representative).collect()
}
