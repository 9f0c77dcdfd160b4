//! Rules for connections.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Destination, L4MatchAttributes, TlsMatchAttributes};
use crate::{model::policy::routing::Subnet, yaml::invalid};

/// A rule for connections to tls ports.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsRoute {
    /// It matches where one of these does.
    #[serde(rename = "match")]
    pub matches: Vec<TlsMatchAttributes>,
    /// Where the connection goes: one of them, by weight.
    pub route: Vec<RouteDestination>,
}

/// A rule for connections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TcpRoute {
    /// It matches where one of these does; none = every connection.
    #[serde(rename = "match")]
    pub matches: Vec<L4MatchAttributes>,
    /// Where the connection goes: one of them, by weight.
    pub route: Vec<RouteDestination>,
}

/// One of the places a connection can go to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteDestination {
    /// Where.
    pub destination: Destination,
    /// Its share, relative to the others'.
    ///
    /// - default: all of it where there is one place, else 0
    /// - envoy: `TcpProxy.weighted_clusters.clusters[].weight`
    /// - example: `90`
    #[serde(default)]
    pub weight: Option<u32>,
}

/// A block of addresses: `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CidrBlock(pub Subnet);

crate::yaml::scalar_schema!(CidrBlock, { "type": "string", "pattern": "^[0-9a-fA-F.:]+(/[0-9]{1,3})?$" });

impl<'de> Deserialize<'de> for CidrBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (&*text, None),
        };
        let parsed = address.parse::<std::net::IpAddr>().ok().and_then(|address| {
            let longest = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.map_or(Some(longest), |prefix| prefix.parse().ok())?;
            (prefix <= longest).then_some(Subnet { address, prefix })
        });
        parsed.map(Self).ok_or_else(|| {
            invalid(
                format_args!("`{text}` is no block of addresses"),
                "write for example `10.1.0.0/16`, or one address",
            )
        })
    }
}
