//! A network between clients and servers: it leads each connection to the next of its servers in turn, and can fall
//! silent: what was connected stays connected on both sides, and nothing comes through any more.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A port that leads to others.
#[derive(Debug)]
pub struct Network {
    pub port: u16,
    accepted: Arc<AtomicU64>,
    ports: Arc<Mutex<Vec<u16>>>,
    silenced: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Network {
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let (silenced, silence) = watch::channel(0);
        let accepted = Arc::new(AtomicU64::new(0));
        let ports = Arc::new(Mutex::new(vec![port]));
        let (counted, leads_to) = (accepted.clone(), ports.clone());
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let turn = counted.fetch_add(1, Ordering::Relaxed) as usize;
                let port = {
                    let ports = leads_to.lock().unwrap();
                    ports[turn % ports.len()]
                };
                let mut silence = silence.clone();
                silence.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        // Both sockets stay open, as they do when a machine between them vanishes.
                        Ok(()) = silence.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { port: own_port, accepted, ports, silenced, task }
    }

    /// Where new connections lead from now on.
    pub fn lead_to(&self, ports: &[u16]) {
        *self.ports.lock().unwrap() = ports.to_vec();
    }

    /// How many connections there were.
    pub fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Nothing comes through on the connections there are. New ones work.
    pub fn fall_silent(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.task.abort();
    }
}
