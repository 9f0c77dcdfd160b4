//! A real Envoy, and what it sends again: an idempotent request after an answer, any request before one, and a request
//! that is not idempotent only where somebody asked for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    http::Connection,
    services::Instance,
};

/// `orders` has one instance; `mixed` has it too, and an address where nobody listens.
fn services(instance: &Instance, nobody: u16) -> String {
    let service = |name: &str, endpoints: &[u16]| {
        let endpoints: Vec<String> =
            endpoints.iter().map(|port| format!("{{ address: 127.0.0.1, ports: {{ http: {port} }} }}")).collect();
        format!(
            "  - name: {name}\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints: [ {} ]\n",
            endpoints.join(", ")
        )
    };
    let port = instance.port;
    format!("services:\n{}{}", service("orders", &[port]), service("mixed", &[port, nobody]))
}

fn policy(settings: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: all }}\nspec: {{ {settings} }}\n"
    )
}

/// Sends a request, and says its status and how often the instance saw it.
async fn send(envoy: &Envoy, instance: &Instance, method: &str, service: &str) -> (u16, u64) {
    let before = instance.served();
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    let answer = connection.request(method, &format!("http://{service}/"), service, "").await.unwrap();
    (answer.status, instance.served() - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_idempotent_requests_are_repeated_after_an_answer_unless_asked() {
    let port = free_port();
    let instance = Instance::start("orders").await;
    let services = services(&instance, free_port());
    let plane =
        ControlPlane::start(&services, &policy("retries: { attempts: 2, retryOn: \"connect-failure,503\" }"), port)
            .await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;

    // What no endpoint saw is sent again, whatever the method: every second one meets the address where nobody listens.
    for _ in 0..6 {
        assert_eq!(send(&envoy, &instance, "POST", "mixed").await, (200, 1));
    }

    instance.answer_with(503);
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(send(&envoy, &instance, method, "orders").await, (503, 3), "{method}");
    }
    for method in ["POST", "PATCH"] {
        assert_eq!(send(&envoy, &instance, method, "orders").await, (503, 1), "{method}");
    }

    plane.write_policies(&policy("retries: { attempts: 2, retryOn: \"503\", nonIdempotent: true }"));
    eventually("a POST is repeated where that is asked for", async || {
        (send(&envoy, &instance, "POST", "orders").await == (503, 3)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_is_hedged_where_it_may_be_repeated() {
    let port = free_port();
    let instance = Instance::start("orders").await;
    let services = services(&instance, free_port());
    let hedged = |more: &str| {
        policy(&format!("hedging: {{ onPerTryTimeout: true }}, retries: {{ attempts: 2, perTryTimeout: 100ms{more} }}"))
    };
    let plane = ControlPlane::start(&services, &hedged(""), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;

    // Long enough for both of the further tries, also on a slow machine.
    instance.take_ms(3_000);
    assert_eq!(send(&envoy, &instance, "GET", "orders").await, (200, 3));
    // The first try has its time, as a try without hedging has, and ends with it.
    assert_eq!(send(&envoy, &instance, "POST", "orders").await, (504, 1));

    plane.write_policies(&hedged(", nonIdempotent: true"));
    eventually("a POST is hedged where that is asked for", async || {
        (send(&envoy, &instance, "POST", "orders").await == (200, 3)).then_some(())
    })
    .await;
}
