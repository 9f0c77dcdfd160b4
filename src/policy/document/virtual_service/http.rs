//! Rules for requests.

use std::num::NonZeroU16;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Destination, HttpMatchRequest, StringMatch};
use crate::{
    policy::document::{
        regex::Regex,
        scalar::{Count, Percent, Span},
        settings::RetryOn,
        unsupported::{AbortHttp2Error, ExponentialDelay},
    },
    yaml::{UniqueMap, did_you_mean, invalid, scalar_schema},
};

/// A rule for requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpRoute {
    /// What Envoy and `why` call it.
    ///
    /// - envoy: `routes[].name`
    /// - example: `canary`
    pub name: Option<String>,
    /// It matches where one of these does; none = every request.
    ///
    /// - envoy: `routes[].match`
    #[serde(rename = "match")]
    pub matches: Vec<HttpMatchRequest>,
    /// Where requests go: one of them, by weight. Excludes `redirect` and `directResponse`.
    ///
    /// - envoy: `route.cluster`, `route.weighted_clusters`
    pub route: Vec<HttpRouteDestination>,
    /// Tell the client to go elsewhere.
    ///
    /// - envoy: `redirect`
    pub redirect: Option<HttpRedirect>,
    /// Answer at once.
    ///
    /// - envoy: `direct_response`
    pub direct_response: Option<HttpDirectResponse>,
    /// Leave requests to the rules of another VirtualService, one without hosts.
    pub delegate: Option<Delegate>,
    /// What the endpoint sees instead of what the client wrote.
    pub rewrite: Option<HttpRewrite>,
    /// For a whole request, retries included; `0s` = none. Wins over TrafficPolicies.
    ///
    /// - default: that of the TrafficPolicies of the service it leads to, else none
    /// - envoy: `route.timeout`
    /// - example: `2s`
    pub timeout: Option<Span>,
    /// When to try again: one block, whose absent fields are Istio's defaults. Wins over TrafficPolicies.
    ///
    /// - default: that of the TrafficPolicies of the service it leads to, else Istio's
    /// - envoy: `route.retry_policy`
    pub retries: Option<HttpRetry>,
    /// Failures on purpose.
    ///
    /// - envoy: `typed_per_filter_config["envoy.filters.http.fault"]`
    pub fault: Option<HttpFaultInjection>,
    /// Where copies of requests go, whose answers nobody waits for.
    ///
    /// - envoy: `route.request_mirror_policies`
    pub mirror: Option<Destination>,
    /// Several such places. Excludes `mirror`.
    ///
    /// - envoy: `route.request_mirror_policies`
    pub mirrors: Vec<HttpMirrorPolicy>,
    /// Istio's older form of `mirrorPercentage`.
    ///
    /// - default: 100
    /// - envoy: `route.request_mirror_policies[].runtime_fraction`
    /// - example: `10`
    /// - deprecated: write `mirrorPercentage: { value: … }`
    pub mirror_percent: Option<Count>,
    /// The share of requests that is copied to `mirror`.
    ///
    /// - default: 100
    /// - envoy: `route.request_mirror_policies[].runtime_fraction`
    /// - example: `{ value: 10 }`
    pub mirror_percentage: Option<PercentValue>,
    /// Cross-origin requests of browsers.
    ///
    /// - envoy: `typed_per_filter_config["envoy.filters.http.cors"]`
    pub cors_policy: Option<CorsPolicy>,
    /// Changes of headers.
    ///
    /// - envoy: `request_headers_to_add`, `request_headers_to_remove`, `response_headers_to_add`, `response_headers_to_remove`
    pub headers: Headers,
}

/// One of the places a request can go to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpRouteDestination {
    /// Where.
    pub destination: Destination,
    /// Its share, relative to the others'; 0 = none.
    ///
    /// - default: all of it where there is one place, else 0
    /// - envoy: `route.weighted_clusters.clusters[].weight`
    /// - example: `90`
    #[serde(default)]
    pub weight: Option<u32>,
    /// Changes of headers, only for what goes there.
    #[serde(default)]
    pub headers: Headers,
}

