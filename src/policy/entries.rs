//! `ServiceEntry` documents into services: what they bring beside what discovery knows, and what they say of it.
//!
//! ```text
//!  ServiceEntry ──each host──► Entry ─┬─ service and endpoints ──► the catalog, where discovery has none of that name
//!                                     └─ layer: NONE, DNS_ROUND_ROBIN, subjectAltNames ──► merged with policies
//! ```
//!
//! Of two documents for one host that say the same, each is seen by those it is exported to, and they are one service;
//! where they say different things the older counts, which is reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::SystemTime,
};

use serde_json::Value;

use super::{
    document::{
        Body, Document,
        service_entry::{EntryEndpoint, EntryPort, Resolution, ServiceEntry, port_of},
    },
    merge::{ClientsRank, Decided, Layer, Leaf, Merged, NarrowingRank, Rank, TargetRank},
    resolve::labels,
};
use crate::{
    diagnostic::Diagnostic,
    model::{
        Address, CatalogEntry, Endpoint, EndpointSet, Health, HostName, Locality, Port, Service, ServiceName,
        Visibility,
    },
};

/// A service that documents define.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub service: Arc<Service>,
    endpoints: Arc<EndpointSet>,
    resolution: Resolution,
    /// Where it is said how instances are found.
    resolution_field: &'static str,
    /// Those that define it, the one that counts first; each with the index of the host.
    pub definitions: Vec<(Arc<Document>, usize)>,
}

/// Every service that documents define, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Entries {
    by_name: BTreeMap<ServiceName, Entry>,
}

impl Entries {
    /// The services of all these documents, and documents that contradict each other.
    pub fn of(documents: &[Arc<Document>]) -> (Self, Vec<Diagnostic>) {
        let mut documents: Vec<_> = documents.iter().filter_map(|document| Some((document, body(document)?))).collect();
        documents.sort_by_key(|(document, _)| age(document));
        let (mut entries, mut problems) = (Self::default(), Vec::new());
        for (document, spec) in documents.into_iter().filter(|(_, spec)| !spec.ports.is_empty()) {
            for index in 0..spec.hosts.len() {
                let Some(entry) = entry(document, spec, index) else { continue };
                match entries.by_name.get_mut(&entry.service.name) {
                    None => drop(entries.by_name.insert(entry.service.name.clone(), entry)),
                    Some(first) => problems.extend(first.unite(entry)),
                }
            }
        }
        (entries, problems)
    }

    /// What defines a service, where it is one of these and not discovery's of that name.
    pub fn defining(&self, service: &Service) -> Option<&Entry> {
        self.by_name.get(&service.name).filter(|entry| *entry.service == *service)
    }

    /// The one of this name.
    pub fn get(&self, name: &ServiceName) -> Option<&Entry> {
        self.by_name.get(name)
    }

    /// All of them, as they stand in a catalog.
    pub fn services(&self) -> BTreeMap<ServiceName, CatalogEntry> {
        let entry = |(name, entry): (&ServiceName, &Entry)| (name.clone(), entry.catalog_entry());
        self.by_name.iter().map(entry).collect()
    }
}

/// The names of the services that a document defines.
pub(super) fn names_of(document: &Document) -> BTreeSet<ServiceName> {
    let hosts = body(document).map_or(&[][..], |spec| &spec.hosts);
    hosts.iter().filter_map(|host| ServiceName::of_host(&host.to_ascii_lowercase()).ok()).collect()
}

fn body(document: &Document) -> Option<&ServiceEntry> {
    match &document.body {
        Body::ServiceEntry(entry) => Some(entry),
        _ => None,
    }
}

/// Those with a timestamp first, the oldest first; then by name.
fn age(document: &Document) -> (bool, Option<String>, Arc<str>, Arc<str>) {
    let created = document.metadata.creation_timestamp.clone();
    (created.is_none(), created, document.id.name.clone(), document.namespace())
}

impl Entry {
    fn catalog_entry(&self) -> CatalogEntry {
        CatalogEntry {
            service: self.service.clone(),
            endpoints: self.endpoints.clone(),
            observed: SystemTime::UNIX_EPOCH,
        }
    }

    /// The document that counts.
    pub fn document(&self) -> &Arc<Document> {
        &self.definitions[0].0
    }

    /// Where the host stands in the document that counts.
    pub fn field(&self) -> String {
        format!("spec.hosts[{}]", self.definitions[0].1)
    }

    /// Takes another definition of the same host in: those who see that one see this. Of two that differ, this counts.
    fn unite(&mut self, other: Self) -> Option<Diagnostic> {
        let (document, field) = (other.document().clone(), other.field());
        let said = |entry: &Self| -> (Service, Arc<EndpointSet>, Resolution, Vec<String>) {
            let service = Service {
                visibility: Visibility::Everyone,
                said_namespace: None,
                labels: Default::default(),
                ..(*entry.service).clone()
            };
            let names = body(entry.document()).map(|spec| spec.subject_alt_names.clone()).unwrap_or_default();
            (service, entry.endpoints.clone(), entry.resolution, names)
        };
        if said(self) != said(&other) {
            let message = format!(
                "`{}` is defined differently here and in {}: a host is one service",
                self.service.name,
                self.document().id
            );
            let problem = Diagnostic::error("contradiction", document.place_of_value(&field), field, message)
                .related(self.document().place_of_value(&self.field()), format!("defined by {}", self.document().id));
            return Some(problem.remedy("let one ServiceEntry say all of it, or let both say the same"));
        }
        let visibility = united(&self.service.visibility, &other.service.visibility);
        self.service = Arc::new(Service { visibility, ..(*self.service).clone() });
        self.definitions.extend(other.definitions);
        None
    }

