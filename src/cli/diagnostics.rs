//! Diagnostics for people and programs: with the line and a caret, as JSON, as SARIF, as annotations of a CI run.

use std::io::IsTerminal;

use annotate_snippets::{AnnotationKind, Level as SnippetLevel, Renderer, Snippet};
use serde_json::{Value, json};

use super::output;
use crate::{
    diagnostic::{At, Diagnostic, Level, Place},
    policy::lint,
};

/// Prints problems for a person, to stderr.
pub(super) fn explain(problems: &[Diagnostic]) {
    let colour = if std::io::stderr().is_terminal() { Colour::On } else { Colour::Off };
    output::progress(format_args!("{}", human(problems, colour)));
}

/// Whether escape sequences may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    On,
    Off,
}

/// Each problem with its line and a caret, then how many there are.
pub(super) fn human(problems: &[Diagnostic], colour: Colour) -> String {
    let renderer = match colour {
        Colour::On => Renderer::styled(),
        Colour::Off => Renderer::plain(),
    };
    let mut text: String = problems.iter().map(|problem| one(problem, &renderer) + "\n\n").collect();
    let count = |level| problems.iter().filter(|problem| problem.level == level).count();
    let of = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    text.push_str(&format!("{}, {}", of(count(Level::Error), "error"), of(count(Level::Warning), "warning")));
    text
}

fn one(problem: &Diagnostic, renderer: &Renderer) -> String {
    let level = match problem.level {
        Level::Error => SnippetLevel::ERROR,
        Level::Warning => SnippetLevel::WARNING,
    };
    let title = if problem.field.is_empty() {
        problem.message.clone()
    } else {
        format!("{}: {}", problem.field, problem.message)
    };
    let mut group = level
        .primary_title(title.as_str())
        .id(problem.id)
        .elements(None::<Snippet<'_, annotate_snippets::Annotation<'_>>>);
    if let At::Place(place) = &problem.at {
        group = group.element(snippet(place, AnnotationKind::Primary, problem.remedy.as_deref().unwrap_or_default()));
    }
    for (place, part) in &problem.related {
        group = group.element(snippet(place, AnnotationKind::Context, part));
    }
    let mut text = renderer.render(&[group]).to_string();
    if let At::File(path) = &problem.at {
        text.push_str(&format!("\n --> {path}"));
        if let Some(remedy) = &problem.remedy {
            text.push_str(&format!("\n  = {remedy}"));
        }
    }
    text
}

/// Only the line and what is around it: rendering a file of megabytes for each of its problems would take for ever.
fn snippet<'a>(
    place: &'a Place,
    kind: AnnotationKind,
    label: &'a str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let text = &*place.file.text;
    let begin = text[..place.start].rfind('\n').map_or(0, |at| at + 1);
    let end_of_line = text[place.start..].find('\n').map_or(text.len(), |at| place.start + at);
    // A value over many lines is pointed at by its first.
    let end = place.end.clamp(place.start, end_of_line).max(place.start);
    let annotation = kind.span(place.start - begin..end - begin);
    let annotation = if label.is_empty() { annotation } else { annotation.label(label) };
    Snippet::source(&text[begin..end_of_line])
        .line_start(place.line as usize)
        .path(&*place.file.path)
        .annotation(annotation)
}

/// As `validate -o json` prints them.
pub(super) fn json(problems: &[Diagnostic]) -> Value {
    let problem = |problem: &Diagnostic| {
        let (line, column) = position(problem);
        json!({
            "level": problem.level.as_str(), "id": problem.id, "file": problem.file(), "line": line, "column": column,
            "field": problem.field, "message": problem.message, "remedy": problem.remedy,
            "related": problem.related.iter().map(|(place, part)| json!({
                "file": &*place.file.path, "line": place.line, "column": place.column, "message": part,
            })).collect::<Vec<_>>(),
        })
    };
    json!({ "problems": problems.iter().map(problem).collect::<Vec<_>>() })
}

/// As SARIF 2.1.0, which code hosts show beside the lines.
pub(super) fn sarif(problems: &[Diagnostic]) -> Value {
    let result = |problem: &Diagnostic| {
        let (line, column) = position(problem);
        json!({
            "ruleId": problem.id,
            "level": problem.level.as_str(),
            "message": { "text": sentence(problem) },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": problem.file() },
                "region": { "startLine": line, "startColumn": column },
            } }],
        })
    };
    let mut rules: Vec<&str> = problems.iter().map(|problem| problem.id).collect();
    rules.sort_unstable();
    rules.dedup();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "chancery", "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|id| rule(id)).collect::<Vec<_>>(),
            } },
            "results": problems.iter().map(result).collect::<Vec<_>>(),
        }],
    })
}

/// What SARIF says of a kind of problem; of a lint, where its section in the documentation is.
fn rule(id: &str) -> Value {
    let Some(lint) = lint::find(id) else { return json!({ "id": id }) };
    let section = format!("docs/lints.md#{id}");
    json!({
        "id": id,
        "shortDescription": { "text": lint.about },
        "help": { "text": format!("See {section}."), "markdown": format!("See [{section}]({section}).") },
        "properties": { "documentation": section },
    })
}

/// As GitHub's workflow commands.
pub(super) fn github(problems: &[Diagnostic]) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    problems
        .iter()
        .map(|problem| {
            let (line, column) = position(problem);
            format!(
                "::{} file={},line={line},col={column},title={}::{}\n",
                problem.level.as_str(),
                escape(problem.file()),
                problem.id,
                escape(&sentence(problem)),
            )
        })
        .collect()
}

/// A problem of a whole file stands at its beginning.
fn position(problem: &Diagnostic) -> (u32, u32) {
    match &problem.at {
        At::Place(place) => (place.line, place.column),
        At::File(_) => (1, 1),
    }
}

fn sentence(problem: &Diagnostic) -> String {
    let field = if problem.field.is_empty() { String::new() } else { format!("{}: ", problem.field) };
    let remedy = problem.remedy.as_ref().map(|remedy| format!(": {remedy}")).unwrap_or_default();
    format!("{field}{}{remedy}", problem.message)
}
