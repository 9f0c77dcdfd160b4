//! `GRPCRoute`.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    HTTPHeaderFilter, HTTPHeaderMatch, HTTPRequestMirrorFilter, LocalObjectReference, ParentReference, ValueMatchType,
    filters::any_filter, reference::backend,
};
use crate::policy::document::scalar::Unsupported;

/// `spec` of a `GRPCRoute`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GRPCRoute {
    /// The services whose traffic it leads. A port that a GRPCRoute leads is led by no HTTPRoute.
    ///
    /// - example: `[{ group: "", kind: Service, name: reviews, port: 9000 }]`
    pub parent_refs: Vec<ParentReference>,
    use_default_gateways: Option<Unsupported>,
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
    pub backend_refs: Vec<GRPCBackendRef>,
    session_persistence: Option<Unsupported>,
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

/// A service that a share of the calls goes to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GRPCBackendRef {
    /// The group of `kind`; services have the empty one.
    ///
    /// - default: `""`
    /// - envoy: none, it says what is meant
    /// - example: `""`
    #[serde(default)]
    pub group: Option<String>,
    /// `Service`, which alone is supported.
    ///
    /// - default: `Service`
    /// - envoy: none, it says what is meant
    /// - example: `Service`
    #[serde(default)]
    pub kind: Option<String>,
    /// The service's name. Calls that are led to one that is not there are answered with `UNAVAILABLE`.
    ///
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `reviews-v2`
    pub name: String,
    /// The service's namespace.
    ///
    /// - default: the route's own
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `shop`
    #[serde(default)]
    pub namespace: Option<String>,
    /// The service's port; required.
    ///
    /// - envoy: `route.cluster`, `weighted_clusters.clusters[].name`
    /// - example: `9000`
    #[serde(default)]
    pub port: Option<NonZeroU16>,
    /// Its share, relative to the others'; 0 = nothing.
    ///
    /// - default: `1`
    /// - envoy: `weighted_clusters.clusters[].weight`
    /// - example: `90`
    #[serde(default)]
    pub weight: Option<u32>,
    /// What is changed of the headers of calls that go there.
    #[serde(default)]
    pub filters: Vec<GRPCRouteFilter>,
}

backend!(GRPCBackendRef);

any_filter!(GRPCRouteFilter, GRPCRouteFilterType, {
    RequestHeaderModifier => request_header_modifier "requestHeaderModifier" RequestHeaders,
    ResponseHeaderModifier => response_header_modifier "responseHeaderModifier" ResponseHeaders,
    RequestMirror => request_mirror "requestMirror" Mirror,
    ExtensionRef => extension_ref "extensionRef" Extension,
});
