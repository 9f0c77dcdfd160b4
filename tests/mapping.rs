//! What a policy field becomes is shown by a golden: every field of every kind stands in some golden's input, and every
//! row of the mapping below has a golden whose input says the field and whose output has Envoy's.
//!
//! The rows are the fields of Istio's documents and of TrafficPolicy in their words, beside Envoy's; what stands beside a
//! row in no golden fails here with the row's name. Which values become which is for the goldens themselves to show.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{collections::BTreeSet, fs, sync::Arc};

use chancery::{
    diagnostic::SourceFile,
    schema::{self, Kind},
    yaml,
};
use serde_json::Value;
use support::goldens;

/// A kind, the end of a field's path in its documents, and the end of a path in Envoy's resources: `[]` and indices left
/// out, `Any` expanded. `""` for what leaves no field of its own: the golden is there to show that.
type Row = (&'static str, &'static str, &'static str);

const TP: &str = "TrafficPolicy";
const DR: &str = "DestinationRule";
const VS: &str = "VirtualService";
const HR: &str = "HTTPRoute";

/// A cluster that no document speaks of: it stands in goldens with these fields.
const WITHOUT_RULES: &[&str] = &[
    "clusters/name",
    "clusters/type",
    "clusters/eds_cluster_config/eds_config/ads",
    "clusters/connect_timeout",
    "clusters/lb_policy",
    "clusters/circuit_breakers/thresholds/max_connections",
    "clusters/circuit_breakers/thresholds/max_pending_requests",
    "clusters/circuit_breakers/thresholds/max_requests",
    "clusters/circuit_breakers/thresholds/max_retries",
    "clusters/common_lb_config/healthy_panic_threshold",
    "routes/virtual_hosts/routes/route/timeout",
    "routes/virtual_hosts/routes/route/retry_policy/retry_on",
];

const ROWS: &[Row] = &[
    // Connections and limits.
    (DR, "connectionPool.tcp.maxConnections", "circuit_breakers/thresholds/max_connections"),
    (DR, "connectionPool.tcp.connectTimeout", "clusters/connect_timeout"),
    (DR, "connectionPool.tcp.tcpKeepalive.probes", "upstream_connection_options/tcp_keepalive/keepalive_probes"),
    (DR, "connectionPool.tcp.tcpKeepalive.time", "upstream_connection_options/tcp_keepalive/keepalive_time"),
    (DR, "connectionPool.tcp.tcpKeepalive.interval", "upstream_connection_options/tcp_keepalive/keepalive_interval"),
    (DR, "connectionPool.tcp.maxConnectionDuration", "common_http_protocol_options/max_connection_duration"),
    (DR, "connectionPool.tcp.idleTimeout", "filters/typed_config/idle_timeout"),
    (DR, "connectionPool.tcp.idleTimeout", "common_http_protocol_options/idle_timeout"),
    (DR, "connectionPool.http.http1MaxPendingRequests", "circuit_breakers/thresholds/max_pending_requests"),
    (DR, "connectionPool.http.http2MaxRequests", "circuit_breakers/thresholds/max_requests"),
    (DR, "connectionPool.http.maxRequestsPerConnection", "common_http_protocol_options/max_requests_per_connection"),
    (DR, "connectionPool.http.maxRetries", "circuit_breakers/thresholds/max_retries"),
    (DR, "connectionPool.http.idleTimeout", "common_http_protocol_options/idle_timeout"),
    (DR, "connectionPool.http.h2UpgradePolicy", "explicit_http_config/http2_protocol_options"),
    (DR, "connectionPool.http.useClientProtocol", "HttpProtocolOptions/use_downstream_protocol_config"),
    (DR, "connectionPool.http.maxConcurrentStreams", "http2_protocol_options/max_concurrent_streams"),
    (DR, "connectionPool.http.http2KeepAlive.interval", "http2_protocol_options/connection_keepalive/interval"),
    (DR, "connectionPool.http.http2KeepAlive.timeout", "http2_protocol_options/connection_keepalive/timeout"),
    (TP, "connectionPool.trackRemaining", "circuit_breakers/thresholds/track_remaining"),
    (TP, "connectionPool.maxConnectionsPerHost", "circuit_breakers/per_host_thresholds/max_connections"),
    (TP, "priority", "routes/route/priority"),
    (TP, "connectionPool.high.maxConnections", "circuit_breakers/thresholds/priority"),
    (TP, "connectionPool.high.maxPendingRequests", "circuit_breakers/thresholds/max_pending_requests"),
    (TP, "connectionPool.high.maxRequests", "circuit_breakers/thresholds/max_requests"),
    (TP, "connectionPool.high.maxRetries", "circuit_breakers/thresholds/max_retries"),
    (DR, "retryBudget.percent", "retry_budget/budget_percent/value"),
    (DR, "retryBudget.minRetryConcurrency", "retry_budget/min_retry_concurrency"),
    (TP, "retryBudget.budgetInterval", "retry_budget/budget_interval"),
    // Ejection.
    (DR, "outlierDetection", "outlier_detection/enforcing_success_rate"),
    (DR, "outlierDetection.consecutive5xxErrors", "outlier_detection/consecutive_5xx"),
    (DR, "outlierDetection.consecutive5xxErrors", "outlier_detection/enforcing_consecutive_5xx"),
    (DR, "outlierDetection.consecutiveGatewayErrors", "outlier_detection/consecutive_gateway_failure"),
    (DR, "outlierDetection.consecutiveGatewayErrors", "outlier_detection/enforcing_consecutive_gateway_failure"),
    (DR, "outlierDetection.splitExternalLocalOriginErrors", "outlier_detection/split_external_local_origin_errors"),
    (DR, "outlierDetection.splitExternalLocalOriginErrors", "outlier_detection/enforcing_local_origin_success_rate"),
    (DR, "outlierDetection.consecutiveLocalOriginFailures", "outlier_detection/consecutive_local_origin_failure"),
    (DR, "outlierDetection.consecutiveLocalOriginFailures", "enforcing_consecutive_local_origin_failure"),
    (DR, "outlierDetection.interval", "outlier_detection/interval"),
    (DR, "outlierDetection.baseEjectionTime", "outlier_detection/base_ejection_time"),
    (DR, "outlierDetection.maxEjectionPercent", "outlier_detection/max_ejection_percent"),
    (DR, "outlierDetection.minHealthPercent", "common_lb_config/healthy_panic_threshold/value"),
    (TP, "outlierDetection.outlierDetectionHttpErrorCodes", "HttpProtocolOptions/outlier_detection/error_matcher"),
    // Load balancing.
    (DR, "loadBalancer.simple", "clusters/lb_policy"),
    (DR, "loadBalancer.warmup.duration", "slow_start_config/slow_start_window"),
    (DR, "loadBalancer.warmupDurationSecs", "slow_start_config/slow_start_window"),
    (DR, "loadBalancer.consistentHash.ringHash.minimumRingSize", "ring_hash_lb_config/minimum_ring_size"),
    (DR, "loadBalancer.consistentHash.minimumRingSize", "ring_hash_lb_config/minimum_ring_size"),
    (DR, "loadBalancer.consistentHash.maglev.tableSize", "maglev_lb_config/table_size"),
    (DR, "loadBalancer.consistentHash.httpHeaderName", "hash_policy/header/header_name"),
    (DR, "loadBalancer.consistentHash.httpCookie.name", "hash_policy/cookie/name"),
    (DR, "loadBalancer.consistentHash.httpCookie.ttl", "hash_policy/cookie/ttl"),
    (DR, "loadBalancer.consistentHash.httpCookie.path", "hash_policy/cookie/path"),
    (DR, "loadBalancer.consistentHash.httpCookie.attributes.name", "hash_policy/cookie/attributes/name"),
    (DR, "loadBalancer.consistentHash.useSourceIp", "hash_policy/connection_properties/source_ip"),
    (DR, "loadBalancer.consistentHash.useSourceIp", "typed_config/hash_policy/source_ip"),
    (DR, "loadBalancer.consistentHash.httpQueryParameterName", "hash_policy/query_parameter/name"),
    (TP, "loadBalancer.leastRequest.choiceCount", "least_request_lb_config/choice_count"),
    (TP, "loadBalancer.consistentHash.ringHash.hashFunction", "ring_hash_lb_config/hash_function"),
    (TP, "loadBalancer.panicThreshold", "common_lb_config/healthy_panic_threshold/value"),
    (TP, "loadBalancer.overprovisioningFactor", "policy/overprovisioning_factor"),
    // Places.
    (DR, "localityLbSetting.distribute.to", "common_lb_config/locality_weighted_lb_config"),
    (DR, "localityLbSetting.distribute.from", "endpoints/endpoints/load_balancing_weight"),
    (DR, "localityLbSetting.failover.to", "endpoints/endpoints/priority"),
    (DR, "localityLbSetting.failoverPriority", "endpoints/endpoints/priority"),
    (DR, "localityLbSetting.failoverPriority", "common_lb_config/locality_weighted_lb_config"),
    (DR, "localityLbSetting.enabled", ""),
    (DR, "zoneAwareLbSetting.minClusterSize", "common_lb_config/zone_aware_lb_config/min_cluster_size"),
    (DR, "zoneAwareLbSetting.enabled", "common_lb_config/zone_aware_lb_config/routing_enabled"),
    (TP, "localityLbSetting.distribute.to", "common_lb_config/locality_weighted_lb_config"),
    (TP, "localityLbSetting.failover.to", "endpoints/endpoints/priority"),
    (TP, "localityLbSetting.failoverPriority", "endpoints/endpoints/priority"),
    (TP, "zoneAwareLbSetting.minClusterSize", "common_lb_config/zone_aware_lb_config/min_cluster_size"),
    (TP, "subsetSelectors.keys", "lb_subset_config/subset_selectors/keys"),
    (TP, "subsetSelectors.keys", "lb_endpoints/metadata/filter_metadata/envoy.lb/version"),
    (TP, "subsetHeaders.header", "envoy.filters.http.header_to_metadata/request_rules/header"),
    // TLS, and who is calling.
    (DR, "tls.mode", "transport_socket/typed_config/common_tls_context"),
    (DR, "tls.sni", "transport_socket/typed_config/sni"),
    (DR, "tls.mode", "upstream_http_protocol_options/auto_sni"),
    (DR, "tls.subjectAltNames", "match_typed_subject_alt_names/matcher/exact"),
    (DR, "tls.caCertificates", "trusted_ca/filename"),
    (DR, "tls.clientCertificate", "tls_certificates/certificate_chain/filename"),
    (DR, "tls.privateKey", "tls_certificates/private_key/filename"),
    (DR, "tls.caCrl", "crl/filename"),
    (DR, "tls.insecureSkipVerify", "transport_socket/typed_config/common_tls_context"),
    (DR, "proxyProtocol.version", "transport_socket/typed_config/config/version"),
    // Whom a rule is for.
    (DR, "portLevelSettings.port.number", "clusters/name"),
    (DR, "subsets.trafficPolicy.connectionPool.tcp.maxConnections", "circuit_breakers/thresholds/max_connections"),
    // Routes.
    (VS, "http.timeout", "route/timeout"),
    (VS, "http.timeout", "route/max_stream_duration/grpc_timeout_header_max"),
    (VS, "http.retries.attempts", "retry_policy/num_retries"),
    (VS, "http.retries.perTryTimeout", "retry_policy/per_try_timeout"),
    (VS, "http.retries.retryOn", "retry_policy/retry_on"),
    (VS, "http.retries.retryOn", "retry_policy/retriable_status_codes"),
    (VS, "http.retries.backoff", "retry_policy/retry_back_off/base_interval"),
    (VS, "http.retries.retryIgnorePreviousHosts", ""),
    (VS, "http.retries.retryRemoteLocalities", "retry_policy/retry_priority/typed_config/update_frequency"),
    (VS, "http.route.destination.port.number", "route/cluster"),
    (VS, "http.route.destination.subset", "route/cluster"),
    (VS, "http.route.weight", "route/weighted_clusters/clusters/weight"),
    (VS, "http.mirror.host", "request_mirror_policies/cluster"),
    (VS, "http.mirrors.destination.host", "request_mirror_policies/cluster"),
    (VS, "http.mirrorPercentage.value", "request_mirror_policies/runtime_fraction/default_value/numerator"),
    (VS, "http.fault.delay.fixedDelay", "envoy.filters.http.fault/delay/fixed_delay"),
    (VS, "http.fault.abort.httpStatus", "envoy.filters.http.fault/abort/http_status"),
    (VS, "http.fault.abort.grpcStatus", "envoy.filters.http.fault/abort/grpc_status"),
    (VS, "http.match.uri.prefix", "routes/match/prefix"),
    (VS, "http.match.uri.exact", "routes/match/path"),
    (VS, "http.match.uri.regex", "routes/match/safe_regex/regex"),
    (VS, "http.rewrite.uri", "route/prefix_rewrite"),
    (VS, "http.redirect.redirectCode", "redirect/response_code"),
    (TP, "timeout", "route/timeout"),
    (TP, "statefulSession.cookie.name", "stateful_session/session_state/typed_config/cookie/name"),
    (TP, "statefulSession.disabled", ""),
    (HR, "rules.sessionPersistence.sessionName", "stateful_session/session_state/typed_config/cookie/name"),
    (HR, "rules.sessionPersistence.absoluteTimeout", "stateful_session/session_state/typed_config/cookie/ttl"),
    (HR, "rules.sessionPersistence.type", "stateful_session/session_state/typed_config/name"),
    (TP, "retries.attempts", "retry_policy/num_retries"),
];

/// Leaves of the schema that no golden writes, each with its reason.
const NOT_WRITTEN: &[(&str, &str)] = &[
    (
        "DestinationRule spec.subsets.trafficPolicy.portLevelSettings.port.number",
        "one type with that of the whole rule",
    ),
    ("Mesh spec.addresses", "tests/examples.rs and the listeners of tests/envoy_traffic.rs"),
    ("Mesh spec.outbound.address", "every test with a real Envoy has its own"),
    ("Mesh spec.outbound.port", "every test with a real Envoy has its own"),
    ("Mesh spec.requireOwner", "read by a lint alone: docs/lints.md"),
    ("Mesh spec.rootNamespace", "tests/namespaces.rs"),
    ("Snapshot services.labels", "chosen by: tests/policy_ranks.rs"),
    ("VirtualService spec.exportTo", "tests/namespaces.rs"),
    ("VirtualService spec.gateways", "`mesh` alone has a meaning, and that of its absence"),
    ("VirtualService spec.http.delegate.name", "refused: tests/diagnostics/virtual-service"),
    ("VirtualService spec.http.delegate.namespace", "refused: tests/diagnostics/virtual-service"),
    ("VirtualService spec.http.match.name", "a name for readers, without effect"),
    ("route filter extensionRef.group", "refused: tests/diagnostics"),
    ("route filter extensionRef.kind", "refused: tests/diagnostics"),
    ("route filter extensionRef.name", "refused: tests/diagnostics"),
    ("route filter requestMirror.backendRef.group", "the default alone has a meaning"),
    ("route filter requestMirror.backendRef.kind", "the default alone has a meaning"),
    ("route spec.hostnames", "no effect for a Service parent, which is a warning"),
    ("route spec.rules.backendRefs.group", "the default alone has a meaning"),
    ("route spec.rules.backendRefs.kind", "the default alone has a meaning"),
    ("route spec.rules.sessionPersistence.idleTimeout", "refused: tests/diagnostics/gateway-sessions"),
    ("settings.outlierDetection.consecutiveErrors", "no effect: tests/diagnostics/excluding-each-other"),
    ("settings.tls.credentialName", "refused: tests/diagnostics/tls"),
];

/// A golden, as paths: of each document with its kind, and of what it becomes.
struct Golden {
    name: String,
    documents: Vec<(String, BTreeSet<String>)>,
    envoy: BTreeSet<String>,
}

fn goldens() -> Vec<Golden> {
    let golden = |input: goldens::Input| {
        let documents = read(&input.policies);
        let of_document = |document: Value| {
            let mut paths = BTreeSet::new();
            collect(&document, String::new(), '.', &mut paths);
            (document["kind"].as_str().unwrap_or_default().to_owned(), paths)
        };
        let mut documents: Vec<(String, BTreeSet<String>)> = documents.into_iter().map(of_document).collect();
        let mut services = BTreeSet::new();
        collect(&read(&input.services)[0], String::new(), '.', &mut services);
        documents.push(("Snapshot".into(), services));
        let output = format!("{}/tests/golden/{}/envoy.yaml", env!("CARGO_MANIFEST_DIR"), input.name);
        let mut envoy = BTreeSet::new();
        collect(&read(&fs::read_to_string(output).unwrap())[0], String::new(), '/', &mut envoy);
        Golden { name: input.name, documents, envoy }
    };
    goldens::inputs().into_iter().map(golden).collect()
}

fn read(text: &str) -> Vec<Value> {
    let file = Arc::new(SourceFile { path: "golden".into(), text: text.into() });
    yaml::parse(&file).documents.iter().map(|document| document.decode().unwrap()).collect()
}

/// Every path in a value, of blocks as well as of scalars; lists leave no mark.
fn collect(value: &Value, path: String, separator: char, paths: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let below = if path.is_empty() { key.clone() } else { format!("{path}{separator}{key}") };
                collect(value, below, separator, paths);
            }
        }
        Value::Array(items) => {
            for item in items {
                collect(item, path.clone(), separator, paths);
            }
        }
        _ => {}
    }
    paths.insert(path);
}

