//! The service snapshot as written.

use std::num::{NonZeroU16, NonZeroU32};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::UniqueMap;

/// A snapshot file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SnapshotFile {
    pub services: Vec<WrittenService>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenService {
    pub name: String,
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
    pub ports: Vec<WrittenPort>,
    #[serde(default)]
    pub endpoints: Vec<WrittenEndpoint>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenPort {
    pub name: String,
    pub port: NonZeroU16,
    pub protocol: WrittenProtocol,
    #[serde(default)]
    pub listen: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenProtocol {
    Http,
    Http2,
    Grpc,
    Tcp,
    Tls,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenEndpoint {
    pub address: String,
    #[serde(default)]
    pub ports: UniqueMap<String, NonZeroU16>,
    #[serde(default)]
    pub locality: WrittenLocality,
    #[serde(default)]
    pub weight: Option<NonZeroU32>,
    #[serde(default)]
    pub health: WrittenHealth,
    #[serde(default)]
    pub labels: UniqueMap<String, String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct WrittenLocality {
    pub region: String,
    pub zone: String,
    pub subzone: String,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WrittenHealth {
    #[default]
    Healthy,
    Unhealthy,
    Draining,
}
