//! The real server, and clients that reject: what three of them reject is kept from those who come later, its neighbours
//! flow on, the problem is told at the line that made it, and ends with its correction.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use chancery::{
    proto::{
        envoy::{
            config::{cluster::v3::Cluster, core::v3::Node, route::v3::RouteConfiguration},
            service::discovery::v3::{
                DeltaDiscoveryRequest, DeltaDiscoveryResponse,
                aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
            },
        },
        google,
    },
    resources::ResourceType,
};
use prost::Message;
use serde_json::Value;
use support::{chancery::ControlPlane, eventually, free_port, http};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

const SERVICES: &str = "services:
  - name: orders
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.0.1 } ]
  - name: users
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.0.2 } ]
";

/// A policy for each of the two, by the seconds of their timeouts.
fn policies(orders: u32, users: u32) -> String {
    let policy = |name: &str, seconds: u32| {
        format!(
            "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\nspec:\n  target: {{ \
             service: {name} }}\n  timeout: {seconds}s\n  connectionPool: {{ tcp: {{ connectTimeout: {seconds}s }} }}\n"
        )
    };
    format!("{}---\n{}", policy("orders", orders), policy("users", users))
}

/// How a client rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taste {
    /// It takes everything.
    Anything,
    /// It applies nothing of what has this timeout in it, and says what it was; of routes it does not say that.
    Not(i64),
}

/// What a client has, and has seen.
#[derive(Debug, Default)]
struct Has {
    clusters: BTreeMap<String, i64>,
    hosts: BTreeMap<String, i64>,
    rejected: u32,
}