/// Whether a path ends with these parts, whole ones.
fn ends(path: &str, end: &str, separator: char) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(separator) || rest.ends_with('.'))
}

#[test]
fn every_row_of_the_mapping_has_a_golden() {
    let goldens = goldens();
    let shows = |golden: &Golden, (kind, field, envoy): &Row| {
        let said = golden.documents.iter().filter(|(found, _)| found == kind);
        said.into_iter().any(|(_, paths)| paths.iter().any(|path| ends(path, field, '.')))
            && (envoy.is_empty() || golden.envoy.iter().any(|path| ends(path, envoy, '/')))
    };
    let missing: Vec<&Row> = ROWS.iter().filter(|row| !goldens.iter().any(|golden| shows(golden, row))).collect();
    assert!(missing.is_empty(), "no golden says the field and has Envoy's: {missing:#?}");
    let plain = goldens.iter().find(|golden| golden.name == "no-policy").expect("the golden without policies");
    for field in WITHOUT_RULES {
        assert!(plain.envoy.contains(*field), "{field} is not in the golden without policies");
    }
}

/// Settings are the same types wherever they stand: in a TrafficPolicy, and in four places of a DestinationRule. So are
/// parents, backends and filters of the two kinds of the Gateway API, and whom a patch is for.
fn normalized(kind: &str, path: &str) -> String {
    if ["HTTPRoute", "GRPCRoute"].contains(&kind) {
        let filter =
            ["spec.rules.filters.", "spec.rules.backendRefs.filters."].iter().find_map(|at| path.strip_prefix(at));
        return match filter {
            Some(field) => format!("route filter {field}"),
            None if path.starts_with("spec.rules.matches.method.") => format!("{kind} {path}"),
            None => format!("route {path}"),
        };
    }
    if kind == "EnvoyPatch" && (path.starts_with("spec.target.") || path.starts_with("spec.clients.")) {
        return format!("TrafficPolicy {path}");
    }
    let settings = match kind {
        "TrafficPolicy" => path.strip_prefix("spec."),
        "DestinationRule" => {
            let below = path.strip_prefix("spec.subsets.").or_else(|| path.strip_prefix("spec."));
            let below = below.and_then(|path| path.strip_prefix("trafficPolicy."));
            below.map(|path| path.strip_prefix("portLevelSettings.").unwrap_or(path))
        }
        _ => None,
    };
    let shared = ["loadBalancer", "connectionPool", "outlierDetection", "retryBudget", "tls", "proxyProtocol"];
    match settings.filter(|path| shared.iter().any(|block| path.split('.').next() == Some(block))) {
        Some(path) => format!("settings.{path}"),
        None => format!("{kind} {path}"),
    }
}

