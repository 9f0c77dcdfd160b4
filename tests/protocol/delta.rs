//! Section C of the rules: delta.

use chancery::{proto::envoy::service::discovery::v3::DeltaDiscoveryResponse, xds::session::Verdict};
use prost::Message;

use super::conversation::{CDS, EDS, LDS, RDS, SDS, Talk, snapshot, version};

#[test]
fn item_33_every_response_has_a_nonce_of_its_own() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(LDS, "");
    let nonces: Vec<String> = std::iter::from_fn(|| talk.next()).map(|heard| heard.nonce).collect();
    assert_eq!(nonces.len(), 2);
    assert!(nonces.iter().all(|nonce| !nonce.is_empty()) && nonces[0] != nonces[1]);
}

#[test]
fn item_34_subscription_changes_count_on_ack_nack_and_stale_nonce() {
    for what in ["ack", "nack", "stale"] {
        let mut talk = Talk::delta(&snapshot("", "a=1 b=2 c=3", "", ""));
        talk.ask(EDS, "+a");
        assert_eq!(talk.all(), ["endpoints +a=1"]);
        match what {
            "ack" => assert_eq!(talk.ack(EDS, "+b -a"), Verdict::Ack),
            "nack" => assert!(matches!(talk.nack(EDS, "+b -a"), Verdict::Nack { .. })),
            _ => {
                talk.ack(EDS, "");
                assert_eq!(talk.request(EDS, "+b -a", "no nonce of ours", None), Verdict::None);
            }
        }
        assert_eq!(talk.all(), ["endpoints +b=2"], "{what}");
        talk.ack(EDS, "");
        talk.target(&snapshot("", "a=9 b=2 c=3", "", ""));
        assert!(talk.all().is_empty(), "{what}: `a` is no longer subscribed to");
    }
}

#[test]
fn item_35_the_legacy_wildcard_ends_only_with_a_star() {
    let mut talk = Talk::delta(&snapshot("a=1 b=2", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters +a=1 +b=2"]);
    talk.ack(CDS, "+a");
    assert_eq!(talk.all(), ["clusters +a=1"], "a name that is subscribed to is answered");
    talk.target(&snapshot("a=1 b=3", "", "", ""));
    assert_eq!(talk.all(), ["clusters +b=3"], "the wildcard is still there");
    talk.ack(CDS, "-*");
    talk.target(&snapshot("a=4 b=4", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=4"]);
}

#[test]
fn item_35_subscribing_to_and_unsubscribing_from_the_star_at_once_is_nothing() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "+* -*");
    assert!(talk.all().is_empty());
}

#[test]
fn item_30_an_empty_first_request_is_no_wildcard_for_endpoints() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", "r=1"));
    talk.ask(EDS, "");
    talk.ask(RDS, "");
    assert!(talk.all().is_empty());
}

#[test]
fn item_36_a_subscribed_name_is_always_answered() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    for _ in 0..3 {
        talk.ask(EDS, "+a");
        assert_eq!(talk.all(), ["endpoints +a=1"]);
        talk.ack(EDS, "");
    }
    assert!(talk.all().is_empty(), "and nothing else is said");
}

#[test]
fn item_37_a_missing_name_is_said_to_be_missing_once_and_sent_when_it_appears() {
    let mut talk = Talk::delta(&snapshot("", "", "", ""));
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["endpoints -a"]);
    talk.ack(EDS, "");
    talk.target(&snapshot("", "b=1", "", ""));
    assert!(talk.all().is_empty());
    talk.target(&snapshot("", "a=1 b=1", "", ""));
    assert_eq!(talk.all(), ["endpoints +a=1"]);
}

#[test]
fn item_38_what_was_unsubscribed_from_is_forgotten() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.ack(EDS, "-a");
    assert!(talk.all().is_empty(), "no answer is needed");
    talk.ask(EDS, "-phantom");
    assert!(talk.all().is_empty(), "and phantoms are legal");
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["endpoints +a=1"]);
}

