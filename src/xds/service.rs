//! The gRPC methods: ADS in both dialects, and the per-type services, by path.
//!
//! Requests are decoded with the node left as bytes; responses are bodies of encoded bytes.

use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use axum::{Router, body::Body, extract::State, response::Response, routing::post};
use bytes::{Buf, Bytes};
use prost::Message;
use rand_jitter::jittered;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    codec::{DecodeBuf, Decoder},
};

use super::{
    Clients, Metrics, Settings, Shared,
    session::{Ask, Dialect, Request, Session},
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

/// A request of either dialect, its node still bytes.
#[derive(Debug)]
pub(super) struct Incoming {
    pub node: Bytes,
    pub type_url: String,
    request: Request,
}

impl Incoming {
    pub fn into_request(self) -> Request {
        self.request
    }
}

/// `DeltaDiscoveryRequest`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct DeltaFields {
    #[prost(bytes = "bytes", tag = "1")]
    node: Bytes,
    #[prost(string, tag = "2")]
    type_url: String,
    #[prost(string, repeated, tag = "3")]
    resource_names_subscribe: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    resource_names_unsubscribe: Vec<String>,
    #[prost(btree_map = "string, string", tag = "5")]
    initial_resource_versions: BTreeMap<String, String>,
    #[prost(string, tag = "6")]
    response_nonce: String,
    #[prost(message, optional, tag = "7")]
    error_detail: Option<crate::proto::google::rpc::Status>,
}

/// `DiscoveryRequest`, as far as it is read.
#[derive(Clone, PartialEq, Message)]
struct SotwFields {
    #[prost(string, tag = "1")]
    version_info: String,
    #[prost(bytes = "bytes", tag = "2")]
    node: Bytes,
    #[prost(string, repeated, tag = "3")]
    resource_names: Vec<String>,
    #[prost(string, tag = "4")]
    type_url: String,
    #[prost(string, tag = "5")]
    response_nonce: String,
    #[prost(message, optional, tag = "6")]
    error_detail: Option<crate::proto::google::rpc::Status>,
}

#[derive(Debug)]
struct RequestDecoder(Dialect);

impl Decoder for RequestDecoder {
    type Item = Incoming;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Incoming>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        let malformed =
            |error: prost::DecodeError| Status::invalid_argument(format!("not a discovery request: {error}"));
        let incoming = match self.0 {
            Dialect::Delta => DeltaFields::decode(bytes).map_err(malformed)?.into(),
            Dialect::Sotw => SotwFields::decode(bytes).map_err(malformed)?.into(),
        };
        Ok(Some(incoming))
    }
}

impl From<DeltaFields> for Incoming {
    fn from(fields: DeltaFields) -> Self {
        let DeltaFields {
            node,
            type_url,
            resource_names_subscribe,
            resource_names_unsubscribe,
            initial_resource_versions,
            response_nonce,
            error_detail,
        } = fields;
        let ask = Ask::Delta {
            subscribe: resource_names_subscribe,
            unsubscribe: resource_names_unsubscribe,
            initial_versions: initial_resource_versions,
        };
        let error = error_detail.map(|status| status.message);
        Self { node, type_url, request: Request { nonce: response_nonce, error, ask } }
    }
}

impl From<SotwFields> for Incoming {
    fn from(fields: SotwFields) -> Self {
        let SotwFields { version_info, node, resource_names, type_url, response_nonce, error_detail } = fields;
        let ask = Ask::Sotw { names: resource_names, version: version_info };
        let error = error_detail.map(|status| status.message);
        Self { node, type_url, request: Request { nonce: response_nonce, error, ask } }
    }
}
