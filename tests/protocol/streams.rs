//! Section A of the rules: streams, as far as a session is concerned. What needs sockets is in `tests/xds_grpc.rs`.

use std::sync::Arc;

use chancery::{
    proto::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse},
    resources::ResourceType,
    xds::{Shared, session::Dialect},
};
use prost::Message;

use super::conversation::{CDS, EDS, LDS, RDS, SDS, Talk, snapshot};

const TYPES: [ResourceType; 5] = [CDS, EDS, SDS, LDS, RDS];

/// Everything that a fresh client is sent, undecoded.
fn first_answers(talk: &mut Talk) -> Vec<Vec<u8>> {
    talk.ask(CDS, "");
    talk.ask(LDS, "");
    let (endpoints, routes) = if talk.dialect() == Dialect::Delta { ("+a", "+r") } else { ("a", "r") };
    talk.ask(EDS, endpoints);
    talk.ask(RDS, routes);
    let responses = std::iter::from_fn(|| talk.session.next_response(talk.now));
    responses.map(|response| response.message()).collect()
}

#[test]
fn item_02_what_is_in_a_response_is_of_the_type_that_was_asked_for() {
    let target = snapshot("a=1", "a=1", "l=1", "r=1");
    let urls: Vec<String> = [CDS, EDS, LDS, RDS].iter().map(|asked| asked.type_url().to_owned()).collect();
    let mut delta = Talk::delta(&target);
    let heard: Vec<String> = first_answers(&mut delta)
        .into_iter()
        .map(|bytes| {
            let response = DeltaDiscoveryResponse::decode(&*bytes).unwrap();
            for resource in response.resources {
                assert_eq!(resource.resource.unwrap().type_url, response.type_url);
            }
            response.type_url
        })
        .collect();
    assert_eq!(heard, urls);
    let mut sotw = Talk::sotw(&target);
    let heard: Vec<String> = first_answers(&mut sotw)
        .into_iter()
        .map(|bytes| {
            let response = DiscoveryResponse::decode(&*bytes).unwrap();
            assert!(response.resources.iter().all(|any| any.type_url == response.type_url));
            response.type_url
        })
        .collect();
    assert_eq!(heard, urls);
}

#[test]
fn item_04_streams_of_one_node_know_nothing_of_each_other() {
    let target = snapshot("a=1 b=1", "a=1", "", "");
    let shared = Arc::new(Shared::default());
    let mut old = Talk::sharing(Dialect::Delta, &shared);
    old.target(&target);
    old.ask(CDS, "");
    assert_eq!(old.all(), ["clusters +a=1 +b=1"]);
    let mut new = Talk::sharing(Dialect::Delta, &shared);
    new.target(&target);
    new.ask(CDS, "");
    assert_eq!(new.all(), ["clusters +a=1 +b=1"], "what another stream was sent is not held here");
    let nonce = new.last_nonce(CDS);
    drop(old);
    new.request(CDS, "", &nonce, None);
    new.target(&snapshot("a=2 b=1", "a=1", "", ""));
    assert_eq!(new.all(), ["clusters +a=2"]);
}

