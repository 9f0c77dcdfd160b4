//! The real server of streams in this process, of which a test is the control loop.

use std::{sync::Arc, time::Duration};

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
use tonic::{Streaming, transport::Channel};

pub const SOON: Duration = Duration::from_secs(10);

/// A server with one group, of which the tests are the control loop.
pub struct Scene {
    pub publish: Arc<Publish>,
    pub clients: Arc<Clients>,
    pub metrics: Metrics,
    pub shutdown: CancellationToken,
    pub address: String,
    pub server: JoinHandle<()>,
}

impl Scene {
    pub async fn start(settings: Settings) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (publish, clients) = (Arc::new(Publish::default()), Arc::new(Clients::default()));
        let (metrics, shutdown) = (Metrics::default(), CancellationToken::new());
        let server = Server {
            settings,
            publish: publish.clone(),
            clients: clients.clone(),
            metrics: metrics.clone(),
            tls: None,
        };
        let server = tokio::spawn(server.serve(listener, shutdown.clone()));
        Self { publish, clients, metrics, shutdown, address, server }
    }

    /// A server that knows everything, as it is set up by default.
    pub async fn ready() -> Self {
        Self::ready_with(Settings::default()).await
    }

    pub async fn ready_with(settings: Settings) -> Self {
        let scene = Self::start(settings).await;
        scene.publish.set_grouping(Arc::new(Grouping::default()));
        scene
    }

    /// Publishes, as often as somebody new asks.
    pub fn serve(&self, snapshot: Snapshot) -> JoinHandle<()> {
        let (publish, snapshot) = (self.publish.clone(), Arc::new(snapshot));
        publish.publish(&NodeGroup::default(), snapshot.clone());
        tokio::spawn(async move {
            loop {
                publish.wanted().await;
                publish.publish(&NodeGroup::default(), snapshot.clone());
            }
        })
    }

    pub async fn client(&self) -> AggregatedDiscoveryServiceClient<Channel> {
        let channel = Channel::from_shared(self.address.clone()).unwrap().connect().await.unwrap();
        AggregatedDiscoveryServiceClient::new(channel)
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX)
    }

    pub async fn delta(
        &self,
        first: DeltaDiscoveryRequest,
    ) -> Result<(mpsc::Sender<DeltaDiscoveryRequest>, Streaming<DeltaDiscoveryResponse>), tonic::Status> {
        let (sender, receiver) = mpsc::channel(8);
        sender.send(first).await.unwrap();
        let responses = self.client().await.delta_aggregated_resources(ReceiverStream::new(receiver)).await?;
        Ok((sender, responses.into_inner()))
    }
}

pub fn node(id: &str) -> Option<Node> {
    Some(Node { id: id.into(), cluster: "test".into(), ..Default::default() })
}

pub fn ask(id: &str, resource_type: ResourceType, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: node(id),
        type_url: resource_type.type_url().into(),
        resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Default::default()
    }
}

pub fn clusters(names: impl IntoIterator<Item = String>, content: &str) -> Snapshot {
    let set: ResourceSet = names
        .into_iter()
        .map(|name| {
            let body = ClusterLoadAssignment { cluster_name: content.into(), ..Default::default() };
            Resource::encode(ResourceType::Cluster, ResourceName::new(name), &body)
        })
        .collect();
    let set = Arc::new(set);
    Snapshot::new(PerType::from_fn(|resource_type| match resource_type {
        ResourceType::Cluster => set.clone(),
        _ => Arc::default(),
    }))
}

pub async fn next(responses: &mut Streaming<DeltaDiscoveryResponse>) -> DeltaDiscoveryResponse {
    timeout(SOON, responses.message()).await.expect("an answer in time").unwrap().expect("a response")
}
