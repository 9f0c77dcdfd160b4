//! Every golden is compiled for gRPC clients as well, and what comes out is accepted by both libraries: they reject a whole
//! resource for one word in it.
#![allow(clippy::unwrap_used, reason = "a test that cannot set up its scene fails there")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chancery::{
    control::World,
    model::{ClientKind, Grouping, Labels, Locality, NodeGroup, Proxy, ResourceName, Role},
    proto::{
        self,
        envoy::{
            config::{
                cluster::v3::Cluster,
                endpoint::v3::ClusterLoadAssignment,
                listener::v3::{ApiListener, Listener},
                route::v3::{route::Action, route_action::ClusterSpecifier},
            },
            extensions::filters::network::http_connection_manager::v3::{
                HttpConnectionManager, http_connection_manager::RouteSpecifier,
            },
        },
    },
    publish::Publish,
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
    xds::{Clients, Metrics, Server, Settings},
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use prost::Message;
use serde_json::json;
use support::{
    eventually, goldens,
    grpc::{Application, LIBRARIES},
    world::world,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// All goldens in one snapshot, each golden's names behind its own.
#[derive(Default)]
struct All {
    sets: PerType<Arc<ResourceSet>>,
    /// Where each listener leads.
    leads_to: BTreeMap<String, BTreeSet<String>>,
    /// Whose endpoints are asked for.
    with_endpoints: BTreeSet<String>,
}

impl All {
    fn add(&mut self, golden: &str, snapshot: &Snapshot) {
        let own = |name: &str| format!("{golden}/{name}");
        for resource in snapshot.set(ResourceType::Cluster).iter() {
            let mut cluster = Cluster::decode(resource.body()).unwrap();
            cluster.name = own(&cluster.name);
            if cluster.eds_cluster_config.is_some() {
                self.with_endpoints.insert(cluster.name.clone());
            }
            self.put(ResourceType::Cluster, &cluster.name, &cluster);
        }
        for resource in snapshot.set(ResourceType::Endpoints).iter() {
            let mut assignment = ClusterLoadAssignment::decode(resource.body()).unwrap();
            assignment.cluster_name = own(&assignment.cluster_name);
            self.put(ResourceType::Endpoints, &assignment.cluster_name, &assignment);
        }
        for resource in snapshot.set(ResourceType::Listener).iter() {
            let mut listener = Listener::decode(resource.body()).unwrap();
            listener.name = own(&listener.name);
            let packed = listener.api_listener.unwrap().api_listener.unwrap();
            let mut manager = HttpConnectionManager::decode(packed.value).unwrap();
            let Some(RouteSpecifier::RouteConfig(routes)) = &mut manager.route_specifier else {
                panic!("inline routes")
            };
            let mut leads_to = BTreeSet::new();
            for route in routes.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
                let Some(Action::Route(action)) = &mut route.action else { panic!("a route leads to a cluster") };
                let names: Vec<&mut String> = match &mut action.cluster_specifier {
                    Some(ClusterSpecifier::Cluster(name)) => vec![name],
                    Some(ClusterSpecifier::WeightedClusters(split)) => {
                        split.clusters.iter_mut().map(|cluster| &mut cluster.name).collect()
                    }
                    other => panic!("{other:?}"),
                };
                for name in names {
                    *name = own(name);
                    leads_to.insert(name.clone());
                }
            }
            listener.api_listener = Some(ApiListener { api_listener: Some(proto::any(&manager)) });
            self.put(ResourceType::Listener, &listener.name, &listener);
            self.leads_to.insert(listener.name, leads_to);
        }
    }

    fn put(&mut self, resource_type: ResourceType, name: &str, message: &impl Message) {
        let resource = Resource::encode(resource_type, ResourceName::new(name), message);
        Arc::make_mut(&mut self.sets[resource_type]).insert(resource);
    }

    /// How many names of listeners, clusters and endpoints clients subscribe to in the end. C-core has a stream for each
    /// target, the other library one for all.
    fn subscriptions(&self, library: &str) -> [usize; 3] {
        let endpoints = |clusters: &BTreeSet<String>| clusters.intersection(&self.with_endpoints).count();
        let leads = self.leads_to.values();
        let (clusters, with_endpoints) = match library {
            "grpcio" => (leads.clone().map(BTreeSet::len).sum(), leads.map(endpoints).sum()),
            _ => {
                let all: BTreeSet<String> = leads.flatten().cloned().collect();
                (all.len(), endpoints(&all))
            }
        };
        [self.leads_to.len(), clusters, with_endpoints]
    }
}

