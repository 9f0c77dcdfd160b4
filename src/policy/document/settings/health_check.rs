//! Active checks: the entries of `healthChecks`.

use super::super::scalar::{Count, Span};
use serde::{Deserialize, Serialize};

settings! {
    /// One active check of every endpoint: Envoy's `HealthCheck`.
    pub struct HealthCheck {
        /// How long one check may take.
        ///
        /// - default: `1s`
        /// - envoy: `health_checks[].timeout`
        /// - example: `500ms`
        timeout: Span,
        /// Time between checks of one endpoint.
        ///
        /// - default: `10s`
        /// - envoy: `health_checks[].interval`
        /// - example: `5s`
        interval: Span,
        /// The first check waits for a random time up to this.
        ///
        /// - default: none
        /// - envoy: `health_checks[].initial_jitter`
        /// - example: `1s`
        initial_jitter: Span,
        /// A random time up to this is added to each interval.
        ///
        /// - default: none
        /// - envoy: `health_checks[].interval_jitter`
        /// - example: `1s`
        interval_jitter: Span,
        /// A random share of the interval up to this, in percent, is added to it.
        ///
        /// - default: none
        /// - envoy: `health_checks[].interval_jitter_percent`
        /// - example: `10`
        interval_jitter_percent: Count,
        /// Failures in a row until an endpoint is unhealthy. An HTTP status that is not expected counts at once.
        ///
        /// - default: `3`
        /// - envoy: `health_checks[].unhealthy_threshold`
        /// - example: `2`
        unhealthy_threshold: Count,
        /// Successes in a row until an endpoint is healthy; the first check after its start suffices alone.
        ///
        /// - default: `2`
        /// - envoy: `health_checks[].healthy_threshold`
        /// - example: `1`
        healthy_threshold: Count,
        /// Keep the connection between checks.
        ///
        /// - default: `true`
        /// - envoy: `health_checks[].reuse_connection`
        /// - example: `false`
        reuse_connection: bool,
        /// Time between checks of a service that was sent no request yet.
        ///
        /// - default: Envoy's 60 s
        /// - envoy: `health_checks[].no_traffic_interval`
        /// - example: `10s`
        no_traffic_interval: Span,
        /// The same for endpoints that are healthy.
        ///
        /// - default: `noTrafficInterval`
        /// - envoy: `health_checks[].no_traffic_healthy_interval`
        /// - example: `30s`
        no_traffic_healthy_interval: Span,
        /// Time between checks of an unhealthy endpoint.
        ///
        /// - default: `interval`
        /// - envoy: `health_checks[].unhealthy_interval`
        /// - example: `2s`
        unhealthy_interval: Span,
        /// Time until the check after the one that failed first.
        ///
        /// - default: `unhealthyInterval`
        /// - envoy: `health_checks[].unhealthy_edge_interval`
        /// - example: `1s`
        unhealthy_edge_interval: Span,
        /// Time until the check after the one that succeeded first.
        ///
        /// - default: `interval`
        /// - envoy: `health_checks[].healthy_edge_interval`
        /// - example: `1s`
        healthy_edge_interval: Span,
        /// Log every failure, not the changes alone.
        ///
        /// - default: `false`
        /// - envoy: `health_checks[].always_log_health_check_failures`
        /// - example: `true`
        always_log_health_check_failures: bool,
        /// Ask over HTTP. A choice with `grpcHealthCheck` and `tcpHealthCheck`.
        ///
        /// - envoy: `health_checks[].http_health_check`
        /// - example: `{ path: /healthz }`
        http_health_check: HttpHealthCheck,
        /// Ask gRPC's health service. A choice with the other two.
        ///
        /// - envoy: `health_checks[].grpc_health_check`
        /// - example: `{ serviceName: orders }`
        grpc_health_check: GrpcHealthCheck,
        /// Connect, and exchange bytes where some are given. A choice with the other two.
        ///
        /// - envoy: `health_checks[].tcp_health_check`
        /// - example: `{}`
        tcp_health_check: TcpHealthCheck,
    }

    /// Ask over HTTP.
    pub struct HttpHealthCheck {
        /// The authority that is asked for.
        ///
        /// - default: the cluster's name
        /// - envoy: `health_checks[].http_health_check.host`
        /// - example: `orders`
        host: String,
        /// The path, which starts with `/`. Required.
        ///
        /// - envoy: `health_checks[].http_health_check.path`
        /// - example: `/healthz`
        path: String,
        /// The method; one that carries no body.
        ///
        /// - default: `GET`
        /// - envoy: `health_checks[].http_health_check.method`
        /// - example: `HEAD`
        method: HealthCheckMethod,
        /// Statuses that mean healthy.
        ///
        /// - default: 200 alone
        /// - envoy: `health_checks[].http_health_check.expected_statuses`
        /// - example: `[ { start: 200, end: 300 } ]`
        expected_statuses: Vec<StatusRange>,
        /// Statuses that count towards `unhealthyThreshold` instead of at once.
        ///
        /// - default: none
        /// - envoy: `health_checks[].http_health_check.retriable_statuses`
        /// - example: `[ { start: 503, end: 504 } ]`
        retriable_statuses: Vec<StatusRange>,
        /// Headers of the request.
        ///
        /// - default: none
        /// - envoy: `health_checks[].http_health_check.request_headers_to_add`
        /// - example: `[ { header: { key: x-check, value: "1" } } ]`
        request_headers_to_add: Vec<HeaderToAdd>,
        /// Headers left out of the request.
        ///
        /// - default: none
        /// - envoy: `health_checks[].http_health_check.request_headers_to_remove`
        /// - example: `[ user-agent ]`
        request_headers_to_remove: Vec<String>,
        /// The version of HTTP.
        ///
        /// - default: `HTTP1`
        /// - envoy: `health_checks[].http_health_check.codec_client_type`
        /// - example: `HTTP2`
        codec_client_type: CodecClientType,
    }

    /// Codes from `start` up to but not including `end`.
    pub struct StatusRange {
        /// The first status.
        ///
        /// - envoy: `start`
        /// - example: `200`
        start: Count,
        /// The first status that is no longer in it.
        ///
        /// - envoy: `end`
        /// - example: `300`
        end: Count,
    }

    /// A header, as Envoy's `HeaderValueOption` writes it.
    pub struct HeaderToAdd {
        /// Name and value.
        ///
        /// - envoy: `header`
        /// - example: `{ key: x-check, value: "1" }`
        header: HeaderValue,
    }

    /// Name and value.
    pub struct HeaderValue {
        /// The header's name.
        ///
        /// - envoy: `header.key`
        /// - example: `x-check`
        key: String,
        /// The header's value.
        ///
        /// - envoy: `header.value`
        /// - example: `"1"`
        value: String,
    }

    /// Ask gRPC's health service.
    pub struct GrpcHealthCheck {
        /// The service that is asked about.
        ///
        /// - default: the server as a whole
        /// - envoy: `health_checks[].grpc_health_check.service_name`
        /// - example: `orders.v1.Orders`
        service_name: String,
        /// The authority that is asked for.
        ///
        /// - default: the cluster's name
        /// - envoy: `health_checks[].grpc_health_check.authority`
        /// - example: `orders`
        authority: String,
    }

    /// Connect, and exchange bytes where some are given.
    pub struct TcpHealthCheck {
        /// What is sent; absent = nothing, to connect suffices.
        ///
        /// - default: none
        /// - envoy: `health_checks[].tcp_health_check.send`
        /// - example: `{ text: "50494E47" }`
        send: Payload,
        /// What must come back, in this order.
        ///
        /// - default: none
        /// - envoy: `health_checks[].tcp_health_check.receive`
        /// - example: `[ { text: "504F4E47" } ]`
        receive: Vec<Payload>,
    }

    /// Bytes, as hexadecimal digits.
    pub struct Payload {
        /// Two hexadecimal digits for each byte.
        ///
        /// - envoy: `text`
        /// - example: `"50494E47"`
        text: HexText,
    }
}

