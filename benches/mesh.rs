//! A mesh of any size, and a control plane's work on it without its waiting: what the benches share.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    num::{NonZeroU16, NonZeroU32},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chancery::{
    catalog::{Guard, GuardSettings, Merge},
    control::World,
    diagnostic::SourceFile,
    discovery::Slice,
    model::{
        Address, CatalogEntry, Endpoint, EndpointSet, Health, HostName, Locality, NodeGroup, Port, PortName, Protocol,
        Service, ServiceName,
    },
    policy::Library,
    proto::envoy::config::endpoint::v3::ClusterLoadAssignment,
    publish::{Publish, SnapshotWatch},
    resources::{ResourceType, Snapshot},
    xds::{
        Shared,
        session::{Ask, Dialect, Request, Session},
    },
};
use prost::Message;

/// As many endpoints as each service has.
pub const ENDPOINTS: u32 = 10;

/// The name of a service.
pub fn name(number: u32) -> ServiceName {
    ServiceName::new(&format!("service-{number}")).expect("a name")
}

/// Endpoints of a service; each `generation` has one of them otherwise than all before.
pub fn endpoints(number: u32, generation: u32) -> Arc<EndpointSet> {
    let endpoint = |index: u32| Endpoint {
        address: Address::Ip(Ipv4Addr::from(0x0a00_0000 + number * 16 + index).into()),
        ports: BTreeMap::new(),
        locality: Locality::new("eu", if index.is_multiple_of(2) { "eu-1" } else { "eu-2" }, ""),
        weight: NonZeroU32::new(1 + if index == 0 { generation } else { 0 }).expect("not 0"),
        health: Health::Healthy,
        labels: [("version".into(), "v1".into())].into(),
    };
    Arc::new(EndpointSet::new((0..ENDPOINTS).map(endpoint).collect()))
}

/// What a source says of so many services.
pub fn slice(services: u32) -> Slice {
    let entry = |number: u32| {
        let name = name(number);
        let host = HostName::new(&format!("{name}.shop.svc.cluster.local")).expect("a host");
        let port = Port {
            number: NonZeroU16::new(80).expect("not 0"),
            name: PortName::new("http").expect("a name"),
            protocol: Protocol::Http,
            listen: None,
        };
        let service = Service { hosts: vec![host], ports: vec![port], ..Service::named(name.clone()) };
        let entry = CatalogEntry {
            service: Arc::new(service),
            endpoints: endpoints(number, 0),
            observed: SystemTime::UNIX_EPOCH,
        };
        (name, entry)
    };
    Slice { services: (0..services).map(entry).collect(), problems: Vec::new(), synced: true, current: true }
}

/// The same, with one endpoint of one service another.
pub fn with_one_endpoint_changed(slice: &Slice, number: u32, generation: u32) -> Slice {
    let mut slice = slice.clone();
    let entry = CatalogEntry { endpoints: endpoints(number, generation), ..slice.services[&name(number)].clone() };
    slice.services.insert(name(number), entry);
    slice
}

/// One policy for all, and one for every tenth service.
pub fn policies(services: u32) -> Library {
    let mut text = "apiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: all }\n\
                    spec: { outlierDetection: { consecutive5xxErrors: 5 }, timeout: 5s }\n"
        .to_owned();
    for number in (0..services).step_by(10) {
        text += &format!(
            "---\napiVersion: chancery.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {{ name: p{number} }}\n\
             spec: {{ target: {{ service: service-{number} }}, loadBalancer: {{ simple: RANDOM }} }}\n"
        );
    }
    let mut library = Library::default();
    library.update([&Arc::new(SourceFile { path: "policies.yaml".into(), text: text.into() })]);
    assert!(library.problems().is_empty());
    library
}

/// What the control loop does in a round, from what a source says to what streams watch.
pub struct Plane {
    guard: Guard,
    merge: Merge,
    world: World,
    library: Library,
    publish: Publish,
    watch: SnapshotWatch,
}

impl Plane {
    /// One that has heard nothing yet.
    pub fn new(library: Library) -> Self {
        let publish = Publish::default();
        let watch = publish.subscribe(&NodeGroup::default(), Arc::default());
        let guard = Guard::new(GuardSettings { max_removed_percent: 50, hold: Duration::from_secs(30) });
        Self { guard, merge: Merge::default(), world: World::default(), library, publish, watch }
    }

    /// A round, problems and forgetting included. Returns what streams see.
    pub fn round(&mut self, slice: Slice) -> Arc<Snapshot> {
        let admitted = self.guard.admit(&Arc::new(slice), Instant::now());
        self.merge.update(vec![admitted.slice]);
        self.world.update(self.merge.catalog().clone(), self.library.policies().clone());
        self.publish.set_grouping(self.world.grouping().clone());
        let groups = self.publish.watched_groups();
        for group in &groups {
            let compiled = self.world.compile(group);
            self.publish.publish(group, compiled.snapshot);
        }
        self.world.retain(&groups);
        assert!(self.world.problems().is_empty());
        self.watch.latest().expect("published")
    }
}

/// What streams see before and after one endpoint of a service changes.
pub fn snapshots(services: u32) -> (Arc<Snapshot>, Arc<Snapshot>) {
    let mut plane = Plane::new(policies(services));
    let said = slice(services);
    let before = plane.round(said.clone());
    (before, plane.round(with_one_endpoint_changed(&said, services / 2, 1)))
}

/// The endpoints of one service, as a message.
pub fn assignment() -> ClusterLoadAssignment {
    let (snapshot, _) = snapshots(1);
    let body = snapshot.set(ResourceType::Endpoints).iter().next().expect("some").body().clone();
    ClusterLoadAssignment::decode(body).expect("an assignment")
}

/// A stream that has asked for its first clusters, and shares nothing with an earlier one.
pub fn asking_for_clusters(snapshot: &Arc<Snapshot>) -> Session {
    let mut session = Session::new(Dialect::Delta, Arc::new(Shared::default()));
    session.set_target(snapshot.clone());
    let ask = Ask::Delta { subscribe: Vec::new(), unsubscribe: Vec::new(), initial_versions: Default::default() };
    session.on_request(ResourceType::Cluster, Request { ask, ..Request::default() });
    session
}
