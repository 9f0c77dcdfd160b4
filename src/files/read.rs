//! Reading one file: its text, or a sentence on why not. Nothing is opened that is not an ordinary file of a size one
//! can mean, so that a FIFO, a device or a core dump in a folder of policies stops nobody.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::diagnostic::{Diagnostic, SourceFile};

/// The largest file that is read, in bytes: 64 MiB, some fifty times a snapshot of a thousand services.
pub const MAX_SIZE: u64 = 64 * 1024 * 1024;

/// A path as people are shown it: as written, without `.` in it.
pub(super) fn shown(path: &Path) -> Arc<str> {
    let parts: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if parts.as_os_str().is_empty() { ".".into() } else { parts.to_string_lossy().into() }
}

/// The text of an ordinary file. `name` is how people reach it, `real` how the kernel does.
pub(super) fn read_text(real: &Path, name: &Arc<str>, metadata: &Metadata) -> Result<Arc<SourceFile>, Diagnostic> {
    if metadata.len() > MAX_SIZE {
        return Err(too_large(name, metadata.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0) + 1);
    // It may grow while it is read.
    let limited = File::open(real).and_then(|file| file.take(MAX_SIZE + 1).read_to_end(&mut bytes));
    limited.map_err(|error| failed(name, &error))?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err(too_large(name, bytes.len() as u64));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        not_text(name, format!("this is no UTF-8 text (byte {} is not)", error.utf8_error().valid_up_to()))
    })?;
    match text.find('\0') {
        Some(at) => Err(not_text(name, format!("this is a binary file (byte {at} is zero)"))),
        None => Ok(Arc::new(SourceFile { path: name.clone(), text: text.into() })),
    }
}

/// What metadata says of the content: while it stays the same the content does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    /// The fingerprint of a file that is about to be read at `now`.
    ///
    /// Absent when the file changed so recently that it may change once more without its times showing it: the
    /// kernel's clock for files ticks every 1 to 10 ms. It is then simply read once more at the next look.
    pub(super) fn of(metadata: &Metadata, now: SystemTime) -> Option<Self> {
        const TICK: Duration = Duration::from_millis(20);
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        let age = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.checked_sub(since_epoch(changed)?)?;
        (age > TICK).then(|| Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed,
        })
    }
}

fn since_epoch((seconds, nanoseconds): (i64, i64)) -> Option<Duration> {
    Some(Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?))
}

/// It is there, but the system refuses.
pub(super) fn failed(name: &Arc<str>, error: &io::Error) -> Diagnostic {
    let problem = unreadable(name, format!("cannot be read: {error}"));
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            problem.remedy("let the user that chancery runs as read it (folders need `x` as well)")
        }
        _ => problem,
    }
}

/// A link that leads to itself.
pub(super) fn circle(name: &Arc<str>) -> Diagnostic {
    unreadable(name, "cannot be read: it is a link that leads in a circle".to_owned())
        .remedy("point the link at a file or folder")
}

/// A link to nothing, in a folder.
pub(super) fn dangling(name: &Arc<str>) -> Diagnostic {
    unreadable(name, "cannot be read: it is a link to something that is not there".to_owned())
        .remedy("remove the link, or point it at a file")
}

/// A folder that is reached again from inside itself.
pub(super) fn cycle(name: &Arc<str>, around: &Path) -> Diagnostic {
    unreadable(name, format!("is a link to {}, a folder that it is itself in", around.display()))
        .remedy("remove the link: what it leads to is read already")
}

/// A folder that is reached by two ways.
pub(super) fn twice(name: &Arc<str>, already: &Arc<str>) -> Diagnostic {
    unreadable(name, format!("is the folder {already} once more")).remedy("remove one of the two: it is read once")
}

/// Neither file nor folder.
pub(super) fn special(name: &Arc<str>, metadata: &Metadata) -> Diagnostic {
    let kind = metadata.file_type();
    let what = if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    unreadable(name, format!("this is neither a file nor a folder but {what}, which is never opened"))
        .remedy("put an ordinary file in its place")
}

fn too_large(name: &Arc<str>, size: u64) -> Diagnostic {
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let message = format!("a file of {} MiB is not read; at most {} MiB are", mib(size), mib(MAX_SIZE));
    Diagnostic::file_error("too-large", name.clone(), message).remedy("split it into several files in a folder")
}

fn unreadable(name: &Arc<str>, message: String) -> Diagnostic {
    Diagnostic::file_error("unreadable", name.clone(), message)
}

fn not_text(name: &Arc<str>, message: String) -> Diagnostic {
    Diagnostic::file_error("not-text", name.clone(), message).remedy("write it as UTF-8 text")
}