/// The leaves of a schema, as paths.
fn leaves(schema: &Value, definitions: &Value, path: String, open: &mut Vec<String>, found: &mut BTreeSet<String>) {
    let mut parts: Vec<&Value> = vec![schema];
    for list in ["allOf", "anyOf", "oneOf"] {
        parts.extend(schema[list].as_array().into_iter().flatten());
    }
    if parts.iter().any(|part| part.get("not").is_some_and(|not| not == &serde_json::json!({}))) {
        return;
    }
    let mut is_leaf = true;
    for part in &parts {
        let reference = part["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/definitions/"));
        if let Some(name) = reference {
            is_leaf = false;
            if !open.iter().any(|open| open == name) {
                open.push(name.to_owned());
                leaves(&definitions[name], definitions, path.clone(), open, found);
                open.pop();
            }
        }
        if let Some(fields) = part["properties"].as_object() {
            is_leaf = false;
            for (field, schema) in fields {
                let below = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                leaves(schema, definitions, below, open, found);
            }
        }
        if part["items"].is_object() {
            is_leaf = false;
            leaves(&part["items"], definitions, path.clone(), open, found);
        }
    }
    if is_leaf {
        found.insert(path);
    }
}

#[test]
fn every_field_of_every_kind_stands_in_a_golden() {
    let goldens = goldens();
    let written: BTreeSet<String> = goldens
        .iter()
        .flat_map(|golden| &golden.documents)
        .flat_map(|(kind, paths)| paths.iter().map(|path| normalized(kind, path)))
        .collect();
    let mut missing = BTreeSet::new();
    // The configuration is of no document: `tests/diagnostics` and every end-to-end test read it.
    for kind in Kind::all().into_iter().filter(|kind| *kind != Kind::Config) {
        let schema = schema::of(kind);
        let mut found = BTreeSet::new();
        leaves(&schema, &schema["definitions"], String::new(), &mut Vec::new(), &mut found);
        assert!(!found.is_empty(), "{} has no fields", kind.name());
        let ours = found.iter().filter(|path| !path.starts_with("metadata") && *path != "status");
        missing.extend(ours.map(|path| normalized(kind.name(), path)).filter(|path| !written.contains(path)));
    }
    let excepted = |path: &String| NOT_WRITTEN.iter().any(|(field, _)| path == field);
    let unknown: Vec<&String> = missing.iter().filter(|path| !excepted(path)).collect();
    assert!(unknown.is_empty(), "no golden writes {unknown:#?}");
    let idle: Vec<_> = NOT_WRITTEN.iter().filter(|(field, _)| !missing.contains(*field)).collect();
    assert!(idle.is_empty(), "exceptions that are none any more: {idle:#?}");
}
