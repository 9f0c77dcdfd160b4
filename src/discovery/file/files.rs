//! Several snapshot files into one slice, each with its last good content.
//!
//! Only files whose content changed are read, and only what they hold is compared. No two contents that count claim
//! one name: a newer content that claims what another file has waits, while its file keeps what counted before, and
//! is tried again whenever something changes. So a service moves from one file to another whichever of the two is
//! written first.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::SystemTime,
};

use imbl::{OrdMap, ordmap::DiffItem};

use super::read::{ReadService, place_of_claim, read};
use crate::{
    diagnostic::{Diagnostic, Level, SourceFile},
    discovery::Slice,
    files::Listing,
    model::{CatalogEntry, ServiceName},
};

/// What is known of each file, and the slice they make.
#[derive(Debug, Clone, Default)]
pub struct Files {
    files: BTreeMap<Arc<str>, File>,
    /// The contents that were taken last.
    seen: OrdMap<Arc<str>, Arc<SourceFile>>,
    /// Files with something wrong in their newest content.
    flawed: BTreeSet<Arc<str>>,
    /// Files of which no content counts.
    never_good: BTreeSet<Arc<str>>,
    /// Files whose newest content reads well and does not count yet.
    waiting: BTreeSet<Arc<str>>,
    /// Every name and host of what counts, in lower case, and the file that has it.
    claims: HashMap<String, Arc<str>>,
    slice: Slice,
    files_read: u64,
}

#[derive(Debug, Clone)]
struct File {
    /// What is wrong with the newest content.
    problems: Vec<Diagnostic>,
    /// What counts.
    good: Option<Content>,
    /// The newest content, when it reads well and does not count yet.
    waiting: Option<Content>,
}

/// A file's services.
#[derive(Debug, Clone)]
struct Content {
    file: Arc<SourceFile>,
    services: Arc<Vec<ReadService>>,
}

impl Files {
    /// What the files come to.
    pub fn slice(&self) -> &Slice {
        &self.slice
    }

    /// How many contents were read since the start: counted, to be held against how many changed.
    pub fn files_read(&self) -> u64 {
        self.files_read
    }

    /// Takes the newest contents. Costs what differs from those before.
    pub fn update(&mut self, listing: &Listing, now: SystemTime) {
        let before = std::mem::replace(&mut self.seen, listing.files.clone());
        let mut replaced = Vec::new();
        for item in before.diff(&listing.files) {
            match item {
                DiffItem::Remove(path, _) => {
                    self.set_aside(path);
                    replaced.extend(self.files.remove(path).and_then(|file| file.good));
                }
                DiffItem::Add(path, newest) | DiffItem::Update { new: (path, newest), .. } => self.take(path, newest),
            }
        }
        for content in &replaced {
            self.release(content);
        }
        let accepted = self.accept_waiting(&mut replaced);
        self.rebuild(&replaced, &accepted, now);
        self.slice.problems = self.problems(listing);
        let complete = listing.missing.is_empty()
            && self.never_good.is_empty()
            && !listing.problems.iter().any(|problem| problem.level == Level::Error);
        self.slice.synced |= complete;
        self.slice.current = complete && self.flawed.is_empty();
    }

    fn problems(&self, listing: &Listing) -> Vec<Diagnostic> {
        let missing = listing.missing.iter().map(|path| {
            let problem = Diagnostic::file_error("missing-path", path.clone(), "this service snapshot is not there");
            Diagnostic { level: Level::Warning, ..problem }.remedy("it is waited for; what it last held is kept")
        });
        let read = self.flawed.iter().filter_map(|path| self.files.get(path)).flat_map(|file| &file.problems);
        listing.problems.iter().chain(read).cloned().chain(missing).collect()
    }

