//! The gRPC methods: ADS in both dialects, and the per-type services, by path.

use std::{collections::BTreeMap, sync::Arc};

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE},
};
use hyper::body::Incoming as Frames;
use tokio::sync::oneshot;
use tonic::Status;

use super::{
    Clients, Metrics, Settings, Shared,
    admission::Admission,
    beginning::Beginning,
    body::{Answer, Responses},
    link::{Link, Wish},
    metrics::Counted,
    place::not_ready,
    session::Dialect,
};
use crate::{
    publish::{Bell, Publish},
    resources::ResourceType,
};

/// What every stream works with.
#[derive(Debug)]
pub(super) struct Service {
    pub publish: Arc<Publish>,
    pub clients: Arc<Clients>,
    pub metrics: Metrics,
    pub shared: Arc<Shared>,
    pub admission: Admission,
}

/// The methods there are.
#[derive(Debug)]
pub(super) struct Methods {
    service: Arc<Service>,
    by_path: BTreeMap<String, (Dialect, Option<ResourceType>)>,
}

impl Methods {
    /// For the server.
    pub fn new(publish: Arc<Publish>, clients: Arc<Clients>, metrics: Metrics, settings: &Arc<Settings>) -> Self {
        let shared = Arc::new(Shared::of(settings.identity.clone()));
        let admission = Admission::new(settings.clone(), metrics.clone());
        let ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
        let mut by_path = BTreeMap::from([
            (format!("{ads}/DeltaAggregatedResources"), (Dialect::Delta, None)),
            (format!("{ads}/StreamAggregatedResources"), (Dialect::Sotw, None)),
        ]);
        for resource_type in ResourceType::ALL {
            let (service, what) = service_of(resource_type);
            by_path.insert(format!("/{service}/Delta{what}"), (Dialect::Delta, Some(resource_type)));
            by_path.insert(format!("/{service}/Stream{what}"), (Dialect::Sotw, Some(resource_type)));
        }
        Self { service: Arc::new(Service { publish, clients, metrics, shared, admission }), by_path }
    }

    /// Answers a request that came over the connection with that link.
    pub fn answer(&self, request: Request<Frames>, link: &Arc<Link>) -> Response<Answer> {
        let path = request.uri().path();
        let Some((dialect, only)) = self.by_path.get(path) else {
            // Everything that speaks gRPC understands this; a plain 404 is left to each to interpret.
            return Status::unimplemented(format!("`{path}` is no method of this control plane")).into_http();
        };
        if let Some(refusal) = refusal(request.method(), request.headers()) {
            return refusal;
        }
        let Service { publish, metrics, .. } = &*self.service;
        if publish.grouping().borrow().is_none() {
            metrics.refused.inc();
            // Another replica may know everything.
            link.wish(Wish::Leave);
            return not_ready().into_http();
        }
        let (service, bell) = (self.service.clone(), Arc::new(Bell::default()));
        let beginning = Beginning { service, dialect: *dialect, only: *only, link: link.clone(), bell: bell.clone() };
        let (outcome, stream) = oneshot::channel();
        let responses = Responses::new(stream, bell, link.clone(), Counted::by(&metrics.streams));
        tokio::spawn(beginning.run(request.into_body(), outcome));
        let mut response = Response::new(Answer::Responses(responses));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
    }
}

/// What is said to a request that is no gRPC, or not as it is understood here.
fn refusal(method: &Method, headers: &HeaderMap) -> Option<Response<Answer>> {
    if method != Method::POST {
        let mut response = Response::new(Answer::Said(None));
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return Some(response);
    }
    let is = |name: &str, what: fn(&[u8]) -> bool| headers.get(name).map(|value| what(value.as_bytes()));
    if is("content-type", |value| value.starts_with(b"application/grpc")) != Some(true) {
        let text = "this is gRPC: the content-type is application/grpc\n";
        let mut response = Response::new(Answer::Said(Some(text.into())));
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Some(response);
    }
    if is("grpc-encoding", |value| value == b"identity") == Some(false) {
        let mut response = Status::unimplemented("requests are taken uncompressed").into_http::<Answer>();
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static("identity"));
        return Some(response);
    }
    None
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
