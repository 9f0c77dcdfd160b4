//! Section D of the rules: ordering and warming, in both dialects.

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot, version};

/// A client with clusters `a` and `b`, their endpoints, a listener and routes, all acknowledged.
fn settled_delta() -> Talk {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "a=1 b=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.all();
    talk.ask(EDS, "+a +b");
    talk.ask(LDS, "");
    talk.ask(RDS, "+r");
    talk.all();
    for resource_type in [CDS, EDS, LDS, RDS] {
        talk.ack(resource_type, "");
    }
    assert!(talk.all().is_empty());
    talk
}

fn settled_sotw() -> Talk {
    let mut talk = Talk::sotw(&snapshot("a=c1 b=c2", "a=e1 b=e2", "l=l1", "r=r1"));
    let names = [(CDS, ""), (EDS, "a b"), (LDS, ""), (RDS, "r")];
    for (resource_type, list) in names {
        talk.ask(resource_type, list);
    }
    talk.all();
    for (resource_type, list) in names {
        talk.ack(resource_type, list);
    }
    assert!(talk.all().is_empty());
    talk
}

#[test]
fn item_45_endpoints_never_wait_for_the_acknowledgement_of_clusters() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=2 b=1", "a=1 b=1", "l=1", "r=1"));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=1"]);
}

#[test]
fn item_46_a_changed_cluster_is_followed_by_its_endpoints_at_their_own_version() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=2 b=1", "a=1 b=1", "l=1", "r=1"));
    let cluster = talk.next().unwrap();
    let endpoints = talk.next().unwrap();
    assert_eq!((cluster.text(), endpoints.text()), ("clusters +a=2".into(), "endpoints +a=1".into()));

    let mut talk = settled_sotw();
    talk.target(&snapshot("a=c9 b=c2", "a=e1 b=e2", "l=l1", "r=r1"));
    assert_eq!(talk.all(), ["clusters c2 c9", "endpoints e1"]);
}

#[test]
fn item_47_endpoints_asked_for_before_clusters_are_sent_again_after_them() {
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "a=1 b=1", "", ""));
    talk.ask(EDS, "+a +b");
    assert_eq!(talk.all(), ["endpoints +a=1 +b=1"]);
    talk.ack(EDS, "");
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters +a=1 +b=1", "endpoints +a=1 +b=1"]);
}

#[test]
fn item_50_one_change_goes_out_in_push_order() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=2 b=1", "a=2 b=1", "l=2", "r=2"));
    assert_eq!(talk.all(), ["clusters +a=2", "endpoints +a=2", "listeners +l=2", "routes +r=2"]);
}

#[test]
fn item_51_routes_wait_until_new_clusters_are_warm_with_a_deadline() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1 b=1 new=1", "a=1 b=1 new=1", "l=1", "r=2"));
    assert_eq!(talk.all(), ["clusters +new=1"], "the route may lead to the new cluster");
    talk.ask(EDS, "+new");
    assert_eq!(talk.all(), ["endpoints +new=1"]);
    talk.ack(EDS, "");
    assert!(talk.all().is_empty());
    talk.ack(CDS, "");
    assert_eq!(talk.all(), ["routes +r=2"], "the acknowledgement says that it is warm");

    let mut talk = settled_delta();
    talk.target(&snapshot("a=1 b=1 new=1", "a=1 b=1", "l=1", "r=2"));
    assert_eq!(talk.all(), ["clusters +new=1"]);
    talk.later(16);
    assert_eq!(talk.all(), ["routes +r=2"], "for ever is too long");
}

#[test]
fn item_52_removals_come_last_once_nothing_leads_to_what_is_removed() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1", "l=1", "r=2"));
    assert_eq!(talk.all(), ["routes +r=2"], "first the routes");
    talk.ack(RDS, "");
    assert_eq!(talk.all(), ["clusters -b", "endpoints -b"], "then what nothing leads to");
}

#[test]
fn item_52_removals_in_state_of_the_world() {
    let mut talk = settled_sotw();
    talk.target(&snapshot("a=c9", "a=e1", "l=l1", "r=r2"));
    assert_eq!(talk.all(), ["clusters c2 c9", "endpoints e1", "routes r2"], "`b` is kept while routes may lead to it");
    talk.ack(CDS, "");
    talk.ack(EDS, "a b");
    assert!(talk.all().is_empty());
    talk.ack(RDS, "r");
    assert_eq!(talk.all(), ["clusters c9"]);
    talk.ack(CDS, "");
    assert!(talk.all().is_empty());
}

#[test]
fn item_52_a_route_that_is_never_acknowledged_keeps_nothing_for_ever() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1", "l=1", "r=2"));
    talk.all();
    talk.later(6);
    assert_eq!(talk.all(), ["clusters -b", "endpoints -b"]);
}

