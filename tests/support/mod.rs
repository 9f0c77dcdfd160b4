//! What the tests with real processes share: a control plane, an Envoy, services, load. Each test crate uses a part.
#![allow(dead_code, reason = "each test crate uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

pub mod chancery;
pub mod envoy;
pub mod goldens;
pub mod http;
pub mod identity;
pub mod load;
pub mod readers;
pub mod reformat;
pub mod services;
pub mod world;

use std::{
    net::TcpListener,
    process::Child,
    time::{Duration, Instant},
};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
