//! `tls`, `proxyProtocol` and `dns`, complete.

use super::super::document::settings::{self, ProxyProtocolVersion, TlsMode};
use super::texts;
use crate::model::policy::{
    Authorities, ClientCertificate, Dns, DnsLookupFamily, DnsResolution, ProxyProtocol, Tls, Verification,
};

/// Nothing but `insecureSkipVerify: true` leads to a connection that is not verified.
pub(super) fn tls(written: &settings::Tls) -> Option<Tls> {
    let settings::Tls {
        mode,
        client_certificate,
        private_key,
        client_certificate_secret,
        ca_certificates,
        ca_certificates_secret,
        ca_crl,
        credential_name: _,
        subject_alt_names,
        sni,
        insecure_skip_verify,
        alpn,
    } = written;
    let certificate = match mode {
        // The last two were refused when the document was read.
        Some(TlsMode::Disable | TlsMode::IstioMutual) | None => return None,
        Some(TlsMode::Simple) => None,
        Some(TlsMode::Mutual) => match client_certificate_secret {
            Some(name) => Some(ClientCertificate::Secret(name.as_str().into())),
            None => client_certificate
                .as_deref()
                .zip(private_key.as_deref())
                .map(|(chain, key)| ClientCertificate::Files { chain: chain.into(), key: key.into() }),
        },
    };
    let verification = match insecure_skip_verify {
        Some(true) => Verification::Skipped,
        Some(false) | None => Verification::Required {
            authorities: match (ca_certificates_secret, ca_certificates) {
                (Some(name), _) => Authorities::Secret(name.as_str().into()),
                (None, Some(file)) => Authorities::File(file.as_str().into()),
                (None, None) => Authorities::Mesh,
            },
            revoked: ca_crl.as_deref().map(Into::into),
            names: texts(subject_alt_names),
        },
    };
    Some(Tls { certificate, verification, sni: sni.as_deref().map(Into::into), alpn: texts(alpn) })
}

pub(super) fn proxy_protocol(written: &settings::ProxyProtocol) -> ProxyProtocol {
    match written.version {
        None | Some(ProxyProtocolVersion::V1) => ProxyProtocol::V1,
        Some(ProxyProtocolVersion::V2) => ProxyProtocol::V2,
    }
}

pub(super) fn dns(written: Option<&settings::Dns>) -> Dns {
    let default = Dns::default();
    let Some(settings::Dns { r#type, refresh_rate, respect_ttl, lookup_family }) = written else { return default };
    Dns {
        resolution: match r#type {
            None | Some(settings::DnsType::Strict) => DnsResolution::Strict,
            Some(settings::DnsType::Logical) => DnsResolution::Logical,
        },
        refresh_rate: refresh_rate.map_or(default.refresh_rate, |rate| rate.0),
        respect_ttl: respect_ttl.unwrap_or(default.respect_ttl),
        lookup_family: lookup_family.map(|family| match family {
            settings::DnsLookupFamily::Auto => DnsLookupFamily::Auto,
            settings::DnsLookupFamily::V4Only => DnsLookupFamily::V4Only,
            settings::DnsLookupFamily::V6Only => DnsLookupFamily::V6Only,
            settings::DnsLookupFamily::V4Preferred => DnsLookupFamily::V4Preferred,
            settings::DnsLookupFamily::All => DnsLookupFamily::All,
        }),
    }
}
