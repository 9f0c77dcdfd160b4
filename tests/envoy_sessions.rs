//! A real Envoy that keeps clients with their endpoints: by the cookie it set, while the endpoint drains, and no longer
//! than there is such an endpoint; and no listener changes when a policy begins to ask for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    http::Connection,
    services::Instance,
};

fn services(endpoints: &[(&Instance, &str)]) -> String {
    let mut text = String::from(
        "services:\n  - name: carts\n    ports: [ { name: http, port: 80, protocol: http } ]\n    endpoints:\n",
    );
    for (instance, health) in endpoints {
        text.push_str(&format!(
            "      - {{ address: 127.0.0.1, ports: {{ http: {} }}, health: {health} }}\n",
            instance.port
        ));
    }
    text
}

fn policy(session: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: carts }}\n\
         spec: {{ target: {{ service: carts }}, loadBalancer: {{ simple: ROUND_ROBIN }}{session} }}\n"
    )
}

/// What answered, and the session that the answer began.
async fn ask(envoy: &Envoy, session: Option<&str>) -> (u16, String, Option<String>) {
    let cookie = session.map(|session| format!("cookie: {session}\r\n")).unwrap_or_default();
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    let answer = connection.get("http://carts/", "carts", &cookie).await.unwrap();
    let set = connection.headers.get("set-cookie").and_then(|set| Some(set.split_once(';')?.0.to_owned()));
    (answer.status, answer.body, set)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_stays_with_its_endpoint() {
    let port = free_port();
    let instances = Instance::start_many(&["one", "two", "three"]).await;
    let healthy: Vec<_> = instances.iter().map(|instance| (instance, "healthy")).collect();
    let plane = ControlPlane::start(&services(&healthy), &policy(""), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    assert_eq!(ask(&envoy, None).await.2, None);

    let names = ["listener_manager.listener_modified", "listener_manager.total_listeners_draining"];
    let before = envoy.stats().await;
    plane.write_policies(&policy(", statefulSession: { cookie: { name: endpoint } }"));
    let (at, session) = eventually("an answer begins a session", async || {
        let (_, at, session) = ask(&envoy, None).await;
        Some((at, session?))
    })
    .await;
    let after = envoy.stats().await;
    for name in names {
        assert_eq!(after.get(name), before.get(name), "{name}");
    }
    for _ in 0..12 {
        assert_eq!(ask(&envoy, Some(&session)).await, (200, at.clone(), None));
    }

    // Its endpoint drains: nothing new gets there, and the session goes on.
    let of_session = |instance: &&Instance| instance.name == at;
    let draining: Vec<_> = instances
        .iter()
        .map(|instance| (instance, if of_session(&instance) { "draining" } else { "healthy" }))
        .collect();
    plane.write_services(&services(&draining));
    eventually("new clients go elsewhere", async || {
        for _ in 0..6 {
            if ask(&envoy, None).await.1 == at {
                return None;
            }
        }
        Some(())
    })
    .await;
    for _ in 0..12 {
        assert_eq!(ask(&envoy, Some(&session)).await, (200, at.clone(), None));
    }

    // It is gone: another one takes the session over.
    let rest: Vec<_> = healthy.iter().copied().filter(|(instance, _)| !of_session(instance)).collect();
    plane.write_services(&services(&rest));
    let (elsewhere, moved) = eventually("another endpoint takes the session over", async || {
        let (_, elsewhere, moved) = ask(&envoy, Some(&session)).await;
        Some((elsewhere, moved?))
    })
    .await;
    assert_ne!(elsewhere, at);
    assert_eq!(ask(&envoy, Some(&moved)).await, (200, elsewhere, None));

    // Or nobody does.
    plane.write_policies(&policy(", statefulSession: { cookie: { name: endpoint }, strict: true }"));
    eventually("nobody else takes a strict session over", async || {
        (ask(&envoy, Some(&session)).await.0 == 503).then_some(())
    })
    .await;
    assert_eq!(ask(&envoy, None).await.0, 200);
}
