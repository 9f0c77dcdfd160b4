//! Active checks: the entries of `healthChecks`.

use super::super::scalar::{Count, Span};
use serde::{Deserialize, Serialize};

settings! {
    /// One active check of every endpoint: Envoy's `HealthCheck`.
    pub struct HealthCheck {
        /// For one check; default 1 s.
        timeout: Span,
        /// Between checks; default 10 s.
        interval: Span,
        /// Before the first.
        initial_jitter: Span,
        /// Added to the interval, at most.
        interval_jitter: Span,
        /// Added to the interval, at most, in percent.
        interval_jitter_percent: Count,
        /// Failures until unhealthy; default 3.
        unhealthy_threshold: Count,
        /// Successes until healthy; default 2.
        healthy_threshold: Count,
        /// Default true.
        reuse_connection: bool,
        /// While the cluster has no traffic; Envoy's 60 s.
        no_traffic_interval: Span,
        /// The same for healthy endpoints.
        no_traffic_healthy_interval: Span,
        /// While unhealthy.
        unhealthy_interval: Span,
        /// Right after turning unhealthy.
        unhealthy_edge_interval: Span,
        /// Right after turning healthy.
        healthy_edge_interval: Span,
        /// Log every failure, not the changes alone.
        always_log_health_check_failures: bool,
        /// Ask over HTTP.
        http_health_check: HttpHealthCheck,
        /// Ask gRPC's health service.
        grpc_health_check: GrpcHealthCheck,
        /// Connect, and exchange bytes where some are given.
        tcp_health_check: TcpHealthCheck,
    }

    /// Ask over HTTP.
    pub struct HttpHealthCheck {
        /// The authority; default the cluster's name.
        host: String,
        /// Required, starts with `/`.
        path: String,
        /// Default GET.
        method: HealthCheckMethod,
        /// Statuses that mean healthy; default 200.
        expected_statuses: Vec<StatusRange>,
        /// Statuses that count towards `unhealthyThreshold` instead of at once.
        retriable_statuses: Vec<StatusRange>,
        /// Headers of the request.
        request_headers_to_add: Vec<HeaderToAdd>,
        /// Headers left out of the request.
        request_headers_to_remove: Vec<String>,
        /// HTTP1 or HTTP2.
        codec_client_type: CodecClientType,
    }

    /// Codes from `start` up to but not including `end`.
    pub struct StatusRange {
        /// The first.
        start: Count,
        /// The first that is no longer in it.
        end: Count,
    }

    /// A header, as Envoy's `HeaderValueOption` writes it.
    pub struct HeaderToAdd {
        /// Name and value.
        header: HeaderValue,
    }

    /// Name and value.
    pub struct HeaderValue {
        /// Its name.
        key: String,
        /// Its value.
        value: String,
    }

    /// Ask gRPC's health service.
    pub struct GrpcHealthCheck {
        /// Of this service; default the server as a whole.
        service_name: String,
        /// Default the cluster's name.
        authority: String,
    }

    /// Connect, and exchange bytes where some are given.
    pub struct TcpHealthCheck {
        /// What to send.
        send: Payload,
        /// What must come back.
        receive: Vec<Payload>,
    }

    /// Bytes, as hexadecimal digits.
    pub struct Payload {
        /// For example `000000FF`.
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
