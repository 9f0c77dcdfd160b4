//! Following a path to what it really is, and remembering the way there.
//!
//! Whoever wants to know when a path starts to mean something else has to watch every folder in which a link of it
//! stands: Kubernetes swaps a ConfigMap by renaming `..data`, a link two steps behind the file that was asked for,
//! and a watch on the file itself would never hear of it.

use std::{
    collections::VecDeque,
    ffi::OsString,
    fs::{self, Metadata},
    io,
    path::{Component, Path, PathBuf},
};

/// As many links as Linux follows before it calls it a circle.
const MAX_LINKS: usize = 40;

/// What a path leads to, and by which way.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) end: End,
    /// The links on the way, and where the way ends: if one of these changes, the path may mean something else.
    pub(super) through: Vec<PathBuf>,
    /// The folders these stand in: what has to be watched.
    pub(super) folders: Vec<PathBuf>,
}

/// What is at the end; paths are without links.
#[derive(Debug)]
pub(super) enum End {
    File(PathBuf, Metadata),
    Folder(PathBuf),
    /// Neither: a FIFO, a socket, a device.
    Special(Metadata),
    Missing,
    /// Links that lead to each other.
    Circle,
    Failed(io::Error),
}

/// Follows a path, from the working directory where it is relative.
pub(super) fn resolve(path: &Path) -> Trail {
    match std::path::absolute(path) {
        Ok(absolute) => follow(PathBuf::new(), &absolute),
        Err(error) => Trail { end: End::Failed(error), through: Vec::new(), folders: Vec::new() },
    }
}

/// Follows a name in a folder whose path has no links.
pub(super) fn resolve_in(folder: &Path, name: &OsString) -> Trail {
    follow(folder.to_owned(), Path::new(name))
}

fn follow(mut here: PathBuf, path: &Path) -> Trail {
    let mut rest: VecDeque<OsString> = steps(path).collect();
    let mut trail = Trail { end: End::Missing, through: Vec::new(), folders: Vec::new() };
    let mut links = 0;
    let mut last = None;
    while let Some(step) = rest.pop_front() {
        if step == ".." {
            here.pop();
            last = None;
            continue;
        }
        let next = here.join(&step);
        match step_to(&next) {
            Ok(Step::Link(target)) => {
                links += 1;
                trail.pass(&here, &next);
                if links > MAX_LINKS {
                    trail.end = End::Circle;
                    return trail;
                }
                if target.is_absolute() {
                    here = PathBuf::new();
                }
                for step in steps(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(step);
                }
            }
            Ok(Step::Thing(metadata)) => {
                if rest.is_empty() && next != *"/" {
                    trail.pass(&here, &next);
                }
                last = Some(metadata);
                here = next;
            }
            Err(error) => {
                trail.pass(&here, &next);
                trail.end = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => End::Missing,
                    _ => End::Failed(error),
                };
                return trail;
            }
        }
    }
    trail.end = end(here, last);
    trail
}

impl Trail {
    fn pass(&mut self, folder: &Path, entry: &Path) {
        self.folders.push(folder.to_owned());
        self.through.push(entry.to_owned());
    }
}

enum Step {
    Link(PathBuf),
    Thing(Metadata),
}

fn step_to(path: &Path) -> io::Result<Step> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() { fs::read_link(path).map(Step::Link) } else { Ok(Step::Thing(metadata)) }
}

/// The root is a step of its own, so that an absolute link starts over there.
fn steps(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|part| match part {
        Component::CurDir => None,
        part => Some(part.as_os_str().to_owned()),
    })
}

/// `last` is absent after a `..`, where nothing was looked at yet.
fn end(here: PathBuf, last: Option<Metadata>) -> End {
    let metadata = match last.map_or_else(|| fs::symlink_metadata(&here), Ok) {
        Ok(metadata) => metadata,
        Err(error) => return End::Failed(error),
    };
    if metadata.is_file() {
        End::File(here, metadata)
    } else if metadata.is_dir() {
        End::Folder(here)
    } else {
        End::Special(metadata)
    }
}
