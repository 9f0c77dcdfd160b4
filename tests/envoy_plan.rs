//! What `plan` predicts is what a real Envoy does: the side effects it names are seen in Envoy's stats when the change is
//! pushed, those it does not name are not, and as many keys of a consistent hash move as it says.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    free_port,
    http::Connection,
    services::Instance,
};

fn services(instances: &[Instance]) -> String {
    let endpoints: String = instances
        .iter()
        .map(|instance| format!("      - {{ address: 127.0.0.1, ports: {{ http: {} }} }}\n", instance.port))
        .collect();
    format!(
        "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
         endpoints:\n{endpoints}"
    )
}

fn policy(settings: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: orders }}\nspec:\n  target: {{ service: \
         orders }}\n{settings}"
    )
}

/// What `plan` says of policies that shall take the place of those that are served.
fn plan(plane: &ControlPlane, proposed: &str) -> Value {
    let folder = plane.path("proposed");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(plane.path("policies/mesh.yaml"), folder.join("mesh.yaml")).unwrap();
    fs::write(folder.join("policies.yaml"), proposed).unwrap();
    let served = format!("http://{}", plane.admin());
    let printed =
        plane.command(&["plan", "--config", "chancery.yaml", "--from", &served, "--to", "proposed", "-o", "json"]);
    serde_json::from_str(&printed).unwrap()
}

fn effects(plan: &Value) -> BTreeSet<String> {
    let effects = plan["effects"].as_array().unwrap().iter();
    effects.map(|effect| effect["id"].as_str().unwrap().to_owned()).collect()
}

/// The statistic that shows an effect.
const SIGNS: [(&str, &str); 4] = [
    ("cluster-rewarm", "cluster_manager.cluster_modified"),
    ("connections-drain", "cluster.orders_80.upstream_cx_destroy"),
    ("health-checks-restart", "cluster.orders_80.health_check.attempt"),
    ("listener-drain", "listener_manager.listener_modified"),
];

#[tokio::test]
async fn the_effects_that_are_predicted_are_those_that_are_seen() {
    let port = free_port();
    let instances = Instance::start_many(&["orders-1", "orders-2"]).await;
    let checks = "  healthChecks: [ { timeout: 1s, interval: 600s, healthyThreshold: 1, unhealthyThreshold: 1, \
                  tcpHealthCheck: {} } ]\n";
    let steps = [
        policy("  timeout: 20s\n"),
        policy("  timeout: 21s\n"),
        policy("  timeout: 21s\n  connectionPool: { tcp: { maxConnections: 99 } }\n"),
        policy(&format!("  timeout: 21s\n  connectionPool: {{ tcp: {{ maxConnections: 99 }} }}\n{checks}")),
        policy(&format!("  timeout: 22s\n  connectionPool: {{ tcp: {{ maxConnections: 99 }} }}\n{checks}")),
        policy(&format!("  timeout: 22s\n  connectionPool: {{ tcp: {{ maxConnections: 98 }} }}\n{checks}")),
    ];
    let plane = ControlPlane::start(&services(&instances), &steps[0], port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1", "--service", "caller"]).await;
    for proposed in &steps[1..] {
        // So that there is a connection that can drain.
        let mut application = Connection::open(&envoy.proxy()).await.unwrap();
        let answer = application.get("/", "orders", "").await.unwrap();
        assert_eq!(answer.status, 200);
        let plan = plan(&plane, proposed);
        let predicted = effects(&plan);
        let before = envoy.stats().await;
        let count = |stats: &BTreeMap<String, u64>, name: &str| stats.get(name).copied().unwrap_or(0);
        plane.write_policies(proposed);
        // The change has arrived: routes are there anew, or the cluster is.
        let routes_change = plan["changes"].as_array().unwrap().iter().any(|change| change["type"] == "route");
        let arrival = match routes_change {
            true => "http.outbound.rds.outbound.config_reload",
            false => "cluster_manager.cluster_modified",
        };
        envoy.until(arrival, |now| now > count(&before, arrival)).await;
        envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
        for (effect, sign) in SIGNS.iter().filter(|(effect, _)| predicted.contains(*effect)) {
            let seen = envoy.until(sign, |now| now > count(&before, sign)).await;
            assert!(seen > count(&before, sign), "{effect} was predicted and is not seen");
        }
        let after = envoy.stats().await;
        for (effect, sign) in SIGNS.iter().filter(|(effect, _)| !predicted.contains(*effect)) {
            assert_eq!(count(&after, sign), count(&before, sign), "{effect} was not predicted: {proposed}");
        }
    }
}

/// As many keys are sent.
const KEYS: usize = 10_000;

/// Which instance each key goes to.
async fn who_serves(envoy: &Envoy) -> Vec<String> {
    let mut application = Connection::open(&envoy.proxy()).await.unwrap();
    let mut served = Vec::with_capacity(KEYS);
    for key in 0..KEYS {
        let answer = application.get("/", "orders", &format!("x-user: key-{key}\r\n")).await.unwrap();
        assert_eq!(answer.status, 200);
        served.push(answer.body);
    }
    served
}

#[tokio::test]
async fn as_many_keys_move_as_is_said() {
    let port = free_port();
    let instances = Instance::start_many(&["orders-1", "orders-2", "orders-3", "orders-4", "orders-5"]).await;
    let hashing =
        |table: &str| policy(&format!("  loadBalancer: {{ consistentHash: {{ httpHeaderName: x-user, {table} }} }}\n"));
    let tables = [
        "ringHash: { minimumRingSize: 64 }",
        "ringHash: { minimumRingSize: 512 }",
        "ringHash: { minimumRingSize: 512, hashFunction: MURMUR_HASH_2 }",
        "maglev: {}",
        "maglev: { tableSize: 251 }",
    ];
    let plane = ControlPlane::start(&services(&instances), &hashing(tables[0]), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1", "--service", "caller"]).await;
    let mut before = who_serves(&envoy).await;
    for table in &tables[1..] {
        let proposed = hashing(table);
        let plan = plan(&plane, &proposed);
        let mut effects = plan["effects"].as_array().unwrap().iter();
        let reshuffle = effects.find(|effect| effect["id"] == "hash-reshuffle").expect("the keys are reshuffled");
        let text = reshuffle["text"].as_str().unwrap();
        let predicted: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let modified = envoy.stat("cluster_manager.cluster_modified").await;
        plane.write_policies(&proposed);
        envoy.until("cluster_manager.cluster_modified", |now| now > modified).await;
        envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
        let after = who_serves(&envoy).await;
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let seen = moved as f64 * 100.0 / KEYS as f64;
        assert!((seen - predicted).abs() < 1.0, "{table}: {predicted} % predicted, {seen} % seen");
        before = after;
    }
}