    /// What it says of settings, before anyone else: how instances are found is no matter of policy.
    pub fn layer(&self) -> Option<Layer> {
        let (path, value) = match self.resolution {
            Resolution::None => ("loadBalancer.simple", "PASSTHROUGH"),
            Resolution::DnsRoundRobin => ("dns.type", "LOGICAL"),
            Resolution::Static | Resolution::Dns | Resolution::DynamicDns => return None,
        };
        let leaf = Leaf {
            value: Value::String(value.to_owned()),
            document: self.document().clone(),
            field: self.resolution_field.to_owned(),
        };
        Some(Layer { rank: RANK, leaves: [(path.to_owned(), leaf)].into() })
    }

    /// Puts its `subjectAltNames` where a policy has endpoints verified and does not name any.
    pub fn name_certificates(&self, merged: &mut Merged) {
        // Policies say `tls` as one field.
        let Some(tls) = merged.settings.get("tls").map(|decided| &decided.leaf.value) else { return };
        let verifies = (tls["mode"] == "SIMPLE" || tls["mode"] == "MUTUAL") && tls["insecureSkipVerify"] != true;
        let names = body(self.document()).map(|spec| &*spec.subject_alt_names).unwrap_or_default();
        if !verifies || names.is_empty() || tls.get("subjectAltNames").is_some() {
            return;
        }
        let leaf = Leaf {
            value: names.iter().cloned().map(Value::String).collect(),
            document: self.document().clone(),
            field: "spec.subjectAltNames".to_owned(),
        };
        let decided = Decided { leaf, overrode: Vec::new(), rank: RANK };
        merged.settings.insert("tls.subjectAltNames".to_owned(), decided);
    }

    /// What to say where discovery has a service of this name.
    pub fn shadowed_by(&self, service: &Service) -> Diagnostic {
        let field = self.field();
        let message = format!("`{}` is the service {} of discovery, which counts", self.service.name, service.name);
        Diagnostic::error("host-taken", self.document().place_of_value(&field), field, message)
            .remedy("take the host out of one of the two")
    }
}

/// Of the one that defines a service.
const RANK: Rank = Rank { target: TargetRank::Entry, narrowing: NarrowingRank::Nothing, clients: ClientsRank::All };

fn united(one: &Visibility, other: &Visibility) -> Visibility {
    match (one, other) {
        (Visibility::Everyone, _) | (_, Visibility::Everyone) => Visibility::Everyone,
        (Visibility::Nobody, seen) | (seen, Visibility::Nobody) => seen.clone(),
        (Visibility::Only(some), Visibility::Only(more)) => Visibility::Only(some | more),
    }
}

/// A host of an entry; `None` of a name that is none, which was refused when the document was read.
fn entry(document: &Arc<Document>, spec: &ServiceEntry, index: usize) -> Option<Entry> {
    let ServiceEntry { addresses, ports, resolution, endpoints, export_to, .. } = spec;
    let namespace = document.namespace();
    let host = spec.hosts.get(index)?.to_ascii_lowercase();
    // Of several hosts one address cannot mean all.
    let addresses = if index == 0 { &addresses[..] } else { &[] };
    let listen = addresses.iter().filter_map(|text| text.parse::<IpAddr>().ok()).find(IpAddr::is_loopback);
    let mut hosts: Vec<HostName> = addresses.iter().filter_map(|address| HostName::new(address).ok()).collect();
    hosts.sort();
    let mut service_ports: Vec<Port> = ports
        .iter()
        .filter_map(|EntryPort { number, name, protocol, target_port: _ }| {
            Some(Port {
                number: *number,
                name: name.0.clone(),
                protocol: (*protocol)?.0,
                listen: listen.map(|ip| (ip, number.get()).into()),
            })
        })
        .collect();
    service_ports.sort();
    let service = Service {
        name: ServiceName::of_host(&host).ok()?,
        hosts,
        labels: labels(&document.metadata.labels),
        ports: service_ports,
        visibility: export_to.visibility(&namespace),
        said_namespace: Some(namespace),
    };
    let resolves = matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin);
    let itself = [EntryEndpoint::at(&host)];
    let written = if resolves && endpoints.is_empty() { &itself[..] } else { endpoints };
    let endpoints = written.iter().filter_map(|written| endpoint(written, ports, resolves)).collect();
    Some(Entry {
        service: Arc::new(service),
        endpoints: Arc::new(EndpointSet::new(endpoints)),
        resolution: *resolution,
        resolution_field: if document.scalars("spec.resolution").is_empty() { "spec" } else { "spec.resolution" },
        definitions: vec![(document.clone(), index)],
    })
}

fn endpoint(written: &EntryEndpoint, ports: &[EntryPort], resolves: bool) -> Option<Endpoint> {
    let address = written.address.as_deref()?;
    Some(Endpoint {
        // What is to be resolved may be an address: it stays what it is.
        address: match (address.parse::<IpAddr>(), HostName::new(address)) {
            (Ok(_) | Err(_), Ok(host)) if resolves => Address::Host(host),
            (Ok(ip), _) => Address::Ip(ip),
            (Err(_), Ok(host)) => Address::Host(host),
            (Err(_), Err(_)) => return None,
        },
        ports: ports.iter().map(|port| (port.name.0.clone(), port_of(written, port))).collect(),
        locality: written.locality.as_deref().map(Locality::parse).unwrap_or_default(),
        weight: written.weight.and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN),
        health: Health::Healthy,
        labels: labels(&written.labels),
    })
}
