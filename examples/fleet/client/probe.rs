//! One sidecar that looks closely: what a server has, so that many others can ask for it and it can be recorded.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use chancery::proto::envoy::{
    config::{cluster::v3::Cluster, listener::v3::Listener},
    extensions::filters::network::http_connection_manager::v3::{
        HttpConnectionManager, http_connection_manager::RouteSpecifier,
    },
};
use prost::Message;

use super::{
    Crowd, Flow, Kind, Requests, Script,
    inbox::Seen,
    proto::{Fields, Value, bytes_of, text_of},
    requests::Dialect,
};

/// What a server has: per type the names and versions, and the responses that said so, without their nonces.
#[derive(Debug, Clone, Default)]
pub struct Known {
    resources: [BTreeMap<String, String>; 4],
    /// What the endpoints of clusters are called, and the routes of listeners.
    endpoints: Vec<String>,
    routes: Vec<String>,
    pub bodies: [Vec<Vec<u8>>; 4],
}

/// Nothing came for this long: it has everything.
const QUIET: Duration = Duration::from_millis(700);

/// Asks a server for everything it has.
pub fn probe(server: SocketAddr, requests: &Requests) -> io::Result<Known> {
    let mut known = Known::default();
    let authority = server.to_string();
    // Each turn asks for what the turn before has found: clusters, their endpoints and the listeners, the routes.
    loop {
        let found = look(server, Script::fresh(requests, &known, &authority), requests.dialect)?;
        let is_all =
            (&found.endpoints, &found.routes) == (&known.endpoints, &known.routes) && found.counts() == known.counts();
        known = found;
        if is_all {
            return Ok(known);
        }
    }
}

fn look(server: SocketAddr, script: Script, dialect: Dialect) -> io::Result<Known> {
    let mut known = Known::default();
    let mut crowd = Crowd::new(server)?;
    crowd.add(&Rc::new(script), 1);
    crowd.keep_bodies();
    let mut last = Instant::now();
    while last.elapsed() < QUIET {
        let before = last;
        crowd.run(
            last + QUIET,
            |response| {
                last = response.at;
                known.take(response.seen, dialect);
                Flow::Stop
            },
            |_| false,
        );
        if last == before {
            break;
        }
    }
    Ok(known)
}

impl Known {
    /// What is subscribed to of each type; clusters and listeners by asking for all.
    pub fn subscriptions(&self) -> [Vec<String>; 4] {
        [vec![], self.endpoints.clone(), vec![], self.routes.clone()]
    }

    pub fn counts(&self) -> [u32; 4] {
        Kind::ALL.map(|kind| self.resources[kind as usize].len() as u32)
    }

    pub fn is_asked_for(&self, kind: Kind) -> bool {
        match kind {
            Kind::Cluster | Kind::Listener => true,
            Kind::Endpoints => !self.endpoints.is_empty(),
            Kind::Route => !self.routes.is_empty(),
        }
    }

    /// Names and versions of a type.
    pub fn held(&self, kind: Kind) -> Vec<(String, String)> {
        self.resources[kind as usize].iter().map(|(name, version)| (name.clone(), version.clone())).collect()
    }

    fn take(&mut self, seen: &Seen, dialect: Dialect) {
        let Some(kind) = seen.kind else { return };
        for (number, value) in Fields(&seen.body) {
            let (Seen::RESOURCES, Value::Bytes(resource)) = (number, value) else { continue };
            // Delta names its resources; in state of the world the resource's first field is its name.
            let (name, version, any) = match dialect {
                Dialect::Delta => (text_of(resource, 3), text_of(resource, 1), bytes_of(resource, 2)),
                Dialect::Sotw => (bytes_of(resource, 2).and_then(|body| text_of(body, 1)), None, Some(resource)),
            };
            let (Some(name), Some(body)) = (name, any.and_then(|any| bytes_of(any, 2))) else { continue };
            self.resources[kind as usize].insert(name.to_owned(), version.unwrap_or_default().to_owned());
            match kind {
                Kind::Cluster => self.endpoints.extend(endpoints_of(body)),
                Kind::Listener => self.routes.extend(routes_of(body)),
                Kind::Endpoints | Kind::Route => {}
            }
        }
        for names in [&mut self.endpoints, &mut self.routes] {
            names.sort_unstable();
            names.dedup();
        }
        self.bodies[kind as usize].push(without_nonce(&seen.body));
    }
}

/// What a cluster's endpoints are asked for by.
fn endpoints_of(body: &[u8]) -> Option<String> {
    let cluster = Cluster::decode(body).ok()?;
    let named = cluster.eds_cluster_config?.service_name;
    Some(if named.is_empty() { cluster.name } else { named })
}

/// The routes that a listener asks for.
fn routes_of(body: &[u8]) -> Vec<String> {
    use chancery::proto::envoy::config::listener::v3::filter::ConfigType;
    let listener = Listener::decode(body).unwrap_or_default();
    let filters = listener.filter_chains.into_iter().chain(listener.default_filter_chain);
    let configs = filters.flat_map(|chain| chain.filters).filter_map(|filter| match filter.config_type? {
        ConfigType::TypedConfig(any) => HttpConnectionManager::decode(any.value).ok(),
        ConfigType::ConfigDiscovery(_) => None,
    });
    let route = |config: HttpConnectionManager| match config.route_specifier? {
        RouteSpecifier::Rds(rds) => Some(rds.route_config_name),
        _ => None,
    };
    configs.filter_map(route).collect()
}

/// A response as it is before a stream's nonce is added.
pub fn without_nonce(body: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::with_capacity(body.len()), body);
    while !rest.is_empty() {
        let mut fields = Fields(rest);
        let Some((number, _)) = fields.next() else { break };
        let length = rest.len() - fields.0.len();
        if number != Seen::NONCE {
            out.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out
}
