//! What clients said, on its way from the many streams to the one writer.
//!
//! Only what may decide something comes here (see [`Testimony`]), so the lock is touched when something was rejected, or
//! a form of it accepted, and never otherwise.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::lock::lock;
use crate::resources::Testimony;

/// More than this wait for nobody: a rejection that is lost comes again with the next client.
const MOST: usize = 10_000;

/// A client's word, with its `node.id`.
#[derive(Debug, Clone)]
pub struct Said {
    /// Who says it.
    pub node: Arc<str>,
    /// What.
    pub testimony: Testimony,
}

/// Everything that was said since the writer last looked.
#[derive(Debug, Default)]
pub struct Testimonies {
    said: Mutex<Vec<Said>>,
    wanted: Notify,
}

impl Testimonies {
    /// For a stream: hands over what its client said.
    pub fn give(&self, node: &Arc<str>, testimonies: Vec<Testimony>) {
        let mut said = lock(&self.said);
        let room = MOST.saturating_sub(said.len());
        said.extend(testimonies.into_iter().take(room).map(|testimony| Said { node: node.clone(), testimony }));
        drop(said);
        self.wanted.notify_one();
    }

    /// For the control loop: everything since the last time.
    pub fn take(&self) -> Vec<Said> {
        std::mem::take(&mut *lock(&self.said))
    }

    /// For the control loop: returns when something was said.
    pub async fn given(&self) {
        self.wanted.notified().await;
    }
}
