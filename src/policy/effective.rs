//! Merged settings into the complete policy: the one place that says what an absent field means.
//!
//! The defaults are Istio's for a cluster without any rule (connect timeout 10 s, LEAST_REQUEST, no limits, no outlier
//! detection, panic off, no timeout), and for retries what is safe for any request. A detector of outlier detection
//! is enforced when one of its own fields is set, else not; an explicit `enforcing…` decides.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use super::document::{
    scalar::{Count, Percent, Span, WholePercent},
    settings::{
        self, CodecClientType, H2UpgradePolicy, HashFunction as WrittenHashFunction, HighLimits, Settings, Simple,
    },
};
use crate::model::{
    Decimal, EffectivePolicy,
    policy::{
        CircuitBreakers, ConnectionPool, ConsistentHash, DEFAULT_CONNECT_TIMEOUT, Distribute, FailoverRule, H2Upgrade,
        HashFunction, HashKey, HashTable, HeaderToAdd, HealthCheck, HealthCheckProtocol, Http2KeepAlive, LoadBalancer,
        LocalityPattern, LocalityRouting, OutlierDetection, Payload, Retry, RetryBudget, RoutePolicy, SlowStart,
        StatusRange, TcpKeepalive, Thresholds, UNLIMITED, UnhealthyEndpoints,
    },
};

/// Istio's default for the smallest ring.
const DEFAULT_MINIMUM_RING_SIZE: u64 = 1024;

/// Fills in every default.
pub fn effective(settings: &Settings) -> EffectivePolicy {
    let Settings { load_balancer, connection_pool, outlier_detection, health_checks, retry_budget, timeout, retries } =
        settings;
    let load_balancer = load_balancer.clone().unwrap_or_default();
    let min_health = outlier_detection.as_ref().and_then(|outlier| outlier.min_health_percent);
    EffectivePolicy {
        locality: locality(load_balancer.locality_lb_setting.as_ref()),
        panic_threshold: match (load_balancer.panic_threshold, min_health) {
            (Some(Percent(threshold)), _) => threshold,
            (None, Some(WholePercent(percent))) => Decimal::whole(percent),
            (None, None) => Decimal::ZERO,
        },
        overprovisioning_factor: load_balancer.overprovisioning_factor.map(|factor| factor.0),
        unhealthy_endpoints: match min_health {
            Some(WholePercent(1..)) => UnhealthyEndpoints::Omitted,
            Some(WholePercent(0)) | None => UnhealthyEndpoints::Sent,
        },
        load_balancer: algorithm(&load_balancer),
        connection_pool: pool(connection_pool.as_ref(), retry_budget.as_ref()),
        outlier_detection: outlier_detection.as_ref().map(outlier),
        health_checks: health_checks.iter().flatten().map(health_check).collect(),
        route: route(*timeout, retries.as_ref()),
    }
}

fn algorithm(written: &settings::LoadBalancer) -> LoadBalancer {
    if let Some(hash) = &written.consistent_hash {
        return LoadBalancer::ConsistentHash(consistent_hash(hash));
    }
    let slow_start = slow_start(written);
    match written.simple.unwrap_or(Simple::Unspecified) {
        Simple::RoundRobin => LoadBalancer::RoundRobin { slow_start },
        Simple::Random => LoadBalancer::Random,
        Simple::Unspecified | Simple::LeastRequest | Simple::LeastConn => {
            let least = written.least_request.clone().unwrap_or_default();
            LoadBalancer::LeastRequest {
                choice_count: least.choice_count.map(|count| count.0),
                active_request_bias: least.active_request_bias.map(|bias| bias.0),
                slow_start,
            }
        }
    }
}

fn slow_start(written: &settings::LoadBalancer) -> Option<SlowStart> {
    let older = written
        .warmup_duration_secs
        .map(|duration| settings::Warmup { duration: Some(duration), ..settings::Warmup::default() });
    let warmup = written.warmup.clone().or(older)?;
    Some(SlowStart {
        window: warmup.duration?.0,
        aggression: warmup.aggression.map_or(Decimal::whole(1), |aggression| aggression.0),
        min_weight_percent: warmup.minimum_percent.map_or(Decimal::whole(10), |percent| percent.0),
    })
}

