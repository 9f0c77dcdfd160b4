//! A real Envoy, and how long it lets a request go on: without a byte, in all, and until it tries again.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::time::{Duration, Instant};

use support::{
    chancery::ControlPlane,
    envoy::{Dialect, Envoy},
    eventually, free_port, http,
    services::Instance,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn services(instance: &Instance) -> String {
    format!(
        "services:\n  - name: orders\n    ports: [ {{ name: http, port: 80, protocol: http }} ]\n    \
         endpoints: [ {{ address: 127.0.0.1, ports: {{ http: {} }} }} ]\n",
        instance.port
    )
}

fn policy(settings: &str) -> String {
    format!(
        "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: orders }}\n\
         spec: {{ target: {{ service: orders }}, {settings} }}\n"
    )
}

/// Whether a stream of lines came to its end.
async fn streams(envoy: &Envoy, lines: u32, pause_ms: u32) -> bool {
    let mut stream = TcpStream::connect(envoy.proxy()).await.unwrap();
    let request =
        format!("GET http://orders/trickle/{lines}/{pause_ms} HTTP/1.1\r\nhost: orders\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A stream that is cut short may end with a reset.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer.contains(&format!("line {}\n", lines - 1)) && answer.ends_with("0\r\n\r\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_when_it_is_silent_and_when_its_time_is_over() {
    let port = free_port();
    let instance = Instance::start("orders").await;
    let plane = ControlPlane::start(&services(&instance), &policy("streamIdleTimeout: 2s"), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    let stat = async |name: &str| envoy.stat(&format!("http.outbound.{name}")).await;

    // Longer than two seconds in all, and never as long without a byte.
    assert!(streams(&envoy, 60, 50).await);
    assert_eq!(stat("downstream_rq_idle_timeout").await, 0);
    instance.hold("/held");
    let answer = http::through_proxy(&envoy.proxy(), "http://orders/held").await.unwrap();
    assert_eq!((answer.status, stat("downstream_rq_idle_timeout").await), (504, 1), "{}", answer.body);

    // The time of a stream is over however much flows in it.
    plane.write_policies(&policy("maxStreamDuration: 1s"));
    eventually("a stream is cut short", async || (!streams(&envoy, 60, 50).await).then_some(())).await;
    assert!(stat("downstream_rq_max_duration_reached").await >= 1);
    assert_eq!(stat("downstream_rq_idle_timeout").await, 1);
    assert!(streams(&envoy, 2, 10).await, "a short one is not");

    // Without either, one that is silent goes on.
    plane.write_policies(&policy("streamIdleTimeout: 0s, maxStreamDuration: 0s"));
    eventually("a long stream comes to its end", async || streams(&envoy, 30, 50).await.then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_as_long_as_the_response_asks_for() {
    let port = free_port();
    let instance = Instance::start("orders").await;
    let settings = "retries: { attempts: 2, retryOn: \"429\", rateLimitedBackoff: \
                    { resetHeaders: [ { name: x-reset }, { name: retry-after } ], maxInterval: 5s } }";
    let plane = ControlPlane::start(&services(&instance), &policy(settings), port).await;
    let envoy = Envoy::start(&plane, Dialect::Delta, port, &["--node", "caller-1"]).await;
    let waits = async |how: &str| envoy.stat(&format!("cluster.orders_80.upstream_rq_retry_backoff_{how}")).await;
    let ask = async || http::through_proxy(&envoy.proxy(), "http://orders/").await.unwrap().status;

    instance.answer_next_with(429, "retry-after", "1");
    let began = Instant::now();
    assert_eq!(ask().await, 200);
    assert!(began.elapsed() >= Duration::from_secs(1), "tried again after {:?}", began.elapsed());
    assert_eq!((waits("ratelimited").await, waits("exponential").await), (1, 0));

    // What asks for longer than is allowed is not heeded, nor is what says nothing: it waits as it would have.
    instance.answer_next_with(429, "retry-after", "3600");
    instance.answer_next_with(429, "x-other", "1");
    assert_eq!(ask().await, 200);
    assert_eq!((waits("ratelimited").await, waits("exponential").await), (1, 2));
    assert_eq!(instance.served(), 5);
}
