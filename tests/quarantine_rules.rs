//! Rejections as values, and what is offered then; and laws over fleets of sessions that reject what they like.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use chancery::{
    control::quarantine::{HEARING, K, Quarantine},
    model::ResourceName,
    proto::envoy::{
        config::{
            cluster::v3::Cluster,
            route::v3::{RouteConfiguration, VirtualHost},
        },
        service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse},
    },
    publish::Said,
    resources::{Contested, PerType, Resource, ResourceSet, ResourceType, Snapshot, Testimony},
    xds::{
        Shared,
        session::{Ask, Dialect, Request, Response, Session},
    },
};
use proptest::{collection::vec, prelude::*};

fn cluster(name: &str, content: &str) -> Resource {
    let message = Cluster { name: name.into(), alt_stat_name: content.into(), ..Default::default() };
    Resource::encode(ResourceType::Cluster, ResourceName::new(name), &message)
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace().filter_map(|entry| entry.split_once('='))
}

fn outbound(hosts: &str) -> Resource {
    let host = |(name, content): (&str, &str)| VirtualHost {
        name: name.into(),
        domains: vec![name.into()],
        request_headers_to_remove: vec![content.into()],
        ..Default::default()
    };
    let message = RouteConfiguration {
        name: "outbound".into(),
        virtual_hosts: pairs(hosts).map(host).collect(),
        ..Default::default()
    };
    Resource::encode(ResourceType::Route, ResourceName::new("outbound"), &message)
}

fn snapshot(clusters: &str, hosts: &str) -> Arc<Snapshot> {
    Arc::new(Snapshot::new(PerType::from_fn(|resource_type| {
        let resources: ResourceSet = match resource_type {
            ResourceType::Cluster => pairs(clusters).map(|(name, content)| cluster(name, content)).collect(),
            ResourceType::Route => [outbound(hosts)].into_iter().collect(),
            ResourceType::Endpoints | ResourceType::Secret | ResourceType::Listener => ResourceSet::default(),
        };
        Arc::new(resources)
    })))
}

fn clusters(snapshot: &Snapshot) -> Vec<String> {
    let shown = |resource: &Resource| {
        let Cluster { name, alt_stat_name, .. } = prost::Message::decode(resource.body()).expect("a cluster");
        format!("{name}={alt_stat_name}")
    };
    snapshot.set(ResourceType::Cluster).iter().map(shown).collect()
}

fn hosts(routes: &Resource) -> Vec<String> {
    let message: RouteConfiguration = prost::Message::decode(routes.body()).expect("a RouteConfiguration");
    let shown = |host: &VirtualHost| format!("{}={}", host.name, host.request_headers_to_remove.join(","));
    message.virtual_hosts.iter().map(shown).collect()
}

const THREE: [&str; K] = ["one", "two", "three"];

/// A quarantine, its clock, and what is compiled.
struct Scene {
    quarantine: Quarantine,
    now: Instant,
    compiled: Arc<Snapshot>,
}

impl Scene {
    fn new(clusters: &str, hosts: &str) -> Self {
        Self { quarantine: Quarantine::default(), now: Instant::now(), compiled: snapshot(clusters, hosts) }
    }

    fn reject(&mut self, node: &str, content: Resource, before: Option<Resource>, message: &str) -> bool {
        let resource_type = match content.name().as_str() {
            "outbound" => ResourceType::Route,
            _ => ResourceType::Cluster,
        };
        let contested = vec![Contested { content, before, endpoints: None }];
        let testimony = Testimony::Rejected { resource_type, contested, message: message.into() };
        self.quarantine.hear(vec![Said { node: node.into(), testimony }])
    }

    fn reject_cluster(&mut self, node: &str, content: &str, before: Option<&str>) -> bool {
        self.reject(node, cluster("a", content), before.map(|before| cluster("a", before)), "no good")
    }

