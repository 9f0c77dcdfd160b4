//! A document into a typed value, or everything that is wrong with it.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use super::{
    de,
    document::{Document, parent},
    suggest::did_you_mean,
};
use crate::diagnostic::Diagnostic;

/// How many problems of one document are told. Each takes another reading of it, and a program that writes one field
/// wrong writes it wrong ten thousand times.
const MAX_PROBLEMS: usize = 100;

fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Document {
    /// Reads the document into a type. Every problem is reported: what is wrong is set aside and the rest read again,
    /// until nothing more can be said.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Vec<Diagnostic>> {
        let mut set_aside = BTreeSet::new();
        let mut wrong_paths: BTreeSet<String> = BTreeSet::new();
        let mut problems = Vec::new();
        loop {
            let error = match T::deserialize(de::NodeReader::new(self, &set_aside)) {
                Ok(value) if problems.is_empty() => return Ok(value),
                Ok(_) => return Err(problems),
                Err(error) => error,
            };
            let path = error.path();
            // What was set aside is not there any more, and is not missing for all that.
            if !(error.is_missing_field() && wrong_paths.iter().any(|wrong| is_at_or_below(wrong, &path))) {
                problems.push(self.diagnostic(&error, &path));
            }
            let culprit = error.culprit.unwrap_or(self.root);
            wrong_paths.insert(path);
            if culprit == self.root || !set_aside.insert(culprit) {
                return Err(problems);
            }
            if problems.len() >= MAX_PROBLEMS {
                let message =
                    format!("these are the first {MAX_PROBLEMS} problems of this document; there may be more");
                problems.push(Diagnostic::error("more-problems", self.start(), "", message));
                return Err(problems);
            }
        }
    }

    fn diagnostic(&self, error: &de::Error, path: &str) -> Diagnostic {
        let place = self.to_place(error.span.unwrap_or(self.node(self.root).span));
        match &error.kind {
            de::ErrorKind::UnknownField { found, expected } => {
                let owner = match parent(path) {
                    "" => "this document".to_owned(),
                    owner => format!("`{owner}`"),
                };
                let diagnostic =
                    Diagnostic::error("unknown-field", place, path, format!("`{found}` is no field of {owner}"));
                with_remedy(diagnostic, did_you_mean(found, expected.iter().copied()))
            }
            de::ErrorKind::UnknownVariant { found, expected } => {
                let diagnostic =
                    Diagnostic::error("invalid-value", place, path, format!("`{found}` is not known here"));
                with_remedy(diagnostic, did_you_mean(found, expected.iter().copied()))
            }
            de::ErrorKind::MissingField(name) => {
                Diagnostic::error("missing-field", place, path, format!("`{name}` is missing"))
                    .remedy(format!("add `{name}:`"))
            }
            de::ErrorKind::Type { found, expected } => {
                Diagnostic::error("wrong-type", place, path, format!("found {found}, where {expected} is needed"))
            }
            de::ErrorKind::Custom(text) => match text.split_once('\n') {
                Some((message, remedy)) => Diagnostic::error("invalid-value", place, path, message).remedy(remedy),
                None => Diagnostic::error("invalid-value", place, path, text),
            },
        }
    }
}

fn with_remedy(diagnostic: Diagnostic, remedy: Option<String>) -> Diagnostic {
    Diagnostic { remedy, ..diagnostic }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::super::parse;
    use super::*;
    use crate::diagnostic::SourceFile;

    /// A program that writes one field wrong writes it wrong every time.
    #[test]
    fn ten_thousand_mistakes_take_no_longer_than_a_hundred() {
        let items: String = (0..10_000).map(|item| format!("- {{ number: x{item}, other: [] }}\n")).collect();
        let file = Arc::new(SourceFile { path: "a.yaml".into(), text: items.into() });
        let document = parse(&file).documents.remove(0);
        let problems = document.decode::<Vec<BTreeMap<String, u32>>>().expect_err("no numbers");
        assert_eq!((problems.len(), problems[100].id), (MAX_PROBLEMS + 1, "more-problems"));
    }
}
