//! Section C of the rules: delta.

use chancery::xds::session::Verdict;

use super::conversation::{CDS, EDS, LDS, RDS, Talk, resource, snapshot};

fn version(resource_type: chancery::resources::ResourceType, name: &str, content: &str) -> String {
    resource(resource_type, name, content).version().to_string()
}

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
    assert_eq!(talk.all(), ["clusters +b=2"], "the rejected `a` is not sent again");
}

#[test]
fn item_58_rejected_content_is_not_sent_again_until_it_differs() {
    let mut talk = Talk::delta(&snapshot("", "a=bad", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    assert!(matches!(talk.nack(EDS, ""), Verdict::Nack { names, .. } if names.len() == 1));
    talk.later(3600);
    assert!(talk.all().is_empty(), "neither by time");
    talk.nack(EDS, "");
    assert!(talk.all().is_empty(), "nor by asking");
    talk.target(&snapshot("", "a=good", "", ""));
    assert_eq!(talk.all(), ["endpoints +a=good"]);
    talk.ack(EDS, "");
    talk.target(&snapshot("", "a=bad", "", ""));
    assert_eq!(talk.all(), ["endpoints +a=bad"], "what differs from the present is news");
}

#[test]
fn item_63_the_latest_wins_and_nothing_is_queued() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    for content in ["2", "3", "4"] {
        talk.target(&snapshot("", &format!("a={content}"), "", ""));
        assert!(talk.all().is_empty(), "one is in flight");
    }
    talk.ack(EDS, "");
    assert_eq!(talk.all(), ["endpoints +a=4"]);
}

#[test]
fn item_65_an_answer_that_never_comes_holds_nothing_back_for_ever() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.target(&snapshot("", "a=2", "", ""));
    assert!(talk.all().is_empty());
    assert!(talk.session.deadline().is_some());
    talk.later(6);
    assert_eq!(talk.all(), ["endpoints +a=2"]);
}

#[test]
fn item_10_a_response_too_large_is_split() {
    let huge = "x".repeat(2 * 1024 * 1024);
    let clusters: String = (0..4).map(|number| format!("c{number}={number}{huge} ")).collect();
    let mut talk = Talk::delta(&snapshot(&clusters, "", "", ""));
    talk.ask(CDS, "");
    let mut names = Vec::new();
    for heard in std::iter::from_fn(|| talk.next()) {
        assert!(heard.resources.len() <= 2, "each stays below 4 MiB");
        names.extend(heard.resources.into_keys());
    }
    assert_eq!(names, ["c0", "c1", "c2", "c3"]);
}

#[test]
fn route_configurations_go_each_alone() {
    let mut talk = Talk::delta(&snapshot("", "", "", "a=1 b=2 c=3"));
    talk.ask(RDS, "+a +b +c");
    assert_eq!(talk.all(), ["routes +a=1", "routes +b=2", "routes +c=3"]);
}
