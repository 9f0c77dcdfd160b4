//! Subsets that select nothing.

use std::collections::BTreeSet;

use super::{
    super::{
        resolve::{DefinedSubset, labels},
        set::PolicySet,
    },
    findings::{Findings, Said},
    target::has_labels,
};
use crate::model::{CatalogEntry, ClientView, Endpoint, Labels};

pub(super) fn check(policies: &PolicySet, entry: &CatalogEntry, views: &[ClientView], findings: &mut Findings) {
    // A service without endpoints is another matter.
    if entry.endpoints.is_empty() {
        return;
    }
    let mut seen = BTreeSet::new();
    for view in views {
        for DefinedSubset { document, index, name, labels: written } in
            policies.candidates(&entry.service, view).defined_subsets()
        {
            let labels = labels(written);
            let any = entry.endpoints.iter().any(|endpoint| has_labels(endpoint, &labels));
            if any || !seen.insert((document.id.clone(), index)) {
                continue;
            }
            let field = format!("spec.subsets[{index}].labels");
            findings.add("subset-without-endpoints", Said { document, field: &field }, &entry.service.name, || {
                let size = entry.endpoints.len();
                let message = format!(
                    "subset {name} is named by no endpoint: none of the {size} of {} has {}",
                    entry.service.name,
                    words(&labels)
                );
                (message, there_are(&entry.endpoints, &labels))
            });
        }
    }
}

fn words(labels: &Labels) -> String {
    let words: Vec<String> = labels.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    words.join(", ")
}

/// The values that endpoints have of the labels.
fn there_are(endpoints: &[Endpoint], labels: &Labels) -> String {
    for key in labels.keys() {
        let values: BTreeSet<&str> =
            endpoints.iter().filter_map(|endpoint| endpoint.labels.get(key)).map(|value| &**value).collect();
        if !values.is_empty() {
            let values: Vec<&str> = values.into_iter().take(10).collect();
            return format!("endpoints have {key}: {}", values.join(", "));
        }
    }
    let keys: BTreeSet<&str> = endpoints.iter().flat_map(|endpoint| endpoint.labels.keys()).map(|key| &**key).collect();
    match keys.is_empty() {
        true => "give the endpoints labels in the snapshot".into(),
        false => format!("endpoints have the labels {}", keys.into_iter().take(10).collect::<Vec<_>>().join(", ")),
    }
}
