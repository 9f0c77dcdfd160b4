//! Held removals as people see them, and the command that lets them go.

use std::time::{Instant, SystemTime};

use tokio::sync::{mpsc, oneshot};

use crate::{
    catalog::{Held, Lost},
    model::ServiceName,
};

/// A removal that a guard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRemoval {
    /// Of which source.
    pub source: String,
    /// In one sentence.
    pub text: String,
    /// What would be removed.
    pub lost: Lost,
    /// How many are gone, less those that came instead.
    pub gone: usize,
    /// Of how many.
    pub of: usize,
    /// When it was first seen.
    pub since: SystemTime,
    /// When it is believed.
    pub until: SystemTime,
}

impl HeldRemoval {
    /// As people see it who look now.
    pub(super) fn of(source: &str, held: &Held, now: (Instant, SystemTime)) -> Self {
        let text = held.to_string();
        let Held { lost, gone, of, since, until } = held.clone();
        let seen = |instant: Instant| now.1 + instant.saturating_duration_since(now.0) - (now.0 - instant.min(now.0));
        Self { source: source.to_owned(), text, lost, gone, of, since: seen(since), until: seen(until) }
    }
}

/// What to let go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// Of this source, by its name (`file services.yaml`) or what it reads (`services.yaml`); absent = of all.
    pub source: Option<String>,
    /// What concerns this service; absent = everything.
    pub service: Option<ServiceName>,
}

impl Release {
    /// Whether a source of this name is meant.
    pub(super) fn means(&self, source: &str) -> bool {
        let reads = source.split_once(' ').map(|(_, reads)| reads);
        self.source.as_deref().is_none_or(|meant| meant == source || reads == Some(meant))
    }
}

/// What was let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Released {
    /// Of which source.
    pub source: String,
    /// What is removed thereby.
    pub lost: Lost,
}

/// Why nothing was let go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    /// There is no such source.
    #[error("there is no source `{asked}`; there is {}", known.join(", "))]
    NoSuchSource {
        /// What was asked for.
        asked: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The control loop has ended.
    #[error("the control plane is going away")]
    GoingAway,
}

/// What the loop hears.
pub(super) type Command = (Release, oneshot::Sender<Result<Vec<Released>, ReleaseError>>);

/// Lets held removals go, from outside the loop.
#[derive(Debug, Clone)]
pub struct Releaser(mpsc::Sender<Command>);

/// The loop's end of a [`Releaser`].
#[derive(Debug)]
pub struct Releases(pub(super) mpsc::Receiver<Command>);

impl Releaser {
    /// A way to let go, for as many as want it, and the loop's end of it.
    pub fn new() -> (Self, Releases) {
        let (sender, receiver) = mpsc::channel(1);
        (Self(sender), Releases(receiver))
    }

    /// Lets go. Returns once what follows from it is published.
    pub async fn release(&self, release: Release) -> Result<Vec<Released>, ReleaseError> {
        let (reply, answer) = oneshot::channel();
        self.0.send((release, reply)).await.map_err(|_| ReleaseError::GoingAway)?;
        answer.await.map_err(|_| ReleaseError::GoingAway)?
    }
}
