//! The mini-language of the tests: snapshots from names and contents, requests in a word, responses as text.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use chancery::{
    model::ResourceName,
    proto::envoy::{
        config::endpoint::v3::ClusterLoadAssignment,
        service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse},
    },
    resources::{PerType, Resource, ResourceSet, ResourceType, Snapshot},
    xds::{
        Shared,
        session::{Ask, Dialect, Request, Response, Session, Verdict},
    },
};
use prost::Message;

pub const CDS: ResourceType = ResourceType::Cluster;
pub const EDS: ResourceType = ResourceType::Endpoints;
pub const SDS: ResourceType = ResourceType::Secret;
pub const LDS: ResourceType = ResourceType::Listener;
pub const RDS: ResourceType = ResourceType::Route;

/// What is in a resource plays no part: any message does.
pub fn resource(resource_type: ResourceType, name: &str, content: &str) -> Resource {
    let body = ClusterLoadAssignment { cluster_name: content.into(), ..Default::default() };
    Resource::encode(resource_type, ResourceName::new(name), &body)
}

/// The version of that resource.
pub fn version(resource_type: ResourceType, name: &str, content: &str) -> String {
    resource(resource_type, name, content).version().to_string()
}

/// `a=1 b=2` for each type.
pub fn snapshot(clusters: &str, endpoints: &str, listeners: &str, routes: &str) -> Arc<Snapshot> {
    let text = |resource_type| match resource_type {
        CDS => clusters,
        EDS => endpoints,
        SDS => "",
        LDS => listeners,
        RDS => routes,
    };
    Arc::new(Snapshot::new(PerType::from_fn(|resource_type| {
        let entries = text(resource_type).split_whitespace();
        let set: ResourceSet = entries
            .map(|entry| {
                let (name, content) = entry.split_once('=').unwrap();
                resource(resource_type, name, content)
            })
            .collect();
        Arc::new(set)
    })))
}

/// A session and its clock.
pub struct Talk {
    pub session: Session,
    pub now: Instant,
    dialect: Dialect,
    last_nonce: BTreeMap<ResourceType, String>,
    /// What the client last accepted, as state-of-the-world clients say.
    version: BTreeMap<ResourceType, String>,
    /// What the client has of each type, as far as noted.
    held: BTreeMap<ResourceType, BTreeMap<String, String>>,
}

impl Talk {
    pub fn new(dialect: Dialect) -> Self {
        Self::sharing(dialect, &Arc::new(Shared::default()))
    }

