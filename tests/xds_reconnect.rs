//! Streams that end and begin anew, over real HTTP/2: what a client says when it comes back, in any order and at any
//! size, and what the server makes of a node that says something else.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

use chancery::{
    model::{Grouping, Locality, LocalityUse, NodeGroup},
    proto::envoy::{
        config::core::v3::{Locality as ProtoLocality, Node},
        service::discovery::v3::DeltaDiscoveryRequest,
    },
    resources::ResourceType,
};
use support::{
    scene::node,
    xds::{DeltaStream, ask, first, grouped, serving, snapshot},
};
use tokio::{runtime, sync::oneshot};
use tonic::Code;

const CDS: ResourceType = ResourceType::Cluster;
const EDS: ResourceType = ResourceType::Endpoints;
const LDS: ResourceType = ResourceType::Listener;
const RDS: ResourceType = ResourceType::Route;

fn of(resource_type: ResourceType, name: &str, content: &str) -> (ResourceType, String, String) {
    (resource_type, name.into(), content.into())
}

/// One of everything.
fn small() -> impl Iterator<Item = (ResourceType, String, String)> {
    [CDS, EDS, LDS, RDS].into_iter().map(|resource_type| of(resource_type, "a", "1"))
}

fn placed(zone: &str) -> Node {
    let locality = ProtoLocality { region: "eu".into(), zone: zone.into(), ..Default::default() };
    Node { locality: Some(locality), ..node("one").unwrap() }
}

#[tokio::test]
async fn item_02_a_request_without_a_type_is_refused_on_an_aggregated_stream() {
    let scene = serving(snapshot(small())).await;
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(DeltaDiscoveryRequest { node: node("one"), ..Default::default() }).await;
    let refused = stream.next().await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("type_url"), "{refused}");
}

#[tokio::test]
async fn item_03_a_node_is_said_once_or_in_every_request() {
    let scene = serving(snapshot(small())).await;
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(first("one", CDS, &[])).await;
    stream.next_acknowledged().await;
    stream.say(ask(EDS, &["a"])).await;
    assert_eq!(stream.next_acknowledged().await.resources.len(), 1, "without a node");
    stream.say(first("one", RDS, &["a"])).await;
    assert_eq!(stream.next_acknowledged().await.resources.len(), 1, "with it");
    assert_eq!(scene.clients.len(), 1);
}

#[tokio::test]
async fn item_03_a_node_that_says_something_else_is_served_anew() {
    let scene = grouped(Grouping { locality: LocalityUse::Read, ..Grouping::default() }).await;
    let group = |zone| NodeGroup { locality: Some(Locality::new("eu", zone, "")), ..NodeGroup::default() };
    let serve = async || {
        scene.publish.wanted().await;
        for (zone, content) in [("one", "1"), ("two", "2")] {
            scene.publish.publish(&group(zone), Arc::new(snapshot([of(CDS, "a", content), of(CDS, "b", "1")])));
        }
    };
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(DeltaDiscoveryRequest { node: Some(placed("one")), ..ask(CDS, &[]) }).await;
    serve().await;
    let before = stream.next_acknowledged().await;
    assert_eq!(before.resources.len(), 2);
    // The same again changes nothing; another place does, on the request that says it.
    stream.say(DeltaDiscoveryRequest { node: Some(placed("one")), ..ask(EDS, &[]) }).await;
    stream.say(DeltaDiscoveryRequest { node: Some(placed("two")), ..ask(EDS, &[]) }).await;
    serve().await;
    let after = stream.next_acknowledged().await;
    let names: Vec<&str> = after.resources.iter().map(|resource| resource.name.as_str()).collect();
    assert_eq!(names, ["a"], "what differs, and nothing else");
    assert_eq!(scene.clients.group_of("one"), Some(group("two")));
    assert_eq!(scene.clients.len(), 1);
}

#[tokio::test]
async fn item_03_a_stream_is_one_nodes() {
    let scene = serving(snapshot(small())).await;
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(first("one", CDS, &[])).await;
    stream.next_acknowledged().await;
    stream.say(first("two", EDS, &["a"])).await;
    let refused = stream.next().await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("`one`") && refused.message().contains("`two`"), "{refused}");
}

#[tokio::test]
async fn item_04_an_old_stream_that_closes_late_takes_nothing_along() {
    let scene = serving(snapshot([of(CDS, "a", "1")])).await;
    let mut old = DeltaStream::open(&scene.address).await;
    old.say(first("one", CDS, &[])).await;
    old.next_acknowledged().await;
    let mut new = DeltaStream::open(&scene.address).await;
    new.say(first("one", CDS, &[])).await;
    new.next_acknowledged().await;
    assert_eq!(scene.clients.len(), 2);
    drop(old);
    support::eventually("the old stream is gone", async || (scene.clients.len() == 1).then_some(())).await;
    scene.publish.publish(&NodeGroup::default(), Arc::new(snapshot([of(CDS, "a", "2")])));
    assert_eq!(new.next_acknowledged().await.resources.len(), 1, "the new one goes on");
    assert_eq!(scene.clients.group_of("one"), Some(NodeGroup::default()));
}

