//! A plan for programs: the types that are written are those that the schema is made from.

use std::{collections::BTreeSet, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::{
    diagnostic::Place,
    plan::{self, EFFECTS, Plan, RISKS, type_name},
};

/// What a change of policies does: what `chancery plan -o json` prints. More keys may come to stand beside these.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Output<'a> {
    /// Every field that differs, by type, resource and field.
    changes: Vec<Change<'a>>,
    /// The proxies that are served something else.
    proxies: Proxies<'a>,
    /// Their workloads.
    workloads: Workloads<'a>,
    /// What Envoys do when the change is pushed, beside taking the new values.
    effects: Vec<Effect<'a>>,
    /// What may go wrong, the worst first.
    risks: Vec<Risk<'a>>,
    /// Documents that were changed in vain.
    no_effect: Vec<NoEffect<'a>>,
    /// Workloads that changed documents name, and that no known proxy is.
    unknown_workloads: Vec<UnknownWorkload<'a>>,
}

/// A field that differs, or a resource that is there or not.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    /// Of what type the resource is.
    #[schemars(extend("enum" = ["cluster", "endpoints", "listener", "route"]))]
    r#type: &'static str,
    /// The name of the resource.
    resource: &'a str,
    /// How the resource differs.
    #[schemars(extend("enum" = ["added", "removed", "changed"]))]
    change: &'static str,
    /// The path in the resource's proto3 JSON, `a.b[0].c`; an item with a `name` stands by it, a key with dots as
    /// `["…"]`. Absent where the whole resource is there or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// What it was, as proto3 JSON; null where it was not set.
    before: &'a Value,
    /// What it is, as proto3 JSON; null where it is not set.
    after: &'a Value,
    /// Who sees it.
    workloads: Vec<&'a str>,
    /// The changed fields of documents that bring it about.
    causes: Vec<Cause<'a>>,
    /// Which document decides the value.
    winner: Winner<'a>,
}

/// Which document decides a value on each side.
#[derive(Debug, Serialize, JsonSchema)]
struct Winner<'a> {
    /// The one that did; absent where it was a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Cause<'a>>,
    /// The one that does; absent where it is a default.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Cause<'a>>,
}

/// A field of a document.
#[derive(Debug, Serialize, JsonSchema)]
struct Cause<'a> {
    /// `KIND/NAME`, or `KIND/NAMESPACE/NAME`.
    document: String,
    /// As reached from the working directory; `REV:path` in a revision.
    file: String,
    /// The line of the field.
    line: u32,
    /// The path below the document's root; empty = all of it.
    field: &'a str,
}

/// How many proxies are served something else.
#[derive(Debug, Serialize, JsonSchema)]
struct Proxies<'a> {
    /// How many are.
    affected: usize,
    /// Of how many.
    of: usize,
    /// The ids of those that are.
    names: Vec<&'a str>,
}

/// Which workloads are served something else.
#[derive(Debug, Serialize, JsonSchema)]
struct Workloads<'a> {
    /// Those that are.
    affected: Vec<&'a str>,
    /// Of how many.
    of: usize,
}

/// A side effect.
#[derive(Debug, Serialize, JsonSchema)]
struct Effect<'a> {
    /// Which.
    #[schemars(extend("enum" = EFFECTS))]
    id: &'static str,
    /// The cluster or listener it happens to.
    resource: &'a str,
    /// A sentence.
    text: &'a str,
    /// Whose proxies it happens in.
    workloads: Vec<&'a str>,
}

/// Something that may go wrong.
#[derive(Debug, Serialize, JsonSchema)]
struct Risk<'a> {
    /// Which: a word that `--fail-on` takes.
    #[schemars(extend("enum" = RISKS))]
    id: &'static str,
    /// How much it matters.
    #[schemars(extend("enum" = ["low", "medium", "high"]))]
    level: &'static str,
    /// A sentence.
    text: &'a str,
    /// The changed fields of documents that bring it about.
    causes: Vec<Cause<'a>>,
}

