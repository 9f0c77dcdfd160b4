//! What is changed on the way.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::Deserialize;

use super::BackendObjectReference;
use crate::policy::document::{scalar::Percent, unsupported::ExternalAuth};

/// A change on the way: `type` says which, and the field of that name how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPRouteFilter {
    /// Which of the fields is written.
    ///
    /// - envoy: none, it says which field counts
    /// - example: `RequestHeaderModifier`
    #[serde(rename = "type")]
    pub kind: HTTPRouteFilterType,
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
    /// Copies of requests, whose answers nobody waits for. May stand several times.
    ///
    /// - envoy: `route.request_mirror_policies`
    #[serde(default)]
    pub request_mirror: Option<HTTPRequestMirrorFilter>,
    /// Tell the client to go elsewhere. Excludes `backendRefs` and `urlRewrite`.
    ///
    /// - envoy: `redirect`
    #[serde(default)]
    pub request_redirect: Option<HTTPRequestRedirectFilter>,
    /// What the endpoint sees instead of what the client wrote.
    ///
    /// - envoy: `route.host_rewrite_literal`, `route.prefix_rewrite`, `route.regex_rewrite`
    #[serde(default)]
    pub url_rewrite: Option<HTTPURLRewriteFilter>,
    /// What browsers are told of requests from other origins.
    ///
    /// - envoy: `routes[].typed_per_filter_config["envoy.filters.http.cors"]`
    #[serde(default)]
    pub cors: Option<HTTPCORSFilter>,
    #[serde(default)]
    external_auth: Option<ExternalAuth>,
    /// A filter of another API; refused.
    #[serde(default)]
    pub extension_ref: Option<LocalObjectReference>,
}

/// The kinds of filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum HTTPRouteFilterType {
    /// Changes of the request's headers.
    RequestHeaderModifier,
    /// Changes of the response's headers.
    ResponseHeaderModifier,
    /// Copies of requests.
    RequestMirror,
    /// Tell the client to go elsewhere.
    RequestRedirect,
    /// Another host or path.
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    /// What browsers are told of requests from other origins.
    #[serde(rename = "CORS")]
    Cors,
    /// A filter of another API; refused.
    ExtensionRef,
}

/// A filter of another API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LocalObjectReference {
    /// The group of `kind`.
    ///
    /// - envoy: none, it is refused
    /// - example: `extensions.example.com`
    pub group: String,
    /// Its kind.
    ///
    /// - envoy: none, it is refused
    /// - example: `RateLimit`
    pub kind: String,
    /// Its name.
    ///
    /// - envoy: none, it is refused
    /// - example: `orders`
    pub name: String,
}

/// Changes of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPHeaderFilter {
    /// Instead of what is there. Of several entries for one name the first counts.
    ///
    /// - envoy: `request_headers_to_add` or `response_headers_to_add` with `OVERWRITE_IF_EXISTS_OR_ADD`
    /// - example: `[{ name: x-env, value: prod }]`
    pub set: Vec<HTTPHeader>,
    /// Beside what is there. Of several entries for one name the first counts.
    ///
    /// - envoy: `request_headers_to_add` or `response_headers_to_add` with `APPEND_IF_EXISTS_OR_ADD`
    /// - example: `[{ name: x-env, value: prod }]`
    pub add: Vec<HTTPHeader>,
    /// Taken out, by name.
    ///
    /// - envoy: `request_headers_to_remove` or `response_headers_to_remove`
    /// - example: `[x-internal]`
    pub remove: Vec<String>,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPHeader {
    /// Its name, without regard to case.
    ///
    /// - envoy: `header.key`
    /// - example: `x-env`
    pub name: String,
    /// Its value, as it stands there.
    ///
    /// - envoy: `header.value`
    /// - example: `prod`
    pub value: String,
}

