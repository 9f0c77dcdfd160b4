//! The gRPC methods: ADS in both dialects, and the per-type services, by path.
//!
//! Each stream is a task of its own; its responses are a body of encoded bytes.

use std::{convert::Infallible, sync::Arc};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use tonic::Status;

use super::{
    Clients, Metrics, Settings, Shared,
    admission::Admission,
    link::{Link, Wish},
    session::{Dialect, Session},
    slot::slot,
    stream::{ResponseBody, Stream, not_ready},
};
use crate::{publish::Publish, resources::ResourceType};

/// What every method works with.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub publish: Arc<Publish>,
    pub clients: Arc<Clients>,
    pub metrics: Metrics,
    pub shared: Arc<Shared>,
    pub admission: Arc<Admission>,
    pub settings: Arc<Settings>,
}

impl Service {
    /// Every method by its path.
    pub fn methods(self) -> Router {
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
        // Everything that speaks gRPC understands this; a plain 404 is left to each to interpret.
        let unserved = |uri: http::Uri| async move {
            tonic::Status::unimplemented(format!("`{}` is no method of this control plane", uri.path()))
                .into_http::<Body>()
        };
        router.fallback(unserved).with_state(self)
    }

    fn begin(&self, dialect: Dialect, only: Option<ResourceType>, request: http::Request<Body>) -> Response {
        if let Some(refusal) = refusal(request.headers()) {
            return refusal;
        }
        let link = request.extensions().get::<Arc<Link>>().cloned().unwrap_or_default();
        if self.publish.grouping().borrow().is_none() {
            self.metrics.refused.inc();
            // Another replica may know everything.
            link.wish(Wish::Leave);
            return not_ready().into_http();
        }
        let (responses, receiver) = slot();
        let stream = Stream {
            session: Session::new(dialect, self.shared.clone()),
            responses,
            only,
            publish: self.publish.clone(),
            clients: self.clients.clone(),
            metrics: self.metrics.clone(),
            settings: self.settings.clone(),
            link,
        };
        let open = OpenStream::count(&self.metrics);
        let admission = self.admission.clone();
        tokio::spawn(async move {
            let _open = open;
            Box::pin(stream.run(request.into_body(), admission)).await;
        });
        let mut response = Response::new(Body::new(ResponseBody::new(receiver)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// What is said to a request that is no gRPC, or not as it is understood here.
fn refusal(headers: &http::HeaderMap) -> Option<Response> {
    let is = |name: &str, what: fn(&[u8]) -> bool| headers.get(name).map(|value| what(value.as_bytes()));
    if is("content-type", |value| value.starts_with(b"application/grpc")) != Some(true) {
        let mut response = Response::new(Body::from("this is gRPC: the content-type is application/grpc\n"));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    if is("grpc-encoding", |value| value == b"identity") == Some(false) {
        let mut response = Status::unimplemented("requests are taken uncompressed").into_http::<Body>();
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        return Some(response);
    }
    None
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
        ResourceType::Secret => ("envoy.service.secret.v3.SecretDiscoveryService", "Secrets"),
        ResourceType::Listener => ("envoy.service.listener.v3.ListenerDiscoveryService", "Listeners"),
        ResourceType::Route => ("envoy.service.route.v3.RouteDiscoveryService", "Routes"),
    }
}