fn consistent_hash(written: &settings::ConsistentHash) -> ConsistentHash {
    let settings::ConsistentHash {
        http_header_name,
        http_cookie,
        use_source_ip,
        http_query_parameter_name,
        ring_hash,
        maglev,
        minimum_ring_size,
    } = written;
    let table = match maglev {
        Some(maglev) => HashTable::Maglev { table_size: maglev.table_size.map(|size| size.0) },
        None => {
            let ring = ring_hash.clone().unwrap_or_default();
            let minimum = ring.minimum_ring_size.or(*minimum_ring_size);
            HashTable::Ring {
                minimum_size: minimum.map_or(DEFAULT_MINIMUM_RING_SIZE, |size| size.0),
                maximum_size: ring.maximum_ring_size.map(|size| size.0),
                function: ring.hash_function.map(|function| match function {
                    WrittenHashFunction::XxHash => HashFunction::XxHash,
                    WrittenHashFunction::MurmurHash2 => HashFunction::MurmurHash2,
                }),
            }
        }
    };
    let header = http_header_name.as_deref().map(|name| HashKey::Header(name.into()));
    let query = http_query_parameter_name.as_deref().map(|name| HashKey::QueryParameter(name.into()));
    let source = (*use_source_ip == Some(true)).then_some(HashKey::SourceIp);
    let keys = [header, http_cookie.as_ref().map(cookie), source, query].into_iter().flatten().collect();
    ConsistentHash { table, keys }
}

fn cookie(written: &settings::HttpCookie) -> HashKey {
    let attribute = |attribute: &settings::CookieAttribute| (text(&attribute.name), text(&attribute.value));
    HashKey::Cookie {
        name: text(&written.name),
        ttl: written.ttl.map(|ttl| ttl.0),
        path: written.path.as_deref().map(Into::into),
        attributes: written.attributes.iter().flatten().map(attribute).collect(),
    }
}

fn text(written: &Option<String>) -> Arc<str> {
    written.as_deref().unwrap_or_default().into()
}

fn locality(written: Option<&settings::LocalityLbSetting>) -> LocalityRouting {
    let Some(settings::LocalityLbSetting { enabled, distribute, failover, failover_priority: _ }) = written else {
        return LocalityRouting::Ignored;
    };
    match (enabled, distribute) {
        (Some(false), _) => LocalityRouting::Ignored,
        (_, Some(distribute)) => LocalityRouting::Distribute(
            distribute
                .iter()
                .map(|entry| Distribute {
                    from: LocalityPattern::parse(entry.from.as_deref().unwrap_or("*")),
                    to: entry.to.iter().flatten().map(|(to, share)| (LocalityPattern::parse(to), share.0)).collect(),
                })
                .collect(),
        ),
        (_, None) => LocalityRouting::Failover(
            failover.iter().flatten().map(|rule| FailoverRule { from: text(&rule.from), to: text(&rule.to) }).collect(),
        ),
    }
}

fn pool(written: Option<&settings::ConnectionPool>, budget: Option<&settings::RetryBudget>) -> ConnectionPool {
    let settings::ConnectionPool { tcp, http, track_remaining, max_connections_per_host, high } =
        written.cloned().unwrap_or_default();
    let tcp = tcp.unwrap_or_default();
    let http = http.unwrap_or_default();
    let retry_budget = budget.map(retry_budget);
    let track_remaining = track_remaining.unwrap_or(false);
    let limit = |count: Option<Count>| count.map_or(UNLIMITED, |count| count.0);
    ConnectionPool {
        connect_timeout: tcp.connect_timeout.map_or(DEFAULT_CONNECT_TIMEOUT, |timeout| timeout.0),
        tcp_keepalive: tcp.tcp_keepalive.map(|keepalive| TcpKeepalive {
            probes: keepalive.probes.map(|count| count.0),
            time: keepalive.time.map(|time| time.0),
            interval: keepalive.interval.map(|interval| interval.0),
        }),
        max_connection_duration: tcp.max_connection_duration.map(|duration| duration.0),
        tcp_idle_timeout: tcp.idle_timeout.map(|timeout| timeout.0),
        http_idle_timeout: http.idle_timeout.or(tcp.idle_timeout).map(|timeout| timeout.0),
        max_requests_per_connection: at_least_one(http.max_requests_per_connection),
        h2_upgrade: match http.h2_upgrade_policy {
            None | Some(H2UpgradePolicy::Default) => H2Upgrade::Default,
            Some(H2UpgradePolicy::DoNotUpgrade) => H2Upgrade::DoNotUpgrade,
            Some(H2UpgradePolicy::Upgrade) => H2Upgrade::Upgrade,
        },
        use_client_protocol: http.use_client_protocol.unwrap_or(false),
        max_concurrent_streams: at_least_one(http.max_concurrent_streams),
        http2_keepalive: http.http2_keep_alive.and_then(|keepalive| {
            Some(Http2KeepAlive { interval: keepalive.interval?.0, timeout: keepalive.timeout?.0 })
        }),
        max_connections_per_host: at_least_one(max_connections_per_host),
        circuit_breakers: CircuitBreakers {
            default: Thresholds {
                max_connections: limit(tcp.max_connections),
                max_pending_requests: limit(http.http1_max_pending_requests),
                max_requests: limit(http.http2_max_requests),
                max_retries: limit(http.max_retries),
                track_remaining,
                retry_budget,
            },
            high: high.map(|high| high_thresholds(&high, track_remaining)),
        },
    }
}

