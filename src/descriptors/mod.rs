//! Envoy's messages as data: which fields there are, what they may hold, and how a message is changed by its fields' names.
//!
//! A patch is written in Envoy's own words, so whoever reads one has to know them, and whoever applies one has to find
//! them in a message. That is all this room knows: it has the descriptors of every message of Envoy's configuration,
//! and no idea what a service or a policy is.

mod canonical;
mod check;
mod patch;
mod paths;

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, FieldDescriptor, MessageDescriptor};
use serde_json::{Map, Value};

pub use check::{Finding, check_merge, check_remove};
pub use patch::{Refused, merge, remove};

use crate::proto;

static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    DescriptorPool::decode(proto::DESCRIPTORS).expect("the descriptors were written by the build of this very program")
});

/// Every message there is.
pub fn pool() -> &'static DescriptorPool {
    &POOL
}

/// The message that packs others.
const ANY: &str = "google.protobuf.Any";

/// The message of a type URL.
fn message_of_url(url: &str) -> Option<MessageDescriptor> {
    POOL.get_message_by_name(url.rsplit('/').next().unwrap_or(url))
}

/// A field by its name in the proto, or as JSON spells it.
fn field(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}

/// Whether a message is written as a value of its own kind (`5s`, `true`) and has no fields to speak of.
fn is_well_known(message: &MessageDescriptor) -> bool {
    message.full_name().starts_with("google.protobuf.") && message.full_name() != ANY
}

/// A message with one field set, read as proto3 JSON: how single values are converted and checked.
fn with_field(message: &MessageDescriptor, field: &FieldDescriptor, value: Value) -> Result<DynamicMessage, String> {
    read(message, &Value::Object(Map::from_iter([(field.name().to_owned(), value)])))
}

/// A whole message as proto3 JSON.
fn read(message: &MessageDescriptor, value: &Value) -> Result<DynamicMessage, String> {
    DynamicMessage::deserialize_with_options(message.clone(), value, &DeserializeOptions::new())
        .map_err(|error| error.to_string())
}

/// The messages that people patch.
pub mod names {
    /// A cluster.
    pub const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
    /// The endpoints of a cluster.
    pub const ENDPOINTS: &str = "envoy.config.endpoint.v3.ClusterLoadAssignment";
    /// A listener.
    pub const LISTENER: &str = "envoy.config.listener.v3.Listener";
    /// A virtual host.
    pub const VIRTUAL_HOST: &str = "envoy.config.route.v3.VirtualHost";
    /// A route.
    pub const ROUTE: &str = "envoy.config.route.v3.Route";
}