words! {
    /// Methods a check may use.
    pub enum HealthCheckMethod {
        /// GET.
        Get = "GET",
        /// HEAD.
        Head = "HEAD",
        /// POST.
        Post = "POST",
        /// PUT.
        Put = "PUT",
        /// DELETE.
        Delete = "DELETE",
        /// OPTIONS.
        Options = "OPTIONS",
        /// TRACE.
        Trace = "TRACE",
        /// PATCH.
        Patch = "PATCH",
    }

    /// What a check speaks.
    pub enum CodecClientType {
        /// HTTP/1.1.
        Http1 = "HTTP1",
        /// HTTP/2.
        Http2 = "HTTP2",
    }
}

impl HealthCheckMethod {
    /// The method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

/// An even number of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct HexText(pub String);

crate::yaml::scalar_schema!(HexText, {
    "type": "string",
    "pattern": "^([0-9a-fA-F]{2})+$",
    "patternErrorMessage": "write two hexadecimal digits for each byte, for example `50494E47` for PING",
});

impl<'de> Deserialize<'de> for HexText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !text.is_empty() && text.len() % 2 == 0 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(Self(text));
        }
        let sentence = format_args!("`{text}` is no bytes in hexadecimal digits").to_string();
        Err(crate::yaml::invalid(sentence, "write two digits for each byte, for example `50494E47` for PING"))
    }
}