/// Copies of a share of the requests; all of them where neither `percent` nor `fraction` is written.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPRequestMirrorFilter {
    /// Where the copies go.
    pub backend_ref: BackendObjectReference,
    /// The share in percent.
    ///
    /// - default: `100`
    /// - envoy: `request_mirror_policies[].runtime_fraction`
    /// - example: `10`
    #[serde(default)]
    pub percent: Option<Percent>,
    /// The share as a fraction; excludes `percent`.
    ///
    /// - envoy: `request_mirror_policies[].runtime_fraction`
    /// - example: `{ numerator: 1, denominator: 1000 }`
    #[serde(default)]
    pub fraction: Option<MirrorFraction>,
}

/// A share as a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MirrorFraction {
    /// At most the denominator.
    ///
    /// - envoy: `request_mirror_policies[].runtime_fraction.default_value`
    /// - example: `1`
    pub numerator: u32,
    /// Above zero.
    ///
    /// - default: `100`
    /// - envoy: `request_mirror_policies[].runtime_fraction.default_value`
    /// - example: `1000`
    #[serde(default)]
    pub denominator: Option<u32>,
}

/// Where a client is told to go; what is absent stays as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPRequestRedirectFilter {
    /// `http` or `https`.
    ///
    /// - envoy: `redirect.scheme_redirect`
    /// - example: `https`
    pub scheme: Option<String>,
    /// The host.
    ///
    /// - envoy: `redirect.host_redirect`
    /// - example: `shop.example`
    pub hostname: Option<String>,
    /// The path.
    ///
    /// - envoy: `redirect.path_redirect`, `redirect.prefix_rewrite`
    pub path: Option<HTTPPathModifier>,
    /// The port.
    ///
    /// - default: that of `scheme`; without a `scheme` the service's
    /// - envoy: `redirect.port_redirect`
    /// - example: `443`
    pub port: Option<NonZeroU16>,
    /// 301, 302, 303, 307 or 308.
    ///
    /// - default: `302`
    /// - envoy: `redirect.response_code`
    /// - example: `301`
    pub status_code: Option<u16>,
}

/// What the endpoint sees instead of what the client wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPURLRewriteFilter {
    /// The host.
    ///
    /// - envoy: `route.host_rewrite_literal`
    /// - example: `reviews.internal`
    pub hostname: Option<String>,
    /// The path.
    ///
    /// - envoy: `route.prefix_rewrite`, `route.regex_rewrite`
    pub path: Option<HTTPPathModifier>,
}

/// Another path: `type` says which, and the field of that name how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HTTPPathModifier {
    /// Which of the fields is written.
    ///
    /// - envoy: none, it says which field counts
    /// - example: `ReplacePrefixMatch`
    #[serde(rename = "type")]
    pub kind: HTTPPathModifierType,
    /// Instead of the whole path.
    ///
    /// - envoy: `redirect.path_redirect`, `route.regex_rewrite`
    /// - example: `/new`
    #[serde(default)]
    pub replace_full_path: Option<String>,
    /// Instead of what the match's prefix covers. The rule then has one match, of type `PathPrefix`.
    ///
    /// - envoy: `redirect.prefix_rewrite`, `route.prefix_rewrite`, `route.regex_rewrite`
    /// - example: `/v2`
    #[serde(default)]
    pub replace_prefix_match: Option<String>,
}

/// How a path is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum HTTPPathModifierType {
    /// All of it.
    ReplaceFullPath,
    /// What the match's prefix covers.
    ReplacePrefixMatch,
}

