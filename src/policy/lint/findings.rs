//! Findings while they are collected: one for each lint and line, however many services it shows with.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::super::document::{Document, DocumentId};
use crate::{diagnostic::Diagnostic, model::ServiceName};

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: BTreeMap<Key, Finding>,
}

/// Documents in the order of their names, the fields of each in order.
type Key = (DocumentId, String, &'static str);

#[derive(Debug)]
struct Finding {
    diagnostic: Diagnostic,
    /// Those it shows with; the sentence is about the first that was looked at.
    services: BTreeSet<ServiceName>,
}

/// Where a policy says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub document: &'a Arc<Document>,
    /// The path below the document's root.
    pub field: &'a str,
}

impl Findings {
    /// Notes what shows with a service. The sentence is made only for the first of its kind.
    pub fn add(
        &mut self,
        lint: &'static str,
        said: Said<'_>,
        service: &ServiceName,
        sentence: impl FnOnce() -> (String, String),
    ) {
        let Said { document, field } = said;
        let found = self.found.entry((document.id.clone(), field.to_owned(), lint)).or_insert_with(|| {
            let (message, remedy) = sentence();
            let diagnostic = Diagnostic::warning(lint, document.place_of(field), field, message).remedy(remedy);
            Finding { diagnostic, services: BTreeSet::new() }
        });
        found.services.insert(service.clone());
    }

    /// Everything, as diagnostics.
    pub fn end(self) -> impl Iterator<Item = Diagnostic> {
        self.found.into_values().map(|Finding { mut diagnostic, services }| {
            match services.len() {
                0 | 1 => {}
                2 => diagnostic.message.push_str("; the same goes for 1 more service"),
                many => diagnostic.message.push_str(&format!("; the same goes for {} more services", many - 1)),
            }
            diagnostic
        })
    }
}
