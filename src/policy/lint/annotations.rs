//! Who answers for a document, and until when it is meant to stay.

use super::{super::set::PolicySet, Date};
use crate::diagnostic::Diagnostic;

/// From so many days before `expires` it is told of.
const SOON: i64 = 14;

pub(super) fn check(policies: &PolicySet, today: Date) -> Vec<Diagnostic> {
    let owners_are_required = policies.mesh().require_owner;
    let mut problems = Vec::new();
    for document in policies.documents() {
        let annotations = &document.metadata.annotations.0;
        let warning = |id: &'static str, field: &str, message: String, remedy: &str| {
            Diagnostic::warning(id, document.place_of(field), field, message).remedy(remedy)
        };
        let owner = annotations.get("owner").map_or("", |owner| owner.trim());
        if owners_are_required && owner.is_empty() {
            let message = format!("{} names no owner, and the Mesh requires one", document.id);
            problems.push(warning("owner-missing", "metadata", message, "add `annotations: { owner: TEAM }`"));
        }
        let Some(written) = annotations.get("expires") else { continue };
        let field = "metadata.annotations.expires";
        match Date::parse(written).map(|expires| today.days_until(expires)) {
            None => {
                let message = format!("`{written}` is no day: nobody will be told when it has passed");
                problems.push(warning("expires-unreadable", field, message, "write a day as 2027-03-01"));
            }
            Some(..0) => {
                let message = format!("{} was meant to end on {written}, and still has its effect", document.id);
                problems.push(warning("expired", field, message, "remove the document, or give it a later day"));
            }
            Some(days @ 0..=SOON) => {
                let when = match days {
                    0 => "today".to_owned(),
                    1 => "tomorrow".to_owned(),
                    days => format!("in {days} days"),
                };
                let message = format!("{} is meant to end {when}, on {written}", document.id);
                problems.push(warning("expires-soon", field, message, "plan its end, or give it a later day"));
            }
            Some(_) => {}
        }
    }
    problems
}
