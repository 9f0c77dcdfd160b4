//! Envoy's own subsets with a real Envoy: each request picks endpoints by its headers, and turning that on changes a
//! cluster and routes, never the listener.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    services::Instance,
};

const PLAIN: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: orders }\n\
                     spec:\n  target: { service: orders }\n  loadBalancer:\n    simple: ROUND_ROBIN\n";

const SELECTED: &str = "    subsetSelectors:\n      - { keys: [ version ] }\n      - { keys: [ stage, version ], \
                        fallbackPolicy: KEYS_SUBSET, fallbackKeysSubset: [ version ] }\n    subsetHeaders:\n      - \
                        { header: x-version, key: version }\n      - { header: x-stage, key: stage }\n    \
                        subsetFallbackPolicy: DEFAULT_SUBSET\n    defaultSubset: { version: v1 }\n";

/// What a request with these headers is answered, several times.
async fn answers(envoy: &Envoy, headers: &str) -> Vec<String> {
    let mut connection = http::Connection::open(&envoy.proxy()).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..6 {
        let answer = connection.get("http://orders/", "orders", headers).await.unwrap();
        answers.push(if answer.status == 200 { answer.body } else { answer.status.to_string() });
    }
    answers.sort();
    answers.dedup();
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_pick_by_their_headers() {
    let port = free_port();
    let instances = Instance::start_many(&["v1-prod", "v2-prod", "v2-test"]).await;
    let endpoints: String = instances
        .iter()
        .map(|instance| {
            let (version, stage) = instance.name.split_once('-').unwrap();
            format!(
                "      - {{ address: 127.0.0.1, ports: {{ http: {} }}, labels: {{ version: {version}, stage: {stage} }} }}\n",
                instance.port
            )
        })
        .collect();
    let services = format!(
        "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n{endpoints}"
    );
    let plane = ControlPlane::start(&services, PLAIN, port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    assert_eq!(answers(&envoy, "x-version: v2\r\n").await, ["v1-prod", "v2-prod", "v2-test"], "nothing is picked");

    plane.write_policies(&format!("{PLAIN}{SELECTED}"));
    envoy.until("cluster_manager.cluster_modified", |modified| modified == 1).await;
    envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
    eventually("requests pick", async || {
        (answers(&envoy, "x-version: v2\r\nx-stage: test\r\n").await == ["v2-test"]).then_some(())
    })
    .await;
    assert_eq!(answers(&envoy, "x-version: v2\r\n").await, ["v2-prod", "v2-test"]);
    assert_eq!(
        answers(&envoy, "x-version: v2\r\nx-stage: nowhere\r\n").await,
        ["v2-prod", "v2-test"],
        "by version alone"
    );
    assert_eq!(answers(&envoy, "").await, ["v1-prod"], "the default subset");
    assert_eq!(answers(&envoy, "x-version: v9\r\n").await, ["v1-prod"], "no such version");
    assert_eq!(envoy.stat("listener_manager.listener_modified").await, 0, "the listener is as it was");
    assert_eq!(plane.metric("chancery_xds_nacks_total").await, 0);
}
