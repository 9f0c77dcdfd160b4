//! Looking: what is under the configured paths at this moment, read as far as it changed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use imbl::OrdMap;

use super::{
    interest::{Interest, is_data, is_hidden},
    read::{self, Fingerprint, shown},
    resolve::{End, resolve, resolve_in},
};
use crate::diagnostic::{Diagnostic, SourceFile};

/// What there is, as of the last look.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// What could be read.
    pub(super) files: OrdMap<Arc<str>, Arc<SourceFile>>,
    /// Configured paths that are not there.
    pub(super) missing: BTreeSet<Arc<str>>,
    /// Files and folders that could not be read, and why.
    pub(super) problems: BTreeMap<Arc<str>, Diagnostic>,
}

/// Whether a file may be taken for unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// When its metadata is unchanged.
    Metadata,
    /// Never: it is read.
    Nothing,
}

/// Looks, and remembers what it saw.
#[derive(Debug)]
pub(super) struct Looker {
    roots: Vec<(Arc<str>, PathBuf)>,
    fingerprints: HashMap<Arc<str>, Fingerprint>,
    pub(super) seen: Seen,
    pub(super) interest: Interest,
    /// How many files were read, ever: what a change costs.
    pub(super) reads: u64,
}

impl Looker {
    /// For these paths, relative to the working directory.
    pub(super) fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            roots: paths.into_iter().map(|path| (shown(&path), path)).collect(),
            fingerprints: HashMap::new(),
            seen: Seen::default(),
            interest: Interest::default(),
            reads: 0,
        }
    }

    /// The configured paths, as people are shown them.
    pub(super) fn roots(&self) -> impl Iterator<Item = &Arc<str>> {
        self.roots.iter().map(|(name, _)| name)
    }

    /// Looks at everything.
    pub(super) fn look_everywhere(&mut self, trust: Trust) {
        let mut scan = Scan::default();
        for (name, path) in &self.roots {
            scan.root(name, path);
        }
        let Scan { found, missing, problems, interest, .. } = scan;
        let before = std::mem::take(&mut self.seen.problems);
        self.interest = interest;
        self.seen.missing = missing;
        self.seen.problems = problems;
        self.forget_all_but(&found);
        for (name, (real, metadata)) in found {
            let unchanged = trust == Trust::Metadata && self.is_unchanged(&name, &metadata);
            match before.get(&name) {
                Some(problem) if unchanged => drop(self.seen.problems.insert(name, problem.clone())),
                None if unchanged => {}
                _ => self.read(&name, &real, &metadata),
            }
        }
    }

    /// Looks at one file again, by its path without links. False when it is no ordinary file any more, or not
    /// there, so that everything has to be looked at.
    pub(super) fn look_at(&mut self, real: &Path) -> bool {
        let Ok(metadata) = fs::symlink_metadata(real) else { return false };
        if !metadata.is_file() {
            return false;
        }
        for name in self.interest.files.get(real).cloned().unwrap_or_default() {
            if !self.is_unchanged(&name, &metadata) {
                self.seen.problems.remove(&name);
                self.read(&name, real, &metadata);
            }
        }
        true
    }

    fn is_unchanged(&self, name: &Arc<str>, metadata: &Metadata) -> bool {
        let now = Fingerprint::of(metadata, SystemTime::now());
        now.is_some() && now.as_ref() == self.fingerprints.get(name)
    }

    fn read(&mut self, name: &Arc<str>, real: &Path, metadata: &Metadata) {
        self.reads += 1;
        match Fingerprint::of(metadata, SystemTime::now()) {
            Some(fingerprint) => drop(self.fingerprints.insert(name.clone(), fingerprint)),
            None => drop(self.fingerprints.remove(name)),
        }
        match read::read_text(real, name, metadata) {
            Ok(file) => {
                if self.seen.files.get(name) != Some(&file) {
                    self.seen.files.insert(name.clone(), file);
                }
            }
            Err(problem) => {
                self.seen.files.remove(name);
                self.seen.problems.insert(name.clone(), problem);
            }
        }
    }

    fn forget_all_but(&mut self, found: &BTreeMap<Arc<str>, (PathBuf, Metadata)>) {
        self.fingerprints.retain(|name, _| found.contains_key(name));
        let gone: Vec<_> = self.seen.files.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        for name in gone {
            self.seen.files.remove(&name);
        }
    }
}

