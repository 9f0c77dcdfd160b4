//! Policies as they stand in a git revision: read through the `git` command, without a checkout, and nothing is written.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use anyhow::{Context, Result, bail};

use crate::diagnostic::{Diagnostic, SourceFile};

/// A revision that was found, in the repository that the policies are in.
#[derive(Debug)]
pub(super) struct Revision {
    repository: PathBuf,
    /// As it was written.
    name: String,
    /// What it means.
    commit: String,
}

/// What is there under the paths of policies, and what cannot be read there.
pub(super) type Files = (Vec<Arc<SourceFile>>, Vec<Diagnostic>);

/// A path without links, as far as it is there; a file that is gone has a folder it was in.
fn real(path: &Path) -> Result<PathBuf> {
    let absolute = std::path::absolute(path)?;
    let mut rest = PathBuf::new();
    let mut here = absolute.as_path();
    loop {
        if let Ok(real) = here.canonicalize() {
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
        let (Some(parent), Some(name)) = (here.parent(), here.file_name()) else { return Ok(absolute) };
        rest = if rest.as_os_str().is_empty() { PathBuf::from(name) } else { Path::new(name).join(rest) };
        here = parent;
    }
}

/// Runs git in a folder. It takes no locks, fetches nothing and asks nothing.
fn git(folder: &Path, args: &[&str]) -> Result<Output> {
    command(folder, args).output().map_err(no_git)
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args).stdin(Stdio::null());
    command.envs([
        ("GIT_OPTIONAL_LOCKS", "0"),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C"),
    ]);
    command
}

fn no_git(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            anyhow::anyhow!("git is not on PATH, and a revision is read through it: install git, or name a folder")
        }
        _ => anyhow::Error::new(error).context("running git"),
    }
}

fn answer(output: &Output) -> Option<String> {
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("fatal: ").to_owned()
}

/// The repository that a path is in.
fn repository_of(path: &Path) -> Result<PathBuf> {
    let real = real(path)?;
    let folder = real.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/")).to_owned();
    let top = git(&folder, &["rev-parse", "--show-toplevel"])?;
    match answer(&top) {
        Some(top) => Ok(PathBuf::from(top)),
        None => bail!("{} is in no git repository: {}", path.display(), complaint(&top)),
    }
}

