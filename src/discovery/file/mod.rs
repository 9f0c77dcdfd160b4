//! The `file` source: service snapshots in files, YAML or JSON, read again whenever they change.
//!
//! Reading is pure ([`read`], [`Files`]); this file is the shell that waits for the file system. A file that does not
//! read keeps its last good services while the other files take effect.

mod document;
mod files;
mod read;

use std::{future::Future, path::PathBuf, pin::Pin, sync::Arc};

use schemars::{Schema, SchemaGenerator};
use tokio::sync::watch;

pub use files::Files;
pub use read::{ReadService, read};

use super::{Slice, Source, SourceError};
use crate::files::{self as watched_files, Rereader, Watching};

/// Describes a snapshot file as written.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<document::SnapshotFile>()
}

/// A file or folder of service snapshots.
#[derive(Debug)]
pub struct FileSource {
    path: PathBuf,
    watching: Watching,
    files: Files,
}

impl FileSource {
    /// Looks at the path, and begins to watch it.
    pub fn new(path: PathBuf) -> Self {
        let watching = watched_files::watch(vec![path.clone()]);
        Self { path, watching, files: Files::default() }
    }

    /// One look without watching, for commands that end.
    pub fn read_once(path: PathBuf) -> Slice {
        let listing = watched_files::list(vec![path]);
        let mut files = Files::default();
        files.update(&listing, listing.observed);
        files.slice().clone()
    }
}

impl Source for FileSource {
    fn name(&self) -> String {
        format!("file {}", self.path.display())
    }

    fn run<'a>(
        &'a mut self,
        slices: &'a watch::Sender<Arc<Slice>>,
    ) -> Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + 'a>> {
        Box::pin(async move {
            loop {
                let listing = self.watching.listing.borrow_and_update().clone();
                let mut files = std::mem::take(&mut self.files);
                // Reading a large snapshot takes tens of milliseconds, which streams should not feel.
                let read = tokio::task::spawn_blocking(move || {
                    files.update(&listing, listing.observed);
                    files
                });
                self.files = read.await.map_err(|error| SourceError(format!("reading stopped: {error}")))?;
                slices.send_replace(Arc::new(self.files.slice().clone()));
                let changed = self.watching.listing.changed().await;
                changed.map_err(|_| SourceError("files are no longer watched".into()))?;
            }
        })
    }

    fn rereader(&self) -> Rereader {
        self.watching.rereader()
    }
}