    /// Notes which of the few that need a look again a file is among.
    fn sort_in(&mut self, path: &Arc<str>) {
        let Some(File { problems, good, waiting, .. }) = self.files.get(path) else { return self.set_aside(path) };
        let is = [(&mut self.flawed, !problems.is_empty()), (&mut self.never_good, good.is_none())];
        for (set, is_in) in is.into_iter().chain([(&mut self.waiting, waiting.is_some())]) {
            match is_in {
                true => drop(set.insert(path.clone())),
                false => drop(set.remove(path)),
            }
        }
    }

    fn set_aside(&mut self, path: &Arc<str>) {
        for set in [&mut self.flawed, &mut self.never_good, &mut self.waiting] {
            set.remove(path);
        }
    }

    /// Reads a file's content.
    fn take(&mut self, path: &Arc<str>, newest: &Arc<SourceFile>) {
        self.files_read += 1;
        let good = self.files.remove(path).and_then(|file| file.good);
        let (waiting, problems) = match read(newest) {
            Ok(services) => (Some(Content { file: newest.clone(), services: Arc::new(services) }), Vec::new()),
            Err(problems) => (None, problems),
        };
        self.files.insert(path.clone(), File { problems, good, waiting });
        self.sort_in(path);
    }

    /// Lets those waiting contents count that claim nothing another file has; `replaced` gets what they replace.
    fn accept_waiting(&mut self, replaced: &mut Vec<Content>) -> Vec<Content> {
        let refused = self.refused();
        let accepted: Vec<Arc<str>> =
            self.waiting.iter().filter(|path| !refused.contains_key(*path)).cloned().collect();
        let mut contents = Vec::with_capacity(accepted.len());
        for path in &accepted {
            let Some(file) = self.files.get_mut(path) else { continue };
            let old = std::mem::replace(&mut file.good, file.waiting.take());
            file.problems.clear();
            contents.extend(file.good.clone());
            if let Some(old) = old {
                self.release(&old);
                replaced.push(old);
            }
            self.sort_in(path);
        }
        // Only now, since what one file gives up another may take in the same moment.
        for content in &contents {
            for name in names(content) {
                self.claims.insert(name, content.file.path.clone());
            }
        }
        for (path, problem) in refused {
            if let Some(file) = self.files.get_mut(&path) {
                file.problems = vec![problem];
            }
            self.sort_in(&path);
        }
        contents
    }

    /// The waiting contents that claim what another file has, and why.
    ///
    /// All are first taken together, so that a name may go from one to another. One that claims what is another's
    /// goes back to what counted before, which may in turn take a name from a third: hence the loop, which ends
    /// since each turn refuses one more, and all refused is what counted before.
    fn refused(&self) -> BTreeMap<Arc<str>, Diagnostic> {
        let mut refused = BTreeMap::new();
        loop {
            let newly = self.refused_besides(&refused);
            if newly.is_empty() {
                return refused;
            }
            refused.extend(newly);
        }
    }

    fn refused_besides(&self, refused: &BTreeMap<Arc<str>, Diagnostic>) -> BTreeMap<Arc<str>, Diagnostic> {
        let mut newly = BTreeMap::new();
        let kept = refused.keys().filter_map(|path| self.files.get(path)?.good.as_ref());
        let mut claims: HashMap<String, &Content> =
            kept.flat_map(|content| names(content).map(move |name| (name, content))).collect();
        for path in self.waiting.iter().filter(|path| !refused.contains_key(*path)) {
            let Some(content) = self.files.get(path).and_then(|file| file.waiting.as_ref()) else { continue };
            let taken = names(content).find_map(|name| {
                let holder = claims.get(&name).copied().or_else(|| self.settled_holder(&name))?;
                Some((name, holder))
            });
            match taken {
                Some((name, holder)) => drop(newly.insert(path.clone(), conflict(&name, content, holder))),
                None => claims.extend(names(content).map(|name| (name, content))),
            }
        }
        newly
    }

    /// The content that has a name and is not about to be replaced.
    fn settled_holder(&self, name: &str) -> Option<&Content> {
        let file = self.files.get(self.claims.get(name)?)?;
        if file.waiting.is_some() { None } else { file.good.as_ref() }
    }