/// A document whose change does nothing.
#[derive(Debug, Serialize, JsonSchema)]
struct NoEffect<'a> {
    /// `KIND/NAME`, or `KIND/NAMESPACE/NAME`.
    document: &'a str,
    /// As reached from the working directory; `REV:path` in a revision.
    file: &'a str,
    /// Where it begins.
    line: u32,
    /// A sentence.
    reason: &'a str,
}

/// A workload that a changed document names, and that no known proxy is.
#[derive(Debug, Serialize, JsonSchema)]
struct UnknownWorkload<'a> {
    /// `KIND/NAME`, or `KIND/NAMESPACE/NAME`.
    document: &'a str,
    /// As reached from the working directory; `REV:path` in a revision.
    file: &'a str,
    /// Where it is named.
    line: u32,
    /// The name or pattern.
    workload: &'a str,
}

/// For programs.
pub fn json(plan: &Plan) -> Value {
    serde_json::to_value(Output::of(plan)).expect("a plan is plain data, which JSON can hold")
}

/// The JSON Schema of what [`json`] writes.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Output<'_>>()
}

impl<'a> Output<'a> {
    fn of(plan: &'a Plan) -> Self {
        let Plan {
            changes,
            affected,
            proxies,
            affected_workloads,
            workloads,
            effects,
            risks,
            no_effect,
            unknown_workloads,
        } = plan;
        Self {
            changes: changes.iter().map(Change::of).collect(),
            proxies: Proxies { affected: affected.len(), of: *proxies, names: names(affected) },
            workloads: Workloads { affected: names(affected_workloads), of: *workloads },
            effects: effects.iter().map(Effect::of).collect(),
            risks: risks.iter().map(Risk::of).collect(),
            no_effect: no_effect.iter().map(NoEffect::of).collect(),
            unknown_workloads: unknown_workloads.iter().map(UnknownWorkload::of).collect(),
        }
    }
}

fn names(names: &BTreeSet<Arc<str>>) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

impl<'a> Change<'a> {
    fn of(change: &'a plan::Change) -> Self {
        let plan::Change { resource_type, resource, kind, field, before, after, workloads, causes, winner, seen_by: _ } =
            change;
        Self {
            r#type: type_name(*resource_type),
            resource: resource.as_str(),
            change: kind.as_str(),
            field: field.as_deref(),
            before,
            after,
            workloads: names(workloads),
            causes: causes.iter().map(Cause::of).collect(),
            winner: Winner {
                before: winner.before.as_ref().map(Cause::of),
                after: winner.after.as_ref().map(Cause::of),
            },
        }
    }
}

impl<'a> Cause<'a> {
    fn of(cause: &'a plan::Cause) -> Self {
        let Place { file, line, .. } = cause.place();
        Self { document: cause.document.name(), file: file.path.to_string(), line, field: &cause.field }
    }
}

impl<'a> Effect<'a> {
    fn of(effect: &'a plan::Effect) -> Self {
        let plan::Effect { id, resource, text, workloads } = effect;
        Self { id, resource: resource.as_str(), text, workloads: names(workloads) }
    }
}

impl<'a> Risk<'a> {
    fn of(risk: &'a plan::Risk) -> Self {
        let plan::Risk { id, level, text, causes } = risk;
        Self { id, level: level.as_str(), text, causes: causes.iter().map(Cause::of).collect() }
    }
}

impl<'a> NoEffect<'a> {
    fn of(idle: &'a plan::NoEffect) -> Self {
        let plan::NoEffect { document, place, reason } = idle;
        Self { document, file: &place.file.path, line: place.line, reason }
    }
}

impl<'a> UnknownWorkload<'a> {
    fn of(unknown: &'a plan::UnknownWorkload) -> Self {
        let plan::UnknownWorkload { document, place, workload } = unknown;
        Self { document, file: &place.file.path, line: place.line, workload }
    }
}
