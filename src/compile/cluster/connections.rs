//! How connections are made and kept: TCP options, and `HttpProtocolOptions` for ports that speak HTTP.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::transport_socket;
use crate::{
    compile::wire::{duration, duration_or_absent, u32_or_absent},
    model::{
        Port,
        policy::{ConnectionPool, EffectivePolicy, H2Upgrade, TcpKeepalive},
    },
    proto::{
        self, Any,
        envoy::{
            config::{
                cluster::v3::UpstreamConnectionOptions,
                common::matcher::v3::{HttpHeadersMatch, MatchPredicate, match_predicate},
                core::v3::{
                    Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonOptions,
                    KeepaliveSettings, TcpKeepalive as ProtoTcpKeepalive,
                },
                route::v3::{HeaderMatcher, header_matcher::HeaderMatchSpecifier},
            },
            extensions::upstreams::http::v3::{
                HttpProtocolOptions,
                http_protocol_options::{
                    ExplicitHttpConfig, OutlierDetection, UpstreamProtocolOptions, UseDownstreamHttpConfig,
                    explicit_http_config::ProtocolConfig,
                },
            },
            r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
        },
    },
};

/// The extension's name in a cluster.
pub(super) const HTTP_PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub(super) fn tcp(pool: &ConnectionPool) -> Option<UpstreamConnectionOptions> {
    let TcpKeepalive { probes, time, interval } = pool.tcp_keepalive.as_ref()?;
    let seconds = |duration: &Option<std::time::Duration>| {
        u32_or_absent(duration.map(|duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)))
    };
    Some(UpstreamConnectionOptions {
        tcp_keepalive: Some(ProtoTcpKeepalive {
            keepalive_probes: u32_or_absent(*probes),
            keepalive_time: seconds(time),
            keepalive_interval: seconds(interval),
        }),
        ..Default::default()
    })
}

/// What the port's protocol and the policy ask of HTTP; nothing where Envoy's defaults are meant (HTTP/1.1), or where
/// no HTTP is spoken.
pub(super) fn protocol_options(port: &Port, policy: &EffectivePolicy) -> BTreeMap<String, Any> {
    if !port.protocol.is_http() {
        return BTreeMap::new();
    }
    let pool = &policy.connection_pool;
    let codes = policy.outlier_detection.as_ref().map_or(&[][..], |outlier| &outlier.http_error_codes);
    let options = HttpProtocolOptions {
        common_http_protocol_options: common(pool),
        outlier_detection: error_matcher(codes)
            .map(|error_matcher| OutlierDetection { error_matcher: Some(error_matcher) }),
        upstream_protocol_options: Some(upstream(port, pool)),
        upstream_http_protocol_options: transport_socket::from_authority(port, policy.tls.as_ref()),
        ..Default::default()
    };
    let is_default =
        options == HttpProtocolOptions { upstream_protocol_options: Some(explicit(http1())), ..Default::default() };
    let packed = (HTTP_PROTOCOL_OPTIONS.to_owned(), proto::any(&options));
    if is_default { BTreeMap::new() } else { [packed].into() }
}

fn common(pool: &ConnectionPool) -> Option<CommonOptions> {
    let options = CommonOptions {
        idle_timeout: duration_or_absent(pool.http_idle_timeout),
        max_connection_duration: duration_or_absent(pool.max_connection_duration),
        max_requests_per_connection: u32_or_absent(pool.max_requests_per_connection.map(NonZeroU32::get)),
        ..Default::default()
    };
    (options != CommonOptions::default()).then_some(options)
}

fn upstream(port: &Port, pool: &ConnectionPool) -> UpstreamProtocolOptions {
    if pool.use_client_protocol {
        return UpstreamProtocolOptions::UseDownstreamProtocolConfig(UseDownstreamHttpConfig {
            http_protocol_options: Some(Http1ProtocolOptions::default()),
            http2_protocol_options: Some(http2_options(pool)),
            ..Default::default()
        });
    }
    match port.protocol.is_http2() || pool.h2_upgrade == H2Upgrade::Upgrade {
        true => explicit(ProtocolConfig::Http2ProtocolOptions(http2_options(pool))),
        false => explicit(http1()),
    }
}

fn explicit(protocol: ProtocolConfig) -> UpstreamProtocolOptions {
    UpstreamProtocolOptions::ExplicitHttpConfig(ExplicitHttpConfig { protocol_config: Some(protocol) })
}

fn http1() -> ProtocolConfig {
    ProtocolConfig::HttpProtocolOptions(Http1ProtocolOptions::default())
}

fn http2_options(pool: &ConnectionPool) -> Http2ProtocolOptions {
    Http2ProtocolOptions {
        max_concurrent_streams: u32_or_absent(pool.max_concurrent_streams.map(NonZeroU32::get)),
        connection_keepalive: pool.http2_keepalive.as_ref().map(|keepalive| KeepaliveSettings {
            interval: duration(keepalive.interval),
            timeout: duration(keepalive.timeout),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// "The status is one of these."
fn error_matcher(codes: &[u16]) -> Option<MatchPredicate> {
    let is = |code: &u16| {
        let exactly =
            StringMatcher { match_pattern: Some(MatchPattern::Exact(code.to_string())), ..Default::default() };
        let header = HeaderMatcher {
            name: ":status".into(),
            header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(exactly)),
            ..Default::default()
        };
        predicate(match_predicate::Rule::HttpResponseHeadersMatch(HttpHeadersMatch { headers: vec![header] }))
    };
    match codes {
        [] => None,
        [code] => Some(is(code)),
        // A set of two at least is what Envoy takes.
        codes => Some(predicate(match_predicate::Rule::OrMatch(match_predicate::MatchSet {
            rules: codes.iter().map(is).collect(),
        }))),
    }
}

fn predicate(rule: match_predicate::Rule) -> MatchPredicate {
    MatchPredicate { rule: Some(rule) }
}
