//! Section B of the rules: state of the world.

use chancery::{proto::envoy::service::discovery::v3::DiscoveryResponse, xds::session::Verdict};
use prost::Message;

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
    assert!(matches!(talk.nack_saying(EDS, "a b", "a: no, b: no"), Verdict::Nack { .. }));
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

#[test]
fn item_18_a_nonce_is_never_empty_and_never_used_twice() {
    let mut talk = Talk::sotw(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(EDS, "a");
    talk.ask(LDS, "");
    talk.ask(RDS, "r");
    let nonces: std::collections::BTreeSet<String> =
        std::iter::from_fn(|| talk.next()).map(|heard| heard.nonce).collect();
    assert_eq!(nonces.len(), 4);
    assert!(!nonces.contains(""));
}

#[test]
fn item_18_a_nonce_of_another_type_acknowledges_nothing() {
    let mut talk = Talk::sotw(&snapshot("a=1", "a=1", "", ""));
    talk.ask(CDS, "");
    talk.ask(EDS, "a");
    talk.all();
    let clusters = talk.last_nonce(CDS);
    assert_eq!(talk.request(EDS, "a", &clusters, None), Verdict::None);
    assert!(talk.all().is_empty());
    assert_eq!(talk.ack(EDS, "a"), Verdict::Ack);
}

#[test]
fn item_19_what_is_not_sent_again_is_followed_by_its_endpoints_all_the_same() {
    let target = snapshot("a=c", "a=e", "", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(EDS, "a");
    assert_eq!(talk.all(), ["endpoints e"]);
    talk.ack(EDS, "a");
    talk.claim_version(CDS, target.set(CDS).version().to_string());
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["endpoints e"], "a cluster may be warming since the stream before");
}

#[test]
fn item_19_names_are_always_answered_on_a_new_stream() {
    let target = snapshot("a=c1 b=c2", "a=e1", "l=1", "r=1");
    let mut talk = Talk::sotw(&target);
    for (resource_type, names) in [(EDS, "a"), (RDS, "r"), (CDS, "a")] {
        talk.claim_version(resource_type, target.set(resource_type).version().to_string());
        talk.ask(resource_type, names);
    }
    assert_eq!(talk.all(), ["clusters c1", "endpoints e1", "routes 1"]);
}

#[test]
fn item_19_a_wildcard_of_endpoints_is_always_answered() {
    let target = snapshot("", "a=1 b=2", "", "");
    let mut talk = Talk::sotw(&target);
    talk.claim_version(EDS, target.set(EDS).version().to_string());
    talk.ask(EDS, "*");
    assert_eq!(talk.all(), ["endpoints 1 2"], "the stream before may have ended between two parts");
}

#[test]
fn item_19_a_version_counts_in_the_first_request_alone() {
    let (before, after) = (snapshot("a=1", "", "", ""), snapshot("a=2", "", "", ""));
    let mut talk = Talk::sotw(&before);
    talk.ask(CDS, "");
    talk.all();
    talk.claim_version(CDS, after.set(CDS).version().to_string());
    talk.ack(CDS, "");
    talk.target(&after);
    assert_eq!(talk.all(), ["clusters 2"]);
}

/// A table: what a request is answered with. The client holds `a=1` of `a=1 b=2`, and says something.
#[test]
fn item_20_what_is_answered_and_what_is_not() {
    /// What it is, the names it has, the error, whether its nonce is the present one, and the answer.
    type Case = (&'static str, &'static str, Option<&'static str>, bool, &'static [&'static str]);
    let cases: [Case; 9] = [
        ("an acknowledgement", "a", None, true, &[]),
        ("an acknowledgement with a new name", "a b", None, true, &["endpoints 2"]),
        ("an acknowledgement with fewer names", "", None, true, &[]),
        ("an acknowledgement with another name", "b", None, true, &["endpoints 2"]),
        ("a rejection", "a", Some("no"), true, &[]),
        ("a rejection with a new name", "a b", Some("no"), true, &["endpoints 2"]),
        ("a stale nonce", "a", None, false, &[]),
        ("a rejection of history", "a", Some("no"), false, &[]),
        ("an acknowledgement with a name that is missing", "a ghost", None, true, &[]),
    ];
    for (what, names, error, current, expected) in cases {
        let mut talk = Talk::sotw(&snapshot("", "a=1 b=2", "", ""));
        talk.ask(EDS, "a");
        assert_eq!(talk.all(), ["endpoints 1"]);
        let nonce = if current { talk.last_nonce(EDS) } else { "stale".into() };
        talk.request(EDS, names, &nonce, error);
        assert_eq!(talk.all(), expected, "{what}");
    }
}

#[test]
fn item_24_what_comes_into_the_subscription_is_sent_though_no_version_changed() {
    let target = snapshot("", "a=1 b=2", "", "r=1 s=2");
    let mut talk = Talk::sotw(&target);
    talk.ask(EDS, "a");
    talk.all();
    talk.ack(EDS, "b");
    assert_eq!(talk.all(), ["endpoints 2"]);
    talk.ack(EDS, "b a");
    assert_eq!(talk.all(), ["endpoints 1"], "`a` was dropped in between");
}

#[test]
fn item_24_nothing_is_sent_that_was_not_asked_for() {
    let mut talk = Talk::sotw(&snapshot("a=c1 b=c2", "a=e1 b=e2", "", ""));
    talk.ask(EDS, "a");
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters c1 c2", "endpoints e1"]);
}

#[test]
fn item_26_a_full_state_holds_the_names_that_were_asked_for_and_no_others() {
    // gRPC clients name each cluster; one that is missing from the answer does not exist.
    let mut talk = Talk::sotw(&snapshot("a=1 b=2 c=3", "", "", ""));
    talk.ask(CDS, "a ghost");
    assert_eq!(talk.all(), ["clusters 1"]);
    talk.ack(CDS, "a b ghost");
    assert_eq!(talk.all(), ["clusters 1 2"]);
    talk.ack(CDS, "a b ghost");
    talk.target(&snapshot("a=1 b=2 c=4", "", "", ""));
    assert!(talk.all().is_empty(), "`c` is not theirs");
    talk.target(&snapshot("a=1 c=4 ghost=5", "", "", ""));
    assert_eq!(talk.all(), ["clusters 1 2 5", "clusters 1 5"], "first what is new, then without what is gone");
}

/// A version stands for everything. What holds a part of it has another, or a client could come back with the part and
/// be believed to have everything.
#[test]
fn item_26_the_version_of_a_part_is_not_that_of_everything() {
    let target = snapshot("a=1 b=2", "", "", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(CDS, "a");
    let part = talk.next().unwrap();
    assert_ne!(part.version, target.set(CDS).version().to_string());
    let mut talk = Talk::sotw(&target);
    talk.claim_version(CDS, part.version);
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters 1 2"]);
}

#[test]
fn item_26_a_name_that_is_missing_from_the_full_state_is_said_at_once() {
    let mut talk = Talk::sotw(&snapshot("", "", "", ""));
    talk.ask(LDS, "ghost");
    assert_eq!(talk.all(), ["listeners"]);
    talk.ack(LDS, "ghost");
    talk.target(&snapshot("", "", "ghost=1", ""));
    assert_eq!(talk.all(), ["listeners 1"]);
}

#[test]
fn item_26_an_empty_response_of_a_type_that_cannot_delete_is_not_sent() {
    let mut talk = Talk::sotw(&snapshot("", "a=1", "", "r=1"));
    talk.ask(EDS, "a");
    talk.ask(RDS, "r");
    talk.all();
    talk.ack(EDS, "a");
    talk.ack(RDS, "r");
    talk.target(&snapshot("", "", "", ""));
    talk.later(60);
    assert!(talk.all().is_empty());
    talk.target(&snapshot("", "a=1", "", "r=1"));
    assert_eq!(talk.all(), ["endpoints 1", "routes 1"], "what was gone and is back is sent");
}

/// A table of subscriptions: the lists, and which of the clusters are subscribed to in the end.
#[test]
fn item_29_the_wildcard_in_all_its_forms() {
    let cases: [(&[&str], &str); 11] = [
        (&[""], "1 2"),
        (&["", ""], "1 2"),
        (&["*"], "1 2"),
        (&["* a"], "1 2"),
        (&["a"], "1"),
        (&["", "a"], "1"),
        (&["", "a", ""], ""),
        (&["*", ""], ""),
        (&["a", "*"], "1 2"),
        (&["* a", "a b"], "1 2"),
        (&["a b", "a a"], "1"),
    ];
    for (requests, expected) in cases {
        let mut talk = Talk::sotw(&snapshot("a=3 b=4", "", "", ""));
        for names in requests {
            talk.ask(CDS, names);
            talk.all();
        }
        talk.ack(CDS, requests.last().unwrap());
        talk.all();
        talk.target(&snapshot("a=1 b=2", "", "", ""));
        let heard = talk.all().concat();
        assert_eq!(heard.trim_start_matches("clusters").trim_start(), expected, "{requests:?}");
    }
}

#[test]
fn item_29_a_wildcard_that_comes_after_names_brings_everything() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2", "", ""));
    talk.ask(EDS, "a");
    assert_eq!(talk.all(), ["endpoints 1"]);
    talk.ack(EDS, "* a");
    assert_eq!(talk.all(), ["endpoints 2"]);
}

#[test]
fn item_29_a_name_that_the_wildcard_covers_leaves_without_a_word() {
    let mut talk = Talk::sotw(&snapshot("a=1 b=2", "", "", ""));
    talk.ask(CDS, "* a");
    assert_eq!(talk.all(), ["clusters 1 2"]);
    talk.ack(CDS, "*");
    assert!(talk.all().is_empty());
}

#[test]
fn item_30_an_empty_list_of_another_type_is_nothing() {
    let mut talk = Talk::sotw(&snapshot("", "a=1", "", "r=1"));
    talk.ask(EDS, "");
    talk.ask(RDS, "");
    talk.later(60);
    assert!(talk.all().is_empty());
}

/// Envoy answers what it no longer watches with the new nonce, the old version and no error.
#[test]
fn item_31_the_answer_to_an_unwatched_type_is_answered_with_silence() {
    let mut talk = Talk::sotw(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "a");
    talk.all();
    talk.ask(EDS, "");
    assert_eq!(talk.ack(EDS, ""), Verdict::None, "what it answers was given up with the subscription");
    talk.target(&snapshot("", "a=2", "", ""));
    talk.later(60);
    assert!(talk.all().is_empty());
}

#[test]
fn item_32_resources_are_plain_and_each_is_there_once() {
    let mut talk = Talk::sotw(&snapshot("a=1 b=2", "", "", ""));
    talk.ask(CDS, "* a b a");
    let response = talk.session.next_response(talk.now).unwrap();
    let message = DiscoveryResponse::decode(&*response.body).unwrap();
    assert_eq!(message.resources.len(), 2);
    assert!(message.resources.iter().all(|any| any.type_url == CDS.type_url()), "no wrapped `Resource`");
}
