//! TLS and the PROXY protocol towards endpoints, on a real Envoy: what verifies is answered, what does not is a 503.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::sync::Arc;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    identity::Authority,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        server::WebPkiClientVerifier,
    },
};

/// A server in TLS that answers every request with what it saw: the name asked for, and whether a certificate came.
async fn secure_server(identity: &(String, String), clients: Option<&Authority>) -> u16 {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            builder.with_client_cert_verifier(
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap(),
            )
        }
    };
    let (certificate, key) = identity;
    let config = builder
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let session = stream.get_ref().1;
                let shown = session.peer_certificates().map_or(0, <[_]>::len);
                let seen = format!("sni={} shown={shown}", session.server_name().unwrap_or("none"));
                answer(stream, &seen).await;
            });
        }
    });
    port
}

/// A server of plain bytes that answers with the first line it is sent.
async fn plain_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 4096];
                let length = stream.read(&mut bytes).await.unwrap_or(0);
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                let line = text.lines().next().unwrap_or_default().to_owned();
                let _ = stream.write_all(response(&line).as_bytes()).await;
            });
        }
    });
    port
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, seen: &str) {
    let mut bytes = vec![0; 4096];
    while stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {
        if stream.write_all(response(seen).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn response(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn service(name: &str, protocol: &str, more: &str, port: u16) -> String {
    format!(
        "  - name: {name}\n    ports: [ {{ name: main, port: 80, protocol: {protocol}{more} }} ]\n    \
         endpoints: [ {{ address: 127.0.0.1, ports: {{ main: {port} }} }} ]\n"
    )
}

fn policy(service: &str, settings: &str) -> String {
    format!(
        "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {service} }}\n\
         spec: {{ target: {{ service: {service} }}, {settings} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_verifies_is_answered() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let server = secure_server(&servers.issue("secure"), None).await;
    let mutual = secure_server(&servers.issue("mutual"), Some(&clients)).await;
    let bytes_server = secure_server(&servers.issue("bytes"), None).await;
    let plain = plain_server().await;
    let (outbound, tcp, stranger_tcp) = (free_port(), free_port(), free_port());

    let files = tempfile::TempDir::new().unwrap();
    let file = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = clients.issue("caller");
    let (ca, wrong, crl) =
        (file("ca.pem", &servers.pem()), file("wrong.pem", &strangers.pem()), file("ca.crl", &servers.revoked()));
    let (certificate, key) = (file("caller.pem", &certificate), file("caller.key", &key));

    let ca_of = |path: &str, more: &str| format!("tls: {{ mode: SIMPLE, caCertificates: {path}{more} }}");
    let cases = [
        ("secure", ca_of(&ca, ""), Some("sni=secure shown=0")),
        ("wrong-ca", ca_of(&wrong, ", sni: secure"), None),
        // The certificate is for `secure`, and asked was for `stranger`.
        ("stranger", ca_of(&ca, ""), None),
        ("renamed", ca_of(&ca, ", sni: secure"), Some("sni=secure shown=0")),
        ("asked-for-another", ca_of(&ca, ", sni: elsewhere"), None),
        ("named", ca_of(&ca, ", subjectAltNames: [elsewhere, secure]"), Some("sni=named shown=0")),
        ("misnamed", ca_of(&ca, ", subjectAltNames: [elsewhere]"), None),
        ("revocable", ca_of(&ca, &format!(", caCrl: {crl}, sni: secure")), Some("sni=secure shown=0")),
        // No authorities of its own: those of the mesh, which do not know it.
        ("of-the-mesh", "tls: { mode: SIMPLE, sni: secure }".into(), None),
        ("skipped", "tls: { mode: SIMPLE, insecureSkipVerify: true }".into(), Some("sni=skipped shown=0")),
    ];
    let mut services: String = cases.iter().map(|(name, ..)| service(name, "http", "", server)).collect();
    let mut policies: String = cases.iter().map(|(name, settings, _)| policy(name, settings)).collect();
    services += &service("mutual", "http", "", mutual);
    policies += &policy(
        "mutual",
        &format!("tls: {{ mode: MUTUAL, clientCertificate: {certificate}, privateKey: {key}, caCertificates: {ca} }}"),
    );
    services += &service("anonymous", "http", "", mutual);
    policies += &policy("anonymous", &ca_of(&ca, ", sni: mutual"));
    // Below HTTP the name asked for is the service's own.
    let listen = |port: u16| format!(", listen: \"127.0.0.1:{port}\"");
    services += &service("bytes", "tcp", &listen(tcp), bytes_server);
    policies += &policy("bytes", &ca_of(&ca, ""));
    services += &service("stranger-bytes", "tcp", &listen(stranger_tcp), server);
    policies += &policy("stranger-bytes", &ca_of(&ca, ""));
    for version in ["V1", "V2"] {
        let name = format!("proxy-{}", version.to_lowercase());
        services += &service(&name, "http", "", plain);
        policies += &policy(&name, &format!("proxyProtocol: {{ version: {version} }}"));
    }

    let plane = ControlPlane::start(&format!("services:\n{services}"), &policies, outbound).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, outbound, &["--node", "caller-1", "--service", "caller"]).await;
    eventually("the mesh is reached", async || {
        http::through_proxy(&envoy.proxy(), "http://secure/").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    for (name, _, expected) in &cases {
        let answer = http::through_proxy(&envoy.proxy(), &format!("http://{name}/")).await.unwrap();
        match expected {
            Some(seen) => assert_eq!((answer.status, answer.body.as_str()), (200, *seen), "{name}"),
            None => assert_eq!(answer.status, 503, "{name}: {}", answer.body),
        }
    }
    let mutual = http::through_proxy(&envoy.proxy(), "http://mutual/").await.unwrap();
    assert_eq!((mutual.status, mutual.body.as_str()), (200, "sni=mutual shown=1"));
    assert_eq!(http::through_proxy(&envoy.proxy(), "http://anonymous/").await.unwrap().status, 503);

    assert_eq!(over_tcp(tcp).await, response("sni=bytes shown=0"));
    assert_eq!(over_tcp(stranger_tcp).await, "", "the certificate has another name than the service");

    let v1 = http::through_proxy(&envoy.proxy(), "http://proxy-v1/").await.unwrap();
    assert!(v1.body.starts_with("PROXY TCP4 127.0.0.1 "), "{}", v1.body);
    // Version 2 begins with a line end of its own, so its first line is empty; plain HTTP would be `GET / …`.
    let v2 = http::through_proxy(&envoy.proxy(), "http://proxy-v2/").await.unwrap();
    assert_eq!((v2.status, v2.body.as_str()), (200, ""));
    assert_eq!(plane.metric("chancery_xds_nacks_total").await, 0);
}

/// What comes back over a TCP listener for a few bytes; nothing where it is closed.
async fn over_tcp(port: u16) -> String {
    let mut stream =
        eventually("the TCP listener stands", async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    let mut bytes = vec![0; 1024];
    let _ = stream.write_all(b"hello\n").await;
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}