    fn accept(&mut self, resource: &Resource, resource_type: ResourceType) -> bool {
        let (name, version) = (resource.name().clone(), resource.version());
        let testimony = Testimony::Accepted { resource_type, name, version };
        self.quarantine.hear(vec![Said { node: "somebody".into(), testimony }])
    }

    fn round(&mut self) -> Arc<Snapshot> {
        self.quarantine.begin_round();
        let offered = self.quarantine.review(&self.compiled, self.now);
        self.quarantine.end_round();
        offered
    }

    /// A round, and another one once everybody was heard.
    fn settled(&mut self) -> Arc<Snapshot> {
        self.round();
        self.now += HEARING;
        self.round()
    }

    fn instead(offered: &Snapshot) -> Option<Resource> {
        let doubts = offered.doubts()?;
        doubts.of(ResourceType::Route).values().next()?.instead.clone()
    }
}

#[test]
fn three_clients_decide_and_two_do_not() {
    let mut scene = Scene::new("a=2 b=2", "");
    assert!(scene.reject_cluster("one", "2", Some("1")));
    assert!(!scene.reject_cluster("one", "2", Some("1")), "the same client is no second one");
    scene.reject_cluster("two", "2", Some("1"));
    assert_eq!(clusters(&scene.settled()), ["a=2", "b=2"]);
    scene.reject_cluster("three", "2", Some("1"));
    assert_eq!(clusters(&scene.settled()), ["a=1", "b=2"], "the form that was accepted last, and the sibling as it is");
}

#[test]
fn what_was_never_accepted_is_withheld_and_not_removed() {
    let mut scene = Scene::new("a=2 b=2", "");
    for node in THREE {
        scene.reject_cluster(node, "2", None);
    }
    let offered = scene.settled();
    assert_eq!(clusters(&offered), ["b=2"]);
    let doubts = offered.doubts().expect("it is doubted");
    assert!(doubts.of(ResourceType::Cluster).contains_key("a"), "who has an earlier form keeps it");
}

#[test]
fn an_acceptance_by_anyone_ends_it() {
    let mut scene = Scene::new("a=2", "");
    for node in THREE {
        scene.reject_cluster(node, "2", Some("1"));
    }
    assert_eq!(clusters(&scene.settled()), ["a=1"]);
    assert!(scene.accept(&cluster("a", "2"), ResourceType::Cluster));
    assert_eq!(clusters(&scene.settled()), ["a=2"]);
    assert!(!scene.reject_cluster("four", "2", None), "and the odd one does not begin it again");
}

#[test]
fn nobody_is_judged_before_those_who_accepted_were_heard() {
    let mut scene = Scene::new("a=2", "");
    for node in THREE {
        scene.reject_cluster(node, "2", Some("1"));
    }
    assert_eq!(clusters(&scene.round()), ["a=2"]);
    let end = scene.quarantine.again_at(scene.now).expect("it is looked at again");
    assert_eq!(end, scene.now + HEARING);
    scene.accept(&cluster("a", "2"), ResourceType::Cluster);
    assert_eq!(clusters(&scene.settled()), ["a=2"]);
    assert_eq!(scene.quarantine.again_at(scene.now), None);
}

#[test]
fn what_differs_is_tried_anew_and_the_old_is_forgotten() {
    let mut scene = Scene::new("a=2", "");
    for node in THREE {
        scene.reject_cluster(node, "2", Some("1"));
    }
    scene.settled();
    scene.compiled = snapshot("a=3", "");
    let offered = scene.round();
    assert_eq!(clusters(&offered), ["a=3"]);
    assert!(scene.quarantine.cases(scene.now).is_empty());
    scene.compiled = snapshot("a=2", "");
    assert_eq!(clusters(&scene.round()), ["a=2"], "what comes back is tried anew as well");
}

#[test]
fn a_group_without_the_resource_ends_nothing() {
    let mut scene = Scene::new("a=2", "");
    for node in THREE {
        scene.reject_cluster(node, "2", Some("1"));
    }
    scene.settled();
    let compiled = std::mem::replace(&mut scene.compiled, snapshot("b=1", ""));
    assert_eq!(clusters(&scene.round()), ["b=1"]);
    scene.compiled = compiled;
    assert_eq!(clusters(&scene.round()), ["a=1"]);
}

