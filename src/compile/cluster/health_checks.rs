//! `health_checks`: active checks of every endpoint.

use crate::{
    compile::wire::{bool_value, duration, duration_or_absent, u32_value},
    model::policy::{HeaderToAdd, HealthCheck, HealthCheckProtocol, Payload, StatusRange},
    proto::envoy::{
        config::core::v3::{
            HeaderValue, HeaderValueOption, HealthCheck as ProtoHealthCheck, RequestMethod,
            health_check::{
                GrpcHealthCheck, HealthChecker, HttpHealthCheck, Payload as ProtoPayload, TcpHealthCheck, payload,
            },
        },
        r#type::v3::{CodecClientType, Int64Range},
    },
};

pub(super) fn compile(check: &HealthCheck) -> ProtoHealthCheck {
    ProtoHealthCheck {
        timeout: duration(check.timeout),
        interval: duration(check.interval),
        initial_jitter: duration_or_absent(check.initial_jitter),
        interval_jitter: duration_or_absent(check.interval_jitter),
        interval_jitter_percent: check.interval_jitter_percent.unwrap_or(0),
        unhealthy_threshold: u32_value(check.unhealthy_threshold),
        healthy_threshold: u32_value(check.healthy_threshold),
        reuse_connection: check.reuse_connection.and_then(bool_value),
        no_traffic_interval: duration_or_absent(check.no_traffic_interval),
        no_traffic_healthy_interval: duration_or_absent(check.no_traffic_healthy_interval),
        unhealthy_interval: duration_or_absent(check.unhealthy_interval),
        unhealthy_edge_interval: duration_or_absent(check.unhealthy_edge_interval),
        healthy_edge_interval: duration_or_absent(check.healthy_edge_interval),
        always_log_health_check_failures: check.always_log_health_check_failures,
        health_checker: Some(checker(&check.protocol)),
        ..Default::default()
    }
}

fn checker(protocol: &HealthCheckProtocol) -> HealthChecker {
    match protocol {
        HealthCheckProtocol::Http {
            host,
            path,
            method,
            expected_statuses,
            retriable_statuses,
            request_headers_to_add,
            request_headers_to_remove,
            http2,
        } => HealthChecker::HttpHealthCheck(HttpHealthCheck {
            host: host.as_deref().unwrap_or_default().to_owned(),
            path: path.to_string(),
            method: method.as_deref().and_then(RequestMethod::from_str_name).unwrap_or_default().into(),
            expected_statuses: expected_statuses.iter().map(range).collect(),
            retriable_statuses: retriable_statuses.iter().map(range).collect(),
            request_headers_to_add: request_headers_to_add.iter().map(header).collect(),
            request_headers_to_remove: request_headers_to_remove.iter().map(ToString::to_string).collect(),
            codec_client_type: if *http2 { CodecClientType::Http2 } else { CodecClientType::Http1 }.into(),
            ..Default::default()
        }),
        HealthCheckProtocol::Grpc { service_name, authority } => HealthChecker::GrpcHealthCheck(GrpcHealthCheck {
            service_name: service_name.as_deref().unwrap_or_default().to_owned(),
            authority: authority.as_deref().unwrap_or_default().to_owned(),
            ..Default::default()
        }),
        HealthCheckProtocol::Tcp { send, receive } => HealthChecker::TcpHealthCheck(TcpHealthCheck {
            send: send.as_ref().map(bytes),
            receive: receive.iter().map(bytes).collect(),
            ..Default::default()
        }),
    }
}

fn range(range: &StatusRange) -> Int64Range {
    Int64Range { start: range.start.into(), end: range.end.into() }
}

fn header(header: &HeaderToAdd) -> HeaderValueOption {
    let HeaderToAdd { name, value } = header;
    let header = HeaderValue { key: name.to_string(), value: value.to_string(), ..Default::default() };
    HeaderValueOption { header: Some(header), ..Default::default() }
}

fn bytes(Payload(hex): &Payload) -> ProtoPayload {
    ProtoPayload { payload: Some(payload::Payload::Text(hex.to_string())) }
}
