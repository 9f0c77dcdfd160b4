//! Clients that speak delta as the test wants, and snapshots for them.

use std::{collections::BTreeMap, sync::Arc};

use chancery::{
    model::{Grouping, ResourceName},
    proto::envoy::{
        config::endpoint::v3::ClusterLoadAssignment,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
    },
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
    xds::Settings,
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::scene::{SOON, Scene, node};

/// A server that serves everybody this until it is told otherwise.
pub async fn serving(snapshot: Snapshot) -> Scene {
    let scene = Scene::ready().await;
    drop(scene.serve(snapshot));
    scene
}

/// A server that waits to be given what to serve to each of its groups.
pub async fn grouped(grouping: Grouping) -> Scene {
    let scene = Scene::start(Settings::default()).await;
    scene.publish.set_grouping(Arc::new(grouping));
    scene
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
