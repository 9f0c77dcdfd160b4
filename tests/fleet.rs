//! The simulated sidecars of `examples/fleet`, fifty of them against the real binary: everything that is counted there
//! is counted here, and nothing is timed.

#[allow(dead_code, unused_imports, reason = "the benchmarks use more of it")]
#[path = "../examples/fleet/client/mod.rs"]
mod client;
mod support;

use std::{fmt::Write, net::SocketAddr, rc::Rc, time::Duration};

use client::{Crowd, Dialect, Flow, Kind, Node, Requests, Script, inbox::marked, probe};
use support::chancery::ControlPlane;

const SIDECARS: usize = 50;
const SERVICES: usize = 20;
/// Far beyond what anything here takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Twenty services of two endpoints; the first has one that is marked.
fn services(mark: u32) -> String {
    let mut text = "services:\n".to_owned();
    for number in 0..SERVICES {
        let last = if number == 0 { marked(mark) } else { format!("10.0.{number}.2") };
        let endpoints = format!("[ {{ address: 10.0.{number}.1 }}, {{ address: {last} }} ]");
        let ports = "[ { name: http, port: 80, protocol: http } ]";
        writeln!(text, "  - {{ name: service-{number}, ports: {ports}, endpoints: {endpoints} }}").expect("a string");
    }
    text
}

/// A control plane, and work on its fleet that blocks.
async fn with_fleet<T: Send + 'static>(
    work: impl FnOnce(SocketAddr, Box<dyn Fn(u32) + Send>) -> T + Send + 'static,
) -> T {
    let plane = ControlPlane::start(&services(0), "", support::free_port()).await;
    let server = SocketAddr::from(([127, 0, 0, 1], plane.xds_port));
    let change = move |mark| plane.write_services(&services(mark));
    tokio::task::spawn_blocking(move || work(server, Box::new(change))).await.expect("the fleet ran")
}

fn requests(dialect: Dialect, node: Node, node_every_time: bool) -> Requests {
    Requests { dialect, node, node_every_time }
}

/// Each sidecar comes to hold everything, and a changed endpoint is one response of one resource to each.
fn starts_and_hears_of_a_change(server: SocketAddr, change: &dyn Fn(u32), requests: &Requests) {
    let known = probe(server, requests).expect("a server that answers");
    let [_, endpoints, listeners, routes] = known.counts();
    assert_eq!([endpoints, listeners, routes], [SERVICES as u32, 1, 1]);
    let mut crowd = Crowd::new(server).expect("an event loop");
    crowd.add(&Rc::new(Script::fresh(requests, &known, "fleet")), SIDECARS);
    crowd.until_complete(LIMIT).expect("everybody has everything");
    assert!(crowd.progress().all(|progress| progress.resources == known.counts()), "each was sent everything once");

    change(1);
    let mut heard = [0u32; SIDECARS];
    let observe = |response: client::crowd::Response<'_>| {
        assert_eq!((response.seen.kind, response.seen.resources), (Some(Kind::Endpoints), 1));
        assert_eq!((response.seen.mark, response.seen.removed), (Some(1), 0));
        heard[response.sidecar] += 1;
        if heard.iter().all(|&count| count > 0) { Flow::Stop } else { Flow::GoOn }
    };
    crowd.run(std::time::Instant::now() + LIMIT, observe, |_| false);
    assert_eq!(heard, [1; SIDECARS]);
    assert_eq!(crowd.ended(), 0);
}

#[tokio::test]
async fn fifty_sidecars_start_and_hear_of_a_change() {
    with_fleet(|server, change| {
        let requests = requests(Dialect::Delta, Node::small("sidecar", "fleet"), false);
        starts_and_hears_of_a_change(server, &*change, &requests);
    })
    .await;
}

#[tokio::test]
async fn fifty_sidecars_in_state_of_the_world_hear_of_a_change() {
    with_fleet(|server, change| {
        let requests = requests(Dialect::Sotw, Node::small("sidecar", "fleet"), false);
        starts_and_hears_of_a_change(server, &*change, &requests);
    })
    .await;
}

#[tokio::test]
async fn fifty_sidecars_that_send_envoys_whole_node_every_time_hear_of_a_change() {
    with_fleet(|server, change| {
        let requests = requests(Dialect::Delta, Node::as_envoy_sends_it("sidecar", "fleet"), true);
        starts_and_hears_of_a_change(server, &*change, &requests);
    })
    .await;
}

#[tokio::test]
async fn fifty_sidecars_that_come_back_are_sent_no_cluster_and_no_listener() {
    with_fleet(|server, _| {
        let requests = requests(Dialect::Delta, Node::small("sidecar", "fleet"), false);
        let known = probe(server, &requests).expect("a server that answers");
        let mut crowd = Crowd::new(server).expect("an event loop");
        crowd.add(&Rc::new(Script::returning(&requests, &known, "fleet")), SIDECARS);
        crowd.until_complete(LIMIT).expect("everybody is settled");
        let [_, endpoints, _, routes] = known.counts();
        assert!(crowd.progress().all(|progress| progress.resources == [0, endpoints, 0, routes]));
    })
    .await;
}