#[test]
fn item_39_unsubscribing_from_a_name_under_the_wildcard_is_answered() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "+* +a +ghost");
    assert_eq!(talk.all(), ["clusters +a=1 -ghost"]);
    talk.ack(CDS, "-a");
    assert_eq!(talk.all(), ["clusters +a=1"]);
    talk.ack(CDS, "-ghost");
    assert_eq!(talk.all(), ["clusters -ghost"]);
}

#[test]
fn item_40_what_a_client_has_from_before_is_not_sent_again_and_what_is_gone_is_removed() {
    let mut talk = Talk::delta(&snapshot("same=1 changed=2 new=1", "", "", ""));
    let held = [
        ("same", version(CDS, "same", "1")),
        ("changed", version(CDS, "changed", "1")),
        ("gone", version(CDS, "gone", "1")),
    ];
    talk.ask_with_initial(CDS, "", &held);
    assert_eq!(talk.all(), ["clusters +changed=2 +new=1"]);
    talk.ack(CDS, "");
    assert!(talk.all().is_empty(), "listeners and routes may be asked for, and go first");
    talk.later(1);
    assert_eq!(talk.all(), ["clusters -gone"]);
    talk.ack(CDS, "");
    assert!(talk.all().is_empty());
}

#[test]
fn item_40_an_unknown_version_differs_from_all_of_ours() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask_with_initial(CDS, "", &[("a", "17".into())]);
    assert_eq!(talk.all(), ["clusters +a=1"]);
}

#[test]
fn item_41_endpoints_are_sent_again_whatever_version_is_listed() {
    let mut talk = Talk::delta(&snapshot("", "a=1 b=2", "", ""));
    talk.ask_with_initial(EDS, "+a +b", &[("a", version(EDS, "a", "1")), ("b", version(EDS, "b", "2"))]);
    assert_eq!(talk.all(), ["endpoints +a=1 +b=2"]);
}

