//! Who is connected, and how far each has come: for people and programs that ask, never for decisions.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use dashmap::DashMap;
use serde_json::{Value, json};

use super::session::{Dialect, Progress, Session};
use crate::{
    model::{ClientKind, Locality, NodeGroup, Proxy},
    publish::lock,
    resources::ResourceType,
};

/// Every stream that is open.
#[derive(Debug, Default)]
pub struct Clients {
    streams: DashMap<u64, Arc<Client>>,
    next: AtomicU64,
}

/// One stream, as seen from outside.
#[derive(Debug)]
pub struct Client {
    /// Who it is.
    pub proxy: Proxy,
    connected: SystemTime,
    group: Mutex<NodeGroup>,
    /// The stream's own: it is looked at when somebody asks, so that nothing is written here at each change.
    session: Arc<Mutex<Session>>,
}

/// Holds a stream's place in the registry; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Registration {
    clients: Arc<Clients>,
    id: u64,
    pub client: Arc<Client>,
}

impl Registration {
    /// The same stream, whose client says something else of itself.
    pub fn again(&self, proxy: Proxy, session: Arc<Mutex<Session>>) -> Self {
        let group = lock(&self.client.group).clone();
        self.clients.register(proxy, session, group)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.clients.streams.remove(&self.id);
    }
}

impl Clients {
    /// How many streams are open.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether no stream is open.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The group of a connected client, by its node id; of several streams the newest counts.
    pub fn group_of(&self, node: &str) -> Option<NodeGroup> {
        let streams = self.streams.iter().filter(|stream| *stream.value().proxy.id == *node);
        streams.max_by_key(|stream| *stream.key()).map(|stream| lock(&stream.value().group).clone())
    }

    /// Every stream, sorted by node id.
    pub fn to_json(&self) -> Vec<Value> {
        let mut clients: Vec<Arc<Client>> = self.streams.iter().map(|stream| stream.value().clone()).collect();
        clients.sort_by(|a, b| a.proxy.id.cmp(&b.proxy.id));
        clients.iter().map(|client| client.to_json()).collect()
    }

    pub(super) fn register(
        self: &Arc<Self>,
        proxy: Proxy,
        session: Arc<Mutex<Session>>,
        group: NodeGroup,
    ) -> Registration {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let client = Arc::new(Client { proxy, connected: SystemTime::now(), group: Mutex::new(group), session });
        self.streams.insert(id, client.clone());
        Registration { clients: self.clone(), id, client }
    }
}

impl Client {
    pub(super) fn set_group(&self, group: NodeGroup) {
        *lock(&self.group) = group;
    }

    fn to_json(&self) -> Value {
        let Self { proxy, connected, session, group: _ } = self;
        let Proxy { id, workload, namespace, labels: _, locality, local_cluster: _, kind, role: _ } = proxy;
        let Locality { region, zone, subzone } = locality;
        let session = lock(session);
        let types: serde_json::Map<String, Value> = ResourceType::ALL
            .into_iter()
            .filter(|resource_type| session.subscribed(*resource_type) != (0, false))
            .map(|resource_type| (resource_type.plural().to_owned(), type_to_json(&session, resource_type)))
            .collect();
        json!({
            "id": &**id,
            "service": &**workload,
            "namespace": &**namespace,
            "locality": { "region": &**region, "zone": &**zone, "subzone": &**subzone },
            "client": match kind { ClientKind::Envoy => "envoy", ClientKind::Grpc => "grpc" },
            "dialect": match session.dialect() { Dialect::Delta => "delta", Dialect::Sotw => "sotw" },
            "connectedSeconds": connected.elapsed().map_or(0, |since| since.as_secs()),
            "types": types,
        })
    }
}

fn type_to_json(session: &Session, resource_type: ResourceType) -> Value {
    let (names, wildcard) = session.subscribed(resource_type);
    let Progress { sent, acknowledged, rejected, last_error } = session.progress(resource_type);
    json!({
        "subscribedNames": names, "wildcard": wildcard, "lastNonce": sent.map(|nonce| nonce.to_string()),
        "acknowledged": acknowledged, "rejected": rejected, "lastError": last_error,
    })
}