/// Changes of headers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Headers {
    /// Before a request leaves.
    pub request: HeaderOperations,
    /// Before a response is handed to the client.
    pub response: HeaderOperations,
}

/// What is changed; removed first, then set, then added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderOperations {
    /// Instead of what is there. Of a request, `:authority` or `host` is the host that the endpoint sees.
    ///
    /// - default: none
    /// - envoy: `request_headers_to_add`, `response_headers_to_add` with `OVERWRITE_IF_EXISTS_OR_ADD`; `route.host_rewrite_literal`
    /// - example: `{ x-tenant: shop }`
    pub set: UniqueMap<String, String>,
    /// Beside what is there.
    ///
    /// - default: none
    /// - envoy: `request_headers_to_add`, `response_headers_to_add` with `APPEND_IF_EXISTS_OR_ADD`
    /// - example: `{ x-via: mesh }`
    pub add: UniqueMap<String, String>,
    /// Taken out.
    ///
    /// - default: none
    /// - envoy: `request_headers_to_remove`, `response_headers_to_remove`
    /// - example: `[x-internal]`
    pub remove: Vec<String>,
}

/// Tell the client to go elsewhere; what is absent stays as the client wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpRedirect {
    /// The whole path; it may have a query.
    ///
    /// - default: the path stays
    /// - envoy: `redirect.path_redirect`
    /// - example: `/new`
    pub uri: Option<String>,
    /// The host.
    ///
    /// - default: the host stays
    /// - envoy: `redirect.host_redirect`
    /// - example: `new.example.com`
    pub authority: Option<String>,
    /// The port.
    ///
    /// - envoy: `redirect.port_redirect`
    /// - example: `8443`
    pub port: Option<NonZeroU16>,
    /// Where the port comes from. Excludes `port`.
    ///
    /// - envoy: `redirect.port_redirect`
    pub derive_port: Option<DerivePort>,
    /// `http` or `https`.
    ///
    /// - default: the scheme stays
    /// - envoy: `redirect.scheme_redirect`
    /// - example: `https`
    pub scheme: Option<String>,
    /// 301, 302, 303, 307 or 308.
    ///
    /// - default: 301
    /// - envoy: `redirect.response_code`
    /// - example: `308`
    pub redirect_code: Option<u16>,
}

/// Where a redirect's port comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum DerivePort {
    /// The scheme's own.
    #[serde(rename = "FROM_PROTOCOL_DEFAULT")]
    ProtocolDefault,
    /// The one that was dialled.
    #[serde(rename = "FROM_REQUEST_PORT")]
    RequestPort,
}

/// Answer at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpDirectResponse {
    /// The status, 200 to 599.
    ///
    /// - envoy: `direct_response.status`
    /// - example: `503`
    pub status: u16,
    /// The body.
    ///
    /// - default: empty
    /// - envoy: `direct_response.body`
    #[serde(default)]
    pub body: Option<HttpBody>,
}

/// A body; one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpBody {
    /// As text.
    ///
    /// - envoy: `direct_response.body.inline_string`
    /// - example: `back soon`
    pub string: Option<String>,
    /// As bytes, in base64.
    ///
    /// - envoy: `direct_response.body.inline_bytes`
    /// - example: `YmFjayBzb29u`
    pub bytes: Option<Base64>,
}

/// Bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base64(pub Vec<u8>);

scalar_schema!(Base64, { "type": "string", "pattern": "^[A-Za-z0-9+/_-]*=*$" });

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        decode_base64(&text)
            .map(Self)
            .ok_or_else(|| invalid("this is no base64", "write bytes in base64, or `string:` with text"))
    }
}

/// The usual alphabet or that of URLs, with or without padding, as proto3 JSON takes both.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    (count < 6).then_some(bytes)
}

/// The rules of another VirtualService.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delegate {
    /// Its name.
    ///
    /// - envoy: none, its rules become routes
    /// - example: `reviews-team`
    pub name: String,
    /// Its namespace; absent = this document's.
    ///
    /// - default: this document's
    /// - envoy: none, its rules become routes
    /// - example: `books`
    #[serde(default)]
    pub namespace: Option<String>,
}

