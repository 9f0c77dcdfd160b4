//! Load on a service through a sidecar: kept connections, each request counted by who answered and how.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use super::http::Connection;

/// What came back.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// By the instance's name.
    pub answered: BTreeMap<String, u64>,
    /// Anything but 200, and broken connections.
    pub failed: Vec<String>,
}

impl Counts {
    pub fn total(&self) -> u64 {
        self.answered.values().sum()
    }

    pub fn of(&self, name: &str) -> u64 {
        self.answered.get(name).copied().unwrap_or(0)
    }
}

type Outcome = Result<std::io::Result<super::http::Answer>, tokio::time::error::Elapsed>;

impl Counts {
    fn add(&mut self, url: &str, outcome: Outcome) {
        match outcome {
            Ok(Ok(answer)) if answer.status == 200 => *self.answered.entry(answer.body).or_default() += 1,
            Ok(Ok(answer)) => self.failed.push(format!("{url}: {} {}", answer.status, answer.body.trim())),
            Ok(Err(error)) => self.failed.push(format!("{url}: {error}")),
            Err(_) => self.failed.push(format!("{url}: no answer within 10 s")),
        }
    }
}

/// Clients that ask one after the other until they are stopped.
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    counts: Arc<Mutex<Counts>>,
    clients: JoinSet<()>,
}

impl Load {
    /// `clients` connections to the proxy, each asking for `url` every few milliseconds.
    pub fn start(proxy: String, url: String, clients: usize) -> Self {
        Self::over(proxy, vec![url], clients)
    }

    /// The same over many URLs, one after the other, each client beginning elsewhere.
    pub fn over(proxy: String, urls: Vec<String>, clients: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Mutex::new(Counts::default()));
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let mut urls = urls.clone();
            let begin = number * urls.len() / clients;
            urls.rotate_left(begin);
            tasks.spawn(client(proxy.clone(), urls, stop.clone(), counts.clone()));
        }
        Self { stop, counts, clients: tasks }
    }

    /// So far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().unwrap().clone()
    }

    /// Waits for so many answers more.
    pub async fn for_answers(&self, more: u64) {
        let goal = self.counts().total() + more;
        super::eventually("enough answers", async || (self.counts().total() >= goal).then_some(())).await;
    }

    pub async fn stop(mut self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        self.counts()
    }
}

async fn client(proxy: String, urls: Vec<String>, stop: Arc<AtomicBool>, counts: Arc<Mutex<Counts>>) {
    let mut connection: Option<Connection> = None;
    for url in urls.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let host = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let answer = async {
            if connection.as_ref().is_none_or(|connection| connection.closed) {
                connection = Some(Connection::open(&proxy).await?);
            }
            connection.as_mut().unwrap().get(url, host, "").await
        };
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await;
        if !matches!(answer, Ok(Ok(_))) {
            connection = None;
        }
        counts.lock().unwrap().add(url, answer);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