#[test]
fn of_outbound_the_virtual_hosts_that_changed_go_back_and_the_others_flow() {
    let mut scene = Scene::new("", "x=2 y=1 z=1");
    let (before, after) = (outbound("x=1 y=1 z=1"), outbound("x=2 y=1 z=1"));
    scene.reject("one", after.clone(), Some(before.clone()), "no good");
    let offered = scene.round();
    assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes")), ["x=2", "y=1", "z=1"]);
    assert_eq!(hosts(&Scene::instead(&offered).expect("who rejected it gets the rest")), ["x=1", "y=1", "z=1"]);
    // A sibling changes, and a new one comes.
    scene.compiled = snapshot("", "x=2 y=2 z=1 w=1");
    let offered = scene.round();
    assert_eq!(hosts(&Scene::instead(&offered).expect("still doubted")), ["x=1", "y=2", "z=1", "w=1"]);
    scene.reject("two", after.clone(), Some(before.clone()), "no good");
    scene.reject("three", after, Some(before), "no good");
    let offered = scene.settled();
    let routes = offered.set(ResourceType::Route).get("outbound").cloned().expect("routes");
    assert_eq!(hosts(&routes), ["x=1", "y=2", "z=1", "w=1"], "now for all");
}

#[test]
fn a_virtual_host_that_is_new_is_left_out() {
    let mut scene = Scene::new("", "x=1 new=1 y=1");
    let (before, after) = (outbound("x=1 y=1"), outbound("x=1 new=1 y=1"));
    for node in THREE {
        scene.reject(node, after.clone(), Some(before.clone()), "no good");
    }
    let offered = scene.settled();
    assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes")), ["x=1", "y=1"]);
}

#[test]
fn which_of_several_is_meant_is_tried_out_with_those_who_rejected_them() {
    let mut scene = Scene::new("", "a=2 b=2 c=2 d=2 e=1");
    let before = outbound("a=1 b=1 c=1 d=1 e=1");
    let bad = "c=2";
    let mut sent = outbound("a=2 b=2 c=2 d=2 e=1");
    for _ in 0..10 {
        match hosts(&sent).iter().any(|host| host == bad) {
            true => {
                for node in THREE {
                    scene.reject(node, sent.clone(), Some(before.clone()), "no");
                }
            }
            false => assert!(scene.accept(&sent, ResourceType::Route)),
        }
        let offered = scene.settled();
        let instead = Scene::instead(&offered).expect("still doubted");
        if instead == sent {
            break;
        }
        assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes"))[4], "e=1");
        sent = instead;
    }
    assert_eq!(hosts(&sent), ["a=2", "b=2", "c=1", "d=2", "e=1"], "the innocent are free");
    let offered = scene.settled();
    assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes")), hosts(&sent));
    let cases: Vec<_> = scene.quarantine.cases(scene.now).into_iter().map(|case| case.unit.host).collect();
    assert_eq!(cases, [Some("c".into())]);
}

#[test]
fn nothing_is_left_out_where_nothing_is_known_to_be_good() {
    let mut scene = Scene::new("", "a:80=1 b:80=1 c:80=1");
    let content = outbound("a:80=1 b:80=1 c:80=1");
    for node in THREE {
        scene.reject(node, content.clone(), None, "missing )");
    }
    let offered = scene.settled();
    assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes")).len(), 3);
    assert!(scene.quarantine.cases(scene.now).iter().all(|case| !case.quarantined));
}