#[test]
fn item_42_the_first_wildcard_answer_comes_even_when_empty_and_no_other_empty_one() {
    let mut talk = Talk::delta(&snapshot("", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters"]);
    talk.ack(CDS, "");
    talk.target(&snapshot("", "", "l=1", ""));
    assert!(talk.all().is_empty());
    // Also to a client that has everything already.
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1"))]);
    assert_eq!(talk.all(), ["clusters"]);
}

#[test]
fn item_43_what_was_sent_is_what_counts_not_what_was_acknowledged() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters +a=1 +b=1"]);
    talk.nack(CDS, "");
    talk.target(&snapshot("a=1 b=2", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=1 +b=2"], "which of the two it meant is not known: they are tried again");
    talk.nack_saying(CDS, "", "a: no good");
    talk.target(&snapshot("a=1 b=3", "", "", ""));
    assert_eq!(talk.all(), ["clusters +b=3"], "the rejected `a` is not sent again");
}

#[test]
fn item_33_names_and_versions_are_those_of_the_resources() {
    let target = snapshot("a=1 b=2", "", "", "");
    let mut talk = Talk::delta(&target);
    talk.ask(CDS, "");
    let response = talk.session.next_response(talk.now).unwrap();
    let message = DeltaDiscoveryResponse::decode(&*response.message()).unwrap();
    assert_eq!(message.system_version_info, target.set(CDS).version().to_string(), "for people");
    assert_eq!(message.nonce, response.nonce.to_string());
    let heard: Vec<(&str, &str)> =
        message.resources.iter().map(|resource| (resource.name.as_str(), resource.version.as_str())).collect();
    assert_eq!(heard, [("a", &*version(CDS, "a", "1")), ("b", &*version(CDS, "b", "2"))]);
    assert!(message.resources.iter().all(|resource| resource.aliases.is_empty()));
}

#[test]
fn item_33_a_name_stands_once_in_a_response() {
    // `a` is asked for, changed, and followed by nothing; `b` is gone; `c` was never there.
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "+* +a +b");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("a=2", "", "", ""));
    talk.ask(CDS, "+a +a +b +c +c -c");
    // The decoder of these tests refuses a name that comes twice.
    assert_eq!(talk.all(), ["clusters +a=2 -b -c"]);
}

#[test]
fn item_33_a_request_of_its_own_acknowledges_nothing() {
    let mut talk = Talk::delta(&snapshot("", "a=1 b=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    assert_eq!(talk.ask(EDS, "+b"), Verdict::None);
    assert!(!talk.session.is_settled());
}

/// A table of subscriptions: the requests, and which of the clusters `a` and `b` are subscribed to in the end.
#[test]
fn item_35_the_wildcard_in_all_its_forms() {
    let cases: [(&[&str], &str); 14] = [
        (&[""], "a b"),
        (&["", "+a"], "a b"),
        (&["", "+a", "-a"], "a b"),
        (&["", "+a", "-*"], "a"),
        (&["", "-*"], ""),
        (&["", "-*", "+*"], "a b"),
        (&["+*"], "a b"),
        (&["+* +a", "-*"], "a"),
        (&["+* -*"], ""),
        (&["+* -*", "+b"], "b"),
        (&["+a"], "a"),
        (&["+a", ""], "a"),
        (&["+a", "+*", "-*"], "a"),
        // Ambiguous in the specification: nothing is subscribed to by name, so this is the legacy wildcard.
        (&["-a"], "a b"),
    ];
    for (requests, expected) in cases {
        let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
        for request in requests {
            talk.ask(CDS, request);
            talk.all();
            talk.ack(CDS, "");
            talk.all();
        }
        talk.target(&snapshot("a=2 b=2", "", "", ""));
        let heard = talk.all().concat();
        let subscribed: Vec<&str> = ["a", "b"].into_iter().filter(|name| heard.contains(&format!("+{name}"))).collect();
        assert_eq!(subscribed.join(" "), expected, "{requests:?}");
    }
}

#[test]
fn item_35_a_wildcard_that_comes_after_names_brings_everything() {
    let mut talk = Talk::delta(&snapshot("a=1 b=2", "", "", ""));
    talk.ask(CDS, "+a");
    assert_eq!(talk.all(), ["clusters +a=1"]);
    talk.ack(CDS, "");
    talk.target(&snapshot("a=1 b=2 c=3", "", "", ""));
    assert!(talk.all().is_empty());
    talk.ask(CDS, "+*");
    assert_eq!(talk.all(), ["clusters +b=2 +c=3"], "`a` is held already");
    talk.ack(CDS, "-*");
    talk.ask(CDS, "+*");
    assert_eq!(talk.all(), ["clusters +b=2 +c=3"], "without the wildcard the client let go of them");
}

#[test]
fn item_35_what_leaves_together_with_the_wildcard_is_not_answered() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "+* +a");
    talk.all();
    talk.ack(CDS, "-b -a -*");
    assert!(talk.all().is_empty(), "whatever the order they are listed in");
    talk.ask(CDS, "+* +a");
    talk.ask(CDS, "-a");
    talk.ask(CDS, "-*");
    assert!(talk.all().is_empty(), "nor what was owed before");
}

/// The response that crosses the two requests is read when the wildcard is back, and taken.
#[test]
fn item_35_a_wildcard_that_goes_and_comes_back_while_a_response_is_on_its_way() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1 c=1", "", "", ""));
    talk.ask(CDS, "+* +c");
    assert_eq!(talk.all(), ["clusters +a=1 +b=1 +c=1"]);
    talk.ask(CDS, "-* -c");
    talk.target(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "+*");
    assert_eq!(talk.all(), ["clusters +a=1", "clusters -b -c"]);
}

/// It was asked for and let go of while something else was on its way: the client never had it.
#[test]
fn item_35_what_was_never_sent_is_not_taken_away_when_a_wildcard_begins() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "+a");
    assert_eq!(talk.all(), ["clusters +a=1"]);
    talk.ask(CDS, "+b");
    talk.ask(CDS, "-b");
    talk.target(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "+*");
    let said = talk.all().concat();
    assert!(!said.contains("-b"), "{said}");
}

#[test]
fn item_36_a_name_the_client_has_from_before_is_answered_too() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask_with_initial(CDS, "+* +a", &[("a", version(CDS, "a", "1")), ("b", version(CDS, "b", "1"))]);
    assert_eq!(talk.all(), ["clusters +a=1"]);
}

