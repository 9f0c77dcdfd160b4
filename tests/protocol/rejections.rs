//! Section E of the rules: rejections.

use chancery::xds::session::{Dialect, Verdict};

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot};

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
fn item_60_route_configurations_go_each_alone() {
    let mut talk = Talk::delta(&snapshot("", "", "", "a=1 b=2 c=3"));
    talk.ask(RDS, "+a +b +c");
    assert_eq!(talk.all(), ["routes +a=1", "routes +b=2", "routes +c=3"]);
}

#[test]
fn item_58_a_rejection_then_an_acknowledgement_then_new_content() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let names = if dialect == Dialect::Delta { "" } else { "a" };
        let heard = |talk: &mut Talk| talk.all().join(" ").replace("+a=", "");
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot("", "a=bad", "", ""));
        talk.ask(EDS, if dialect == Dialect::Delta { "+a" } else { "a" });
        assert_eq!(heard(&mut talk), "endpoints bad");
        assert!(matches!(talk.nack(EDS, names), Verdict::Nack { .. }));
        assert_eq!(heard(&mut talk), "");
        talk.target(&snapshot("", "a=good", "", ""));
        assert_eq!(heard(&mut talk), "endpoints good");
        assert_eq!(talk.ack(EDS, names), Verdict::Ack);
        assert_eq!(heard(&mut talk), "");
        talk.target(&snapshot("", "a=better", "", ""));
        assert_eq!(heard(&mut talk), "endpoints better");
    }
}

/// The client rejects what it adds to its subscription, and says so with the version it has: the one of the response.
#[test]
fn item_58_a_rejection_at_the_version_that_was_accepted() {
    let target = snapshot("", "a=1 b=bad", "", "");
    let mut talk = Talk::sotw(&target);
    talk.ask(EDS, "a");
    assert_eq!(talk.all(), ["endpoints 1"]);
    talk.claim_version(EDS, target.set(EDS).version().to_string());
    assert_eq!(talk.ack(EDS, "a b"), Verdict::Ack);
    assert_eq!(talk.all(), ["endpoints bad"]);
    assert!(matches!(talk.nack(EDS, "a b"), Verdict::Nack { .. }));
    talk.later(3600);
    assert!(talk.all().is_empty());
    talk.target(&snapshot("", "a=1 b=good", "", ""));
    assert_eq!(talk.all(), ["endpoints good"]);
}

#[test]
fn item_58_other_types_and_other_names_flow_on() {
    let mut talk = Talk::delta(&snapshot("a=1 b=bad", "a=1 b=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(EDS, "+a +b");
    talk.ask(LDS, "");
    talk.ask(RDS, "+r");
    assert_eq!(talk.all().len(), 4);
    talk.nack(CDS, "");
    talk.ack(EDS, "");
    talk.ack(LDS, "");
    talk.ack(RDS, "");
    talk.target(&snapshot("a=2 b=bad", "a=2 b=1", "l=2", "r=2"));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=2", "listeners +l=2", "routes +r=2"]);
}

#[test]
fn item_58_state_of_the_world_repeats_what_was_rejected_only_beside_something_new() {
    let mut talk = Talk::sotw(&snapshot("a=1 b=bad", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters 1 bad"]);
    talk.nack(CDS, "");
    talk.later(3600);
    assert!(talk.all().is_empty());
    talk.target(&snapshot("a=2 b=bad", "", "", ""));
    assert_eq!(talk.all(), ["clusters 2 bad"], "leaving it out would delete what the client keeps");
}

#[test]
fn item_59_what_was_sent_before_counts_as_gone_once_something_else_was_sent() {
    // The client may have applied `a=2` and not `b=bad`, or neither: back at the old contents, both are said again.
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("a=2 b=bad", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=2 +b=bad"]);
    talk.nack(CDS, "");
    talk.target(&snapshot("a=1 b=1", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=1 +b=1"]);
}

#[test]
fn item_59_what_was_rejected_may_have_been_applied_and_is_removed_when_it_is_gone() {
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("a=1 b=bad", "", "", ""));
    talk.all();
    talk.nack(CDS, "");
    talk.target(&snapshot("a=1", "", "", ""));
    assert_eq!(talk.all(), ["clusters -b"]);
}

#[test]
fn item_62_a_rejection_names_what_the_response_had() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    let Verdict::Nack { message, names } = talk.nack(CDS, "") else { panic!("a NACK") };
    assert_eq!(message, "no good");
    assert_eq!(names.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}
