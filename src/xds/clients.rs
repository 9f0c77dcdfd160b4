//! Who is connected, and how far each has come: for people and programs that ask, never for decisions.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use dashmap::DashMap;
use serde_json::{Value, json};

use super::{message, session::Dialect};
use crate::{
    model::{ClientKind, Locality, NodeGroup, Proxy},
    resources::{PerType, ResourceType},
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
    /// Which dialect it speaks.
    pub dialect: Dialect,
    connected: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    group: NodeGroup,
    types: PerType<Progress>,
}

/// How far a client has come with one type.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// As a field of a response.
    sent_nonce: Option<Bytes>,
    acknowledged: u64,
    rejected: u64,
    last_error: Option<String>,
    subscribed: (usize, bool),
}

/// Holds a stream's place in the registry; dropping it gives the place up.
#[derive(Debug)]
pub(super) struct Registration {
    clients: Arc<Clients>,
    id: u64,
    pub client: Arc<Client>,
}

impl Registration {
    pub fn group(&self) -> NodeGroup {
        self.client.lock().group.clone()
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
        streams.max_by_key(|stream| *stream.key()).map(|stream| stream.value().lock().group.clone())
    }

    /// Every stream, sorted by node id.
    pub fn to_json(&self) -> Vec<Value> {
        let mut clients: Vec<Arc<Client>> = self.streams.iter().map(|stream| stream.value().clone()).collect();
        clients.sort_by(|a, b| a.proxy.id.cmp(&b.proxy.id));
        clients.iter().map(|client| client.to_json()).collect()
    }

    pub(super) fn register(self: &Arc<Self>, proxy: Proxy, dialect: Dialect, group: NodeGroup) -> Registration {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State { group, types: PerType::default() });
        let client = Arc::new(Client { proxy, dialect, connected: SystemTime::now(), state });
        self.streams.insert(id, client.clone());
        Registration { clients: self.clone(), id, client }
    }
}

impl Client {
    pub(super) fn set_group(&self, group: NodeGroup) {
        self.lock().group = group;
    }

    pub(super) fn sent(&self, resource_type: ResourceType, nonce: Bytes) {
        self.lock().types[resource_type].sent_nonce = Some(nonce);
    }

    pub(super) fn acknowledged(&self, resource_type: ResourceType) {
        let mut state = self.lock();
        let progress = &mut state.types[resource_type];
        progress.acknowledged += 1;
        progress.last_error = None;
    }

    pub(super) fn rejected(&self, resource_type: ResourceType, error: &str) {
        let mut state = self.lock();
        let progress = &mut state.types[resource_type];
        progress.rejected += 1;
        progress.last_error = Some(error.to_owned());
    }

    pub(super) fn subscribed(&self, resource_type: ResourceType, subscribed: (usize, bool)) {
        self.lock().types[resource_type].subscribed = subscribed;
    }

    /// Nobody panics while holding it, and what is in it is for looking at.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn to_json(&self) -> Value {
        let Self { proxy, dialect, connected, state: _ } = self;
        let Proxy { id, workload, namespace, labels: _, locality, local_cluster: _, kind, role: _ } = proxy;
        let Locality { region, zone, subzone } = locality;
        let state = self.lock();
        let types: serde_json::Map<String, Value> = state
            .types
            .iter()
            .filter(|(_, progress)| progress.subscribed != (0, false))
            .map(|(resource_type, progress)| (resource_type.plural().to_owned(), progress.to_json()))
            .collect();
        json!({
            "id": &**id,
            "service": &**workload,
            "namespace": &**namespace,
            "locality": { "region": &**region, "zone": &**zone, "subzone": &**subzone },
            "client": match kind { ClientKind::Envoy => "envoy", ClientKind::Grpc => "grpc" },
            "dialect": match dialect { Dialect::Delta => "delta", Dialect::Sotw => "sotw" },
            "connectedSeconds": connected.elapsed().map_or(0, |since| since.as_secs()),
            "types": types,
        })
    }
}

impl Progress {
    fn to_json(&self) -> Value {
        let Self { sent_nonce, acknowledged, rejected, last_error, subscribed: (names, wildcard) } = self;
        let sent_nonce = sent_nonce.as_deref().map(message::nonce_of);
        json!({
            "subscribedNames": names, "wildcard": wildcard, "lastNonce": sent_nonce,
            "acknowledged": acknowledged, "rejected": rejected, "lastError": last_error,
        })
    }
}
