//! What counts, given what was seen: pure.
//!
//! What vanishes may be about to come back: programs replace files by deleting and creating them, volumes are
//! unmounted and mounted, editors empty a file before they write it. So
//!
//! - what cannot be read, a configured path that is not there, and a folder that cannot be listed keep what was
//!   last read from them, until they can be read again;
//! - a file that is gone from a folder takes its content along after [`GRACE`];
//! - a file that is suddenly empty counts as empty after [`GRACE`].

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use imbl::{OrdMap, ordmap::DiffItem};

use super::{
    Listing,
    look::{Seen, is_around},
};
use crate::diagnostic::SourceFile;

/// How long what is gone from a folder, or suddenly empty, keeps its content.
pub const GRACE: Duration = Duration::from_secs(1);

/// A listing, and until when which files in it stay although they are gone.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) listing: Listing,
    pub(super) leaving: BTreeMap<Arc<str>, Instant>,
}

impl Settled {
    /// What counts at first: exactly what is there.
    pub(super) fn first(seen: &Seen, observed: SystemTime) -> Self {
        Self { listing: listing(seen, seen.files.clone(), observed), leaving: BTreeMap::new() }
    }

    /// What counts after the next look; `observed` is when it was noticed that something happened.
    pub(super) fn next(&self, seen: &Seen, now: Instant, observed: SystemTime) -> Self {
        let mut files = seen.files.clone();
        let mut leaving = BTreeMap::new();
        for item in self.listing.files.diff(&seen.files) {
            let (name, before) = match item {
                DiffItem::Add(..) => continue,
                DiffItem::Update { new: (_, new), .. } if !new.text.is_empty() => continue,
                DiffItem::Update { old: (_, old), .. } if old.text.is_empty() => continue,
                DiffItem::Update { old: (name, old), .. } => (name, old),
                DiffItem::Remove(name, before) if is_unreadable(seen, name) => {
                    files.insert(name.clone(), before.clone());
                    continue;
                }
                DiffItem::Remove(name, before) => (name, before),
            };
            let until = self.leaving.get(name).copied().unwrap_or(now + GRACE);
            if now < until {
                files.insert(name.clone(), before.clone());
                leaving.insert(name.clone(), until);
            }
        }
        keep_unchanged(&mut files, &self.listing.files, &self.leaving);
        let next = listing(seen, files, observed);
        let listing = if next.says_the_same_as(&self.listing) { self.listing.clone() } else { next };
        Self { listing, leaving }
    }

    /// When to settle again even if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.leaving.values().min().copied()
    }
}

/// A file that came back the same is the same: it keeps its `Arc`.
fn keep_unchanged(
    files: &mut OrdMap<Arc<str>, Arc<SourceFile>>,
    before: &OrdMap<Arc<str>, Arc<SourceFile>>,
    left: &BTreeMap<Arc<str>, Instant>,
) {
    for name in left.keys() {
        if let (Some(file), Some(old)) = (files.get(name), before.get(name))
            && !Arc::ptr_eq(file, old)
            && file == old
        {
            files.insert(name.clone(), old.clone());
        }
    }
}

fn is_unreadable(seen: &Seen, name: &str) -> bool {
    seen.missing.iter().chain(seen.problems.keys()).any(|unreadable| is_around(unreadable, name))
}

fn listing(seen: &Seen, files: OrdMap<Arc<str>, Arc<SourceFile>>, observed: SystemTime) -> Listing {
    Listing { files, missing: seen.missing.clone(), problems: seen.problems.values().cloned().collect(), observed }
}

