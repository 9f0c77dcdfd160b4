//! The policies in force while files come and go: a pure keeper of the last good content.
//!
//! A file that does not parse or check keeps its last good content while the others take effect. Of two files that
//! contradict each other, the one that changed keeps its old content. On the first load there is no old content:
//! then every problem is reported, and the caller decides whether to go on.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    document::{Document, read_file},
    lint::{self, Silence},
    set::PolicySet,
};
use crate::diagnostic::{Diagnostic, Level, SourceFile};

/// Files by path, each with its newest and its last good content.
#[derive(Debug, Clone, Default)]
pub struct Library {
    files: BTreeMap<Arc<str>, File>,
    policies: Arc<PolicySet>,
    problems: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct File {
    newest: Arc<SourceFile>,
    /// What is wrong with the newest content on its own.
    problems: Vec<Diagnostic>,
    /// Comments of the newest content that silence a lint.
    silences: Vec<Silence>,
    /// What counts.
    good: Content,
    /// The newest content where it contradicts what counts: it is tried again whenever something changes, so that
    /// it does not matter in which order files are written.
    waiting: Option<Content>,
}

/// Documents, and the text they were read from.
#[derive(Debug, Clone, Default)]
struct Content {
    /// Absent where a file never was good as a whole, and what could be read of it counts.
    text: Option<Arc<SourceFile>>,
    documents: Vec<Arc<Document>>,
}

impl Library {
    /// The policies in force.
    pub fn policies(&self) -> &Arc<PolicySet> {
        &self.policies
    }

    /// The files that count, each with its last good content, sorted by path: from these, and nothing else, a library in
    /// another process comes to the same policies.
    pub fn good_files(&self) -> Vec<Arc<SourceFile>> {
        self.files.values().filter_map(|file| file.good.text.clone()).collect()
    }

    /// What is wrong with the newest contents.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// Comments of the newest contents that silence a lint.
    pub fn silences(&self) -> Vec<Silence> {
        self.files.values().flat_map(|file| file.silences.iter().cloned()).collect()
    }

    /// What is wrong with the newest contents, without the warnings that a comment in them silences.
    pub fn unsilenced_problems(&self) -> Vec<Diagnostic> {
        let silences = self.silences();
        self.problems.iter().filter(|problem| !lint::is_silenced(problem, &silences)).cloned().collect()
    }

    /// Whether an error is among the problems.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }

    /// Takes the newest contents of all files. Only contents that changed are read.
    pub fn update<'a>(&mut self, newest: impl IntoIterator<Item = &'a Arc<SourceFile>>) {
        let before = std::mem::take(&mut self.files);
        let mut candidates = BTreeMap::new();
        let mut changed = Vec::new();
        let mut waiting = Vec::new();
        for source in newest {
            let old = before.get(&source.path);
            let file = match old {
                Some(old) if Arc::ptr_eq(&old.newest, source) || old.newest == *source => match &old.waiting {
                    None => old.clone(),
                    Some(content) => {
                        waiting.push(source.path.clone());
                        File { good: content.clone(), waiting: None, ..old.clone() }
                    }
                },
                _ => {
                    changed.push(source.path.clone());
                    read(source, old)
                }
            };
            candidates.insert(source.path.clone(), file);
        }
        // Nothing new, so whatever waits, waits.
        if changed.is_empty() && candidates.len() == before.len() {
            self.files = before;
            return;
        }
        changed.append(&mut waiting);
        let (policies, conflicts) = build(&candidates);
        if conflicts.is_empty() || before.is_empty() {
            self.accept(candidates, policies, conflicts);
        } else {
            self.accept_one_by_one(candidates, &before, &changed);
        }
    }

    /// Some of the changed files contradict others: each is taken on its own, and keeps its old content where the
    /// whole would have more conflicts with the new one. Those refused are tried once more after each that was
    /// taken, which may have given up what they want: each is taken once, so this ends.
    fn accept_one_by_one(
        &mut self,
        mut files: BTreeMap<Arc<str>, File>,
        before: &BTreeMap<Arc<str>, File>,
        changed: &[Arc<str>],
    ) {
        let old_content = |path: &Arc<str>| before.get(path).map(|file| file.good.clone()).unwrap_or_default();
        let mut newest = BTreeMap::new();
        for path in changed {
            if let Some(file) = files.get_mut(path) {
                newest.insert(path.clone(), std::mem::replace(&mut file.good, old_content(path)));
            }
        }
        let (mut policies, mut conflicts) = build(&files);
        let mut refused: BTreeMap<Arc<str>, Refused> = BTreeMap::new();
        while let Some((path, content)) = newest.pop_first() {
            let Some(file) = files.get_mut(&path) else { continue };
            let old = std::mem::replace(&mut file.good, content);
            let (next, now) = build(&files);
            if now.len() <= conflicts.len() {
                (policies, conflicts) = (next, now);
                newest.extend(std::mem::take(&mut refused).into_iter().map(|(path, (content, _))| (path, content)));
            } else if let Some(file) = files.get_mut(&path) {
                let problems = now.into_iter().filter(|problem| !conflicts.contains(problem)).collect();
                refused.insert(path, (std::mem::replace(&mut file.good, old), problems));
            }
        }
        for (path, (content, problems)) in refused {
            conflicts.extend(problems);
            if let Some(file) = files.get_mut(&path) {
                file.waiting = Some(content);
            }
        }
        self.accept(files, policies, conflicts);
    }

