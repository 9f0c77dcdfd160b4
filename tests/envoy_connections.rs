//! A real Envoy and its connection to the control plane: a network that falls silent is noticed, a connection that has
//! reached its age moves, and the traffic of applications notices neither.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::fs;

use serde_json::json;
use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    load::Load,
    network::Network,
    services::Instance,
};

fn services(instances: &[&Instance]) -> String {
    let mut text = String::from("services:\n");
    for name in ["orders", "billing"] {
        text.push_str(&format!(
            "  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n"
        ));
        for instance in instances {
            text.push_str(&format!("      - {{ address: 127.0.0.1, ports: {{ http: {} }} }}\n", instance.port));
        }
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_notices_that_the_network_is_silent() {
    let port = free_port();
    let instances = Instance::start_many(&["one", "two"]).await;
    let [one, two] = instances.as_slice() else { panic!("two instances") };
    let mut plane = ControlPlane::start(&services(&[one]), "", port).await;
    let network = Network::to(plane.xds_port).await;
    plane.xds_port = network.port;
    // What `bootstrap` says, in shorter time.
    let options = "/static_resources/clusters/0/typed_extension_protocol_options\
                   /envoy.extensions.upstreams.http.v3.HttpProtocolOptions\
                   /explicit_http_config/http2_protocol_options/connection_keepalive";
    let envoy = Envoy::start_with(&plane, Dialect::Delta, port, &["--node", "caller-1"], |bootstrap| {
        let keepalive = bootstrap.pointer_mut(options).expect("the bootstrap asks for keepalive");
        *keepalive = json!({ "interval": "0.3s", "timeout": "0.3s" });
    })
    .await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 2);
    load.for_answers(20).await;
    assert_eq!(network.accepted(), 1);

    network.fall_silent();
    plane.write_services(&services(&[two]));
    // Neither side was told anything; Envoy finds out, connects anew, and has what it missed.
    eventually("the new instance answers", async || (load.counts().of("two") > 0).then_some(())).await;
    assert!(network.accepted() > 1);
    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    assert_eq!(envoy.stat("cluster_manager.cluster_modified").await, 0);
}

async fn connections_move(dialect: Dialect) {
    let port = free_port();
    let instances = Instance::start_many(&["one", "two"]).await;
    let [one, two] = instances.as_slice() else { panic!("two instances") };
    let mut plane = ControlPlane::prepare(&services(&[one]), "", port);
    let config = fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    plane.write("chancery.yaml", &config.replace("xds: {", "xds: { maxStreamAge: 1s,"));
    plane.run().await;
    let envoy = Envoy::start(&plane, dialect, port, &["--node", "caller-1"]).await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 2);
    load.for_answers(20).await;
    let before = envoy.stats().await;
    let sent = async |what: &str| plane.metric(&format!("chancery_xds_resources_total{{type=\"{what}\"}}")).await;
    let sent_before = (sent("clusters").await, sent("listeners").await);
    let connections = before["cluster.xds.upstream_cx_total"];
    envoy.until("cluster.xds.upstream_cx_total", |total| total >= connections + 3).await;
    assert!(plane.metric("chancery_xds_moved_connections_total").await >= 3);
    // What it holds it keeps: no cluster is another one, no listener, and over delta none is even sent.
    let after = envoy.stats().await;
    for name in [
        "cluster_manager.cluster_modified",
        "cluster_manager.cluster_added",
        "cluster_manager.cluster_removed",
        "listener_manager.listener_modified",
        "listener_manager.listener_added",
        "listener_manager.total_listeners_draining",
    ] {
        assert_eq!(after[name], before[name], "{name}");
    }
    if dialect == Dialect::Delta {
        assert_eq!((sent("clusters").await, sent("listeners").await), sent_before);
    }
    // And it goes on hearing what changes.
    plane.write_services(&services(&[two]));
    eventually("the new instance answers", async || (load.counts().of("two") > 0).then_some(())).await;
    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    let stats = envoy.stats().await;
    for (name, rejected) in stats.iter().filter(|(name, _)| name.ends_with("update_rejected")) {
        assert_eq!(*rejected, 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_move_by_age_in_delta() {
    connections_move(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_move_by_age_in_state_of_the_world() {
    connections_move(Dialect::Sotw).await;
}