/// Envoy's own defaults of 1024 and 3, for the priority that Istio does not know.
fn high_thresholds(written: &HighLimits, track_remaining: bool) -> Thresholds {
    let or = |count: Option<Count>, default: u32| count.map_or(default, |count| count.0);
    Thresholds {
        max_connections: or(written.max_connections, 1024),
        max_pending_requests: or(written.max_pending_requests, 1024),
        max_requests: or(written.max_requests, 1024),
        max_retries: or(written.max_retries, 3),
        track_remaining,
        retry_budget: None,
    }
}

/// Zero is "no limit" for these, as in Envoy.
fn at_least_one(count: Option<Count>) -> Option<NonZeroU32> {
    count.and_then(|count| NonZeroU32::new(count.0))
}

fn retry_budget(written: &settings::RetryBudget) -> RetryBudget {
    RetryBudget {
        percent: written.percent.map_or(Decimal::whole(20), |percent| percent.0),
        min_retry_concurrency: written.min_retry_concurrency.map_or(3, |count| count.0),
        budget_interval: written.budget_interval.map(|interval| interval.0),
    }
}

fn outlier(written: &settings::OutlierDetection) -> OutlierDetection {
    let number = |count: Option<Count>| count.map(|count| count.0);
    let percent = |percent: Option<WholePercent>| percent.map(|percent| percent.0);
    let span = |span: Option<Span>| span.map(|span| span.0);
    // A count of 0 turns its detector off, as in Istio.
    let consecutive = |count: Option<Count>, explicit: Option<WholePercent>| {
        let enforced = if count.is_some_and(|count| count.0 > 0) { 100 } else { 0 };
        (number(count).filter(|&count| count > 0), Some(percent(explicit).unwrap_or(enforced)))
    };
    let enforced = |explicit: Option<WholePercent>, own: &[bool]| {
        Some(percent(explicit).unwrap_or(if own.contains(&true) { 100 } else { 0 }))
    };
    let w = written;
    let (consecutive_5xx, enforcing_consecutive_5xx) = consecutive(w.consecutive5xx_errors, w.enforcing_consecutive5xx);
    let (consecutive_gateway_failure, enforcing_consecutive_gateway_failure) =
        consecutive(w.consecutive_gateway_errors, w.enforcing_consecutive_gateway_failure);
    let (consecutive_local_origin_failure, enforcing_consecutive_local_origin_failure) =
        consecutive(w.consecutive_local_origin_failures, w.enforcing_consecutive_local_origin_failure);
    OutlierDetection {
        consecutive_5xx,
        enforcing_consecutive_5xx,
        consecutive_gateway_failure,
        enforcing_consecutive_gateway_failure,
        split_external_local_origin_errors: w.split_external_local_origin_errors.unwrap_or(false),
        consecutive_local_origin_failure,
        enforcing_consecutive_local_origin_failure,
        enforcing_success_rate: enforced(
            w.enforcing_success_rate,
            &[
                w.success_rate_minimum_hosts.is_some(),
                w.success_rate_request_volume.is_some(),
                w.success_rate_stdev_factor.is_some(),
            ],
        ),
        enforcing_local_origin_success_rate: enforced(w.enforcing_local_origin_success_rate, &[]),
        success_rate_minimum_hosts: number(w.success_rate_minimum_hosts),
        success_rate_request_volume: number(w.success_rate_request_volume),
        success_rate_stdev_factor: number(w.success_rate_stdev_factor),
        failure_percentage_threshold: percent(w.failure_percentage_threshold),
        enforcing_failure_percentage: enforced(
            w.enforcing_failure_percentage,
            &[
                w.failure_percentage_threshold.is_some(),
                w.failure_percentage_minimum_hosts.is_some(),
                w.failure_percentage_request_volume.is_some(),
            ],
        ),
        enforcing_failure_percentage_local_origin: enforced(w.enforcing_failure_percentage_local_origin, &[]),
        failure_percentage_minimum_hosts: number(w.failure_percentage_minimum_hosts),
        failure_percentage_request_volume: number(w.failure_percentage_request_volume),
        interval: span(w.interval),
        base_ejection_time: span(w.base_ejection_time),
        max_ejection_time: span(w.max_ejection_time),
        max_ejection_time_jitter: span(w.max_ejection_time_jitter),
        max_ejection_percent: percent(w.max_ejection_percent),
        always_eject_one_host: w.always_eject_one_host,
        successful_active_health_check_uneject_host: w.successful_active_health_check_uneject_host,
        http_error_codes: w.outlier_detection_http_error_codes.iter().flatten().map(|code| code.0).collect(),
    }
}

