//! Files and folders as values: what they hold now, and again whenever that changes. Knows nothing of what is in them.
//!
//! Level-triggered: a [`Listing`] is always the whole, the latest wins, and unchanged content is the same `Arc`. What
//! changed is found by looking (size, time, identity, then content), events only say when to look; so a plain write,
//! an atomic rename, a swapped symlink two levels up and delete-then-create are all one case, and a missed event
//! costs at most [`POLL`].
//!
//! ```text
//!  events, poll ──► scan (what is there) ──► Listing ──► watch channel
//! ```

mod scan;
mod watcher;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use scan::Scan;
pub use watcher::{Rereader, Watching, watch};

use crate::diagnostic::{Diagnostic, SourceFile};

/// Everything below the configured paths at one instant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// By path, as reached from the working directory. A configured path that vanished keeps its last content; so
    /// does a file that cannot be read.
    pub files: BTreeMap<Arc<str>, Arc<SourceFile>>,
    /// Configured paths that are not there.
    pub missing: Vec<Arc<str>>,
    /// What could not be read, and why.
    pub problems: Vec<Diagnostic>,
}

/// How often to look without having been told to.
pub const POLL: Duration = Duration::from_secs(2);

/// How long a file gone from a folder keeps its content: editors and deployments delete and create again.
pub const GRACE: Duration = Duration::from_secs(1);

/// The largest file that is read. A snapshot of 10,000 services with 10 endpoints each is about 12 MB.
pub const LARGEST: u64 = 64 * 1024 * 1024;
