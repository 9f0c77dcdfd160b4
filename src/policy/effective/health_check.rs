//! An entry of `healthChecks`, complete.

use std::time::Duration;

use super::super::document::{
    scalar::{Count, Span},
    settings::{self, CodecClientType},
};
use super::text;
use crate::model::policy::{HeaderToAdd, HealthCheck, HealthCheckProtocol, Payload, StatusRange};

pub(super) fn health_check(written: &settings::HealthCheck) -> HealthCheck {
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
