//! Patches of what a policy can say: a policy is checked, merged field by field and explained, a patch only made.
//!
//! What a list item holds is one thing: it can be said in a policy where all of it can. Taking a field out cannot.

use serde_json::Value;

use super::super::{
    document::{Body, Document, envoy_patch::Patch},
    set::PolicySet,
};
use crate::{diagnostic::Diagnostic, model::policy::PatchedResource, yaml::key_segment};

/// A field of the HTTP options of a cluster.
macro_rules! of_http {
    ($path:literal) => {
        concat!("typed_extension_protocol_options.envoy.extensions.upstreams.http.v3.HttpProtocolOptions.", $path)
    };
}

/// Fields of a cluster that a TrafficPolicy has words for, with all that is below them: where they stand, the positions
/// in lists left out, and the words. A test holds them against what the reference pages say of each field.
pub const OF_CLUSTERS: &[(&str, &str)] = &[
    ("connect_timeout", "connectionPool.tcp.connectTimeout"),
    ("circuit_breakers.thresholds.max_connections", "connectionPool.tcp.maxConnections"),
    ("circuit_breakers.thresholds.max_pending_requests", "connectionPool.http.http1MaxPendingRequests"),
    ("circuit_breakers.thresholds.max_requests", "connectionPool.http.http2MaxRequests"),
    ("circuit_breakers.thresholds.max_retries", "connectionPool.http.maxRetries"),
    ("circuit_breakers.thresholds.retry_budget", "retryBudget"),
    ("circuit_breakers.thresholds.track_remaining", "connectionPool.trackRemaining"),
    ("circuit_breakers.per_host_thresholds.max_connections", "connectionPool.maxConnectionsPerHost"),
    ("upstream_connection_options.tcp_keepalive", "connectionPool.tcp.tcpKeepalive"),
    ("lb_policy", "loadBalancer.simple"),
    ("least_request_lb_config.choice_count", "loadBalancer.leastRequest.choiceCount"),
    ("least_request_lb_config.active_request_bias", "loadBalancer.leastRequest.activeRequestBias"),
    ("least_request_lb_config.slow_start_config", "loadBalancer.warmup"),
    ("round_robin_lb_config.slow_start_config", "loadBalancer.warmup"),
    ("ring_hash_lb_config", "loadBalancer.consistentHash.ringHash"),
    ("maglev_lb_config", "loadBalancer.consistentHash.maglev"),
    ("lb_subset_config.subset_selectors", "loadBalancer.subsetSelectors"),
    ("lb_subset_config.fallback_policy", "loadBalancer.subsetFallbackPolicy"),
    ("lb_subset_config.default_subset", "loadBalancer.defaultSubset"),
    ("common_lb_config.healthy_panic_threshold", "loadBalancer.panicThreshold"),
    ("common_lb_config.zone_aware_lb_config", "loadBalancer.zoneAwareLbSetting"),
    ("common_lb_config.locality_weighted_lb_config", "loadBalancer.localityLbSetting"),
    ("outlier_detection.consecutive_5xx", "outlierDetection.consecutive5xxErrors"),
    ("outlier_detection.consecutive_gateway_failure", "outlierDetection.consecutiveGatewayErrors"),
    ("outlier_detection.consecutive_local_origin_failure", "outlierDetection.consecutiveLocalOriginFailures"),
    ("outlier_detection.enforcing_consecutive_5xx", "outlierDetection.enforcingConsecutive5xx"),
    ("outlier_detection.enforcing_consecutive_gateway_failure", "outlierDetection.enforcingConsecutiveGatewayFailure"),
    (
        "outlier_detection.enforcing_consecutive_local_origin_failure",
        "outlierDetection.enforcingConsecutiveLocalOriginFailure",
    ),
    ("outlier_detection.enforcing_failure_percentage", "outlierDetection.enforcingFailurePercentage"),
    (
        "outlier_detection.enforcing_failure_percentage_local_origin",
        "outlierDetection.enforcingFailurePercentageLocalOrigin",
    ),
    ("outlier_detection.enforcing_local_origin_success_rate", "outlierDetection.enforcingLocalOriginSuccessRate"),
    ("outlier_detection.enforcing_success_rate", "outlierDetection.enforcingSuccessRate"),
    ("outlier_detection.failure_percentage_minimum_hosts", "outlierDetection.failurePercentageMinimumHosts"),
    ("outlier_detection.failure_percentage_request_volume", "outlierDetection.failurePercentageRequestVolume"),
    ("outlier_detection.failure_percentage_threshold", "outlierDetection.failurePercentageThreshold"),
    ("outlier_detection.success_rate_minimum_hosts", "outlierDetection.successRateMinimumHosts"),
    ("outlier_detection.success_rate_request_volume", "outlierDetection.successRateRequestVolume"),
    ("outlier_detection.success_rate_stdev_factor", "outlierDetection.successRateStdevFactor"),
    ("outlier_detection.interval", "outlierDetection.interval"),
    ("outlier_detection.base_ejection_time", "outlierDetection.baseEjectionTime"),
    ("outlier_detection.max_ejection_time", "outlierDetection.maxEjectionTime"),
    ("outlier_detection.max_ejection_time_jitter", "outlierDetection.maxEjectionTimeJitter"),
    ("outlier_detection.max_ejection_percent", "outlierDetection.maxEjectionPercent"),
    ("outlier_detection.always_eject_one_host", "outlierDetection.alwaysEjectOneHost"),
    ("outlier_detection.split_external_local_origin_errors", "outlierDetection.splitExternalLocalOriginErrors"),
    (
        "outlier_detection.successful_active_health_check_uneject_host",
        "outlierDetection.successfulActiveHealthCheckUnejectHost",
    ),
    ("health_checks.interval", "healthChecks.interval"),
    ("health_checks.timeout", "healthChecks.timeout"),
    ("health_checks.healthy_threshold", "healthChecks.healthyThreshold"),
    ("health_checks.unhealthy_threshold", "healthChecks.unhealthyThreshold"),
    ("health_checks.initial_jitter", "healthChecks.initialJitter"),
    ("health_checks.interval_jitter", "healthChecks.intervalJitter"),
    ("health_checks.interval_jitter_percent", "healthChecks.intervalJitterPercent"),
    ("health_checks.no_traffic_interval", "healthChecks.noTrafficInterval"),
    ("health_checks.no_traffic_healthy_interval", "healthChecks.noTrafficHealthyInterval"),
    ("health_checks.unhealthy_interval", "healthChecks.unhealthyInterval"),
    ("health_checks.unhealthy_edge_interval", "healthChecks.unhealthyEdgeInterval"),
    ("health_checks.healthy_edge_interval", "healthChecks.healthyEdgeInterval"),
    ("health_checks.reuse_connection", "healthChecks.reuseConnection"),
    ("health_checks.always_log_health_check_failures", "healthChecks.alwaysLogHealthCheckFailures"),
    ("health_checks.http_health_check.path", "healthChecks.httpHealthCheck.path"),
    ("health_checks.http_health_check.host", "healthChecks.httpHealthCheck.host"),
    ("health_checks.http_health_check.method", "healthChecks.httpHealthCheck.method"),
    ("health_checks.http_health_check.codec_client_type", "healthChecks.httpHealthCheck.codecClientType"),
    ("health_checks.http_health_check.expected_statuses", "healthChecks.httpHealthCheck.expectedStatuses"),
    ("health_checks.http_health_check.retriable_statuses", "healthChecks.httpHealthCheck.retriableStatuses"),
    (
        "health_checks.http_health_check.request_headers_to_add.header",
        "healthChecks.httpHealthCheck.requestHeadersToAdd",
    ),
    (
        "health_checks.http_health_check.request_headers_to_remove",
        "healthChecks.httpHealthCheck.requestHeadersToRemove",
    ),
    ("health_checks.tcp_health_check.send", "healthChecks.tcpHealthCheck.send"),
    ("health_checks.tcp_health_check.receive", "healthChecks.tcpHealthCheck.receive"),
    ("health_checks.grpc_health_check.service_name", "healthChecks.grpcHealthCheck.serviceName"),
    ("health_checks.grpc_health_check.authority", "healthChecks.grpcHealthCheck.authority"),
    ("dns_refresh_rate", "dns.refreshRate"),
    ("respect_dns_ttl", "dns.respectTtl"),
    ("dns_lookup_family", "dns.lookupFamily"),
    ("transport_socket.typed_config.sni", "tls.sni"),
    ("transport_socket.typed_config.common_tls_context.alpn_protocols", "tls.alpn"),
    (
        "transport_socket.typed_config.common_tls_context.tls_certificates.certificate_chain.filename",
        "tls.clientCertificate",
    ),
    ("transport_socket.typed_config.common_tls_context.tls_certificates.private_key.filename", "tls.privateKey"),
    ("transport_socket.typed_config.common_tls_context.validation_context.trusted_ca.filename", "tls.caCertificates"),
    ("transport_socket.typed_config.common_tls_context.validation_context.crl.filename", "tls.caCrl"),
    (
        "transport_socket.typed_config.common_tls_context.validation_context.match_typed_subject_alt_names",
        "tls.subjectAltNames",
    ),
    (of_http!("common_http_protocol_options.idle_timeout"), "connectionPool.http.idleTimeout"),
    (of_http!("common_http_protocol_options.max_connection_duration"), "connectionPool.tcp.maxConnectionDuration"),
    (
        of_http!("common_http_protocol_options.max_requests_per_connection"),
        "connectionPool.http.maxRequestsPerConnection",
    ),
    (
        of_http!("explicit_http_config.http2_protocol_options.max_concurrent_streams"),
        "connectionPool.http.maxConcurrentStreams",
    ),
    (
        of_http!("explicit_http_config.http2_protocol_options.connection_keepalive.interval"),
        "connectionPool.http.http2KeepAlive.interval",
    ),
    (
        of_http!("explicit_http_config.http2_protocol_options.connection_keepalive.timeout"),
        "connectionPool.http.http2KeepAlive.timeout",
    ),
    (of_http!("use_downstream_protocol_config"), "connectionPool.http.useClientProtocol"),
];

