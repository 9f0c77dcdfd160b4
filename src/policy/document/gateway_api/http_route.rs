//! `HTTPRoute`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BackendRef, GatewayDuration, HTTPRouteFilter, ParentReference, SessionPersistence};
use crate::policy::document::{scalar::Count, unsupported::DefaultGateways};

/// `spec` of an `HTTPRoute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRoute {
    /// The services whose traffic it leads.
    ///
    /// - example: `[{ group: "", kind: Service, name: reviews, port: 80 }]`
    pub parent_refs: Vec<ParentReference>,
    use_default_gateways: Option<DefaultGateways>,
    /// No effect: a mesh takes the names of the services themselves.
    ///
    /// - envoy: none, a mesh takes the names of the services themselves
    /// - example: `[reviews.example]`
    pub hostnames: Vec<String>,
    /// Its rules. Those of all routes of a service are put in order together: the most specific match first, then the
    /// oldest route. A request that none matches is answered with 404.
    ///
    /// - envoy: `virtual_hosts[].routes`
    pub rules: Vec<HTTPRouteRule>,
}

/// A rule for requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRouteRule {
    /// What Envoy and `why` call it.
    ///
    /// - envoy: `routes[].name`
    /// - example: `reads`
    pub name: Option<String>,
    /// It matches where one of these does.
    ///
    /// - default: every request
    /// - envoy: `routes[].match`
    pub matches: Vec<HTTPRouteMatch>,
    /// What is changed on the way.
    pub filters: Vec<HTTPRouteFilter>,
    /// Where requests go: one of them, by weight. Without any, and without a redirect, the answer is 500.
    ///
    /// - envoy: `route.cluster`, `route.weighted_clusters`
    pub backend_refs: Vec<BackendRef<HTTPRouteFilter>>,
    /// How long requests may take.
    pub timeouts: Option<HTTPRouteTimeouts>,
    /// When a request is tried again.
    ///
    /// - default: what TrafficPolicies of the service say, else only what is safe for any request
    /// - envoy: `route.retry_policy`
    pub retry: Option<HTTPRouteRetry>,
    /// Keep a client with its endpoint.
    ///
    /// - default: what TrafficPolicies of the service say, else no sessions
    /// - envoy: `routes[].typed_per_filter_config["envoy.filters.http.stateful_session"]`
    pub session_persistence: Option<SessionPersistence>,
}

/// What of a request a rule looks at; all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRouteMatch {
    /// The path, without the query.
    ///
    /// - default: `{ type: PathPrefix, value: / }`
    /// - envoy: `match.path`, `match.path_separated_prefix`, `match.safe_regex`
    pub path: Option<HTTPPathMatch>,
    /// Headers. Of several entries for one name the first counts.
    ///
    /// - envoy: `match.headers`
    pub headers: Vec<HTTPHeaderMatch>,
    /// Query parameters. Of several entries for one name the first counts.
    ///
    /// - envoy: `match.query_parameters`
    pub query_params: Vec<HTTPHeaderMatch>,
    /// The method.
    ///
    /// - envoy: `match.headers` of `:method`
    /// - example: `GET`
    pub method: Option<HTTPMethod>,
}

/// How a path is compared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPPathMatch {
    /// `Exact`; `PathPrefix` compares element by element, so that `/api` does not match `/apis`; `RegularExpression`
    /// (RE2) the whole path.
    ///
    /// - default: `PathPrefix`
    /// - envoy: `match.path`, `match.path_separated_prefix`, `match.safe_regex`
    /// - example: `PathPrefix`
    #[serde(rename = "type")]
    pub kind: PathMatchType,
    /// The path, prefix or pattern.
    ///
    /// - default: `/`
    /// - envoy: `match.path`, `match.path_separated_prefix`, `match.safe_regex`
    /// - example: `/api`
    pub value: Option<String>,
}

/// How a path is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// All of it.
    Exact,
    /// It begins with these elements.
    #[default]
    PathPrefix,
    /// All of it, as a regular expression (RE2).
    RegularExpression,
}

/// A header or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPHeaderMatch {
    /// How the value is compared.
    ///
    /// - default: `Exact`
    /// - envoy: `string_match` of `match.headers` and `match.query_parameters`
    /// - example: `Exact`
    #[serde(default, rename = "type")]
    pub kind: ValueMatchType,
    /// Its name; of headers without regard to case.
    ///
    /// - envoy: `match.headers[].name`, `match.query_parameters[].name`
    /// - example: `x-user`
    pub name: String,
    /// The value, or the pattern.
    ///
    /// - envoy: `string_match` of `match.headers` and `match.query_parameters`
    /// - example: `"7"`
    pub value: String,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
pub enum ValueMatchType {
    /// All of it.
    #[default]
    Exact,
    /// All of it, as a regular expression (RE2).
    RegularExpression,
}

/// A method of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HTTPMethod {
    /// Read.
    Get,
    /// Read the headers.
    Head,
    /// Do something.
    Post,
    /// Replace.
    Put,
    /// Remove.
    Delete,
    /// Open a tunnel.
    Connect,
    /// Ask what is possible.
    Options,
    /// Echo.
    Trace,
    /// Change a part.
    Patch,
}

impl HTTPMethod {
    /// As it stands in a request.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

/// How long requests may take.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRouteTimeouts {
    /// From the request to the end of the response, retries included; `0s` = no limit.
    ///
    /// - default: what TrafficPolicies of the service say, else no limit
    /// - envoy: `route.timeout`
    /// - example: `10s`
    pub request: Option<GatewayDuration>,
    /// For each try; `0s` = no limit. Not longer than `request`.
    ///
    /// - default: what TrafficPolicies of the service say, else no limit
    /// - envoy: `route.retry_policy.per_try_timeout`; without retries `route.timeout`
    /// - example: `2s`
    pub backend_request: Option<GatewayDuration>,
}

/// When a request is tried again: where no connection comes about or it is refused, by Istio's default, and for `codes`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRouteRetry {
    /// Statuses from 400 to 599 that a request is tried again for.
    ///
    /// - envoy: `retry_policy.retriable_status_codes`
    /// - example: `[503]`
    pub codes: Vec<u16>,
    /// How many times more; 0 = never.
    ///
    /// - default: `2`
    /// - envoy: `retry_policy.num_retries`
    /// - example: `3`
    pub attempts: Option<Count>,
    /// How long to wait before, at least; doubled from try to try.
    ///
    /// - default: `25ms`
    /// - envoy: `retry_policy.retry_back_off.base_interval`
    /// - example: `100ms`
    pub backoff: Option<GatewayDuration>,
}
