//! Section F of the rules: back-pressure, and what waits for an answer.

use chancery::xds::session::{Dialect, Oddity, Verdict};

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot};

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

/// A wait that is over must not be waited for again: a stream that is woken at an instant in the past never sleeps.
#[test]
fn item_65_what_stays_unanswered_wakes_nobody_again_and_again() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot("a=1", "a=1", "l=1", "r=1"));
        talk.ask(CDS, "");
        talk.ask(LDS, "");
        talk.ask(EDS, if dialect == Dialect::Delta { "+a" } else { "a" });
        talk.ask(RDS, if dialect == Dialect::Delta { "+r" } else { "r" });
        assert_eq!(talk.all().len(), 4);
        assert_eq!(talk.session.deadline(), None, "nothing waits, so nothing is to be woken");
        talk.target(&snapshot("a=2 b=1", "a=2", "l=2", "r=2"));
        for _ in 0..10 {
            talk.all();
            match talk.session.deadline() {
                Some(deadline) => {
                    assert!(deadline > talk.now, "{dialect:?}: woken at once, for ever");
                    talk.now = deadline;
                }
                None => break,
            }
        }
        assert_eq!(talk.session.deadline(), None, "{dialect:?}");
        assert!(!talk.session.is_settled(), "nothing was ever answered");
        talk.later(6);
        talk.target(&snapshot("a=2 b=1", "a=2", "l=3", "r=2"));
        assert_eq!(talk.all().len(), 1, "and the next change goes at once");
    }
}

#[test]
fn item_65_an_answer_counts_for_what_was_sent_before() {
    // State of the world, after a pause: the latest response alone is answered.
    let mut talk = Talk::sotw(&snapshot("a=1", "", "", "r=1"));
    talk.ask(CDS, "");
    talk.ask(RDS, "r");
    talk.all();
    talk.ack(CDS, "");
    talk.ack(RDS, "r");
    talk.target(&snapshot("a=1 b=2", "", "", "r=1"));
    assert_eq!(talk.all(), ["clusters 1 2"]);
    talk.target(&snapshot("a=1 b=3", "", "", "r=9"));
    assert_eq!(talk.all(), ["clusters 1 3"], "routes wait for `b`");
    assert_eq!(talk.ack(CDS, ""), Verdict::Ack);
    assert_eq!(talk.all(), ["routes 9"]);
    assert!(talk.session.deadline().is_none());
}

#[test]
fn item_65_a_rejection_lets_the_next_response_go() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.target(&snapshot("", "a=2", "", ""));
    assert!(talk.all().is_empty());
    talk.nack(EDS, "");
    assert_eq!(talk.all(), ["endpoints +a=2"]);
}

#[test]
fn item_65_what_is_no_longer_subscribed_to_is_not_waited_for() {
    let mut talk = Talk::delta(&snapshot("", "a=1 b=1", "", ""));
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["endpoints +a=1"]);
    // Crosses the response, which Envoy will drop without a word.
    talk.ask(EDS, "-a");
    assert!(talk.session.is_settled());
    talk.ask(EDS, "+b");
    assert_eq!(talk.all(), ["endpoints +b=1"]);
}

#[test]
fn item_65_clusters_never_wait_for_their_acknowledgement() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot("a=1", "", "", ""));
        talk.ask(CDS, "");
        talk.all();
        for content in 2..50 {
            talk.target(&snapshot(&format!("a={content}"), "", "", ""));
            assert_eq!(talk.all().len(), 1, "{dialect:?}");
        }
    }
}

#[test]
fn item_65_a_late_answer_is_still_heard() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.later(600);
    assert!(matches!(talk.nack(CDS, ""), Verdict::Nack { names, .. } if names.len() == 1));
}

#[test]
fn item_67_equal_content_is_no_change() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(EDS, "+a");
    talk.ask(LDS, "");
    talk.ask(RDS, "+r");
    assert_eq!(talk.all().len(), 4);
    for resource_type in [CDS, EDS, LDS, RDS] {
        talk.ack(resource_type, "");
    }
    // Another value, with the same bytes in it.
    talk.target(&snapshot("a=1", "a=1", "l=1", "r=1"));
    assert!(talk.all().is_empty());
    assert_eq!(talk.session.deadline(), None);
}

#[test]
fn item_67_streams_that_walk_the_same_way_share_the_work() {
    let shared = std::sync::Arc::new(chancery::xds::Shared::default());
    let (before, after) = (snapshot("a=1 b=1", "a=1 b=1", "", ""), snapshot("a=1 b=1", "a=2 b=1", "", ""));
    let mut streams: Vec<Talk> = (0..50).map(|_| Talk::sharing(Dialect::Delta, &shared)).collect();
    for talk in &mut streams {
        talk.target(&before);
        talk.ask(CDS, "");
        talk.ask(EDS, "+a +b");
        talk.all();
        talk.ack(CDS, "");
        talk.ack(EDS, "");
    }
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let built = (count(&shared.bodies_built), count(&shared.differences_computed));
    for talk in &mut streams {
        talk.target(&after);
        assert_eq!(talk.all(), ["endpoints +a=2"]);
    }
    // Two sets differ: the endpoints, and the clusters as a value of their own with the same content.
    let built = (count(&shared.bodies_built) - built.0, count(&shared.differences_computed) - built.1);
    assert!(built.0 == 1 && built.1 <= 4, "{built:?}");
}

/// Two resources may have equal bodies: what was put together for one is not the other's.
#[test]
fn item_67_a_body_is_shared_by_those_alone_that_ask_for_the_same_names() {
    let shared = std::sync::Arc::new(chancery::xds::Shared::default());
    let target = snapshot("", "a=1 b=1", "", "");
    for name in ["a", "b"] {
        let mut talk = Talk::sharing(Dialect::Delta, &shared);
        talk.target(&target);
        talk.ask(EDS, &format!("+{name}"));
        assert_eq!(talk.all(), [format!("endpoints +{name}=1")]);
    }
}

#[test]
fn item_75_endpoints_without_clusters_are_noticed_once() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.ack(EDS, "");
    talk.later(29);
    talk.all();
    assert_eq!(talk.session.take_oddity(), None);
    let deadline = talk.session.deadline().expect("an instant at which to look again");
    talk.now = deadline;
    talk.all();
    assert_eq!(talk.session.take_oddity(), Some(Oddity::EndpointsWithoutClusters));
    talk.later(3600);
    talk.all();
    assert_eq!(talk.session.take_oddity(), None, "once");
    assert_eq!(talk.session.deadline(), None);

    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.later(20);
    talk.ask(CDS, "");
    talk.all();
    talk.later(20);
    talk.all();
    assert_eq!((talk.session.take_oddity(), talk.session.deadline()), (None, None), "clusters were asked for in time");
}
