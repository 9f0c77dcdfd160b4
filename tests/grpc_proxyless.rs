//! gRPC's own libraries, unmodified and without a proxy: C-core (by way of Python) and the JavaScript one dial
//! `xds:///greeter:50051` and are led by the real binary, under changes, restarts and rejections.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use serde_json::{Value, json};
use support::{
    chancery::ControlPlane,
    eventually,
    grpc::{Application, Greeters, LIBRARIES},
    identity::Authority,
};

async fn serve(services: &str, policies: &str) -> ControlPlane {
    ControlPlane::start(services, policies, 15001).await
}

fn policy(service: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: {service} }}\n\
         spec: {{ target: {{ service: {service} }}, {spec} }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_spread_and_follow_the_endpoints() {
    let greeters = Greeters::start(&["a", "b", "c"]).await;
    for library in LIBRARIES {
        let both = greeters.services(&[("greeter", &[("a", ""), ("b", "")])]);
        let plane = serve(&both, "").await;
        let mut application = Application::start(&plane, library);
        // At first there may be a connection to one of them alone.
        eventually("each of the two gets its share", async || {
            let calls = application.greet("greeter", 40);
            assert!(calls.errors.is_empty(), "{library}: {calls:?}");
            (calls.all_from(&["a", "b"]) && calls.from("a") >= 15 && calls.from("b") >= 15).then_some(())
        })
        .await;
        let calls = application.call(json!({ "target": "xds:///greeter", "count": 4 }));
        assert!(calls.errors.is_empty(), "{library}: the first port needs no number: {calls:?}");

        plane.write_services(&greeters.services(&[("greeter", &[("c", ""), ("a", ", health: draining")])]));
        eventually("calls go to the endpoints that there are now", async || {
            let calls = application.greet("greeter", 10);
            assert!(calls.errors.is_empty(), "{library}: nothing fails meanwhile: {calls:?}");
            calls.all_from(&["c"]).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_get_their_shares_and_stand_in_for_each_other() {
    let greeters = Greeters::start(&["near", "far"]).await;
    let endpoints: &[(&str, &str)] =
        &[("near", ", locality: { region: eu, zone: eu-1 }"), ("far", ", locality: { region: us, zone: us-1 }")];
    let services = greeters.services(&[("shares", endpoints), ("nearest", endpoints)]);
    let policies = policy(
        "shares",
        r#"loadBalancer: { localityLbSetting: { distribute: [ { from: "eu/*", to: { "eu/*": 80, "us/*": 20 } } ] } }"#,
    ) + &policy(
        "nearest",
        "loadBalancer: { localityLbSetting: { failover: [ { from: eu, to: us } ] } }",
    );
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        eventually("there are connections to both", async || {
            application.greet("shares", 20).all_from(&["far", "near"]).then_some(())
        })
        .await;
        // Shares are a matter of chance: 320 is expected, and 40 less is five standard deviations.
        let calls = application.greet("shares", 400);
        assert!(calls.errors.is_empty() && (280..=360).contains(&calls.from("near")), "{library}: {calls:?}");
        assert!(application.greet("nearest", 20).all_from(&["near"]), "{library}");
        plane.write_services(&services.replace("eu-1 }", "eu-1 }, health: unhealthy"));
        eventually("what is far away takes over", async || {
            let calls = application.greet("nearest", 5);
            assert!(calls.errors.is_empty(), "{library}: {calls:?}");
            calls.all_from(&["far"]).then_some(())
        })
        .await;
    }
}

const ROUTES: &str = r#"
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: greeter }
spec: { host: greeter, subsets: [ { name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } } ] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: greeter }
spec:
  hosts: [ greeter ]
  http:
    - match: [ { queryParams: { stage: { exact: test } } } ]
      directResponse: { status: 404 }
    - match: [ { headers: { x-stage: { regex: "canary|test" } } } ]
      route: [ { destination: { host: greeter, subset: v2 } } ]
    - match: [ { headers: { x-stage: { exact: closed } } } ]
      directResponse: { status: 403 }
    - match: [ { headers: { x-stage: { exact: broken } } } ]
      fault: { abort: { httpStatus: 429, percentage: { value: 100 } } }
      route: [ { destination: { host: greeter } } ]
    - match: [ { headers: { x-stage: { exact: rewritten } } } ]
      rewrite: { uri: /test.Greeter/Fail }
      route: [ { destination: { host: greeter } } ]
    - match: [ { uri: { exact: /test.Greeter/Fail } } ]
      route: [ { destination: { host: other } } ]
    - match: [ { withoutHeaders: { x-tenant: { exact: internal } }, headers: { x-stage: { exact: tenants } } } ]
      route: [ { destination: { host: greeter, subset: v2 } } ]
    - route:
        - { destination: { host: greeter, subset: v1 }, weight: 90 }
        - { destination: { host: greeter, subset: v2 }, weight: 10 }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn rules_lead_calls_as_they_lead_requests() {
    let greeters = Greeters::start(&["one", "two", "other"]).await;
    let services = greeters.services(&[
        ("greeter", &[("one", ", labels: { version: v1 }"), ("two", ", labels: { version: v2 }")]),
        ("other", &[("other", "")]),
    ]);
    for library in LIBRARIES {
        let plane = serve(&services, ROUTES).await;
        let mut application = Application::start(&plane, library);
        let calls = application.greet("greeter", 400);
        // 360 is expected; 330 is five standard deviations less.
        assert!(calls.errors.is_empty() && (330..=390).contains(&calls.from("one")), "{library}: {calls:?}");
        let mut with = |metadata: Value, method: &str| {
            let method = format!("/test.Greeter/{method}");
            application.call(json!({
                "target": "xds:///greeter:50051", "count": 5, "metadata": metadata, "method": method, "body": "9",
            }))
        };
        let in_stage = |stage: &str| json!({ "x-stage": stage });
        assert!(with(in_stage("canary"), "Greet").all_from(&["two"]), "{library}");
        assert!(with(in_stage("test"), "Greet").all_from(&["two"]), "{library}: either half of a pattern");
        // A pattern is for the whole value, also where a library would leave half of it open.
        let neither = with(in_stage("canary-not"), "Greet");
        assert!(neither.from("one") > 0, "{library}: {neither:?}");
        assert_eq!(with(in_stage("closed"), "Greet").error().0, "PERMISSION_DENIED", "{library}");
        assert_eq!(with(in_stage("broken"), "Greet").error().0, "UNAVAILABLE", "{library}");
        assert_eq!(
            with(in_stage("rewritten"), "Greet").error().0,
            "UNAVAILABLE",
            "{library}: nothing is led elsewhere"
        );
        assert!(with(in_stage("tenants"), "Greet").all_from(&["two"]), "{library}: there is no such header");
        let guest = json!({ "x-stage": "tenants", "x-tenant": "guest" });
        assert!(with(guest, "Greet").all_from(&["two"]), "{library}: it is something else");
        let internal = json!({ "x-stage": "tenants", "x-tenant": "internal" });
        let internal = with(internal, "Greet");
        assert!(internal.from("one") > 0, "{library}: {internal:?}");
        let failed = with(json!({}), "Fail");
        assert!(failed.errors.keys().all(|error| error.starts_with("FAILED_PRECONDITION")), "{library}: {failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_beyond_the_limit_fail_at_once() {
    let greeters = Greeters::start(&["a"]).await;
    let services = greeters.services(&[("greeter", &[("a", "")])]);
    let policies = policy("greeter", "connectionPool: { http: { http2MaxRequests: 2 } }");
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        assert!(application.greet("greeter", 3).all_from(&["a"]), "{library}");
        application.ask(&json!({ "target": "xds:///greeter:50051", "hold": 2 }));
        assert_eq!(application.greet("greeter", 3).error().0, "UNAVAILABLE", "{library}");
        application.ask(&json!({ "release": 1 }));
        eventually("there is room again", async || application.greet("greeter", 1).all_from(&["a"]).then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_decides_who_takes_a_call() {
    let names = ["a", "b", "c", "d"];
    let greeters = Greeters::start(&names).await;
    let endpoints = names.map(|name| (name, ""));
    let services = greeters.services(&[("ring", &endpoints), ("table", &endpoints)]);
    let policies = policy("ring", "loadBalancer: { consistentHash: { httpHeaderName: x-user, ringHash: {} } }")
        + &policy("table", "loadBalancer: { consistentHash: { httpHeaderName: x-user, maglev: {} } }");
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        for service in ["ring", "table"] {
            let mut seen = std::collections::BTreeSet::new();
            for user in 0..12 {
                let calls = application.call(json!({
                    "target": format!("xds:///{service}:50051"), "count": 6, "metadata": { "x-user": format!("user-{user}") },
                }));
                assert!(calls.errors.is_empty() && calls.answers.len() == 1, "{library}, {service}: {calls:?}");
                seen.extend(calls.answers.into_keys());
            }
            assert!(seen.len() > 1, "{library}, {service}: all users are with {seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limits_and_retries_are_those_of_the_policy() {
    let greeters = Greeters::start(&["a", "b", "c"]).await;
    let services = greeters.services(&[("short", &[("a", "")]), ("repeated", &[("b", "")]), ("safe", &[("c", "")])]);
    let policies = policy("short", "timeout: 300ms")
        + &policy("repeated", "retries: { attempts: 2, retryOn: \"unavailable,connect-failure\", backoff: 1ms }");
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        // The application would wait for half a minute.
        let calls = application.call(json!({ "target": "xds:///short:50051", "method": "/test.Greeter/Hold" }));
        assert_eq!(calls.error().0, "DEADLINE_EXCEEDED", "{library}");
        // The server says how many calls it has seen.
        let mut fail = |service: &str, status: u32| -> u64 {
            let calls = application.call(json!({
                "target": format!("xds:///{service}:50051"), "method": "/test.Greeter/Fail", "body": status.to_string(),
            }));
            calls.error().1.parse().unwrap_or_else(|_| panic!("{library}: {calls:?}"))
        };
        let (unavailable, internal) = (14, 13);
        let first = fail("repeated", unavailable);
        assert_eq!(fail("repeated", unavailable), first + 3, "{library}: two more tries");
        assert_eq!(fail("repeated", internal), first + 4, "{library}: not on another status");
        let first = fail("safe", unavailable);
        assert_eq!(
            fail("safe", unavailable),
            first + 1,
            "{library}: what is safe for any request repeats nothing here"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_fails_is_ejected() {
    let greeters = Greeters::start(&["good", "failing"]).await;
    let services = greeters.services(&[("greeter", &[("good", ""), ("failing", "")])]);
    let policies = policy(
        "greeter",
        "outlierDetection: { failurePercentageThreshold: 50, failurePercentageMinimumHosts: 2, \
         failurePercentageRequestVolume: 5, interval: 500ms, baseEjectionTime: 60s, maxEjectionPercent: 50 }",
    );
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        assert!(!application.greet("greeter", 20).errors.is_empty(), "{library}: one of the two fails");
        eventually("the one that fails gets nothing", async || {
            application.greet("greeter", 20).all_from(&["good"]).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_on_without_the_control_plane_and_follow_it_when_it_is_back() {
    let greeters = Greeters::start(&["a", "b"]).await;
    let before = greeters.services(&[("greeter", &[("a", "")])]);
    for library in LIBRARIES {
        let mut plane = serve(&before, "").await;
        let mut application = Application::start(&plane, library);
        assert!(application.greet("greeter", 5).all_from(&["a"]), "{library}");
        plane.kill();
        assert!(application.greet("greeter", 20).all_from(&["a"]), "{library}: what it has holds");
        plane.run().await;
        assert!(application.greet("greeter", 20).all_from(&["a"]), "{library}");
        plane.write_services(&greeters.services(&[("greeter", &[("b", "")])]));
        eventually("changes arrive again", async || {
            let calls = application.greet("greeter", 5);
            assert!(calls.errors.is_empty(), "{library}: {calls:?}");
            calls.all_from(&["b"]).then_some(())
        })
        .await;
    }
}

/// What a library rejects: load reports are for the server that it is connected to.
const REJECTED: &str = "---\napiVersion: chancery.dev/v1alpha1\nkind: EnvoyPatch\nmetadata: { name: odd }\nspec:\n  \
    target: { service: patched }\n  patches: [ { type: cluster, merge: { lrs_server: { ads: {} } } } ]\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_stops_nothing_else() {
    let greeters = Greeters::start(&["a", "b"]).await;
    let services = greeters.services(&[("patched", &[("a", "")]), ("greeter", &[("b", "")])]);
    for library in LIBRARIES {
        let plane = serve(&services, "").await;
        let mut application = Application::start(&plane, library);
        assert!(application.greet("patched", 5).all_from(&["a"]), "{library}");
        plane.write_policies(REJECTED);
        let rejections = eventually("the NACK is to be seen", async || {
            let rejections = plane.get_json("/api/v1/rejections").await.to_string();
            rejections.contains("patched:50051").then_some(rejections)
        })
        .await;
        assert!(rejections.contains("lrs_server"), "{library}: {rejections}");
        assert!(application.greet("patched", 5).all_from(&["a"]), "{library}: what it had holds");
        assert!(application.greet("greeter", 5).all_from(&["b"]), "{library}: the others come and go");
        plane.write_services(&greeters.services(&[("patched", &[("a", "")]), ("greeter", &[("a", "")])]));
        eventually("the others change", async || application.greet("greeter", 5).all_from(&["a"]).then_some(())).await;
        plane.write_policies("");
        plane.write_services(&greeters.services(&[("patched", &[("b", "")]), ("greeter", &[("a", "")])]));
        eventually("it is mended", async || application.greet("patched", 5).all_from(&["b"]).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_should_be_tls_is_never_plain_text() {
    let greeters = Greeters::start(&["a", "b"]).await;
    let services = greeters.services(&[("secure", &[("a", "")]), ("greeter", &[("b", "")])]);
    let policies = policy("secure", "tls: { mode: SIMPLE }");
    for library in LIBRARIES {
        let plane = serve(&services, &policies).await;
        let mut application = Application::start(&plane, library);
        assert_eq!(application.greet("secure", 3).error().0, "UNAVAILABLE", "{library}");
        assert!(application.greet("greeter", 3).all_from(&["b"]), "{library}");
        let said = plane.get_json("/api/v1/services").await["problems"].to_string();
        assert!(said.contains("secure:50051") && said.contains("`tls`"), "{library}: {said}");
        plane.write_policies("");
        eventually("without TLS it is called", async || application.greet("secure", 3).all_from(&["a"]).then_some(()))
            .await;
    }
}

/// The JavaScript library has no TLS to its control plane.
#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_may_ask_for_tls() {
    let greeters = Greeters::start(&["a"]).await;
    let (servers, clients) = (Authority::new(), Authority::new());
    let mut plane = ControlPlane::prepare(&greeters.services(&[("greeter", &[("a", "")])]), "", 15001);
    let (certificate, key) = servers.issue("localhost");
    let (own_certificate, own_key) = clients.issue("shop");
    for (name, text) in [
        ("tls.crt", &certificate),
        ("tls.key", &key),
        ("ca.crt", &clients.pem()),
        ("servers.crt", &servers.pem()),
        ("shop.crt", &own_certificate),
        ("shop.key", &own_key),
    ] {
        plane.write(name, text);
    }
    let config = std::fs::read_to_string(plane.path("chancery.yaml")).unwrap();
    let tls = ", tls: { cert: tls.crt, key: tls.key, clientCa: ca.crt } }";
    plane.write("chancery.yaml", &config.replacen(" }", tls, 1));
    plane.run().await;
    let file = |name: &str| plane.path(name).to_str().unwrap().to_owned();
    let bootstrap = plane.command(&[
        "bootstrap",
        "--node",
        "shop-1",
        "--grpc",
        "--xds",
        &format!("localhost:{}", plane.xds_port),
        "--tls-ca",
        &file("servers.crt"),
        "--tls-cert",
        &file("shop.crt"),
        "--tls-key",
        &file("shop.key"),
    ]);
    let mut application = Application::with_bootstrap("grpcio", &bootstrap);
    assert!(application.greet("greeter", 3).all_from(&["a"]));
}
