//! A real Envoy in both dialects: traffic flows, and every kind of change takes effect without a failed request.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    load::Load,
    services::Instance,
};

fn service(name: &str, instances: &[(&Instance, u32)]) -> String {
    let endpoints: String = instances
        .iter()
        .map(|(instance, weight)| {
            format!("      - {{ address: 127.0.0.1, ports: {{ http: {} }}, weight: {weight} }}\n", instance.port)
        })
        .collect();
    format!(
        "  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n{endpoints}\n"
    )
}

fn services(list: &[String]) -> String {
    format!("services:\n{}", list.concat())
}

const ROUND_ROBIN: &str = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: orders }\n\
                           spec: { target: { service: orders }, loadBalancer: { simple: ROUND_ROBIN } }\n";

async fn every_change_takes_effect(dialect: Dialect) {
    let port = free_port();
    let orders = Instance::start_many(&["orders-1", "orders-2", "orders-3"]).await;
    let [one, two, three] = orders.as_slice() else { panic!("three instances") };
    let plane = ControlPlane::start(&services(&[service("orders", &[(one, 1), (two, 1)])]), ROUND_ROBIN, port).await;
    let envoy = Envoy::start(&plane, dialect, port, &["--node", "caller-1", "--service", "caller"]).await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 4);

    load.for_answers(100).await;
    let counts = load.counts();
    assert!(counts.of("orders-1").abs_diff(counts.of("orders-2")) <= counts.total() / 10, "spread: {counts:?}");

    // An endpoint more, and a weight.
    plane.write_services(&services(&[service("orders", &[(one, 1), (two, 1), (three, 8)])]));
    eventually("the new instance is used", async || (load.counts().of("orders-3") > 0).then_some(())).await;
    let before = load.counts();
    load.for_answers(200).await;
    let after = load.counts();
    let share = (after.of("orders-3") - before.of("orders-3")) * 100 / (after.total() - before.total());
    assert!((70..=90).contains(&share), "8 of 10 parts go to the heavy one, found {share} %");
    assert_eq!(envoy.stat("cluster_manager.cluster_modified").await, 0, "endpoints change in place");

    // A policy.
    plane.write_policies(&ROUND_ROBIN.replace("ROUND_ROBIN }", "RANDOM }, timeout: 3s"));
    envoy.until("cluster_manager.cluster_modified", |modified| modified == 1).await;
    envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
    load.for_answers(50).await;

    // A service more, and one less.
    let billing = Instance::start("billing-1").await;
    let orders_now = service("orders", &[(one, 1), (two, 1), (three, 8)]);
    plane.write_services(&services(&[orders_now.clone(), service("billing", &[(&billing, 1)])]));
    eventually("billing is reached", async || {
        http::through_proxy(&envoy.proxy(), "http://billing/").await.ok().filter(|answer| answer.body == "billing-1")
    })
    .await;
    plane.write_services(&services(&[orders_now]));
    envoy.until("cluster_manager.cluster_removed", |removed| removed == 1).await;
    let gone = http::through_proxy(&envoy.proxy(), "http://billing/").await.unwrap();
    assert_eq!(gone.status, 404, "{}", gone.body);
    assert!(gone.body.contains("No service in the mesh"), "{}", gone.body);

    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    let stats = envoy.stats().await;
    for (name, rejected) in stats.iter().filter(|(name, _)| name.ends_with("update_rejected")) {
        assert_eq!(*rejected, 0, "{name}");
    }
    assert_eq!(stats["cluster_manager.warming_clusters"], 0);
    assert_eq!(plane.metric("chancery_xds_nacks_total").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_takes_effect_in_delta() {
    every_change_takes_effect(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_takes_effect_in_state_of_the_world() {
    every_change_takes_effect(Dialect::Sotw).await;
}

/// The control plane is killed and comes back: what a proxy has it keeps, and nothing is sent that it holds.
async fn a_restart_is_not_felt(dialect: Dialect) {
    let port = free_port();
    let orders = Instance::start_many(&["orders-1", "orders-2"]).await;
    let list = services(&[service("orders", &[(&orders[0], 1), (&orders[1], 1)])]);
    let mut plane = ControlPlane::start(&list, ROUND_ROBIN, port).await;
    let envoy = Envoy::start(&plane, dialect, port, &["--node", "caller-1"]).await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 4);
    load.for_answers(50).await;
    let before = envoy.stats().await;

    for asked_to_stop in [false, true] {
        if asked_to_stop {
            let began = std::time::Instant::now();
            plane.process().signal("TERM");
            assert_eq!(plane.process().0.wait().unwrap().code(), Some(0));
            assert!(
                began.elapsed() < std::time::Duration::from_secs(9),
                "it ends within its deadline, with streams open"
            );
        }
        plane.kill();
        envoy.until("control_plane.connected_state", |connected| connected == 0).await;
        load.for_answers(50).await;
        plane.run().await;
        envoy.until("control_plane.connected_state", |connected| connected == 1).await;
        // Endpoints are sent again in full (a client may have lost them); when they came, the rest was answered.
        eventually("the proxy settled", async || {
            (plane.metric("chancery_xds_acks_total{type=\"endpoints\"").await > 0).then_some(())
        })
        .await;
        load.for_answers(50).await;
    }

    let after = envoy.stats().await;
    for name in
        ["cluster_manager.cluster_modified", "cluster_manager.cluster_added", "listener_manager.listener_modified"]
    {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
    assert_eq!(plane.metric("chancery_xds_resources_total{type=\"clusters\"").await, 0, "no cluster is sent again");
    assert_eq!(plane.metric("chancery_xds_resources_total{type=\"listeners\"").await, 0, "no listener is sent again");
    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_not_felt_in_delta() {
    a_restart_is_not_felt(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_not_felt_in_state_of_the_world() {
    a_restart_is_not_felt(Dialect::Sotw).await;
}

/// Every instance is replaced in turn: marked as draining, then stopped, then gone from the snapshot.
#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_fails_no_request() {
    let port = free_port();
    let mut running = Instance::start_many(&["a-1", "a-2", "a-3"]).await;
    let list = |instances: &[Instance], draining: Option<u16>| {
        let endpoints: String = instances
            .iter()
            .map(|instance| {
                let health = if Some(instance.port) == draining { "draining" } else { "healthy" };
                format!("      - {{ address: 127.0.0.1, ports: {{ http: {} }}, health: {health} }}\n", instance.port)
            })
            .collect();
        format!(
            "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n{endpoints}"
        )
    };
    let plane = ControlPlane::start(&list(&running, None), ROUND_ROBIN, port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 8);
    load.for_answers(100).await;

    for round in 1..=3 {
        running.push(Instance::start(&format!("b-{round}")).await);
        plane.write_services(&list(&running, None));
        eventually("the new instance is used", async || (load.counts().of(&format!("b-{round}")) > 0).then_some(()))
            .await;
        let old = running.remove(0);
        let all: Vec<Instance> = std::iter::once(old).chain(running.drain(..)).collect();
        plane.write_services(&list(&all, Some(all[0].port)));
        let mut all = all.into_iter();
        let old = all.next().unwrap();
        running = all.collect();
        // Drained when it is asked nothing any more.
        let mut seen = old.served();
        eventually("the old instance is idle", async || {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let idle = old.served() == seen;
            seen = old.served();
            idle.then_some(())
        })
        .await;
        plane.write_services(&list(&running, None));
        old.stop().await;
        load.for_answers(100).await;
    }
    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    assert!(["b-1", "b-2", "b-3"].iter().all(|name| counts.of(name) > 0), "{counts:?}");
}

/// What one resource has wrong is that resource's alone. Two services of sources that know nothing of each other
/// cannot be told apart by text here, so an address that Envoy cannot listen on stands in: the listener is rejected.
#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_resource_does_not_disturb_the_others() {
    let port = free_port();
    let one = Instance::start("orders-1").await;
    let good = service("orders", &[(&one, 1)]);
    let plane = ControlPlane::start(&services(std::slice::from_ref(&good)), ROUND_ROBIN, port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    let load = Load::start(envoy.proxy(), "http://orders/".into(), 2);
    load.for_answers(20).await;

    // 198.51.100.0/24 is for documentation: no machine has it, so Envoy cannot bind there and rejects the listener.
    let bad = "  - name: bad\n    ports: [ { name: tcp, port: 5432, protocol: tcp, listen: \"198.51.100.1:5432\" } ]\n";
    let two = Instance::start("orders-2").await;
    plane.write_services(&services(&[service("orders", &[(&one, 1), (&two, 1)]), bad.into()]));
    eventually("the rejection is known", async || {
        let proxies = plane.get_json("/api/v1/proxies").await;
        let error = proxies["proxies"][0]["types"]["listeners"]["lastError"].as_str()?.to_owned();
        error.contains("bad:5432").then_some(())
    })
    .await;
    assert!(plane.log().contains("NACK"), "{}", plane.log());
    let sent = plane.metric("chancery_xds_resources_total{type=\"listeners\"").await;

    eventually("the other service's new instance is used", async || (load.counts().of("orders-2") > 0).then_some(()))
        .await;
    plane.write_services(&services(&[service("orders", &[(&two, 1)]), bad.into()]));
    envoy.until("cluster.orders_80.membership_total", |members| members == 1).await;
    assert_eq!(
        plane.metric("chancery_xds_resources_total{type=\"listeners\"").await,
        sent,
        "what was rejected is not sent again"
    );

    // Mended, it is taken.
    plane.write_services(&services(&[service("orders", &[(&two, 1)])]));
    envoy.until("cluster_manager.cluster_removed", |removed| removed == 1).await;
    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
}
