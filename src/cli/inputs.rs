//! Everything a configuration names, read once: what offline commands work on, through the code that serves.

use std::{path::Path, sync::Arc, time::Instant};

use anyhow::Result;

use super::diagnostics;
use crate::{
    catalog::Merge,
    config::{self, Config, SourceConfig},
    control::World,
    diagnostic::{Diagnostic, Level},
    discovery::file::FileSource,
    files::{Listing, Scan},
    policy::Library,
};

/// What was read, and everything that is wrong with it.
#[derive(Debug)]
pub(super) struct Inputs {
    pub world: World,
    pub problems: Vec<Diagnostic>,
}

impl Inputs {
    /// Reads the configuration, the services and the policies.
    pub fn load(config_path: &Path) -> Self {
        match config::load(config_path) {
            Ok(config) => Self::of(&config),
            Err(problems) => Self { world: World::default(), problems },
        }
    }

    fn of(config: &Config) -> Self {
        let mut problems = Vec::new();
        let mut slices = Vec::new();
        for source in &config.sources {
            match source {
                SourceConfig::File { path } => {
                    let slice = FileSource::read_once(path.clone());
                    if !path.exists() {
                        problems.push(missing(path, "this service snapshot is not there (`serve` would wait for it)"));
                    }
                    problems.extend(slice.problems.iter().cloned());
                    slices.push(Arc::new(slice));
                }
            }
        }
        let mut merge = Merge::default();
        merge.update(slices);
        let (library, policy_problems) = read_policies(&config.policies);
        problems.extend(policy_problems);
        let mut world = World::default();
        world.update(merge.catalog().clone(), library.policies().clone());
        problems.extend(world.problems());
        problems.extend(world.lints());
        Self { world, problems }
    }

    /// Whether an error is among the problems.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.level == Level::Error)
    }
}

/// The policies of files and folders, and what is wrong with them.
pub(super) fn read_policies(paths: &[std::path::PathBuf]) -> (Library, Vec<Diagnostic>) {
    let Listing { files, missing: missing_paths, mut problems } =
        Scan::new(paths.to_vec()).look(Instant::now()).listing;
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
