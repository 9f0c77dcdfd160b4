//! What happened since the last look: where events wait, merged, for the one thread that looks.
//!
//! The system tells when a writer has closed a file. Until then a file that is being written is left alone, for
//! [`WRITING`] at most: what is half there would only be refused, and what a program never closes has to be read
//! some time.

use std::{
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use notify::{
    Event, EventKind,
    event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode},
};

use super::look::Trust;

/// How long a file that is open for writing is left alone after the first write.
pub(super) const WRITING: Duration = Duration::from_millis(20);

/// So many changed paths that looking everywhere is cheaper than remembering them.
const MANY: usize = 4096;

/// What to look at.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Everything.
    pub(super) everywhere: Option<Trust>,
    /// These paths, now.
    pub(super) paths: HashSet<PathBuf>,
    /// These when their time comes, if nobody closes them before.
    writing: HashMap<PathBuf, Instant>,
    /// These were removed or renamed: if one is a watched folder, its watch is dead.
    pub(super) gone: HashSet<PathBuf>,
    /// When the first of all this happened.
    pub(super) since: Option<SystemTime>,
    stopped: bool,
}

impl Pending {
    fn note(&mut self, event: Event) {
        if event.need_rescan() {
            self.everywhere = self.everywhere.max(Some(Trust::Metadata));
        }
        for path in event.paths {
            match event.kind {
                EventKind::Access(AccessKind::Close(AccessMode::Write)) => self.changed(path),
                // Our own reading comes by here.
                EventKind::Access(_) => continue,
                EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
                    if !self.paths.contains(&path) {
                        self.writing.entry(path).or_insert_with(|| Instant::now() + WRITING);
                    }
                }
                EventKind::Remove(RemoveKind::Folder | RemoveKind::Other | RemoveKind::Any)
                | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                    self.gone.insert(path.clone());
                    self.changed(path);
                }
                _ => self.changed(path),
            }
            self.since.get_or_insert_with(SystemTime::now);
        }
        if self.paths.len() + self.writing.len() + self.gone.len() > MANY {
            let Self { everywhere, since, stopped, .. } = std::mem::take(self);
            *self = Self { everywhere: everywhere.max(Some(Trust::Metadata)), since, stopped, ..Self::default() };
        }
    }

    fn changed(&mut self, path: PathBuf) {
        self.writing.remove(&path);
        self.paths.insert(path);
    }

    /// Takes what is due; what is being written stays.
    fn take(&mut self, now: Instant) -> Self {
        let due: Vec<PathBuf> =
            self.writing.iter().filter(|(_, until)| **until <= now).map(|(p, _)| p.clone()).collect();
        due.into_iter().for_each(|path| self.changed(path));
        let writing = std::mem::take(&mut self.writing);
        let since = if writing.is_empty() { None } else { self.since };
        std::mem::replace(self, Self { writing, since, stopped: self.stopped, ..Self::default() })
    }

    fn is_due(&self, now: Instant) -> bool {
        self.everywhere.is_some() || !self.paths.is_empty() || self.writing.values().any(|until| *until <= now)
    }
}

/// Where events are left and taken.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    pending: Mutex<Pending>,
    bell: Condvar,
}

impl Inbox {
    /// Leaves an event, or that events were lost.
    pub(super) fn leave(&self, event: notify::Result<Event>) {
        match event {
            Ok(event) => self.lock().note(event),
            Err(_) => return self.ask(Trust::Metadata),
        }
        self.bell.notify_one();
    }

    /// Asks for a look at everything.
    pub(super) fn ask(&self, trust: Trust) {
        let mut pending = self.lock();
        pending.everywhere = pending.everywhere.max(Some(trust));
        drop(pending);
        self.bell.notify_one();
    }

    /// Ends the thread that waits.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.bell.notify_one();
    }

    /// Waits until something is due or the deadline has come; absent when it is time to stop.
    pub(super) fn wait(&self, deadline: Instant) -> Option<Pending> {
        let mut pending = self.lock();
        loop {
            let now = Instant::now();
            if pending.stopped {
                return None;
            }
            if pending.is_due(now) || now >= deadline {
                return Some(pending.take(now));
            }
            let next = pending.writing.values().copied().fold(deadline, Instant::min);
            let waited = self.bell.wait_timeout(pending, next.saturating_duration_since(now));
            (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A thread that panicked here left nothing half done: each change is one insertion.
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