/// The same of the limits of priority HIGH, which is said beside them.
const OF_HIGH_LIMITS: &[(&str, &str)] = &[
    ("circuit_breakers.thresholds.max_connections", "connectionPool.high.maxConnections"),
    ("circuit_breakers.thresholds.max_pending_requests", "connectionPool.high.maxPendingRequests"),
    ("circuit_breakers.thresholds.max_requests", "connectionPool.high.maxRequests"),
    ("circuit_breakers.thresholds.max_retries", "connectionPool.high.maxRetries"),
];

/// The same of the assignment of a cluster.
pub const OF_ENDPOINTS: &[(&str, &str)] = &[("policy.overprovisioning_factor", "loadBalancer.overprovisioningFactor")];

/// The same of routes.
pub const OF_ROUTES: &[(&str, &str)] = &[
    ("route.timeout", "timeout"),
    ("route.idle_timeout", "streamIdleTimeout"),
    ("route.max_stream_duration.max_stream_duration", "maxStreamDuration"),
    ("route.priority", "priority"),
    ("route.retry_policy.num_retries", "retries.attempts"),
    ("route.retry_policy.per_try_timeout", "retries.perTryTimeout"),
    ("route.retry_policy.per_try_idle_timeout", "retries.perTryIdleTimeout"),
    ("route.retry_policy.retry_on", "retries.retryOn"),
    ("route.retry_policy.retriable_status_codes", "retries.retryOn"),
    ("route.retry_policy.retry_back_off.base_interval", "retries.backoff"),
    ("route.retry_policy.retry_back_off.max_interval", "retries.maxBackoff"),
    ("route.retry_policy.rate_limited_retry_back_off", "retries.rateLimitedBackoff"),
    ("route.retry_policy.host_selection_retry_max_attempts", "retries.hostSelectionAttempts"),
    ("route.retry_policy.retriable_headers", "retries.retriableHeaders"),
    ("route.retry_policy.retriable_request_headers", "retries.retriableRequestHeaders"),
    ("route.hedge_policy.hedge_on_per_try_timeout", "hedging.onPerTryTimeout"),
    ("route.hash_policy.header.header_name", "loadBalancer.consistentHash.httpHeaderName"),
    ("route.hash_policy.cookie", "loadBalancer.consistentHash.httpCookie"),
    ("route.hash_policy.query_parameter.name", "loadBalancer.consistentHash.httpQueryParameterName"),
    ("route.hash_policy.connection_properties.source_ip", "loadBalancer.consistentHash.useSourceIp"),
    ("typed_per_filter_config.envoy.filters.http.stateful_session", "statefulSession"),
];

