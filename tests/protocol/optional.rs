//! Section H of the rules: optional APIs, as far as what we serve is concerned.

use chancery::{proto::envoy::service::discovery::v3::DeltaDiscoveryResponse, resources::ResourceType};
use prost::Message;

use super::conversation::{CDS, EDS, LDS, RDS, Talk, snapshot};

#[test]
fn item_77_nothing_expires() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "l=1", "r=1"));
    talk.ask(CDS, "");
    talk.ask(EDS, "+a");
    talk.ask(LDS, "");
    talk.ask(RDS, "+r");
    for response in std::iter::from_fn(|| talk.session.next_response(talk.now)) {
        let message = DeltaDiscoveryResponse::decode(&*response.body).unwrap();
        assert!(message.resources.iter().all(|resource| resource.ttl.is_none() && resource.resource.is_some()));
    }
}

#[test]
fn item_78_names_match_exactly() {
    let mut talk = Talk::delta(&snapshot("", "a=1", "", ""));
    let odd =
        ["xdstp://authority/envoy.config.endpoint.v3.ClusterLoadAssignment/a?x=1", "xdstp:///t/folder/*", "a*", "A"];
    for name in odd {
        talk.ask(EDS, &format!("+{name}"));
        assert_eq!(talk.all(), [format!("endpoints -{name}")], "no pattern, no other spelling");
        talk.ack(EDS, "");
    }
    talk.ask(EDS, "+a");
    assert_eq!(talk.all(), ["endpoints +a=1"]);
}

#[test]
fn item_79_clusters_on_demand_are_answered_beside_the_wildcard() {
    let mut talk = Talk::delta(&snapshot("a=1", "a=1", "", ""));
    talk.ask(CDS, "+*");
    assert_eq!(talk.all(), ["clusters +a=1"]);
    talk.ack(CDS, "+later");
    assert_eq!(talk.all(), ["clusters -later"], "at once: Envoy waits 5 s for it");
    talk.ack(CDS, "");
    // Envoy keeps the dead entry and does not ask again: only a push revives it.
    talk.target(&snapshot("a=1 later=1", "a=1 later=1", "", ""));
    assert_eq!(talk.all(), ["clusters +later=1"]);
    talk.ask(EDS, "+later");
    assert_eq!(talk.all(), ["endpoints +later=1"]);
}

#[test]
fn item_79_clusters_on_demand_alone() {
    // As some clients do it: no wildcard, names as they are needed.
    let mut talk = Talk::delta(&snapshot("a=1 b=1", "", "", ""));
    talk.ask(CDS, "+* -*");
    assert!(talk.all().is_empty());
    talk.ask(CDS, "+b");
    assert_eq!(talk.all(), ["clusters +b=1"]);
    talk.ack(CDS, "");
    talk.target(&snapshot("a=2 b=1", "", "", ""));
    assert!(talk.all().is_empty());
}

/// Types that nothing of ours refers to: VHDS, scoped routes, extension configurations, runtime layers.
#[test]
fn item_80_types_that_are_not_served_are_none_of_the_sessions() {
    for url in [
        "type.googleapis.com/envoy.config.route.v3.VirtualHost",
        "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration",
        "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "type.googleapis.com/envoy.service.runtime.v3.Runtime",
        "",
    ] {
        assert_eq!(ResourceType::from_type_url(url), None, "{url}");
    }
}
