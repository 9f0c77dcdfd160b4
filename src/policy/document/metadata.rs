//! `metadata`: the name, and what people attach. What Kubernetes adds on its own is accepted without meaning.

use schemars::JsonSchema;
use serde::{Deserialize, de::IgnoredAny};

use crate::yaml::UniqueMap;

/// `metadata` of a document.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// Required; with the kind and namespace it is what tells documents apart.
    ///
    /// - envoy: `metadata.filter_metadata` of the routes that it shapes, as its document's name
    /// - example: `orders`
    pub name: String,
    /// Absent = none is written; documents that resolve hosts then take `default`.
    ///
    /// - default: none; where one is needed, `default`
    /// - envoy: none, it says who sees the document and what short names mean
    /// - example: `shop`
    #[serde(default)]
    pub namespace: Option<String>,
    /// `owner`, `expires` and whatever else people note.
    ///
    /// - default: `{}`
    /// - envoy: none, they are for people and lints
    /// - example: `{ owner: team-shop }`
    #[serde(default)]
    pub annotations: UniqueMap<String, String>,
    /// Free.
    ///
    /// - default: `{}`
    /// - envoy: none, they are for people
    /// - example: `{ tier: gold }`
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    /// Of several DestinationRules or VirtualServices for one host, and of routes that match alike, the oldest comes first.
    ///
    /// - default: none, which counts as later than any
    /// - envoy: none, it says who comes first
    /// - example: `2026-01-31T12:00:00Z`
    #[serde(default)]
    pub creation_timestamp: Option<String>,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "uid")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _uid: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "resourceVersion")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _resource_version: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "generation")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _generation: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "managedFields")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _managed_fields: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "finalizers")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _finalizers: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "ownerReferences")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
    _owner_references: IgnoredAny,
    /// What Kubernetes writes; without meaning here.
    ///
    /// - envoy: none
    #[serde(default, rename = "selfLink")]
    #[schemars(with = "serde_json::Value", extend("doNotSuggest" = true))]
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
