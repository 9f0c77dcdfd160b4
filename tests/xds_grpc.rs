//! The real server over real HTTP/2: clients that behave, clients that do not, and the end.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{collections::BTreeMap, sync::Arc};

use chancery::{
    model::{Grouping, NodeGroup},
    proto::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest},
    resources::ResourceType,
};
use support::scene::{SOON, Scene, ask, clusters, next, node};
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

#[tokio::test]
async fn nobody_is_served_before_everything_is_known() {
    let scene = Scene::start(chancery::xds::Settings::default()).await;
    let refused = scene.delta(ask("early", ResourceType::Cluster, &[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    scene.publish.set_grouping(Arc::new(Grouping::default()));
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (_requests, mut responses) = scene.delta(ask("later", ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(next(&mut responses).await.resources.len(), 1);
}

#[tokio::test]
async fn what_is_published_reaches_a_stream_that_is_open() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (requests, mut responses) = scene.delta(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    let first = next(&mut responses).await;
    requests
        .send(DeltaDiscoveryRequest { response_nonce: first.nonce, type_url: first.type_url, ..Default::default() })
        .await
        .unwrap();
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    let second = next(&mut responses).await;
    assert_eq!(second.resources.iter().map(|resource| resource.name.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(scene.clients.len(), 1);
    drop((requests, responses));
    timeout(SOON, async {
        while !scene.clients.is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("who is gone is forgotten");
}

#[tokio::test]
async fn state_of_the_world_is_served_beside_delta() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let request = DiscoveryRequest {
        node: node("sotw"),
        type_url: ResourceType::Cluster.type_url().into(),
        ..Default::default()
    };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(request), tokio_stream::pending());
    let mut responses = scene.client().await.stream_aggregated_resources(requests).await.unwrap().into_inner();
    let response = timeout(SOON, responses.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(response.resources.len(), 1);
    assert_eq!(response.resources[0].type_url, response.type_url);
}

#[tokio::test]
async fn a_node_without_an_id_is_refused() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (_requests, mut responses) = scene.delta(ask("", ResourceType::Cluster, &[])).await.unwrap();
    let refused = timeout(SOON, responses.message()).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("node.id"), "{refused}");
}

#[tokio::test]
async fn an_unknown_type_is_counted_and_does_not_end_the_stream() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let unknown = DeltaDiscoveryRequest {
        node: node("one"),
        type_url: "type.googleapis.com/no.such.Type".into(),
        ..Default::default()
    };
    let (requests, mut responses) = scene.delta(unknown).await.unwrap();
    requests.send(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(next(&mut responses).await.resources.len(), 1);
    assert_eq!(scene.metrics.unknown_types.get(), 1);
}

/// The first request after a reconnect lists everything; gRPC's usual 4 MiB would lock a large proxy out for ever.
#[tokio::test]
async fn twenty_thousand_names_come_back() {
    let scene = Scene::ready().await;
    let name = |number: usize| format!("{number:05}-{}", "service-with-a-long-name".repeat(8));
    let snapshot = clusters((0..20_000).map(name), "1");
    let versions: BTreeMap<String, String> = snapshot
        .set(ResourceType::Cluster)
        .iter()
        .map(|cluster| (cluster.name().to_string(), cluster.version().to_string()))
        .collect();
    let _serving = scene.serve(snapshot);
    let first =
        DeltaDiscoveryRequest { initial_resource_versions: versions, ..ask("large", ResourceType::Cluster, &[]) };
    assert!(prost::Message::encoded_len(&first) > 4 * 1024 * 1024);
    let (_requests, mut responses) = scene.delta(first).await.unwrap();
    let answer = next(&mut responses).await;
    assert_eq!((answer.resources.len(), answer.removed_resources.len()), (0, 0), "it holds everything");
}

#[tokio::test]
async fn large_answers_are_split_below_four_megabytes() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters((0..100).map(|number| format!("c{number:03}")), &"x".repeat(100_000)));
    let (_requests, mut responses) = scene.delta(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    let mut names = Vec::new();
    while names.len() < 100 {
        let response = next(&mut responses).await;
        assert!(prost::Message::encoded_len(&response) < 4 * 1024 * 1024);
        names.extend(response.resources.into_iter().map(|resource| resource.name));
    }
    names.dedup();
    assert_eq!(names.len(), 100);
}

/// One that never reads, one that sends garbage, a hundred that connect and vanish: the others are served.
#[tokio::test]
async fn bad_clients_disturb_nobody() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters((0..2_000).map(|number| format!("c{number}")), &"x".repeat(1000)));
    let never_reads = scene.delta(ask("mute", ResourceType::Cluster, &[])).await.unwrap();
    for number in 0..100 {
        drop(scene.delta(ask(&format!("gone-{number}"), ResourceType::Cluster, &[])).await.unwrap());
    }
    let address = scene.address.trim_start_matches("http://").to_owned();
    let mut garbage = tokio::net::TcpStream::connect(&address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut garbage, &[0xff; 4096]).await.unwrap();

    let (requests, mut responses) = scene.delta(ask("good", ResourceType::Cluster, &[])).await.unwrap();
    let mut received = 0;
    while received < 2_000 {
        received += next(&mut responses).await.resources.len();
    }
    drop((never_reads, requests));
}

#[tokio::test]
async fn the_end_comes_with_streams_open() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (_requests, mut responses) = scene.delta(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    next(&mut responses).await;
    scene.shutdown.cancel();
    let ended = timeout(SOON, responses.message()).await.expect("the stream ends").unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    drop(responses);
    timeout(SOON, scene.server).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_stream_of_one_type_serves_that_type() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let channel = Channel::from_shared(scene.address.clone()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryResponse>::default();
    let path = http::uri::PathAndQuery::from_static("/envoy.service.cluster.v3.ClusterDiscoveryService/DeltaClusters");
    let untyped = DeltaDiscoveryRequest { type_url: String::new(), ..ask("one", ResourceType::Cluster, &[]) };
    let requests = tokio_stream::StreamExt::chain(tokio_stream::once(untyped), tokio_stream::pending());
    let mut responses = grpc.streaming(tonic::Request::new(requests), path, codec).await.unwrap().into_inner();
    assert_eq!(next(&mut responses).await.resources.len(), 1);
}
