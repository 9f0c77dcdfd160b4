//! Section H of the rules: more than one control plane, and one that does not know everything.

use std::{sync::Arc, time::Instant};

use chancery::{
    catalog::{Guard, GuardSettings},
    discovery::{Slice, file},
    resources::Snapshot,
    xds::session::Dialect,
};

use super::conversation::{CDS, EDS, LDS, RDS, Talk, resource, snapshot};

fn version(resource_type: chancery::resources::ResourceType, name: &str, content: &str) -> String {
    resource(resource_type, name, content).version().to_string()
}

/// What a replica serves that is not sure to know everything.
fn lagging(clusters: &str, endpoints: &str, listeners: &str, routes: &str) -> Arc<Snapshot> {
    Arc::new(snapshot(clusters, endpoints, listeners, routes).lagging())
}

/// A delta client that comes from another replica, where `a` and `b` were.
fn newcomer(target: &Arc<Snapshot>) -> Talk {
    let mut talk = Talk::delta(target);
    let held = |resource_type| [("a", version(resource_type, "a", "1")), ("b", version(resource_type, "b", "1"))];
    talk.ask_with_initial(CDS, "", &held(CDS));
    talk.ask_with_initial(EDS, "+a +b", &held(EDS));
    talk.ask_with_initial(LDS, "", &held(LDS));
    talk.ask_with_initial(RDS, "+a +b", &held(RDS));
    talk
}

#[test]
fn item_68_equal_contents_have_equal_versions_so_a_client_that_moves_is_sent_no_cluster_and_no_listener() {
    let mut talk = newcomer(&snapshot("a=1 b=1", "a=1 b=1", "a=1 b=1", "a=1 b=2"));
    assert_eq!(
        talk.all(),
        ["clusters", "endpoints +a=1 +b=1", "listeners", "routes +a=1", "routes +b=2"],
        "the first answers to wildcards are due, and empty"
    );
}

#[test]
fn item_70_a_replica_that_lags_removes_nothing_that_it_never_knew() {
    let mut talk = newcomer(&lagging("a=1", "a=1", "a=1", "a=1"));
    assert_eq!(talk.all(), ["clusters", "endpoints +a=1", "listeners", "routes +a=1"]);
    for resource_type in [CDS, EDS, LDS, RDS] {
        talk.ack(resource_type, "");
    }
    talk.later(60);
    assert!(talk.all().is_empty(), "however long it takes");

    // What it does know goes on.
    talk.target(&lagging("a=2", "a=2", "a=1", "a=1"));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=2"]);
    talk.ack(CDS, "");
    talk.ack(EDS, "");

    // It has caught up: `b` is there after all, or is really gone.
    talk.target(&snapshot("a=2 b=1", "a=2 b=1", "a=1", "a=1 b=1"));
    assert_eq!(talk.all(), ["endpoints +b=1", "listeners -b", "routes +b=1"], "`b` of the clusters is held already");
}

#[test]
fn item_70_what_it_did_know_it_may_remove() {
    let mut talk = newcomer(&lagging("a=1 b=1", "a=1 b=1", "a=1 b=1", "a=1 b=1"));
    talk.all();
    for resource_type in [CDS, EDS, LDS, RDS, RDS] {
        talk.ack(resource_type, "");
    }
    talk.later(20);
    // Another source of it has said that `b` is gone.
    talk.target(&lagging("a=1", "a=1", "a=1", "a=1"));
    assert_eq!(talk.all(), ["listeners -b", "routes -b"]);
    talk.ack(LDS, "");
    talk.ack(RDS, "");
    assert_eq!(talk.all(), ["clusters -b", "endpoints -b"]);
}

#[test]
fn item_70_a_name_that_the_client_never_had_is_answered_as_ever() {
    let mut talk = newcomer(&lagging("a=1", "a=1", "a=1", "a=1"));
    talk.all();
    talk.ack(EDS, "+c");
    assert_eq!(talk.all(), ["endpoints -c"]);
}