#[test]
fn words_that_name_a_virtual_host_spare_the_others() {
    for words in ["Duplicate entry of domain in b:80", "(RouteConfigurationValidationError.VirtualHosts[1]: embedded)"]
    {
        let mut scene = Scene::new("", "a:80=2 b:80=2 c:80=2");
        let (before, after) = (outbound("a:80=1 b:80=1"), outbound("a:80=2 b:80=2 c:80=2"));
        for node in THREE {
            scene.reject(node, after.clone(), Some(before.clone()), words);
        }
        let offered = scene.settled();
        let routes = offered.set(ResourceType::Route).get("outbound").expect("routes");
        assert_eq!(hosts(routes), ["a:80=2", "b:80=1", "c:80=2"], "{words}");
    }
}

#[test]
fn one_who_has_just_come_blames_only_what_nobody_has_accepted() {
    let mut scene = Scene::new("", "a=1 b=2");
    let (before, after) = (outbound("a=1 b=1"), outbound("a=1 b=2"));
    scene.reject("new", after.clone(), None, "no");
    scene.reject("old", after.clone(), Some(before), "no");
    scene.reject("another", after, None, "no");
    let offered = scene.settled();
    assert_eq!(hosts(offered.set(ResourceType::Route).get("outbound").expect("routes")), ["a=1", "b=1"]);
}

#[test]
fn without_rejections_nothing_is_touched() {
    let mut scene = Scene::new("a=1", "x=1");
    assert!(Arc::ptr_eq(&scene.round(), &scene.compiled));
    for node in THREE {
        scene.reject_cluster(node, "of another time", None);
    }
    let offered = scene.settled();
    assert!(ResourceType::ALL.iter().all(|&of| Arc::ptr_eq(offered.set(of), scene.compiled.set(of))));
}

#[test]
fn what_is_remembered_is_bounded() {
    let mut scene = Scene::new("a=1", "x=1");
    for number in 0..2_000 {
        scene.reject_cluster(&format!("node-{number}"), &format!("content-{}", number % 700), Some("1"));
    }
    let mut known = 0;
    for number in 0..700 {
        scene.compiled = snapshot(&format!("a=content-{number}"), "x=1");
        scene.round();
        known += scene.quarantine.cases(scene.now).len();
    }
    assert!(known <= 256, "{known}");
}

/// A client of a fleet in a box.
struct Member {
    id: Arc<str>,
    session: Session,
    hates: BTreeSet<String>,
    /// `a=1`, of clusters and of virtual hosts.
    has: [BTreeMap<String, String>; 2],
    asked: bool,
}

/// How a client of the box rejects: clusters listed by name, or printed; of routes it says nothing.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Lists,
    Prints,
}

impl Member {
    fn new(number: usize, dialect: Dialect, hates: BTreeSet<String>) -> Self {
        let session = Session::new(dialect, Arc::new(Shared::default()));
        Self { id: format!("m{number}").into(), session, hates, has: Default::default(), asked: false }
    }

    fn request(&mut self, of: ResourceType, nonce: &str, error: Option<String>, first: bool) {
        let names = if of == ResourceType::Route { vec!["outbound".to_owned()] } else { Vec::new() };
        let ask = match self.session.dialect() {
            Dialect::Delta => Ask::Delta {
                subscribe: if first { names } else { Vec::new() },
                unsubscribe: Vec::new(),
                initial_versions: BTreeMap::new(),
            },
            Dialect::Sotw => Ask::Sotw { names, version: String::new() },
        };
        self.session.on_request(of, Request { nonce: nonce.into(), error, ask });
    }

    /// Hears everything that is due, and answers.
    fn hear(&mut self, now: Instant, manner: Manner) -> usize {
        if !std::mem::replace(&mut self.asked, true) {
            self.request(ResourceType::Cluster, "", None, true);
            self.request(ResourceType::Route, "", None, true);
        }
        let mut heard = 0;
        while let Some(response) = self.session.next_response(now) {
            heard += 1;
            assert!(heard < 200, "it does not come to rest");
            let (bodies, removed) = bodies(self.session.dialect(), &response);
            let error = match response.resource_type {
                ResourceType::Cluster => self.take_clusters(&bodies, &removed, manner),
                _ => self.take_routes(&bodies),
            };
            self.request(response.resource_type, &response.nonce.to_string(), error, false);
        }
        heard
    }

