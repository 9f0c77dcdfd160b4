//! Real Envoys, and what they reject: a cluster that breaks a constraint, and a virtual host with a broken pattern. What
//! was sent beside it arrives, who comes later gets a working mesh, and no request fails.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use serde_json::Value;
use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    load::Load,
    services::Instance,
};

fn services(orders: &Instance, users: &Instance) -> String {
    let service = |name: &str, instance: &Instance| {
        format!(
            "  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
             endpoints: [ {{ address: 127.0.0.1, ports: {{ http: {} }} }} ]\n",
            instance.port
        )
    };
    format!("services:\n{}{}", service("orders", orders), service("users", users))
}

/// Timeouts of users in seconds, and a patch of orders.
fn policies(users: u32, patch: Option<(&str, &str)>) -> String {
    let mut text = format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: users }}\nspec:\n  target: {{ service: \
         users }}\n  timeout: {users}s\n  connectionPool: {{ tcp: {{ connectTimeout: {users}s }} }}\n"
    );
    if let Some((of, merge)) = patch {
        text += &format!(
            "---\napiVersion: chancery.dev/v1alpha1\nkind: EnvoyPatch\nmetadata: {{ name: bad }}\nspec:\n  target: {{ \
             service: orders }}\n  patches:\n    - type: {of}\n      merge: {merge}\n"
        );
    }
    text
}

/// The connect timeout of each cluster, and the timeout of each virtual host's last route, as Envoy has them.
async fn active(envoy: &Envoy, name: &str) -> (String, String) {
    let dump = envoy.config_dump().await;
    let configs = dump["configs"].as_array().unwrap();
    let lists = |key: &'static str| configs.iter().filter_map(move |config| config[key].as_array()).flatten();
    let cluster =
        lists("dynamic_active_clusters").map(|entry| &entry["cluster"]).find(|cluster| cluster["name"] == name);
    let hosts = lists("dynamic_route_configs")
        .filter(|entry| entry["route_config"]["name"] == "outbound")
        .filter_map(|entry| entry["route_config"]["virtual_hosts"].as_array())
        .flatten();
    let host = hosts.into_iter().find(|host| host["name"] == name);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("none").to_owned();
    let timeout = host.and_then(|host| host["routes"].as_array()?.last()).map(|route| &route["route"]["timeout"]);
    (text(cluster.map(|cluster| &cluster["connect_timeout"])), text(timeout))
}

async fn until(envoy: &Envoy, name: &str, wanted: (&str, &str)) {
    eventually(&format!("{name} is {wanted:?} at {}", envoy.admin()), async || {
        let found = active(envoy, name).await;
        ((found.0.as_str(), found.1.as_str()) == wanted).then_some(())
    })
    .await;
}

/// The one thing that is quarantined.
async fn quarantined(plane: &ControlPlane) -> Value {
    eventually("one thing is quarantined", async || {
        let answer = plane.get_json("/api/v1/rejections").await;
        let known = answer["rejections"].as_array()?.clone();
        let [only] = known.as_slice() else { return None };
        (only["quarantined"] == true).then(|| only.clone())
    })
    .await
}

async fn what_envoys_reject(dialect: Dialect) {
    let port = free_port();
    let (orders, users) = (Instance::start("orders-1").await, Instance::start("users-1").await);
    let plane = ControlPlane::start(&services(&orders, &users), &policies(3, None), port).await;
    let mut envoys = Vec::new();
    for number in 1..=3 {
        // They share the port: the system spreads connections over them.
        let node = format!("caller-{number}");
        envoys.push(Envoy::start(&plane, dialect, port, &["--node", &node, "--service", "caller"]).await);
    }
    for envoy in &envoys {
        until(envoy, "users:80", ("3s", "3s")).await;
    }
    let loads = ["http://orders/", "http://users/"].map(|url| Load::start(envoys[0].proxy(), url.into(), 6));

    // A cluster that breaks a constraint: Envoy applies nothing of such a response.
    plane.write_policies(&policies(4, Some(("cluster", "{ connect_timeout: 0s }"))));
    for envoy in &envoys {
        until(envoy, "users:80", ("4s", "4s")).await;
        until(envoy, "orders:80", ("10s", "0s")).await;
        assert!(envoy.stat("cluster_manager.cds.update_rejected").await >= 1);
    }
    let found = quarantined(&plane).await;
    assert_eq!((&found["type"], &found["resource"]), (&"clusters".into(), &"orders:80".into()));
    assert_eq!(found["documents"][0]["document"], "EnvoyPatch/bad");
    assert_eq!(found["documents"][0]["line"], 16, "the line that says it: {found}");
    assert!(found["message"].as_str().unwrap().contains("ConnectTimeout: value must be greater than 0s"), "{found}");
    let late = Envoy::start(&plane, dialect, port, &["--node", "late-1", "--service", "caller"]).await;
    until(&late, "orders:80", ("10s", "0s")).await;
    until(&late, "users:80", ("4s", "4s")).await;
    assert_eq!(late.stat("cluster_manager.cds.update_rejected").await, 0, "it never saw it");
    envoys.push(late);
    for load in &loads {
        load.for_answers(100).await;
    }

    // A virtual host with a broken pattern, which Envoy does not name, together with another one that is fine.
    let broken = "{ route: { regex_rewrite: { pattern: { regex: \"(\" }, substitution: x } } }";
    plane.write_policies(&policies(5, Some(("route", broken))));
    for envoy in &envoys {
        until(envoy, "users:80", ("5s", "5s")).await;
        until(envoy, "orders:80", ("10s", "0s")).await;
    }
    let found = quarantined(&plane).await;
    assert_eq!((&found["resource"], &found["virtualHost"]), (&"outbound".into(), &"orders:80".into()));
    assert_eq!(found["documents"][0]["document"], "EnvoyPatch/bad");
    assert_eq!(found["offered"], "the form that was accepted last");
    let late = Envoy::start(&plane, dialect, port, &["--node", "late-2", "--service", "caller"]).await;
    until(&late, "orders:80", ("10s", "0s")).await;
    until(&late, "users:80", ("5s", "5s")).await;
    assert_eq!(late.stat("http.outbound.rds.outbound.update_rejected").await, 0, "it never saw it");
    envoys.push(late);
    for load in &loads {
        load.for_answers(100).await;
    }

    // The correction reaches all of them.
    plane.write_policies(&policies(6, Some(("cluster", "{ connect_timeout: 2s }"))));
    for envoy in &envoys {
        until(envoy, "users:80", ("6s", "6s")).await;
        until(envoy, "orders:80", ("2s", "0s")).await;
        envoy.until("cluster_manager.warming_clusters", |warming| warming == 0).await;
    }
    eventually("nothing is rejected any more", async || {
        let answer = plane.get_json("/api/v1/rejections").await;
        answer["rejections"].as_array()?.is_empty().then_some(())
    })
    .await;
    for load in loads {
        let counts = load.stop().await;
        assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
        assert!(counts.total() >= 200);
    }
    for envoy in &envoys {
        assert_eq!(http::through_proxy(&envoy.proxy(), "http://orders/").await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoys_reject_stops_nothing_else_in_delta() {
    what_envoys_reject(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_envoys_reject_stops_nothing_else_in_state_of_the_world() {
    what_envoys_reject(Dialect::Sotw).await;
}
