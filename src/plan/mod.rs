//! What a change of documents does, before it is merged: two compilations of one catalog, compared.
//!
//! ```text
//!  proxies ──group──► (group before, group after) ──compile both──► differing resources ──► fields
//!                                                                         │
//!  documents that differ ──one leaf taken back at a time, compiled again──┴──► causes, and who has none: no effect
//! ```
//!
//! Proxies that are served alike are compared once, whatever their number. What a changed field comes from is not
//! guessed from names: the leaf is taken back in the very world that serves, and the lines that then differ are its own.
//! Nothing here reads a clock, a file or a revision; who calls brings both sets of policies.

mod causes;
mod compare;
mod difference;
mod effects;
mod hashing;
mod load;
mod no_effect;
mod report;
mod risks;
mod winners;
mod workloads;

use std::{collections::BTreeSet, sync::Arc};

use serde_json::Value;

pub use self::{
    causes::Cause,
    difference::{FieldChange, fields, without_provenance},
    effects::{EFFECTS, Effect, Reshuffle},
    hashing::{HashFunction, Host, Maglev, Ring},
    load::{Load, Use, load_schema},
    no_effect::{NoEffect, UnknownWorkload},
    report::{Extent, Ink, human, json, markdown, schema},
    risks::{LIMIT_BELOW_USE, RISKS, Risk, RiskLevel},
    winners::Winner,
    workloads::workloads_of,
};
use crate::{
    control::World,
    model::{Catalog, Proxy, ResourceName},
    policy::{Date, PolicySet},
    resources::ResourceType,
};

/// What is compared.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The services, the same on both sides.
    pub catalog: &'a Catalog,
    /// The policies as they were.
    pub before: &'a Arc<PolicySet>,
    /// The policies as they shall be.
    pub after: &'a Arc<PolicySet>,
    /// Every proxy.
    pub proxies: &'a [Proxy],
    /// What is in use now, as far as it is known.
    pub load: &'a Load,
    /// The day annotations are held against.
    pub today: Date,
}

/// What a change does.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// By type, resource and field.
    pub changes: Vec<Change>,
    /// The proxies whose resources differ, by id.
    pub affected: BTreeSet<Arc<str>>,
    /// How many there are.
    pub proxies: usize,
    /// The workloads of those.
    pub affected_workloads: BTreeSet<Arc<str>>,
    /// How many there are.
    pub workloads: usize,
    /// What Envoys do beside taking the new values.
    pub effects: Vec<Effect>,
    /// What may go wrong.
    pub risks: Vec<Risk>,
    /// Documents that were changed in vain.
    pub no_effect: Vec<NoEffect>,
    /// Workloads that changed documents name, and that no known proxy is.
    pub unknown_workloads: Vec<UnknownWorkload>,
}

/// One line: a field that differs, or a resource that is there or not.
#[derive(Debug, Clone)]
pub struct Change {
    /// Of what type.
    pub resource_type: ResourceType,
    /// Which resource.
    pub resource: ResourceName,
    /// How it differs.
    pub kind: ChangeKind,
    /// Where; absent where the whole resource is there or not.
    pub field: Option<String>,
    /// What it was; `Null` where it was not set.
    pub before: Value,
    /// What it is; `Null` where it is not set.
    pub after: Value,
    /// Who sees it.
    pub workloads: BTreeSet<Arc<str>>,
    /// What brings it about.
    pub causes: Vec<Cause>,
    /// Which document decides the value.
    pub winner: Winner,
    /// One kind of the proxies that see it.
    pub(self) seen_by: usize,
}

/// How a resource differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is another.
    Changed,
}

impl ChangeKind {
    /// As written in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// What a type is called in a plan.
pub fn type_name(resource_type: ResourceType) -> &'static str {
    match resource_type {
        ResourceType::Cluster => "cluster",
        ResourceType::Endpoints => "endpoints",
        ResourceType::Secret => "secret",
        ResourceType::Listener => "listener",
        ResourceType::Route => "route",
    }
}

impl Plan {
    /// Compares. The world is a scratch pad: it ends with one of the two sets of policies in it.
    pub fn of(world: &mut World, question: &Question<'_>) -> Self {
        let comparison = compare::compare(world, question);
        let mut plan = comparison.plan();
        let attributed = causes::find(world, question, &comparison, &mut plan.changes);
        (plan.no_effect, plan.unknown_workloads) = no_effect::find(world, question, &comparison, &attributed);
        winners::find(world, question, &comparison, &mut plan.changes);
        plan.effects = effects::find(&comparison);
        plan.risks = risks::find(question, &comparison, &plan.changes, &attributed);
        plan
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}
