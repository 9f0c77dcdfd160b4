//! The file source on a real file system: each way in which people and programs change files leads to the new
//! content, promptly, and nothing a folder can contain ends the watching.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chancery::{
    discovery::{
        Slice, SourceHandle,
        file::{FileSource, Files},
        supervise,
    },
    files::{self, Listing, Watching},
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything here may take, on a machine that is busy with other things.
const DEADLINE: Duration = Duration::from_secs(20);

struct Room {
    folder: TempDir,
    watching: Watching,
}

impl Room {
    /// Watches `path` in a new folder that was filled first.
    fn new(path: &str, fill: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new().expect("a folder");
        fill(folder.path());
        let watching = files::watch(vec![folder.path().join(path)]);
        Self { folder, watching }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn listing(&self) -> Arc<Listing> {
        self.watching.listing.borrow().clone()
    }

    /// The texts of all files, by their path in the folder.
    fn texts(&self, listing: &Listing) -> Vec<(String, String)> {
        let prefix = format!("{}/", self.folder.path().display());
        let texts = listing.files.iter().map(|(path, file)| (path.replace(&prefix, ""), file.text.to_string()));
        texts.collect()
    }

    async fn until(&mut self, what: &str, is_there: impl Fn(&Listing) -> bool) -> Arc<Listing> {
        let waited = timeout(DEADLINE, self.watching.listing.wait_for(|listing| is_there(listing))).await;
        let found = waited.ok().map(|listing| listing.expect("still watched").clone());
        found.unwrap_or_else(|| panic!("{what} was not seen; there is {:?}", self.texts(&self.listing())))
    }

    /// Waits until exactly these files are there.
    async fn until_texts(&mut self, wanted: &[(&str, &str)]) -> Arc<Listing> {
        let wanted: Vec<_> = wanted.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let prefix = format!("{}/", self.folder.path().display());
        self.until(&format!("{wanted:?}"), |listing| {
            let texts = listing.files.iter().map(|(path, file)| (path.replace(&prefix, ""), file.text.to_string()));
            texts.collect::<Vec<_>>() == wanted
        })
        .await
    }
}

/// Makes six changes one after the other. The slow round alone would take two seconds for each.
async fn promptly(room: &mut Room, file: &str, change: impl Fn(&Path, &str, usize)) {
    let started = Instant::now();
    for turn in 0..6 {
        let text = format!("turn {turn}");
        change(room.folder.path(), &text, turn);
        room.until_texts(&[(file, &text)]).await;
    }
    assert!(started.elapsed() < Duration::from_secs(5), "events, not the slow round: took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_plain_write_is_seen() {
    let mut room = Room::new("a.yaml", |folder| fs::write(folder.join("a.yaml"), "first").expect("written"));
    promptly(&mut room, "a.yaml", |folder, text, _| fs::write(folder.join("a.yaml"), text).expect("written")).await;
}

#[tokio::test]
async fn an_atomic_rename_is_seen() {
    let mut room = Room::new("", |folder| fs::write(folder.join("a.yaml"), "first").expect("written"));
    promptly(&mut room, "a.yaml", |folder, text, _| {
        fs::write(folder.join(".a.yaml.tmp"), text).expect("written");
        fs::rename(folder.join(".a.yaml.tmp"), folder.join("a.yaml")).expect("renamed");
    })
    .await;
}

/// As the kubelet does it: the file is a link to `..data/a.yaml`, `..data` a link to a folder with a time in its
/// name, and an update renames a new `..data` over the old.
fn project(folder: &Path, text: &str, turn: usize) {
    let version = folder.join(format!("..version-{turn}"));
    fs::create_dir(&version).expect("created");
    fs::write(version.join("a.yaml"), text).expect("written");
    symlink(version.file_name().expect("named"), folder.join("..data_tmp")).expect("linked");
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("swapped");
}

#[tokio::test]
async fn a_config_map_is_seen_as_a_file_and_as_a_folder() {
    for path in ["a.yaml", ""] {
        let mut room = Room::new(path, |folder| {
            project(folder, "first", 100);
            symlink("..data/a.yaml", folder.join("a.yaml")).expect("linked");
        });
        promptly(&mut room, "a.yaml", project).await;
    }
}

#[tokio::test]
async fn a_config_map_somewhere_else_is_seen_through_a_link() {
    let elsewhere = TempDir::new().expect("a folder");
    let mounted = elsewhere.path().to_owned();
    project(&mounted, "first", 100);
    symlink("..data/a.yaml", mounted.join("a.yaml")).expect("linked");
    let mut room =
        Room::new("a.yaml", |folder| symlink(mounted.join("a.yaml"), folder.join("a.yaml")).expect("linked"));
    promptly(&mut room, "a.yaml", |_, text, turn| project(&mounted, text, turn)).await;
}

#[tokio::test]
async fn delete_then_create_is_seen_and_never_as_an_absence() {
    let mut room = Room::new("", |folder| fs::write(folder.join("a.yaml"), "first").expect("written"));
    promptly(&mut room, "a.yaml", |folder, text, _| {
        fs::remove_file(folder.join("a.yaml")).expect("removed");
        fs::write(folder.join("a.yaml"), text).expect("written");
    })
    .await;
}

#[tokio::test]
async fn a_folder_that_is_replaced_goes_on_being_watched() {
    let mut room = Room::new("policies", |folder| {
        fs::create_dir(folder.join("policies")).expect("created");
        fs::write(folder.join("policies/a.yaml"), "first").expect("written");
    });
    promptly(&mut room, "policies/a.yaml", |folder, text, turn| {
        if turn % 2 == 0 {
            fs::remove_dir_all(folder.join("policies")).expect("removed");
            fs::create_dir(folder.join("policies")).expect("created");
        }
        fs::write(folder.join("policies/a.yaml"), text).expect("written");
    })
    .await;
}

#[tokio::test]
async fn a_file_whose_folder_comes_later_is_seen() {
    let mut room = Room::new("later/services.yaml", |_| {});
    assert_eq!(room.listing().missing.len(), 1);
    fs::create_dir(room.path("later")).expect("created");
    fs::write(room.path("later/services.yaml"), "here").expect("written");
    let listing = room.until_texts(&[("later/services.yaml", "here")]).await;
    assert!(listing.missing.is_empty());
}

#[tokio::test]
async fn folders_are_read_with_their_sub_folders_and_without_what_is_hidden() {
    let mut room = Room::new("", |folder| {
        fs::create_dir_all(folder.join("sub/.git")).expect("created");
        for file in ["a.yaml", "b.yml", "c.json", "d.txt", ".e.yaml", "sub/f.yaml", "sub/.git/g.yaml", "h.yaml~"] {
            fs::write(folder.join(file), "x").expect("written");
        }
    });
    room.until_texts(&[("a.yaml", "x"), ("b.yml", "x"), ("c.json", "x"), ("sub/f.yaml", "x")]).await;
    fs::create_dir(room.path("sub/deep")).expect("created");
    fs::write(room.path("sub/deep/i.yaml"), "new").expect("written");
    room.until("a file in a new folder", |listing| listing.files.keys().any(|path| path.ends_with("i.yaml"))).await;
}

#[tokio::test]
async fn a_file_gone_from_a_folder_goes_and_a_configured_path_stays() {
    let mut folder = Room::new("", |folder| {
        fs::write(folder.join("a.yaml"), "a").expect("written");
        fs::write(folder.join("b.yaml"), "b").expect("written");
    });
    let gone = Instant::now();
    fs::remove_file(folder.path("b.yaml")).expect("removed");
    folder.until_texts(&[("a.yaml", "a")]).await;
    assert!(gone.elapsed() >= Duration::from_secs(1), "it may have come back");

    let mut file = Room::new("a.yaml", |folder| fs::write(folder.join("a.yaml"), "a").expect("written"));
    fs::remove_file(file.path("a.yaml")).expect("removed");
    let listing = file.until("that it is missing", |listing| !listing.missing.is_empty()).await;
    assert_eq!(file.texts(&listing), [("a.yaml".to_owned(), "a".to_owned())]);
    fs::write(file.path("a.yaml"), "back").expect("written");
    file.until_texts(&[("a.yaml", "back")]).await;
}

#[tokio::test]
async fn unchanged_content_keeps_its_arc() {
    let mut room = Room::new("", |folder| {
        fs::write(folder.join("a.yaml"), "a").expect("written");
        fs::write(folder.join("b.yaml"), "b").expect("written");
    });
    let before = room.listing();
    fs::write(room.path("a.yaml"), "a").expect("written");
    fs::write(room.path("b.yaml"), "changed").expect("written");
    let after = room.until("the change", |listing| listing.files.values().any(|file| *file.text == *"changed")).await;
    let a = |listing: &Listing| listing.files.iter().find(|(path, _)| path.ends_with("a.yaml")).map(|(_, f)| f.clone());
    assert!(Arc::ptr_eq(&a(&before).expect("there"), &a(&after).expect("there")));
}

#[tokio::test]
async fn only_what_changed_is_read() {
    let mut room = Room::new("", |folder| {
        for file in 0..1000 {
            fs::write(folder.join(format!("{file}.yaml")), "x").expect("written");
        }
        fs::write(folder.join("binary.yaml"), [0xff]).expect("written");
    });
    // A file this young may be read once more, since it could change without its times showing it: at the next round,
    // after two seconds.
    let mut before = 0;
    while before != room.watching.reads() {
        before = room.watching.reads();
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
    assert!((1001..=2002).contains(&before), "{before} reads of 1001 files");
    for turn in 0..20 {
        fs::write(room.path("500.yaml"), format!("turn {turn}")).expect("written");
        fs::write(room.path("unrelated.txt"), "x").expect("written");
        let is_there = |listing: &Listing| listing.files.values().any(|file| *file.text == *format!("turn {turn}"));
        room.until("the change", is_there).await;
    }
    let reads = room.watching.reads() - before;
    assert!(reads <= 60, "{reads} reads for 20 changes: one each, and some more while they were young");
    room.watching.rereader()();
    let everything = Instant::now();
    while everything.elapsed() < DEADLINE && room.watching.reads() < before + reads + 1001 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(room.watching.reads() >= before + reads + 1001, "asked for, everything is read");
}

/// Two writes of equal length within one tick of the file system's clock look alike to `stat`.
#[tokio::test]
async fn the_last_of_many_quick_writes_is_what_counts() {
    let mut room = Room::new("", |folder| fs::write(folder.join("a.yaml"), "0000").expect("written"));
    for burst in 0..50 {
        for write in 0..20 {
            fs::write(room.path("a.yaml"), format!("{burst:02}{write:02}")).expect("written");
        }
        room.until_texts(&[("a.yaml", &format!("{burst:02}19"))]).await;
    }
}

/// A program that empties a file before it writes it, and takes its time.
#[tokio::test]
async fn a_file_that_is_emptied_and_written_is_never_seen_empty() {
    let mut room = Room::new("", |folder| fs::write(folder.join("a.yaml"), "first").expect("written"));
    let emptied = fs::File::create(room.path("a.yaml")).expect("emptied");
    let seen_empty = room.watching.listing.wait_for(|listing| listing.files.values().any(|file| file.text.is_empty()));
    assert!(timeout(Duration::from_millis(400), seen_empty).await.is_err(), "it was about to be written");
    drop(emptied);
    fs::write(room.path("a.yaml"), "second").expect("written");
    room.until_texts(&[("a.yaml", "second")]).await;
    fs::write(room.path("a.yaml"), "").expect("written");
    room.until_texts(&[("a.yaml", "")]).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_a_problem_and_stops_nothing() {
    let mut room = Room::new("", |folder| {
        fs::write(folder.join("good.yaml"), "good").expect("written");
        fs::write(folder.join("turns.yaml"), "text").expect("written");
        fs::write(folder.join("binary.yaml"), [0xff, 0xfe, 0x00]).expect("written");
        fs::write(folder.join("zero.json"), "a\0b").expect("written");
        fs::File::create(folder.join("huge.json")).expect("created").set_len(100 << 20).expect("grown");
        symlink("circle-b.yaml", folder.join("circle-a.yaml")).expect("linked");
        symlink("circle-a.yaml", folder.join("circle-b.yaml")).expect("linked");
        symlink(".", folder.join("around")).expect("linked");
        let made = std::process::Command::new("mkfifo").arg(folder.join("fifo.yaml")).status().expect("mkfifo runs");
        assert!(made.success());
    });
    let named = |listing: &Listing| {
        let name = |file: &str| Path::new(file).file_name().map(|name| name.to_string_lossy().into_owned());
        let mut names: Vec<String> = listing.problems.iter().filter_map(|problem| name(problem.file())).collect();
        names.sort();
        names
    };
    let bad = ["binary.yaml", "circle-a.yaml", "circle-b.yaml", "fifo.yaml", "huge.json", "zero.json"];
    let found = named(&room.listing());
    assert!(bad.iter().all(|name| found.iter().any(|found| found == name)), "{found:?}");
    assert_eq!(room.texts(&room.listing()).len(), 2);

    fs::write(room.path("turns.yaml"), [0xff]).expect("written");
    let listing = room.until("the new problem", |listing| named(listing).contains(&"turns.yaml".to_owned())).await;
    assert_eq!(room.texts(&listing)[1], ("turns.yaml".into(), "text".into()), "the last good content counts");
    fs::write(room.path("huge.json"), "small").expect("written");
    room.until("that it is small", |listing| listing.files.keys().any(|path| path.ends_with("huge.json"))).await;
}

const ONE: &str = r"
services:
  - name: orders
    ports: [ { name: http, port: 80, protocol: http } ]
    endpoints: [ { address: 10.0.0.1 } ]
";

fn source(path: PathBuf) -> (SourceHandle, tokio::task::JoinHandle<()>) {
    let (handle, task) = supervise(FileSource::new(path));
    (handle, tokio::spawn(task))
}

async fn slice_until(handle: &mut SourceHandle, what: &str, is_there: impl Fn(&Slice) -> bool) -> Arc<Slice> {
    let waited = timeout(DEADLINE, handle.slices.wait_for(|slice| is_there(slice))).await;
    let found = waited.ok().map(|slice| slice.expect("the source runs").clone());
    found.unwrap_or_else(|| panic!("{what} was not seen; there is {:?}", handle.slices.borrow()))
}

#[tokio::test]
async fn a_source_waits_for_its_file_and_keeps_the_last_good_content() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("services.yaml");
    let (mut handle, task) = source(path.clone());
    assert!(!handle.slices.borrow().synced, "nothing is known yet");

    fs::write(&path, ONE).expect("written");
    let good = slice_until(&mut handle, "the file", |slice| slice.synced).await;
    assert_eq!((good.services.len(), good.problems.len()), (1, 0));

    for broken in ["services: [ {", "", "services: [ { name: orders, prots: [] } ]", "just text"] {
        fs::write(&path, broken).expect("written");
        let kept = slice_until(&mut handle, "the problem", |slice| !slice.problems.is_empty()).await;
        assert!(kept.synced && kept.services == good.services, "{broken}: {:?}", kept.problems);
        fs::write(&path, ONE).expect("written");
        slice_until(&mut handle, "that it is good again", |slice| slice.problems.is_empty()).await;
    }
    task.abort();
}

/// The new home is written before the old one is cleared: as two edits, and as `git checkout` writes one after the
/// other.
#[tokio::test]
async fn a_service_can_move_from_one_file_to_another() {
    let folder = TempDir::new().expect("a folder");
    let path = |file: &str| folder.path().join(file);
    fs::write(path("a.yaml"), ONE).expect("written");
    fs::write(path("b.yaml"), "services: []").expect("written");
    let (mut handle, task) = source(folder.path().to_owned());
    slice_until(&mut handle, "the service", |slice| slice.services.len() == 1).await;

    fs::write(path("b.yaml"), ONE.replace("10.0.0.1", "10.0.0.2")).expect("written");
    slice_until(&mut handle, "the conflict", |slice| !slice.problems.is_empty() && slice.services.len() == 1).await;
    fs::write(path("a.yaml"), "services: []").expect("written");
    let moved = slice_until(&mut handle, "the move", |slice| {
        slice.problems.is_empty()
            && slice
                .services
                .values()
                .any(|entry| entry.endpoints.iter().any(|endpoint| endpoint.address.to_string() == "10.0.0.2"))
    });
    assert_eq!(moved.await.services.len(), 1);
    task.abort();
}

/// A folder of one file per service, under churn: a file that did not change is neither read nor parsed again.
#[tokio::test]
async fn of_a_folder_only_the_files_that_changed_are_read_and_parsed() {
    const FILES: usize = 300;
    let text = |number: usize, host: usize| {
        format!(
            "services: [ {{ name: s{number}, ports: [ {{ name: http, port: 80, protocol: http }} ], \
             endpoints: [ {{ address: 10.0.{}.{} }} ] }} ]",
            host / 250,
            host % 250 + 1
        )
    };
    let path = |folder: &Path, number: usize| folder.join(format!("s{number}.yaml"));
    let mut room = Room::new("", |folder| {
        (0..FILES).for_each(|number| fs::write(path(folder, number), text(number, 0)).expect("written"));
    });
    let mut files = Files::default();
    files.update(&room.listing(), SystemTime::now());
    assert_eq!((files.files_read(), files.slice().services.len()), (FILES as u64, FILES));

    // A file just written is read once more at the next look, since its times may hide a change: that settles first.
    let mut reads = room.watching.reads();
    for turn in 1..=50 {
        let number = turn * 7 % FILES;
        fs::write(path(room.folder.path(), number), text(number, turn)).expect("written");
        let wanted = text(number, turn);
        let listing =
            room.until("the changed file", |listing| listing.files.values().any(|file| *file.text == *wanted)).await;
        let before = files.slice().clone();
        files.update(&listing, SystemTime::now());
        assert_eq!(files.files_read(), (FILES + turn) as u64, "one file is parsed for one that changed");
        let same = |(name, entry): (_, &chancery::model::CatalogEntry)| {
            Arc::ptr_eq(&entry.endpoints, &files.slice().services[name].endpoints)
        };
        assert_eq!(before.services.iter().filter(|(name, entry)| !same((*name, *entry))).count(), 1);
    }
    reads = room.watching.reads() - reads;
    assert!(reads < 2 * FILES as u64, "{reads} reads for 50 changes among {FILES} files");
}