#[test]
fn item_70_in_state_of_the_world_a_full_state_waits_where_it_could_delete() {
    let mut talk = Talk::sotw(&lagging("a=c1", "a=e1", "l=l1", "r=r1"));
    talk.claim_version(CDS, snapshot("a=c1 b=c2", "", "", "").set(CDS).version().to_string());
    talk.ask(CDS, "");
    talk.ask(EDS, "a b");
    // This one it has as it is here; what comes for a client that brings nothing takes nothing from it.
    talk.claim_version(LDS, snapshot("", "", "l=l1", "").set(LDS).version().to_string());
    talk.ask(LDS, "");
    assert_eq!(talk.all(), ["endpoints e1"], "no cluster is said, since what is not said is deleted");
    talk.target(&snapshot("a=c1 b=c2", "a=e1 b=e2", "l=l1", "r=r1"));
    talk.ack(EDS, "a b");
    assert_eq!(talk.all(), ["endpoints e1 e2"], "it has caught up, and the client has all of it: endpoints follow");

    let mut fresh = Talk::sotw(&lagging("a=c1", "", "", ""));
    fresh.ask(CDS, "");
    assert_eq!(fresh.all(), ["clusters c1"]);
}

#[test]
fn item_71_before_there_is_something_nothing_is_said() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.ask(CDS, "");
        talk.ask(LDS, "");
        assert!(talk.all().is_empty(), "an empty answer would delete everything");
        talk.target(&snapshot("a=1", "", "", ""));
        assert!(talk.all()[0].starts_with("clusters"));
    }
}

#[test]
fn item_71_an_empty_state_of_a_replica_that_lags_deletes_nothing() {
    let mut talk = newcomer(&lagging("", "", "", ""));
    assert_eq!(talk.all(), ["clusters", "listeners"], "empty first answers, that remove nothing");
}

/// What a guard lets through, served: a cluster for each service.
#[test]
fn item_72_a_sudden_removal_that_is_held_reaches_nobody() {
    let slice = |names: &str| {
        let services: String = names
            .split_whitespace()
            .map(|name| format!("  - {{ name: {name}, ports: [ {{ name: a, port: 80, protocol: tcp }} ] }}\n"))
            .collect();
        let text = if services.is_empty() { "services: []".to_owned() } else { format!("services:\n{services}") };
        let file = chancery::diagnostic::SourceFile { path: "s".into(), text: text.into() };
        let listing = chancery::files::Listing {
            files: [(Arc::<str>::from("s"), Arc::new(file))].into_iter().collect(),
            ..Default::default()
        };
        let mut files = file::Files::default();
        files.update(&listing, std::time::SystemTime::UNIX_EPOCH);
        Arc::new(files.slice().clone())
    };
    let served = |slice: &Slice| {
        let clusters: String = slice.services.keys().map(|name| format!("{name}=1 ")).collect();
        snapshot(&clusters, "", "", "")
    };
    let mut guard = Guard::new(GuardSettings { max_removed_percent: 50, hold: std::time::Duration::from_secs(30) });
    let start = Instant::now();
    let mut talk = Talk::delta(&served(&guard.admit(&slice("a b c d"), start).slice));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters +a=1 +b=1 +c=1 +d=1"]);
    talk.ack(CDS, "");
    talk.target(&served(&guard.admit(&slice("a"), start).slice));
    assert!(talk.all().is_empty());
    talk.target(&served(&guard.admit(&slice("a"), start + std::time::Duration::from_secs(30)).slice));
    assert_eq!(talk.all(), ["clusters -b -c -d"], "time has shown that it is meant");
}

#[test]
fn item_73_a_client_that_comes_back_gets_what_there_is_now_and_nothing_of_its_last_stream() {
    let mut before = Talk::delta(&snapshot("a=1 b=1", "a=1 b=1", "", ""));
    before.ask(CDS, "");
    before.ask(EDS, "+a +b");
    before.all();
    before.nack(CDS, "");
    drop(before);
    let mut after = Talk::delta(&snapshot("a=2", "a=2", "", ""));
    after.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1")), ("b", version(CDS, "b", "1"))]);
    assert_eq!(after.all(), ["clusters +a=2"]);
    after.later(1);
    assert_eq!(after.all(), ["clusters -b"], "nothing is subscribed to of the endpoints");
}