#[test]
fn item_53_unchanged_clusters_are_not_sent() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1 b=1", "a=2 b=1", "l=1", "r=1"));
    assert_eq!(talk.all(), ["endpoints +a=2"]);
}

#[test]
fn a_service_removed_and_back_at_once_is_no_news() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.target(&snapshot("a=1 b=1", "a=1 b=1", "l=1", "r=1"));
    assert!(talk.all().is_empty());
}

#[test]
fn a_quiet_session_has_no_deadline() {
    let talk = settled_delta();
    assert_eq!(talk.session.deadline(), None);
    assert!(talk.session.is_settled());
}

#[test]
fn item_47_on_a_new_stream_all_endpoints_follow_the_first_answer_to_clusters() {
    let mut talk = Talk::delta(&snapshot("a=1 b=2", "a=1 b=1", "", ""));
    talk.ask_with_initial(EDS, "+a +b", &[("a", version(EDS, "a", "1")), ("b", version(EDS, "b", "1"))]);
    assert_eq!(talk.all(), ["endpoints +a=1 +b=1"]);
    talk.ack(EDS, "");
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1")), ("b", version(CDS, "b", "1"))]);
    assert_eq!(talk.all(), ["clusters +b=2", "endpoints +a=1 +b=1"], "`a` may be warming since the stream before");
    talk.ack(CDS, "");
    talk.ack(EDS, "");
    talk.target(&snapshot("a=1 b=3", "a=1 b=1", "", ""));
    assert_eq!(talk.all(), ["clusters +b=3", "endpoints +b=1"], "later those of the clusters that changed");
}

#[test]
fn item_47_who_asks_for_clusters_first_hears_of_endpoints_once() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.all(), ["clusters +a=1"]);
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["endpoints +a=1"]);
    talk.ack(CDS, "");
    talk.ack(EDS, "");
    assert!(talk.all().is_empty());
}

#[test]
fn item_47_only_endpoints_that_are_there_follow() {
    // A service that Envoy resolves by name has its endpoints in the cluster.
    let mut talk = Talk::delta(&snapshot("a=eds", "a=1", "", ""));
    talk.ask(CDS, "");
    talk.ask(EDS, "+a");
    talk.all();
    talk.ack(CDS, "");
    talk.ack(EDS, "");
    talk.target(&snapshot("a=dns", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=dns", "endpoints -a"]);
    talk.ack(CDS, "");
    talk.ack(EDS, "");
    talk.target(&snapshot("a=dns2", "", "", ""));
    assert_eq!(talk.all(), ["clusters +a=dns2"], "that there are none was said");
}

#[test]
fn item_48_a_new_cluster_is_followed_by_endpoints_that_are_watched_already() {
    // Assignments are called as their clusters, so no two clusters share one. A cluster that is gone and back does.
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1 b=1", "l=1", "r=1"));
    assert_eq!(talk.all(), ["clusters -b"]);
    talk.ack(CDS, "");
    talk.target(&snapshot("a=1 b=1", "a=1 b=1", "l=1", "r=1"));
    assert_eq!(talk.all(), ["clusters +b=1", "endpoints +b=1"], "Envoy does not ask for what it subscribes to");
}

#[test]
fn item_49_a_service_without_endpoints_is_answered() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=none", "", ""));
    talk.ask(CDS, "");
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["clusters +a=1", "endpoints +a=none"]);
}

#[test]
fn item_50_routes_do_not_overtake_endpoints_that_wait() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1 b=1", "a=2 b=1", "l=1", "r=1"));
    assert_eq!(talk.all(), ["endpoints +a=2"]);
    talk.target(&snapshot("a=1 b=1", "a=2 b=2", "l=1", "r=2"));
    assert!(talk.all().is_empty(), "the route may lead to what `b` has now");
    talk.ack(EDS, "");
    assert_eq!(talk.all(), ["endpoints +b=2", "routes +r=2"]);
    // Not for ever.
    talk.target(&snapshot("a=1 b=1", "a=2 b=3", "l=1", "r=3"));
    assert!(talk.all().is_empty());
    talk.later(6);
    assert_eq!(talk.all(), ["endpoints +b=3", "routes +r=3"]);
}

