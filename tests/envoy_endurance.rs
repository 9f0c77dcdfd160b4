//! A real Envoy of 2,000 clusters through rolling edits of every kind, under constant traffic: no request fails, nothing
//! is rejected, nothing warms for ever, and a cluster or a route changes exactly as often as somebody changed it. Then
//! the control plane is killed in the middle of a push, and started again.
//!
//! Short here; two minutes with CHANCERY_LONG=1 (`make endurance`).
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use serde_json::json;
use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    load::Load,
    services::Instance,
};

/// Services whose policies are edited, each by a document of its own.
const WITH_POLICY: usize = 20;

/// Services that traffic goes to: those with policies among them, and one that rolls its instances.
const UNDER_LOAD: usize = 40;

fn name(number: usize) -> String {
    format!("s{number:04}")
}

fn service(name: &str, ports: &[u16]) -> String {
    let mut text = format!(
        "services:\n  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n"
    );
    for port in ports {
        text.push_str(&format!("      - {{ address: 127.0.0.1, ports: {{ http: {port} }} }}\n"));
    }
    text
}

/// What a policy says of a service: its cluster's limit, its route's timeout.
fn policy(name: &str, (connections, timeout): (usize, usize)) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {name} }}\n\
         spec: {{ target: {{ service: {name} }}, timeout: {timeout}s, \
         connectionPool: {{ tcp: {{ maxConnections: {connections} }} }} }}\n"
    )
}

/// A world that is edited, the Envoy that follows, and how often each of its counters should have risen.
struct World {
    dialect: Dialect,
    services: usize,
    plane: ControlPlane,
    envoy: Envoy,
    pool: Vec<Instance>,
    /// The instance of service 0, which rolls.
    rolling: Option<Instance>,
    policies: Vec<(usize, usize)>,
    expected: BTreeMap<&'static str, u64>,
    edits: BTreeMap<&'static str, u64>,
    slowest: Duration,
}

const MODIFIED: &str = "cluster_manager.cluster_modified";
const ADDED: &str = "cluster_manager.cluster_added";
const REMOVED: &str = "cluster_manager.cluster_removed";
const WARMING: &str = "cluster_manager.warming_clusters";
const CDS: &str = "cluster_manager.cds.update_success";
const ROUTES: &str = "http.outbound.rds.outbound.config_reload";
const LISTENERS: [&str; 3] = [
    "listener_manager.listener_modified",
    "listener_manager.listener_added",
    "listener_manager.total_listeners_draining",
];