impl Revision {
    /// Finds a revision in the repository of the policies. A sentence says why there is none.
    pub fn find(name: &str, policies: &[PathBuf]) -> Result<Self> {
        let Some(first) = policies.first() else {
            bail!("`{name}` is no path, and the configuration names no policies whose git revisions could be read")
        };
        let repository = repository_of(first).with_context(|| format!("`{name}` is no path and no git revision"))?;
        for other in &policies[1..] {
            let elsewhere = repository_of(other)?;
            if elsewhere != repository {
                bail!(
                    "the policies are in two git repositories, {} and {}: a revision is of one",
                    repository.display(),
                    elsewhere.display()
                );
            }
        }
        if name.starts_with('-') {
            bail!("`{name}` is no git revision");
        }
        let found = git(&repository, &["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")])?;
        let Some(commit) = answer(&found) else {
            bail!("`{name}` is neither a path nor a git revision of {}{}", repository.display(), hint(&repository));
        };
        Ok(Self { repository, name: name.to_owned(), commit })
    }

    /// Where two lines of history parted: what `A...B` compares B with.
    pub fn fork_of(a: &str, b: &str, policies: &[PathBuf]) -> Result<Self> {
        let (from, to) = (Self::find(a, policies)?, Self::find(b, policies)?);
        let base = git(&from.repository, &["merge-base", &from.commit, &to.commit])?;
        let Some(commit) = answer(&base) else {
            bail!("{a} and {b} have no commit in common{}", hint(&from.repository));
        };
        Ok(Self { name: commit.chars().take(12).collect(), commit, repository: from.repository })
    }

    /// The texts under paths of policies: what folder and ending make of them is as it is on disk. A path that is not
    /// there in this revision holds nothing.
    pub fn files(&self, policies: &[PathBuf]) -> Result<Files> {
        let mut blobs: BTreeMap<String, String> = BTreeMap::new();
        let mut problems = Vec::new();
        for path in policies {
            let real = real(path)?;
            let Ok(inside) = real.strip_prefix(self.repository.canonicalize()?) else {
                bail!("{} is outside of the repository {}", path.display(), self.repository.display());
            };
            let inside = inside.to_string_lossy().into_owned();
            let mut args = vec!["ls-tree", "-r", "-z", "--full-tree", &self.commit];
            let pathspec = format!(":(top,literal){inside}");
            if !inside.is_empty() {
                args.extend(["--", if inside.contains(['*', '?', '[', ':']) { &pathspec } else { &inside }]);
            }
            let listed = git(&self.repository, &args)?;
            if !listed.status.success() {
                bail!("git cannot list {}: {}{}", self.name, complaint(&listed), hint(&self.repository));
            }
            for entry in String::from_utf8_lossy(&listed.stdout).split('\0') {
                let Some((facts, name)) = entry.split_once('\t') else { continue };
                let mut facts = facts.split(' ');
                let (mode, _, Some(id)) = (facts.next(), facts.next(), facts.next()) else { continue };
                if name != inside && !is_policy_file(name.strip_prefix(&inside).unwrap_or(name)) {
                    continue;
                }
                match mode {
                    Some("100644" | "100755" | "100664") => drop(blobs.insert(name.to_owned(), id.to_owned())),
                    _ => problems.push(
                        Diagnostic::file_error(
                            "unreadable",
                            self.shown(name),
                            "this is a link, which is not followed in a revision".to_owned(),
                        )
                        .remedy("commit the file itself"),
                    ),
                }
            }
        }
        let mut files = Vec::new();
        for (name, content) in self.contents(blobs)? {
            match String::from_utf8(content) {
                Ok(text) if !text.contains('\0') => {
                    files.push(Arc::new(SourceFile { path: self.shown(&name), text: text.into() }));
                }
                _ => {
                    let problem =
                        Diagnostic::file_error("not-text", self.shown(&name), "this is no UTF-8 text".to_owned());
                    problems.push(problem.remedy("write it as UTF-8 text"));
                }
            }
        }
        Ok((files, problems))
    }

    /// As `git show` takes it.
    fn shown(&self, name: &str) -> Arc<str> {
        format!("{}:{name}", self.name).into()
    }

    /// The contents of blobs, from one run of git.
    fn contents(&self, blobs: BTreeMap<String, String>) -> Result<Vec<(String, Vec<u8>)>> {
        let mut child = command(&self.repository, &["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(no_git)?;
        let asked: String = blobs.values().map(|id| format!("{id}\n")).collect();
        let stdin = child.stdin.take();
        // Written beside reading: both pipes hold little.
        let writer = std::thread::spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(asked.as_bytes())));
        let output = child.wait_with_output().context("reading from git")?;
        let _ = writer.join();
        let mut rest = output.stdout.as_slice();
        let mut contents = Vec::new();
        for (name, id) in blobs {
            let missing = || format!("git has no content for {}:{name} ({id}){}", self.name, hint(&self.repository));
            let end = rest.iter().position(|byte| *byte == b'\n').with_context(missing)?;
            let head = String::from_utf8_lossy(&rest[..end]).into_owned();
            let size: usize = head.rsplit(' ').next().and_then(|size| size.parse().ok()).with_context(missing)?;
            let content = rest.get(end + 1..end + 1 + size).with_context(missing)?;
            contents.push((name, content.to_vec()));
            rest = rest.get(end + 2 + size..).unwrap_or_default();
        }
        Ok(contents)
    }
}

/// What is read of a folder: YAML and JSON, hidden files and folders aside.
fn is_policy_file(below: &str) -> bool {
    let is_hidden = below.split('/').any(|part| part.starts_with('.'));
    !is_hidden && [".yaml", ".yml", ".json"].iter().any(|ending| below.ends_with(ending))
}

/// The usual reason why a revision is not there.
fn hint(repository: &Path) -> &'static str {
    let shallow = git(repository, &["rev-parse", "--is-shallow-repository"]).ok();
    match shallow.as_ref().and_then(answer).as_deref() {
        Some("true") => {
            "; this clone is shallow, and what lies before its edge is not there: `git fetch --unshallow`, or \
             `fetch-depth: 0` where a CI checks out"
        }
        _ => "",
    }
}