impl Listing {
    /// Whether only the time differs.
    fn says_the_same_as(&self, other: &Self) -> bool {
        let Self { files, missing, problems, observed: _ } = self;
        *files == other.files && *missing == other.missing && *problems == other.problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Diagnostic;

    fn seen(files: &[(&str, &str)]) -> Seen {
        let file = |(path, text): &(&str, &str)| {
            let path: Arc<str> = (*path).into();
            (path.clone(), Arc::new(SourceFile { path, text: (*text).into() }))
        };
        Seen { files: files.iter().map(file).collect(), ..Seen::default() }
    }

    fn texts(settled: &Settled) -> Vec<(&str, &str)> {
        settled.listing.files.iter().map(|(path, file)| (&**path, &*file.text)).collect()
    }

    fn first(files: &[(&str, &str)]) -> Settled {
        Settled::first(&seen(files), SystemTime::UNIX_EPOCH)
    }

    fn next(before: &Settled, seen: &Seen, now: Instant) -> Settled {
        before.next(seen, now, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn a_file_gone_from_a_folder_takes_its_content_along_after_a_second() {
        let start = Instant::now();
        let before = first(&[("d/a", "1"), ("d/b", "2")]);
        let gone = next(&before, &seen(&[("d/a", "1")]), start);
        assert_eq!((texts(&gone), gone.deadline()), (vec![("d/a", "1"), ("d/b", "2")], Some(start + GRACE)));
        let later = next(&gone, &seen(&[("d/a", "1")]), start + GRACE / 2);
        assert_eq!(later.deadline(), Some(start + GRACE), "the second is counted from when it went");
        let after = next(&later, &seen(&[("d/a", "1")]), start + GRACE);
        assert_eq!((texts(&after), after.deadline()), (vec![("d/a", "1")], None));
    }

    #[test]
    fn a_file_that_comes_back_the_same_is_the_same() {
        let start = Instant::now();
        let before = first(&[("d/a", "1")]);
        let gone = next(&before, &seen(&[]), start);
        let back = next(&gone, &seen(&[("d/a", "1")]), start + GRACE / 2);
        assert_eq!(back.deadline(), None);
        assert!(Arc::ptr_eq(&back.listing.files["d/a"], &before.listing.files["d/a"]));
        let different = next(&gone, &seen(&[("d/a", "2")]), start + GRACE / 2);
        assert_eq!(texts(&different), [("d/a", "2")]);
    }

    #[test]
    fn an_emptied_file_is_empty_after_a_second_and_one_that_was_always_empty_at_once() {
        let start = Instant::now();
        let before = first(&[("d/a", "1")]);
        let emptied = next(&before, &seen(&[("d/a", ""), ("d/b", "")]), start);
        assert_eq!(texts(&emptied), [("d/a", "1"), ("d/b", "")]);
        let written = next(&emptied, &seen(&[("d/a", "2"), ("d/b", "")]), start);
        assert_eq!((texts(&written), written.deadline()), (vec![("d/a", "2"), ("d/b", "")], None));
        let empty = next(&emptied, &seen(&[("d/a", ""), ("d/b", "")]), start + GRACE);
        assert_eq!(texts(&empty), [("d/a", ""), ("d/b", "")]);
    }

    #[test]
    fn what_is_missing_or_unreadable_keeps_its_content_for_ever() {
        let later = Instant::now() + GRACE * 1000;
        let before = first(&[("d/a", "1"), ("d/sub/b", "2"), ("d/subway", "3")]);
        let missing = Seen { missing: ["d".into()].into(), ..seen(&[]) };
        let kept = next(&next(&before, &missing, Instant::now()), &missing, later);
        assert_eq!(texts(&kept).len(), 3);
        assert_eq!(kept.deadline(), None);

        let denied = Diagnostic::file_error("unreadable-file", "d/sub", "cannot be read");
        let unreadable = Seen { problems: [("d/sub".into(), denied)].into(), ..seen(&[("d/a", "1")]) };
        let kept = next(&next(&before, &unreadable, Instant::now()), &unreadable, later);
        assert_eq!(texts(&kept), [("d/a", "1"), ("d/sub/b", "2")]);
        assert_eq!(kept.listing.problems.len(), 1);
    }

    #[test]
    fn nothing_new_is_the_same_listing() {
        let before = first(&[("d/a", "1")]);
        let after = before.next(&seen(&[("d/a", "1")]), Instant::now(), SystemTime::now());
        assert_eq!(after.listing, before.listing);
    }
}
