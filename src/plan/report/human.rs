//! A plan on a terminal: short first, in columns, equal reasons said once.

use std::fmt::Write;

use super::{Ink, at, by_kind, by_resource, decided, ink::Style, kind_of, reach, seen_by, short, whom};
use crate::plan::{Cause, Change, ChangeKind, NoEffect, Plan, Risk, RiskLevel, UnknownWorkload};

/// How much of a plan is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// What fits on a screen.
    Short,
    /// Everything.
    All,
}

/// Of what is long, so much is shown first.
const FIRST_RISKS: usize = 10;
const FIRST_OF_A_KIND: usize = 3;
const FIRST_RESOURCES: usize = 20;
const FIRST_FIELDS: usize = 4;
const FIRST_IN_VAIN: usize = 10;

/// Paths longer than this push their own values out, not everybody's.
const WIDEST_FIELD: usize = 60;

/// For a terminal.
pub fn human(plan: &Plan, extent: Extent, ink: Ink) -> String {
    let mut page = Page { text: String::new(), extent, ink };
    if plan.is_empty() {
        page.line(0, &page.ink.paint(Style::Head, "no effect: every proxy is served the same"));
    } else {
        page.line(0, &page.ink.paint(Style::Head, reach(plan)));
    }
    page.risks(plan);
    page.effects(plan);
    page.resources(plan);
    page.in_vain(plan);
    page.text
}

struct Page {
    text: String,
    extent: Extent,
    ink: Ink,
}

impl Page {
    fn line(&mut self, indent: usize, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{text}", "");
    }

    fn head(&mut self, text: &str) {
        self.text.push('\n');
        self.line(0, &self.ink.paint(Style::Head, text));
    }

    /// How many of something long are shown.
    fn most(&self, first: usize) -> usize {
        if self.extent == Extent::All { usize::MAX } else { first }
    }

    fn more(&mut self, indent: usize, all: usize, shown: usize, what: &str) {
        if all > shown {
            let text = format!("… and {} more {what} (--all)", all - shown);
            self.line(indent, &self.ink.paint(Style::Aside, text));
        }
    }

    fn risks(&mut self, plan: &Plan) {
        if plan.risks.is_empty() {
            return;
        }
        self.head("risks");
        let width = plan.risks.iter().map(|risk| risk.id.len()).max().unwrap_or(0);
        for Risk { id, level, text, causes } in plan.risks.iter().take(self.most(FIRST_RISKS)) {
            let style = match level {
                RiskLevel::High => Style::High,
                RiskLevel::Medium => Style::Medium,
                RiskLevel::Low => Style::Low,
            };
            let head = self.ink.paint(style, format!("{:6}  {id:width$}", level.as_str()));
            self.line(2, &format!("{head}  {text}"));
            self.causes(width + 12, causes);
        }
        self.more(2, plan.risks.len(), self.most(FIRST_RISKS), "risks");
    }

    fn effects(&mut self, plan: &Plan) {
        if plan.effects.is_empty() {
            return;
        }
        self.head("effects");
        let kinds = by_kind(plan);
        let width = kinds.keys().map(|id| id.len()).max().unwrap_or(0);
        for (id, effects) in kinds {
            for effect in effects.iter().take(self.most(FIRST_OF_A_KIND)) {
                let id = self.ink.paint(Style::Changed, format!("{id:width$}"));
                let whom = self.ink.paint(Style::Aside, whom(plan, &effect.workloads));
                self.line(2, &format!("{id}  {}  {whom}", effect.text));
            }
            self.more(width + 4, effects.len(), self.most(FIRST_OF_A_KIND), &format!("of {id}"));
        }
    }