fn of_golden(input: &goldens::Input) -> (World, NodeGroup) {
    let node = input.services.lines().next().and_then(|line| line.strip_prefix("# node: ")).unwrap_or_default();
    let value = |key: &str| node.split(' ').find_map(|word| word.strip_prefix(key)).unwrap_or_default();
    let world = world(&input.services, &input.policies);
    let group = world.grouping().group_of(&Proxy {
        id: "golden".into(),
        workload: value("service=").into(),
        namespace: value("namespace=").into(),
        labels: value("labels=").split_once(':').map(|(k, v)| (k.into(), v.into())).into_iter().collect::<Labels>(),
        locality: Locality::parse(value("locality=")),
        local_cluster: false,
        kind: ClientKind::Grpc,
        role: Role::Sidecar,
    });
    (world, group)
}

/// The sum of a counter over all types.
fn count(metrics: &str, name: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_golden_is_accepted_by_both_libraries() {
    let mut all = All::default();
    for input in goldens::inputs() {
        let (mut world, group) = of_golden(&input);
        all.add(&input.name, &world.compile(&group).snapshot);
    }
    assert!(all.leads_to.len() > 100, "{} listeners", all.leads_to.len());
    let snapshot = Arc::new(Snapshot::new(all.sets.clone()));
    for library in LIBRARIES {
        let (publish, clients, mut registry) =
            (Arc::new(Publish::default()), Arc::new(Clients::default()), Registry::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = Server {
            settings: Settings::default(),
            publish: publish.clone(),
            clients: clients.clone(),
            metrics: Metrics::register(&mut registry),
            tls: None,
        };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(server.serve(listener, shutdown.clone()));
        publish.set_grouping(Arc::new(Grouping::default()));
        let group = NodeGroup { kind: ClientKind::Grpc, ..NodeGroup::default() };
        let _watch = publish.subscribe(&group, Arc::default());
        publish.publish(&group, snapshot.clone());

        let credentials = json!([{ "type": "insecure" }]);
        let mut application = Application::with_bootstrap(
            library,
            &json!({
                "xds_servers": [{ "server_uri": address, "channel_creds": credentials, "server_features": ["xds_v3"] }],
                "node": { "id": library, "locality": {} },
            })
            .to_string(),
        );
        let targets: Vec<String> = all.leads_to.keys().map(|name| format!("xds:///{name}")).collect();
        application.ask(&json!({ "connect": targets }));
        let wanted = all.subscriptions(library);
        let last = eventually("everything is asked for and answered", async || {
            let streams = clients.to_json();
            let names = ["listeners", "clusters", "endpoints"].map(|key| {
                streams.iter().filter_map(|stream| stream["types"][key]["subscribedNames"].as_u64()).sum::<u64>()
                    as usize
            });
            let mut metrics = String::new();
            encode(&mut metrics, &registry).unwrap();
            let (sent, acks, nacks) = (
                count(&metrics, "xds_responses_total"),
                count(&metrics, "xds_acks_total"),
                count(&metrics, "xds_nacks_total"),
            );
            (nacks > 0 || (names == wanted && sent == acks)).then_some(streams)
        })
        .await;
        let errors: BTreeSet<String> = last
            .iter()
            .flat_map(|stream| stream["types"].as_object().unwrap().values())
            .filter_map(|progress| progress["lastError"].as_str().map(ToOwned::to_owned))
            .collect();
        assert!(errors.is_empty(), "{library}: {errors:#?}");
        shutdown.cancel();
        serving.await.unwrap();
    }
}
