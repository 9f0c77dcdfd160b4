//! Patches that change nothing, told at the line that says them.

use std::collections::BTreeMap;

use crate::{compile::Tried, diagnostic::Diagnostic, policy::PolicySet};

/// A change that could be made nowhere is an error; one that was made somewhere was meant for there.
pub(super) fn without_effect(policies: &PolicySet, tried: Vec<Tried>) -> Vec<Diagnostic> {
    let mut by_change: BTreeMap<_, Vec<Tried>> = BTreeMap::new();
    for tried in tried {
        by_change.entry((tried.document.clone(), tried.field.clone())).or_default().push(tried);
    }
    let documents: BTreeMap<String, _> = policies.documents().map(|document| (document.name(), document)).collect();
    let in_vain = by_change.into_iter().filter(|(_, tried)| tried.iter().all(|tried| tried.refused.is_some()));
    in_vain
        .filter_map(|((document, field), tried)| {
            let document = documents.get(&*document)?;
            let Tried { resource, refused, .. } = tried.into_iter().next()?;
            let message = format!("at {resource} this changes nothing: {}", refused.unwrap_or_default());
            let problem = Diagnostic::error("matches-nothing", document.place_of(&field), &*field, message);
            Some(problem.remedy("`chancery render` shows the resources as they are"))
        })
        .collect()
}