/// What browsers are told of requests from other origins. A preflight whose origin is not allowed is answered without
/// the headers that would allow anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HTTPCORSFilter {
    /// Which origins may: `SCHEME://HOST[:PORT]`, the host with `*` in front for every host below, or `*` alone.
    ///
    /// - envoy: `allow_origin_string_match`
    /// - example: `["https://*.shop.example"]`
    pub allow_origins: Vec<String>,
    /// Whether with cookies and the like.
    ///
    /// - default: `false`
    /// - envoy: `allow_credentials`
    /// - example: `true`
    pub allow_credentials: Option<bool>,
    /// With which methods; `*` alone = any.
    ///
    /// - envoy: `allow_methods`
    /// - example: `[GET, POST]`
    pub allow_methods: Vec<String>,
    /// With which headers; `*` alone = any.
    ///
    /// - envoy: `allow_headers`
    /// - example: `[x-user]`
    pub allow_headers: Vec<String>,
    /// Which headers of the response they may read.
    ///
    /// - envoy: `expose_headers`
    /// - example: `[x-request-id]`
    pub expose_headers: Vec<String>,
    /// How long a browser may remember this, in seconds.
    ///
    /// - default: `5`
    /// - envoy: `max_age`
    /// - example: `600`
    pub max_age: Option<u32>,
}

/// What a filter does, whichever kind of route it is of.
#[derive(Debug, Clone, Copy)]
pub enum Filter<'a> {
    /// Changes of the request's headers.
    RequestHeaders(&'a HTTPHeaderFilter),
    /// Changes of the response's headers.
    ResponseHeaders(&'a HTTPHeaderFilter),
    /// Copies.
    Mirror(&'a HTTPRequestMirrorFilter),
    /// Go elsewhere.
    Redirect(&'a HTTPRequestRedirectFilter),
    /// Another host or path.
    Rewrite(&'a HTTPURLRewriteFilter),
    /// What browsers are told.
    Cors(&'a HTTPCORSFilter),
    /// A filter of another API.
    Extension(&'a LocalObjectReference),
}

impl Filter<'_> {
    /// The field that says how.
    pub fn field(&self) -> &'static str {
        match self {
            Self::RequestHeaders(_) => "requestHeaderModifier",
            Self::ResponseHeaders(_) => "responseHeaderModifier",
            Self::Mirror(_) => "requestMirror",
            Self::Redirect(_) => "requestRedirect",
            Self::Rewrite(_) => "urlRewrite",
            Self::Cors(_) => "cors",
            Self::Extension(_) => "extensionRef",
        }
    }
}

/// A filter of either kind of route.
pub trait AnyFilter {
    /// What it does: the field that its `type` names. `None` where that is not written.
    fn filter(&self) -> Option<Filter<'_>>;

    /// The fields that are written, and the one that `type` asks for.
    fn written(&self) -> (Vec<&'static str>, &'static str);
}

macro_rules! any_filter {
    ($filter:ty, $kinds:ident, { $($kind:ident => $field:ident $name:literal $variant:ident,)* }) => {
        impl $crate::policy::document::gateway_api::AnyFilter for $filter {
            fn filter(&self) -> Option<$crate::policy::document::gateway_api::Filter<'_>> {
                use $crate::policy::document::gateway_api::Filter;
                match self.kind {
                    $($kinds::$kind => self.$field.as_ref().map(Filter::$variant),)*
                }
            }

            fn written(&self) -> (Vec<&'static str>, &'static str) {
                let written = [$((self.$field.is_some(), $name),)*];
                let wanted = match self.kind {
                    $($kinds::$kind => $name,)*
                };
                (written.into_iter().filter(|(is, _)| *is).map(|(_, name)| name).collect(), wanted)
            }
        }
    };
}
pub(super) use any_filter;

any_filter!(HTTPRouteFilter, HTTPRouteFilterType, {
    RequestHeaderModifier => request_header_modifier "requestHeaderModifier" RequestHeaders,
    ResponseHeaderModifier => response_header_modifier "responseHeaderModifier" ResponseHeaders,
    RequestMirror => request_mirror "requestMirror" Mirror,
    RequestRedirect => request_redirect "requestRedirect" Redirect,
    UrlRewrite => url_rewrite "urlRewrite" Rewrite,
    Cors => cors "cors" Cors,
    ExtensionRef => extension_ref "extensionRef" Extension,
});