    fn take_clusters(&mut self, bodies: &[Vec<u8>], removed: &[String], manner: Manner) -> Option<String> {
        let clusters: Vec<Cluster> =
            bodies.iter().map(|body| prost::Message::decode(body.as_slice()).unwrap()).collect();
        let content = |cluster: &Cluster| format!("{}={}", cluster.name, cluster.alt_stat_name);
        let (bad, good): (Vec<&Cluster>, Vec<&Cluster>) =
            clusters.iter().partition(|cluster| self.hates.contains(&content(cluster)));
        let applies = bad.is_empty() || matches!(manner, Manner::Lists);
        if applies {
            if self.session.dialect() == Dialect::Sotw {
                self.has[0].retain(|name, _| clusters.iter().any(|cluster| cluster.name == *name));
            }
            self.has[0].retain(|name, _| !removed.contains(name));
            self.has[0].extend(good.into_iter().map(|cluster| (cluster.name.clone(), content(cluster))));
        }
        let names: Vec<String> = bad.iter().map(|cluster| format!("{}: no", cluster.name)).collect();
        let words = match manner {
            Manner::Lists => format!("Error adding/updating cluster(s) {}", names.join(", ")),
            Manner::Prints => format!("goo.gle/debugproto \nname: \"{}\"\n", bad.first()?.name),
        };
        (!bad.is_empty()).then_some(words)
    }

    fn take_routes(&mut self, bodies: &[Vec<u8>]) -> Option<String> {
        let routes: RouteConfiguration = prost::Message::decode(bodies.first()?.as_slice()).unwrap();
        let content = |host: &VirtualHost| format!("{}={}", host.name, host.request_headers_to_remove.join(","));
        if routes.virtual_hosts.iter().any(|host| self.hates.contains(&content(host))) {
            return Some("no".into());
        }
        self.has[1] = routes.virtual_hosts.iter().map(|host| (host.name.clone(), content(host))).collect();
        None
    }
}

fn bodies(dialect: Dialect, response: &Response) -> (Vec<Vec<u8>>, Vec<String>) {
    let bytes: Vec<u8> = response.message();
    match dialect {
        Dialect::Delta => {
            let message: DeltaDiscoveryResponse = prost::Message::decode(&*bytes).unwrap();
            let resources = message.resources.into_iter().filter_map(|resource| resource.resource);
            (resources.map(|any| any.value.to_vec()).collect(), message.removed_resources)
        }
        Dialect::Sotw => {
            let message: DiscoveryResponse = prost::Message::decode(&*bytes).unwrap();
            (message.resources.into_iter().map(|any| any.value.to_vec()).collect(), Vec::new())
        }
    }
}

/// Clients, what they should have, and the one that judges.
struct Fleet {
    quarantine: Quarantine,
    now: Instant,
    wanted: [[u8; 4]; 2],
    members: Vec<Member>,
    manner: Manner,
}

/// Names of clusters and virtual hosts, none of which is part of another.
const NAMES: [[&str; 4]; 2] = [["ca", "cb", "cc", "cd"], ["ha", "hb", "hc", "hd"]];

impl Fleet {
    fn contents(&self, of: usize) -> Vec<(String, String)> {
        let each = NAMES[of].iter().zip(self.wanted[of]).filter(|(_, value)| *value > 0);
        each.map(|(name, value)| ((*name).to_owned(), format!("{name}={value}"))).collect()
    }

    fn compiled(&self) -> Arc<Snapshot> {
        let text = |of| self.contents(of).into_iter().map(|(_, content)| content).collect::<Vec<_>>().join(" ");
        // There is always one host more, as in the real thing.
        snapshot(&text(0), &format!("{} unknown=1", text(1)))
    }

