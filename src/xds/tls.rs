//! TLS towards clients, from files that may change while connections stand.
//!
//! A new connection is greeted with the latest certificate; those that stand keep theirs. Files that cannot be used
//! leave what was good.

use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// What a server greets with, in PEM.
#[derive(Debug, Clone, Copy)]
pub struct TlsFiles<'a> {
    /// The certificate chain, the server's own first.
    pub cert: &'a str,
    /// Its private key.
    pub key: &'a str,
    /// Clients must have a certificate signed by one of these; absent = anybody may connect.
    pub client_ca: Option<&'a str>,
}

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// What should be in a file is not.
    #[error("`{0}` holds no {1} in PEM")]
    Nothing(&'static str, &'static str),
    /// What is in a file cannot be read.
    #[error("`{0}` cannot be read as PEM: {1}")]
    Pem(&'static str, String),
    /// The certificate and the key do not belong together, or one of them is of no use.
    #[error("the certificate cannot be used: {0}")]
    Rustls(#[from] rustls::Error),
    /// No certificate can be checked with these.
    #[error("`clientCa` cannot be used: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// The latest configuration, for each new connection.
#[derive(Debug, Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// From files that can be used.
    pub fn new(files: TlsFiles<'_>) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(configuration(files)?))))
    }

    /// Takes the files' new contents, for new connections.
    pub fn renew(&self, files: TlsFiles<'_>) -> Result<(), TlsError> {
        let configuration = configuration(files)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = configuration;
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn configuration(files: TlsFiles<'_>) -> Result<Arc<ServerConfig>, TlsError> {
    let TlsFiles { cert, key, client_ca } = files;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| TlsError::Pem("key", error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions()?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(text) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("clientCa", text)? {
                roots.add(certificate)?;
            }
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?,
            )
        }
    };
    let mut configuration = builder.with_single_cert(certificates("cert", cert)?, key)?;
    // gRPC is HTTP/2, and a client is told so in the handshake.
    configuration.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(configuration))
}

fn certificates(file: &'static str, text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    let certificates = certificates.map_err(|error| TlsError::Pem(file, error.to_string()))?;
    if certificates.is_empty() { Err(TlsError::Nothing(file, "certificate")) } else { Ok(certificates) }
}