#[test]
fn item_37_a_name_that_is_missing_is_said_to_be_missing_each_time_it_is_asked_for() {
    let mut talk = Talk::delta(&snapshot("", "", "", ""));
    for _ in 0..2 {
        talk.ask(RDS, "+r");
        assert_eq!(talk.all(), ["routes -r"]);
        talk.ack(RDS, "");
    }
    talk.later(3600);
    assert!(talk.all().is_empty());
}

#[test]
fn item_38_a_name_dropped_and_taken_again_in_one_request_is_dropped() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.ack(EDS, "+a -a");
    assert!(talk.all().is_empty(), "subscriptions are taken before their ends");
    talk.target(&snapshot("", "a=2", "", ""));
    assert!(talk.all().is_empty());
}

#[test]
fn item_40_what_a_client_has_is_no_subscription() {
    let mut talk = Talk::delta(&snapshot("a=2 b=2", "", "", ""));
    let held = [("a", version(CDS, "a", "1")), ("b", version(CDS, "b", "1")), ("gone", version(CDS, "gone", "1"))];
    talk.ask_with_initial(CDS, "+a", &held);
    assert_eq!(talk.all(), ["clusters +a=2"]);
    talk.later(60);
    assert!(talk.all().is_empty(), "of `b` and `gone` it did not ask");
}

#[test]
fn item_40_under_a_wildcard_of_endpoints_what_is_gone_is_removed() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask_with_initial(EDS, "+*", &[("a", version(EDS, "a", "1")), ("gone", version(EDS, "gone", "1"))]);
    assert_eq!(talk.all(), ["endpoints +a=1"]);
    talk.ack(EDS, "");
    assert_eq!(talk.all(), ["endpoints -gone"]);
}

#[test]
fn item_40_versions_count_in_the_first_request_of_a_stream_alone() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ask_with_initial(CDS, "", &[("a", "other".into()), ("ghost", "1".into())]);
    talk.later(60);
    assert!(talk.all().is_empty());
}

/// Written for a rejection that is followed by a restart of the server: it has the version that was accepted, and
/// claims just that.
#[test]
fn item_43_after_a_rejection_and_a_new_stream_what_differs_is_sent_once() {
    let mut talk = Talk::delta(&snapshot("a=bad b=1", "", "", ""));
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "good")), ("b", version(CDS, "b", "1"))]);
    assert_eq!(talk.all(), ["clusters +a=bad"]);
    talk.nack(CDS, "");
    talk.later(3600);
    assert!(talk.all().is_empty());
}

#[test]
fn item_44_only_what_a_client_may_hold_is_removed() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1 b=1", "", "r=1 s=1"));
    talk.ask(EDS, "+a");
    talk.ask(RDS, "+r");
    talk.all();
    talk.ack(EDS, "");
    talk.ack(RDS, "");
    talk.target(&snapshot("a=1", "a=1", "", "r=1"));
    talk.later(60);
    assert!(talk.all().is_empty(), "`b` and `s` were never sent");
}

#[test]
fn item_44_endpoints_that_go_before_they_could_follow_their_cluster_are_not_spoken_of() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "", ""));
    talk.ask(EDS, "+*");
    talk.ask(CDS, "");
    assert_eq!(talk.next().unwrap().text(), "clusters +a=1");
    talk.target(&snapshot("a=1", "", "", ""));
    assert_eq!(talk.all(), ["endpoints"], "the first answer to a wildcard, and nothing that never was");
}

/// No secret is served: what clusters name is in the bootstraps. Who asks for one is told that there is none, so that
/// nothing waits for it.
#[test]
fn item_44_a_secret_is_said_to_be_missing_and_never_taken_away() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(SDS, "+tls");
    assert_eq!(talk.all(), ["secrets -tls"]);
    talk.ack(SDS, "");
    talk.target(&snapshot("a=2", "", "", ""));
    talk.later(3600);
    assert!(talk.all().is_empty());
    let mut talk = Talk::sotw(&snapshot("a=1", "", "", ""));
    talk.ask(SDS, "tls");
    talk.later(3600);
    assert!(talk.all().is_empty(), "state of the world has no word for it");
}
