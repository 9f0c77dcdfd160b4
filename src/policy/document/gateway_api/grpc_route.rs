//! `GRPCRoute`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    BackendRef, HTTPHeaderFilter, HTTPHeaderMatch, HTTPRequestMirrorFilter, LocalObjectReference, ParentReference,
    SessionPersistence, ValueMatchType, filters::any_filter,
};
use crate::policy::document::unsupported::DefaultGateways;

/// `spec` of a `GRPCRoute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GRPCRoute {
    /// The services whose traffic it leads. A port that a GRPCRoute leads is led by no HTTPRoute.
    ///
    /// - example: `[{ group: "", kind: Service, name: reviews, port: 9000 }]`
    pub parent_refs: Vec<ParentReference>,
    use_default_gateways: Option<DefaultGateways>,
    /// No effect: a mesh takes the names of the services themselves.
    ///
    /// - envoy: none, a mesh takes the names of the services themselves
    /// - example: `[reviews.example]`
    pub hostnames: Vec<String>,
    /// Its rules. Those of all routes of a service are put in order together: the most specific match first, then the
    /// oldest route.
    ///
    /// - envoy: `virtual_hosts[].routes`
    pub rules: Vec<GRPCRouteRule>,
}

/// A rule for calls.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GRPCRouteRule {
    /// What Envoy and `why` call it.
    ///
    /// - envoy: `routes[].name`
    /// - example: `reads`
    pub name: Option<String>,
    /// It matches where one of these does.
    ///
    /// - default: every call
    /// - envoy: `routes[].match`
    pub matches: Vec<GRPCRouteMatch>,
    /// What is changed on the way.
    pub filters: Vec<GRPCRouteFilter>,
    /// Where calls go: one of them, by weight. Without any the answer is `UNAVAILABLE`.
    ///
    /// - envoy: `route.cluster`, `route.weighted_clusters`
    pub backend_refs: Vec<BackendRef<GRPCRouteFilter>>,
    /// Keep a client with its endpoint.
    ///
    /// - default: what TrafficPolicies of the service say, else no sessions
    /// - envoy: `routes[].typed_per_filter_config["envoy.filters.http.stateful_session"]`
    pub session_persistence: Option<SessionPersistence>,
}

/// What of a call a rule looks at; all of it must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GRPCRouteMatch {
    /// The method.
    ///
    /// - default: every method
    /// - envoy: `match.path`, `match.prefix`, `match.safe_regex`
    pub method: Option<GRPCMethodMatch>,
    /// Headers, which gRPC calls metadata. Of several entries for one name the first counts.
    ///
    /// - envoy: `match.headers`
    pub headers: Vec<HTTPHeaderMatch>,
}

/// A method of gRPC; `service`, `method`, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GRPCMethodMatch {
    /// How the names are compared.
    ///
    /// - default: `Exact`
    /// - envoy: `match.path`, `match.prefix`, `match.safe_regex`
    /// - example: `Exact`
    #[serde(rename = "type")]
    pub kind: ValueMatchType,
    /// The service, with its package.
    ///
    /// - envoy: `match.path`, `match.prefix`, `match.safe_regex`
    /// - example: `shop.Reviews`
    pub service: Option<String>,
    /// The method.
    ///
    /// - envoy: `match.path`, `match.safe_regex`
    /// - example: `List`
    pub method: Option<String>,
}

/// A change on the way.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GRPCRouteFilter {
    /// Which of the fields is written.
    ///
    /// - envoy: none, it says which field counts
    /// - example: `RequestHeaderModifier`
    #[serde(rename = "type")]
    pub kind: GRPCRouteFilterType,
    /// Changes of the request's headers.
    ///
    /// - envoy: `routes[].request_headers_to_add`, `request_headers_to_remove`
    #[serde(default)]
    pub request_header_modifier: Option<HTTPHeaderFilter>,
    /// Changes of the response's headers.
    ///
    /// - envoy: `routes[].response_headers_to_add`, `response_headers_to_remove`
    #[serde(default)]
    pub response_header_modifier: Option<HTTPHeaderFilter>,
    /// Copies of calls, whose answers nobody waits for.
    ///
    /// - envoy: `route.request_mirror_policies`
    #[serde(default)]
    pub request_mirror: Option<HTTPRequestMirrorFilter>,
    /// A filter of another API; refused.
    #[serde(default)]
    pub extension_ref: Option<LocalObjectReference>,
}

/// The kinds of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum GRPCRouteFilterType {
    /// Changes of the request's headers.
    RequestHeaderModifier,
    /// Changes of the response's headers.
    ResponseHeaderModifier,
    /// Copies of calls.
    RequestMirror,
    /// A filter of another API; refused.
    ExtensionRef,
}

any_filter!(GRPCRouteFilter, GRPCRouteFilterType, {
    RequestHeaderModifier => request_header_modifier "requestHeaderModifier" RequestHeaders,
    ResponseHeaderModifier => response_header_modifier "responseHeaderModifier" ResponseHeaders,
    RequestMirror => request_mirror "requestMirror" Mirror,
    ExtensionRef => extension_ref "extensionRef" Extension,
});
