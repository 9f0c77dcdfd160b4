//! A plan as people and programs read it.
//!
//! | form | for | what is first |
//! |---|---|---|
//! | [`human`] | a terminal | whom it reaches, risks, effects; then each resource, equal reasons said once |
//! | [`markdown`] | a comment on a pull request | the same, the lines folded away, never longer than such a comment may be |
//! | [`json`] | programs | its shape is [`schema`]'s, from the very types that are written |

mod human;
mod ink;
mod json;
mod markdown;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

pub use self::{
    human::{Extent, human},
    ink::Ink,
    json::{json, schema},
    markdown::markdown,
};
use super::{Cause, Change, ChangeKind, Effect, Plan, Winner, type_name};

/// Whom it reaches, in one line.
fn reach(plan: &Plan) -> String {
    let names: Vec<&str> = plan.affected_workloads.iter().map(|name| &**name).collect();
    let shown = match names.len() {
        0..=8 => names.join(", "),
        many => format!("{}, … and {} more", names[..8].join(", "), many - 8),
    };
    format!(
        "{} of {} proxies of {} of {} workloads are affected: {shown}",
        plan.affected.len(),
        plan.proxies,
        names.len(),
        plan.workloads
    )
}

fn by_resource(plan: &Plan) -> BTreeMap<(&'static str, &str), Vec<&Change>> {
    let mut resources: BTreeMap<(&'static str, &str), Vec<&Change>> = BTreeMap::new();
    for change in &plan.changes {
        resources.entry((type_name(change.resource_type), change.resource.as_str())).or_default().push(change);
    }
    resources
}

/// Effects of one kind together: a change of five hundred clusters is told by a few of each.
fn by_kind(plan: &Plan) -> BTreeMap<&'static str, Vec<&Effect>> {
    let mut kinds: BTreeMap<&'static str, Vec<&Effect>> = BTreeMap::new();
    for effect in &plan.effects {
        kinds.entry(effect.id).or_default().push(effect);
    }
    kinds
}

fn kind_of(lines: &[&Change]) -> ChangeKind {
    lines.first().map_or(ChangeKind::Changed, |line| line.kind)
}

/// Whose proxies see lines.
fn seen_by(plan: &Plan, lines: &[&Change]) -> String {
    whom(plan, lines.iter().flat_map(|line| &line.workloads))
}

fn whom<'a>(plan: &Plan, workloads: impl IntoIterator<Item = &'a Arc<str>>) -> String {
    let workloads: BTreeSet<&str> = workloads.into_iter().map(|name| &**name).collect();
    match workloads.len() {
        all if all == plan.workloads => "(every workload)".into(),
        1..=3 => format!("({})", workloads.into_iter().collect::<Vec<_>>().join(", ")),
        many => format!("({many} of {} workloads)", plan.workloads),
    }
}

/// Text without quotes, and nothing longer than a line can hold: a block is there or not, its parts are told elsewhere.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Null => "(unset)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_u64() == Some(u64::from(u32::MAX)) => "no limit".into(),
        other => other.to_string(),
    };
    match value {
        _ if text.chars().count() <= LONGEST => text,
        Value::Object(_) => "{…}".into(),
        _ => text.chars().take(LONGEST).chain(['…']).collect(),
    }
}

/// Which document decides, and which did.
fn decided(winner: &Winner) -> String {
    let who = |cause: &Option<Cause>| match cause {
        Some(cause) => format!("{}  {}", cause.document.name(), at(cause)),
        None => "nobody (a default)".into(),
    };
    let Winner { before, after } = winner;
    let same = match (before, after) {
        (Some(before), Some(after)) => before.document.id == after.document.id && before.field == after.field,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    match same {
        true => format!("{}, as before", after.as_ref().map_or_else(|| who(after), |cause| cause.document.name())),
        false => format!("{}; before: {}", who(after), who(before)),
    }
}

fn at(cause: &Cause) -> String {
    let place = cause.place();
    format!("{}:{}", place.file.path, place.line)
}
