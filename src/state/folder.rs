//! The folder that `stateDir` names: one process at a time, files that are there whole or not at all.

use std::{
    collections::HashMap,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{
    Good, LastGood,
    text::{self, Unusable},
};
use crate::diagnostic::{Diagnostic, Level};

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be created, or written to.
    #[error(
        "`stateDir` {folder} cannot be written: {error}; name a folder that this user may write to, or take `stateDir` out of the configuration"
    )]
    Unwritable {
        /// As configured.
        folder: String,
        /// What the system says.
        error: io::Error,
    },
    /// Another process has it.
    #[error("`stateDir` {folder} is in use by another chancery{owner}; stop it, or give each a folder of its own")]
    InUse {
        /// As configured.
        folder: String,
        /// ` (process 17)`, if that is known.
        owner: String,
    },
}

/// A folder that no other process uses, until this is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// What paths of policy files are kept relative to, so that it does not matter where the process is started.
    base: PathBuf,
    /// For each source its words and its file.
    sources: Vec<(String, PathBuf)>,
    /// What is on disk, by a hash of it: what is the same is not written again.
    on_disk: HashMap<PathBuf, u128>,
    _lock: File,
}

const LOCK: &str = "lock";
const POLICIES: &str = "policies.state";

impl Folder {
    /// Takes the folder, which is created if need be. `base` is the folder of the configuration; `sources` what each
    /// source is called there.
    pub fn open(path: &Path, base: &Path, sources: impl IntoIterator<Item = String>) -> Result<Self, StateError> {
        let folder = path.display().to_string();
        let unwritable = |error| StateError::Unwritable { folder: folder.clone(), error };
        fs::create_dir_all(path).map_err(unwritable)?;
        let options = File::options().read(true).write(true).create(true).truncate(false).to_owned();
        let mut lock = options.open(path.join(LOCK)).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = lock.read_to_string(&mut owner);
                let owner = owner.trim().parse::<u32>().map(|id| format!(" (process {id})")).unwrap_or_default();
                return Err(StateError::InUse { folder, owner });
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let note = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())
        };
        note(&mut lock).map_err(unwritable)?;
        let sources = sources.into_iter().map(|name| {
            let file = path.join(file_name(&name));
            (name, file)
        });
        Ok(Self {
            path: path.to_owned(),
            base: base.to_owned(),
            sources: sources.collect(),
            on_disk: HashMap::new(),
            _lock: lock,
        })
    }

    /// What was good when a process last wrote here, and what of it cannot be used.
    pub fn load(&mut self) -> (LastGood, Vec<Diagnostic>) {
        let mut problems = Vec::new();
        let Self { path, base, sources, on_disk, .. } = self;
        let sources = sources.iter().map(|(_, path)| {
            let text = read(path, &mut problems)?;
            let last = taken(path, text::read_services(&path.to_string_lossy(), &text), &mut problems)?;
            on_disk.insert(path.clone(), text::hash_of_body(&text));
            Some(last)
        });
        let sources = sources.collect();
        let path = path.join(POLICIES);
        let policies = read(&path, &mut problems).and_then(|text| {
            let reached = |kept: &str| base.join(kept).to_string_lossy().into_owned();
            let last = taken(&path, text::read_policies(&text, reached), &mut problems)?;
            on_disk.insert(path, text::hash_of_body(&text));
            Some(last)
        });
        (LastGood { sources, policies }, problems)
    }

    /// The parts of a state, each with the file it belongs in, and its text.
    pub(super) fn parts(&self, good: &Good) -> Vec<Part> {
        let sources = self.sources.iter().zip(&good.sources).filter_map(|((name, path), services)| {
            let body = text::services_body(services.as_ref()?);
            Some(Part { path: path.clone(), of: name.clone(), body })
        });
        let relative = |path: &Arc<str>| {
            let path = Path::new(&**path);
            path.strip_prefix(&self.base).unwrap_or(path).to_string_lossy().into_owned()
        };
        let paths: Vec<String> = good.policies.iter().map(|file| relative(&file.path)).collect();
        let files = paths.iter().zip(&good.policies).map(|(path, file)| (path.as_str(), &*file.text));
        let policies =
            Part { path: self.path.join(POLICIES), of: "policies".to_owned(), body: text::policies_body(files) };
        sources.chain([policies]).collect()
    }

    /// Puts a part in its place, unless it is there: whole, or not at all, whenever the power fails. Returns whether
    /// anything was written.
    pub(super) fn write(&mut self, part: &Part, now: SystemTime) -> io::Result<bool> {
        let Part { path, of, body } = part;
        let hash = text::hash(body);
        if self.on_disk.get(path) == Some(&hash) {
            return Ok(false);
        }
        let partial = path.with_extension("partial");
        let mut file = File::create(&partial)?;
        file.write_all(text::seal(of, body, text::to_seconds(now)).as_bytes())?;
        file.sync_all()?;
        drop(file);
        fs::rename(&partial, path)?;
        self.on_disk.insert(path.clone(), hash);
        File::open(&self.path)?.sync_all()?;
        Ok(true)
    }
}

/// One file of the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub path: PathBuf,
    pub of: String,
    pub body: String,
}

/// A source's words, as far as a file may be called so; what is lost thereby is in the digits.
fn file_name(source: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' || c == '-' { c } else { '_' };
    let readable: String = source.chars().rev().take(60).collect::<Vec<_>>().into_iter().rev().map(plain).collect();
    format!("{readable}-{:08x}.state", xxhash_rust::xxh3::xxh3_64(source.as_bytes()) as u32)
}

fn read(path: &Path, problems: &mut Vec<Diagnostic>) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => taken(path, Err(format!("cannot be read: {error}")), problems),
    }
}

fn taken<T>(path: &Path, read: Result<T, Unusable>, problems: &mut Vec<Diagnostic>) -> Option<T> {
    let problem = |why: Unusable| {
        let problem = Diagnostic::file_error("unusable-state", path.to_string_lossy(), format!("this file {why}"));
        let problem = Diagnostic { level: Level::Warning, ..problem };
        problem.remedy("it is left aside, and written anew once there is something good to write")
    };
    read.map_err(|why| problems.push(problem(why))).ok()
}