/// What the endpoint sees instead of what the client wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpRewrite {
    /// In place of the match's prefix; where the match is no prefix, in place of the whole path.
    ///
    /// - default: the path stays
    /// - envoy: `route.prefix_rewrite`
    /// - example: `/v2`
    pub uri: Option<String>,
    /// The host.
    ///
    /// - default: the host stays
    /// - envoy: `route.host_rewrite_literal`
    /// - example: `reviews.internal`
    pub authority: Option<String>,
    /// In place of what a pattern finds in the path. Excludes `uri`.
    ///
    /// - envoy: `route.regex_rewrite`
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// In place of what a pattern finds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegexRewrite {
    /// What is replaced, wherever it is found (RE2).
    ///
    /// - envoy: `route.regex_rewrite.pattern.regex`
    /// - example: `^/user/([0-9]+)$`
    #[serde(rename = "match")]
    pub pattern: Regex,
    /// By what; `\1` stands for the first group.
    ///
    /// - envoy: `route.regex_rewrite.substitution`
    /// - example: `/users/\1`
    pub rewrite: String,
}

/// When to try again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpRetry {
    /// How many times more; 0 = never, and then nothing else is said.
    ///
    /// - default: 0
    /// - envoy: `retry_policy.num_retries`
    /// - example: `3`
    pub attempts: Option<Count>,
    /// For each try.
    ///
    /// - default: the request's timeout alone
    /// - envoy: `retry_policy.per_try_timeout`
    /// - example: `500ms`
    pub per_try_timeout: Option<Span>,
    /// Envoy's conditions and status codes, separated by commas.
    ///
    /// - default: `connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes`
    /// - envoy: `retry_policy.retry_on`, `retry_policy.retriable_status_codes`
    /// - example: `connect-failure,refused-stream,503`
    pub retry_on: Option<RetryOn>,
    /// Turn to other localities.
    ///
    /// - default: `false`
    /// - envoy: `retry_policy.retry_priority`
    pub retry_remote_localities: Option<bool>,
    /// Avoid endpoints already tried.
    ///
    /// - default: `true`
    /// - envoy: `retry_policy.retry_host_predicate`
    pub retry_ignore_previous_hosts: Option<bool>,
    /// The base of the exponential back-off.
    ///
    /// - default: `25ms`
    /// - envoy: `retry_policy.retry_back_off.base_interval`
    /// - example: `50ms`
    pub backoff: Option<Span>,
}

/// Failures on purpose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HttpFaultInjection {
    /// Wait before the request goes on.
    pub delay: Option<Delay>,
    /// Answer with an error instead.
    pub abort: Option<Abort>,
}

/// Wait before the request goes on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Delay {
    /// Istio's older form of `percentage`.
    ///
    /// - default: none waits
    /// - envoy: `HTTPFault.delay.percentage`
    /// - example: `10`
    /// - deprecated: write `percentage: { value: … }`
    pub percent: Option<Count>,
    /// How long.
    ///
    /// - envoy: `HTTPFault.delay.fixed_delay`
    /// - example: `5s`
    pub fixed_delay: Option<Span>,
    exponential_delay: Option<ExponentialDelay>,
    /// The share of requests that wait; without it none does.
    ///
    /// - example: `{ value: 10 }`
    pub percentage: Option<PercentValue>,
}

/// Answer with an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Abort {
    /// With this status, 200 to 599.
    ///
    /// - envoy: `HTTPFault.abort.http_status`
    /// - example: `503`
    pub http_status: Option<u16>,
    /// With this gRPC status, for example `UNAVAILABLE`.
    ///
    /// - envoy: `HTTPFault.abort.grpc_status`
    /// - example: `UNAVAILABLE`
    pub grpc_status: Option<GrpcStatus>,
    http2_error: Option<AbortHttp2Error>,
    /// The share of requests that are aborted; without it none is.
    ///
    /// - example: `{ value: 0.5 }`
    pub percentage: Option<PercentValue>,
}

