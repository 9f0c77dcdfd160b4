//! The gRPC server: accepts connections, each a task of its own, and ends them within a deadline.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Clients, Metrics, Settings, Tls,
    connection::Connections,
    link::{Link, Wish},
    service::Methods,
};
use crate::publish::Publish;

/// How many connections go in a second when the server ends: their clients come to the replicas that stay no faster.
const GO_IN_A_SECOND: f64 = 2_000.0;

/// How much of the time to end is kept for what follows the last connection's turn.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Serves every group's latest snapshot.
#[derive(Debug)]
pub struct Server {
    /// How connections and streams are treated.
    pub settings: Settings,
    /// Where snapshots come from.
    pub publish: Arc<Publish>,
    /// Who is connected.
    pub clients: Arc<Clients>,
    /// The protocol in numbers.
    pub metrics: Metrics,
    /// Absent = plain text.
    pub tls: Option<Tls>,
}

impl Server {
    /// Serves until `shutdown`; then nothing more is accepted, and connections are ended one after the other, the last
    /// within `settings.drain`.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let Self { settings, publish, clients, metrics, tls } = self;
        let settings = Arc::new(settings);
        let methods = Methods::new(publish, clients, metrics.clone(), &settings);
        let serving = Arc::new(Connections { settings: settings.clone(), methods, tls, metrics: metrics.clone() });
        let mut looks = interval((settings.stalled / 2).max(Duration::from_millis(1)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connections = JoinSet::new();
        let mut links = Links::default();
        let mut full = false;
        loop {
            let accepted = tokio::select! {
                () = shutdown.cancelled() => break,
                Some(_) = connections.join_next() => continue,
                _ = looks.tick() => {
                    links.cut_the_stalled(&metrics);
                    continue;
                }
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok(_) if connections.len() >= settings.connections => {
                    metrics.refused_connections.inc();
                    if !full {
                        tracing::warn!("there are {} connections, and no more are taken", connections.len());
                    }
                    full = true;
                }
                Ok((stream, _)) => {
                    full = false;
                    connections.spawn(serving.clone().serve(stream, links.one_more(connections.len())));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end make room.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        // Who comes now is refused by the system at once, and tries another replica.
        drop(listener);
        let over = Duration::from_secs_f64(connections.len() as f64 / GO_IN_A_SECOND);
        let all = async {
            links.end(over.min(settings.drain.saturating_sub(LAST_WORDS))).await;
            while connections.join_next().await.is_some() {}
        };
        if timeout(settings.drain, all).await.is_err() {
            tracing::warn!("{} connections did not end within {:?} and are cut", connections.len(), settings.drain);
        }
    }
}

/// The way to each connection there is, and to some that are gone.
#[derive(Debug, Default)]
struct Links(Vec<Weak<Link>>);

impl Links {
    /// For a connection that is added to so many.
    fn one_more(&mut self, connections: usize) -> Arc<Link> {
        if self.0.len() > 64 + 2 * connections {
            self.0.retain(|link| link.strong_count() > 0);
        }
        let link = Arc::new(Link::default());
        self.0.push(Arc::downgrade(&link));
        link
    }

    /// Ends those with a stream that has had something to do at three looks in a row, for which its client had no room,
    /// though it did not take anything else either.
    fn cut_the_stalled(&self, metrics: &Metrics) {
        for link in self.0.iter().filter_map(Weak::upgrade) {
            let stalled = link.unheard(3);
            if stalled > 0 {
                metrics.stalled.inc_by(stalled as u64);
                link.wish(Wish::Cut);
            }
        }
    }

    /// Ends them one after the other, evenly.
    async fn end(self, over: Duration) {
        let begun = Instant::now();
        let links: Vec<Arc<Link>> = self.0.iter().filter_map(Weak::upgrade).collect();
        for (index, link) in links.iter().enumerate() {
            sleep_until(begun + over.mul_f64(index as f64 / links.len() as f64)).await;
            link.wish(Wish::End);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time is simulated: what is measured is what was decided.
    #[tokio::test(start_paused = true)]
    async fn connections_go_one_after_the_other() {
        let mut links = Links::default();
        let mut connections = JoinSet::new();
        for number in 0..1000 {
            let link = links.one_more(number);
            connections.spawn(async move {
                assert_eq!(link.wished().await, Wish::End);
                Instant::now()
            });
        }
        let begun = Instant::now();
        links.end(Duration::from_secs(5)).await;
        let mut in_each_second = [0; 5];
        while let Some(gone) = connections.join_next().await {
            in_each_second[(gone.expect("it does not panic") - begun).as_secs() as usize] += 1;
        }
        assert_eq!(in_each_second, [200; 5]);
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut links = Links::default();
        for _ in 0..10_000 {
            drop(links.one_more(1));
        }
        assert!(links.0.len() < 100, "{}", links.0.len());
    }
}
