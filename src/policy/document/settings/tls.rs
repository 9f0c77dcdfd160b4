//! How bytes travel to endpoints: `tls` and `proxyProtocol`.

settings! {
    /// TLS to the endpoints. One choice: the more specific policy's replaces the other whole.
    pub struct Tls {
        /// `DISABLE`, `SIMPLE` (endpoints show a certificate) or `MUTUAL` (both sides do).
        ///
        /// - envoy: `transport_socket` (`UpstreamTlsContext`, TLS 1.2 to 1.3)
        /// - example: `SIMPLE`
        mode: TlsMode,
        /// A file on the proxy's machine with the certificate chain that the proxy shows. For `MUTUAL`.
        ///
        /// - envoy: `common_tls_context.tls_certificates[0].certificate_chain.filename`
        /// - example: `/etc/certs/client.pem`
        client_certificate: String,
        /// A file with its private key. For `MUTUAL`.
        ///
        /// - envoy: `common_tls_context.tls_certificates[0].private_key.filename`
        /// - example: `/etc/certs/client.key`
        private_key: String,
        /// The proxy's certificate and key as a secret of this name in Envoy's own bootstrap
        /// (`static_resources.secrets`), in place of the two files. For `MUTUAL`.
        ///
        /// - envoy: `common_tls_context.tls_certificate_sds_secret_configs[0].name`
        /// - example: `client-identity`
        client_certificate_secret: String,
        /// A file with the authorities that endpoints' certificates are verified with.
        ///
        /// - default: the `Mesh` document's `caCertificates`
        /// - envoy: `common_tls_context.validation_context.trusted_ca.filename`
        /// - example: `/etc/certs/ca.pem`
        ca_certificates: String,
        /// A validation context as a secret of this name in Envoy's own bootstrap, in place of `caCertificates`. It
        /// must have a `trusted_ca`: without one Envoy verifies nothing.
        ///
        /// - envoy: `common_tls_context.combined_validation_context.validation_context_sds_secret_config.name`
        /// - example: `mesh-ca`
        ca_certificates_secret: String,
        /// A file with the certificates that were revoked.
        ///
        /// - envoy: `common_tls_context.validation_context.crl.filename`
        /// - example: `/etc/certs/ca.crl`
        ca_crl: String,
        /// Istio's name of a Kubernetes secret: refused, there is nobody here to read it.
        ///
        /// - envoy: none, it is refused
        /// - example: `shop-credential`
        credential_name: String,
        /// The names an endpoint's certificate may have; one suffices.
        ///
        /// - default: the name that was sent as SNI
        /// - envoy: `common_tls_context.validation_context.match_typed_subject_alt_names`
        /// - example: `[orders.shop.example]`
        subject_alt_names: Vec<String>,
        /// The name asked for in the TLS handshake.
        ///
        /// - default: the request's authority; on a port that is not HTTP, the service's first host
        /// - envoy: `sni`
        /// - example: `orders.shop.example`
        sni: String,
        /// Verify nothing: neither who signed the certificate nor what name it has.
        ///
        /// - default: `false`
        /// - envoy: an empty `common_tls_context.validation_context`
        /// - example: `true`
        insecure_skip_verify: bool,
        /// The protocols offered in the handshake.
        ///
        /// - default: `[h2]` where HTTP/2 is spoken, else what Envoy offers
        /// - envoy: `common_tls_context.alpn_protocols`
        /// - example: `[http/1.1]`
        alpn: Vec<String>,
    }

    /// Tell endpoints the client's address in a PROXY protocol header.
    pub struct ProxyProtocol {
        /// The header's version; Istio's default is V1.
        ///
        /// - default: `V1`
        /// - envoy: `transport_socket` (`ProxyProtocolUpstreamTransport`), around TLS or plain bytes
        /// - example: `V2`
        version: ProxyProtocolVersion,
    }
}

words! {
    /// Whether TLS is spoken to endpoints, and who shows a certificate.
    pub enum TlsMode {
        /// No TLS.
        Disable = "DISABLE",
        /// Endpoints show a certificate.
        Simple = "SIMPLE",
        /// Both sides do.
        Mutual = "MUTUAL",
        /// With certificates of Istio's own mesh: refused.
        IstioMutual = "ISTIO_MUTUAL",
    }

    /// Versions of the PROXY protocol.
    pub enum ProxyProtocolVersion {
        /// Text.
        V1 = "V1",
        /// Binary.
        V2 = "V2",
    }
}
