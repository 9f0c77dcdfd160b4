//! How bytes travel to endpoints: plain or in TLS, with or without a PROXY protocol header.

use std::sync::Arc;

/// TLS to the endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tls {
    /// What the proxy shows; absent = nothing.
    pub certificate: Option<ClientCertificate>,
    /// What an endpoint's certificate is held against.
    pub verification: Verification,
    /// The name asked for in the handshake; absent = the request's authority, or where there is none the service.
    pub sni: Option<Arc<str>>,
    /// The protocols offered; empty = what the port speaks.
    pub alpn: Vec<Arc<str>>,
}

/// The certificate that a proxy shows, and its key: both are on the proxy's machine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClientCertificate {
    /// In two files.
    Files {
        /// The chain.
        chain: Arc<str>,
        /// The private key.
        key: Arc<str>,
    },
    /// A secret of this name in the proxy's bootstrap.
    Secret(Arc<str>),
}

/// What an endpoint's certificate is held against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Verification {
    /// Nothing, because a policy asks for that in so many words.
    Skipped,
    /// Authorities and names.
    Required {
        /// Who must have signed it.
        authorities: Authorities,
        /// A file with what was revoked.
        revoked: Option<Arc<str>>,
        /// The names it may have, as written; empty = the name asked for in the handshake.
        names: Vec<Arc<str>>,
    },
}

/// Who may sign endpoints' certificates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Authorities {
    /// Those of the mesh (`MeshSettings::ca_certificates`).
    Mesh,
    /// Those in a file.
    File(Arc<str>),
    /// Those of a secret of this name in the proxy's bootstrap.
    Secret(Arc<str>),
}

/// Versions of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}
