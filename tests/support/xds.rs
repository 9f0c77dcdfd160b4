//! The real xDS server within the test, with one group, of which the test is the control loop; and clients that speak
//! as the test wants.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chancery::{
    model::{Grouping, NodeGroup, ResourceName},
    proto::envoy::{
        config::{core::v3::Node, endpoint::v3::ClusterLoadAssignment},
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
    },
    publish::Publish,
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
    xds::{Clients, Metrics, Server, Settings},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming, transport::Channel};

/// Far beyond what anything here takes.
pub const SOON: Duration = Duration::from_secs(20);

/// A server, and what it works with.
pub struct Scene {
    pub publish: Arc<Publish>,
    pub clients: Arc<Clients>,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
    pub address: String,
    pub server: JoinHandle<()>,
}

impl Scene {
    /// That serves everybody the same.
    pub async fn serving(snapshot: Snapshot) -> Self {
        let scene = Self::grouped(Grouping::default()).await;
        let (publish, snapshot) = (scene.publish.clone(), Arc::new(snapshot));
        tokio::spawn(async move {
            loop {
                for group in publish.watched_groups() {
                    if publish.latest(&group).is_none() {
                        publish.publish(&group, snapshot.clone());
                    }
                }
                publish.wanted().await;
            }
        });
        scene
    }

    /// That waits to be given what to serve.
    pub async fn grouped(grouping: Grouping) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (publish, clients) = (Arc::new(Publish::default()), Arc::new(Clients::default()));
        let (metrics, shutdown) = (Metrics::default(), CancellationToken::new());
        let server = Server {
            settings: Settings::default(),
            publish: publish.clone(),
            clients: clients.clone(),
            metrics: metrics.clone(),
            tls: None,
        };
        publish.set_grouping(Arc::new(grouping));
        let server = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self { publish, clients, metrics, shutdown, address, server }
    }

    /// Everybody's next snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        self.publish.publish(&NodeGroup::default(), Arc::new(snapshot));
    }

    pub async fn connect(&self) -> DeltaStream {
        DeltaStream::open(&self.address).await
    }
}

/// A delta stream on which nothing was said yet.
pub struct DeltaStream {
    pub requests: mpsc::Sender<DeltaDiscoveryRequest>,
    pub responses: Streaming<DeltaDiscoveryResponse>,
}

impl DeltaStream {
    pub async fn open(address: &str) -> Self {
        let channel = Channel::from_shared(address.to_owned()).unwrap().connect().await.unwrap();
        let mut client = AggregatedDiscoveryServiceClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        let (requests, receiver) = mpsc::channel(64);
        let responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap();
        Self { requests, responses: responses.into_inner() }
    }

    pub async fn say(&self, request: DeltaDiscoveryRequest) {
        self.requests.send(request).await.unwrap();
    }

    pub async fn next(&mut self) -> Result<DeltaDiscoveryResponse, Status> {
        let message = timeout(SOON, self.responses.message()).await.expect("an answer in time")?;
        Ok(message.expect("a response, not the end"))
    }

    /// The next response, acknowledged.
    pub async fn next_acknowledged(&mut self) -> DeltaDiscoveryResponse {
        let response = self.next().await.unwrap();
        self.say(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..Default::default()
        })
        .await;
        response
    }
}

pub fn node(id: &str) -> Option<Node> {
    Some(Node { id: id.into(), cluster: "test".into(), ..Default::default() })
}

/// A request for names, without a node.
pub fn ask(resource_type: ResourceType, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: resource_type.type_url().into(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

/// The first request of a stream.
pub fn first(id: &str, resource_type: ResourceType, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest { node: node(id), ..ask(resource_type, names) }
}

pub fn resource(resource_type: ResourceType, name: &str, content: &str) -> Resource {
    let body = ClusterLoadAssignment { cluster_name: content.into(), ..Default::default() };
    Resource::encode(resource_type, ResourceName::new(name), &body)
}

/// A snapshot of these.
pub fn snapshot(resources: impl IntoIterator<Item = (ResourceType, String, String)>) -> Snapshot {
    let mut sets: BTreeMap<ResourceType, ResourceSet> = BTreeMap::new();
    for (resource_type, name, content) in resources {
        sets.entry(resource_type).or_default().insert(resource(resource_type, &name, &content));
    }
    Snapshot::new(PerType::from_fn(|resource_type| Arc::new(sets.remove(&resource_type).unwrap_or_default())))
}
