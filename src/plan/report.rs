//! A plan as people and programs read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};

use serde_json::{Value, json};

use super::{Cause, Change, ChangeKind, NoEffect, Plan, Risk, UnknownWorkload, type_name};
use crate::diagnostic::Place;

/// For programs.
pub fn json(plan: &Plan) -> Value {
    let changes: Vec<Value> = plan.changes.iter().map(change_json).collect();
    let effects: Vec<Value> = plan
        .effects
        .iter()
        .map(|effect| json!({ "id": effect.id, "resource": effect.resource.as_str(), "text": effect.text }))
        .collect();
    let risks: Vec<Value> = plan
        .risks
        .iter()
        .map(|Risk { id, level, text, causes }| {
            json!({ "id": id, "level": level.as_str(), "text": text, "causes": causes.iter().map(cause_json).collect::<Vec<_>>() })
        })
        .collect();
    let no_effect: Vec<Value> = plan
        .no_effect
        .iter()
        .map(|NoEffect { document, place, reason }| placed(place, json!({ "document": document, "reason": reason })))
        .collect();
    let unknown: Vec<Value> = plan
        .unknown_workloads
        .iter()
        .map(|UnknownWorkload { document, place, workload }| {
            placed(place, json!({ "document": document, "workload": workload }))
        })
        .collect();
    json!({
        "changes": changes,
        "proxies": { "affected": plan.affected.len(), "of": plan.proxies, "names": names(&plan.affected) },
        "workloads": { "affected": names(&plan.affected_workloads), "of": plan.workloads },
        "effects": effects, "risks": risks, "noEffect": no_effect, "unknownWorkloads": unknown,
    })
}

fn names(names: &BTreeSet<Arc<str>>) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

fn change_json(change: &Change) -> Value {
    let Change { resource_type, resource, kind, field, before, after, workloads, causes } = change;
    let mut said = json!({
        "type": type_name(*resource_type), "resource": resource.as_str(), "change": kind.as_str(),
        "before": before, "after": after, "workloads": names(workloads),
        "causes": causes.iter().map(cause_json).collect::<Vec<_>>(),
    });
    if let Some(field) = field {
        said["field"] = json!(field);
    }
    said
}

fn cause_json(cause: &Cause) -> Value {
    placed(&cause.place(), json!({ "document": cause.document.name(), "field": cause.field }))
}

fn placed(place: &Place, mut said: Value) -> Value {
    said["file"] = json!(&*place.file.path);
    said["line"] = json!(place.line);
    said
}

/// How much of a plan is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What fits on a screen.
    Short,
    /// Everything.
    All,
}

/// Of what is long, so much is shown first.
const FIRST_RESOURCES: usize = 20;
const FIRST_EFFECTS: usize = 10;

/// For a terminal.
pub fn human(plan: &Plan, extent: Extent) -> String {
    let mut text = String::new();
    if plan.is_empty() {
        text.push_str("no effect: every proxy is served the same\n");
    } else {
        let _ = writeln!(text, "{}\n", reach(plan));
    }
    for Risk { id, level, text: sentence, causes } in &plan.risks {
        let _ = writeln!(text, "risk ({})  {id}: {sentence}", level.as_str());
        for cause in causes.iter().take(3) {
            let _ = writeln!(text, "    {}", cause_text(cause));
        }
    }
    if !plan.risks.is_empty() {
        text.push('\n');
    }
    let limit = |most: usize| if extent == Extent::All { usize::MAX } else { most };
    let more = |text: &mut String, all: usize, shown: usize, what: &str| {
        if all > shown {
            let _ = writeln!(text, "… and {} more {what} (--all)", all - shown);
        }
    };
    for effect in plan.effects.iter().take(limit(FIRST_EFFECTS)) {
        let _ = writeln!(text, "effect  {}: {}", effect.id, effect.text);
    }
    more(&mut text, plan.effects.len(), limit(FIRST_EFFECTS), "effects");
    if !plan.effects.is_empty() {
        text.push('\n');
    }
    let resources = by_resource(plan);
    for ((resource_type, resource), lines) in resources.iter().take(limit(FIRST_RESOURCES)) {
        let _ = writeln!(text, "{} {resource_type} {resource}  {}", sign(lines), whom(plan, lines));
        let width = lines.iter().filter_map(|line| line.field.as_deref()).map(str::len).filter(|len| *len < 60).max();
        for line in lines {
            let _ = match &line.field {
                Some(field) => writeln!(
                    text,
                    "    {field:width$}  {} → {}",
                    short(&line.before),
                    short(&line.after),
                    width = width.unwrap_or(0)
                ),
                None => Ok(()),
            };
            for cause in &line.causes {
                let _ = writeln!(text, "        {}", cause_text(cause));
            }
        }
    }
    more(&mut text, resources.len(), limit(FIRST_RESOURCES), "resources");
    for NoEffect { document, place, reason } in &plan.no_effect {
        let _ = writeln!(text, "no effect  {document}  {}:{}\n    {reason}", place.file.path, place.line);
    }
    for UnknownWorkload { document, place, workload } in &plan.unknown_workloads {
        let _ = writeln!(
            text,
            "unknown workload  {document}  {}:{}\n    no known proxy is `{workload}`; what it does there is not seen here",
            place.file.path, place.line
        );
    }
    text
}

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