#[test]
fn item_07_first_requests_come_in_any_order() {
    // Every order of five is tried.
    let mut orders: Vec<Vec<ResourceType>> = vec![Vec::new()];
    for _ in TYPES {
        orders = orders
            .iter()
            .flat_map(|order| {
                let rest = TYPES.into_iter().filter(|next| !order.contains(next));
                rest.map(|next| [order.as_slice(), &[next]].concat()).collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    let target = snapshot("a=c", "a=e", "l=l", "r=r");
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        for order in &orders {
            let mut talk = Talk::new(dialect);
            talk.target(&target);
            let mut heard = Vec::new();
            for resource_type in order {
                let name = match *resource_type {
                    EDS => "a",
                    RDS => "r",
                    SDS => "s",
                    CDS | LDS => "",
                };
                let names =
                    if dialect == Dialect::Delta && !name.is_empty() { format!("+{name}") } else { name.into() };
                talk.ask(*resource_type, &names);
                heard.extend(talk.all());
                talk.ack(*resource_type, if dialect == Dialect::Sotw { &names } else { "" });
            }
            for expected in ["clusters", "endpoints", "listeners", "routes"] {
                assert!(heard.iter().any(|text| text.starts_with(expected)), "{dialect:?} {order:?}: {heard:?}");
            }
            assert_eq!(heard.iter().any(|text| text == "secrets -s"), dialect == Dialect::Delta, "{heard:?}");
        }
    }
}

#[test]
fn item_07_names_come_in_one_request_or_each_in_its_own() {
    let target = snapshot("", "a=1 b=2 c=3", "", "");
    let mut many = Talk::delta(&target);
    many.ask(EDS, "+a +b +c");
    assert_eq!(many.all(), ["endpoints +a=1 +b=2 +c=3"]);
    let mut each = Talk::delta(&target);
    for name in ["+a", "+b", "+c"] {
        each.ask(EDS, name);
    }
    assert_eq!(
        each.all(),
        ["endpoints +a=1 +b=2 +c=3"],
        "what is asked for before the answer goes is answered with it"
    );
}

#[test]
fn item_07_of_requests_the_latest_counts() {
    let mut talk = Talk::sotw(&snapshot("", "a=1 b=2 c=3", "", ""));
    talk.ask(EDS, "a b");
    talk.ask(EDS, "c");
    assert_eq!(talk.all(), ["endpoints 3"]);
}

#[test]
fn item_10_a_response_too_large_is_split_and_each_part_has_a_nonce() {
    let target = snapshot("a=1 b=1 c=1 d=1", "a=1 b=1 c=1 d=1", "", "");
    let mut talk = Talk::sharing(Dialect::Delta, &Arc::new(Shared::default().with_largest_response(150)));
    talk.target(&target);
    talk.ask(CDS, "");
    talk.ask(EDS, "+a +b +c +d");
    let heard: Vec<_> = std::iter::from_fn(|| talk.next()).collect();
    let texts: Vec<String> = heard.iter().map(|heard| heard.text()).collect();
    assert_eq!(
        texts,
        [
            "clusters +a=1",
            "clusters +b=1",
            "clusters +c=1",
            "clusters +d=1",
            "endpoints +a=1",
            "endpoints +b=1",
            "endpoints +c=1",
            "endpoints +d=1",
        ],
        "no part waits for the answer to another, and none overtakes what comes before it"
    );
    let nonces: std::collections::BTreeSet<&str> = heard.iter().map(|heard| heard.nonce.as_str()).collect();
    assert_eq!(nonces.len(), heard.len());
    // The answer to a part settles that part and those before.
    talk.request(EDS, "", &heard[6].nonce, None);
    talk.target(&snapshot("a=1 b=1 c=1 d=1", "a=2 b=1 c=1 d=1", "", ""));
    assert!(talk.all().is_empty(), "the last part is still on its way");
    talk.request(EDS, "", &heard[7].nonce, None);
    assert_eq!(talk.all(), ["endpoints +a=2"]);
}

#[test]
fn item_10_a_change_that_comes_between_two_parts_is_in_the_parts_that_follow() {
    let mut talk = Talk::sharing(Dialect::Delta, &Arc::new(Shared::default().with_largest_response(150)));
    talk.target(&snapshot("a=1 b=1 c=1 d=1", "", "", ""));
    talk.ask(CDS, "");
    assert_eq!(talk.next().unwrap().text(), "clusters +a=1");
    assert_eq!(talk.next().unwrap().text(), "clusters +b=1");
    talk.target(&snapshot("a=2 b=1 d=2", "", "", ""));
    assert_eq!(talk.all(), ["clusters +d=2", "clusters +a=2"], "`c` was never sent");
}

#[test]
fn item_10_a_long_list_of_what_is_gone_is_split_as_well() {
    let mut talk = Talk::sharing(Dialect::Delta, &Arc::new(Shared::default().with_largest_response(150)));
    talk.target(&snapshot("here=1", "", "", ""));
    let gone: Vec<String> = (0..100).map(|number| format!("gone-{number:02}")).collect();
    let held: Vec<(&str, String)> = gone.iter().map(|name| (name.as_str(), "v".to_owned())).collect();
    talk.ask_with_initial(CDS, "", &held);
    assert_eq!(talk.all(), ["clusters +here=1"]);
    talk.later(2);
    let heard: Vec<_> = std::iter::from_fn(|| talk.next()).collect();
    assert!(heard.len() > 5 && heard.iter().all(|heard| heard.removed.len() <= 150 / 15));
    let removed: Vec<String> = heard.into_iter().flat_map(|heard| heard.removed).collect();
    assert_eq!(removed, gone);
    assert!(talk.all().is_empty());
}

#[test]
fn item_10_a_resource_larger_than_a_response_goes_alone() {
    let huge = "x".repeat(5 * 1024 * 1024);
    let mut talk = Talk::delta(&snapshot(&format!("a=1 huge={huge} z=1"), "", "", ""));
    talk.ask(CDS, "");
    let sizes: Vec<usize> = std::iter::from_fn(|| talk.next()).map(|heard| heard.resources.len()).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn item_17_each_response_says_which_server_made_it() {
    let target = snapshot("a=1", "", "", "");
    for dialect in [Dialect::Delta, Dialect::Sotw] {
        let mut talk = Talk::sharing(dialect, &Arc::new(Shared::of("chancery/1 replica-7".into())));
        talk.target(&target);
        let responses = first_answers(&mut talk);
        assert!(responses.len() >= 2);
        for bytes in responses {
            let control_plane = match dialect {
                Dialect::Delta => DeltaDiscoveryResponse::decode(&*bytes).unwrap().control_plane,
                Dialect::Sotw => DiscoveryResponse::decode(&*bytes).unwrap().control_plane,
            };
            assert_eq!(control_plane.unwrap().identifier, "chancery/1 replica-7");
        }
    }
}