    fn accept(&mut self, files: BTreeMap<Arc<str>, File>, policies: PolicySet, conflicts: Vec<Diagnostic>) {
        self.problems = files.values().flat_map(|file| file.problems.iter().cloned()).chain(conflicts).collect();
        self.files = files;
        self.policies = Arc::new(policies);
    }
}

/// A content that contradicts what counts, and the contradictions.
type Refused = (Content, Vec<Diagnostic>);

fn read(source: &Arc<SourceFile>, old: Option<&File>) -> File {
    let read = read_file(source);
    let is_good = !read.problems.iter().any(|problem| problem.level == Level::Error);
    let good = match (is_good, old) {
        (false, Some(old)) => old.good.clone(),
        // Also a document that says the same is a new value: where it stands, the newest text has to be shown.
        (true, _) => Content { text: Some(source.clone()), documents: read.documents },
        (false, None) => Content { text: None, documents: read.documents },
    };
    File { newest: source.clone(), problems: read.problems, silences: read.silences, good, waiting: None }
}

fn build(files: &BTreeMap<Arc<str>, File>) -> (PolicySet, Vec<Diagnostic>) {
    PolicySet::build(files.values().flat_map(|file| &file.good.documents))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, policies: &[(&str, u32)]) -> Arc<SourceFile> {
        let policy = |(name, seconds): &(&str, u32)| {
            format!(
                "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\n\
                 spec: {{ target: {{ service: orders }}, timeout: {seconds}s }}\n"
            )
        };
        Arc::new(SourceFile { path: path.into(), text: policies.iter().map(policy).collect::<String>().into() })
    }

    fn in_force(library: &Library) -> Vec<String> {
        library
            .files
            .values()
            .flat_map(|file| &file.good.documents)
            .map(|document| document.name().to_string())
            .collect()
    }

    #[test]
    fn a_refused_content_is_told_of_until_it_counts() {
        let mut library = Library::default();
        let (a, b) = (file("a.yaml", &[("one", 5)]), file("b.yaml", &[]));
        library.update([&a, &b]);
        let contradicting = file("b.yaml", &[("two", 6)]);
        library.update([&a, &contradicting]);
        assert_eq!((in_force(&library), library.problems().len()), (vec!["TrafficPolicy/one".into()], 1));

        let other = file("c.yaml", &[]);
        library.update([&a, &contradicting, &other]);
        assert_eq!(library.problems().len(), 1, "something else changed, and it still does not count");

        library.update([&file("a.yaml", &[]), &contradicting, &other]);
        assert_eq!((in_force(&library), library.problems().len()), (vec!["TrafficPolicy/two".into()], 0));
    }

    #[test]
    fn the_good_files_are_the_texts_that_count_each_as_it_was_read() {
        let mut library = Library::default();
        let (a, b) = (file("a.yaml", &[("one", 5), ("other", 5)]), file("b.yaml", &[]));
        library.update([&a, &b]);
        // Its second document stays what it was and where it was; the text is the new one all the same.
        let a = Arc::new(SourceFile { path: a.path.clone(), text: a.text.replacen("one", "uno", 1).into() });
        let broken = Arc::new(SourceFile { path: "b.yaml".into(), text: "kind: [".into() });
        library.update([&a, &broken]);
        assert_eq!(library.good_files(), [a.clone(), b]);

        let mut other = Library::default();
        other.update(&library.good_files());
        assert_eq!(in_force(&other), in_force(&library));
        assert!(!other.has_errors());
    }

    #[test]
    fn where_a_document_stands_the_newest_text_is_shown() {
        let mut library = Library::default();
        library.update([&file("a.yaml", &[("one", 5), ("two", 6)])]);
        let newest = file("a.yaml", &[("one", 7), ("two", 6)]);
        library.update([&newest]);
        assert!(library.policies().documents().all(|document| document.place().file == newest));
    }

    #[test]
    fn a_document_moves_whichever_file_is_first_by_name() {
        let mut library = Library::default();
        let elsewhere = file("c.yaml", &[]);
        library.update([&file("a.yaml", &[]), &file("b.yaml", &[("one", 5)]), &elsewhere]);
        // A third file is refused for a reason of its own, so that each is taken on its own.
        let contradicting = file("c.yaml", &[("three", 7)]);
        library.update([&file("a.yaml", &[("one", 5)]), &file("b.yaml", &[]), &contradicting]);
        assert_eq!((in_force(&library), library.problems().len()), (vec!["TrafficPolicy/one".into()], 1));
        assert_eq!(library.problems()[0].file(), "c.yaml");
    }
}