fn sign(lines: &[&Change]) -> &'static str {
    match lines.first().map(|line| line.kind) {
        Some(ChangeKind::Added) => "+",
        Some(ChangeKind::Removed) => "-",
        Some(ChangeKind::Changed) | None => "~",
    }
}

fn whom(plan: &Plan, lines: &[&Change]) -> String {
    let workloads: BTreeSet<&str> = lines.iter().flat_map(|line| line.workloads.iter().map(|name| &**name)).collect();
    match workloads.len() {
        all if all == plan.workloads => "(every workload)".into(),
        1..=3 => format!("({})", workloads.into_iter().collect::<Vec<_>>().join(", ")),
        many => format!("({many} of {} workloads)", plan.workloads),
    }
}

/// Text without quotes, and nothing longer than a line can hold.
fn short(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value {
        Value::Null => "(unset)".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_u64() == Some(u64::from(u32::MAX)) => "no limit".into(),
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST { text } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

fn cause_text(cause: &Cause) -> String {
    let place = cause.place();
    let field = if cause.field.is_empty() { String::new() } else { format!("  {}", cause.field) };
    format!("{}{field}  {}:{}", cause.document.name(), place.file.path, place.line)
}

/// What a comment on a pull request may hold, with room for what is put around it.
const MOST_BYTES: usize = 60_000;

/// For a comment on a pull request: the sum first, the lines folded away, never longer than such a comment may be.
pub fn markdown(plan: &Plan) -> String {
    let mut text = String::from("### What this change does\n\n");
    if plan.is_empty() {
        text.push_str("**No effect**: every proxy is served the same.\n");
    } else {
        let _ = writeln!(text, "{}.\n", escaped(&reach(plan)));
    }
    if !plan.risks.is_empty() {
        text.push_str("| risk | level | | because of |\n|---|---|---|---|\n");
        for Risk { id, level, text: sentence, causes } in plan.risks.iter().take(50) {
            let causes: Vec<String> = causes.iter().take(3).map(|cause| format!("`{}`", place_text(cause))).collect();
            let _ = writeln!(text, "| `{id}` | {} | {} | {} |", level.as_str(), escaped(sentence), causes.join("<br>"));
        }
        text.push('\n');
    }
    if !plan.effects.is_empty() {
        let _ = writeln!(text, "<details><summary>{} side effects</summary>\n", plan.effects.len());
        for effect in plan.effects.iter().take(100) {
            let _ = writeln!(text, "- `{}`: {}", effect.id, escaped(&effect.text));
        }
        text.push_str("\n</details>\n\n");
    }
    for NoEffect { document, place, reason } in plan.no_effect.iter().take(50) {
        let _ = writeln!(
            text,
            "- `{document}` ({}:{}) has **no effect**: {}",
            escaped(&place.file.path),
            place.line,
            escaped(reason)
        );
    }
    for UnknownWorkload { document, place, workload } in plan.unknown_workloads.iter().take(50) {
        let _ = writeln!(
            text,
            "- `{document}` ({}:{}) names a workload that no known proxy is: `{workload}`",
            escaped(&place.file.path),
            place.line
        );
    }
    let resources = by_resource(plan);
    let mut left = resources.len();
    for ((resource_type, resource), lines) in resources {
        let mut section = format!(
            "<details><summary>{} {resource_type} <code>{}</code> {}</summary>\n\n| field | before | after | because of |\n|---|---|---|---|\n",
            lines.first().map_or("changed", |line| line.kind.as_str()),
            escaped(resource),
            escaped(&whom(plan, &lines)),
        );
        for line in lines {
            let causes: Vec<String> = line.causes.iter().map(|cause| format!("`{}`", place_text(cause))).collect();
            let _ = writeln!(
                section,
                "| {} | {} | {} | {} |",
                escaped(line.field.as_deref().unwrap_or("(all of it)")),
                escaped(&short(&line.before)),
                escaped(&short(&line.after)),
                causes.join("<br>")
            );
        }
        section.push_str("\n</details>\n");
        if text.len() + section.len() > MOST_BYTES {
            let _ = writeln!(text, "\n… and {left} more resources: `chancery plan --all` shows them.");
            break;
        }
        left -= 1;
        text.push_str(&section);
    }
    text
}

fn place_text(cause: &Cause) -> String {
    let place = cause.place();
    format!("{}:{} {}", place.file.path, place.line, cause.field).trim_end().to_owned()
}

/// What a document says must not become a table, a tag or a mention.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '@' | '#' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '\n' | '\r' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}
