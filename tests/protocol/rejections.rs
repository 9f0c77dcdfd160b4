//! Section E of the rules: what a client rejects, and what goes on all the same.

use std::{collections::BTreeMap, sync::Arc};

use chancery::{
    resources::{Doubt, Doubts, ResourceType, Snapshot, Testimony},
    xds::session::{Dialect, Verdict},
};

use super::conversation::{CDS, EDS, LDS, RDS, Talk, resource, snapshot};

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
    talk.nack_saying(CDS, "", "b: no good");
    talk.ack(EDS, "");
    talk.ack(LDS, "");
    talk.ack(RDS, "");
    assert_eq!(talk.all(), ["clusters +a=1", "endpoints +a=1"], "who knows what it applied");
    talk.ack(CDS, "");
    talk.ack(EDS, "");
    talk.target(&snapshot("a=2 b=bad", "a=2 b=1", "l=2", "r=2"));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=2", "listeners +l=2", "routes +r=2"]);
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
    talk.nack_saying(CDS, "", "b: no good");
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

/// `type a=2 was 1`, or `type a=2 ok`, as far as these contents are known.
fn testimonies(talk: &mut Talk, contents: &[&str]) -> Vec<String> {
    let mut known = BTreeMap::new();
    for resource_type in ResourceType::ALL {
        for entry in contents {
            let (name, content) = entry.split_once('=').unwrap();
            known.insert(resource(resource_type, name, content).version(), *entry);
        }
    }
    let shown = |testimony| match testimony {
        Testimony::Rejected { contested, .. } => {
            let each = contested.iter().map(|contested| {
                let before = contested.before.as_ref().map_or("nothing", |before| known[&before.version()]);
                format!("{} was {before}", known[&contested.content.version()])
            });
            format!("rejected {}", each.collect::<Vec<_>>().join(", "))
        }
        Testimony::Accepted { version, .. } => format!("accepted {}", known[&version]),
    };
    talk.session.take_testimonies().into_iter().map(shown).collect()
}

/// A snapshot of which a resource is doubted.
fn doubted(
    snapshot: &Snapshot,
    of: ResourceType,
    (name, content): (&str, &str),
    instead: Option<&str>,
) -> Arc<Snapshot> {
    let mut doubts = Doubts::default();
    let name_of = |content| resource(of, name, content);
    let doubt = Doubt { asked: vec![name_of(content).version()], instead: instead.map(name_of) };
    doubts.insert(of, name_of(content).name().clone(), doubt);
    Arc::new(Snapshot::with_doubts(snapshot.sets().clone(), doubts))
}

