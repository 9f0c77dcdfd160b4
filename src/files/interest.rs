//! What an event is about: of all that happens in the watched folders, what concerns us, and how much of it has to be
//! looked at again.
//!
//! A folder of a thousand files in which one is written costs one `stat` and one read; looking at everything is for
//! the rare events after which a path may mean something else.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::resolve::Trail;

/// What the last look at everything came by. Paths are without links.
#[derive(Debug, Default)]
pub(super) struct Interest {
    /// Ordinary files, with the names under which people reach them.
    pub(super) files: HashMap<PathBuf, Vec<Arc<str>>>,
    /// Links and folders on the way, and what is missing.
    pub(super) through: HashSet<PathBuf>,
    /// Folders that are read.
    pub(super) folders: HashSet<PathBuf>,
    /// Folders that have to be watched.
    pub(super) watched: BTreeSet<PathBuf>,
}

/// How much has to be looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Concern {
    Nothing,
    /// This one file.
    File,
    Everything,
}

impl Interest {
    /// Notes a way that was gone.
    pub(super) fn pass(&mut self, trail: &Trail) {
        self.through.extend(trail.through.iter().cloned());
        self.watched.extend(trail.folders.iter().cloned());
    }

    /// Notes a folder that is read.
    pub(super) fn read_folder(&mut self, folder: &Path) {
        self.folders.insert(folder.to_owned());
        self.through.insert(folder.to_owned());
        self.watched.insert(folder.to_owned());
    }

    /// What an event at `path` concerns.
    pub(super) fn concern(&self, path: &Path) -> Concern {
        if self.files.contains_key(path) {
            return Concern::File;
        }
        if self.through.contains(path) || self.watched.contains(path) {
            return Concern::Everything;
        }
        let in_read_folder = path.parent().is_some_and(|folder| self.folders.contains(folder));
        match path.file_name() {
            Some(name) if in_read_folder && !is_hidden(name) && may_be_read(path, name) => Concern::Everything,
            _ => Concern::Nothing,
        }
    }
}

/// Hidden files and folders are left aside.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Whether a file of this name in a folder is read.
pub(super) fn is_data(name: &OsStr) -> bool {
    Path::new(name).extension().is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
}

/// Something new in a folder: a file by its name, or a folder or link by what it is.
fn may_be_read(path: &Path, name: &OsStr) -> bool {
    is_data(name) || std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}
