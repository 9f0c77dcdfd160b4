//! What a gRPC library does not do of what a policy asks for: each with the setting, and what becomes of it.
//!
//! Every field is taken apart, so that a new setting has to be decided about here.

use std::{fmt, sync::Arc, time::Duration};

use crate::model::{
    ClusterName, Decimal,
    policy::{
        CircuitBreakers, ConnectionPool, DEFAULT_CONNECT_TIMEOUT, EffectivePolicy, H2Upgrade, HashFunction, HashKey,
        HashTable, LoadBalancer, LocalityRouting, OutlierDetection, Priority, Retry, RoutePolicy, Thresholds,
        UNLIMITED, is_grpc_condition,
    },
};

/// Something that a policy asks for and a gRPC library does not do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lacking {
    /// Of which cluster, or of the port that is called as it is.
    pub cluster: ClusterName,
    /// The setting, as policies call it, or the rule: `routes[0]`.
    pub setting: Arc<str>,
    /// What becomes of it: a sentence without a full stop.
    pub sentence: Arc<str>,
    /// Whether calls fail or go elsewhere because of it.
    pub changes_traffic: bool,
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, setting, sentence, changes_traffic: _ } = self;
        write!(f, "{cluster}, for gRPC clients without a proxy: `{setting}`: {sentence}")
    }
}

/// Collects them for one cluster.
#[derive(Debug)]
pub(super) struct Lackings<'a> {
    pub cluster: &'a ClusterName,
    pub found: Vec<Lacking>,
}

impl<'a> Lackings<'a> {
    pub fn of(cluster: &'a ClusterName) -> Self {
        Self { cluster, found: Vec::new() }
    }

    /// Calls go as they would, without it.
    pub fn note(&mut self, setting: &str, sentence: impl Into<Arc<str>>) {
        self.add(setting, sentence.into(), false);
    }

    /// Calls fail or go elsewhere.
    pub fn alarm(&mut self, setting: &str, sentence: impl Into<Arc<str>>) {
        self.add(setting, sentence.into(), true);
    }

    fn note_if(&mut self, asked: bool, setting: &str, sentence: &str) {
        if asked {
            self.note(setting, sentence);
        }
    }

    fn add(&mut self, setting: &str, sentence: Arc<str>, changes_traffic: bool) {
        let lacking = Lacking { cluster: self.cluster.clone(), setting: setting.into(), sentence, changes_traffic };
        if !self.found.contains(&lacking) {
            self.found.push(lacking);
        }
    }
}

/// Of a cluster that is sent.
pub(super) fn of_cluster(policy: &EffectivePolicy, lackings: &mut Lackings<'_>) {
    let EffectivePolicy {
        load_balancer,
        // A cluster with subsets that requests pick is withheld, and so is one with TLS or the PROXY protocol.
        subset_selection: _,
        tls: _,
        proxy_protocol: _,
        locality,
        panic_threshold,
        overprovisioning_factor,
        // Endpoints that are not healthy are never sent.
        unhealthy_endpoints: _,
        connection_pool,
        outlier_detection,
        health_checks,
        dns: _,
        route: _,
    } = policy;
    of_load_balancer(load_balancer, lackings);
    if matches!(locality, LocalityRouting::ZoneAware(_)) {
        lackings.note(
            "loadBalancer.zoneAwareLbSetting",
            "a gRPC client does not know its own zone's share: its region comes first, zones do not count",
        );
    }
    lackings.note_if(
        *panic_threshold != Decimal::ZERO,
        "loadBalancer.panicThreshold",
        "there is no panic: endpoints that are not healthy get nothing",
    );
    lackings.note_if(
        overprovisioning_factor.is_some(),
        "loadBalancer.overprovisioningFactor",
        "the next priority is used when nothing of this one can be reached, not before",
    );
    of_connections(connection_pool, lackings);
    if let Some(outlier) = outlier_detection {
        of_outliers(outlier, lackings);
    }
    lackings.note_if(
        !health_checks.is_empty(),
        "healthChecks",
        "gRPC clients check nothing by themselves: what discovery says of an endpoint counts",
    );
}

