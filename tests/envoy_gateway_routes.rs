//! A real Envoy, and routes of the Gateway API that it follows: prefixes of whole elements, the order of several routes,
//! splits with a backend that is not there, filters, calls by service and method, routes of a consumer's namespace.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    http::{Answer, Connection},
    services::Instance,
};

const ROUTES: &str = r#"apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: shop }
spec:
  parentRefs: [ { group: "", kind: Service, name: reviews } ]
  rules:
    - backendRefs: [ { name: reviews, port: 80 } ]
    - matches: [ { path: { value: /books } } ]
      backendRefs: [ { name: reviews-v2, port: 80 } ]
    - matches: [ { path: { value: /half } } ]
      backendRefs: [ { name: reviews, port: 80 }, { name: absent, port: 80 } ]
    - matches: [ { path: { value: /none } } ]
    - matches: [ { path: { value: /old } } ]
      filters:
        - type: URLRewrite
          urlRewrite: { hostname: internal, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } }
      backendRefs: [ { name: reviews, port: 80 } ]
    - matches: [ { path: { value: /stripped } } ]
      filters: [ { type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } } ]
      backendRefs: [ { name: reviews, port: 80 } ]
    - matches: [ { path: { value: /copied } } ]
      filters: [ { type: RequestMirror, requestMirror: { backendRef: { name: shadow, port: 80 } } } ]
      backendRefs: [ { name: reviews, port: 80 } ]
    - matches: [ { path: { value: /elsewhere } } ]
      filters: [ { type: RequestRedirect, requestRedirect: { hostname: shop.example, statusCode: 301 } } ]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: testers, namespace: shop }
spec:
  parentRefs: [ { group: "", kind: Service, name: reviews } ]
  rules:
    - matches:
        - headers: [ { name: x-user, value: jason } ]
        - path: { type: Exact, value: /books/exactly }
        - { path: { value: /books }, queryParams: [ { name: shadow, type: RegularExpression, value: "y.*" } ] }
      backendRefs: [ { name: shadow, port: 80 } ]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: reviews, namespace: books }
spec:
  parentRefs: [ { group: "", kind: Service, name: reviews, namespace: shop } ]
  rules: [ { backendRefs: [ { name: reviews-v2, namespace: shop, port: 80 } ] } ]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: calls, namespace: shop }
spec:
  parentRefs: [ { group: "", kind: Service, name: calls } ]
  rules:
    - backendRefs: [ { name: calls, port: 80 } ]
    - matches: [ { method: { service: shop.Reviews, method: List } }, { method: { method: Count } } ]
      backendRefs: [ { name: reviews-v2, port: 80 } ]
"#;

struct Scene {
    v1: Instance,
    v2: Instance,
    shadow: Instance,
}

impl Scene {
    async fn new() -> Self {
        Self {
            v1: Instance::start("v1").await,
            v2: Instance::start("v2").await,
            shadow: Instance::start("shadow").await,
        }
    }

    fn services(&self) -> String {
        let service = |name: &str, instance: &Instance| {
            format!(
                "  - name: {name}\n    hosts: [ {name}.shop.svc.cluster.local ]\n    ports: [ {{ name: http, port: 80, \
                 protocol: http }} ]\n    endpoints: [ {{ address: 127.0.0.1, ports: {{ http: {} }} }} ]\n",
                instance.port
            )
        };
        let services = [("reviews", &self.v1), ("reviews-v2", &self.v2), ("shadow", &self.shadow), ("calls", &self.v1)];
        let listed: String = services.into_iter().map(|(name, instance)| service(name, instance)).collect();
        format!("services:\n{listed}")
    }
}

async fn get(envoy: &Envoy, host: &str, path: &str, headers: &str) -> Answer {
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    connection.get(&format!("http://{host}{path}"), host, headers).await.unwrap()
}

async fn routes_are_followed(dialect: Dialect) {
    let port = free_port();
    let scene = Scene::new().await;
    let plane = ControlPlane::start(&scene.services(), ROUTES, port).await;
    let envoy = Envoy::start(&plane, dialect, port, &["--node", "caller-1", "--namespace", "shop"]).await;

    // The most specific match of both routes, whatever their order; a prefix ends where an element does.
    for (path, headers, expected) in [
        ("/", "", "v1"),
        ("/books", "", "v2"),
        ("/books/1", "", "v2"),
        ("/bookshelf", "", "v1"),
        ("/books/exactly", "", "shadow"),
        ("/books/1?shadow=yes", "", "shadow"),
        ("/books/1?shadow=no", "", "v2"),
        ("/", "x-user: jason\r\n", "shadow"),
        ("/books/1", "x-user: jason\r\n", "v2"),
    ] {
        assert_eq!(get(&envoy, "reviews", path, headers).await.body, expected, "{path} {headers}");
    }

    // The share of a backend that is not there, and a rule without any.
    let mut failed = 0;
    for _ in 0..200 {
        match get(&envoy, "reviews", "/half", "").await.status {
            200 => {}
            500 => failed += 1,
            other => panic!("half of it is answered with 500, not {other}"),
        }
    }
    assert!((60..=140).contains(&failed), "100 of 200 are answered with 500, found {failed}");
    assert_eq!(get(&envoy, "reviews", "/none", "").await.status, 500);

    assert_eq!(get(&envoy, "reviews", "/old/page", "").await.body, "v1");
    assert_eq!(scene.v1.seen(), "internal /new/page");
    for (path, seen) in [("/stripped/page", "reviews /page"), ("/stripped", "reviews /")] {
        assert_eq!(get(&envoy, "reviews", path, "").await.body, "v1");
        assert_eq!(scene.v1.seen(), seen, "{path}");
    }
    let before = scene.shadow.served();
    assert_eq!(get(&envoy, "reviews", "/copied", "").await.body, "v1");
    eventually("the copy reaches the shadow", async || (scene.shadow.served() == before + 1).then_some(())).await;
    assert_eq!(get(&envoy, "reviews", "/elsewhere", "").await.status, 301);

    // Calls are requests to `/SERVICE/METHOD`.
    for (path, expected) in
        [("/shop.Reviews/List", "v2"), ("/shop.Reviews/Get", "v1"), ("/any.Service/Count", "v2"), ("/Count", "v1")]
    {
        assert_eq!(get(&envoy, "calls", path, "").await.body, expected, "{path}");
    }

    for (name, rejected) in envoy.stats().await.iter().filter(|(name, _)| name.ends_with("update_rejected")) {
        assert_eq!(*rejected, 0, "{name}");
    }

    // Clients of a namespace with routes of its own; the two proxies would take connections at one address.
    drop(envoy);
    let consumer = Envoy::start(&plane, dialect, port, &["--node", "reader-1", "--namespace", "books"]).await;
    assert_eq!(get(&consumer, "reviews", "/", "").await.body, "v2");
    assert_eq!(get(&consumer, "reviews", "/none", "").await.body, "v2");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_followed_in_delta() {
    routes_are_followed(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_are_followed_in_state_of_the_world() {
    routes_are_followed(Dialect::Sotw).await;
}
