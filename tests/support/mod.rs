//! What the tests with real processes share: a control plane, an Envoy, services, load. Each test crate uses a part.
#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

pub mod chancery;
pub mod envoy;
pub mod goldens;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod load;
pub mod network;
pub mod raw;
pub mod readers;
pub mod reformat;
pub mod scene;
pub mod services;
pub mod sidecar;
pub mod world;
pub mod xds;

use std::{
    net::TcpListener,
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// A port that was free a moment ago, and is given to nobody else in this process. Below the range from which the system
/// takes ports for outgoing connections, so that none of these takes it meanwhile.
pub fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    // Another test process begins elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let next = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + next % COUNT).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is there. What is awaited has no event to wait for (another process); the deadline is far
/// beyond what it takes.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "this never came about: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A process that ends with its owner.
#[derive(Debug)]
pub struct Process(pub Child);

impl Process {
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success(), "kill -{name} {id}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