/// Of one rule's routes, what the rule itself has words for.
const OF_NAMED_ROUTES: &[(&str, &str)] = &[
    ("route.timeout", "timeout"),
    ("route.retry_policy.num_retries", "retries.attempts"),
    ("route.retry_policy.per_try_timeout", "retries.perTryTimeout"),
    ("route.retry_policy.retry_on", "retries.retryOn"),
];

/// Fields that say what stands beside them, and nothing of their own.
const STRUCTURE: [&str; 2] = ["@type", "name"];

pub(super) fn check(policies: &PolicySet) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for document in policies.documents() {
        let Body::EnvoyPatch(spec) = &document.body else { continue };
        for (index, patch) in spec.patches.iter().enumerate() {
            let Some(merge) = &patch.merge else { continue };
            let mut things = Vec::new();
            collect(merge, &Walk::default(), None, &mut things);
            problems.extend(sayable(patch, things).into_iter().map(|said| warning(document, index, patch, &said)));
        }
    }
    problems
}

/// A thing that a patch sets, which policies have words for.
struct Sayable {
    /// Its path below `merge`.
    place: String,
    /// The words.
    words: Vec<&'static str>,
}

/// Where a walk through a patch is: as the document has it, and by names of fields alone.
#[derive(Debug, Clone, Default)]
struct Walk {
    place: String,
    fields: String,
}