fn health_check(written: &settings::HealthCheck) -> HealthCheck {
    let span = |span: Option<Span>| span.map(|span| span.0);
    let or = |count: Option<Count>, default: u32| count.map_or(default, |count| count.0);
    HealthCheck {
        timeout: span(written.timeout).unwrap_or(Duration::from_secs(1)),
        interval: span(written.interval).unwrap_or(Duration::from_secs(10)),
        initial_jitter: span(written.initial_jitter),
        interval_jitter: span(written.interval_jitter),
        interval_jitter_percent: written.interval_jitter_percent.map(|count| count.0),
        unhealthy_threshold: or(written.unhealthy_threshold, 3),
        healthy_threshold: or(written.healthy_threshold, 2),
        reuse_connection: written.reuse_connection,
        no_traffic_interval: span(written.no_traffic_interval),
        no_traffic_healthy_interval: span(written.no_traffic_healthy_interval),
        unhealthy_interval: span(written.unhealthy_interval),
        unhealthy_edge_interval: span(written.unhealthy_edge_interval),
        healthy_edge_interval: span(written.healthy_edge_interval),
        always_log_health_check_failures: written.always_log_health_check_failures.unwrap_or(false),
        protocol: health_check_protocol(written),
    }
}

fn health_check_protocol(written: &settings::HealthCheck) -> HealthCheckProtocol {
    let optional = |text: &Option<String>| text.as_deref().map(Into::into);
    if let Some(grpc) = &written.grpc_health_check {
        return HealthCheckProtocol::Grpc {
            service_name: optional(&grpc.service_name),
            authority: optional(&grpc.authority),
        };
    }
    if let Some(http) = &written.http_health_check {
        return HealthCheckProtocol::Http {
            host: optional(&http.host),
            path: text(&http.path),
            method: http.method.map(|method| method.as_str().into()),
            expected_statuses: ranges(&http.expected_statuses),
            retriable_statuses: ranges(&http.retriable_statuses),
            request_headers_to_add: http.request_headers_to_add.iter().flatten().filter_map(header).collect(),
            request_headers_to_remove: http
                .request_headers_to_remove
                .iter()
                .flatten()
                .map(|name| name.as_str().into())
                .collect(),
            http2: http.codec_client_type == Some(CodecClientType::Http2),
        };
    }
    let tcp = written.tcp_health_check.clone().unwrap_or_default();
    let payload = |payload: &settings::Payload| payload.text.as_ref().map(|hex| Payload(hex.0.as_str().into()));
    HealthCheckProtocol::Tcp {
        send: tcp.send.as_ref().and_then(payload),
        receive: tcp.receive.iter().flatten().filter_map(payload).collect(),
    }
}

fn header(written: &settings::HeaderToAdd) -> Option<HeaderToAdd> {
    let header = written.header.as_ref()?;
    Some(HeaderToAdd { name: text(&header.key), value: text(&header.value) })
}

fn ranges(written: &Option<Vec<settings::StatusRange>>) -> Vec<StatusRange> {
    let code = |count: Option<Count>| count.and_then(|count| u16::try_from(count.0).ok()).unwrap_or_default();
    written.iter().flatten().map(|range| StatusRange { start: code(range.start), end: code(range.end) }).collect()
}

fn route(timeout: Option<Span>, retries: Option<&settings::Retries>) -> RoutePolicy {
    RoutePolicy {
        timeout: timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero()),
        retry: match retries {
            None => Some(Retry::default()),
            Some(written) => retry(written),
        },
    }
}

fn retry(written: &settings::Retries) -> Option<Retry> {
    let default = Retry::default();
    let attempts = written.attempts.map_or(default.attempts, |attempts| attempts.0);
    let (retry_on, retriable_status_codes) = match &written.retry_on {
        None => (default.retry_on, default.retriable_status_codes),
        Some(retry_on) => {
            let mut conditions: Vec<Arc<str>> = retry_on.conditions.iter().map(|word| word.as_str().into()).collect();
            // Codes count only beside this condition.
            let codes_condition = "retriable-status-codes";
            if !retry_on.status_codes.is_empty() && !conditions.iter().any(|word| **word == *codes_condition) {
                conditions.push(codes_condition.into());
            }
            (conditions, retry_on.status_codes.clone())
        }
    };
    (attempts > 0).then_some(Retry {
        attempts,
        per_try_timeout: written.per_try_timeout.map(|timeout| timeout.0).filter(|timeout| !timeout.is_zero()),
        retry_on,
        retriable_status_codes,
        back_off_base: written.backoff.map(|backoff| backoff.0),
        avoid_previous_hosts: written.retry_ignore_previous_hosts.unwrap_or(default.avoid_previous_hosts),
        retry_remote_localities: written.retry_remote_localities.unwrap_or(default.retry_remote_localities),
    })
}
