//! The gRPC server: accepts connections, serves streams, and ends them within a deadline.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport};

use super::{Clients, Metrics, Shared, Tls, connection, service::Service};
use crate::publish::Publish;

/// How connections and streams are treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A stream ends around this age, so that its client connects anew, perhaps to another replica. Default 30 min,
    /// a fifth more or less.
    pub stream_age: Duration,
    /// The first request after a reconnect lists everything a client knows; gRPC's own 4 MiB would lock large proxies
    /// out for ever. Default 64 MiB.
    pub largest_request: usize,
    /// HTTP/2 pings find connections whose other end is gone. Default every 30 s.
    pub keepalive_interval: Duration,
    /// How long a ping may stay unanswered. Default 20 s.
    pub keepalive_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_age: Duration::from_secs(30 * 60),
            largest_request: 64 * 1024 * 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
        }
    }
}

/// Serves every group's latest snapshot.
#[derive(Debug)]
pub struct Server {
    /// How connections and streams are treated.
    pub settings: Settings,
    /// Where snapshots come from.
    pub publish: Arc<Publish>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// The protocol in numbers.
    pub metrics: Metrics,
    /// Absent = plain text.
    pub tls: Option<Tls>,
}

impl Server {
    /// Serves until `shutdown`; then streams are ended and connections closed. Streams would otherwise keep the
    /// server for ever, so each watches the token itself.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> Result<(), transport::Error> {
        let Self { settings, publish, clients, metrics, tls } = self;
        let service = Service {
            publish,
            clients,
            metrics,
            shared: Arc::new(Shared::default()),
            settings: settings.clone(),
            shutdown: shutdown.clone(),
        };
        let connections = connection::accept(listener, tls, shutdown.clone());
        transport::Server::builder()
            .http2_keepalive_interval(Some(settings.keepalive_interval))
            .http2_keepalive_timeout(Some(settings.keepalive_timeout))
            .max_concurrent_streams(Some(100_000))
            .add_routes(Routes::from(service.routes()))
            .serve_with_incoming_shutdown(connections, shutdown.cancelled_owned())
            .await
    }
}