/// A sidecar, as far as the control plane can tell.
struct Client {
    has: Arc<Mutex<Has>>,
    task: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn seconds(duration: Option<&google::protobuf::Duration>) -> i64 {
    duration.map_or(0, |duration| duration.seconds)
}

impl Client {
    async fn connect(plane: &ControlPlane, id: &str, taste: Taste) -> Self {
        let address = format!("http://127.0.0.1:{}", plane.xds_port);
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        let (sender, receiver) = mpsc::channel(16);
        let ask = |resource_type: ResourceType, names: &[&str]| DeltaDiscoveryRequest {
            node: Some(Node { id: id.into(), cluster: "caller".into(), ..Default::default() }),
            type_url: resource_type.type_url().into(),
            resource_names_subscribe: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        sender.send(ask(ResourceType::Cluster, &[])).await.unwrap();
        sender.send(ask(ResourceType::Route, &["outbound"])).await.unwrap();
        let mut grpc = AggregatedDiscoveryServiceClient::new(channel);
        let mut responses = grpc.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        let has = Arc::new(Mutex::new(Has::default()));
        let own = has.clone();
        let task = tokio::spawn(async move {
            while let Ok(Some(response)) = responses.message().await {
                let error = own.lock().unwrap().take(&response, taste);
                let answer = DeltaDiscoveryRequest {
                    type_url: response.type_url,
                    response_nonce: response.nonce,
                    error_detail: error.map(|message| google::rpc::Status { code: 13, message, ..Default::default() }),
                    ..Default::default()
                };
                if sender.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Self { has, task }
    }

    /// Waits until it has this.
    async fn has(&self, what: &str, orders: i64, users: i64) {
        let wanted = BTreeMap::from([("orders:80".to_owned(), orders), ("users:80".to_owned(), users)]);
        let mut last = String::new();
        let asked = eventually(what, async || {
            let has = self.has.lock().unwrap();
            last = format!("{has:?}");
            (has.clusters == wanted && has.hosts == wanted).then_some(())
        });
        asked.await;
    }

    fn rejected(&self) -> u32 {
        self.has.lock().unwrap().rejected
    }
}

impl Has {
    /// Applies a response, or says why not.
    fn take(&mut self, response: &DeltaDiscoveryResponse, taste: Taste) -> Option<String> {
        let bodies = response.resources.iter().filter_map(|resource| resource.resource.as_ref());
        let hated = |seconds: i64| matches!(taste, Taste::Not(hated) if hated == seconds);
        if response.type_url == ResourceType::Cluster.type_url() {
            let clusters: Vec<Cluster> = bodies.map(|body| Cluster::decode(body.value.clone()).unwrap()).collect();
            let timeout = |cluster: &Cluster| seconds(cluster.connect_timeout.as_ref());
            if let Some(bad) = clusters.iter().find(|cluster| hated(timeout(cluster))) {
                self.rejected += 1;
                return Some(format!(
                    "goo.gle/debugproto  \nname: \"{}\"\n: Proto constraint validation failed",
                    bad.name
                ));
            }
            let services = clusters.iter().filter(|cluster| cluster.name.ends_with(":80"));
            self.clusters.extend(services.map(|cluster| (cluster.name.clone(), timeout(cluster))));
            self.clusters.retain(|name, _| !response.removed_resources.contains(name));
        } else {
            for body in bodies {
                let routes = RouteConfiguration::decode(body.value.clone()).unwrap();
                let hosts = routes.virtual_hosts.iter().filter(|host| host.name.ends_with(":80"));
                let timeout = |host: &chancery::proto::envoy::config::route::v3::VirtualHost| {
                    let action = host.routes.last().and_then(|route| route.action.clone());
                    match action {
                        Some(chancery::proto::envoy::config::route::v3::route::Action::Route(action)) => {
                            seconds(action.timeout.as_ref())
                        }
                        _ => 0,
                    }
                };
                let hosts: BTreeMap<String, i64> = hosts.map(|host| (host.name.clone(), timeout(host))).collect();
                if hosts.values().any(|seconds| hated(*seconds)) {
                    self.rejected += 1;
                    return Some("no".into());
                }
                self.hosts = hosts;
            }
        }
        None
    }
}

/// What is rejected: type, name, whether quarantined, how many, where it is written.
async fn rejections(plane: &ControlPlane) -> Vec<(String, String, bool, u64, String)> {
    let answer = plane.get_json("/api/v1/rejections").await;
    let shown = |rejection: &Value| {
        let host = rejection["virtualHost"].as_str();
        let document = &rejection["documents"][0];
        (
            rejection["type"].as_str().unwrap().to_owned(),
            host.unwrap_or_else(|| rejection["resource"].as_str().unwrap()).to_owned(),
            rejection["quarantined"].as_bool().unwrap(),
            rejection["count"].as_u64().unwrap(),
            format!("{}:{}", document["file"].as_str().unwrap_or("nobody"), document["line"]),
        )
    };
    answer["rejections"].as_array().unwrap().iter().map(shown).collect()
}

/// Both services change at once, and one of them is bad for these, as a cluster and as a virtual host.
async fn rejecting_clients(plane: &ControlPlane, called: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for number in 1..=count {
        clients.push(Client::connect(plane, &format!("{called}-{number}"), Taste::Not(7)).await);
    }
    for client in &clients {
        client.has("the first state", 5, 5).await;
    }
    plane.write_policies(&policies(7, 6));
    for client in &clients {
        client.has("what was sent beside it", 5, 6).await;
    }
    clients
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_reject_is_kept_from_the_rest_until_it_is_corrected() {
    let plane = ControlPlane::start(SERVICES, &policies(5, 5), free_port()).await;
    let mut clients = rejecting_clients(&plane, "caller", 3).await;
    let known = eventually("both are quarantined", async || {
        let known = rejections(&plane).await;
        (known.len() == 2 && known.iter().all(|(_, _, quarantined, ..)| *quarantined)).then_some(known)
    })
    .await;
    let file = plane.path("policies/policies.yaml").display().to_string();
    for (found, resource_type) in known.iter().zip(["clusters", "routes"]) {
        let (of, name, quarantined, count, place) = found;
        assert_eq!((of.as_str(), name.as_str(), *quarantined, *count), (resource_type, "orders:80", true, 3));
        assert_eq!(*place, format!("{file}:1"), "at the policy of orders");
    }
    assert_eq!(plane.metric("chancery_control_quarantined_resources").await, 2);
    let readyz = http::get(&plane.admin(), "/readyz").await.unwrap();
    assert_eq!(readyz.status, 200);
    assert!(readyz.body.contains("proxies reject cluster orders:80"), "{}", readyz.body);
    assert!(readyz.body.contains("Proto constraint validation failed"), "{}", readyz.body);
    assert!(readyz.body.contains("rejected by 3 proxies (caller-1, caller-2, caller-3)"), "{}", readyz.body);
    assert!(plane.log().contains("proxies reject virtual host orders:80 of `outbound`"), "{}", plane.log());

    // Those who come later are not troubled, whether they would take it or not.
    for (id, taste) in [("late-1", Taste::Not(7)), ("late-2", Taste::Anything)] {
        let late = Client::connect(&plane, id, taste).await;
        late.has("the last good state", 5, 6).await;
        assert_eq!(late.rejected(), 0);
        clients.push(late);
    }

    // A sibling goes on for all; nobody is asked about the bad one again.
    let before: Vec<u32> = clients.iter().map(Client::rejected).collect();
    plane.write_policies(&policies(7, 8));
    for client in &clients {
        client.has("a change of the sibling", 5, 8).await;
    }
    assert_eq!(clients.iter().map(Client::rejected).collect::<Vec<_>>(), before);

    plane.write_policies(&policies(9, 8));
    for client in &clients {
        client.has("the correction", 9, 8).await;
    }
    eventually("it is over", async || rejections(&plane).await.is_empty().then_some(())).await;
    assert_eq!(plane.metric("chancery_control_quarantined_resources").await, 0);
    assert!(plane.log().contains("solved: proxies reject cluster orders:80"), "{}", plane.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_do_not_decide_and_one_who_accepts_does() {
    let plane = ControlPlane::start(SERVICES, &policies(5, 5), free_port()).await;
    let mut odd = rejecting_clients(&plane, "odd", 2).await;
    let known =
        eventually("it is told", async || Some(rejections(&plane).await).filter(|known| known.len() == 2)).await;
    assert!(known.iter().all(|(_, _, quarantined, ..)| !quarantined));
    // The next one is offered it, and takes it; from then on it is good, however many reject it.
    let good = Client::connect(&plane, "good", Taste::Anything).await;
    good.has("what is wanted", 7, 6).await;
    eventually("the doubt is over", async || rejections(&plane).await.is_empty().then_some(())).await;
    for number in 3..=5 {
        let client = Client::connect(&plane, &format!("odd-{number}"), Taste::Not(7)).await;
        eventually("it rejects", async || (client.rejected() >= 2).then_some(())).await;
        odd.push(client);
    }
    let late = Client::connect(&plane, "late", Taste::Anything).await;
    late.has("what is wanted", 7, 6).await;
    good.has("what is wanted", 7, 6).await;
}