fn of_load_balancer(load_balancer: &LoadBalancer, lackings: &mut Lackings<'_>) {
    const WARMUP: (&str, &str) = ("loadBalancer.warmup", "a new endpoint gets its full share at once");
    match load_balancer {
        LoadBalancer::RoundRobin { slow_start } => lackings.note_if(slow_start.is_some(), WARMUP.0, WARMUP.1),
        LoadBalancer::LeastRequest { slow_start, choice_count: _, active_request_bias } => {
            lackings.note(
                "loadBalancer.simple",
                "LEAST_REQUEST where the library has it (A48), else ROUND_ROBIN: C-core and grpc-js go round robin",
            );
            lackings.note_if(
                active_request_bias.is_some(),
                "loadBalancer.leastRequest.activeRequestBias",
                "gRPC's least request has no bias",
            );
            lackings.note_if(slow_start.is_some(), WARMUP.0, WARMUP.1);
        }
        LoadBalancer::Random => lackings
            .note("loadBalancer.simple", "RANDOM where the library has it, else ROUND_ROBIN: C-core and grpc-js do"),
        LoadBalancer::WeightedRoundRobin(weighted) => {
            lackings.note(
                "loadBalancer.weightedRoundRobin",
                "where the library has it (A58), else ROUND_ROBIN: grpc-js needs GRPC_EXPERIMENTAL_XDS_WRR_LB=true",
            );
            lackings.note_if(weighted.slow_start.is_some(), WARMUP.0, WARMUP.1);
        }
        LoadBalancer::ConsistentHash(hash) => {
            match &hash.table {
                HashTable::Maglev { table_size: _ } => {
                    lackings.note("loadBalancer.consistentHash.maglev", "gRPC has no Maglev: a ring hash does it");
                }
                HashTable::Ring { function, minimum_size: _, maximum_size: _ } => lackings.note_if(
                    *function == Some(HashFunction::MurmurHash2),
                    "loadBalancer.consistentHash.ringHash.hashFunction",
                    "XX_HASH is the only one that gRPC has",
                ),
            }
            of_hash_keys(&hash.keys, lackings);
        }
        LoadBalancer::Passthrough => {}
    }
}

/// Only metadata can be hashed (A42).
fn of_hash_keys(keys: &[HashKey], lackings: &mut Lackings<'_>) {
    let hashes_any = keys.iter().any(|key| matches!(key, HashKey::Header(_)));
    let sentence = match hashes_any {
        true => "gRPC hashes metadata alone: the headers that are named beside it count",
        false => "gRPC hashes metadata alone: each call goes to any endpoint; name an `httpHeaderName` to hash by",
    };
    for key in keys {
        let setting = match key {
            HashKey::Header(_) => continue,
            HashKey::Cookie { .. } => "loadBalancer.consistentHash.httpCookie",
            HashKey::SourceIp => "loadBalancer.consistentHash.useSourceIp",
            HashKey::QueryParameter(_) => "loadBalancer.consistentHash.httpQueryParameterName",
        };
        lackings.note(setting, sentence);
    }
}

fn of_connections(pool: &ConnectionPool, lackings: &mut Lackings<'_>) {
    const OWN: &str = "a gRPC client opens and keeps connections as its application set it up";
    const NO_LIMIT: &str = "of limits gRPC has http2MaxRequests alone (A32)";
    let ConnectionPool {
        connect_timeout,
        tcp_keepalive,
        max_connection_duration,
        tcp_idle_timeout,
        http_idle_timeout,
        max_requests_per_connection,
        h2_upgrade,
        // gRPC is always HTTP/2.
        use_client_protocol: _,
        max_concurrent_streams,
        http2_keepalive,
        max_connections_per_host,
        circuit_breakers: CircuitBreakers { default, high },
    } = pool;
    let Thresholds {
        max_connections,
        max_pending_requests,
        max_requests: _,
        max_retries,
        track_remaining,
        retry_budget,
    } = default;
    for (asked, setting, sentence) in [
        (*connect_timeout != DEFAULT_CONNECT_TIMEOUT, "connectionPool.tcp.connectTimeout", OWN),
        (tcp_keepalive.is_some(), "connectionPool.tcp.tcpKeepalive", OWN),
        (max_connection_duration.is_some(), "connectionPool.tcp.maxConnectionDuration", OWN),
        (tcp_idle_timeout.is_some(), "connectionPool.tcp.idleTimeout", OWN),
        (http_idle_timeout.is_some(), "connectionPool.http.idleTimeout", OWN),
        (max_requests_per_connection.is_some(), "connectionPool.http.maxRequestsPerConnection", OWN),
        (*h2_upgrade == H2Upgrade::DoNotUpgrade, "connectionPool.http.h2UpgradePolicy", "gRPC is always HTTP/2"),
        (max_concurrent_streams.is_some(), "connectionPool.http.maxConcurrentStreams", OWN),
        (http2_keepalive.is_some(), "connectionPool.http.http2KeepAlive", OWN),
        (max_connections_per_host.is_some(), "connectionPool.maxConnectionsPerHost", NO_LIMIT),
        (*max_connections != UNLIMITED, "connectionPool.tcp.maxConnections", NO_LIMIT),
        (*max_pending_requests != UNLIMITED, "connectionPool.http.http1MaxPendingRequests", NO_LIMIT),
        (*max_retries != UNLIMITED, "connectionPool.http.maxRetries", NO_LIMIT),
        (*track_remaining, "connectionPool.trackRemaining", "gRPC clients publish no such figures"),
        (retry_budget.is_some(), "retryBudget", "gRPC clients keep no budget of retries (A44)"),
        (high.is_some(), "connectionPool.high", "gRPC knows no priorities of routes"),
    ] {
        lackings.note_if(asked, setting, sentence);
    }
}

