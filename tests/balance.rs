//! Two replicas behind a balancer, and proxies that connect through it: load moves to a replica that comes, and away from
//! one that goes, without a proxy being told where the others are.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::time::Duration;

use chancery::{resources::ResourceType, xds::Settings};
use support::{
    eventually,
    network::Network,
    raw::{DELTA, Raw, framed, status},
    scene::{SOON, Scene, ask, clusters},
};
use tokio::{task::JoinSet, time::timeout};

const PROXIES: usize = 20;

async fn replica() -> Scene {
    Scene::ready_with(Settings { stream_age: Duration::from_millis(300), ..Settings::default() }).await
}

fn port(replica: &Scene) -> u16 {
    replica.address.rsplit(':').next().unwrap().parse().unwrap()
}

/// Connects through the balancer, holds its stream until it is ended, and connects again.
async fn proxy(number: usize, balancer: u16) {
    loop {
        let raw = Raw::connect(&format!("127.0.0.1:{balancer}")).await;
        let node = format!("proxy-{number}");
        if let Ok((response, mut sending)) = raw.try_open(DELTA, &[("content-type", "application/grpc")]).await
            && sending.send_data(framed(&ask(&node, ResourceType::Cluster, &[])), false).is_ok()
            && let Ok(response) = response.await
        {
            let (code, ..) = status(response).await;
            assert_eq!(code, tonic::Code::Unavailable as u16, "ended, but not by an error of its own");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn load_moves_to_who_comes_and_from_who_goes() {
    let (first, second) = (replica().await, replica().await);
    let _serving = [first.serve(clusters(["a".into()], "1")), second.serve(clusters(["a".into()], "1"))];
    let balancer = Network::to(port(&first)).await;
    let mut proxies = JoinSet::new();
    for number in 0..PROXIES {
        proxies.spawn(proxy(number, balancer.port));
    }
    eventually("the first has them all", async || (first.clients.len() == PROXIES).then_some(())).await;

    balancer.lead_to(&[port(&first), port(&second)]);
    eventually("the second has its part", async || (second.clients.len() >= PROXIES / 4).then_some(())).await;
    assert!(first.metrics.moved.get() >= PROXIES as u64 / 4, "they were moved by age");

    // One goes: the balancer stops leading to it, as an unready one's does, and it ends what it has.
    balancer.lead_to(&[port(&second)]);
    first.shutdown.cancel();
    timeout(SOON, first.server).await.expect("it ends").unwrap();
    eventually("the second has them all", async || {
        // Between two of its connections a proxy has none.
        (first.clients.is_empty() && second.clients.len() > PROXIES * 3 / 4).then_some(())
    })
    .await;
    assert!(proxies.try_join_next().is_none(), "every proxy goes on");
}
