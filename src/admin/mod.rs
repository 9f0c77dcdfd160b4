//! The admin HTTP API: health, readiness, metrics, and what the control plane knows, as JSON.
//!
//! Everything is read from values that others publish: the status of the control loop, the registry of clients, the
//! snapshots of the groups. One thing can be asked for: that a held removal goes.

mod api;
mod guard;
mod openapi;

use std::{future::Future, sync::Arc, time::SystemTime};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::GuardSettings,
    control::{Readiness, Releaser, Status},
    publish::Publish,
    xds::Clients,
};

/// What the API reads.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The control loop's latest status.
    pub status: watch::Receiver<Arc<Status>>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// What each group is served.
    pub publish: Arc<Publish>,
    /// Lets held removals go.
    pub releaser: Releaser,
    /// When a removal is held.
    pub guard: GuardSettings,
    /// Every metric of the process.
    pub registry: Arc<Registry>,
    /// The process is ending: it takes no more proxies.
    pub draining: CancellationToken,
}

impl Admin {
    /// Answers requests until `shutdown` returns.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        axum::serve(listener, self.router()).with_graceful_shutdown(shutdown).await
    }

    fn router(self) -> Router {
        Router::new()
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .merge(api::routes())
            .merge(guard::routes())
            .route("/api/v1/openapi.json", get(openapi::document))
            .with_state(self)
    }

    fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }
}

/// 200 once every source has synced, until the process ends; the text names every problem, of which a reload may have left some while the
/// last good content is served.
async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: stopping\n").into_response();
    }
    let status = admin.status();
    match &status.readiness {
        Readiness::WaitingFor(waiting) => {
            let text = format!("not ready: waiting for {}\n", waiting.join(", "));
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
        Readiness::Ready if status.problems.is_empty() => "ready\n".into_response(),
        Readiness::Ready => {
            let problems: String = status.problems.iter().map(|problem| format!("  {problem}\n")).collect();
            format!("ready; problems with what was read last (the last good content is served where one is an error):\n{problems}")
                .into_response()
        }
    }
}

/// As people and programs read it: in UTC, to the second.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

async fn metrics(State(admin): State<Admin>) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &admin.registry) {
        Ok(()) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("encoding metrics: {error}\n")).into_response(),
    }
}