/// A scalar of a patch.
struct Leaf {
    /// The list item, or else the scalar itself, that is said as one.
    thing: String,
    fields: String,
    is_high: bool,
}

fn collect(value: &Value, walk: &Walk, thing: Option<(&str, bool)>, leaves: &mut Vec<Leaf>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields.iter().filter(|(key, _)| !STRUCTURE.contains(&key.as_str())) {
                let is_position = key.starts_with('[') && key.ends_with(']');
                let name = if is_position { String::new() } else { format!(".{key}") };
                let below = Walk {
                    place: format!("{}{}", walk.place, key_segment(key)),
                    fields: format!("{}{name}", walk.fields),
                };
                collect(value, &below, thing, leaves);
            }
        }
        Value::Array(items) if items.iter().all(Value::is_object) && !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let below = Walk { place: format!("{}[{index}]", walk.place), fields: walk.fields.clone() };
                let own = (below.place.clone(), item["priority"] == "HIGH");
                let thing = thing.unwrap_or((own.0.as_str(), own.1));
                collect(item, &below, Some(thing), leaves);
            }
        }
        _ => leaves.push(Leaf {
            thing: thing.map_or_else(|| walk.place.clone(), |(thing, _)| thing.to_owned()),
            fields: walk.fields.trim_start_matches('.').to_owned(),
            is_high: thing.is_some_and(|(_, is_high)| is_high),
        }),
    }
}

/// The things that policies have words for, all of each.
fn sayable(patch: &Patch, leaves: Vec<Leaf>) -> Vec<Sayable> {
    let mut things: Vec<(Sayable, bool)> = Vec::new();
    for Leaf { thing, fields, is_high } in leaves {
        let rows = match (patch.of.resource(), &patch.route) {
            (PatchedResource::Cluster, _) if is_high => OF_HIGH_LIMITS,
            (PatchedResource::Cluster, _) => OF_CLUSTERS,
            (PatchedResource::Endpoints, _) => OF_ENDPOINTS,
            (PatchedResource::Route, None) => OF_ROUTES,
            (PatchedResource::Route, Some(_)) => OF_NAMED_ROUTES,
            (PatchedResource::Listener | PatchedResource::OutboundListener | PatchedResource::VirtualHost, _) => &[],
        };
        let is_below =
            |path: &str| fields.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let found = rows.iter().find(|(path, _)| is_below(path)).map(|(_, words)| *words);
        let is_which_limits = fields == "circuit_breakers.thresholds.priority";
        if things.last().is_none_or(|(last, _)| last.place != thing) {
            things.push((Sayable { place: thing, words: Vec::new() }, true));
        }
        let Some((last, all)) = things.last_mut() else { continue };
        *all &= found.is_some() || is_which_limits;
        last.words.extend(found.filter(|words| !last.words.contains(words)));
    }
    let whole = things.into_iter().filter(|(said, all)| *all && !said.words.is_empty());
    whole.map(|(said, _)| said).collect()
}

fn warning(document: &Document, index: usize, patch: &Patch, said: &Sayable) -> Diagnostic {
    let field = format!("spec.patches[{index}].merge{}", said.place);
    let words: Vec<String> = said.words.iter().map(|words| format!("`{words}`")).collect();
    let words = words.join(", ");
    let (who, where_) = match patch.route {
        Some(_) => ("a rule of a VirtualService has", "in that rule"),
        None => ("a TrafficPolicy has", "in a TrafficPolicy of this target"),
    };
    let message = format!("{who} words for this: what is patched is not merged with policies, and no lint looks at it");
    Diagnostic::warning("patch-instead-of-policy", document.place_of(&field), field, message)
        .remedy(format!("write {words} {where_}"))
}