/// A gRPC status, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrpcStatus(pub u32);

/// In the order of their numbers.
const GRPC_STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

scalar_schema!(GrpcStatus, { "type": "string", "enum": GRPC_STATUSES });

impl<'de> Deserialize<'de> for GrpcStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match GRPC_STATUSES.iter().position(|status| *status == text) {
            Some(number) => Ok(Self(number as u32)),
            None => {
                let remedy = did_you_mean(&text, GRPC_STATUSES).unwrap_or_default();
                Err(invalid(format_args!("`{text}` is no gRPC status"), remedy))
            }
        }
    }
}

/// A share in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PercentValue {
    /// From 0 to 100, fractions allowed.
    ///
    /// - envoy: a `FractionalPercent`, or a `RuntimeFractionalPercent` around it, in millionths
    /// - example: `12.5`
    pub value: Percent,
}

/// A place for copies of requests.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpMirrorPolicy {
    /// Where.
    pub destination: Destination,
    /// The share of requests that is copied.
    ///
    /// - default: 100
    #[serde(default)]
    pub percentage: Option<PercentValue>,
}

/// Cross-origin requests of browsers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CorsPolicy {
    /// Istio's older form of `allowOrigins`, each exact.
    ///
    /// - default: `[]`
    /// - envoy: `CorsPolicy.allow_origin_string_match[].exact`
    /// - example: `[https://shop.example.com]`
    /// - deprecated: write `allowOrigins: [ { exact: … } ]`
    pub allow_origin: Vec<String>,
    /// Which origins may.
    ///
    /// - default: none may
    /// - envoy: `CorsPolicy.allow_origin_string_match`
    /// - example: `[ { exact: https://shop.example.com } ]`
    pub allow_origins: Vec<StringMatch>,
    /// With which methods.
    ///
    /// - default: `[]`
    /// - envoy: `CorsPolicy.allow_methods`
    /// - example: `[GET, POST]`
    pub allow_methods: Vec<String>,
    /// With which headers.
    ///
    /// - default: `[]`
    /// - envoy: `CorsPolicy.allow_headers`
    /// - example: `[content-type]`
    pub allow_headers: Vec<String>,
    /// Which headers of the response they may read.
    ///
    /// - default: `[]`
    /// - envoy: `CorsPolicy.expose_headers`
    /// - example: `[x-total]`
    pub expose_headers: Vec<String>,
    /// How long a browser may remember this; whole seconds.
    ///
    /// - default: what the browser does by itself
    /// - envoy: `CorsPolicy.max_age`
    /// - example: `1h`
    pub max_age: Option<Span>,
    /// Whether with cookies and the like.
    ///
    /// - default: `false`
    /// - envoy: `CorsPolicy.allow_credentials`
    /// - example: `true`
    pub allow_credentials: Option<bool>,
    /// What becomes of a preflight from an origin that is not allowed.
    ///
    /// - default: `FORWARD`
    /// - envoy: `CorsPolicy.forward_not_matching_preflights`
    /// - example: `IGNORE`
    pub unmatched_preflights: Option<UnmatchedPreflights>,
}

/// What becomes of a preflight from an origin that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum UnmatchedPreflights {
    /// The same as FORWARD.
    #[serde(rename = "UNSPECIFIED")]
    Unspecified,
    /// It goes to the service.
    #[serde(rename = "FORWARD")]
    Forward,
    /// It is answered with 200 and without the headers that would allow anything.
    #[serde(rename = "IGNORE")]
    Ignore,
}

#[cfg(test)]
mod tests {
    use super::decode_base64;

    #[test]
    fn base64_is_read_with_and_without_padding() {
        assert_eq!(decode_base64("aGVsbG8="), Some(b"hello".to_vec()));
        assert_eq!(decode_base64("aGVsbG8"), Some(b"hello".to_vec()));
        assert_eq!(decode_base64("-_-_"), decode_base64("+/+/"));
        assert_eq!(decode_base64(""), Some(Vec::new()));
        assert_eq!(decode_base64("a"), None);
        assert_eq!(decode_base64("a b="), None);
    }
}
