//! One look at the file system.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{GRACE, LARGEST, Listing};
use crate::diagnostic::{Diagnostic, SourceFile};

/// What was seen last, so that only what changed is read again.
#[derive(Debug)]
pub struct Scan {
    roots: Vec<PathBuf>,
    seen: BTreeMap<Arc<str>, Seen>,
}

#[derive(Debug)]
struct Seen {
    fingerprint: Fingerprint,
    file: Arc<SourceFile>,
    /// Since when it has not been there.
    gone: Option<Instant>,
}

/// Changes whenever a file is written or replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(metadata: &fs::Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The outcome of a look.
#[derive(Debug)]
pub struct Looked {
    /// What is there.
    pub listing: Listing,
    /// The folders in which a change would change the listing.
    pub folders: BTreeSet<PathBuf>,
    /// When to look again even if nothing happens: a file that is gone will then be given up.
    pub again_at: Option<Instant>,
}

impl Scan {
    /// Files, and folders with their sub-folders.
    pub fn new(roots: Vec<PathBuf>) -> Self {
        Self { roots, seen: BTreeMap::new() }
    }

    /// Looks.
    pub fn look(&mut self, now: Instant) -> Looked {
        let mut walk = Walk::default();
        for root in &self.roots {
            walk.root(root);
        }
        let Walk { found, missing, unreadable, folders, mut problems, visited: _ } = walk;
        for (path, metadata) in &found {
            if let Err(problem) = self.take(path, metadata) {
                problems.push(problem);
            }
        }
        let again_at = self.forget_gone(&found, &missing, &unreadable, now);
        let files = self.seen.iter().map(|(path, seen)| (path.clone(), seen.file.clone())).collect();
        Looked { listing: Listing { files, missing, problems }, folders, again_at }
    }

    /// Reads a file if it may have changed; the `Arc` changes only with the content.
    fn take(&mut self, path: &Arc<str>, metadata: &fs::Metadata) -> Result<(), Diagnostic> {
        let fingerprint = Fingerprint::of(metadata);
        if let Some(seen) = self.seen.get_mut(path) {
            seen.gone = None;
            if seen.fingerprint == fingerprint {
                return Ok(());
            }
        }
        let text = read(path, metadata)?;
        match self.seen.get_mut(path) {
            Some(seen) => {
                seen.fingerprint = fingerprint;
                if *seen.file.text != *text {
                    seen.file = Arc::new(SourceFile { path: path.clone(), text: text.into() });
                }
            }
            None => {
                let file = Arc::new(SourceFile { path: path.clone(), text: text.into() });
                self.seen.insert(path.clone(), Seen { fingerprint, file, gone: None });
            }
        }
        Ok(())
    }

    /// Gives up files that have been gone from a folder for long enough; what lies at or below a configured path that
    /// vanished as a whole, or that cannot be read, stays.
    fn forget_gone(
        &mut self,
        found: &BTreeMap<Arc<str>, fs::Metadata>,
        missing: &[Arc<str>],
        unreadable: &[Arc<str>],
        now: Instant,
    ) -> Option<Instant> {
        let stays = |path: &str| missing.iter().chain(unreadable).any(|root| Path::new(path).starts_with(&**root));
        let mut again_at: Option<Instant> = None;
        self.seen.retain(|path, seen| {
            if found.contains_key(path) || stays(path) {
                return true;
            }
            let given_up_at = *seen.gone.get_or_insert(now) + GRACE;
            if given_up_at <= now {
                return false;
            }
            again_at = Some(again_at.map_or(given_up_at, |earlier| earlier.min(given_up_at)));
            true
        });
        again_at
    }
}

fn read(path: &Arc<str>, metadata: &fs::Metadata) -> Result<String, Diagnostic> {
    let problem = |id, message: String| Diagnostic::file_error(id, path.clone(), message);
    if metadata.len() > LARGEST {
        let megabytes = metadata.len() / (1024 * 1024);
        return Err(problem("too-large", format!("a file of {megabytes} MiB is not read; at most 64 MiB are"))
            .remedy("split it into several files in a folder"));
    }
    let bytes =
        fs::read(Path::new(&**path)).map_err(|error| problem("unreadable", format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        problem("not-text", format!("this is no UTF-8 text (byte {} is not)", error.utf8_error().valid_up_to()))
    })?;
    match text.find('\0') {
        None => Ok(text),
        Some(at) => Err(problem("not-text", format!("this is a binary file (byte {at} is zero)"))),
    }
}

/// What a walk over the roots comes upon.
#[derive(Debug, Default)]
struct Walk {
    found: BTreeMap<Arc<str>, fs::Metadata>,
    missing: Vec<Arc<str>>,
    unreadable: Vec<Arc<str>>,
    folders: BTreeSet<PathBuf>,
    problems: Vec<Diagnostic>,
    /// Folders on the way down, resolved: a link back up is not followed.
    visited: BTreeSet<PathBuf>,
}

impl Walk {
    fn root(&mut self, root: &Path) {
        let name = display(root);
        let parent = root.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.folders.insert(parent.unwrap_or(Path::new(".")).to_path_buf());
        match fs::metadata(root) {
            Ok(metadata) if metadata.is_dir() => self.folder(root),
            Ok(metadata) => self.file(root, metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing.push(name),
            Err(error) => self.refuse(name, &error),
        }
    }

    fn folder(&mut self, folder: &Path) {
        let resolved = match fs::canonicalize(folder) {
            Ok(resolved) => resolved,
            Err(error) => return self.refuse(display(folder), &error),
        };
        if !self.visited.insert(resolved.clone()) {
            return;
        }
        self.folders.insert(folder.to_path_buf());
        self.folders.insert(resolved);
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries.flatten() {
                    if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                        self.entry(&entry.path());
                    }
                }
            }
            Err(error) => self.refuse(display(folder), &error),
        }
    }

    fn entry(&mut self, path: &Path) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(metadata) if is_wanted(path) => self.file(path, metadata),
            // A link into nowhere is a file that is not there; one that leads in a circle is a mistake to tell of.
            Err(error) if is_wanted(path) && error.kind() != io::ErrorKind::NotFound => {
                self.refuse(display(path), &error);
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// Special files are never opened: reading a pipe would wait for ever.
    fn file(&mut self, path: &Path, metadata: fs::Metadata) {
        if !metadata.is_file() {
            let problem = Diagnostic::file_error("unreadable", display(path), "this is neither a file nor a folder");
            self.problems.push(problem);
            return;
        }
        if let Some(parent) = fs::canonicalize(path).ok().as_deref().and_then(Path::parent) {
            self.folders.insert(parent.to_path_buf());
        }
        self.found.insert(display(path), metadata);
    }

    fn refuse(&mut self, path: Arc<str>, error: &io::Error) {
        self.problems.push(Diagnostic::file_error("unreadable", path.clone(), format!("cannot be read: {error}")));
        self.unreadable.push(path);
    }
}

fn is_wanted(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|wanted| extension == *wanted))
}

fn display(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}
