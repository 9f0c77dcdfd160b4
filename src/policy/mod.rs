//! Documents as written into one complete policy per service, every value knowing where it came from.
//!
//! ```text
//!  file ──document──► Document ─┐
//!                               ├─ set ──► PolicySet ──resolve(service, view)──► ServicePolicy
//!  file ──document──► Document ─┘            merge: the more specific wins, field by field
//! ```
//!
//! What is written either has its effect or is refused with its place. This room knows what documents say and what
//! wins; it does not know Envoy, nor which services there are beyond the one it is asked about.

pub mod check;
mod cluster_lints;
mod defaults;
pub mod document;
mod effective;
mod entries;
mod istio;
mod leaves;
pub mod library;
pub mod lint;
pub mod merge;
pub mod patches;
mod resolve;
pub mod routes;
mod rule_choice;
mod set;
mod settings_check;
mod sidecars;
pub mod why;

pub use check::check_against;
pub use document::{Document, FileDocuments, read_file};
pub use library::Library;
pub use lint::Date;
pub use resolve::{NamespaceAnswer, Resolved};
pub use set::{PolicySet, Touched};
pub use why::Why;