#[test]
fn item_58_what_was_sent_beside_it_is_sent_again_without_it() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1 c=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("a=2 b=2 c=1", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=2 +b=2"]);
    // Of a response with something that breaks a constraint Envoy applies nothing at all.
    let words = "goo.gle/debugproto  \nname: \"a\"\n: Proto constraint validation failed (too small)";
    let verdict = talk.nack_saying(CDS, "", words);
    let message = "a: Proto constraint validation failed (too small)".to_owned();
    assert_eq!(verdict, Verdict::Nack { message, names: vec![resource(CDS, "a", "2").name().clone()] });
    assert_eq!(talk.all(), ["clusters +b=2"]);
    talk.ack(CDS, "");
    talk.later(3600);
    assert!(talk.all().is_empty());
    talk.target(&snapshot("a=2 b=3 c=1", "", "", ""));
    assert_eq!(talk.all(), ["clusters +b=3"], "and what is rejected stays where it is");
    talk.ack(CDS, "");
    talk.target(&snapshot("a=3 b=3 c=1", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=3"]);
}

#[test]
fn item_58_in_state_of_the_world_the_last_good_form_stands_in_the_full_state() {
    let mut talk = Talk::sotw(&snapshot("a=a1 b=b1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    talk.target(&snapshot("a=a2 b=b2 new=n1", "", "", ""));
    assert_eq!(talk.all(), ["clusters a2 b2 n1"]);
    talk.nack_saying(CDS, "", "Error adding/updating cluster(s) a: no, new: no");
    assert_eq!(talk.all(), ["clusters a1 b2"], "one has an earlier form, the other has none");
    talk.ack(CDS, "");
    talk.target(&snapshot("a=a2 b=b3 new=n1", "", "", ""));
    assert_eq!(talk.all(), ["clusters a1 b3"]);
    talk.ack(CDS, "");
    talk.target(&snapshot("a=a3 b=b3 new=n1", "", "", ""));
    assert_eq!(talk.all(), ["clusters a3 b3"]);
}

#[test]
fn item_59_words_that_name_nobody_have_all_offered_again_in_halves() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot("a=1 b=2 c=bad d=4 e=5", "", "", ""));
        talk.ask(CDS, "");
        let mut responses = 0;
        while let Some(heard) = talk.next() {
            responses += 1;
            match heard.resources.values().any(|content| content == "bad") {
                true => assert!(matches!(talk.nack(CDS, ""), Verdict::Nack { .. })),
                false => assert_eq!(talk.ack(CDS, ""), Verdict::Ack),
            }
            talk.note(&heard);
        }
        assert!(responses <= 8, "{responses}");
        let held: Vec<&str> = talk.accepted(CDS).collect();
        assert_eq!(held, ["1", "2", "4", "5"], "{dialect:?}");
        assert_eq!(testimonies(&mut talk, &["c=bad"]), ["rejected c=bad was nothing"]);
        talk.later(3600);
        assert!(talk.all().is_empty());
    }
}

#[test]
fn item_60_a_rejection_says_what_was_accepted_before() {
    let contents = ["a=1", "a=2", "a=3", "a=4"];
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.ack(CDS, "");
    for content in ["2", "3"] {
        talk.target(&snapshot(&format!("a={content}"), "", "", ""));
        talk.all();
        talk.nack(CDS, "");
        assert_eq!(testimonies(&mut talk, &contents), [format!("rejected a={content} was a=1")]);
    }
    // What was not answered yet is not known to be good.
    let mut talk = Talk::delta(&snapshot("a=1", "", "", ""));
    talk.ask(CDS, "");
    talk.all();
    talk.target(&snapshot("a=2", "", "", ""));
    talk.all();
    talk.nack(CDS, "");
    assert_eq!(testimonies(&mut talk, &contents), ["rejected a=2 was nothing"]);
}

#[test]
fn item_60_who_rejected_something_is_offered_what_takes_its_place() {
    let target = snapshot("", "", "", "r=1");
    let mut talk = Talk::delta(&target);
    talk.ask(RDS, "+r");
    talk.all();
    talk.ack(RDS, "");
    let target = snapshot("", "", "", "r=bad");
    talk.target(&target);
    talk.all();
    talk.nack(RDS, "");
    talk.target(&doubted(&target, RDS, ("r", "bad"), Some("rest")));
    assert_eq!(talk.all(), ["routes +r=rest"]);
    talk.ack(RDS, "");
    talk.later(60);
    assert!(talk.all().is_empty());
    talk.target(&doubted(&snapshot("", "", "l=1", "r=bad"), RDS, ("r", "bad"), Some("rest")));
    assert!(talk.all().is_empty(), "once is enough");
    talk.target(&doubted(&target, RDS, ("r", "bad"), Some("more of the rest")));
    assert_eq!(talk.all(), ["routes +r=more of the rest"]);
    talk.nack(RDS, "");
    assert!(talk.all().is_empty(), "nor is that sent again");
    assert_eq!(
        testimonies(&mut talk, &["r=1", "r=bad", "r=rest", "r=more of the rest"])[1],
        "rejected r=more of the rest was r=rest"
    );
    // Another one, who has not seen it, is offered what is there.
    let mut other = Talk::delta(&doubted(&target, RDS, ("r", "bad"), Some("rest")));
    other.ask(RDS, "+r");
    assert_eq!(other.all(), ["routes +r=bad"]);
    // Once nothing is doubted any more, all are offered the same.
    talk.target(&snapshot("", "", "", "r=2"));
    assert_eq!(talk.all(), ["routes +r=2"]);
}

#[test]
fn item_60_what_is_withheld_is_kept_by_those_who_have_it() {
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::new(dialect);
        talk.target(&snapshot("a=a1 b=b1", "", "", ""));
        talk.ask(CDS, "");
        talk.all();
        talk.ack(CDS, "");
        let without = doubted(&snapshot("b=b1", "", "", ""), CDS, ("a", "bad"), None);
        talk.target(&without);
        talk.later(60);
        assert!(talk.all().is_empty(), "{dialect:?}");
        let without = doubted(&snapshot("b=b2", "", "", ""), CDS, ("a", "bad"), None);
        talk.target(&without);
        let expected = if dialect == Dialect::Delta { "clusters +b=b2" } else { "clusters a1 b2" };
        assert_eq!(talk.all(), [expected]);
        talk.ack(CDS, "");
        talk.target(&snapshot("b=b2", "", "", ""));
        let expected = if dialect == Dialect::Delta { "clusters -a" } else { "clusters b2" };
        assert_eq!(talk.all(), [expected], "what is gone is gone");
        let mut late = Talk::new(dialect);
        late.target(&without);
        late.ask(CDS, "");
        let expected = if dialect == Dialect::Delta { "clusters +b=b2" } else { "clusters b2" };
        assert_eq!(late.all(), [expected]);
    }
}

