//! How connections and streams begin and end, over real sockets: by age, by silence, by a client that does not read, by
//! a limit, by the end of the server; and that nobody else notices.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chancery::{
    model::{NodeGroup, ResourceName},
    proto::envoy::{
        config::endpoint::v3::ClusterLoadAssignment,
        service::discovery::v3::{DeltaDiscoveryRequest, DeltaDiscoveryResponse},
    },
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
    xds::{Admission, Settings},
};
use support::{
    eventually,
    network::Network,
    raw::{DELTA, Raw, framed, status},
    scene::{SOON, Scene, ask, clusters, next},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, Streaming, transport::Channel};

const SHORT: Duration = Duration::from_millis(200);

async fn until(what: &str, come: impl Fn() -> bool) {
    eventually(what, async || come().then_some(())).await;
}

fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    response.resources.iter().map(|resource| resource.name.as_str()).collect()
}

/// A client that follows: it acknowledges what it is sent.
async fn next_acknowledged(
    requests: &tokio::sync::mpsc::Sender<DeltaDiscoveryRequest>,
    responses: &mut Streaming<DeltaDiscoveryResponse>,
) -> DeltaDiscoveryResponse {
    let response = next(responses).await;
    let (type_url, response_nonce) = (response.type_url.clone(), response.nonce.clone());
    requests.send(DeltaDiscoveryRequest { type_url, response_nonce, ..Default::default() }).await.unwrap();
    response
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_nothing_is_found_by_pings() {
    let scene =
        Scene::ready_with(Settings { keepalive_interval: SHORT, keepalive_timeout: SHORT, ..Settings::default() })
            .await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (requests, mut responses) = scene.delta(ask("idle", ResourceType::Cluster, &[])).await.unwrap();
    next_acknowledged(&requests, &mut responses).await;

    let frozen = Raw::connect(&scene.address).await;
    let (_response, mut sending) = frozen.grpc(DELTA).await;
    sending.send_data(framed(&ask("frozen", ResourceType::Cluster, &[])), false).unwrap();
    // The network, not the client, fails this one.
    let port = scene.address.rsplit(':').next().unwrap().parse().unwrap();
    let network = Network::to(port).await;
    let behind = Raw::connect(&format!("127.0.0.1:{}", network.port)).await;
    let (_response, mut behind_sending) = behind.grpc(DELTA).await;
    behind_sending.send_data(framed(&ask("behind", ResourceType::Cluster, &[])), false).unwrap();
    until("all three are served", || scene.clients.len() == 3).await;

    frozen.freeze();
    network.fall_silent();
    until("two are found to be gone", || scene.clients.len() == 1).await;
    until("their streams and connections are", || {
        scene.metrics.streams.get() == 1 && scene.metrics.connections.get() == 1
    })
    .await;
    // One that has nothing to say but answers is still there.
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    assert_eq!(names(&next(&mut responses).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_connection_is_told_to_go_before_its_stream_ends() {
    let scene = Scene::ready_with(Settings { stream_age: 2 * SHORT, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let mut raw = Raw::connect(&scene.address).await;
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask("old", ResourceType::Cluster, &[])), false).unwrap();
    let (code, message, read) = status(response.await.unwrap()).await;
    assert_eq!((code, message.contains("connect%20anew")), (Code::Unavailable as u16, true), "{message}");
    let length = u32::from_be_bytes(read[1..5].try_into().unwrap()) as usize;
    assert_eq!(read.len(), 5 + length, "it ended between two messages");
    assert!(!raw.takes_more().await, "the next stream is on another connection, which a balancer may place elsewhere");
    timeout(SOON, raw.ended()).await.expect("the connection ends with its last stream");
    assert_eq!(scene.metrics.moved.get(), 1);

    // A gRPC client follows: it asks again, as it does whenever it is told that nobody is available.
    let mut client = scene.client().await;
    for _ in 0..3 {
        let mut responses = eventually("it is served again", async || {
            let first = tokio_stream::once(ask("follows", ResourceType::Cluster, &[]));
            let requests = tokio_stream::StreamExt::chain(first, tokio_stream::pending());
            Some(client.delta_aggregated_resources(requests).await.ok()?.into_inner())
        })
        .await;
        assert_eq!(names(&next(&mut responses).await), ["a"]);
        let ended = timeout(SOON, responses.message()).await.expect("it ends by age").unwrap_err();
        assert_eq!(ended.code(), Code::Unavailable);
    }
    until("each was a connection of its own", || scene.metrics.moved.get() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_is_cut() {
    let scene = Scene::ready_with(Settings { stalled: SHORT, ..Settings::default() }).await;
    let _serving = scene.serve(clusters((0..200).map(|number| format!("c{number}")), &"x".repeat(100_000)));
    let (_requests, mut attentive) = scene.delta(ask("attentive", ResourceType::Cluster, &["none"])).await.unwrap();
    assert_eq!(next(&mut attentive).await.removed_resources, ["none"]);
    // Room for the beginning of the first response; or for nothing at all, and then something small waits already.
    let listeners_first: &[_] = &[ResourceType::Listener, ResourceType::Cluster];
    for (cut, room, asks) in [(1, 65_535, &listeners_first[1..]), (2, 0, listeners_first)] {
        let mut raw = Raw::connect_with(&scene.address, h2::client::Builder::new().initial_window_size(room)).await;
        let (response, mut sending) = raw.grpc(DELTA).await;
        for &asked in asks {
            sending.send_data(framed(&ask("deaf", asked, &[])), false).unwrap();
        }
        // Its answers to pings and its windows go on; what it is sent it leaves where it is.
        let unread = response.await.unwrap();
        timeout(SOON, raw.ended()).await.expect("the connection is cut");
        drop(unread);
        until("nothing is left of it", || scene.clients.len() == 1 && scene.metrics.streams.get() == 1).await;
        assert_eq!(scene.metrics.stalled.get(), cut);
    }
    assert_eq!(scene.metrics.connections.get(), 1, "one that reads and has nothing to be told stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_slowly_is_not_cut() {
    let scene = Scene::ready_with(Settings { stalled: SHORT, ..Settings::default() }).await;
    let _serving = scene.serve(clusters((0..100).map(|number| format!("c{number}")), &"x".repeat(100_000)));
    let raw = Raw::connect(&scene.address).await;
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask("slow", ResourceType::Cluster, &[])), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    let (mut taken, began) = (0, Instant::now());
    // 10 MB, at a pace that takes several times as long as a client may stall.
    while taken < 10_000_000 {
        let bytes = timeout(SOON, body.data()).await.expect("more comes").expect("it goes on").expect("it goes on");
        taken += bytes.len();
        body.flow_control().release_capacity(bytes.len()).unwrap();
        let due = began + 5 * SHORT * u32::try_from(taken / 1_000).unwrap() / 10_000;
        tokio::time::sleep_until(due.into()).await;
    }
    assert_eq!((scene.metrics.stalled.get(), scene.metrics.streams.get()), (0, 1));
}

/// Whoever looks into its session, or ends it, does not wait for the last of its requests.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_without_end_is_looked_at_and_told_to_go() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let raw = Raw::connect(&scene.address).await;
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask("talks", ResourceType::Cluster, &[])), false).unwrap();
    // Of a type that nobody has: there is never an answer.
    let again = framed(&DeltaDiscoveryRequest { type_url: "none".into(), ..Default::default() });
    let talk: Bytes = again.repeat(1_000).into();
    let talking = tokio::spawn(async move {
        loop {
            sending.reserve_capacity(talk.len());
            match std::future::poll_fn(|context| sending.poll_capacity(context)).await {
                Some(Ok(_)) if sending.send_data(talk.clone(), false).is_ok() => {}
                _ => return,
            }
        }
    });
    let nonce = |nonce| scene.clients.to_json().first().is_some_and(|of| of["types"]["clusters"]["lastNonce"] == nonce);
    until("it is served and talks on", || nonce("1") && scene.metrics.unknown_types.get() > 10_000).await;
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    until("it is sent what is new", || nonce("2")).await;
    scene.shutdown.cancel();
    let (code, _, _) = timeout(SOON, status(response.await.unwrap())).await.expect("it is told to go");
    assert_eq!(code, Code::Unavailable as u16);
    talking.abort();
    timeout(SOON, scene.server).await.expect("the server ends").unwrap();
}

/// Behind a balancer there may be a replica that knows everything.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_asked_to_connect_anew() {
    let scene = Scene::start(Settings::default()).await;
    let mut raw = Raw::connect(&scene.address).await;
    let (response, _sending) = raw.grpc(DELTA).await;
    assert_eq!(status(response.await.unwrap()).await.0, Code::Unavailable as u16);
    timeout(SOON, raw.ended()).await.expect("the connection goes");
    assert_eq!(scene.metrics.refused.get(), 1);
}

/// One that says half of what it wants takes its turn, and no more than that.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_begin_take_turns_and_pushes_do_not_wait_for_them() {
    let admission = Admission { at_once: 1, wait: SHORT, turn: Duration::from_secs(60) };
    let scene = Scene::ready_with(Settings { admission, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (requests, mut responses) = scene.delta(ask("served", ResourceType::Cluster, &[])).await.unwrap();
    next_acknowledged(&requests, &mut responses).await;

    let slow = Raw::connect(&scene.address).await;
    let (answer, mut sending) = slow.grpc(DELTA).await;
    let mut first_half = framed(&ask("slow", ResourceType::Cluster, &[]));
    let second_half = first_half.split_off(10);
    sending.send_data(first_half, false).unwrap();
    until("it has the turn", || scene.metrics.beginning.get() == 1).await;

    let (_, mut refused) = scene.delta(ask("late", ResourceType::Cluster, &[])).await.unwrap();
    let refused = timeout(SOON, refused.message()).await.expect("nobody waits for ever").unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(scene.metrics.overloaded.get(), 1);
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["b".into()], "1")));
    assert_eq!(names(&next_acknowledged(&requests, &mut responses).await), ["b"], "who is served goes on being served");

    sending.send_data(second_half, false).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    until("the turn is over", || scene.metrics.beginning.get() == 0).await;
    let (_requests, mut responses) = scene.delta(ask("late", ResourceType::Cluster, &[])).await.unwrap();
    assert!(!names(&next(&mut responses).await).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_ends_whatever_the_client_does() {
    let admission = Admission { at_once: 1, wait: SOON, turn: SHORT };
    let scene = Scene::ready_with(Settings { admission, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let slow = Raw::connect(&scene.address).await;
    let (_answer, mut sending) = slow.grpc(DELTA).await;
    let mut first_half = framed(&ask("slow", ResourceType::Cluster, &[]));
    let second_half = first_half.split_off(10);
    sending.send_data(first_half, false).unwrap();
    until("it has the turn", || scene.metrics.beginning.get() == 1).await;
    let (_requests, mut responses) = scene.delta(ask("patient", ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(names(&next(&mut responses).await), ["a"]);
    // And the slow one was not given up.
    sending.send_data(second_half, false).unwrap();
    until("both are served", || scene.clients.len() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_streams_take_no_turn_and_no_place() {
    let admission = Admission { at_once: 1, wait: SHORT, turn: SHORT };
    let scene = Scene::ready_with(Settings { admission, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let silent = Raw::connect(&scene.address).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(silent.grpc(DELTA).await);
    }
    until("they are open", || scene.metrics.streams.get() == 100).await;
    let (_requests, mut responses) = scene.delta(ask("speaks", ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(names(&next(&mut responses).await), ["a"]);
    drop((held, silent));
    until("they are gone", || scene.metrics.streams.get() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_is_told_so() {
    let scene = Scene::ready_with(Settings { largest_request: 10_000, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let many: Vec<String> = (0..1000).map(|number| format!("a-name-of-some-length-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (_requests, mut responses) = scene.delta(ask("large", ResourceType::Cluster, &many)).await.unwrap();
    let refused = timeout(SOON, responses.message()).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("10000"), "{refused}");

    // The same later on.
    let (requests, mut responses) = scene.delta(ask("grows", ResourceType::Cluster, &["a"])).await.unwrap();
    next_acknowledged(&requests, &mut responses).await;
    requests.send(ask("grows", ResourceType::Cluster, &many)).await.unwrap();
    let refused = timeout(SOON, responses.message()).await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
}

/// A proxy restarts, or its old stream is half dead: the old one's end takes nothing from the new one.
#[tokio::test(flavor = "multi_thread")]
async fn streams_of_one_node_are_apart() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (old_requests, mut old) = scene.delta(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    next_acknowledged(&old_requests, &mut old).await;
    let (requests, mut new) = scene.delta(ask("one", ResourceType::Cluster, &[])).await.unwrap();
    assert_eq!(
        names(&next_acknowledged(&requests, &mut new).await),
        ["a"],
        "it is sent everything, as the old one was"
    );
    assert_eq!(scene.clients.len(), 2);
    drop((old_requests, old));
    until("the old one is gone", || scene.clients.len() == 1).await;
    assert!(scene.clients.group_of("one").is_some());
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    assert_eq!(names(&next(&mut new).await), ["b"]);
}

/// Without ADS, a client has a stream for each cluster.
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_streams_share_a_connection() {
    const STREAMS: usize = 300;
    let scene = Scene::ready().await;
    let assignments = |changed: usize, content: &str| {
        let assignment = |number: usize| {
            let content = if number == changed { content } else { "1" };
            let body = ClusterLoadAssignment { cluster_name: format!("s{number}:{content}"), ..Default::default() };
            Resource::encode(ResourceType::Endpoints, ResourceName::new(format!("s{number}:80")), &body)
        };
        let set: Arc<ResourceSet> = Arc::new((0..STREAMS).map(assignment).collect());
        Snapshot::new(PerType::from_fn(|resource_type| match resource_type {
            ResourceType::Endpoints => set.clone(),
            _ => Arc::default(),
        }))
    };
    let _serving = scene.serve(assignments(0, "1"));
    let channel = Channel::from_shared(scene.address.clone()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    let path = "/envoy.service.endpoint.v3.EndpointDiscoveryService/DeltaEndpoints";
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let first = ask("many", ResourceType::Endpoints, &[&format!("s{number}:80")]);
        let (requests, receiver) = tokio::sync::mpsc::channel(4);
        requests.send(first).await.unwrap();
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<DeltaDiscoveryRequest, DeltaDiscoveryResponse>::default();
        let outbound = tokio_stream::wrappers::ReceiverStream::new(receiver);
        let path = http::uri::PathAndQuery::from_static(path);
        let mut responses = grpc.streaming(tonic::Request::new(outbound), path, codec).await.unwrap().into_inner();
        assert_eq!(names(&next_acknowledged(&requests, &mut responses).await), [format!("s{number}:80")]);
        streams.push((requests, responses));
    }
    assert_eq!((scene.metrics.connections.get(), scene.metrics.streams.get()), (1, STREAMS as i64));
    for changed in [7, 299] {
        scene.publish.publish(&NodeGroup::default(), Arc::new(assignments(changed, "2")));
        assert_eq!(names(&next(&mut streams[changed].1).await), [format!("s{changed}:80")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_answered_in_grpcs_words() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let raw = Raw::connect(&scene.address).await;
    let (response, _sending) = raw.grpc("/envoy.service.status.v3.NoSuchService/Stream").await;
    let (code, message, _) = status(response.await.unwrap()).await;
    assert_eq!(code, Code::Unimplemented as u16);
    assert!(message.contains("NoSuchService"), "{message}");

    let (response, _sending) =
        raw.open(DELTA, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")]).await;
    let response = response.await.unwrap();
    assert_eq!(response.headers()["grpc-accept-encoding"], "identity");
    assert_eq!(status(response).await.0, Code::Unimplemented as u16);

    let (response, _sending) = raw.open(DELTA, &[("content-type", "application/json")]).await;
    assert_eq!(response.await.unwrap().status(), 415);

    // Bytes that are no request; a length that no message has; a message said to be compressed.
    for (garbage, codes) in [
        (&b"\0\0\0\0\x04\xff\xff\xff\xff"[..], &[Code::InvalidArgument][..]),
        (&b"\0\xff\xff\xff\xff"[..], &[Code::ResourceExhausted]),
        (&b"\x01\0\0\0\x01\0"[..], &[Code::Internal, Code::Unimplemented]),
    ] {
        let (response, mut sending) = raw.grpc(DELTA).await;
        sending.send_data(Bytes::from_static(garbage), false).unwrap();
        let (code, ..) = status(response.await.unwrap()).await;
        assert!(codes.iter().any(|expected| *expected as u16 == code), "{garbage:?}: {code}");
    }
    until("their streams are over", || scene.metrics.streams.get() == 0).await;

    // Who has said all it will gets its answer, and the stream ends well.
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask("brief", ResourceType::Cluster, &[])), true).unwrap();
    let (code, _, read) = status(response.await.unwrap()).await;
    assert_eq!(code, Code::Ok as u16);
    assert!(read.len() > 5, "an answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_subscribes_to_nothing_is_left_in_peace() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let nothing = DeltaDiscoveryRequest {
        resource_names_unsubscribe: vec!["*".into()],
        ..ask("quiet", ResourceType::Cluster, &["*"])
    };
    let (requests, mut responses) = scene.delta(nothing).await.unwrap();
    // The first of a group asks for what the group is served, so that is published once more.
    until("its group is served", || scene.publish.latest(&NodeGroup::default()).is_some()).await;
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    // The first thing it hears is what it then asks for.
    requests.send(ask("quiet", ResourceType::Cluster, &["b"])).await.unwrap();
    assert_eq!(names(&next(&mut responses).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_their_streams_are_limited() {
    let scene = Scene::ready_with(Settings { connections: 2, streams_per_connection: 3, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (first, second) = (Raw::connect(&scene.address).await, Raw::connect(&scene.address).await);
    let address = scene.address.trim_start_matches("http://");
    let mut third = TcpStream::connect(address).await.unwrap();
    let read = timeout(SOON, third.read(&mut [0; 1])).await.expect("it is closed at once");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    assert_eq!(scene.metrics.refused_connections.get(), 1);

    // Once it has been answered it knows the limit, and keeps to it.
    let (response, _sending) = first.grpc("/none").await;
    assert_eq!(status(response.await.unwrap()).await.0, Code::Unimplemented as u16);
    let mut streams = Vec::new();
    for number in 0..4 {
        let (response, mut sending) = first.grpc(DELTA).await;
        sending.send_data(framed(&ask(&format!("s{number}"), ResourceType::Cluster, &[])), false).unwrap();
        streams.push((response, sending));
    }
    until("three are served", || scene.clients.len() == 3).await;
    drop(streams.remove(0));
    until("the fourth takes the place of the first", || scene.clients.group_of("s3").is_some()).await;
    drop((second, streams));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_is_let_go() {
    let scene = Scene::ready_with(Settings { handshake: SHORT, ..Settings::default() }).await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let idle = Raw::connect(&scene.address).await;
    let address = scene.address.trim_start_matches("http://");
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut stammers = TcpStream::connect(address).await.unwrap();
    stammers.write_all(b"PRI * HTTP/2").await.unwrap();
    for stream in [&mut silent, &mut stammers] {
        // The server's own first words come before the end.
        let mut said = Vec::new();
        timeout(SOON, stream.read_to_end(&mut said)).await.expect("it is closed in time").unwrap();
    }
    assert_eq!(scene.metrics.unfinished_handshakes.get(), 2);
    let (_response, mut sending) = idle.grpc(DELTA).await;
    sending.send_data(framed(&ask("idle", ResourceType::Cluster, &[])), false).unwrap();
    until("who began well may take its time", || scene.clients.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_headers_and_of_resets_disturb_nobody() {
    let scene = Scene::ready().await;
    let _serving = scene.serve(clusters(["a".into()], "1"));
    let (requests, mut responses) = scene.delta(ask("good", ResourceType::Cluster, &[])).await.unwrap();
    next_acknowledged(&requests, &mut responses).await;

    let raw = Raw::connect(&scene.address).await;
    let long = "x".repeat(20_000);
    let (response, _sending) = raw.open(DELTA, &[("content-type", "application/grpc"), ("x-flood", &long)]).await;
    assert_eq!(response.await.unwrap().status(), 431);
    let (response, _sending) = raw.grpc("/none").await;
    assert_eq!(status(response.await.unwrap()).await.0, Code::Unimplemented as u16, "its connection goes on");

    let resets = Raw::connect(&scene.address).await;
    for _ in 0..1000 {
        let opened = resets.try_open(DELTA, &[("content-type", "application/grpc")]).await;
        let Ok((_response, mut sending)) = opened else { break };
        sending.send_reset(h2::Reason::CANCEL);
        tokio::task::yield_now().await;
    }
    drop(resets);
    until("nothing is left of them", || scene.metrics.streams.get() == 1).await;
    scene.publish.publish(&NodeGroup::default(), Arc::new(clusters(["a".into(), "b".into()], "1")));
    assert_eq!(names(&next(&mut responses).await), ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_in_time_even_if_clients_do_not() {
    let scene = Scene::ready_with(Settings { drain: 5 * SHORT, ..Settings::default() }).await;
    let _serving = scene.serve(clusters((0..200).map(|number| format!("c{number}")), &"x".repeat(100_000)));
    let raw = Raw::connect(&scene.address).await;
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask("deaf", ResourceType::Cluster, &[])), false).unwrap();
    let _unread = response.await.unwrap();
    let mut honest = Vec::new();
    for number in 0..50 {
        honest.push(scene.delta(ask(&format!("h{number}"), ResourceType::Cluster, &["c1"])).await.unwrap());
    }
    scene.shutdown.cancel();
    for (_requests, responses) in &mut honest {
        let ended = loop {
            match timeout(SOON, responses.message()).await.expect("it ends") {
                Ok(more) => assert!(more.is_some(), "it ends with a status"),
                Err(status) => break status,
            }
        };
        assert_eq!(ended.code(), Code::Unavailable);
    }
    timeout(SOON, scene.server).await.expect("the server ends").unwrap();
    let address = scene.address.trim_start_matches("http://");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

/// A balancer's probe, a port scanner: connected, and silent.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_begun_does_not_hold_up_the_end() {
    let minute = Duration::from_secs(60);
    let scene = Scene::ready_with(Settings { drain: minute, handshake: minute, ..Settings::default() }).await;
    let _silent = TcpStream::connect(scene.address.trim_start_matches("http://")).await.unwrap();
    let _idle = Raw::connect(&scene.address).await;
    until("both are connected", || scene.metrics.connections.get() == 2).await;
    scene.shutdown.cancel();
    timeout(SOON, scene.server).await.expect("the server ends").unwrap();
}