/// A50 has two detectors; calls are judged by their gRPC status.
fn of_outliers(outlier: &OutlierDetection, lackings: &mut Lackings<'_>) {
    const CONSECUTIVE: &str =
        "gRPC clients count no errors in a row (A50): set failurePercentageThreshold to eject what fails";
    let enforced = |threshold: Option<u32>, enforcing: Option<u32>| threshold.is_some() && enforcing != Some(0);
    let o = outlier;
    for (asked, setting, sentence) in [
        (
            enforced(o.consecutive_5xx, o.enforcing_consecutive_5xx),
            "outlierDetection.consecutive5xxErrors",
            CONSECUTIVE,
        ),
        (
            enforced(o.consecutive_gateway_failure, o.enforcing_consecutive_gateway_failure),
            "outlierDetection.consecutiveGatewayErrors",
            CONSECUTIVE,
        ),
        (
            enforced(o.consecutive_local_origin_failure, o.enforcing_consecutive_local_origin_failure),
            "outlierDetection.consecutiveLocalOriginFailures",
            CONSECUTIVE,
        ),
        (
            o.split_external_local_origin_errors,
            "outlierDetection.splitExternalLocalOriginErrors",
            "gRPC clients make no such difference",
        ),
        (
            !o.http_error_codes.is_empty(),
            "outlierDetection.outlierDetectionHttpErrorCodes",
            "gRPC calls are judged by their gRPC status",
        ),
        (
            o.max_ejection_time_jitter.is_some(),
            "outlierDetection.maxEjectionTimeJitter",
            "gRPC clients have no such jitter",
        ),
        (
            o.always_eject_one_host == Some(true),
            "outlierDetection.alwaysEjectOneHost",
            "gRPC clients keep to maxEjectionPercent",
        ),
    ] {
        lackings.note_if(asked, setting, sentence);
    }
}

/// Of the policy of a route. `whose` stands before its settings: nothing, or `routes[0].`.
pub(super) fn of_route(policy: &RoutePolicy, whose: &str, lackings: &mut Lackings<'_>) {
    // `timeout` and `maxStreamDuration` are both written as the latter.
    let RoutePolicy { timeout: _, stream_idle_timeout, max_stream_duration: _, retry, hedge, session, priority } =
        policy;
    let setting = |name: &str| format!("{whose}{name}");
    if stream_idle_timeout.is_some_and(|limit| limit > Duration::ZERO) {
        lackings.note(&setting("streamIdleTimeout"), "gRPC clients end no stream for being idle");
    }
    if *priority == Priority::High {
        lackings.note(&setting("priority"), "gRPC clients have one set of limits, that of priority DEFAULT (A32)");
    }
    if let Some(retry) = retry {
        of_retry(retry, whose, lackings);
    }
    if hedge.is_some() {
        lackings.note(&setting("hedging"), "gRPC clients hedge nothing that xDS asks for (A44)");
    }
    if session.is_some() {
        lackings.note(
            &setting("statefulSession"),
            "sessions are not kept: not every gRPC library has them, and one that has not rejects the listener",
        );
    }
}

fn of_retry(retry: &Retry, whose: &str, lackings: &mut Lackings<'_>) {
    let Retry {
        attempts,
        per_try_timeout,
        per_try_idle_timeout,
        retry_on,
        retriable_status_codes,
        repeats: _,
        retriable_headers,
        retriable_request_headers,
        back_off: _,
        rate_limited_back_off,
        // These two are on by default, and no library has them: not worth a word each time.
        avoid_previous_hosts: _,
        host_selection_attempts: _,
        retry_remote_localities,
    } = retry;
    let setting = |name: &str| format!("{whose}retries.{name}");
    if *attempts == 0 {
        return;
    }
    if !retriable_request_headers.is_empty() {
        lackings.note(
            &setting("retriableRequestHeaders"),
            "gRPC would retry calls without these headers too, so it is told to retry none",
        );
        return;
    }
    let others: Vec<&str> =
        retry_on.iter().map(|condition| &**condition).filter(|condition| !is_grpc_condition(condition)).collect();
    if others.len() == retry_on.len() {
        lackings.note(
            &setting("retryOn"),
            "none of these is a gRPC status, so nothing is retried by policy; calls that no server has seen are \
             retried by the library itself",
        );
        return;
    }
    if !others.is_empty() {
        lackings.note(&setting("retryOn"), format!("gRPC retries by status alone (A44): not on {}", others.join(", ")));
    }
    for (asked, name, sentence) in [
        (per_try_timeout.is_some(), "perTryTimeout", "a try has no time limit of its own (A44)"),
        (per_try_idle_timeout.is_some(), "perTryIdleTimeout", "a try has no time limit of its own (A44)"),
        (!retriable_status_codes.is_empty(), "retryOn", "gRPC retries on no HTTP status (A44)"),
        (!retriable_headers.is_empty(), "retriableHeaders", "gRPC retries on no header (A44)"),
        (rate_limited_back_off.is_some(), "rateLimitedBackoff", "gRPC does not read these headers (A44)"),
        (*retry_remote_localities, "retryRemoteLocalities", "a retry goes wherever load balancing leads it"),
    ] {
        lackings.note_if(asked, &setting(name), sentence);
    }
}
