//! Section B of the rules: state of the world.

use chancery::xds::session::Verdict;

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot};

#[test]
fn item_18_a_version_without_a_nonce_acknowledges_nothing() {
    let target = snapshot("", "a=1", "", "");
    let mut talk = Talk::sotw(&target);
    talk.claim_version(EDS, target.set(EDS).version().to_string());
    assert_eq!(talk.ask(EDS, "a"), Verdict::None);
    assert_eq!(talk.all(), ["endpoints 1"], "named subscriptions are always answered on a new stream");
}

#[test]
fn item_19_a_wildcard_that_has_everything_is_sent_nothing() {
    let target = snapshot("a=1 b=2", "", "l=1", "");
    let mut talk = Talk::sotw(&target);
    talk.claim_version(CDS, target.set(CDS).version().to_string());
    talk.ask(CDS, "");
    talk.claim_version(LDS, "something else".into());
    talk.ask(LDS, "");
    assert_eq!(talk.all(), ["listeners 1"]);
    talk.target(&snapshot("a=1 b=3", "", "l=1", ""));
    assert_eq!(talk.all(), ["clusters 1 3"]);
}

#[test]
fn item_20_an_ack_is_answered_with_silence() {
    let mut talk = Talk::sotw(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters 1"]);
    assert_eq!(talk.ack(CDS, ""), Verdict::Ack);
    assert!(talk.all().is_empty());
}

#[test]
fn item_21_an_error_is_a_nack_whatever_the_version_says() {
    let target = snapshot("", "a=1 b=2", "", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(EDS, "a b");
    talk.all();
    talk.claim_version(EDS, target.set(EDS).version().to_string());
    assert!(matches!(talk.nack(EDS, "a b"), Verdict::Nack { .. }));
    assert!(talk.all().is_empty());
}

#[test]
fn item_22_a_nack_still_carries_names() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2", "", ""));
    talk.ask(EDS, "a");
    talk.all();
    talk.nack(EDS, "a b");
    assert_eq!(talk.all(), ["endpoints 2"]);
}

#[test]
fn item_23_names_on_a_stale_nonce_are_not_lost() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2", "", ""));
    talk.ask(EDS, "a");
    talk.all();
    assert_eq!(talk.request(EDS, "a b", "stale", None), Verdict::None);
    talk.ack(EDS, "a b");
    assert_eq!(talk.all(), ["endpoints 2"]);
}

#[test]
fn item_25_a_dropped_name_is_sent_again_when_it_comes_back() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2", "", ""));
    talk.ask(EDS, "a b");
    assert_eq!(talk.all(), ["endpoints 1 2"]);
    talk.ack(EDS, "a");
    assert!(talk.all().is_empty());
    talk.ack(EDS, "a b");
    assert_eq!(talk.all(), ["endpoints 2"]);
}

#[test]
fn item_26_clusters_are_the_full_state_endpoints_only_what_changed() {
    let mut talk = Talk::sotw(&snapshot("a=1 b=2", "a=1 b=2", "", ""));
    talk.ask(CDS, "");
    talk.ask(EDS, "a b");
    assert_eq!(talk.all(), ["clusters 1 2", "endpoints 1 2"]);
    talk.ack(CDS, "");
    talk.ack(EDS, "a b");
    talk.target(&snapshot("a=1 b=3", "a=1 b=4", "", ""));
    assert_eq!(talk.all(), ["clusters 1 3", "endpoints 4"]);
}

#[test]
fn item_26_what_is_gone_is_absent_and_an_empty_set_is_said() {
    let mut talk = Talk::sotw(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("", "", "", ""));
    assert_eq!(talk.all(), ["clusters"]);
}

#[test]
fn item_27_missing_names_are_remembered() {
    let mut talk = Talk::sotw(&snapshot("", "", "", ""));
    talk.ask(EDS, "a");
    assert!(talk.all().is_empty(), "an empty response would say nothing");
    talk.target(&snapshot("", "a=1", "", ""));
    assert_eq!(talk.all(), ["endpoints 1"]);
}

#[test]
fn item_28_nobody_waits_until_everything_is_asked_for() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2 c=3", "", ""));
    talk.ask(EDS, "b");
    assert_eq!(talk.all(), ["endpoints 2"]);
}

#[test]
fn item_29_empty_means_everything_only_until_a_name_was_given() {
    let mut talk = Talk::sotw(&snapshot("a=1 b=2", "", "", ""));
    talk.ask(CDS, "* a");
    assert_eq!(talk.all(), ["clusters 1 2"]);
    talk.ack(CDS, "a");
    talk.target(&snapshot("a=3 b=4", "", "", ""));
    assert_eq!(talk.all(), ["clusters 3"], "`a` alone drops the wildcard");
    talk.ack(CDS, "");
    talk.target(&snapshot("a=5 b=5", "", "", ""));
    assert!(talk.all().is_empty(), "empty is now nothing");
}

#[test]
fn item_31_what_was_computed_for_a_dropped_subscription_is_not_sent() {
    let mut talk = Talk::sotw(&snapshot("", "", "", "r=1"));
    talk.ask(RDS, "r");
    talk.all();
    talk.ack(RDS, "r");
    talk.target(&snapshot("", "", "", "r=2"));
    talk.ack(RDS, "");
    assert!(talk.all().is_empty());
}

#[test]
fn item_26_versions_are_those_of_the_set() {
    let target = snapshot("a=1", "", "", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(CDS, "");
    assert_eq!(talk.next().unwrap().version, target.set(CDS).version().to_string());
}
