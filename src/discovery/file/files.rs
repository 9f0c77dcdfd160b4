//! Several snapshot files into one slice, each with its last good content.
//!
//! Only files whose content changed are read. Of two files that claim one name, the one that changed keeps its old
//! content and the other goes on.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use imbl::OrdMap;

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
    slice: Slice,
    files_read: u64,
}

#[derive(Debug, Clone)]
struct File {
    newest: Arc<SourceFile>,
    problems: Vec<Diagnostic>,
    good: Option<Good>,
}

/// A content that counts.
#[derive(Debug, Clone)]
struct Good {
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

    /// Takes the newest contents.
    pub fn update(&mut self, listing: &Listing, now: SystemTime) {
        let mut before = std::mem::take(&mut self.files);
        let mut changed = Vec::new();
        for (path, newest) in &listing.files {
            let file = match before.remove(path) {
                Some(old) if Arc::ptr_eq(&old.newest, newest) => old,
                old => {
                    self.files_read += 1;
                    let old_good = old.and_then(|old| old.good);
                    changed.push((path.clone(), old_good.clone()));
                    read_file(newest, old_good)
                }
            };
            self.files.insert(path.clone(), file);
        }
        self.settle_claims(changed);
        self.rebuild(listing, now);
    }

    /// Two files that claim one name: the changed one goes back to its old content.
    fn settle_claims(&mut self, changed: Vec<(Arc<str>, Option<Good>)>) {
        let mut changed = changed.into_iter().rev();
        while let Some(conflict) = self.first_conflict() {
            let Some((path, old)) = changed.find(|(path, _)| conflict.files.contains(path)) else {
                // None of the two changed, so this is what they were before: the first by path counts.
                break;
            };
            if let Some(file) = self.files.get_mut(&path) {
                file.problems.push(conflict.problem);
                file.good = old;
            }
        }
    }

    fn first_conflict(&self) -> Option<Conflict> {
        let mut claims: BTreeMap<String, (&Arc<str>, &Good, &ReadService)> = BTreeMap::new();
        for (path, good) in self.good() {
            for service in good.services.iter() {
                for name in names(service) {
                    match claims.get(&name) {
                        Some((first_path, first_good, first)) if *first_path != path => {
                            let message = format!("`{name}` is claimed by two services");
                            let place =
                                |good: &Good, service: &ReadService| place_of_claim(&good.file, service.index, None);
                            let problem = match place(good, service) {
                                Some(place) => Diagnostic::error(
                                    "duplicate",
                                    place,
                                    format!("services[{}].name", service.index),
                                    message,
                                ),
                                None => Diagnostic::file_error("duplicate", path.clone(), message),
                            };
                            let problem = problem.remedy("rename one, or remove it from one of the files");
                            let problem = match place(first_good, first) {
                                Some(first) => problem.related(first, "also claimed here"),
                                None => problem,
                            };
                            return Some(Conflict { files: [path.clone(), (*first_path).clone()], problem });
                        }
                        Some(_) => {}
                        None => drop(claims.insert(name, (path, good, service))),
                    }
                }
            }
        }
        None
    }

    fn good(&self) -> impl Iterator<Item = (&Arc<str>, &Good)> {
        self.files.iter().filter_map(|(path, file)| Some((path, file.good.as_ref()?)))
    }

    /// Makes the slice; what is equal to before keeps its `Arc`s and its branches of the map.
    fn rebuild(&mut self, listing: &Listing, now: SystemTime) {
        let mut services = self.slice.services.clone();
        let mut wanted: BTreeMap<&ServiceName, &ReadService> = BTreeMap::new();
        for (_, good) in self.good() {
            for service in good.services.iter() {
                wanted.entry(&service.service.name).or_insert(service);
            }
        }
        let gone: Vec<ServiceName> = services.keys().filter(|name| !wanted.contains_key(name)).cloned().collect();
        for name in gone {
            services.remove(&name);
        }
        for (name, read) in wanted {
            set(&mut services, name, read, now);
        }
        let unread = self.files.values().filter(|file| file.good.is_none()).count();
        let mut problems: Vec<Diagnostic> =
            listing.problems.iter().chain(self.files.values().flat_map(|file| &file.problems)).cloned().collect();
        problems.extend(listing.missing.iter().map(|path| {
            let problem = Diagnostic::file_error("missing-path", path.clone(), "this service snapshot is not there");
            Diagnostic { level: Level::Warning, ..problem }.remedy("it is waited for; what it last held is kept")
        }));
        let complete = listing.missing.is_empty()
            && unread == 0
            && !listing.problems.iter().any(|problem| problem.level == Level::Error);
        self.slice = Slice { services, problems, synced: self.slice.synced || complete };
    }
}

struct Conflict {
    files: [Arc<str>; 2],
    problem: Diagnostic,
}

fn read_file(newest: &Arc<SourceFile>, old_good: Option<Good>) -> File {
    match read(newest) {
        Ok(services) => {
            let good = Good { file: newest.clone(), services: Arc::new(services) };
            File { newest: newest.clone(), problems: Vec::new(), good: Some(good) }
        }
        Err(problems) => File { newest: newest.clone(), problems, good: old_good },
    }
}

fn names(service: &ReadService) -> impl Iterator<Item = String> {
    let hosts = service.service.hosts.iter().map(|host| host.as_str());
    std::iter::once(service.service.name.as_str()).chain(hosts).map(str::to_ascii_lowercase)
}

fn set(services: &mut OrdMap<ServiceName, CatalogEntry>, name: &ServiceName, read: &ReadService, now: SystemTime) {
    let present = services.get(name);
    let service = present.map(|entry| &entry.service).filter(|service| ***service == read.service).cloned();
    let endpoints = present.map(|entry| &entry.endpoints).filter(|endpoints| ***endpoints == read.endpoints).cloned();
    if let (Some(_), Some(_)) = (&service, &endpoints) {
        return;
    }
    let entry = CatalogEntry {
        service: service.unwrap_or_else(|| Arc::new(read.service.clone())),
        endpoints: endpoints.unwrap_or_else(|| Arc::new(read.endpoints.clone())),
        observed: now,
    };
    services.insert(name.clone(), entry);
}
