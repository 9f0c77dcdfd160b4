//! Writes what is good, behind the control loop's back: it hands over a value, and never waits.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Good, folder::Folder};

/// How long changes gather before they are written.
const QUIET: Duration = Duration::from_millis(100);

/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// Writing takes at most one part in so many of the time, and the disk is touched once a second at most.
const SHARE: u32 = 20;
const PAUSE: Duration = Duration::from_secs(1);

/// Why what is good could not be written last; absent when it could.
pub type Saving = watch::Receiver<Option<Arc<str>>>;

/// The one writer of a state folder.
#[derive(Debug)]
pub struct Saver {
    folder: Folder,
    saved: Good,
    problem: watch::Sender<Option<Arc<str>>>,
}

impl Saver {
    /// For a folder, and where to learn how it goes.
    pub fn new(folder: Folder) -> (Self, Saving) {
        let (problem, saving) = watch::channel(None);
        (Self { folder, saved: Good::default(), problem }, saving)
    }

    /// Writes whenever something changed, until told to stop; then once more, so that nothing is lost.
    pub async fn run(mut self, mut good: watch::Receiver<Arc<Good>>, stop: CancellationToken) {
        let mut failed = false;
        loop {
            let again = async {
                match failed {
                    true => sleep(AGAIN).await,
                    false => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = good.changed() => if changed.is_err() { break },
                () = again => {}
                () = stop.cancelled() => break,
            }
            if is_stopped_within(QUIET, &stop).await {
                break;
            }
            let now = good.borrow_and_update().clone();
            let started = Instant::now();
            let Some((saver, done)) = self.save_aside(now).await else { return };
            self = saver;
            failed = !done;
            if is_stopped_within(PAUSE.max(started.elapsed() * SHARE), &stop).await {
                break;
            }
        }
        let last = good.borrow().clone();
        self.save_aside(last).await;
    }

    /// On a thread that may wait for a disk. Absent only when the runtime ends.
    async fn save_aside(mut self, good: Arc<Good>) -> Option<(Self, bool)> {
        let saving = tokio::task::spawn_blocking(move || {
            let done = self.save(&good);
            (self, done)
        });
        saving.await.ok()
    }

    fn save(&mut self, good: &Good) -> bool {
        // Nothing was said yet: what is there stays.
        if *good == self.saved || *good == Good::default() {
            return true;
        }
        let result = self.write(good);
        match &result {
            Ok(()) => self.saved = good.clone(),
            Err(error) => tracing::error!("`stateDir`: {error}; a restart would find an older state"),
        }
        let problem = result.as_ref().err().map(|error| Arc::from(error.as_str()));
        self.problem.send_if_modified(|present| std::mem::replace(present, problem.clone()) != problem);
        result.is_ok()
    }

    fn write(&mut self, good: &Good) -> Result<(), String> {
        for part in self.folder.parts(good) {
            let written = self.folder.write(&part, SystemTime::now());
            if written.map_err(|error| format!("{} cannot be written: {error}", part.path.display()))? {
                tracing::debug!(path = %part.path.display(), bytes = part.body.len(), "state written");
            }
        }
        Ok(())
    }
}

async fn is_stopped_within(time: Duration, stop: &CancellationToken) -> bool {
    tokio::time::timeout(time, stop.cancelled()).await.is_ok()
}
