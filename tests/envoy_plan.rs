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
    eventually, free_port,
    http::{self, Connection},
    services::Instance,
};

/// Instances in two regions by turns, all of version 1; the first alone is in production.
fn services(instances: &[Instance]) -> String {
    let endpoint = |(at, instance): (usize, &Instance)| {
        let (region, stage) = (["eu", "us"][at % 2], if at == 0 { "prod" } else { "test" });
        format!(
            "      - {{ address: 127.0.0.1, ports: {{ http: {} }}, locality: {{ region: {region} }}, labels: {{ version: v1, \
             stage: {stage} }} }}\n",
            instance.port
        )
    };
    let endpoints: String = instances.iter().enumerate().map(endpoint).collect();
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

/// Requests with `x-v1` go to the subset of that name.
const TO_THE_SUBSET: &str = "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [ orders ]
  http:
    - match: [ { headers: { x-v1: { exact: \"1\" } } } ]
      route: [ { destination: { host: orders, subset: v1 } } ]
    - route: [ { destination: { host: orders } } ]
";

/// The proposed policies, in a folder beside those that are served.
fn propose(plane: &ControlPlane, mesh: &str, policies: &str) -> Value {
    let folder = plane.path("proposed");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("mesh.yaml"), mesh).unwrap();
    fs::write(folder.join("policies.yaml"), policies).unwrap();
    plan(plane, &[])
}

/// What `plan` says of the proposed policies, when they shall take the place of those that are served.
fn plan(plane: &ControlPlane, more: &[&str]) -> Value {
    let served = format!("http://{}", plane.admin());
    let arguments = ["plan", "--config", "chancery.yaml", "--from", &served, "--to", "proposed", "-o", "json"];
    serde_json::from_str(&plane.command(&[&arguments[..], more].concat())).unwrap()
}

fn mesh(plane: &ControlPlane) -> String {
    fs::read_to_string(plane.path("policies/mesh.yaml")).unwrap()
}

/// What Envoy says of itself at one moment.
struct Seen {
    stats: BTreeMap<String, u64>,
    clusters: Value,
}

impl Seen {
    async fn now(envoy: &Envoy) -> Self {
        Self { stats: envoy.stats().await, clusters: envoy.clusters().await }
    }

    fn stat(&self, name: &str) -> i64 {
        self.stats.get(name).copied().unwrap_or(0).try_into().unwrap()
    }

    /// In how many tiers the endpoints of a cluster are; of one that is not there, in one.
    fn tiers(&self, cluster: &str) -> i64 {
        let clusters = self.clusters["cluster_statuses"].as_array().unwrap().iter();
        let hosts = clusters
            .filter(|status| status["name"] == cluster)
            .flat_map(|status| status["host_statuses"].as_array().into_iter().flatten());
        let tiers: BTreeSet<u64> = hosts.map(|host| host["priority"].as_u64().unwrap_or(0)).collect();
        i64::try_from(tiers.len().max(1)).unwrap()
    }
}

/// What shows an effect on a resource: a number that is higher afterwards.
fn sign(effect: &str, resource: &str, seen: &Seen) -> i64 {
    let scope = resource.replace(':', "_");
    match effect {
        "cluster-rewarm" => seen.stat("cluster_manager.cluster_modified"),
        "connections-drain" => seen.stat(&format!("cluster.{scope}.upstream_cx_destroy")),
        "health-checks-restart" => seen.stat(&format!("cluster.{scope}.health_check.attempt")),
        "listener-drain" => seen.stat("listener_manager.listener_modified"),
        "failover-active" => seen.tiers(resource),
        "subset-shrinks" => -seen.stat(&format!("cluster.{scope}.membership_total")),
        other => panic!("what shows {other}?"),
    }
}

/// Every effect that is looked for, where it can happen here.
const LOOKED_FOR: [(&str, &str); 9] = [
    ("cluster-rewarm", "orders:80"),
    ("connections-drain", "orders:80"),
    ("connections-drain", "orders:80/v1"),
    ("failover-active", "orders:80"),
    ("failover-active", "orders:80/v1"),
    ("health-checks-restart", "orders:80"),
    ("health-checks-restart", "orders:80/v1"),
    ("listener-drain", "outbound"),
    ("subset-shrinks", "orders:80/v1"),
];

#[tokio::test]
async fn the_effects_that_are_predicted_are_those_that_are_seen() {
    let port = free_port();
    let instances = Instance::start_many(&["orders-1", "orders-2"]).await;
    let checks = "  healthChecks: [ { timeout: 1s, interval: 600s, healthyThreshold: 1, unhealthyThreshold: 1, \
                  tcpHealthCheck: {} } ]\n";
    let limit = |number: u32| format!("  connectionPool: {{ tcp: {{ maxConnections: {number} }} }}\n");
    let subset = |labels: &str| format!("  subsets: [ {{ name: v1, labels: {{ {labels} }} }} ]\n");
    let (v1, prod) = (subset("version: v1"), subset("version: v1, stage: prod"));
    let locality = |setting: &str| format!("{v1}  loadBalancer: {{ localityLbSetting: {{ {setting} }} }}\n");
    // By a label that nobody has all endpoints are alike.
    let (alike, failover) = (locality("failoverPriority: [ nothing ]"), locality("failover: [ { from: eu, to: us } ]"));
    let split = |settings: &str| format!("{}{TO_THE_SUBSET}", policy(settings));
    // Each with what happens, so that no effect is left out of the test unnoticed.
    let steps = [
        (policy("  timeout: 21s\n"), "", ""),
        (policy(&format!("  timeout: 21s\n{}", limit(99))), "", "cluster-rewarm connections-drain"),
        (
            policy(&format!("  timeout: 21s\n{}{checks}", limit(99))),
            "",
            "cluster-rewarm connections-drain health-checks-restart",
        ),
        (policy(&format!("  timeout: 22s\n{}{checks}", limit(99))), "", ""),
        (
            policy(&format!("  timeout: 22s\n{}{checks}", limit(98))),
            "",
            "cluster-rewarm connections-drain health-checks-restart",
        ),
        (policy("  timeout: 22s\n"), "", "cluster-rewarm connections-drain"),
        (split(&v1), "", ""),
        (split(&prod), "", "connections-drain subset-shrinks"),
        (split(&v1), "", ""),
        (split(&alike), "", "cluster-rewarm connections-drain"),
        (split(&failover), "", "failover-active"),
        (split(&format!("{failover}  timeout: 3s\n")), "", ""),
        (split(&alike), "", ""),
        (split(&v1), "", "cluster-rewarm connections-drain"),
        (split(&v1), "accessLog: { path: /dev/null }", "listener-drain"),
    ];
    let plane = ControlPlane::start(&services(&instances), &policy("  timeout: 20s\n"), port).await;
    let node = ["--node", "caller-1", "--service", "caller", "--locality", "eu/"];
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &node).await;
    let plain_mesh = mesh(&plane);
    for (step, (policies, more_mesh, happens)) in steps.iter().enumerate() {
        let mesh = match *more_mesh {
            "" => plain_mesh.clone(),
            more => plain_mesh.replace("spec: { outbound", &format!("spec: {{ {more}, outbound")),
        };
        connect_to_all(&envoy).await;
        let plan = propose(&plane, &mesh, policies);
        let effects = plan["effects"].as_array().unwrap().iter();
        let predicted: BTreeSet<(&str, &str)> =
            effects.map(|effect| (effect["id"].as_str().unwrap(), effect["resource"].as_str().unwrap())).collect();
        let kinds: BTreeSet<&str> = predicted.iter().map(|(id, _)| *id).collect();
        assert_eq!(kinds, happens.split_whitespace().collect(), "step {step}: {plan:#}");
        let before = Seen::now(&envoy).await;
        plane.write("policies/mesh.yaml", &mesh);
        plane.write_policies(policies);
        in_force(&plane, &[&mesh, policies]).await;
        arrived(&envoy, &plan, &before).await;
        for (effect, resource) in &predicted {
            let is_seen = async || {
                let now = Seen::now(&envoy).await;
                (sign(effect, resource, &now) > sign(effect, resource, &before)).then_some(())
            };
            eventually(&format!("step {step}: {effect} of {resource} is seen"), is_seen).await;
        }
        let after = Seen::now(&envoy).await;
        for (effect, resource) in LOOKED_FOR.iter().filter(|looked_for| !predicted.contains(*looked_for)) {
            // One counter for all clusters.
            let is_told = *effect == "cluster-rewarm" && kinds.contains(effect);
            let (was, is) = (sign(effect, resource, &before), sign(effect, resource, &after));
            assert!(is_told || is <= was, "step {step}: {effect} of {resource} was not predicted: {was}, then {is}");
        }
    }
}

/// Asks until there are connections to every endpoint of every cluster, so that some can drain.
async fn connect_to_all(envoy: &Envoy) {
    let mut application = Connection::open(&envoy.proxy()).await.unwrap();
    eventually("there are connections to every endpoint", async || {
        for header in ["", "x-v1: 1\r\n"] {
            if application.closed {
                application = Connection::open(&envoy.proxy()).await.ok()?;
            }
            let answer = application.get("/", "orders", header).await.ok()?;
            (answer.status == 200).then_some(())?;
        }
        let clusters = envoy.clusters().await;
        let orders = clusters["cluster_statuses"].as_array()?.iter();
        let mut hosts = orders
            .filter(|status| status["name"].as_str().is_some_and(|name| name.starts_with("orders:")))
            .flat_map(|status| status["host_statuses"].as_array().into_iter().flatten());
        let is_reached = |host: &Value| {
            let used = host["priority"].as_u64().unwrap_or(0) == 0;
            let stats = host["stats"].as_array().into_iter().flatten();
            // One that is 0 has no value.
            let connected = stats.filter(|stat| stat["name"] == "cx_active").any(|stat| stat["value"].is_string());
            !used || connected
        };
        hosts.all(is_reached).then_some(())
    })
    .await;
}

/// Waits until the server says that these texts are in force: an Envoy may hear of it before.
async fn in_force(plane: &ControlPlane, texts: &[&str]) {
    eventually("the server has taken the policies", async || {
        let policies = plane.get_json("/api/v1/policies").await;
        let files = policies["files"].as_array()?;
        texts.iter().all(|text| files.iter().any(|file| file["text"] == *text)).then_some(())
    })
    .await;
}

/// Waits until each kind of resource that differs has been taken.
async fn arrived(envoy: &Envoy, plan: &Value, before: &Seen) {
    let changes = plan["changes"].as_array().unwrap().iter();
    let signs: BTreeSet<String> = changes
        .map(|change| {
            let scope = change["resource"].as_str().unwrap().replace(':', "_");
            match (change["type"].as_str().unwrap(), change["change"].as_str().unwrap()) {
                ("route", _) => "http.outbound.rds.outbound.config_reload".to_owned(),
                ("listener", _) => "listener_manager.listener_modified".to_owned(),
                ("cluster", "added") => "cluster_manager.cluster_added".to_owned(),
                ("cluster", "removed") => "cluster_manager.cluster_removed".to_owned(),
                ("cluster", _) => "cluster_manager.cluster_modified".to_owned(),
                (_, "removed") => "cluster_manager.cluster_removed".to_owned(),
                _ => format!("cluster.{scope}.update_success"),
            }
        })
        .collect();
    for name in signs {
        envoy.until(&name, |now| i64::try_from(now).unwrap() > before.stat(&name)).await;
    }
    envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
}

#[tokio::test]
async fn a_limit_is_held_against_what_a_real_envoy_has_in_use() {
    let port = free_port();
    let instances = Instance::start_many(&["orders-1", "orders-2"]).await;
    let limit = |number: u32| policy(&format!("  connectionPool: {{ tcp: {{ maxConnections: {number} }} }}\n"));
    let plane = ControlPlane::start(&services(&instances), &limit(100), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1", "--service", "caller"]).await;
    // Requests that nobody answers yet: each holds a connection.
    instances.iter().for_each(|instance| instance.take_ms(600_000));
    let asking: Vec<_> = (0..7)
        .map(|_| {
            let proxy = envoy.proxy();
            tokio::spawn(async move { Connection::open(&proxy).await.unwrap().get("/", "orders", "").await.is_ok() })
        })
        .collect();
    envoy.until("cluster.orders_80.upstream_rq_active", |active| active == 7).await;
    fs::write(plane.path("clusters.json"), envoy.clusters().await.to_string()).unwrap();
    let stats = http::get_chunked(&envoy.admin(), "/stats?format=json").await.unwrap();
    fs::write(plane.path("stats.json"), stats).unwrap();
    asking.into_iter().for_each(|asking| asking.abort());
    for load in ["clusters.json", "stats.json"] {
        for (number, is_below) in [(6, true), (7, false)] {
            propose(&plane, &mesh(&plane), &limit(number));
            let plan = plan(&plane, &["--load", load]);
            let risks = plan["risks"].as_array().unwrap().iter();
            let found: Vec<&str> = risks
                .filter(|risk| risk["id"] == "limit-below-use")
                .map(|risk| risk["text"].as_str().unwrap())
                .collect();
            assert_eq!(found.len(), usize::from(is_below), "{load}, {number}: {plan:#}");
            assert!(
                found.iter().all(|text| text.contains("6 connections") && text.ends_with("has 7 now")),
                "{found:?}"
            );
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
        let plan = propose(&plane, &mesh(&plane), &proposed);
        let mut effects = plan["effects"].as_array().unwrap().iter();
        let reshuffle = effects.find(|effect| effect["id"] == "hash-reshuffle").expect("the keys are reshuffled");
        let text = reshuffle["text"].as_str().unwrap();
        let predicted: f64 = text.split(' ').next().unwrap().parse().unwrap();
        let modified = envoy.stat("cluster_manager.cluster_modified").await;
        plane.write_policies(&proposed);
        in_force(&plane, &[&proposed]).await;
        envoy.until("cluster_manager.cluster_modified", |now| now > modified).await;
        envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
        let after = who_serves(&envoy).await;
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let seen = moved as f64 * 100.0 / KEYS as f64;
        assert!((seen - predicted).abs() < 1.0, "{table}: {predicted} % predicted, {seen} % seen");
        before = after;
    }
}