#[test]
fn item_51_a_client_that_comes_back_keeps_its_routes_until_new_clusters_are_warm() {
    let mut talk = Talk::delta(&snapshot("a=1 new=1", "a=1 new=1", "l=2", "r=2"));
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1"))]);
    talk.ask_with_initial(LDS, "", &[("l", version(LDS, "l", "1"))]);
    talk.ask_with_initial(EDS, "+a", &[("a", version(EDS, "a", "1"))]);
    talk.ask_with_initial(RDS, "+r", &[("r", version(RDS, "r", "1"))]);
    assert_eq!(talk.all(), ["clusters +new=1", "endpoints +a=1"], "its routes may lead to `new` from now on");
    talk.ack(EDS, "+new");
    assert_eq!(talk.all(), ["endpoints +new=1"]);
    talk.ack(EDS, "");
    talk.ack(CDS, "");
    assert_eq!(talk.all(), ["listeners +l=2", "routes +r=2"]);

    let mut talk = Talk::sotw(&snapshot("a=c1 new=c2", "a=e1 new=e2", "l=l2", "r=r2"));
    for resource_type in [CDS, LDS, EDS, RDS] {
        talk.claim_version(resource_type, "of a stream before".into());
    }
    talk.ask(CDS, "");
    talk.ask(LDS, "");
    talk.ask(EDS, "a");
    talk.ask(RDS, "r");
    assert_eq!(talk.all(), ["clusters c1 c2", "endpoints e1"]);
    talk.ack(CDS, "");
    assert_eq!(talk.all(), ["listeners l2", "routes r2"]);
}

#[test]
fn item_51_a_client_that_comes_back_with_the_routes_there_are_waits_for_nothing() {
    let target = snapshot("a=c1 new=c2", "a=e1 new=e2", "", "r=r1");
    let mut talk = Talk::delta(&target);
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "c1"))]);
    talk.ask_with_initial(RDS, "+r", &[("r", version(RDS, "r", "r1"))]);
    assert_eq!(talk.all(), ["clusters +new=c2", "routes +r=r1"]);
    let mut talk = Talk::sotw(&target);
    talk.claim_version(CDS, "of a stream before".into());
    talk.claim_version(RDS, target.set(RDS).version().to_string());
    talk.ask(CDS, "");
    talk.ask(RDS, "r");
    assert_eq!(talk.all(), ["clusters c1 c2", "routes r1"]);
}

#[test]
fn item_51_a_client_without_routes_has_nothing_to_keep() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(LDS, "");
    talk.ask(EDS, "+a");
    talk.ask(RDS, "+r");
    assert_eq!(talk.all(), ["clusters +a=1", "endpoints +a=1", "listeners +l=1", "routes +r=1"]);
}

#[test]
fn item_52_a_client_that_comes_back_hears_of_removals_after_its_routes() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "l=1", "r=2"));
    talk.ask_with_initial(CDS, "", &[("a", version(CDS, "a", "1")), ("gone", version(CDS, "gone", "1"))]);
    assert_eq!(talk.all(), ["clusters"], "its routes may lead to `gone`");
    talk.ask_with_initial(LDS, "", &[("l", version(LDS, "l", "1"))]);
    talk.ask_with_initial(RDS, "+r", &[("r", version(RDS, "r", "1"))]);
    assert_eq!(talk.all(), ["listeners", "routes +r=2"]);
    talk.ack(LDS, "");
    assert!(talk.all().is_empty());
    talk.ack(RDS, "");
    assert_eq!(talk.all(), ["clusters -gone"]);
}

#[test]
fn item_52_what_is_kept_in_a_full_state_is_kept_in_the_next_one_too() {
    let mut talk = settled_sotw();
    talk.target(&snapshot("a=c1", "a=e1", "l=l1", "r=r2"));
    assert_eq!(talk.all(), ["routes r2"]);
    talk.target(&snapshot("a=c9", "a=e1", "l=l1", "r=r2"));
    assert_eq!(talk.all(), ["clusters c2 c9", "endpoints e1"], "`b` is still there");
    talk.ack(CDS, "");
    talk.ack(EDS, "a b");
    talk.ack(RDS, "r");
    assert_eq!(talk.all(), ["clusters c9"]);
}

#[test]
fn item_52_what_is_back_before_it_was_removed_is_no_news() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1", "l=1", "r=2"));
    assert_eq!(talk.all(), ["routes +r=2"]);
    talk.target(&snapshot("a=1 b=1", "a=1 b=1", "l=1", "r=2"));
    talk.ack(RDS, "");
    assert!(talk.all().is_empty());
    assert_eq!(talk.session.deadline(), None);
}

#[test]
fn item_52_a_listener_that_leads_there_is_waited_for_as_well() {
    let mut talk = settled_delta();
    talk.target(&snapshot("a=1", "a=1", "", "r=1"));
    assert_eq!(talk.all(), ["listeners -l"]);
    assert!(talk.session.deadline().is_some());
    talk.ack(LDS, "");
    assert_eq!(talk.all(), ["clusters -b", "endpoints -b"]);
}