    /// One step of everybody. Returns whether anything happened.
    fn step(&mut self) -> bool {
        self.quarantine.begin_round();
        let offered = self.quarantine.review(&self.compiled(), self.now);
        self.quarantine.end_round();
        let mut happened = false;
        for member in &mut self.members {
            member.session.set_target(offered.clone());
            happened |= member.hear(self.now, self.manner) > 0;
            let said = member.session.take_testimonies().into_iter();
            let said = said.map(|testimony| Said { node: member.id.clone(), testimony }).collect();
            happened |= self.quarantine.hear(said);
        }
        happened
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            let happened = self.step();
            match self.quarantine.again_at(self.now) {
                Some(later) if !happened => self.now = later,
                None if !happened => return,
                _ => {}
            }
        }
        panic!("the fleet does not come to rest");
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A cluster or a virtual host changes; 0 = it is gone.
    Set {
        of: usize,
        number: usize,
        value: u8,
    },
    /// Everybody does one thing.
    Turn,
    /// Everybody does all there is to do.
    Settle,
    Join {
        delta: bool,
        odd: bool,
    },
    Leave,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..2_usize, 0..4_usize, 0..5_u8).prop_map(|(of, number, value)| Step::Set { of, number, value }),
        2 => Just(Step::Turn),
        2 => Just(Step::Settle),
        2 => any::<(bool, bool)>().prop_map(|(delta, odd)| Step::Join { delta, odd }),
        1 => Just(Step::Leave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    /// What nobody hates everybody has; what everybody hates nobody has; what some hate, the others have.
    #[test]
    fn siblings_always_flow(
        steps in vec(step(), 1..30),
        bad in vec((0..2_usize, 0..4_usize, 2..5_u8), 0..5),
        odd in vec((0..2_usize, 0..4_usize, 2..5_u8), 0..3),
        lists in any::<bool>(),
    ) {
        let content = |(of, number, value): (usize, usize, u8)| format!("{}={value}", NAMES[of][number]);
        let bad: BTreeSet<String> = bad.into_iter().map(content).collect();
        let odd: BTreeSet<String> = odd.into_iter().map(content).chain(bad.iter().cloned()).collect();
        let manner = if lists { Manner::Lists } else { Manner::Prints };
        let mut fleet = Fleet {
            quarantine: Quarantine::default(),
            now: Instant::now(),
            wanted: [[1; 4]; 2],
            // Somebody was there from the beginning, and takes what most take.
            members: vec![Member::new(0, Dialect::Delta, bad.clone())],
            manner,
        };
        fleet.settle();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Set { of, number, value } => fleet.wanted[of][number] = value,
                Step::Turn => drop(fleet.step()),
                Step::Settle => fleet.settle(),
                Step::Join { delta, odd: is_odd } => {
                    let dialect = if delta { Dialect::Delta } else { Dialect::Sotw };
                    let hates = if is_odd { odd.clone() } else { bad.clone() };
                    fleet.members.push(Member::new(number + 1, dialect, hates));
                }
                Step::Leave if fleet.members.len() > 1 => drop(fleet.members.pop()),
                Step::Leave => {}
            }
        }
        fleet.settle();
        for _ in 0..3 {
            fleet.now += Duration::from_secs(20);
            fleet.settle();
        }
        for member in &fleet.members {
            // One that alone rejects virtual hosts which others accept keeps the routes it has.
            let is_alone = member.hates.iter().any(|content| content.starts_with('h') && !bad.contains(content));
            for of in if is_alone { 0..1 } else { 0..2 } {
                for (name, content) in fleet.contents(of) {
                    let has = member.has[of].get(&name);
                    if member.hates.contains(&content) {
                        prop_assert_ne!(has, Some(&content));
                    } else {
                        prop_assert_eq!(has, Some(&content), "{} has {:?}", member.id, member.has);
                    }
                }
                let wanted: Vec<String> = fleet.contents(of).into_iter().map(|(name, _)| name).collect();
                let extra = member.has[of].keys().find(|name| !wanted.contains(name) && *name != "unknown");
                prop_assert_eq!(extra, None);
            }
        }
    }
}
