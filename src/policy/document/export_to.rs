//! `exportTo`: which namespaces see a document of Istio's, as written and checked by Istio's rules.

use std::{collections::BTreeSet, sync::Arc};

use serde::Deserialize;

use crate::{
    diagnostic::Diagnostic,
    model::{DEFAULT_NAMESPACE, Visibility},
    yaml,
};

/// `.` (the document's own namespace), `*` (all), names of namespaces; for services also `~` (none).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct ExportTo(pub Vec<String>);

/// Whether `~` may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nobody {
    /// A service may be one that nobody sees.
    Allowed,
    /// A rule that nobody sees is a mistake.
    Refused,
}

impl ExportTo {
    /// Who sees it; where nothing is written, everyone.
    pub fn visibility(&self, own_namespace: &str) -> Visibility {
        let says = |entry: &str| self.0.iter().any(|found| found == entry);
        if self.0.is_empty() || says("*") {
            return Visibility::Everyone;
        }
        if says("~") {
            return Visibility::Nobody;
        }
        let namespace = |entry: &String| -> Arc<str> { if entry == "." { own_namespace } else { entry }.into() };
        Visibility::Only(self.0.iter().map(namespace).collect())
    }

    /// The entries as a set, each as written.
    pub fn entries(&self) -> BTreeSet<&str> {
        self.0.iter().map(String::as_str).collect()
    }

    /// What is wrong with it: names that are none, entries that stand twice, `*` or `~` beside others.
    pub(in crate::policy::document) fn check(&self, nobody: Nobody, source: &yaml::Document) -> Vec<Diagnostic> {
        let own = source.text("metadata.namespace").unwrap_or(DEFAULT_NAMESPACE);
        let mut problems = Vec::new();
        let mut error = |path: String, message: String, remedy: &str| {
            problems.push(Diagnostic::error("invalid-value", source.place(&path), path, message).remedy(remedy));
        };
        let meaning = |entry: &String| if entry == "." { own.to_owned() } else { entry.clone() };
        for (index, entry) in self.0.iter().enumerate() {
            let path = || format!("spec.exportTo[{index}]");
            match entry.as_str() {
                "." | "*" => {}
                "~" if nobody == Nobody::Allowed => {}
                "~" => error(
                    path(),
                    "a rule that is exported to nobody has no effect".into(),
                    "write `.`, `*` or names of namespaces; only a ServiceEntry takes `~`",
                ),
                name if !is_dns_label(name) => error(
                    path(),
                    format!("`{name}` is no name of a namespace"),
                    "write `.` (this namespace), `*` (all), or a name of lower-case letters, digits and `-`",
                ),
                _ => {}
            }
            if self.0[..index].iter().any(|earlier| meaning(earlier) == meaning(entry)) {
                let message = match self.0[..index].contains(entry) {
                    true => format!("`{entry}` stands twice"),
                    false => format!("`.` and `{own}` are the same namespace"),
                };
                error(path(), message, "remove one of the two");
            }
        }
        let beside = |entry: &str| self.0.len() > 1 && self.0.iter().any(|found| found == entry);
        if beside("*") {
            error("spec.exportTo".into(), "`*` is everybody already".into(), "write `[\"*\"]` alone");
        }
        if beside("~") {
            error("spec.exportTo".into(), "`~` is nobody, and others stand beside it".into(), "write `[\"~\"]` alone");
        }
        problems
    }
}

/// Lower-case letters, digits and `-`, at most 63 characters, neither beginning nor ending with `-`.
pub(in crate::policy::document) fn is_dns_label(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_is_the_documents_namespace() {
        let visibility =
            |entries: &[&str]| ExportTo(entries.iter().map(|&entry| entry.to_owned()).collect()).visibility("shop");
        assert_eq!(visibility(&[]), Visibility::Everyone);
        assert_eq!(visibility(&["*"]), Visibility::Everyone);
        assert_eq!(visibility(&["~"]), Visibility::Nobody);
        assert_eq!(visibility(&[".", "books"]), Visibility::Only(["books".into(), "shop".into()].into()));
    }
}