    fn release(&mut self, content: &Content) {
        for name in names(content) {
            self.claims.remove(&name);
        }
    }

    /// Makes the slice; what is equal to before keeps its `Arc`s and its branches of the map.
    fn rebuild(&mut self, replaced: &[Content], accepted: &[Content], now: SystemTime) {
        let services = &mut self.slice.services;
        let present = accepted.iter().flat_map(|content| content.services.iter());
        let present: BTreeMap<&ServiceName, &ReadService> =
            present.map(|service| (&service.service.name, service)).collect();
        for ReadService { service, .. } in replaced.iter().flat_map(|content| content.services.iter()) {
            if !present.contains_key(&service.name) {
                services.remove(&service.name);
            }
        }
        for (name, read) in present {
            set(services, name, read, now);
        }
    }
}

fn conflict(name: &str, content: &Content, holder: &Content) -> Diagnostic {
    let message = format!("`{name}` is claimed by a service of {} as well", holder.file.path);
    let problem = match locate(name, content) {
        Some((field, place)) => Diagnostic::error("duplicate", place, field, message),
        None => Diagnostic::file_error("duplicate", content.file.path.clone(), message),
    };
    let problem = problem.remedy("rename one, or remove it from one of the files");
    match locate(name, holder) {
        Some((_, first)) => problem.related(first, "also claimed here"),
        None => problem,
    }
}

fn locate(name: &str, content: &Content) -> Option<(String, crate::diagnostic::Place)> {
    let claims = |service: &&ReadService| names_of(service).any(|claimed| claimed == name);
    place_of_claim(&content.file, content.services.iter().find(claims)?.index, name)
}

/// Every name and host, in lower case: host names know no case.
fn names(content: &Content) -> impl Iterator<Item = String> {
    content.services.iter().flat_map(names_of)
}

fn names_of(service: &ReadService) -> impl Iterator<Item = String> {
    let hosts = service.service.hosts.iter().map(|host| host.as_str());
    std::iter::once(service.service.name.as_str()).chain(hosts).map(str::to_ascii_lowercase)
}

