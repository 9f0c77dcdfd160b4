//! Section G of the rules: versions, replicas, restarts.

use chancery::xds::session::Dialect;

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot, version};

#[test]
fn item_68_equal_content_has_equal_versions_on_every_replica() {
    let (one, other) = (snapshot("b=2 a=1", "", "", ""), snapshot("a=1 b=2", "", "", ""));
    assert_eq!(one.set(CDS).version(), other.set(CDS).version());
    assert_eq!(one.set(CDS).version().to_string().len(), 32, "128 bits");

    // What one replica was acknowledged, another need not say again.
    let mut before = Talk::delta(&one);
    before.ask(CDS, "");
    let held = before.next().unwrap();
    assert_eq!(held.version, other.set(CDS).version().to_string());
    let mut after = Talk::delta(&other);
    after.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1")), ("b", version(CDS, "b", "2"))]);
    assert_eq!(after.all(), ["clusters"]);
    let mut after = Talk::sotw(&other);
    after.claim_version(CDS, held.version);
    after.ask(CDS, "");
    assert!(after.all().is_empty());
}

#[test]
fn item_69_the_same_content_is_the_same_bytes() {
    let bytes = || {
        let mut talk = Talk::delta(&snapshot("b=2 a=1 c=3", "a=1", "l=1", "r=1"));
        talk.ask(CDS, "");
        talk.ask(EDS, "+b +a");
        talk.ask(LDS, "");
        talk.ask(RDS, "+r");
        let bodies = std::iter::from_fn(|| talk.session.next_response(talk.now)).map(|response| response.body);
        bodies.collect::<Vec<_>>()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn item_71_nothing_is_said_before_there_is_something_to_say_it_of() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.ask(CDS, "");
        talk.ask(LDS, "");
        talk.later(3600);
        assert!(talk.all().is_empty(), "{dialect:?}: an empty answer would delete everything");
        talk.target(&snapshot("a=1", "", "l=1", ""));
        assert_eq!(talk.all().len(), 2);
    }
}

#[test]
fn item_73_a_new_stream_is_served_what_is_true_now() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    // It goes away with `a=1`, which is history when it comes back.
    let mut talk = Talk::delta(&snapshot("a=2 b=1", "", "", ""));
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1"))]);
    assert_eq!(talk.all(), ["clusters +a=2 +b=1"]);
}
