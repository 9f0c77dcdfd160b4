//! Worlds made of text, for tests that need no process.

use std::sync::Arc;

use chancery::{
    control::World,
    diagnostic::{Diagnostic, SourceFile},
    discovery::file,
    model::{Catalog, CatalogEntry},
    policy::Library,
};

pub fn source(path: &str, text: &str) -> Arc<SourceFile> {
    Arc::new(SourceFile { path: path.into(), text: text.into() })
}

/// Services into a catalog; a mistake in them is the test's.
pub fn catalog(services: &str) -> Catalog {
    let read = file::read(&source("services.yaml", services)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    read.into_iter().fold(Catalog::default(), |catalog, service| {
        catalog.with(CatalogEntry {
            service: service.service,
            endpoints: service.endpoints,
            observed: std::time::SystemTime::UNIX_EPOCH,
        })
    })
}

/// Policies, and what is wrong with them.
pub fn library(policies: &str) -> (Library, Vec<Diagnostic>) {
    let mut library = Library::default();
    library.update([&source("policies.yaml", policies)]);
    let problems = library.problems().to_vec();
    (library, problems)
}

/// Services and policies.
pub fn world(services: &str, policies: &str) -> World {
    let (library, problems) = library(policies);
    assert!(!library.has_errors(), "{problems:#?}");
    let mut world = World::default();
    world.update(catalog(services), library.policies().clone());
    world
}
