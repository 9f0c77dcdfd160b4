//! The gRPC server: accepts connections, each a task of its own, and ends them within a deadline.

use std::{sync::Arc, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{Clients, Metrics, Settings, Shared, Tls, admission::Admission, connection::Connections, service::Service};
use crate::publish::Publish;

/// How fast connections go when the server ends: their clients come to the replicas that stay no faster than this.
const GO_AT_MOST_IN_A_SECOND: f64 = 2_000.0;

/// How much of the time to end is kept for what follows the last connection's turn.
const LAST_WORDS: Duration = Duration::from_secs(2);

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
    /// Serves until `shutdown`; then nothing more is accepted, and connections are ended one after the other, the last
    /// within `settings.drain`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let Self { settings, publish, clients, metrics, tls } = self;
        let settings = Arc::new(settings);
        let service = Service {
            publish,
            clients,
            metrics: metrics.clone(),
            shared: Arc::new(Shared::of(settings.identity.clone())),
            admission: Arc::new(Admission::new(settings.clone(), metrics.clone())),
            settings: settings.clone(),
        };
        let (drain, draining) = watch::channel(None);
        let serving = Connections {
            settings: settings.clone(),
            methods: service.methods(),
            tls,
            metrics: metrics.clone(),
            drain: draining,
        };
        let mut connections = JoinSet::new();
        let mut full = false;
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(_) if connections.len() >= settings.connections => {
                    metrics.refused_connections.inc();
                    if !full {
                        tracing::warn!("there are {} connections, and no more are taken", connections.len());
                    }
                    full = true;
                }
                Ok((stream, _)) => {
                    full = false;
                    connections.spawn(serving.clone().serve(stream));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end make room.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // Who comes now is refused by the system at once, and tries another replica.
        drop(listener);
        let at_least = Duration::from_secs_f64(connections.len() as f64 / GO_AT_MOST_IN_A_SECOND);
        drain.send_replace(Some(at_least.min(settings.drain.saturating_sub(LAST_WORDS))));
        let all = async { while connections.join_next().await.is_some() {} };
        if timeout(settings.drain, all).await.is_err() {
            tracing::warn!("{} connections did not end within {:?} and are cut", connections.len(), settings.drain);
        }
    }
}
