//! When to look again: on events of the file system, after a while without any, and on request.
//!
//! Looking is blocking work of milliseconds, so it has a thread of its own, which ends when nobody watches any more.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Arc, mpsc},
    thread,
    time::Instant,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::watch;

use super::{
    Listing, POLL,
    scan::{Looked, Scan},
};

/// The latest listing, and a way to ask for a look.
#[derive(Debug, Clone)]
pub struct Watching {
    /// The latest listing; the first is there from the start.
    pub listing: watch::Receiver<Arc<Listing>>,
    look: mpsc::Sender<()>,
}

/// Looks at everything again when called.
pub type Rereader = Arc<dyn Fn() + Send + Sync>;

impl Watching {
    /// A way to have everything looked at again now, content included.
    pub fn rereader(&self) -> Rereader {
        let look = self.look.clone();
        // The thread is there as long as somebody watches; if nobody does, there is nothing to look at.
        Arc::new(move || {
            let _ = look.send(());
        })
    }
}

/// Looks at files and folders, and goes on doing so. The first look is done when this returns.
pub fn watch(roots: Vec<PathBuf>) -> Watching {
    let mut scan = Scan::new(roots);
    let first = scan.look(Instant::now());
    let (look, looks) = mpsc::channel();
    let (sender, listing) = watch::channel(Arc::new(first.listing.clone()));
    let on_event = look.clone();
    let events = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a file is no reason to read it again.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            let _ = on_event.send(());
        }
    });
    let events = match events {
        Ok(events) => Some(Events { watcher: events, folders: BTreeSet::new() }),
        Err(error) => {
            tracing::warn!(%error, "no events from the file system: changes are seen within {POLL:?}");
            None
        }
    };
    thread::Builder::new()
        .name("files".into())
        .spawn(move || keep_looking(scan, first, events, &looks, &sender))
        .map(drop)
        .unwrap_or_else(|error| tracing::error!(%error, "files are not watched: no thread can be had"));
    Watching { listing, look }
}

struct Events {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
}

impl Events {
    /// Hears of these folders and no others. One that cannot be watched is looked at by the clock.
    fn follow(&mut self, wanted: BTreeSet<PathBuf>) {
        for folder in self.folders.difference(&wanted) {
            let _ = self.watcher.unwatch(folder);
        }
        self.folders.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            if !self.folders.contains(&folder) && self.watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok() {
                self.folders.insert(folder);
            }
        }
    }
}

fn keep_looking(
    mut scan: Scan,
    first: Looked,
    mut events: Option<Events>,
    looks: &mpsc::Receiver<()>,
    sender: &watch::Sender<Arc<Listing>>,
) {
    let Looked { folders, mut again_at, .. } = first;
    let follow = |events: &mut Option<Events>, folders| {
        if let Some(events) = events {
            events.follow(folders);
        }
    };
    follow(&mut events, folders);
    // What changed between the first look and the first watch is found by looking once more at once.
    let mut wait = std::time::Duration::ZERO;
    loop {
        let _ = looks.recv_timeout(wait);
        while looks.try_recv().is_ok() {}
        if sender.is_closed() {
            return;
        }
        let looked = scan.look(Instant::now());
        again_at = looked.again_at.or(again_at.filter(|at| *at > Instant::now()));
        follow(&mut events, looked.folders);
        sender.send_if_modified(|present| {
            let differs = !same(present, &looked.listing);
            if differs {
                *present = Arc::new(looked.listing);
            }
            differs
        });
        wait = again_at.map_or(POLL, |at| at.saturating_duration_since(Instant::now()).min(POLL));
    }
}

/// The same `Arc`s throughout; contents need no comparing, since equal content keeps its `Arc`.
fn same(before: &Listing, after: &Listing) -> bool {
    let files = before.files.iter().map(|(path, file)| (path, Arc::as_ptr(file)));
    before.missing == after.missing
        && before.problems == after.problems
        && files.eq(after.files.iter().map(|(path, file)| (path, Arc::as_ptr(file))))
}