    /// Beside other streams of one server.
    pub fn sharing(dialect: Dialect, shared: &Arc<Shared>) -> Self {
        let session = Session::new(dialect, shared.clone());
        Self {
            session,
            now: Instant::now(),
            dialect,
            last_nonce: BTreeMap::new(),
            version: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    pub fn delta(target: &Arc<Snapshot>) -> Self {
        let mut talk = Self::new(Dialect::Delta);
        talk.target(target);
        talk
    }

    pub fn sotw(target: &Arc<Snapshot>) -> Self {
        let mut talk = Self::new(Dialect::Sotw);
        talk.target(target);
        talk
    }

    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Of the latest response of a type.
    pub fn last_nonce(&self, resource_type: ResourceType) -> String {
        self.last_nonce.get(&resource_type).cloned().unwrap_or_default()
    }

    pub fn target(&mut self, target: &Arc<Snapshot>) {
        self.session.set_target(target.clone());
    }

    pub fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// A request that answers nothing: `+name` subscribes, `-name` unsubscribes; in state of the world the full list.
    pub fn ask(&mut self, resource_type: ResourceType, names: &str) -> Verdict {
        self.request(resource_type, names, "", None)
    }

    /// As `ask`, on the acknowledgement of the latest response.
    pub fn ack(&mut self, resource_type: ResourceType, names: &str) -> Verdict {
        let nonce = self.last_nonce(resource_type);
        self.request(resource_type, names, &nonce, None)
    }

    /// As `ask`, on the rejection of the latest response.
    pub fn nack(&mut self, resource_type: ResourceType, names: &str) -> Verdict {
        self.nack_saying(resource_type, names, "no good")
    }

    /// As `nack`, in these words.
    pub fn nack_saying(&mut self, resource_type: ResourceType, names: &str, words: &str) -> Verdict {
        let nonce = self.last_nonce(resource_type);
        self.request(resource_type, names, &nonce, Some(words))
    }

    /// Notes what is in a response that the client applies wholly or, where something in it is `bad`, not at all.
    pub fn note(&mut self, heard: &Heard) {
        if heard.resources.values().any(|content| content == "bad") {
            return;
        }
        let held = self.held.entry(heard.resource_type).or_default();
        if self.dialect == Dialect::Sotw && heard.resource_type.is_full_state() {
            held.clear();
        }
        held.extend(heard.resources.clone());
        held.retain(|name, _| !heard.removed.contains(name));
    }

    /// The contents that the client has, sorted by name.
    pub fn accepted(&self, resource_type: ResourceType) -> impl Iterator<Item = &str> {
        self.held.get(&resource_type).into_iter().flat_map(|held| held.values()).map(String::as_str)
    }

    pub fn request(&mut self, resource_type: ResourceType, names: &str, nonce: &str, error: Option<&str>) -> Verdict {
        let ask = match self.dialect {
            Dialect::Delta => {
                let with = |sign: char| {
                    names.split_whitespace().filter_map(|name| name.strip_prefix(sign)).map(Into::into).collect()
                };
                Ask::Delta { subscribe: with('+'), unsubscribe: with('-'), initial_versions: BTreeMap::new() }
            }
            Dialect::Sotw => Ask::Sotw {
                names: names.split_whitespace().map(Into::into).collect(),
                version: self.version.get(&resource_type).cloned().unwrap_or_default(),
            },
        };
        self.session.on_request(resource_type, Request { nonce: nonce.into(), error: error.map(Into::into), ask })
    }

    /// The first request of a type on a new stream, with what the client has from before.
    pub fn ask_with_initial(&mut self, resource_type: ResourceType, names: &str, held: &[(&str, String)]) {
        let with =
            |sign: char| names.split_whitespace().filter_map(|name| name.strip_prefix(sign)).map(Into::into).collect();
        let initial_versions = held.iter().map(|(name, version)| ((*name).to_owned(), version.clone())).collect();
        let ask = Ask::Delta { subscribe: with('+'), unsubscribe: with('-'), initial_versions };
        self.session.on_request(resource_type, Request { nonce: String::new(), error: None, ask });
    }

    pub fn claim_version(&mut self, resource_type: ResourceType, version: String) {
        self.version.insert(resource_type, version);
    }

    /// The next response, if one is due.
    pub fn next(&mut self) -> Option<Heard> {
        let response = self.session.next_response(self.now)?;
        let heard = Heard::decode(self.dialect, &response);
        self.last_nonce.insert(heard.resource_type, heard.nonce.clone());
        Some(heard)
    }

    /// All responses that are due, each as `type +name=content -removed`.
    pub fn all(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).take(100).map(|heard| heard.text()).collect()
    }
}

/// A response, decoded as a client decodes it.
#[derive(Debug, Clone)]
pub struct Heard {
    pub resource_type: ResourceType,
    pub nonce: String,
    pub version: String,
    pub resources: BTreeMap<String, String>,
    pub removed: Vec<String>,
}

impl Heard {
    fn decode(dialect: Dialect, response: &Response) -> Self {
        let bytes: Vec<u8> = response.message();
        let content =
            |any: &chancery::proto::Any| ClusterLoadAssignment::decode(any.value.clone()).unwrap().cluster_name;
        match dialect {
            Dialect::Delta => {
                let message = DeltaDiscoveryResponse::decode(&*bytes).unwrap();
                let resources: BTreeMap<String, String> = message
                    .resources
                    .iter()
                    .map(|resource| (resource.name.clone(), content(resource.resource.as_ref().unwrap())))
                    .collect();
                assert_eq!(resources.len(), message.resources.len(), "a name stands once in a response");
                assert!(message.removed_resources.iter().all(|name| !resources.contains_key(name)));
                Self {
                    resource_type: ResourceType::from_type_url(&message.type_url).unwrap(),
                    nonce: message.nonce,
                    version: message.system_version_info,
                    resources,
                    removed: message.removed_resources,
                }
            }
            Dialect::Sotw => {
                let message = DiscoveryResponse::decode(&*bytes).unwrap();
                // A plain Any has no name: in these tests contents are unique enough to stand for it.
                let resources: BTreeMap<String, String> =
                    message.resources.iter().map(|any| (content(any), content(any))).collect();
                assert_eq!(resources.len(), message.resources.len(), "a name stands once in a response");
                Self {
                    resource_type: ResourceType::from_type_url(&message.type_url).unwrap(),
                    nonce: message.nonce,
                    version: message.version_info,
                    resources,
                    removed: Vec::new(),
                }
            }
        }
    }

    /// `clusters +a=1 -b`; in state of the world `clusters 1 2`.
    pub fn text(&self) -> String {
        let mut text = self.resource_type.plural().to_owned();
        for (name, content) in &self.resources {
            text += &if name == content { format!(" {content}") } else { format!(" +{name}={content}") };
        }
        for name in &self.removed {
            text += &format!(" -{name}");
        }
        text
    }
}
