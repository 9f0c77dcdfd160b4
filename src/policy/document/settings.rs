//! Traffic settings as written: every field optional, absent means "not said".
//!
//! The names and places are those of Istio's DestinationRule, and Envoy's own where only Envoy has the field.
//! Both dialects read into these types; merging works on them field by field (`policy::merge`), and the one place
//! that says what an absent field means is `policy::effective`.

use serde::{Deserialize, Serialize};

use super::scalar::{
    ChoiceCount, Count, Fraction, OverprovisioningFactor, Percent, RingSize, Span, StatusCode, TableSize, Unsupported,
    WholePercent,
};

/// A struct as it stands in YAML: camelCase, unknown fields refused, absent fields not written.
macro_rules! settings {
    ($($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
            #[serde(rename_all = "camelCase", deny_unknown_fields)]
            pub struct $name {
                $(
                    $(#[$field_doc])*
                    #[serde(default, skip_serializing_if = "Option::is_none")]
                    pub $field: Option<$type>,
                )*
            }
        )*
    };
}

settings! {
    /// Everything a policy can say of a target.
    pub struct Settings {
        /// Which endpoint takes a request.
        load_balancer: LoadBalancer,
        /// Connections and limits.
        connection_pool: ConnectionPool,
        /// Ejection of endpoints that fail.
        outlier_detection: OutlierDetection,
        /// Active checks; the whole list is one field.
        health_checks: Vec<HealthCheck>,
        /// Retries as a share of requests.
        retry_budget: RetryBudget,
        /// For a whole request; `0s` = none.
        timeout: Span,
        /// When to try again.
        retries: Retries,
    }

    /// Which endpoint takes a request.
    pub struct LoadBalancer {
        /// One of Envoy's simple algorithms. A choice with `consistentHash`.
        simple: Simple,
        /// By a key of the request. A choice with `simple`.
        consistent_hash: ConsistentHash,
        /// For LEAST_REQUEST.
        least_request: LeastRequest,
        /// Ease new endpoints in; for ROUND_ROBIN and LEAST_REQUEST.
        warmup: Warmup,
        /// Istio's older word for `warmup.duration`.
        warmup_duration_secs: Span,
        /// What localities mean.
        locality_lb_setting: LocalityLbSetting,
        /// Below this percentage of healthy endpoints health is ignored. Default 0.
        panic_threshold: Percent,
        /// In percent; default Envoy's 140.
        overprovisioning_factor: OverprovisioningFactor,
    }

    /// For LEAST_REQUEST.
    pub struct LeastRequest {
        /// How many endpoints are compared; default Envoy's 2.
        choice_count: ChoiceCount,
        /// How strongly requests in flight count where weights differ; default Envoy's 1.0.
        active_request_bias: Fraction,
    }

    /// Ease new endpoints in.
    pub struct Warmup {
        /// How long an endpoint counts as new.
        duration: Span,
        /// Its share at the start; default 10.
        minimum_percent: Percent,
        /// How the share grows; default 1, linearly.
        aggression: Fraction,
    }

    /// By a key of the request.
    pub struct ConsistentHash {
        /// Hash a header.
        http_header_name: String,
        /// Hash a cookie, made where it is missing and a `ttl` is given.
        http_cookie: HttpCookie,
        /// Hash the client's address.
        use_source_ip: bool,
        /// Hash a query parameter.
        http_query_parameter_name: String,
        /// A ring; the default.
        ring_hash: RingHash,
        /// A Maglev table.
        maglev: Maglev,
        /// Istio's older place of `ringHash.minimumRingSize`.
        minimum_ring_size: RingSize,
    }

    /// A cookie to hash.
    pub struct HttpCookie {
        /// Its name.
        name: String,
        /// The lifetime of a cookie that is made; `0s` = a session cookie; absent = none is made.
        ttl: Span,
        /// The path of a cookie that is made.
        path: String,
        /// Further attributes of a cookie that is made.
        attributes: Vec<CookieAttribute>,
    }

    /// An attribute of a cookie.
    pub struct CookieAttribute {
        /// For example `SameSite`.
        name: String,
        /// For example `Strict`; may be absent.
        value: String,
    }

    /// A hash ring.
    pub struct RingHash {
        /// Default 1024.
        minimum_ring_size: RingSize,
        /// Default Envoy's 8M.
        maximum_ring_size: RingSize,
        /// Default XX_HASH.
        hash_function: HashFunction,
    }

    /// A Maglev table.
    pub struct Maglev {
        /// A prime; default 65537.
        table_size: TableSize,
    }

    /// What localities mean.
    pub struct LocalityLbSetting {
        /// `false` turns off what a less specific policy says.
        enabled: bool,
        /// Shares between localities. A choice with `failover`.
        distribute: Vec<Distribute>,
        /// Where clients go when their own region fails. A choice with `distribute`.
        failover: Vec<Failover>,
        /// By labels.
        failover_priority: Unsupported,
    }

    /// Shares for clients at one place.
    pub struct Distribute {
        /// Where the client runs: `region/zone/subzone`, `*` for any.
        from: String,
        /// The share of each place in percent; together 100.
        to: std::collections::BTreeMap<String, WholePercent>,
    }

    /// Where clients of a region go.
    pub struct Failover {
        /// The clients' region.
        from: String,
        /// The region preferred among the others.
        to: String,
    }

    /// Connections and limits.
    pub struct ConnectionPool {
        /// For every protocol.
        tcp: TcpPool,
        /// For HTTP.
        http: HttpPool,
        /// Publish how much of each limit remains. Default false.
        track_remaining: bool,
        /// Connections at once to one endpoint.
        max_connections_per_host: Count,
        /// Limits for routes of priority HIGH.
        high: HighLimits,
    }

    /// For every protocol.
    pub struct TcpPool {
        /// Connections at once; default none.
        max_connections: Count,
        /// Default 10 s.
        connect_timeout: Span,
        /// Socket keepalive; absent = none.
        tcp_keepalive: TcpKeepalive,
        /// Replace a connection older than this.
        max_connection_duration: Span,
        /// Close a connection without bytes for this long; default Envoy's 1 h, `0s` = never.
        idle_timeout: Span,
    }

    /// Socket keepalive; whole seconds.
    pub struct TcpKeepalive {
        /// Probes without an answer.
        probes: Count,
        /// Idle time until the first probe.
        time: Span,
        /// Between probes.
        interval: Span,
    }

    /// For HTTP.
    pub struct HttpPool {
        /// Requests that wait for a connection.
        http1_max_pending_requests: Count,
        /// Requests in flight, HTTP/1 included.
        http2_max_requests: Count,
        /// Until a connection is replaced.
        max_requests_per_connection: Count,
        /// Retries in flight.
        max_retries: Count,
        /// Close a connection without requests for this long; default Envoy's 1 h, `0s` = never.
        idle_timeout: Span,
        /// Speak HTTP/2 to an http port.
        h2_upgrade_policy: H2UpgradePolicy,
        /// Speak to endpoints what the client spoke.
        use_client_protocol: bool,
        /// Streams on one HTTP/2 connection.
        max_concurrent_streams: Count,
        /// HTTP/2 pings.
        http2_keep_alive: Http2KeepAlive,
    }

    /// HTTP/2 pings; both are needed.
    pub struct Http2KeepAlive {
        /// Between pings.
        interval: Span,
        /// How long one may stay unanswered.
        timeout: Span,
    }

    /// Limits for routes of priority HIGH; default Envoy's 1024 of everything, 3 retries.
    pub struct HighLimits {
        /// Connections at once.
        max_connections: Count,
        /// Requests that wait for a connection.
        max_pending_requests: Count,
        /// Requests in flight.
        max_requests: Count,
        /// Retries in flight.
        max_retries: Count,
    }

    /// Ejection of endpoints that fail.
    pub struct OutlierDetection {
        /// 5xx in a row; 0 = this detector off.
        consecutive5xx_errors: Count,
        /// Share of detections that eject.
        enforcing_consecutive5xx: WholePercent,
        /// 502, 503, 504 in a row; 0 = this detector off.
        consecutive_gateway_errors: Count,
        /// Share of detections that eject.
        enforcing_consecutive_gateway_failure: WholePercent,
        /// Tell errors on the way apart from answers of the endpoint.
        split_external_local_origin_errors: bool,
        /// Errors on the way in a row; only when split.
        consecutive_local_origin_failures: Count,
        /// Share of detections that eject.
        enforcing_consecutive_local_origin_failure: WholePercent,
        /// Endpoints needed for the success-rate detector; Envoy's 5.
        success_rate_minimum_hosts: Count,
        /// Requests needed per interval; Envoy's 100.
        success_rate_request_volume: Count,
        /// Deviation in thousandths; Envoy's 1900.
        success_rate_stdev_factor: Count,
        /// Share of detections that eject.
        enforcing_success_rate: WholePercent,
        /// Share of detections that eject.
        enforcing_local_origin_success_rate: WholePercent,
        /// Failures in percent that are too many; Envoy's 85.
        failure_percentage_threshold: WholePercent,
        /// Endpoints needed; Envoy's 5.
        failure_percentage_minimum_hosts: Count,
        /// Requests needed per interval; Envoy's 50.
        failure_percentage_request_volume: Count,
        /// Share of detections that eject.
        enforcing_failure_percentage: WholePercent,
        /// Share of detections that eject.
        enforcing_failure_percentage_local_origin: WholePercent,
        /// Between sweeps; Envoy's 10 s.
        interval: Span,
        /// The first ejection, times the number of ejections; Envoy's 30 s.
        base_ejection_time: Span,
        /// The longest ejection; Envoy's 300 s.
        max_ejection_time: Span,
        /// Random addition to an ejection; Envoy's 0.
        max_ejection_time_jitter: Span,
        /// At most this share of endpoints is ejected; Envoy's 10.
        max_ejection_percent: WholePercent,
        /// Whether one may be ejected whatever the share.
        always_eject_one_host: bool,
        /// Whether an active check that succeeds ends an ejection.
        successful_active_health_check_uneject_host: bool,
        /// The same as `loadBalancer.panicThreshold`; above 0 unhealthy endpoints are not sent at all (Istio).
        min_health_percent: WholePercent,
        /// Status codes that count as failures in place of 5xx.
        outlier_detection_http_error_codes: Vec<StatusCode>,
        /// Without any effect in Istio since 1.8.
        consecutive_errors: Count,
    }

    /// Retries as a share of requests.
    pub struct RetryBudget {
        /// Default 20.
        percent: Percent,
        /// So many are always allowed; default 3.
        min_retry_concurrency: Count,
        /// Count over this time instead of what is in flight.
        budget_interval: Span,
    }

    /// When to try again.
    pub struct Retries {
        /// How many times more; 0 = never; default 2.
        attempts: Count,
        /// For each try.
        per_try_timeout: Span,
        /// Envoy's conditions and status codes, separated by commas; default the safe ones.
        retry_on: RetryOn,
        /// Avoid endpoints already tried; default true.
        retry_ignore_previous_hosts: bool,
        /// Turn to other localities; default false.
        retry_remote_localities: bool,
        /// The base of the exponential back-off; default Envoy's 25 ms.
        backoff: Span,
    }

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

/// Words for a choice, as Istio and Envoy spell them.
macro_rules! words {
    ($($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
            pub enum $name {
                $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
            }
        )*
    };
}

words! {
    /// Envoy's simple algorithms.
    pub enum Simple {
        /// Istio's default: the same as LEAST_REQUEST.
        Unspecified = "UNSPECIFIED",
        /// In turn.
        RoundRobin = "ROUND_ROBIN",
        /// The least busy of a few.
        LeastRequest = "LEAST_REQUEST",
        /// Istio's older word for LEAST_REQUEST.
        LeastConn = "LEAST_CONN",
        /// Any.
        Random = "RANDOM",
    }

    /// The hash functions of Envoy's ring.
    pub enum HashFunction {
        /// xxHash.
        XxHash = "XX_HASH",
        /// Murmur 2.
        MurmurHash2 = "MURMUR_HASH_2",
    }

    /// Speak HTTP/2 to an http port.
    pub enum H2UpgradePolicy {
        /// As the mesh says.
        Default = "DEFAULT",
        /// No.
        DoNotUpgrade = "DO_NOT_UPGRADE",
        /// Yes.
        Upgrade = "UPGRADE",
    }

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

/// Envoy's retry conditions and status codes, in the order written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryOn {
    /// The conditions.
    pub conditions: Vec<String>,
    /// The status codes, which Envoy takes in a list of their own.
    pub status_codes: Vec<u32>,
}

/// What Envoy knows as `x-envoy-retry-on` and `x-envoy-retry-grpc-on` (its router filter's documentation).
const RETRY_CONDITIONS: [&str; 19] = [
    "5xx",
    "gateway-error",
    "reset",
    "reset-before-request",
    "connect-failure",
    "envoy-ratelimited",
    "retriable-4xx",
    "refused-stream",
    "retriable-status-codes",
    "retriable-headers",
    "http3-post-connect-failure",
    "cancelled",
    "deadline-exceeded",
    "internal",
    "resource-exhausted",
    "unavailable",
    "unknown",
    "aborted",
    "data-loss",
];

impl Serialize for RetryOn {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let codes = self.status_codes.iter().map(u32::to_string);
        serializer.serialize_str(&self.conditions.iter().cloned().chain(codes).collect::<Vec<_>>().join(","))
    }
}

impl<'de> Deserialize<'de> for RetryOn {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut retry_on = Self { conditions: Vec::new(), status_codes: Vec::new() };
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word.parse::<u32>() {
                Ok(code) if (100..600).contains(&code) => retry_on.status_codes.push(code),
                Err(_) if RETRY_CONDITIONS.contains(&word) => retry_on.conditions.push(word.to_owned()),
                _ => {
                    let remedy = crate::yaml::did_you_mean(word, RETRY_CONDITIONS).unwrap_or_default();
                    return Err(crate::yaml::invalid(format_args!("`{word}` is no retry condition"), remedy));
                }
            }
        }
        Ok(retry_on)
    }
}

/// An even number of hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct HexText(pub String);

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
