//! `transport_socket`: TLS to the endpoints, and the PROXY protocol header around it or around plain bytes.
//!
//! Envoy verifies nothing where it is given no authorities, whatever else stands there. So every TLS socket written
//! here has some, but where a policy says `insecureSkipVerify: true`.

use crate::{
    compile::wire::file,
    model::{
        MeshSettings, Port, Service,
        policy::{Authorities, ClientCertificate, EffectivePolicy, H2Upgrade, ProxyProtocol, Tls, Verification},
    },
    proto::{
        self,
        envoy::{
            config::core::v3::{
                ProxyProtocolConfig, TransportSocket, UpstreamHttpProtocolOptions, proxy_protocol_config,
                transport_socket::ConfigType,
            },
            extensions::transport_sockets::{
                proxy_protocol::v3::ProxyProtocolUpstreamTransport,
                raw_buffer::v3::RawBuffer,
                tls::v3::{
                    CertificateValidationContext, CommonTlsContext, SdsSecretConfig, SubjectAltNameMatcher,
                    TlsCertificate, TlsParameters, UpstreamTlsContext,
                    common_tls_context::{CombinedCertificateValidationContext, ValidationContextType},
                    subject_alt_name_matcher::SanType,
                    tls_parameters::TlsProtocol,
                },
            },
            r#type::matcher::v3::{StringMatcher, string_matcher::MatchPattern},
        },
    },
};

/// Absent where plain bytes are spoken.
pub(super) fn compile(
    service: &Service,
    port: &Port,
    policy: &EffectivePolicy,
    mesh: &MeshSettings,
) -> Option<TransportSocket> {
    let tls = policy.tls.as_ref().map(|tls| {
        let context = context(tls, service, port, policy, mesh);
        socket("envoy.transport_sockets.tls", proto::any(&context))
    });
    let Some(version) = policy.proxy_protocol else { return tls };
    let raw = || socket("envoy.transport_sockets.raw_buffer", proto::any(&RawBuffer::default()));
    let version = match version {
        ProxyProtocol::V1 => proxy_protocol_config::Version::V1,
        ProxyProtocol::V2 => proxy_protocol_config::Version::V2,
    };
    let around = ProxyProtocolUpstreamTransport {
        config: Some(ProxyProtocolConfig { version: version.into(), ..Default::default() }),
        transport_socket: Some(tls.unwrap_or_else(raw)),
        ..Default::default()
    };
    Some(socket("envoy.transport_sockets.upstream_proxy_protocol", proto::any(&around)))
}

/// What an HTTP cluster takes from the request: the name it asks for, and with which it then verifies.
pub(super) fn from_authority(port: &Port, tls: Option<&Tls>) -> Option<UpstreamHttpProtocolOptions> {
    let tls = tls.filter(|tls| port.protocol.is_http() && tls.sni.is_none())?;
    Some(UpstreamHttpProtocolOptions {
        auto_sni: true,
        auto_san_validation: verifies_what_it_asked_for(tls),
        ..Default::default()
    })
}

fn verifies_what_it_asked_for(tls: &Tls) -> bool {
    match &tls.verification {
        Verification::Skipped => false,
        Verification::Required { authorities: _, revoked: _, names } => names.is_empty(),
    }
}

fn context(
    tls: &Tls,
    service: &Service,
    port: &Port,
    policy: &EffectivePolicy,
    mesh: &MeshSettings,
) -> UpstreamTlsContext {
    let Tls { certificate, verification, sni, alpn } = tls;
    let by_authority = port.protocol.is_http() && sni.is_none();
    let sni = match sni {
        Some(name) => name.to_string(),
        None if by_authority => String::new(),
        // Below HTTP there is no authority: the name is the one that clients dial.
        None => service.hosts.first().map_or_else(|| service.name.to_string(), ToString::to_string),
    };
    let pool = &policy.connection_pool;
    let speaks_http2 = port.protocol.is_http2() || (port.protocol.is_http() && pool.h2_upgrade == H2Upgrade::Upgrade);
    let mut common = CommonTlsContext {
        tls_params: Some(TlsParameters {
            tls_minimum_protocol_version: TlsProtocol::TlSv12.into(),
            tls_maximum_protocol_version: TlsProtocol::TlSv13.into(),
            ..Default::default()
        }),
        alpn_protocols: match alpn.as_slice() {
            [] if speaks_http2 && !pool.use_client_protocol => vec!["h2".into()],
            written => written.iter().map(ToString::to_string).collect(),
        },
        validation_context_type: Some(validation(verification, mesh)),
        ..Default::default()
    };
    match certificate {
        None => {}
        Some(ClientCertificate::Files { chain, key }) => common.tls_certificates.push(TlsCertificate {
            certificate_chain: file(chain),
            private_key: file(key),
            ..Default::default()
        }),
        Some(ClientCertificate::Secret(name)) => common.tls_certificate_sds_secret_configs.push(secret(name)),
    }
    UpstreamTlsContext {
        common_tls_context: Some(common),
        sni,
        // Where the name comes from the request, the cluster's HTTP options say the same.
        auto_sni_san_validation: !by_authority && verifies_what_it_asked_for(tls),
        ..Default::default()
    }
}

fn validation(verification: &Verification, mesh: &MeshSettings) -> ValidationContextType {
    let (authorities, revoked, names) = match verification {
        Verification::Skipped => {
            return ValidationContextType::ValidationContext(CertificateValidationContext::default());
        }
        Verification::Required { authorities, revoked, names } => (authorities, revoked, names),
    };
    let mut context = CertificateValidationContext {
        crl: revoked.as_deref().and_then(file),
        match_typed_subject_alt_names: names.iter().map(|name| san_matcher(name)).collect(),
        ..Default::default()
    };
    match authorities {
        Authorities::Mesh => context.trusted_ca = file(&mesh.ca_certificates),
        Authorities::File(path) => context.trusted_ca = file(path),
        Authorities::Secret(name) => {
            return ValidationContextType::CombinedValidationContext(CombinedCertificateValidationContext {
                default_validation_context: Some(context),
                validation_context_sds_secret_config: Some(secret(name)),
                ..Default::default()
            });
        }
    }
    ValidationContextType::ValidationContext(context)
}

/// A name as it stands in a certificate: its form says of which type it is.
fn san_matcher(name: &str) -> SubjectAltNameMatcher {
    let san_type = match name {
        name if name.contains("://") => SanType::Uri,
        name if name.parse::<std::net::IpAddr>().is_ok() => SanType::IpAddress,
        name if name.contains('@') => SanType::Email,
        _ => SanType::Dns,
    };
    SubjectAltNameMatcher {
        san_type: san_type.into(),
        matcher: Some(StringMatcher { match_pattern: Some(MatchPattern::Exact(name.into())), ..Default::default() }),
        ..Default::default()
    }
}

/// A secret of the proxy's own bootstrap: without a source beside its name, Envoy looks there.
fn secret(name: &str) -> SdsSecretConfig {
    SdsSecretConfig { name: name.into(), ..Default::default() }
}

fn socket(name: &str, config: proto::Any) -> TransportSocket {
    TransportSocket { name: name.into(), config_type: Some(ConfigType::TypedConfig(config)) }
}
