//! TLS towards proxies: who may connect, and certificates that change while the server runs.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{sync::Arc, time::Duration};

use chancery::proto::envoy::{
    config::core::v3::Node,
    service::discovery::v3::{
        DeltaDiscoveryRequest, aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
    },
};
use chancery::{
    publish::Publish,
    xds::{Clients, Metrics, Server, Settings, Tls, TlsFiles},
};
use hyper_util::rt::TokioIo;
use support::{chancery::ControlPlane, eventually, identity::Authority};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tonic::transport::Endpoint;

async fn connect(
    port: u16,
    trusts: &Authority,
    identity: Option<&(String, String)>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusts.pem().as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// Asks for clusters over a connection that was made; how many there are.
async fn ask(stream: TlsStream<TcpStream>) -> Result<usize, tonic::Status> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("there is one connection"));
        async move { stream }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connector).await;
    let channel = channel.map_err(|error| tonic::Status::unavailable(error.to_string()))?;
    let request = DeltaDiscoveryRequest {
        node: Some(Node { id: "tls".into(), cluster: "tls".into(), ..Default::default() }),
        type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".into(),
        ..Default::default()
    };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut responses =
        AggregatedDiscoveryServiceClient::new(channel).delta_aggregated_resources(requests).await?.into_inner();
    Ok(responses.message().await?.map_or(0, |response| response.resources.len()))
}

fn server_certificate(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_known_clients_are_served_and_certificates_are_renewed() {
    let (servers, clients, strangers) = (Authority::new(), Authority::new(), Authority::new());
    let services = "services:\n  - name: orders\n    ports: [ { name: http, port: 80, protocol: http } ]\n";
    let mut plane = ControlPlane::prepare(services, "", 15001);
    let (certificate, key) = servers.issue("localhost");
    plane.write("tls.crt", &certificate);
    plane.write("tls.key", &key);
    plane.write("ca.crt", &clients.pem());
    let config = std::fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    let tls = ", tls: { cert: tls.crt, key: tls.key, clientCa: ca.crt } }";
    plane.write("chancery.yaml", &config.replacen(" }", tls, 1));
    plane.run().await;

    let (known, stranger) = (clients.issue("orders-1"), strangers.issue("orders-1"));
    let standing = connect(plane.xds_port, &servers, Some(&known)).await.unwrap();
    let first = server_certificate(&standing);
    assert_eq!(ask(standing).await.unwrap(), 2, "orders, and the cluster that leads back into the listener");

    // In TLS 1.3 a refusal of the client's certificate shows with the first bytes after the handshake.
    for identity in [None, Some(&stranger)] {
        let refused = match connect(plane.xds_port, &servers, identity).await {
            Ok(stream) => ask(stream).await.is_err(),
            Err(_) => true,
        };
        assert!(refused, "{identity:?}");
    }

    // What cannot be used leaves what was good; what can is used for new connections.
    plane.write("tls.crt", "not a certificate");
    eventually("the broken certificate is told of", async || {
        plane.log().contains("no certificate in PEM").then_some(())
    })
    .await;
    assert_eq!(server_certificate(&connect(plane.xds_port, &servers, Some(&known)).await.unwrap()), first);
    let (certificate, key) = servers.issue("localhost");
    plane.write("tls.key", &key);
    plane.write("tls.crt", &certificate);
    eventually("new connections get the new certificate", async || {
        let stream = connect(plane.xds_port, &servers, Some(&known)).await.ok()?;
        (server_certificate(&stream) != first).then_some(())
    })
    .await;
}

/// Within TLS too, a client that does not finish its handshake, or finishes it and says nothing, is let go.
#[tokio::test]
async fn a_handshake_has_its_time() {
    let authority = Authority::new();
    let (cert, key) = authority.issue("localhost");
    let tls = Tls::new(TlsFiles { cert: &cert, key: &key, client_ca: None }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let metrics = Metrics::default();
    let server = Server {
        settings: Settings { handshake: Duration::from_millis(200), ..Settings::default() },
        publish: Arc::new(Publish::default()),
        clients: Arc::new(Clients::default()),
        metrics: metrics.clone(),
        tls: Some(tls),
    };
    tokio::spawn(server.serve(listener, Default::default()));

    let mut begins = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    // The first bytes of a handshake.
    begins.write_all(&[22, 3, 1]).await.unwrap();
    let mut said = Vec::new();
    let closed = timeout(Duration::from_secs(10), begins.read_to_end(&mut said)).await.expect("it is closed in time");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");

    let mut silent = connect(port, &authority, None).await.unwrap();
    let _ = timeout(Duration::from_secs(10), silent.read_to_end(&mut said)).await.expect("it is closed in time");
    eventually("both are counted", async || (metrics.unfinished_handshakes.get() == 2).then_some(())).await;
    eventually("nothing is left", async || (metrics.connections.get() == 0).then_some(())).await;
}
