//! Files and folders as a value: what is there right now, read again whenever it changes.
//!
//! ```text
//!   configured paths ──look──► Seen ──settle──► Listing ──watch──► whoever wants to know
//!        ▲    (IO: resolve,           (pure: what vanished
//!        │     scan, read)             stays for a while)
//!   inotify, and a slow poll
//! ```
//!
//! A [`Listing`] is the whole truth, never an event: whoever misses one loses nothing. A file whose content is the
//! same keeps its `Arc`, so that finding what changed is a comparison of pointers. Only files whose metadata changed
//! are read again, and what counts is the content, not the time of modification.
//!
//! Everything a file system can do to a reader has an outcome here and never an end: files that are missing, binary,
//! too large or no files at all, links in a circle, folders that cannot be listed. What was read before stays in
//! force meanwhile ([`settle`] has the rules).
//!
//! This room knows nothing of what is in the files. A watcher is one thread that sleeps in the kernel until something
//! happens; an event leads to a read at once, since gathering changes is the business of the control loop alone.

mod interest;
mod look;
mod pending;
mod read;
mod resolve;
mod settle;
mod watch;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::SystemTime};

use imbl::OrdMap;

use crate::diagnostic::{Diagnostic, SourceFile};

pub use read::MAX_SIZE;
pub use settle::GRACE;
pub use watch::{Rereader, Watching, watch};

/// The files under the configured paths, as far as they could be read, by their path from the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Every file, with the content that counts: the present one, or the last good one where there is none.
    pub files: OrdMap<Arc<str>, Arc<SourceFile>>,
    /// The configured paths that are not there. What was read from them before is still among the files.
    pub missing: BTreeSet<Arc<str>>,
    /// What could not be read, sorted by path.
    pub problems: Vec<Diagnostic>,
    /// When this was first noticed.
    pub observed: SystemTime,
}

impl Default for Listing {
    fn default() -> Self {
        Self { files: OrdMap::new(), missing: BTreeSet::new(), problems: Vec::new(), observed: SystemTime::UNIX_EPOCH }
    }
}

impl Listing {
    /// Whether what stands under this name cannot be seen now: it, or a folder that it is in, is missing or cannot be
    /// read. What was known of it before is then still the best that is known.
    pub fn hides(&self, name: &str) -> bool {
        let missing = self.missing.iter().map(|path| &**path);
        missing.chain(self.problems.iter().map(Diagnostic::file)).any(|path| look::is_around(path, name))
    }
}

/// One look, without watching: for commands that read once.
///
/// A folder is read with its sub-folders: `.yaml`, `.yml` and `.json`, hidden files aside. A path that is a file is
/// read whatever its name.
pub fn list(paths: Vec<PathBuf>) -> Listing {
    let mut looker = look::Looker::new(paths);
    looker.look_everywhere(look::Trust::Metadata);
    settle::Settled::first(&looker.seen, SystemTime::now()).listing
}