#[tokio::test]
async fn item_07_first_requests_come_in_any_order_on_one_connection() {
    let scene = serving(snapshot(small())).await;
    let types = [(CDS, None), (EDS, Some("a")), (LDS, None), (RDS, Some("a"))];
    for rotation in 0..types.len() {
        for backwards in [false, true] {
            let mut order = types;
            order.rotate_left(rotation);
            if backwards {
                order.reverse();
            }
            let mut stream = DeltaStream::open(&scene.address).await;
            for (position, (resource_type, name)) in order.iter().enumerate() {
                let request = ask(*resource_type, name.as_slice());
                let node = (position == 0).then(|| node("one").unwrap());
                stream.say(DeltaDiscoveryRequest { node, ..request }).await;
            }
            let mut answered = BTreeSet::new();
            while answered.len() < types.len() {
                let response = stream.next_acknowledged().await;
                assert_eq!(response.resources.len(), 1, "{order:?}");
                answered.insert(response.type_url);
            }
        }
    }
}

/// Endpoints by name, as a large Envoy asks for them after a reconnect: names and versions of all, in one request.
#[tokio::test]
async fn item_09_twenty_thousand_endpoints_come_back_in_one_request_above_four_megabytes() {
    let name = |number: usize| format!("{number:05}-{}", "service-with-a-long-name".repeat(8));
    let snapshot = snapshot((0..20_000).map(|number| (EDS, name(number), "1".into())));
    let versions: BTreeMap<String, String> = snapshot
        .set(EDS)
        .iter()
        .map(|resource| (resource.name().to_string(), resource.version().to_string()))
        .collect();
    let scene = serving(snapshot).await;
    let request = DeltaDiscoveryRequest {
        resource_names_subscribe: versions.keys().cloned().collect(),
        initial_resource_versions: versions,
        ..first("large", EDS, &[])
    };
    assert!(prost::Message::encoded_len(&request) > 8 * 1024 * 1024);
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(request).await;
    let mut names = BTreeSet::new();
    while names.len() < 20_000 {
        let response = stream.next_acknowledged().await;
        assert!(prost::Message::encoded_len(&response) < 4 * 1024 * 1024);
        for resource in response.resources {
            assert!(names.insert(resource.name), "each once");
        }
    }
}

/// The server dies between the parts of one large answer; its successor goes on where it ended.
#[test]
fn item_73_a_server_that_dies_within_an_answer_is_no_loss() {
    const COUNT: usize = 60;
    let large = || snapshot((0..COUNT).map(|number| (CDS, format!("c{number:02}"), "x".repeat(200_000))));
    // A process of its own, as far as sockets and tasks are concerned: when the runtime is dropped, all end at once.
    let start = move || {
        let (address, receiver) = oneshot::channel();
        let (end, ended) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async move {
                let scene = serving(large()).await;
                address.send(scene.address.clone()).unwrap();
                let _ = ended.await;
            });
            runtime.shutdown_background();
        });
        (receiver, end, thread)
    };
    let client = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    client.block_on(async {
        let (address, end, thread) = start();
        let mut stream = DeltaStream::open(&address.await.unwrap()).await;
        stream.say(first("one", CDS, &[])).await;
        let mut held: BTreeMap<String, String> = BTreeMap::new();
        let part = stream.next().await.unwrap();
        held.extend(part.resources.into_iter().map(|resource| (resource.name, resource.version)));
        assert!(held.len() < COUNT, "a part of it");
        end.send(()).unwrap();
        thread.join().unwrap();
        // What was on the wire may still come; then the stream breaks.
        while let Ok(part) = stream.next().await {
            held.extend(part.resources.into_iter().map(|resource| (resource.name, resource.version)));
        }
        assert!(held.len() < COUNT, "the rest never came");

        let (address, end, thread) = start();
        let mut stream = DeltaStream::open(&address.await.unwrap()).await;
        let request = DeltaDiscoveryRequest { initial_resource_versions: held.clone(), ..first("one", CDS, &[]) };
        stream.say(request).await;
        while held.len() < COUNT {
            for resource in stream.next_acknowledged().await.resources {
                assert_eq!(held.insert(resource.name, resource.version), None, "what it has is not sent again");
            }
        }
        end.send(()).unwrap();
        thread.join().unwrap();
    });
}

/// What we do not serve is no part of this server: the client is told so, and its other streams go on.
#[tokio::test]
async fn item_83_load_reports_are_refused_by_their_method() {
    let scene = serving(snapshot(small())).await;
    let channel = tonic::transport::Channel::from_shared(scene.address.clone()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryRequest>::default();
    let path =
        http::uri::PathAndQuery::from_static("/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats");
    let requests = tonic::Request::new(tokio_stream::pending());
    let refused = grpc.streaming(requests, path, codec).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn item_56_a_secret_is_said_to_be_missing_on_its_own_service_too() {
    let scene = serving(snapshot(small())).await;
    let mut stream = DeltaStream::open(&scene.address).await;
    stream.say(first("one", ResourceType::Secret, &["tls"])).await;
    let response = stream.next_acknowledged().await;
    assert_eq!((response.resources.len(), response.removed_resources), (0, vec!["tls".to_owned()]));

    let channel = tonic::transport::Channel::from_shared(scene.address.clone()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<
        DeltaDiscoveryRequest,
        chancery::proto::envoy::service::discovery::v3::DeltaDiscoveryResponse,
    >::default();
    let path = http::uri::PathAndQuery::from_static("/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets");
    let requests = tokio_stream::StreamExt::chain(
        tokio_stream::once(first("one", ResourceType::Secret, &["tls"])),
        tokio_stream::pending(),
    );
    let mut responses = grpc.streaming(tonic::Request::new(requests), path, codec).await.unwrap().into_inner();
    assert_eq!(responses.message().await.unwrap().unwrap().removed_resources, ["tls"]);
}
