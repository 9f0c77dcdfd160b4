//! The real process among clients that mean it no good: one that never reads, one that never acknowledges, one that rejects
//! everything, one that sends garbage, a thousand that connect and vanish. Who behaves is told of every change, memory is
//! bounded, and in the end nothing is left of the others. Then it is told to stop while one of them holds on.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{fs, time::Duration};

use chancery::{
    proto::{
        envoy::service::discovery::v3::{
            DeltaDiscoveryRequest, DeltaDiscoveryResponse,
            aggregated_discovery_service_client::AggregatedDiscoveryServiceClient,
        },
        google::rpc,
    },
    resources::ResourceType,
};
use support::{
    chancery::ControlPlane,
    eventually, free_port, http,
    raw::{DELTA, Raw, framed},
    scene::ask,
};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

const SERVICES: usize = 300;
const OF_EACH: usize = 20;

/// What the adversaries together may make the process grow by: more than a thousand streams, among them twenty whose
/// clients leave everything unread, were measured at 10.
const GROWTH_MIB: u64 = 64;

fn services(host: usize) -> String {
    let mut text = String::from("services:\n");
    for number in 0..SERVICES {
        text.push_str(&format!(
            "  - name: s{number}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints: [ {{ address: 10.0.{}.{} }} ]\n",
            // Every edit moves every service.
            host / 200,
            1 + host % 200,
        ));
    }
    text
}

type Requests = mpsc::Sender<DeltaDiscoveryRequest>;

async fn open(port: u16, node: &str) -> (Requests, Streaming<DeltaDiscoveryResponse>) {
    let channel = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
    let mut client = AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let (requests, receiver) = mpsc::channel(16);
    requests.send(ask(node, ResourceType::Cluster, &["*"])).await.unwrap();
    requests.send(everything(ResourceType::Endpoints)).await.unwrap();
    let responses = client.delta_aggregated_resources(ReceiverStream::new(receiver)).await.unwrap();
    (requests, responses.into_inner())
}

/// The endpoints of every service.
fn everything(resource_type: ResourceType) -> DeltaDiscoveryRequest {
    let names: Vec<String> = (0..SERVICES).map(|number| format!("s{number}:80")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    DeltaDiscoveryRequest { node: None, ..ask("", resource_type, &names) }
}

fn answer(response: &DeltaDiscoveryResponse, error: Option<&str>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        error_detail: error.map(|error| rpc::Status { code: 3, message: error.into(), ..Default::default() }),
        ..Default::default()
    }
}

/// One that behaves, and what of its endpoints came last.
struct Honest {
    requests: Requests,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Honest {
    /// Follows until every service's endpoints have come anew.
    async fn follow(&mut self) {
        let mut moved = std::collections::BTreeSet::new();
        while moved.len() < SERVICES {
            let response = timeout(Duration::from_secs(20), self.responses.message()).await;
            let response = response.expect("updates go on").unwrap().expect("a response");
            if response.type_url == ResourceType::Endpoints.type_url() {
                moved.extend(response.resources.iter().map(|resource| resource.name.clone()));
            }
            self.requests.send(answer(&response, None)).await.unwrap();
        }
    }
}

fn resident_mib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// Reads everything, says `error` of it or nothing.
fn reads(port: u16, node: String, error: Option<&'static str>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let (requests, mut responses) = open(port, &node).await;
        while let Ok(Some(response)) = responses.message().await {
            if error.is_some() && requests.send(answer(&response, error)).await.is_err() {
                return;
            }
        }
    })
}

/// Asks for everything, and reads nothing of it.
async fn deaf(port: u16, node: &str) -> (Raw, impl Sized + use<>) {
    let raw = Raw::connect(&format!("127.0.0.1:{port}")).await;
    let (response, mut sending) = raw.grpc(DELTA).await;
    sending.send_data(framed(&ask(node, ResourceType::Cluster, &["*"])), false).unwrap();
    sending.send_data(framed(&everything(ResourceType::Endpoints)), false).unwrap();
    (raw, (response.await.unwrap(), sending))
}

