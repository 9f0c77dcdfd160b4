//! Zone-aware routing with a real Envoy: requests stay in the zone as far as that overloads nobody, only where a policy
//! asks for it, and only for proxies whose bootstrap says what their own zone's share is; `serve` names the others.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    load::Load,
    services::Instance,
};

/// `orders` runs in two zones, and so does the workload that calls it. Six endpoints are as many as Envoy wants by itself.
fn services(near: &[Instance], far: &[Instance]) -> String {
    let place = |zone: &str| format!("locality: {{ region: eu, zone: {zone} }}");
    let (here, there) = (place("eu-1"), place("eu-2"));
    let endpoints = |instances: &[Instance], place: &str| -> String {
        let ports = instances.iter().map(|instance| instance.port);
        ports.map(|port| format!("      - {{ address: 127.0.0.1, ports: {{ http: {port} }}, {place} }}\n")).collect()
    };
    let ports = "    ports: [ { name: http, port: 80, protocol: http } ]\n    endpoints:\n";
    format!(
        "services:\n  - name: orders\n{ports}{}{}  - name: caller\n{ports}      - {{ address: 10.0.0.1, {here} }}\n      \
         - {{ address: 10.0.0.2, {there} }}\n",
        endpoints(near, &here),
        endpoints(far, &there)
    )
}

const EVENLY: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: orders }\n\
                      spec: { target: { service: orders }, loadBalancer: { simple: ROUND_ROBIN } }\n";

async fn requests_stay_in_the_zone(dialect: Dialect) {
    let port = free_port();
    let (near, far) = (Instance::start_many(&["near"; 3]).await, Instance::start_many(&["far"; 3]).await);
    let plane = ControlPlane::start(&services(&near, &far), EVENLY, port).await;
    let node = ["--node", "caller-1", "--service", "caller", "--locality", "eu/eu-1", "--zone-aware"];
    let envoy = Envoy::start(&plane, dialect, port, &node).await;
    assert_eq!(envoy.stat("cluster.local.membership_total").await, 2, "it knows its own workload");
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 2);
    load.for_answers(100).await;
    let counts = load.counts();
    assert!(counts.of("near").abs_diff(counts.of("far")) <= counts.total() / 10, "nobody asked for zones: {counts:?}");

    let zones = "loadBalancer: { simple: ROUND_ROBIN, zoneAwareLbSetting: { enabled: true } }";
    plane.write_policies(&EVENLY.replace("loadBalancer: { simple: ROUND_ROBIN }", zones));
    envoy.until("cluster_manager.cluster_modified", |modified| modified == 1).await;
    envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
    load.for_answers(20).await;
    let before = load.counts();
    load.for_answers(100).await;
    let after = load.counts();
    assert_eq!(before.of("far"), after.of("far"), "both workloads are spread alike: every request stays");

    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    assert_eq!(plane.metric("chancery_xds_nacks_total").await, 0);
    assert!(!plane.log().contains("zoneAwareLbSetting"), "{}", plane.log());

    let other = Envoy::start(&plane, dialect, free_port(), &["--node", "other-1", "--locality", "eu/eu-1"]).await;
    eventually("serve names the proxies that know no zones", async || {
        plane.log().contains("`zoneAwareLbSetting` has no effect on orders:80").then_some(())
    })
    .await;
    assert_eq!(other.stat("cluster_manager.warming_clusters").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_in_the_zone_in_delta() {
    requests_stay_in_the_zone(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_in_the_zone_in_state_of_the_world() {
    requests_stay_in_the_zone(Dialect::Sotw).await;
}
