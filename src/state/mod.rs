//! The last good state on disk: what a control plane starts from when nothing that it reads can be reached.
//!
//! ```text
//!   control ──what is good──► Saver ──atomically──► stateDir/ ──at start──► LastGood ──► control
//! ```
//!
//! Inputs are kept, never what follows from them: each source's services in the format of a service snapshot, and the
//! texts of the policy files, so that file and line stay right. A restart compiles them anew and comes to the same
//! bytes. Each part is one file with a version and a checksum in its first line ([`text`]); it is written beside the old
//! one, forced to disk and renamed, and only when it differs. A part that is damaged, or from another version, is
//! reported and left aside; it never stops anybody.
//!
//! This room knows neither whether a source can be reached nor when its word counts: that is `control`'s.

mod folder;
mod saver;
mod text;

use std::{sync::Arc, time::SystemTime};

use imbl::OrdMap;

use crate::{
    diagnostic::SourceFile,
    discovery::Slice,
    model::{CatalogEntry, ServiceName},
};

pub use folder::{Folder, StateError};
pub use saver::{Saver, Saving};

/// Services by name, as a slice has them.
pub type Services = OrdMap<ServiceName, CatalogEntry>;

/// What was good when the process last ran.
#[derive(Debug, Clone, Default)]
pub struct LastGood {
    /// For each source, in the order in which they are configured; absent where nothing was kept.
    pub sources: Vec<Option<LastServices>>,
    /// Of the policies.
    pub policies: Option<LastPolicies>,
}

/// What a source knew.
#[derive(Debug, Clone)]
pub struct LastServices {
    /// Its services.
    pub services: Services,
    /// When that was written.
    pub saved: SystemTime,
}

/// The policy files that counted.
#[derive(Debug, Clone)]
pub struct LastPolicies {
    /// Their texts.
    pub files: Vec<Arc<SourceFile>>,
    /// When that was written.
    pub saved: SystemTime,
}

/// What is good now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Good {
    /// For each source what counts; absent where it has not said completely what it knows, and what was kept stays.
    pub sources: Vec<Option<Services>>,
    /// The policy files that count.
    pub policies: Vec<Arc<SourceFile>>,
}

impl LastServices {
    /// A slice of a source that has not said completely what it knows: what it does say counts, what it is silent
    /// about is what it was.
    pub fn beside(&self, said: &Slice) -> Slice {
        let services = said.services.clone().union(self.services.clone());
        Slice { services, problems: said.problems.clone(), synced: true, current: false }
    }
}