#[test]
fn item_61_who_accepted_what_is_doubted_says_so_then_and_only_then() {
    let target = snapshot("a=1", "", "l=1", "");
    let mut talk = Talk::delta(&target);
    talk.ask(CDS, "");
    talk.ask(LDS, "");
    talk.all();
    talk.ack(CDS, "");
    assert!(talk.session.take_testimonies().is_empty(), "of what nobody doubts nothing is said");
    talk.target(&doubted(&target, LDS, ("l", "1"), None));
    assert!(talk.session.take_testimonies().is_empty(), "it has not answered yet");
    talk.ack(LDS, "");
    assert_eq!(testimonies(&mut talk, &["l=1"]), ["accepted l=1"]);
    talk.target(&doubted(&target, CDS, ("a", "1"), None));
    assert_eq!(testimonies(&mut talk, &["a=1"]), ["accepted a=1"], "long ago");
    let mut other = Talk::delta(&target);
    other.ask(CDS, "");
    other.all();
    other.nack(CDS, "");
    other.session.take_testimonies();
    other.target(&doubted(&target, CDS, ("a", "1"), None));
    assert!(other.session.take_testimonies().is_empty(), "who rejected it has not accepted it");
}

#[test]
fn item_62_endless_words_are_shortened() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    let words = format!(
        "goo.gle/debugproto \ncluster_name: \"a\"\n{}: Proto constraint validation failed (x)",
        "e {\n}\n".repeat(500_000)
    );
    let Verdict::Nack { message, .. } = talk.nack_saying(EDS, "", &words) else { panic!("it was rejected") };
    assert_eq!(message, "a: Proto constraint validation failed (x)");
}

#[test]
fn item_49_who_asks_for_what_it_rejected_is_answered_with_what_it_accepted() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    talk.ask(EDS, "+a");
    talk.all();
    talk.ack(EDS, "");
    talk.target(&snapshot("", "a=bad", "", ""));
    talk.all();
    talk.nack(EDS, "");
    // Its cluster changes, and warms until endpoints come.
    talk.ask(CDS, "");
    talk.target(&snapshot("a=2", "a=bad", "", ""));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=1"]);
}

#[test]
fn item_59_what_is_tried_again_does_not_wait_for_what_nobody_wants_any_more() {
    let mut talk = Talk::delta(&snapshot("", "a=1 b=1", "", ""));
    talk.ask(EDS, "+a +b");
    assert_eq!(talk.all(), ["endpoints +a=1 +b=1"]);
    talk.nack(EDS, "-a");
    assert_eq!(talk.all(), ["endpoints +b=1"]);
}

/// The words name nobody, so for a while each of those that came together is suspected; who asks for one then is told
/// that there is none.
#[test]
fn item_59_what_was_missing_under_suspicion_comes_once_it_is_accepted() {
    let mut talk = Talk::delta(&snapshot("", "a=bad b=1", "", ""));
    talk.ask(EDS, "+a +b");
    assert_eq!(talk.all(), ["endpoints +a=bad +b=1"]);
    let both = talk.last_nonce(EDS);
    talk.ask(EDS, "+b");
    talk.later(5);
    assert_eq!(talk.all(), ["endpoints +b=1"]);
    let alone = talk.last_nonce(EDS);
    talk.ask(EDS, "+b");
    talk.request(EDS, "", &both, Some("no"));
    talk.later(5);
    assert_eq!(talk.all(), ["endpoints -b"]);
    talk.request(EDS, "", &alone, None);
    talk.ack(EDS, "");
    let mut said = talk.all();
    talk.nack(EDS, "");
    said.extend(talk.all());
    assert!(said.concat().contains("+b=1"), "{said:?}");
}
