//! `metadata`: the name, and what people attach. What Kubernetes adds on its own is accepted without meaning.

use schemars::JsonSchema;
use serde::{Deserialize, de::IgnoredAny};

use crate::yaml::UniqueMap;

/// `metadata` of a document.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Required; with the kind and namespace it is what tells documents apart.
    pub name: String,
    /// Absent = none is written; documents that resolve hosts then take `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// `owner`, `expires` and whatever else people note.
    #[serde(default)]
    pub annotations: UniqueMap<String, String>,
    /// Free.
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    /// Of several DestinationRules for one host the oldest comes first.
    #[serde(default)]
    pub creation_timestamp: Option<String>,
    #[serde(default, rename = "uid")]
    #[schemars(with = "serde_json::Value")]
    _uid: IgnoredAny,
    #[serde(default, rename = "resourceVersion")]
    #[schemars(with = "serde_json::Value")]
    _resource_version: IgnoredAny,
    #[serde(default, rename = "generation")]
    #[schemars(with = "serde_json::Value")]
    _generation: IgnoredAny,
    #[serde(default, rename = "managedFields")]
    #[schemars(with = "serde_json::Value")]
    _managed_fields: IgnoredAny,
    #[serde(default, rename = "finalizers")]
    #[schemars(with = "serde_json::Value")]
    _finalizers: IgnoredAny,
    #[serde(default, rename = "ownerReferences")]
    #[schemars(with = "serde_json::Value")]
    _owner_references: IgnoredAny,
    #[serde(default, rename = "selfLink")]
    #[schemars(with = "serde_json::Value")]
    _self_link: IgnoredAny,
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.namespace == other.namespace
            && self.annotations == other.annotations
            && self.labels == other.labels
            && self.creation_timestamp == other.creation_timestamp
    }
}

impl Eq for Metadata {}
