//! Instances of a service, in this process: they name themselves, and can be slow, failing, or gone.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request, http::StatusCode, routing::any};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// One instance.
#[derive(Debug)]
pub struct Instance {
    pub name: String,
    pub port: u16,
    pub served: Arc<AtomicU64>,
    seen: Arc<Mutex<String>>,
    status: Arc<AtomicU16>,
    delay_ms: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Instance {
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(Mutex::new(String::new()));
        let status = Arc::new(AtomicU16::new(200));
        let delay_ms = Arc::new(AtomicU64::new(0));
        let (stop, stopped) = oneshot::channel::<()>();
        let handler = {
            let (name, served, status, delay_ms) = (name.to_owned(), served.clone(), status.clone(), delay_ms.clone());
            let seen = seen.clone();
            move |request: Request| {
                let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
                *seen.lock().unwrap() = format!("{host} {}", request.uri());
                let (name, served, status, delay_ms) = (name.clone(), served.clone(), status.clone(), delay_ms.clone());
                async move {
                    served.fetch_add(1, Ordering::Relaxed);
                    let delay = delay_ms.load(Ordering::Relaxed);
                    if delay > 0 {
                        tokio::time::sleep(Duration::from_millis(delay)).await;
                    }
                    let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap();
                    (status, name)
                }
            }
        };
        let router = Router::new().fallback(any(handler));
        let task = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            axum::serve(listener, router).with_graceful_shutdown(stopped).await.unwrap();
        });
        Self { name: name.to_owned(), port, served, seen, status, delay_ms, stop: Some(stop), task }
    }

    pub async fn start_many(names: &[&str]) -> Vec<Self> {
        let mut instances = Vec::new();
        for name in names {
            instances.push(Self::start(name).await);
        }
        instances
    }

    pub fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    pub fn take_ms(&self, delay: u64) {
        self.delay_ms.store(delay, Ordering::Relaxed);
    }

    /// Host and path of the last request.
    pub fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    pub fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Finishes what is in flight, takes nothing new, and is gone: what a well-behaved process does on SIGTERM.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(Duration::from_secs(5), &mut self.task).await;
        self.task.abort();
    }

    /// Is gone at once, with everything in flight.
    pub fn kill(self) {
        self.task.abort();
    }
}
