//! What clients say of the resources they were sent, as far as it may decide what others are sent.
//!
//! Rejections are always said. That something was accepted is said only of what is doubted: thousands of clients accept
//! everything, and that must cost nothing.

use super::{Resource, ResourceType, Version};
use crate::model::ResourceName;

/// One client's word on one response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Testimony {
    /// These were rejected.
    Rejected {
        /// Of which type they are.
        resource_type: ResourceType,
        /// All that the client blames.
        contested: Vec<Contested>,
        /// The client's words.
        message: String,
    },
    /// This form of a doubted resource was accepted.
    Accepted {
        /// Of which type it is.
        resource_type: ResourceType,
        /// What it is called.
        name: ResourceName,
        /// Which form.
        version: Version,
    },
}

/// A resource that a client rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contested {
    /// In the form it was rejected.
    pub content: Resource,
    /// In the form the client accepted before; absent = it has none, or none that is known.
    pub before: Option<Resource>,
    /// Of a cluster the endpoints that the client has for it.
    pub endpoints: Option<Resource>,
}