fn set(services: &mut OrdMap<ServiceName, CatalogEntry>, name: &ServiceName, read: &ReadService, now: SystemTime) {
    let present = services.get(name);
    let service = present.map(|entry| &entry.service).filter(|service| **service == read.service).cloned();
    let endpoints = present.map(|entry| &entry.endpoints).filter(|endpoints| **endpoints == read.endpoints).cloned();
    if let (Some(_), Some(_)) = (&service, &endpoints) {
        return;
    }
    let entry = CatalogEntry {
        service: service.unwrap_or_else(|| read.service.clone()),
        endpoints: endpoints.unwrap_or_else(|| read.endpoints.clone()),
        observed: now,
    };
    services.insert(name.clone(), entry);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that hold services of these names and hosts, `name` or `name/host`, each file's separated by spaces.
    fn listing(files: &[(&str, &str)]) -> Listing {
        let service = |(index, text): (usize, &str)| {
            let (name, host) = text.split_once('/').unwrap_or((text, ""));
            let hosts = if host.is_empty() { String::new() } else { format!("hosts: [{host}], ") };
            format!("  - {{ name: {name}, {hosts}ports: [{{ name: a, port: {}, protocol: http }}] }}\n", index + 1)
        };
        let file = |(path, services): &(&str, &str)| {
            let services: String = services.split_whitespace().enumerate().map(service).collect();
            let text = if services.is_empty() { "services: []".into() } else { format!("services:\n{services}") };
            let path: Arc<str> = (*path).into();
            (path.clone(), Arc::new(SourceFile { path, text: text.into() }))
        };
        Listing { files: files.iter().map(file).collect(), ..Listing::default() }
    }

    /// Goes through listings as they would be seen, an unchanged file with its `Arc`; returns the last slice.
    fn after(steps: &[&[(&str, &str)]]) -> (Files, Vec<String>) {
        let mut files = Files::default();
        let mut before = Listing::default();
        for step in steps {
            let mut next = listing(step);
            for (path, old) in &before.files {
                if next.files.get(path) == Some(old) {
                    next.files.insert(path.clone(), old.clone());
                }
            }
            files.update(&next, SystemTime::UNIX_EPOCH);
            before = next;
        }
        let names = files.slice().services.keys().map(ToString::to_string).collect();
        (files, names)
    }

    #[test]
    fn of_two_files_that_claim_one_name_the_one_that_changed_keeps_its_old_content() {
        let (files, names) = after(&[&[("a", "x"), ("b", "y")], &[("a", "x"), ("b", "z y/X")]]);
        assert_eq!(names, ["x", "y"], "b keeps y without the host and gets no z");
        let [problem] = &*files.slice().problems else { panic!("{:?}", files.slice().problems) };
        assert_eq!(problem.field, "services[1].hosts[0]");
        assert_eq!(problem.file(), "b");
        assert_eq!(problem.related[0].0.file.path, "a".into());
    }

    #[test]
    fn a_refused_content_counts_as_soon_as_it_can() {
        let start: &[(&str, &str)] = &[("a", "x"), ("b", "y")];
        let (files, names) = after(&[start, &[("a", "x"), ("b", "x y")], &[("a", ""), ("b", "x y")]]);
        assert_eq!((names, files.slice().problems.len()), (vec!["x".into(), "y".into()], 0));
        let (files, names) = after(&[start, &[("a", "x"), ("b", "x y")], &[("b", "x y")]]);
        assert_eq!((names, files.slice().problems.len()), (vec!["x".into(), "y".into()], 0), "when the file went");
    }

    #[test]
    fn names_change_hands_in_one_step() {
        let (files, names) = after(&[&[("a", "x"), ("b", "y")], &[("a", "y"), ("b", "x")]]);
        assert_eq!((names, files.slice().problems.len()), (vec!["x".into(), "y".into()], 0));
        assert_eq!(files.files_read(), 4);
    }

    #[test]
    fn a_refusal_that_takes_a_name_back_refuses_others() {
        // b may not have z, so it keeps x, so a may not have x and keeps w.
        let (files, names) = after(&[&[("a", "w"), ("b", "x"), ("c", "z")], &[("a", "x v"), ("b", "z"), ("c", "z")]]);
        assert_eq!(names, ["w", "x", "z"]);
        assert_eq!(files.slice().problems.len(), 2);
    }

    #[test]
    fn several_conflicts_at_once_are_all_reported_and_the_rest_goes_on() {
        let start: &[(&str, &str)] = &[("a", "x"), ("b", ""), ("c", ""), ("d", "")];
        let (files, names) = after(&[start, &[("a", "x"), ("b", "x b"), ("c", "c"), ("d", "x d")]]);
        assert_eq!(names, ["c", "x"]);
        assert_eq!(files.slice().problems.iter().map(Diagnostic::file).collect::<Vec<_>>(), ["b", "d"]);
    }

    #[test]
    fn only_changed_files_are_read_and_unchanged_services_keep_their_arcs() {
        let (mut files, _) = after(&[&[("a", "x"), ("b", "y z")]]);
        let before = files.slice().clone();
        let mut next = listing(&[("a", "x"), ("b", "y")]);
        next.files.insert("a".into(), files.seen["a"].clone());
        files.update(&next, SystemTime::now());
        assert_eq!(files.files_read(), 3);
        let arc = |slice: &Slice, name: &str| slice.services[name].service.clone();
        assert!(Arc::ptr_eq(&arc(&before, "x"), &arc(files.slice(), "x")));
        assert!(Arc::ptr_eq(&arc(&before, "y"), &arc(files.slice(), "y")));
        assert_eq!(files.slice().services.len(), 2);
    }
}
