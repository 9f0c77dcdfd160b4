//! What a connection, the streams on it and the server tell each other.
//!
//! The connection says once that it goes, and every stream on it ends between two messages. A stream says when its
//! client should be elsewhere; the server says when it ends, and when nothing but the end of the connection helps. Both
//! directions are state, not messages: who looks later sees the same. A connection waits for this alone, and shares it
//! with nobody else's connection, because it looks whenever anything is sent.

use std::sync::{
    Arc, Mutex, OnceLock, Weak,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use tokio::sync::Notify;
use tonic::Status;

use crate::publish::{Bell, Ring, lock};

/// Shared by a connection, its streams, and the server.
#[derive(Debug, Default)]
pub(super) struct Link {
    farewell: OnceLock<Farewell>,
    /// The bells of the streams on it, and of some that have ended.
    streams: Mutex<Vec<Weak<Bell>>>,
    wish: AtomicU8,
    wished: Notify,
    greeted: AtomicBool,
    reads: AtomicBool,
}

/// Why a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It has reached its age.
    Old,
    /// The server ends.
    Shutdown,
}

/// What is wanted of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// By a stream: the client should open its next stream on another connection, since another replica may have room.
    Leave = 1,
    /// By the server: it ends.
    End = 2,
    /// By the server: what was sent is not read, and nothing behind it can be.
    Cut = 3,
}

impl Link {
    /// For the connection: its streams end.
    pub fn say(&self, farewell: Farewell) {
        // The first reason stands: the streams are ending already.
        let _ = self.farewell.set(farewell);
        let streams = lock(&self.streams);
        streams.iter().filter_map(Weak::upgrade).for_each(|bell| bell.ring(Ring::Farewell));
    }

    /// For a stream: its bell rings when the connection goes.
    pub fn add(&self, bell: &Arc<Bell>) {
        let mut streams = lock(&self.streams);
        if streams.len() == streams.capacity() {
            streams.retain(|bell| bell.strong_count() > 0);
            // It is a while until those that have ended are looked for again.
            let alive = streams.len();
            streams.reserve_exact(alive.max(1));
        }
        streams.push(Arc::downgrade(bell));
        if self.farewell.get().is_some() {
            bell.ring(Ring::Farewell);
        }
    }

    /// For a stream: why the connection goes, if it does.
    pub fn farewell(&self) -> Option<Farewell> {
        self.farewell.get().copied()
    }

    /// For the connection: the client is taking what it is sent.
    pub fn set_reads(&self) {
        self.reads.store(true, Ordering::Relaxed);
    }

    /// For the server, which asks every so often: how many streams have had something to do for just so many times in a
    /// row, while their client neither had room for what comes of it nor took anything else.
    pub fn unheard(&self, times: u32) -> usize {
        let reads = self.reads.swap(false, Ordering::Relaxed);
        let streams = lock(&self.streams);
        let streams = streams.iter().filter_map(Weak::upgrade);
        if reads {
            streams.for_each(|bell| bell.forgive());
            return 0;
        }
        streams.filter(|bell| bell.unheard() == times).count()
    }

    /// A stronger wish replaces a weaker one.
    pub fn wish(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::Relaxed);
        self.wished.notify_one();
    }

    /// For the connection: returns when somebody wished for something since it was last asked, with the strongest wish
    /// so far.
    pub async fn wished(&self) -> Wish {
        self.wished.notified().await;
        match self.wish.load(Ordering::Relaxed) {
            wish if wish == Wish::Cut as u8 => Wish::Cut,
            wish if wish == Wish::End as u8 => Wish::End,
            _ => Wish::Leave,
        }
    }

    /// The client has sent the words that begin HTTP/2.
    pub fn set_greeted(&self) {
        self.greeted.store(true, Ordering::Relaxed);
    }

    /// Whether the client has sent the words that begin HTTP/2.
    pub fn greeted(&self) -> bool {
        self.greeted.load(Ordering::Relaxed)
    }
}

impl Farewell {
    /// What a stream ends with. Both say: connect anew, nothing is wrong with you.
    pub fn status(self) -> Status {
        Status::unavailable(match self {
            Self::Old => "connect anew: this connection has reached its age, and load moves between replicas this way",
            Self::Shutdown => "connect anew: this control plane is stopping",
        })
    }
}
