//! Two control planes over equal inputs are one to their clients, whenever and in whichever order they read them; one
//! that does not know all takes nothing away.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::fs;

use chancery::resources::ResourceType;
use support::{chancery::ControlPlane, eventually, http, sidecar::Sidecar};

fn service(name: &str, hosts: &[u32]) -> String {
    let endpoints: String = hosts.iter().map(|host| format!("{{ address: 10.0.0.{host} }}, ")).collect();
    format!(
        "services: [ {{ name: {name}, labels: {{ team: shop }}, ports: [ {{ name: http, port: 80, protocol: http }}, \
         {{ name: db, port: 5432, protocol: tcp }} ], endpoints: [ {endpoints} ] }} ]"
    )
}

fn policy(name: &str, target: &str, setting: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\n\
         spec: {{ target: {target}, {setting} }}\n"
    )
}

/// A control plane over a folder of one file per service; nothing in it yet.
fn empty() -> ControlPlane {
    let plane = ControlPlane::prepare("", "", 15001);
    fs::remove_file(plane.path("services.yaml")).unwrap();
    fs::create_dir(plane.path("services.yaml")).unwrap();
    plane
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_inputs_are_equal_versions_and_a_client_that_moves_is_sent_nothing() {
    let files = [
        ("services.yaml/a.yaml", service("orders", &[1, 2, 3])),
        ("services.yaml/b.yaml", service("users", &[4])),
        ("services.yaml/c.yaml", service("pay.shop", &[5, 6])),
        ("policies/1.yaml", policy("one", "{ labels: { team: shop } }", "timeout: 5s")),
        ("policies/2.yaml", policy("two", "{ service: orders }", "loadBalancer: { simple: RANDOM }")),
        ("policies/3.yaml", policy("three", "{ service: \"pay*\" }", "retries: { attempts: 1 }")),
    ];
    let mut one = empty();
    for (path, text) in &files {
        one.write(path, text);
    }
    one.run().await;
    let mut sidecar = Sidecar::default();
    sidecar.connect(one.xds_port).await;

    // The other starts later, with half of it, reads the rest as it comes and from elsewhere, and forgets what was wrong.
    let mut other = empty();
    for (path, text) in files.iter().rev().take(3).chain(&files[..1]) {
        other.write(path, &text.replace("[ { address: 10.0.0.1 }", "[ { address: 10.0.0.9 }"));
    }
    other.write("services.yaml/z.yaml", &service("not-for-long", &[9]));
    other.run().await;
    other.write("policies/0.yaml", "kind: [");
    for (path, text) in files.iter().rev() {
        other.write(path, text);
    }
    fs::remove_file(other.path("services.yaml/z.yaml")).unwrap();
    fs::remove_file(other.path("policies/0.yaml")).unwrap();
    eventually("the other has come to the same", async || {
        let services = async |plane: &ControlPlane| plane.get_json("/api/v1/services").await["services"].clone();
        let is_well = http::get(&other.admin(), "/readyz").await.ok()?.body == "ready\n";
        (is_well && services(&one).await == services(&other).await).then_some(())
    })
    .await;

    let held = sidecar.held.clone();
    assert!(held[&ResourceType::Cluster].contains_key("pay.shop:5432"), "{held:?}");
    let heard = sidecar.connect(other.xds_port).await;
    assert_eq!(heard.get(&ResourceType::Cluster), None);
    assert_eq!(heard.get(&ResourceType::Listener), None);
    assert_eq!(sidecar.held, held, "endpoints and routes come again, the same");
}

/// The fleet knows a new service; a replica whose source is down does not, and says so. It takes nothing away, until its
/// source is back and it knows.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lags_takes_nothing_from_a_client_that_comes_to_it() {
    let mut one = empty();
    for (file, name, host) in [("a", "orders", 1), ("b", "users", 2)] {
        one.write(&format!("services.yaml/{file}.yaml"), &service(name, &[host]));
    }
    one.run().await;
    let mut sidecar = Sidecar::default();
    sidecar.connect(one.xds_port).await;
    let held = sidecar.held.clone();

    // The other knows only of orders, and its second file cannot be read.
    let mut other = empty();
    other.write("services.yaml/a.yaml", &service("orders", &[1]));
    other.run().await;
    assert_eq!(other.metric("chancery_control_lagging").await, 0);
    other.write("services.yaml/b.yaml", "services: [");
    eventually("it knows that it lags", async || (other.metric("chancery_control_lagging").await == 1).then_some(()))
        .await;
    let heard = sidecar.connect(other.xds_port).await;
    let has = |resource_type, name: &str| sidecar.held[&resource_type].contains_key(name);
    for (resource_type, name) in [
        (ResourceType::Cluster, "users:80"),
        (ResourceType::Endpoints, "users:80"),
        (ResourceType::Listener, "users:5432"),
    ] {
        assert!(has(resource_type, name), "{name} was taken away: {heard:?}");
    }

    // Now it knows, and what is really gone goes.
    other.write("services.yaml/b.yaml", "services: []");
    eventually("it lags no more", async || (other.metric("chancery_control_lagging").await == 0).then_some(())).await;
    sidecar.listen().await;
    assert!(!sidecar.held[&ResourceType::Cluster].contains_key("users:80"));
    assert!(!sidecar.held[&ResourceType::Listener].contains_key("users:5432"));

    // Back with one that has it, everything is as it was.
    sidecar.connect(one.xds_port).await;
    assert_eq!(sidecar.held, held);
}