    fn resources(&mut self, plan: &Plan) {
        let resources = by_resource(plan);
        for ((resource_type, resource), lines) in resources.iter().take(self.most(FIRST_RESOURCES)) {
            let (sign, style) = match kind_of(lines) {
                ChangeKind::Added => ("+", Style::Added),
                ChangeKind::Removed => ("-", Style::Removed),
                ChangeKind::Changed => ("~", Style::Changed),
            };
            self.text.push('\n');
            let title = self.ink.paint(Style::Head, format!("{resource_type} {resource}"));
            let whom = self.ink.paint(Style::Aside, seen_by(plan, lines));
            self.line(0, &format!("{} {title}  {whom}", self.ink.paint(style, sign)));
            self.fields(lines);
        }
        self.more(0, resources.len(), self.most(FIRST_RESOURCES), "resources");
    }

    /// The fields of a resource, those with one reason together, and below them the reason.
    fn fields(&mut self, lines: &[&Change]) {
        let width = lines.iter().filter_map(|line| line.field.as_deref()).map(str::len);
        let width = width.filter(|&width| width <= WIDEST_FIELD).max().unwrap_or(0);
        for lines in with_one_reason(lines) {
            let fields: Vec<&&Change> = lines.iter().filter(|line| line.field.is_some()).collect();
            for line in fields.iter().take(self.most(FIRST_FIELDS)) {
                let field = line.field.as_deref().unwrap_or_default();
                let (before, after) = (short(&line.before), short(&line.after));
                let (before, after) = (self.ink.paint(Style::Removed, before), self.ink.paint(Style::Added, after));
                self.line(4, &format!("{field:width$}  {before} → {after}"));
            }
            self.more(4, fields.len(), self.most(FIRST_FIELDS), "fields for the same reason");
            let Some(line) = lines.first() else { continue };
            self.causes(6, &line.causes);
            let decided = format!("decided by {}", decided(&line.winner));
            self.line(6, &self.ink.paint(Style::Aside, decided));
        }
    }

    fn causes(&mut self, indent: usize, causes: &[Cause]) {
        for cause in causes.iter().take(self.most(FIRST_OF_A_KIND)) {
            let field = if cause.field.is_empty() { String::new() } else { format!("  {}", cause.field) };
            let text = format!("because of {}{field}  {}", cause.document.name(), at(cause));
            self.line(indent, &self.ink.paint(Style::Aside, text));
        }
        self.more(indent, causes.len(), self.most(FIRST_OF_A_KIND), "causes");
    }

    fn in_vain(&mut self, plan: &Plan) {
        if !plan.no_effect.is_empty() {
            self.head("no effect");
        }
        for NoEffect { document, place, reason } in plan.no_effect.iter().take(self.most(FIRST_IN_VAIN)) {
            let place = self.ink.paint(Style::Aside, format!("{}:{}", place.file.path, place.line));
            self.line(2, &format!("{document}  {place}"));
            self.line(4, reason);
        }
        self.more(2, plan.no_effect.len(), self.most(FIRST_IN_VAIN), "documents");
        if !plan.unknown_workloads.is_empty() {
            self.head("unknown workloads");
        }
        for UnknownWorkload { document, place, workload } in
            plan.unknown_workloads.iter().take(self.most(FIRST_IN_VAIN))
        {
            let place = self.ink.paint(Style::Aside, format!("{}:{}", place.file.path, place.line));
            self.line(2, &format!("{document}  {place}"));
            self.line(4, &format!("no known proxy is `{workload}`; what it does there is not seen here"));
        }
        self.more(2, plan.unknown_workloads.len(), self.most(FIRST_IN_VAIN), "documents");
    }
}

/// Lines that have the same causes and the same winners, in the order in which the first of them stands.
fn with_one_reason<'a>(lines: &[&'a Change]) -> Vec<Vec<&'a Change>> {
    let mut groups: Vec<Vec<&Change>> = Vec::new();
    for line in lines {
        let same = |group: &&mut Vec<&Change>| {
            group.first().is_some_and(|first| first.causes == line.causes && first.winner == line.winner)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(line),
            None => groups.push(vec![line]),
        }
    }
    groups
}
