//! What is served: encoded once, versioned by content, in sets that are immutable and share what they have in common.
//!
//! A [`Resource`] is built only by encoding a message and never encoded again: its bytes exist once in the process,
//! in the form both dialects of xDS send. A [`ResourceSet`] holds the resources of one type, a [`Snapshot`] the sets
//! of all types, and what of them clients rejected. This room knows neither services nor streams.

mod doubts;
mod json;
mod resource;
mod resource_type;
mod set;
mod snapshot;
mod testimony;
mod version;
pub mod virtual_hosts;

pub use doubts::{Doubt, Doubts};
pub use json::{differing_json, to_json};
pub use resource::Resource;
pub use resource_type::{PerType, ResourceType};
pub use set::{Change, ResourceSet};
pub use snapshot::Snapshot;
pub use testimony::{Contested, Testimony};
pub use version::Version;
