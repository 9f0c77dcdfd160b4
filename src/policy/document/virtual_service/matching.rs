//! What rules look at.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    policy::document::{regex::Regex, unsupported::SourceSubnet},
    yaml::UniqueMap,
};

/// What of a request a rule looks at; all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpMatchRequest {
    /// For people.
    ///
    /// - envoy: none, it is for people
    /// - example: `internal-users`
    pub name: Option<String>,
    /// The path, without the query; `prefix` compares characters, so that `/api` matches `/apis`.
    ///
    /// - envoy: `match.path`, `match.prefix`, `match.safe_regex`
    /// - example: `{ prefix: /api }`
    pub uri: Option<StringMatch>,
    /// `http` or `https`.
    ///
    /// - envoy: `match.headers` of `:scheme`
    /// - example: `{ exact: https }`
    pub scheme: Option<StringMatch>,
    /// The method.
    ///
    /// - envoy: `match.headers` of `:method`
    /// - example: `{ exact: GET }`
    pub method: Option<StringMatch>,
    /// The host the client wrote, with the port where it wrote one.
    ///
    /// - envoy: `match.headers` of `:authority`
    /// - example: `{ prefix: reviews }`
    pub authority: Option<StringMatch>,
    /// Headers by name; a name alone (`{}`) asks whether it is there.
    ///
    /// - envoy: `match.headers`
    /// - example: `{ end-user: { exact: jason } }`
    pub headers: UniqueMap<String, Option<StringMatch>>,
    /// The port that was dialled.
    ///
    /// - default: any port of the service
    /// - envoy: none, only that port's routes have the rule
    /// - example: `80`
    pub port: Option<NonZeroU16>,
    /// Labels of the client's workload, as its `node.metadata.LABELS` has them.
    ///
    /// - default: any client
    /// - envoy: none, it says whose routes have the rule
    /// - example: `{ app: checkout }`
    pub source_labels: UniqueMap<String, String>,
    /// Where this match applies; replaces the document's `gateways`.
    ///
    /// - default: the document's
    /// - envoy: none, it says whose routes have the rule
    /// - example: `[mesh]`
    pub gateways: Vec<String>,
    /// Query parameters by name; a name alone (`{}`) asks whether it is there.
    ///
    /// - envoy: `match.query_parameters`
    /// - example: `{ debug: { exact: "1" } }`
    pub query_params: UniqueMap<String, Option<StringMatch>>,
    /// Whether `uri` ignores case; only `exact` and `prefix`.
    ///
    /// - default: `false`
    /// - envoy: `match.case_sensitive`
    pub ignore_uri_case: bool,
    /// Headers that must not be as described.
    ///
    /// - envoy: `match.headers[].invert_match`
    /// - example: `{ x-legacy: {} }`
    pub without_headers: UniqueMap<String, Option<StringMatch>>,
    /// The namespace of the client's workload.
    ///
    /// - default: any namespace
    /// - envoy: none, it says whose routes have the rule
    /// - example: `shop`
    pub source_namespace: Option<String>,
    /// A word for statistics of this match's route.
    ///
    /// - envoy: `stat_prefix`
    /// - example: `checkout`
    pub stat_prefix: Option<String>,
}

/// How a text is compared; one of the three.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct StringMatch {
    /// All of it.
    ///
    /// - envoy: `exact` of a `StringMatcher`; of a path `match.path`
    /// - example: `/login`
    pub exact: Option<String>,
    /// It begins with these characters.
    ///
    /// - envoy: `prefix` of a `StringMatcher`; of a path `match.prefix`
    /// - example: `/api`
    pub prefix: Option<String>,
    /// All of it, as a regular expression (RE2).
    ///
    /// - envoy: `safe_regex.regex`
    /// - example: `/v[0-9]+/.*`
    pub regex: Option<Regex>,
}

/// What of a connection a rule of `tcp` looks at; all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct L4MatchAttributes {
    /// The address that was dialled is in one of these.
    ///
    /// - envoy: `filter_chain_match.prefix_ranges`
    /// - example: `[10.0.0.0/8]`
    pub destination_subnets: Vec<super::CidrBlock>,
    source_subnet: Option<SourceSubnet>,
    /// The port that was dialled.
    ///
    /// - default: any port of the service
    /// - envoy: none, only that port's filter chains have the rule
    /// - example: `5432`
    pub port: Option<NonZeroU16>,
    /// Labels of the client's workload.
    ///
    /// - default: any client
    /// - envoy: none, it says whose routes have the rule
    /// - example: `{ app: checkout }`
    pub source_labels: UniqueMap<String, String>,
    /// Where this match applies; replaces the document's `gateways`.
    ///
    /// - default: the document's
    /// - envoy: none, it says whose routes have the rule
    /// - example: `[mesh]`
    pub gateways: Vec<String>,
    /// The namespace of the client's workload.
    ///
    /// - default: any namespace
    /// - envoy: none, it says whose routes have the rule
    /// - example: `shop`
    pub source_namespace: Option<String>,
}

/// What of a connection a rule of `tls` looks at; all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TlsMatchAttributes {
    /// The name in the ClientHello is one of these; each is one of the document's hosts or fits one.
    ///
    /// - envoy: `filter_chain_match.server_names`
    /// - example: `[db.shop.svc.cluster.local]`
    pub sni_hosts: Vec<String>,
    /// The address that was dialled is in one of these.
    ///
    /// - envoy: `filter_chain_match.prefix_ranges`
    /// - example: `[10.0.0.0/8]`
    pub destination_subnets: Vec<super::CidrBlock>,
    /// The port that was dialled.
    ///
    /// - default: any port of the service
    /// - envoy: none, only that port's filter chains have the rule
    /// - example: `443`
    pub port: Option<NonZeroU16>,
    /// Labels of the client's workload.
    ///
    /// - default: any client
    /// - envoy: none, it says whose routes have the rule
    /// - example: `{ app: checkout }`
    pub source_labels: UniqueMap<String, String>,
    /// Where this match applies; replaces the document's `gateways`.
    ///
    /// - default: the document's
    /// - envoy: none, it says whose routes have the rule
    /// - example: `[mesh]`
    pub gateways: Vec<String>,
    /// The namespace of the client's workload.
    ///
    /// - default: any namespace
    /// - envoy: none, it says whose routes have the rule
    /// - example: `shop`
    pub source_namespace: Option<String>,
}
