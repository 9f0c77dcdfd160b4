//! The watcher: a thread that waits for an event or for its next round, looks, settles, and publishes.
//!
//! Events come from the system for every folder on the way to what is watched; where it tells nothing (network file
//! systems, too few watches left) the slow round finds what changed. A round costs a `stat` per file.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::watch;
use tracing::{debug, error, warn};

use super::{
    Listing,
    interest::Concern,
    look::{Looker, Trust},
    pending::{Inbox, Pending},
    settle::Settled,
};

/// How often everything is looked at although no event came.
const ROUND: Duration = Duration::from_secs(2);

/// Files that are watched, until every clone of this is gone.
#[derive(Debug, Clone)]
pub struct Watching {
    /// The latest listing; the first is there from the start.
    pub listing: watch::Receiver<Arc<Listing>>,
    running: Arc<Running>,
}

/// Reads everything again when called, whatever the metadata says.
pub type Rereader = Arc<dyn Fn() + Send + Sync>;

/// Watches files and folders. Everything is read once before this returns, so that the first listing is there; it
/// blocks for so long.
///
/// A folder is read with its sub-folders: `.yaml`, `.yml` and `.json`, hidden files aside. A path that is a file is
/// read whatever its name, and one that is not there is waited for.
pub fn watch(paths: Vec<PathBuf>) -> Watching {
    let inbox = Arc::new(Inbox::default());
    let mut watcher = Watcher::new(paths, inbox.clone());
    watcher.look_everywhere(Trust::Metadata);
    let settled = Settled::first(&watcher.looker.seen, SystemTime::now());
    let (sender, listing) = watch::channel(Arc::new(settled.listing.clone()));
    let reads = watcher.reads.clone();
    let thread = thread::Builder::new().name("files".to_owned());
    if let Err(error) = thread.spawn(move || watcher.run(settled, &sender)) {
        error!(%error, "no thread to watch files with: they are read once only");
    }
    Watching { listing, running: Arc::new(Running { inbox, reads }) }
}

impl Watching {
    /// A way to have everything read again. It keeps nothing running.
    pub fn rereader(&self) -> Rereader {
        let inbox = self.running.inbox.clone();
        Arc::new(move || inbox.ask(Trust::Nothing))
    }

    /// How many times a file was read since the start: counted, to be held against what changed.
    pub fn reads(&self) -> u64 {
        self.running.reads.load(Ordering::Relaxed)
    }
}

/// Ends the thread when nobody watches any more.
#[derive(Debug)]
struct Running {
    inbox: Arc<Inbox>,
    reads: Arc<AtomicU64>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inbox.stop();
    }
}

struct Watcher {
    looker: Looker,
    inbox: Arc<Inbox>,
    reads: Arc<AtomicU64>,
    /// Absent where the system has none to give.
    events: Option<RecommendedWatcher>,
    /// The folders that are watched, each with what it was then: another folder of that name needs a new watch.
    watched: BTreeMap<PathBuf, (u64, u64)>,
}

impl Watcher {
    fn new(paths: Vec<PathBuf>, inbox: Arc<Inbox>) -> Self {
        let events = notify::recommended_watcher({
            let inbox = inbox.clone();
            move |event| inbox.leave(event)
        });
        let events = events.inspect_err(|error| warn!(%error, "no file events: changes are noticed every 2 s")).ok();
        Self { looker: Looker::new(paths), inbox, reads: Arc::default(), events, watched: BTreeMap::new() }
    }

    fn run(mut self, mut settled: Settled, listings: &watch::Sender<Arc<Listing>>) {
        let mut round = Instant::now() + ROUND;
        while let Some(mut pending) = self.inbox.wait(settled.deadline().map_or(round, |deadline| deadline.min(round)))
        {
            let observed = pending.since.unwrap_or_else(SystemTime::now);
            if Instant::now() >= round {
                pending.everywhere = pending.everywhere.max(Some(Trust::Metadata));
                round = Instant::now() + ROUND;
            }
            self.look(&pending);
            settled = settled.next(&self.looker.seen, Instant::now(), observed);
            publish(listings, &settled.listing);
        }
        debug!(paths = ?self.looker.roots().collect::<Vec<_>>(), "no longer watching");
    }

    fn look(&mut self, pending: &Pending) {
        for path in &pending.gone {
            self.watched.remove(path);
        }
        if let Some(trust) = pending.everywhere {
            return self.look_everywhere(trust);
        }
        let looked = pending.paths.iter().all(|path| match self.looker.interest.concern(path) {
            Concern::Nothing => true,
            Concern::File => self.looker.look_at(path),
            Concern::Everything => false,
        });
        self.reads.store(self.looker.reads, Ordering::Relaxed);
        if !looked {
            self.look_everywhere(Trust::Metadata);
        }
    }

    /// A folder is watched first and looked at afterwards, or what happens in between would be missed.
    fn look_everywhere(&mut self, trust: Trust) {
        self.looker.look_everywhere(trust);
        for _ in 0..8 {
            if !self.watch_folders() {
                break;
            }
            self.looker.look_everywhere(Trust::Metadata);
        }
        self.reads.store(self.looker.reads, Ordering::Relaxed);
    }

    /// Watches the folders that have to be watched; true when one is newly watched.
    fn watch_folders(&mut self) -> bool {
        let Some(events) = &mut self.events else { return false };
        let wanted = &self.looker.interest.watched;
        self.watched.retain(|folder, _| {
            let keep = wanted.contains(folder);
            if !keep {
                let _ = events.unwatch(folder);
            }
            keep
        });
        let mut any = false;
        for folder in wanted {
            let Some(identity) = identity(folder) else { continue };
            if self.watched.get(folder) == Some(&identity) {
                continue;
            }
            // What was watched under that name may be gone, and its watch with it: then there is nothing to unwatch.
            let _ = events.unwatch(folder);
            match events.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => any = true,
                Err(error) => warn!(folder = %folder.display(), %error, "cannot watch: changes are noticed every 2 s"),
            }
            self.watched.insert(folder.clone(), identity);
        }
        any
    }
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn publish(listings: &watch::Sender<Arc<Listing>>, listing: &Listing) {
    listings.send_if_modified(|present| {
        let different = **present != *listing;
        if different {
            *present = Arc::new(listing.clone());
        }
        different
    });
}
