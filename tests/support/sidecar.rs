//! A client that behaves as Envoy's delta ADS does, and keeps account of what it is sent: over the wire, so that what it
//! holds can be carried from one server to another, or through a restart.

use std::collections::{BTreeMap, BTreeSet};

use chancery::{
    proto::envoy::{
        config::core::v3::Node,
        service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
    },
    resources::ResourceType,
};
use tokio::{
    sync::mpsc,
    time::{Duration, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

/// Versions by name, for each type.
pub type Held = BTreeMap<ResourceType, BTreeMap<String, String>>;

/// A client, between connections and in them.
#[derive(Debug, Default)]
pub struct Sidecar {
    /// What it was sent last.
    pub held: Held,
    stream: Option<(mpsc::Sender<DeltaDiscoveryRequest>, Streaming<DeltaDiscoveryResponse>)>,
}

/// What came in a while: names, those removed with a `-`.
pub type Heard = BTreeMap<ResourceType, BTreeSet<String>>;

impl Sidecar {
    /// Connects with what it holds, as Envoy does on a new stream, and answers until there is no more to come.
    pub async fn connect(&mut self, port: u16) -> Heard {
        let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
        let (sender, receiver) = mpsc::channel(64);
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let node = Node { id: "sidecar-1".into(), cluster: "shop".into(), ..Default::default() };
        for resource_type in ResourceType::ALL {
            let held = self.held.get(&resource_type).cloned().unwrap_or_default();
            let wildcard = matches!(resource_type, ResourceType::Cluster | ResourceType::Listener);
            let mut subscribe: Vec<String> = if wildcard { Vec::new() } else { held.keys().cloned().collect() };
            if resource_type == ResourceType::Route {
                subscribe = vec!["outbound".into()];
            }
            let request = DeltaDiscoveryRequest {
                node: Some(node.clone()),
                type_url: resource_type.type_url().into(),
                resource_names_subscribe: subscribe,
                initial_resource_versions: held.into_iter().collect(),
                ..Default::default()
            };
            sender.send(request).await.unwrap();
        }
        let responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap();
        self.stream = Some((sender, responses.into_inner()));
        self.listen().await
    }

    /// Takes and acknowledges what comes, until there is no more: names that do not exist are asked for. Once a route is
    /// said not to be, and that was acknowledged, nothing keeps back removals any more; they come last, and may be
    /// overtaken by what is asked together with that, but not by what is asked once that was answered.
    pub async fn listen(&mut self) -> Heard {
        let mut heard = Heard::new();
        let barriers = [
            (ResourceType::Route, "no-such-configuration"),
            (ResourceType::Secret, "no-such-secret"),
            (ResourceType::Secret, "nor-this-one"),
        ];
        for (resource_type, barrier) in barriers {
            self.ask(resource_type, &[barrier.to_owned()]).await;
            while !self.take(&mut heard).await.contains(barrier) {}
        }
        heard
    }

    async fn ask(&mut self, resource_type: ResourceType, subscribe: &[String]) {
        let request = DeltaDiscoveryRequest {
            type_url: resource_type.type_url().into(),
            resource_names_subscribe: subscribe.to_vec(),
            ..Default::default()
        };
        self.stream.as_ref().unwrap().0.send(request).await.unwrap();
    }

    /// Returns the names that the response says do not exist.
    async fn take(&mut self, heard: &mut Heard) -> BTreeSet<String> {
        let (requests, responses) = self.stream.as_mut().unwrap();
        let response = timeout(Duration::from_secs(20), responses.message()).await.expect("in time").unwrap();
        let DeltaDiscoveryResponse { type_url, nonce, resources, removed_resources, .. } = response.expect("more");
        let resource_type = ResourceType::from_type_url(&type_url).unwrap();
        let held = self.held.entry(resource_type).or_default();
        let mut new = Vec::new();
        for resource in resources {
            heard.entry(resource_type).or_default().insert(resource.name.clone());
            if held.insert(resource.name.clone(), resource.version).is_none() {
                new.push(resource.name);
            }
        }
        for name in &removed_resources {
            if held.remove(name).is_some() {
                heard.entry(resource_type).or_default().insert(format!("-{name}"));
            }
        }
        let ack = DeltaDiscoveryRequest { type_url: type_url.clone(), response_nonce: nonce, ..Default::default() };
        requests.send(ack).await.unwrap();
        if resource_type == ResourceType::Cluster && !new.is_empty() {
            self.ask(ResourceType::Endpoints, &new).await;
        }
        removed_resources.into_iter().collect()
    }
}
