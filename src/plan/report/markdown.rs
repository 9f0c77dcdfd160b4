//! A plan as a comment on a pull request: the sum first, the lines folded away, never longer than such a comment may be.

use std::fmt::Write;

use super::{at, by_kind, by_resource, decided, kind_of, reach, seen_by, short, whom};
use crate::plan::{Cause, NoEffect, Plan, Risk, UnknownWorkload};

/// What a comment on a pull request may hold, with room for what is put around it.
const MOST_BYTES: usize = 60_000;

/// Of risks, effects of a kind, and documents in vain, so many are listed.
const MOST_ITEMS: usize = 50;

/// For a comment on a pull request.
pub fn markdown(plan: &Plan) -> String {
    let mut text = String::from("### What this change does\n\n");
    if plan.is_empty() {
        text.push_str("**No effect**: every proxy is served the same.\n\n");
    } else {
        let _ = writeln!(text, "{}.\n", escaped(&reach(plan)));
    }
    if !plan.risks.is_empty() {
        text.push_str("| risk | level | | because of |\n|---|---|---|---|\n");
        for Risk { id, level, text: sentence, causes } in plan.risks.iter().take(MOST_ITEMS) {
            let causes = listed(causes.iter().take(3));
            let _ = writeln!(text, "| `{id}` | {} | {} | {causes} |", level.as_str(), escaped(sentence));
        }
        text.push('\n');
        more(&mut text, plan.risks.len(), "risks");
    }
    if !plan.effects.is_empty() {
        let _ = writeln!(text, "<details><summary>{} side effects</summary>\n", plan.effects.len());
        for (id, effects) in by_kind(plan) {
            for effect in effects.iter().take(MOST_ITEMS) {
                let whom = whom(plan, &effect.workloads);
                let _ = writeln!(text, "- `{id}`: {} {}", escaped(&effect.text), escaped(&whom));
            }
            if effects.len() > MOST_ITEMS {
                let _ = writeln!(text, "- … and {} more of `{id}`", effects.len() - MOST_ITEMS);
            }
        }
        text.push_str("\n</details>\n\n");
    }
    for NoEffect { document, place, reason } in plan.no_effect.iter().take(MOST_ITEMS) {
        let (path, line) = (escaped(&place.file.path), place.line);
        let _ = writeln!(text, "- `{document}` ({path}:{line}) has **no effect**: {}", escaped(reason));
    }
    more(&mut text, plan.no_effect.len(), "documents without effect");
    for UnknownWorkload { document, place, workload } in plan.unknown_workloads.iter().take(MOST_ITEMS) {
        let (path, line) = (escaped(&place.file.path), place.line);
        let _ = writeln!(text, "- `{document}` ({path}:{line}) names a workload that no known proxy is: `{workload}`");
    }
    more(&mut text, plan.unknown_workloads.len(), "unknown workloads");
    if !plan.no_effect.is_empty() || !plan.unknown_workloads.is_empty() {
        text.push('\n');
    }
    resources(&mut text, plan);
    text
}

fn more(text: &mut String, all: usize, what: &str) {
    if all > MOST_ITEMS {
        let _ = writeln!(text, "… and {} more {what}.\n", all - MOST_ITEMS);
    }
}

fn resources(text: &mut String, plan: &Plan) {
    let resources = by_resource(plan);
    let mut left = resources.len();
    for ((resource_type, resource), lines) in resources {
        let mut section = format!(
            "<details><summary>{} {resource_type} <code>{}</code> {}</summary>\n\n\
             | field | before | after | because of | decided by |\n|---|---|---|---|---|\n",
            kind_of(&lines).as_str(),
            escaped(resource),
            escaped(&seen_by(plan, &lines)),
        );
        for line in lines {
            let _ = writeln!(
                section,
                "| {} | {} | {} | {} | {} |",
                escaped(line.field.as_deref().unwrap_or("(all of it)")),
                escaped(&short(&line.before)),
                escaped(&short(&line.after)),
                listed(&line.causes),
                escaped(&decided(&line.winner)),
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
}

fn listed<'a>(causes: impl IntoIterator<Item = &'a Cause>) -> String {
    let text = |cause: &Cause| format!("`{}`", format!("{} {}", at(cause), cause.field).trim_end());
    causes.into_iter().map(text).collect::<Vec<_>>().join("<br>")
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
