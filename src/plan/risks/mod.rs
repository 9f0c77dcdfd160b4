//! What may go wrong with a change, each with an id and a level: read off the lines, off the documents, and off what is
//! in use now.

mod limits;
mod protection;
mod reach;
mod retries;

use super::{Cause, Change, ChangeKind, Question, causes::Edited, compare::Comparison};
use crate::{
    diagnostic::{At, Diagnostic},
    policy::lint,
    resources::ResourceType,
};

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RiskLevel {
    /// Somebody should know.
    Low,
    /// Somebody should look.
    Medium,
    /// Somebody should say why.
    High,
}

impl RiskLevel {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that may go wrong.
#[derive(Debug, Clone)]
pub struct Risk {
    /// One of [`RISKS`].
    pub id: &'static str,
    /// How much it matters.
    pub level: RiskLevel,
    /// A sentence without a full stop.
    pub text: String,
    /// What brings it about.
    pub causes: Vec<Cause>,
}

/// The ids of risks that are looked for.
pub const RISKS: &[&str] = &[
    "expired",
    LIMIT_BELOW_USE,
    "ownerless",
    "pool-can-empty",
    "protection-removed",
    "retry-amplification",
    "tls-downgraded",
    "traffic-to-nothing",
];

/// The risk that is only found where it is known what is in use.
pub const LIMIT_BELOW_USE: &str = "limit-below-use";

pub(super) fn find(
    question: &Question<'_>,
    comparison: &Comparison,
    changes: &[Change],
    edited: &[Edited],
) -> Vec<Risk> {
    let mut risks = Vec::new();
    for resource in comparison.resources.iter().filter(|resource| resource.resource_type == ResourceType::Cluster) {
        limits::below_use(resource, question.load, changes, &mut risks);
        if resource.kind() == ChangeKind::Changed {
            protection::lost(resource, changes, &mut risks);
            protection::tls(resource, changes, &mut risks);
            protection::emptied_pool(resource, comparison, changes, &mut risks);
        }
    }
    reach::to_nothing(comparison, changes, &mut risks);
    retries::amplified(question, comparison, changes, &mut risks);
    annotations(question, edited, &mut risks);
    risks.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| (a.id, &a.text).cmp(&(b.id, &b.text))));
    risks.dedup_by(|a, b| (a.id, &a.text) == (b.id, &b.text));
    risks
}

/// What causes the lines of a resource whose field begins so.
fn causes_of(changes: &[Change], resource_type: ResourceType, name: &str, field: &str) -> Vec<Cause> {
    let lines = changes.iter().filter(|change| {
        change.resource_type == resource_type
            && change.resource.as_str() == name
            && change.field.as_deref().unwrap_or_default().contains(field)
    });
    let mut causes: Vec<Cause> = Vec::new();
    for cause in lines.flat_map(|change| &change.causes) {
        if !causes.iter().any(|known| known.document.id == cause.document.id && known.field == cause.field) {
            causes.push(cause.clone());
        }
    }
    causes
}

/// Changed documents without an owner, and those whose day is over.
fn annotations(question: &Question<'_>, edited: &[Edited], risks: &mut Vec<Risk>) {
    let of_documents: Vec<Diagnostic> = lint::of_documents(question.after, question.today);
    for document in edited.iter().filter_map(|edited| edited.after.as_ref()) {
        let cause = |field: &str| vec![Cause { document: document.clone(), field: field.into() }];
        if !document.metadata.annotations.0.contains_key("owner") {
            risks.push(Risk {
                id: "ownerless",
                level: RiskLevel::Low,
                text: format!("{} has no annotation `owner`: nobody is asked when it is in the way", document.name()),
                causes: cause("metadata"),
            });
        }
        let is_of_it = |found: &&Diagnostic| match &found.at {
            At::Place(place) => *place == document.place_of(&found.field),
            At::File(_) => false,
        };
        if let Some(found) = of_documents.iter().filter(|found| found.id == "expired").find(is_of_it) {
            risks.push(Risk {
                id: "expired",
                level: RiskLevel::Medium,
                text: format!("{}: {}", document.name(), found.message),
                causes: cause(&found.field),
            });
        }
    }
}
