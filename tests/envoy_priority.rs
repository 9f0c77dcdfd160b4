//! A real Envoy, and the limits that count a request: those of priority HIGH go on where the others are reached.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    free_port, http,
    services::Instance,
};

/// Every route has the priority HIGH but that of the rule `bulk`.
const POLICIES: &str = "apiVersion: chancery.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: orders }
spec:
  target: { service: orders }
  priority: HIGH
  connectionPool: { http: { http2MaxRequests: 1 }, high: { maxRequests: 2 } }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [ orders ]
  http:
    - { name: bulk, match: [ { uri: { prefix: /bulk } } ], route: [ { destination: { host: orders } } ], retries: { attempts: 0 } }
    - { route: [ { destination: { host: orders } } ], retries: { attempts: 0 } }
---
apiVersion: chancery.dev/v1alpha1
kind: EnvoyPatch
metadata: { name: bulk }
spec: { target: { service: orders }, patches: [ { type: route, route: bulk, merge: { route: { priority: DEFAULT } } } ] }
";

async fn ask(envoy: &Envoy, path: &str) -> u16 {
    http::through_proxy(&envoy.proxy(), &format!("http://orders{path}")).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_priority_high_pass_where_the_others_are_at_their_limit() {
    let port = free_port();
    let instance = Instance::start("orders").await;
    let services = format!(
        "services:\n  - name: orders\n    hosts: [ orders.default.svc.cluster.local ]\n    ports: [ {{ name: http, port: 80, \
         protocol: http }} ]\n    endpoints: [ {{ address: 127.0.0.1, ports: {{ http: {} }} }} ]\n",
        instance.port
    );
    let plane = ControlPlane::start(&services, POLICIES, port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    let open =
        async |priority: &str| envoy.stat(&format!("cluster.orders_80.circuit_breakers.{priority}.rq_open")).await;
    assert_eq!((ask(&envoy, "/").await, ask(&envoy, "/bulk").await), (200, 200));

    instance.hold("/bulk");
    let (proxy, url) = (envoy.proxy(), "http://orders/bulk");
    let held = tokio::spawn(async move { http::through_proxy(&proxy, url).await.unwrap().status });
    envoy.until("cluster.orders_80.upstream_rq_active", |active| active == 1).await;
    assert_eq!((open("default").await, open("high").await), (1, 0));
    assert_eq!(ask(&envoy, "/bulk").await, 503, "one at a time");
    for _ in 0..5 {
        assert_eq!(ask(&envoy, "/").await, 200, "HIGH has limits of its own");
    }
    instance.release();
    assert_eq!(held.await.unwrap(), 200);

    // Its own limits hold as well, and are no matter of the others.
    instance.hold("/slow");
    let slow = |envoy: &Envoy| {
        let proxy = envoy.proxy();
        tokio::spawn(async move { http::through_proxy(&proxy, "http://orders/slow").await.unwrap().status })
    };
    let held = [slow(&envoy), slow(&envoy)];
    envoy.until("cluster.orders_80.upstream_rq_active", |active| active == 2).await;
    assert_eq!((open("default").await, open("high").await), (0, 1));
    assert_eq!((ask(&envoy, "/").await, ask(&envoy, "/bulk").await), (503, 200));
    instance.release();
    for request in held {
        assert_eq!(request.await.unwrap(), 200);
    }
}
