//! A real Envoy, and rules that it follows: splits, matches, faults, mirrors, redirects, rewrites, connections; and a
//! change of rules under load, which drains nothing and warms nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port,
    http::{self, Answer, Connection},
    load::{Counts, Load},
    services::Instance,
};

struct Scene {
    v1: Instance,
    v2: Instance,
    shadow: Instance,
    /// Where the sidecar takes connections to `reviews:5432`.
    listen: u16,
}

impl Scene {
    async fn new() -> Self {
        Self {
            v1: Instance::start("v1").await,
            v2: Instance::start("v2").await,
            shadow: Instance::start("shadow").await,
            listen: free_port(),
        }
    }

    fn services(&self) -> String {
        let endpoint = |instance: &Instance, has_tcp: bool| {
            let port = instance.port;
            let tcp = if has_tcp { format!(", tcp: {port}") } else { String::new() };
            format!(
                "      - {{ address: 127.0.0.1, ports: {{ http: {port}{tcp} }}, labels: {{ version: {} }} }}\n",
                instance.name
            )
        };
        format!(
            "services:\n  - name: reviews\n    ports:\n      - {{ name: http, port: 80, protocol: http }}\n      \
             - {{ name: tcp, port: 5432, protocol: tcp, listen: \"127.0.0.1:{}\" }}\n    endpoints:\n{}{}  \
             - name: shadow\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    endpoints:\n{}",
            self.listen,
            endpoint(&self.v1, true),
            endpoint(&self.v2, true),
            endpoint(&self.shadow, false)
        )
    }
}

fn rules(v1: u32, v2: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{ name: reviews }}
spec:
  host: reviews
  subsets: [ {{ name: v1, labels: {{ version: v1 }} }}, {{ name: v2, labels: {{ version: v2 }} }} ]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{ name: reviews }}
spec:
  hosts: [ reviews ]
  http:
    - match: [ {{ headers: {{ end-user: {{ exact: jason }} }} }} ]
      route: [ {{ destination: {{ host: reviews, subset: v2 }} }} ]
    - match: [ {{ uri: {{ prefix: /fault }} }} ]
      fault: {{ abort: {{ httpStatus: 418, percentage: {{ value: 100 }} }} }}
      route: [ {{ destination: {{ host: reviews }} }} ]
    - match: [ {{ uri: {{ prefix: /mirrored }} }} ]
      mirror: {{ host: shadow }}
      route: [ {{ destination: {{ host: reviews, subset: v1 }} }} ]
    - match: [ {{ uri: {{ exact: /old }} }} ]
      redirect: {{ uri: /new, redirectCode: 308 }}
    - match: [ {{ uri: {{ prefix: /api/ }} }} ]
      rewrite: {{ uri: /v2/, authority: internal }}
      route: [ {{ destination: {{ host: reviews, subset: v1 }} }} ]
    - match: [ {{ uri: {{ exact: /robots.txt }} }} ]
      directResponse: {{ status: 200, body: {{ string: nobody }} }}
    - match: [ {{ uri: {{ prefix: /nowhere }} }} ]
      route: [ {{ destination: {{ host: absent }} }} ]
    - match: [ {{ uri: {{ exact: / }} }} ]
      route:
        - {{ destination: {{ host: reviews, subset: v1 }}, weight: {v1} }}
        - {{ destination: {{ host: reviews, subset: v2 }}, weight: {v2} }}
  tcp:
    - route: [ {{ destination: {{ host: reviews, subset: v2 }} }} ]
"
    )
}

async fn get(envoy: &Envoy, path: &str, headers: &str) -> Answer {
    let mut connection = Connection::open(&envoy.proxy()).await.unwrap();
    connection.get(&format!("http://reviews{path}"), "reviews", headers).await.unwrap()
}

/// The share that v2 answered between two counts, in percent.
fn share_of_v2(before: &Counts, after: &Counts) -> u64 {
    (after.of("v2") - before.of("v2")) * 100 / (after.total() - before.total()).max(1)
}

async fn rules_are_followed(dialect: Dialect) {
    let port = free_port();
    let scene = Scene::new().await;
    let plane = ControlPlane::start(&scene.services(), &rules(80, 20), port).await;
    let envoy = Envoy::start(&plane, dialect, port, &["--node", "caller-1"]).await;

    let load = Load::start(envoy.proxy(), "http://reviews/".into(), 4);
    let before = load.counts();
    load.for_answers(600).await;
    let share = share_of_v2(&before, &load.counts());
    assert!((12..=28).contains(&share), "20 of 100 go to v2, found {share}");

    for _ in 0..10 {
        assert_eq!(get(&envoy, "/", "end-user: jason\r\n").await.body, "v2");
    }
    assert_eq!(get(&envoy, "/fault", "").await.status, 418);
    assert_eq!(get(&envoy, "/old", "").await.status, 308);
    assert_eq!(get(&envoy, "/robots.txt", "").await.body, "nobody");
    assert_eq!(get(&envoy, "/nowhere", "").await.status, 503);
    assert_eq!(get(&envoy, "/unmatched", "").await.status, 404);

    assert_eq!(get(&envoy, "/mirrored/page", "").await.body, "v1");
    eventually("the copy reaches the shadow", async || (scene.shadow.served() == 1).then_some(())).await;
    assert_eq!(scene.shadow.seen(), "reviews-shadow /mirrored/page");

    // Connections go by the rules of `tcp`.
    for _ in 0..5 {
        assert_eq!(http::get(&format!("127.0.0.1:{}", scene.listen), "/").await.unwrap().body, "v2");
    }

    // Other rules while requests flow: at once, and nothing else moves.
    let stats = envoy.stats().await;
    let unmoved = ["listener_manager.listener_modified", "listener_manager.total_listeners_draining"];
    let unmoved = unmoved.into_iter().chain(["cluster_manager.cluster_modified", "cluster_manager.cluster_added"]);
    plane.write_policies(&rules(10, 90));
    eventually("the new weights count", async || {
        let before = load.counts();
        load.for_answers(200).await;
        (share_of_v2(&before, &load.counts()) > 75).then_some(())
    })
    .await;
    let after = envoy.stats().await;
    for name in unmoved {
        assert_eq!(after.get(name), stats.get(name), "{name}");
    }

    let counts = load.stop().await;
    assert!(counts.failed.is_empty(), "failed: {:?}", &counts.failed[..counts.failed.len().min(5)]);
    for (name, rejected) in after.iter().filter(|(name, _)| name.ends_with("update_rejected")) {
        assert_eq!(*rejected, 0, "{name}");
    }

    // What an endpoint sees of a rewritten request; now that nobody else asks.
    assert_eq!(get(&envoy, "/api/books", "").await.body, "v1");
    assert_eq!(scene.v1.seen(), "internal /v2/books");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_followed_in_delta() {
    rules_are_followed(Dialect::Delta).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_are_followed_in_state_of_the_world() {
    rules_are_followed(Dialect::Sotw).await;
}
