//! Everything a configuration names, read once: what offline commands work on, through the code that serves.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use anyhow::Result;

use super::diagnostics;
use crate::{
    catalog::Merge,
    config::{self, Config, SourceConfig},
    control::World,
    diagnostic::{Diagnostic, Level, SourceFile},
    discovery::file::{FileSource, Files},
    files::{self, Listing},
    model::{Catalog, ClientKind, Labels, Locality, Proxy, Role},
    policy::{
        Date, Library,
        lint::{self, Silence, Tried},
    },
    yaml,
};

/// What was read, and everything that is wrong with it.
#[derive(Debug)]
pub(super) struct Inputs {
    pub world: World,
    pub problems: Vec<Diagnostic>,
    /// Comments that silence a lint.
    silences: Vec<Silence>,
}

/// How much a sidecar is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Everything {
    pub services: usize,
    pub resources: usize,
    pub bytes: usize,
}

impl Inputs {
    /// Reads the configuration, the services and the policies.
    pub fn load(config_path: &Path) -> Self {
        match config::load(config_path) {
            Ok(config) => Self::of(&config),
            Err(problems) => Self { world: World::default(), problems, silences: Vec::new() },
        }
    }

    fn of(config: &Config) -> Self {
        let (catalog, mut problems) = discovered(config);
        let (library, policy_problems) = read_policies(&config.policies);
        problems.extend(policy_problems);
        let mut world = World::default();
        world.update(catalog, library.policies().clone());
        problems.extend(world.problems());
        Self { world, problems, silences: library.silences() }
    }

    /// Every problem and every finding of a lint that no comment silences; `expires` is held against this day.
    pub fn linted(mut self, today: Date) -> Vec<Diagnostic> {
        self.problems.extend(self.world.lints(today));
        lint::heed(self.problems, &self.silences, Tried::All)
    }

    /// What a sidecar is sent that no document says less for; `None` where there is no such sidecar, or nothing to send.
    pub fn everything(&mut self) -> Option<Everything> {
        let services = self.world.catalog().iter().count();
        let group = self.world.grouping().group_of(&Proxy {
            id: "".into(),
            workload: "".into(),
            namespace: "".into(),
            labels: Labels::new(),
            locality: Locality::default(),
            local_cluster: false,
            kind: ClientKind::Envoy,
            role: Role::Sidecar,
        });
        if group.is_scoped() || services == 0 {
            return None;
        }
        let snapshot = self.world.compile(&group).snapshot;
        let resources = snapshot.sets().iter().flat_map(|(_, set)| set.iter());
        let (count, bytes) = resources.fold((0, 0), |(count, bytes), one| (count + 1, bytes + one.body().len()));
        Some(Everything { services, resources: count, bytes })
    }

    /// Whether an error is among the problems.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }
}

/// The services that the sources of a configuration know, and what is wrong with them.
pub(super) fn discovered(config: &Config) -> (Catalog, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let mut slices = Vec::new();
    for source in &config.sources {
        match source {
            SourceConfig::File { path } => {
                let slice = FileSource::read_once(path.clone());
                problems.extend(slice.problems.iter().cloned());
                slices.push(Arc::new(slice));
            }
        }
    }
    let mut merge = Merge::default();
    merge.update(slices);
    (merge.catalog().clone(), problems)
}

/// What is wrong with files and folders, each file taken for what it holds: a service snapshot, a configuration, or
/// policies. Snapshots and policies are also held against each other.
pub(super) fn check_paths(paths: &[PathBuf], today: Date) -> Vec<Diagnostic> {
    let Listing { files, missing: missing_paths, mut problems, observed: _ } = files::list(paths.to_vec());
    problems.extend(missing_paths.iter().map(|path| missing(Path::new(&**path), "this path is not there")));
    let (mut snapshots, mut policies) = (Listing::default(), Vec::new());
    for (path, file) in files {
        match held_by(&file) {
            Held::Snapshot => drop(snapshots.files.insert(path, file)),
            Held::Configuration => problems.extend(Inputs::load(Path::new(&*path)).linted(today)),
            Held::Policies => policies.push(file),
        }
    }
    let mut library = Library::default();
    library.update(&policies);
    problems.extend(library.problems().iter().cloned());
    if !snapshots.files.is_empty() {
        let mut read = Files::default();
        read.update(&snapshots, SystemTime::UNIX_EPOCH);
        problems.extend(read.slice().problems.iter().cloned());
        let mut merge = Merge::default();
        merge.update(vec![Arc::new(read.slice().clone())]);
        let mut world = World::default();
        world.update(merge.catalog().clone(), library.policies().clone());
        problems.extend(world.problems());
        problems.extend(world.lints(today));
        lint::heed(problems, &library.silences(), Tried::All)
    } else {
        problems.extend(lint::of_documents(library.policies(), today));
        lint::heed(problems, &library.silences(), Tried::Documents)
    }
}

enum Held {
    Snapshot,
    Configuration,
    Policies,
}

/// By the keys of the first document; what has none that says so is read as policies, whose reader explains best.
fn held_by(file: &Arc<SourceFile>) -> Held {
    let documents = yaml::parse(file).documents;
    let has = |key: &str| documents.first().is_some_and(|document| document.has(key));
    match () {
        () if has("kind") => Held::Policies,
        () if has("services") => Held::Snapshot,
        () if has("discovery") || has("xds") => Held::Configuration,
        () => Held::Policies,
    }
}

/// The policies of files and folders, and what is wrong with them.
pub(super) fn read_policies(paths: &[PathBuf]) -> (Library, Vec<Diagnostic>) {
    let Listing { files, missing: missing_paths, mut problems, observed: _ } = files::list(paths.to_vec());
    problems.extend(missing_paths.iter().map(|path| missing(Path::new(&**path), "this path of policies is not there")));
    let mut library = Library::default();
    library.update(files.values());
    problems.extend(library.problems().iter().cloned());
    (library, problems)
}

fn missing(path: &Path, message: &str) -> Diagnostic {
    let path: Arc<str> = path.to_string_lossy().into();
    Diagnostic::file_error("missing-path", path, message).remedy("create it, or correct the path")
}

/// The world of a configuration, or its errors on stderr.
pub(super) fn load_or_explain(config: &Path) -> Result<Option<World>> {
    let inputs = Inputs::load(config);
    if inputs.has_errors() {
        diagnostics::explain(&inputs.problems);
        return Ok(None);
    }
    Ok(Some(inputs.world))
}

/// A day, as an argument writes it.
pub(super) fn day(written: &str) -> Result<Date, String> {
    Date::parse(written).ok_or_else(|| "this is no day; write one as 2027-03-01".to_owned())
}

/// The day (UTC) it is.
pub(super) fn today() -> Date {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Date::of_unix_seconds(since_1970.as_secs())
}