/// Bytes that are no HTTP/2, then messages that are no requests, for as long as it is let.
fn garbage(port: u16) -> JoinHandle<()> {
    tokio::spawn(async move {
        let address = format!("127.0.0.1:{port}");
        loop {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let _ = stream.write_all(&[0xff; 4096]).await;
            let raw = Raw::connect(&address).await;
            for noise in [&[0_u8, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff][..], &[0, 0xff, 0xff, 0xff, 0xff], &[7; 600]] {
                let (response, mut sending) = raw.grpc(DELTA).await;
                let _ = sending.send_data(bytes::Bytes::copy_from_slice(noise), false);
                let _ = response.await;
            }
            // A valid beginning, and then noise.
            let (response, mut sending) = raw.grpc(DELTA).await;
            let _ = sending.send_data(framed(&ask("garbage", ResourceType::Cluster, &["*"])), false);
            let _ = sending.send_data(bytes::Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]), false);
            let _ = response.await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
}

async fn connect_and_vanish(port: u16, count: usize) {
    let mut vanishing = tokio::task::JoinSet::new();
    for number in 0..count {
        vanishing.spawn(async move {
            let raw = Raw::connect(&format!("127.0.0.1:{port}")).await;
            let (_response, mut sending) = raw.grpc(DELTA).await;
            sending.send_data(framed(&ask(&format!("gone-{number}"), ResourceType::Cluster, &["*"])), false).unwrap();
            // Some before they are answered, some after.
            if number % 2 == 0 {
                let _ = _response.await;
            }
        });
    }
    while let Some(vanished) = vanishing.join_next().await {
        vanished.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_are_served_and_nothing_is_left() {
    let mut plane = ControlPlane::start(&services(0), "", free_port()).await;
    let (port, process) = (plane.xds_port, plane.process().id());
    let (requests, responses) = open(port, "honest").await;
    let mut honest = Honest { requests, responses };
    honest.follow().await;
    for edit in 1..4 {
        plane.write_services(&services(edit));
        honest.follow().await;
    }
    let before = resident_mib(process);

    let mut deaf_ones = Vec::new();
    let mut others = Vec::new();
    for number in 0..OF_EACH {
        deaf_ones.push(deaf(port, &format!("deaf-{number}")).await);
        others.push(reads(port, format!("never-acks-{number}"), None));
        others.push(reads(port, format!("rejects-{number}"), Some("no")));
    }
    others.push(garbage(port));
    let vanishing = tokio::spawn(connect_and_vanish(port, 1000));
    let mut edit = 4;
    while edit < 24 || !vanishing.is_finished() {
        plane.write_services(&services(edit));
        honest.follow().await;
        edit += 1;
    }
    vanishing.await.unwrap();
    let grown = resident_mib(process).saturating_sub(before);
    assert!(grown < GROWTH_MIB, "grown by {grown} MiB from {before}");
    assert!(plane.metric("chancery_xds_nacks_total").await >= OF_EACH as u64);
    // Its words name nobody. So everything is tried in halves once, which is fewer than two responses for each of what
    // there is, a cluster and endpoints of each service; and from then on each edit once, a type at a time.
    let (halves, edits) = (2 * 2 * SERVICES, 2 * (edit + 1));
    let most = (OF_EACH * (halves + edits)) as u64;
    assert!(plane.metric("chancery_xds_nacks_total").await <= most, "who rejects is not asked again and again");

    others.iter().for_each(JoinHandle::abort);
    drop((others, deaf_ones));
    eventually("nothing is left of them", async || {
        let streams = plane.metric("chancery_xds_streams ").await;
        (plane.get_json("/api/v1/proxies").await["proxies"].as_array().unwrap().len() == 1 && streams == 1)
            .then_some(())
    })
    .await;
    plane.write_services(&services(0));
    honest.follow().await;
    assert!(!plane.log().contains("panicked"), "{}", plane.log());
}

/// Proxies have filled the process up: it asked for as much room as it may have, and kept some of it for files.
#[tokio::test(flavor = "multi_thread")]
async fn edits_are_seen_though_every_connection_is_taken() {
    let mut plane = ControlPlane::prepare(&services(0), "", free_port());
    plane.spawn_under("ulimit -Sn 100; ulimit -Hn 330");
    eventually("it is ready", async || {
        http::get(&plane.admin(), "/readyz").await.ok().filter(|answer| answer.status == 200)
    })
    .await;
    let (requests, responses) = open(plane.xds_port, "honest").await;
    let mut honest = Honest { requests, responses };
    honest.follow().await;
    let address = format!("127.0.0.1:{}", plane.xds_port);
    let mut held = Vec::new();
    for _ in 0..400 {
        held.push(TcpStream::connect(&address).await.unwrap());
    }
    eventually("some are refused", async || {
        (plane.metric("chancery_xds_refused_connections_total").await > 0).then_some(())
    })
    .await;
    let taken = plane.metric("chancery_xds_connections ").await;
    assert!((100..300).contains(&taken), "more than it began with, fewer than there are: {taken}");
    plane.write_services(&services(1));
    honest.follow().await;
}

/// SIGTERM: unready at once, nobody new, streams ended, and an end in 8 s whatever a client does.
#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_time_though_a_client_holds_on() {
    let mut plane = ControlPlane::start(&services(0), "", free_port()).await;
    let port = plane.xds_port;
    let (_requests, mut responses) = open(port, "honest").await;
    let _held = deaf(port, "deaf").await;
    eventually("both are sent everything", async || {
        let sent = plane.metric("chancery_xds_resources_total{type=\"clusters\"}").await;
        (sent >= 2 * SERVICES as u64).then_some(())
    })
    .await;
    let asked = Instant::now();
    plane.process().signal("TERM");
    let ended = loop {
        match timeout(Duration::from_secs(8), responses.message()).await.expect("streams are ended") {
            Ok(more) => assert!(more.is_some(), "with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), tonic::Code::Unavailable);
    // The other one does not hear of it, so the process is still there.
    let ready = http::get(&plane.admin(), "/readyz").await.unwrap();
    assert_eq!((ready.status, ready.body.contains("stopping")), (503, true), "{}", ready.body);
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody new is taken");
    let status = eventually("it ends", async || plane.process().0.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(9), "{:?}", asked.elapsed());
}