impl World {
    async fn begin(dialect: Dialect, services: usize) -> Self {
        let port = free_port();
        let pool = Instance::start_many(&["a", "b", "c", "d"]).await;
        let rolling = Instance::start("r0").await;
        let mut plane = ControlPlane::prepare("services: []\n", "", port);
        let config = fs::read_to_string(plane.path("chancery.yaml")).unwrap();
        plane.write("chancery.yaml", &config.replace("services.yaml", "services"));
        fs::create_dir(plane.path("services")).unwrap();
        plane.write("services/s0000.yaml", &service(&name(0), &[rolling.port]));
        for number in 1..services {
            let ports = [pool[number % 4].port, pool[(number + 1) % 4].port];
            plane.write(&format!("services/{}.yaml", name(number)), &service(&name(number), &ports[..1 + number % 2]));
        }
        let policies = vec![(1000, 20); WITH_POLICY];
        for (number, values) in policies.iter().enumerate() {
            plane.write(&format!("policies/{}.yaml", name(number)), &policy(&name(number), *values));
        }
        plane.spawn();
        // Thousands of services in a build that is not optimised, on a machine that does other things.
        let ready = async || http::get(&plane.admin(), "/readyz").await.is_ok_and(|answer| answer.status == 200);
        let deadline = Instant::now() + Duration::from_secs(120);
        while !ready().await {
            assert!(Instant::now() < deadline, "not ready: {}", plane.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let envoy = Envoy::start_with(&plane, dialect, port, &["--node", "caller-1"], |bootstrap| {
            // Of thousands of clusters' hundreds of statistics, those that are asked for.
            let wanted = [
                json!({ "prefix": "cluster_manager." }),
                json!({ "prefix": "listener_manager." }),
                json!({ "prefix": "cluster.xds." }),
                json!({ "contains": "rds.outbound" }),
                json!({ "suffix": "update_rejected" }),
            ];
            bootstrap["stats_config"] = json!({ "stats_matcher": { "inclusion_list": { "patterns": wanted } } });
        })
        .await;
        let stats = envoy.stats().await;
        let expected = [MODIFIED, ADDED, REMOVED, CDS, ROUTES].into_iter().chain(LISTENERS);
        let expected = expected.map(|name| (name, stats.get(name).copied().unwrap_or(0))).collect();
        let edits = BTreeMap::new();
        let slowest = Duration::ZERO;
        Self { dialect, services, plane, envoy, pool, rolling: Some(rolling), policies, expected, edits, slowest }
    }

    fn expect(&mut self, name: &'static str, more: u64) {
        *self.expected.get_mut(name).unwrap() += more;
    }

    /// Waits until Envoy's counters are as they should be, and not one further.
    async fn settled(&mut self, kind: &'static str, since: Instant) {
        eventually(kind, async || {
            let stats = self.envoy.stats().await;
            let come = self.expected.iter().all(|(name, value)| stats.get(*name).copied().unwrap_or(0) >= *value);
            (come && stats[WARMING] == 0).then_some(())
        })
        .await;
        self.slowest = self.slowest.max(since.elapsed());
        *self.edits.entry(kind).or_default() += 1;
        self.assert_nothing_more().await;
    }

    async fn assert_nothing_more(&self) {
        let stats = self.envoy.stats().await;
        for (name, value) in &self.expected {
            assert_eq!(stats.get(*name).copied().unwrap_or(0), *value, "{name} after {:?}", self.edits);
        }
        for (name, rejected) in stats.iter().filter(|(name, _)| name.ends_with("update_rejected")) {
            assert_eq!(*rejected, 0, "{name}");
        }
    }

    async fn answers(&self, service: &str, instance: &str) {
        eventually("the instance answers", async || {
            let answer = http::through_proxy(&self.envoy.proxy(), &format!("http://{service}/")).await;
            answer.ok().filter(|answer| answer.body == instance)
        })
        .await;
    }

    /// Service 0 gets a new instance, then its old one ends: what a rollout does.
    async fn roll_endpoints(&mut self, round: usize) {
        let since = Instant::now();
        let old = self.rolling.take().unwrap();
        let new = Instance::start(&format!("r{}", round + 1)).await;
        self.plane.write("services/s0000.yaml", &service(&name(0), &[old.port, new.port]));
        self.answers(&name(0), &new.name).await;
        self.plane.write("services/s0000.yaml", &service(&name(0), &[new.port]));
        let gone = old.name.clone();
        eventually("the old instance is left", async || {
            for _ in 0..4 {
                if http::through_proxy(&self.envoy.proxy(), "http://s0000/").await.ok()?.body == gone {
                    return None;
                }
            }
            Some(())
        })
        .await;
        old.stop().await;
        self.rolling = Some(new);
        self.settled("endpoints rolled", since).await;
    }

    async fn edit_cluster(&mut self, round: usize) {
        let since = Instant::now();
        let number = round % WITH_POLICY;
        self.policies[number].0 += 1;
        self.plane.write(&format!("policies/{}.yaml", name(number)), &policy(&name(number), self.policies[number]));
        self.expect(MODIFIED, 1);
        self.expect(CDS, 1);
        self.settled("cluster edited", since).await;
    }

    async fn edit_route(&mut self, round: usize) {
        let since = Instant::now();
        let number = (round + 7) % WITH_POLICY;
        self.policies[number].1 += 1;
        self.plane.write(&format!("policies/{}.yaml", name(number)), &policy(&name(number), self.policies[number]));
        self.expect(ROUTES, 1);
        self.settled("route edited", since).await;
    }

    async fn add_and_remove(&mut self, round: usize) {
        let since = Instant::now();
        let added = format!("added-{round}");
        let file = format!("services/{added}.yaml");
        self.plane.write(&file, &service(&added, &[self.pool[round % 4].port]));
        self.expect(ADDED, 1);
        self.expect(CDS, 1);
        self.expect(ROUTES, 1);
        self.settled("service added", since).await;
        self.answers(&added, &self.pool[round % 4].name.clone()).await;
        let since = Instant::now();
        fs::remove_file(self.plane.path(&file)).unwrap();
        self.expect(REMOVED, 1);
        self.expect(CDS, 1);
        self.expect(ROUTES, 1);
        self.settled("service removed", since).await;
    }

    /// Every cluster is about to change, and the control plane is gone in the middle of saying so.
    async fn killed_mid_push(&mut self) {
        let since = Instant::now();
        let all = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: all }\n\
                   spec: { connectionPool: { tcp: { connectTimeout: 7s } } }\n";
        let before = self.envoy.stat(MODIFIED).await;
        self.plane.write("policies/all.yaml", all);
        while self.envoy.stat(MODIFIED).await == before {}
        self.plane.kill();
        self.plane.run().await;
        self.expect(MODIFIED, self.services as u64);
        let wanted = self.expected[MODIFIED];
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let stats = self.envoy.stats().await;
            if stats[MODIFIED] >= wanted && stats[WARMING] == 0 && stats["cluster.xds.upstream_cx_active"] == 1 {
                break;
            }
            assert!(Instant::now() < deadline, "{} of {wanted}, {} warm", stats[MODIFIED], stats[WARMING]);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The names of the documents that shaped a route are in it; and how the changes were cut into responses, and
        // what the end of one and the beginning of the next process repeated, is free.
        let stats = self.envoy.stats().await;
        self.expected.insert(CDS, stats[CDS]);
        self.expected.insert(ROUTES, stats[ROUTES]);
        self.settled("killed in the middle of a push", since).await;
    }

    /// Envoy holds everything when the control plane comes back: it is told nothing of clusters and listeners.
    async fn restarted(&mut self) {
        let since = Instant::now();
        self.plane.kill();
        self.plane.run().await;
        let sent =
            async |what: &str| self.plane.metric(&format!("chancery_xds_resources_total{{type=\"{what}\"}}")).await;
        eventually("Envoy is back", async || (sent("endpoints").await >= self.services as u64).then_some(())).await;
        // State of the world has them sent again, and Envoy finds nothing new in them: its counters say so below.
        if self.dialect == Dialect::Delta {
            assert_eq!((sent("clusters").await, sent("listeners").await), (0, 0), "what it holds is sent again");
        }
        let stats = self.envoy.stats().await;
        self.expected.insert(CDS, stats[CDS]);
        self.settled("restarted", since).await;
        // It is heard again.
        self.edit_cluster(0).await;
    }
}

async fn live_through_rolling_edits(dialect: Dialect, services: usize) {
    let long = std::env::var_os("CHANCERY_LONG").is_some();
    let mut world = World::begin(dialect, services).await;
    let stats = world.envoy.stats().await;
    assert!(stats["cluster_manager.active_clusters"] >= services as u64, "{stats:?}");
    let urls = (0..UNDER_LOAD).map(|number| format!("http://{}/", name(number))).collect();
    let load = Load::over(world.envoy.proxy(), urls, 8);
    load.for_answers(100).await;

    let until = Instant::now() + Duration::from_secs(120);
    let mut round = 0;
    while if long { Instant::now() < until } else { round < 2 } {
        world.roll_endpoints(round).await;
        world.edit_cluster(round).await;
        world.edit_route(round).await;
        world.add_and_remove(round).await;
        round += 1;
    }
    world.killed_mid_push().await;
    world.restarted().await;
    load.for_answers(100).await;

    let counts = load.stop().await;
    let failed = &counts.failed;
    assert!(failed.is_empty(), "{} failed: {:?}", failed.len(), &failed[..failed.len().min(5)]);
    world.assert_nothing_more().await;
    if long {
        tell(&world, counts.total());
    }
}

#[allow(clippy::print_stderr, reason = "who runs the long variant wants its numbers")]
fn tell(world: &World, requests: u64) {
    let World { dialect, services, edits, slowest, expected, .. } = world;
    eprintln!(
        "{dialect:?}, {services} clusters: {requests} requests, 0 failed; edits: {edits:?}; slowest {slowest:?}; \
         Envoy: {expected:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_clusters_live_through_rolling_edits() {
    live_through_rolling_edits(Dialect::Delta, 2_000).await;
}

/// Each change of one cluster says all of them again; of them Envoy takes one.
#[tokio::test(flavor = "multi_thread")]
async fn a_few_hundred_do_in_state_of_the_world() {
    live_through_rolling_edits(Dialect::Sotw, 300).await;
}
