//! Keeps a source running: the same retry, back-off and log for each.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::slice::Slice;
use crate::files::Rereader;

/// Why a source stopped.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// One registry.
pub trait Source: Send + 'static {
    /// Its kind and what it reads: `file services.yaml`.
    fn name(&self) -> String;

    /// Publishes its whole slice, again whenever it changes. Returns when it cannot go on; it is then started again,
    /// while what it published last stays.
    fn run<'a>(
        &'a mut self,
        slices: &'a watch::Sender<Arc<Slice>>,
    ) -> Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + 'a>>;

    /// Reads everything again now.
    fn rereader(&self) -> Rereader;
}

/// A running source, seen from outside.
pub struct SourceHandle {
    /// Its kind and what it reads.
    pub name: String,
    /// What it knows.
    pub slices: watch::Receiver<Arc<Slice>>,
    /// Reads everything again now.
    pub reread: Rereader,
}

impl std::fmt::Debug for SourceHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceHandle").field("name", &self.name).finish_non_exhaustive()
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The source's handle, and the task that keeps it running until it is dropped.
pub fn supervise(mut source: impl Source) -> (SourceHandle, impl Future<Output = ()> + Send + 'static) {
    let (sender, slices) = watch::channel(Arc::new(Slice::default()));
    let handle = SourceHandle { name: source.name(), slices, reread: source.rereader() };
    let task = async move {
        let mut pause = FIRST_PAUSE;
        loop {
            match source.run(&sender).await {
                Ok(()) => pause = FIRST_PAUSE,
                Err(error) => {
                    tracing::warn!(source = source.name(), %error, ?pause, "source stopped; it is started again");
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    };
    (handle, task)
}
