//! Instances of a service, in this process: they name themselves, and can be slow, failing, or gone.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::StatusCode, response::Response, routing::any};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

/// One instance.
#[derive(Debug)]
pub struct Instance {
    pub name: String,
    pub port: u16,
    pub served: Arc<AtomicU64>,
    seen: Arc<Mutex<String>>,
    status: Arc<AtomicU16>,
    delay_ms: Arc<AtomicU64>,
    script: Arc<Script>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// What it does beside answering with its name.
#[derive(Debug, Default)]
struct Script {
    /// Statuses of the next answers, before the usual one, and a header of each.
    next: Mutex<VecDeque<(u16, &'static str, &'static str)>>,
    /// Requests whose path begins so wait.
    held: watch::Sender<Option<&'static str>>,
}

impl Script {
    async fn wait(&self, path: &str) {
        let mut held = self.held.subscribe();
        let _ = held.wait_for(|held| held.is_none_or(|prefix| !path.starts_with(prefix))).await;
    }
}

/// A body that says a line now and then, `/trickle/LINES/MILLISECONDS`: for streams that go on.
fn trickle(path: &str) -> Option<Response> {
    let (lines, pause) = path.strip_prefix("/trickle/")?.split_once('/')?;
    let (lines, pause) = (lines.parse::<u32>().ok()?, Duration::from_millis(pause.parse().ok()?));
    let (sender, receiver) = mpsc::channel::<Result<String, std::io::Error>>(1);
    tokio::spawn(async move {
        for line in 0..lines {
            if sender.send(Ok(format!("line {line}\n"))).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
    });
    Some(Response::new(Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver))))
}

impl Instance {
    pub async fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let served = Arc::new(AtomicU64::new(0));
        let seen = Arc::new(Mutex::new(String::new()));
        let status = Arc::new(AtomicU16::new(200));
        let delay_ms = Arc::new(AtomicU64::new(0));
        let script = Arc::new(Script::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let handler = {
            let (name, served, status, delay_ms) = (name.to_owned(), served.clone(), status.clone(), delay_ms.clone());
            let (seen, script) = (seen.clone(), script.clone());
            move |request: Request| {
                let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
                *seen.lock().unwrap() = format!("{host} {}", request.uri());
                let path = request.uri().path().to_owned();
                let (name, served, status, delay_ms) = (name.clone(), served.clone(), status.clone(), delay_ms.clone());
                let script = script.clone();
                async move {
                    served.fetch_add(1, Ordering::Relaxed);
                    let delay = delay_ms.load(Ordering::Relaxed);
                    if delay > 0 {
                        tokio::time::sleep(Duration::from_millis(delay)).await;
                    }
                    script.wait(&path).await;
                    if let Some(stream) = trickle(&path) {
                        return stream;
                    }
                    let usual = (status.load(Ordering::Relaxed), "x-script", "usual");
                    let (status, header, value) = script.next.lock().unwrap().pop_front().unwrap_or(usual);
                    let answer = Response::builder().status(StatusCode::from_u16(status).unwrap());
                    answer.header(header, value).body(Body::from(name)).unwrap()
                }
            }
        };
        let router = Router::new().fallback(any(handler));
        let task = tokio::spawn(async move {
            let stopped = async move { drop(stopped.await) };
            axum::serve(listener, router).with_graceful_shutdown(stopped).await.unwrap();
        });
        Self { name: name.to_owned(), port, served, seen, status, delay_ms, script, stop: Some(stop), task }
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

    /// The next answer has this status, with a header.
    pub fn answer_next_with(&self, status: u16, header: &'static str, value: &'static str) {
        self.script.next.lock().unwrap().push_back((status, header, value));
    }

    /// Requests whose path begins so wait until [`Self::release`].
    pub fn hold(&self, prefix: &'static str) {
        self.script.held.send_replace(Some(prefix));
    }

    pub fn release(&self) {
        self.script.held.send_replace(None);
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
