//! The gRPC methods: ADS in both dialects, and the per-type services, by path.
//!
//! Each stream is a task of its own; its responses are a body of encoded bytes.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use rand_jitter::jittered;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{
    Clients, Metrics, Settings, Shared,
    request::RequestDecoder,
    session::{Dialect, Session},
    stream::{Outgoing, ResponseBody, Stream, not_ready},
};
use crate::{publish::Publish, resources::ResourceType};

/// What every method works with.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub publish: Arc<Publish>,
    pub clients: Arc<Clients>,
    pub metrics: Metrics,
    pub shared: Arc<Shared>,
    pub settings: Settings,
    pub shutdown: CancellationToken,
}

impl Service {
    /// Every method by its path.
    pub fn routes(self) -> Router {
        let mut router = Router::new();
        let ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
        let mut methods = vec![
            (format!("{ads}/DeltaAggregatedResources"), Dialect::Delta, None),
            (format!("{ads}/StreamAggregatedResources"), Dialect::Sotw, None),
        ];
        for resource_type in ResourceType::ALL {
            let (service, what) = service_of(resource_type);
            methods.push((format!("/{service}/Delta{what}"), Dialect::Delta, Some(resource_type)));
            methods.push((format!("/{service}/Stream{what}"), Dialect::Sotw, Some(resource_type)));
        }
        for (path, dialect, only) in methods {
            let handler = move |State(service): State<Self>, request: http::Request<Body>| async move {
                Ok::<_, Infallible>(service.begin(dialect, only, request))
            };
            router = router.route(&path, post(handler));
        }
        router.with_state(self)
    }

    fn begin(&self, dialect: Dialect, only: Option<ResourceType>, request: http::Request<Body>) -> Response {
        if self.publish.grouping().borrow().is_none() {
            self.metrics.refused.inc();
            return not_ready().into_http();
        }
        let (responses, receiver) = mpsc::channel::<Outgoing>(1);
        let requests = Streaming::new_request(
            RequestDecoder(dialect),
            request.into_body(),
            None,
            Some(self.settings.largest_request),
        );
        let stream = Stream {
            session: Session::new(dialect, self.shared.clone()),
            requests,
            responses,
            only,
            publish: self.publish.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            shutdown: self.shutdown.clone(),
            ends_at: Instant::now() + jittered(self.settings.stream_age),
        };
        let open = OpenStream::count(&self.metrics);
        tokio::spawn(async move {
            let _open = open;
            Box::pin(stream.run()).await;
        });
        let mut response = Response::new(Body::new(ResponseBody::new(receiver)));
        let content_type = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        response
    }
}

/// A life span within a fifth of the one given, so that streams that began together do not end together.
mod rand_jitter {
    use std::{
        hash::{BuildHasher, RandomState},
        time::Duration,
    };

    pub fn jittered(around: Duration) -> Duration {
        let random = RandomState::new().hash_one(()) % 1000;
        around.mul_f64(0.8 + 0.4 * random as f64 / 1000.0)
    }
}

/// Counts a stream for as long as it lives.
struct OpenStream(Metrics);

impl OpenStream {
    fn count(metrics: &Metrics) -> Self {
        metrics.streams.inc();
        Self(metrics.clone())
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.streams.dec();
    }
}

fn service_of(resource_type: ResourceType) -> (&'static str, &'static str) {
    match resource_type {
        ResourceType::Cluster => ("envoy.service.cluster.v3.ClusterDiscoveryService", "Clusters"),
        ResourceType::Endpoints => ("envoy.service.endpoint.v3.EndpointDiscoveryService", "Endpoints"),
        ResourceType::Listener => ("envoy.service.listener.v3.ListenerDiscoveryService", "Listeners"),
        ResourceType::Route => ("envoy.service.route.v3.RouteDiscoveryService", "Routes"),
    }
}
