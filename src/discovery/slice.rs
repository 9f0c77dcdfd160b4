//! What one source knows at one instant.

use imbl::OrdMap;

use crate::{
    diagnostic::Diagnostic,
    model::{CatalogEntry, ServiceName},
};

/// A source's whole content. Unchanged parts keep their `Arc`s, and the map its branches.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// Its services.
    pub services: OrdMap<ServiceName, CatalogEntry>,
    /// What is wrong with what it read last; where that is an error, `services` is what was good before.
    pub problems: Vec<Diagnostic>,
    /// Whether it has said once what it knows; nobody is served before all sources have.
    pub synced: bool,
    /// Whether `services` is what it says at present: nothing of it is missing, unreadable or refused.
    pub current: bool,
}
