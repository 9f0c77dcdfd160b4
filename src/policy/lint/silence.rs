//! Comments that silence a lint, each with its reason: `# chancery:ignore ID: REASON`, on the line it is about, above
//! it, or above a document for all of it.
//!
//! A silence is as strict as a policy: one without a reason or of an unknown lint is an error, one that silences
//! nothing (any more) a warning. Errors cannot be silenced.

use std::{
    collections::{BTreeMap, HashSet},
    ops::Range,
    sync::Arc,
};

use super::{LINTS, Needs, find};
use crate::{
    diagnostic::{At, Diagnostic, Level, Place, SourceFile},
    yaml::{self, MarkedComment, did_you_mean, nearest},
};

const MARKER: &str = "chancery:";
const EXAMPLE: &str = "write `# chancery:ignore ID: REASON`";

/// A lint that is not to be told of a stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    lint: &'static str,
    comment: Place,
    /// In bytes of the file.
    about: Range<usize>,
}

impl Silence {
    fn covers(&self, problem: &Diagnostic) -> bool {
        let At::Place(place) = &problem.at else { return false };
        problem.level == Level::Warning
            && problem.id == self.lint
            && place.file.path == self.comment.file.path
            && self.about.contains(&place.start)
    }
}

/// The silences of a file, and what is wrong with them.
pub(in super::super) fn read(file: &Arc<SourceFile>, documents: &[yaml::Document]) -> (Vec<Silence>, Vec<Diagnostic>) {
    let mut silences = Vec::new();
    let mut problems = Vec::new();
    for comment in yaml::marked_comments(file, documents, MARKER) {
        match read_comment(&comment) {
            Ok(more) => silences.extend(more),
            Err(problem) => problems.push(*problem),
        }
    }
    (silences, problems)
}

fn read_comment(comment: &MarkedComment) -> Result<Vec<Silence>, Box<Diagnostic>> {
    let error = |id, message: String| Box::new(Diagnostic::error(id, comment.place.clone(), "", message));
    let (word, rest) = comment.text.split_once(char::is_whitespace).unwrap_or((&comment.text, ""));
    if word != "ignore" {
        // `chancery: our control plane` is prose, `chancery:ignroe` a slip.
        let is_slip = nearest(word, ["ignore"]).is_some();
        let problem = || error("unknown-comment", format!("`chancery:{word}` means nothing"));
        return if is_slip { Err(Box::new(problem().remedy(EXAMPLE))) } else { Ok(Vec::new()) };
    }
    let (ids, reason) = rest.split_once(':').unwrap_or((rest, ""));
    let mut silences = Vec::new();
    for id in ids.split(',').map(str::trim) {
        let Some(lint) = find(id) else {
            let problem = *error("unknown-lint", format!("`{id}` is no lint"));
            let remedy = did_you_mean(id, LINTS.iter().map(|lint| lint.id));
            return Err(Box::new(Diagnostic { remedy, ..problem }));
        };
        silences.push(Silence { lint: lint.id, comment: comment.place.clone(), about: comment.about.clone() });
    }
    if reason.trim().is_empty() {
        let problem = *error("silence-without-reason", "this silences a lint and does not say why".to_owned());
        return Err(Box::new(problem.remedy(format!("{EXAMPLE}: who reads it next needs the reason"))));
    }
    Ok(silences)
}

/// Which lints were tried, so that a silence of another is not called idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// Those that look at documents alone: there are no services.
    Documents,
    /// All of them.
    All,
}

/// Problems without what is silenced, and a warning for each silence that silences nothing.
pub fn heed(problems: Vec<Diagnostic>, silences: &[Silence], tried: Tried) -> Vec<Diagnostic> {
    // What is wrong with documents shows again with services.
    let mut seen = HashSet::new();
    let problems: Vec<Diagnostic> = problems.into_iter().filter(|problem| seen.insert(problem.clone())).collect();
    if silences.is_empty() {
        return problems;
    }
    let mut by_key: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (index, silence) in silences.iter().enumerate() {
        by_key.entry((&silence.comment.file.path, silence.lint)).or_default().push(index);
    }
    let mut used = vec![false; silences.len()];
    let mut kept = Vec::new();
    for problem in problems {
        let candidates = by_key.get(&(problem.file(), problem.id)).into_iter().flatten();
        let covering: Vec<usize> = candidates.copied().filter(|&index| silences[index].covers(&problem)).collect();
        for &index in &covering {
            used[index] = true;
        }
        if covering.is_empty() {
            kept.push(problem);
        }
    }
    let was_tried = |silence: &Silence| {
        tried == Tried::All || find(silence.lint).is_some_and(|lint| lint.needs == Needs::Documents)
    };
    let idle = silences.iter().zip(used).filter(|(silence, used)| !used && was_tried(silence));
    kept.extend(idle.map(|(silence, _)| {
        let message = format!("`{}` finds nothing here: this comment silences nothing", silence.lint);
        Diagnostic::warning("idle-silence", silence.comment.clone(), "", message)
            .remedy("remove the comment, or put it on or above the line that it is meant for")
    }));
    kept
}

/// Whether a problem is silenced.
pub(in super::super) fn is_silenced(problem: &Diagnostic, silences: &[Silence]) -> bool {
    silences.iter().any(|silence| silence.covers(problem))
}