/// One walk over everything; nothing is read yet.
#[derive(Default)]
struct Scan {
    found: BTreeMap<Arc<str>, (PathBuf, Metadata)>,
    missing: BTreeSet<Arc<str>>,
    problems: BTreeMap<Arc<str>, Diagnostic>,
    interest: Interest,
    /// Every folder that was read, by its path without links, and under which name.
    visited: HashMap<PathBuf, Arc<str>>,
}

impl Scan {
    fn root(&mut self, name: &Arc<str>, path: &Path) {
        let trail = resolve(path);
        self.interest.pass(&trail);
        match trail.end {
            End::File(real, metadata) => self.file(name.clone(), real, metadata),
            End::Folder(real) if self.visited.get(&real) == Some(name) => {}
            End::Folder(real) => self.folder(name, &real),
            End::Special(metadata) => self.problem(read::special(name, &metadata)),
            End::Missing => drop(self.missing.insert(name.clone())),
            End::Circle => self.problem(read::circle(name)),
            End::Failed(error) => self.problem(read::failed(name, &error)),
        }
    }

    fn file(&mut self, name: Arc<str>, real: PathBuf, metadata: Metadata) {
        let names = self.interest.files.entry(real.clone()).or_default();
        if !names.contains(&name) {
            names.push(name.clone());
        }
        self.found.insert(name, (real, metadata));
    }

    fn folder(&mut self, name: &Arc<str>, real: &Path) {
        if let Some(already) = self.visited.get(real) {
            let problem = if is_around(already, name) { read::cycle(name, real) } else { read::twice(name, already) };
            return self.problem(problem);
        }
        self.visited.insert(real.to_owned(), name.clone());
        self.interest.read_folder(real);
        match entries(real) {
            Ok(entries) => entries.into_iter().for_each(|entry| self.entry(name, real, &entry)),
            Err(error) => self.problem(read::failed(name, &error)),
        }
    }

    fn entry(&mut self, folder: &str, real: &Path, entry: &OsString) {
        if is_hidden(entry) {
            return;
        }
        let name: Arc<str> = shown(&Path::new(folder).join(entry));
        let trail = resolve_in(real, entry);
        if trail.through.len() > 1 {
            self.interest.pass(&trail);
        }
        match trail.end {
            End::Folder(real) => self.folder(&name, &real),
            _ if !is_data(entry) => {}
            End::File(real, metadata) => self.file(name, real, metadata),
            End::Special(metadata) => self.problem(read::special(&name, &metadata)),
            // It may have gone between listing the folder and looking at it: then it was no link.
            End::Missing if trail.through.len() == 1 => {}
            End::Missing => self.problem(read::dangling(&name)),
            End::Circle => self.problem(read::circle(&name)),
            End::Failed(error) => self.problem(read::failed(&name, &error)),
        }
    }

    fn problem(&mut self, problem: Diagnostic) {
        self.problems.insert(problem.file().into(), problem);
    }
}

/// Whether a folder of this name has the other in it.
pub(super) fn is_around(folder: &str, name: &str) -> bool {
    let rest = if folder == "." { Some(name) } else { name.strip_prefix(folder) };
    rest.is_some_and(|rest| folder == "." || folder.ends_with('/') || rest.is_empty() || rest.starts_with('/'))
}

/// Sorted, so that of two links to one folder always the same is followed.
fn entries(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<Vec<_>, _>>()?;
    names.sort_unstable();
    Ok(names)
}
