//! What a connection and the streams on it tell each other.
//!
//! The connection says once that it goes, and every stream on it ends between two messages. A stream says when its
//! client should be elsewhere, or when nothing but the end of the connection helps. Both directions are state, not
//! messages: who looks later sees the same.

use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU8, Ordering},
};

use tokio::sync::Notify;
use tonic::Status;

/// Shared by a connection and its streams.
#[derive(Debug, Default)]
pub(super) struct Link {
    farewell: OnceLock<Farewell>,
    said: Notify,
    wish: AtomicU8,
    wished: Notify,
    greeted: AtomicBool,
}

/// Why a connection goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Farewell {
    /// It has reached its age.
    Old,
    /// The server ends.
    Shutdown,
}

/// What a stream wants of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// The client should open its next stream on another connection: another replica may have room.
    Leave = 1,
    /// What was sent is not read, and nothing behind it can be.
    Cut = 2,
}

impl Link {
    /// For the connection: its streams end.
    pub fn say(&self, farewell: Farewell) {
        // The first reason stands: the streams are ending already.
        let _ = self.farewell.set(farewell);
        self.said.notify_waiters();
    }

    /// For a stream: returns when the connection goes.
    pub async fn farewell(&self) -> Farewell {
        let said = self.said.notified();
        match self.farewell.get() {
            Some(farewell) => *farewell,
            None => {
                said.await;
                self.farewell.get().copied().unwrap_or(Farewell::Shutdown)
            }
        }
    }

    /// For a stream. A stronger wish replaces a weaker one.
    pub fn wish(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::Relaxed);
        self.wished.notify_one();
    }

    /// For the connection: returns when a stream wished for something since it was last asked.
    pub async fn wished(&self) -> Wish {
        self.wished.notified().await;
        if self.wish.load(Ordering::Relaxed) == Wish::Cut as u8 { Wish::Cut } else { Wish::Leave }
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
