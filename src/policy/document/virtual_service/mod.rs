//! Istio's `VirtualService`, read unmodified. What we do not support is refused by name.

mod check;
mod http;
mod l4;
mod matching;

use schemars::JsonSchema;
use serde::Deserialize;

pub(super) use self::check::{check, is_header_name, is_header_value};
pub use self::{http::*, l4::*, matching::*};
use super::export_to::ExportTo;
use crate::model::SubsetName;

/// The name by which `gateways` means the sidecars.
pub const MESH_GATEWAY: &str = "mesh";

/// `spec` of a `VirtualService`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct VirtualService {
    /// The services whose traffic it routes: short names, full names, or wildcards. None = it is routed to by the
    /// `delegate` of another VirtualService.
    ///
    /// - envoy: `virtual_hosts[].domains`; on tls ports `filter_chain_match.server_names`
    /// - example: `[reviews]`
    pub hosts: Vec<String>,
    /// Where it applies: `mesh` stands for the sidecars. Names of gateways have no effect on them.
    ///
    /// - default: `[mesh]`
    /// - envoy: none, it says whose routes have the rules
    /// - example: `[mesh]`
    pub gateways: Vec<String>,
    /// Rules for requests to HTTP ports; the first that matches counts, and a request that none matches is answered
    /// with 404.
    ///
    /// - envoy: `virtual_hosts[].routes`
    pub http: Vec<HttpRoute>,
    /// Rules for connections to tls ports, by the name in the ClientHello.
    ///
    /// - envoy: `filter_chains[].filter_chain_match.server_names`
    pub tls: Vec<TlsRoute>,
    /// Rules for connections to tcp ports, and to tls ports after those of `tls`.
    ///
    /// - envoy: `filter_chains`
    pub tcp: Vec<TcpRoute>,
    /// The namespaces whose clients see it: `.` is its own, `*` all.
    ///
    /// - default: `["*"]`
    /// - envoy: none, it says whose routes have the rules
    /// - example: `["."]`
    pub export_to: ExportTo,
}

impl VirtualService {
    /// Whether it applies to sidecars at all.
    pub fn is_for_mesh(&self) -> bool {
        names_mesh(&self.gateways)
    }
}

/// Whether a list of gateways, where one is written, has the sidecars in it.
pub fn names_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|name| name == MESH_GATEWAY)
}

/// A place that traffic is led to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// A short name (in the document's namespace), or a full name.
    ///
    /// - envoy: `route.cluster`, of which it is the first part
    /// - example: `reviews`
    pub host: String,
    /// One of the service's subsets; absent = all of it.
    ///
    /// - default: all of it
    /// - envoy: `route.cluster`, of which it is the last part
    /// - example: `v1`
    #[serde(default)]
    pub subset: Option<Subset>,
    /// Its port; absent = the service's only one, else the one that was dialled.
    #[serde(default)]
    pub port: Option<PortNumber>,
}

/// A subset's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset(pub SubsetName);

crate::yaml::scalar_schema!(Subset, { "type": "string", "minLength": 1 });

impl<'de> Deserialize<'de> for Subset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        SubsetName::new(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// A port, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PortNumber {
    /// Its number.
    ///
    /// - envoy: `route.cluster`, of which it is the second part
    /// - example: `80`
    pub number: std::num::NonZeroU16,
}
