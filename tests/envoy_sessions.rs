//! A real Envoy that keeps clients with their endpoints, as a policy or a Gateway route asks: by the cookie it set, while the endpoint drains, and no longer
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

const ROUTE: &str = r#"apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: carts, namespace: shop }
spec:
  parentRefs: [ { group: "", kind: Service, name: carts } ]
  rules:
    - backendRefs: [ { name: carts, port: 80 } ]
    - matches: [ { path: { value: /cart } } ]
      sessionPersistence: { sessionName: cart, absoluteTimeout: 1h, cookieConfig: { lifetimeType: Permanent } }
      backendRefs: [ { name: carts, port: 80 } ]
    - matches: [ { path: { value: /checkout } } ]
      sessionPersistence: {}
      backendRefs: [ { name: carts, port: 80 } ]
    - matches: [ { path: { value: /api } } ]
      sessionPersistence: { sessionName: X-Session, type: Header }
      backendRefs: [ { name: carts, port: 80 } ]
"#;

/// What answered a request to a path, with its cookie and the header of its session.
async fn ask_path(envoy: &Envoy, path: &str, headers: &str) -> (String, Option<String>, Option<String>) {
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    let answer = connection.get(&format!("http://carts{path}"), "carts", headers).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let header = |name: &str| connection.headers.get(name).cloned();
    (answer.body, header("set-cookie"), header("x-session"))
}

/// Whether each of some requests, which are balanced from one to the next, meets the same endpoint.
async fn stays(envoy: &Envoy, path: &str, headers: &str) -> Option<String> {
    let (first, ..) = ask_path(envoy, path, headers).await;
    for _ in 0..8 {
        if ask_path(envoy, path, headers).await.0 != first {
            return None;
        }
    }
    Some(first)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_a_gateway_route_keeps_its_clients_and_no_others() {
    let port = free_port();
    let instances = Instance::start_many(&["one", "two", "three"]).await;
    let healthy: Vec<_> = instances.iter().map(|instance| (instance, "healthy")).collect();
    let services = services(&healthy).replace("    ports:", "    hosts: [ carts.shop.svc.cluster.local ]\n    ports:");
    let plane = ControlPlane::start(&services, &format!("{}---\n{ROUTE}", policy("")), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;

    // A rule without sessions has none.
    assert_eq!(ask_path(&envoy, "/", "").await.1, None);
    assert_eq!(stays(&envoy, "/", "").await, None);

    let (at, set, _) = ask_path(&envoy, "/cart", "").await;
    let set = set.expect("the answer begins a session");
    assert!(set.starts_with("cart=") && set.contains("Max-Age=3600") && set.contains("Path=/cart"), "{set}");
    let cookie = format!("cookie: {}\r\n", set.split(';').next().unwrap());
    assert_eq!(stays(&envoy, "/cart/items", &cookie).await, Some(at));
    // The session is the rule's alone.
    assert_eq!(stays(&envoy, "/checkout", &cookie).await, None);
    assert_eq!(stays(&envoy, "/", &cookie).await, None);

    let (at, set, _) = ask_path(&envoy, "/checkout", "").await;
    let set = set.expect("a session of a name that nobody wrote");
    assert!(set.starts_with("session-shop-carts-2=") && !set.contains("Max-Age"), "{set}");
    let cookie = format!("cookie: {}\r\n", set.split(';').next().unwrap());
    assert_eq!(stays(&envoy, "/checkout", &cookie).await, Some(at));

    let (at, cookie, session) = ask_path(&envoy, "/api", "").await;
    assert_eq!(cookie, None);
    let header = format!("x-session: {}\r\n", session.expect("the answer names the endpoint"));
    assert_eq!(stays(&envoy, "/api", &header).await, Some(at));
}
