//! One snapshot file into services: every problem at once, places looked up only where there is one.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    sync::Arc,
};

use super::document::{
    SnapshotFile, WrittenEndpoint, WrittenHealth, WrittenLocality, WrittenPort, WrittenProtocol, WrittenService,
};
use crate::{
    diagnostic::{Diagnostic, Place, SourceFile},
    model::{
        Address, Endpoint, EndpointSet, Health, HostName, Labels, Locality, Port, PortName, Protocol, Service,
        ServiceName,
    },
    yaml::{self, UniqueMap, did_you_mean},
};

/// A service as one file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadService {
    /// Its definition.
    pub service: Service,
    /// Its endpoints.
    pub endpoints: EndpointSet,
    /// Where in the file it stands, as an index into `services`.
    pub index: usize,
}

/// Reads a file. An empty one is an error: a snapshot without services says so, `services: []`.
pub fn read(file: &Arc<SourceFile>) -> Result<Vec<ReadService>, Vec<Diagnostic>> {
    let Some(SnapshotFile { services }) = yaml::read_one(file)? else {
        let problem = Diagnostic::file_error("empty-file", file.path.clone(), "this snapshot file is empty");
        return Err(vec![problem.remedy("write `services: []` if there really are none")]);
    };
    let mut problems = Problems::default();
    let read: Vec<Option<ReadService>> =
        services.into_iter().enumerate().map(|(index, written)| service(index, written, &mut problems)).collect();
    let read: Vec<ReadService> = read.into_iter().flatten().collect();
    check_claims(&read, &mut problems);
    if problems.found.is_empty() { Ok(read) } else { Err(problems.locate(file)) }
}

/// Where a service's name, or one of its hosts, stands in its file.
pub(super) fn place_of_claim(file: &Arc<SourceFile>, index: usize, host: Option<usize>) -> Option<Place> {
    let document = yaml::parse(file).documents.into_iter().next()?;
    Some(match host {
        None => document.place(&format!("services[{index}].name")),
        Some(host) => document.place(&format!("services[{index}].hosts[{host}]")),
    })
}

/// Problems by path; places come last, since finding them means reading the file again.
#[derive(Debug, Default)]
struct Problems {
    found: Vec<Problem>,
}

#[derive(Debug)]
struct Problem {
    id: &'static str,
    path: String,
    message: String,
    remedy: Option<String>,
    related: Option<(String, &'static str)>,
}

impl Problems {
    fn add(&mut self, id: &'static str, path: String, message: String, remedy: impl Into<Option<String>>) {
        self.found.push(Problem { id, path, message, remedy: remedy.into(), related: None });
    }

    fn twice(&mut self, path: String, first: String, message: String, remedy: &str) {
        let related = Some((first, "first here"));
        self.found.push(Problem { id: "duplicate", path, message, remedy: Some(remedy.into()), related });
    }

    fn locate(self, file: &Arc<SourceFile>) -> Vec<Diagnostic> {
        let document = yaml::parse(file).documents.into_iter().next();
        let locate = |Problem { id, path, message, remedy, related }: Problem| {
            let Some(document) = &document else { return Diagnostic::file_error(id, file.path.clone(), message) };
            let diagnostic = Diagnostic { remedy, ..Diagnostic::error(id, document.place(&path), path, message) };
            match related {
                Some((path, part)) => diagnostic.related(document.place(&path), part),
                None => diagnostic,
            }
        };
        self.found.into_iter().map(locate).collect()
    }
}

fn service(index: usize, written: WrittenService, problems: &mut Problems) -> Option<ReadService> {
    let at = format!("services[{index}]");
    let WrittenService { name, hosts, labels: written_labels, ports: written_ports, endpoints: written_endpoints } =
        written;
    let name = named(ServiceName::new(&name), || format!("{at}.name"), &name, problems);
    let mut read_hosts = Vec::with_capacity(hosts.len());
    for (index, host) in hosts.iter().enumerate() {
        read_hosts.extend(named(HostName::new(host), || format!("{at}.hosts[{index}]"), host, problems));
    }
    read_hosts.sort();
    if written_ports.is_empty() {
        let remedy = "add a port, for example `- { name: http, port: 80, protocol: http }`".to_owned();
        problems.add("missing-field", format!("{at}.ports"), "a service has a port at least".into(), remedy);
    }
    let ports = ports(&at, &written_ports, problems);
    let mut endpoints = Vec::with_capacity(written_endpoints.len());
    for (index, written) in written_endpoints.into_iter().enumerate() {
        endpoints.extend(endpoint(|| format!("{at}.endpoints[{index}]"), written, &ports, problems));
    }
    check_addresses(&at, &endpoints, &ports, problems);
    let mut sorted_ports = ports;
    sorted_ports.sort();
    let service = Service { name: name?, hosts: read_hosts, labels: labels(written_labels), ports: sorted_ports };
    Some(ReadService { service, endpoints: EndpointSet::new(endpoints), index })
}

fn named<T>(
    name: Result<T, crate::model::NameError>,
    path: impl FnOnce() -> String,
    written: &str,
    problems: &mut Problems,
) -> Option<T> {
    name.map_err(|error| problems.add("invalid-value", path(), format!("`{written}` is no name: {error}"), None)).ok()
}

fn ports(at: &str, written: &[WrittenPort], problems: &mut Problems) -> Vec<Port> {
    let mut ports: Vec<Port> = Vec::with_capacity(written.len());
    for (index, WrittenPort { name, port, protocol, listen }) in written.iter().enumerate() {
        let path = |field: &str| format!("{at}.ports[{index}].{field}");
        let listen = listen.as_ref().and_then(|text| match text.parse::<SocketAddr>() {
            Ok(listen) => Some(listen),
            Err(_) => {
                let message = format!("`{text}` is no address with a port");
                let remedy = "write an IP address and a port, for example `127.0.0.1:9000`".to_owned();
                problems.add("invalid-value", path("listen"), message, remedy);
                None
            }
        });
        let Some(name) = named(PortName::new(name), || path("name"), name, problems) else { continue };
        if let Some(first) = written[..index].iter().position(|earlier| earlier.name == *name.as_str()) {
            let message = format!("port name `{name}` stands twice");
            problems.twice(path("name"), format!("{at}.ports[{first}].name"), message, "rename one of the two");
        }
        if let Some(first) = written[..index].iter().position(|earlier| earlier.port == *port) {
            let message = format!("port {port} stands twice");
            problems.twice(path("port"), format!("{at}.ports[{first}].port"), message, "remove one of the two");
        }
        let protocol = match protocol {
            WrittenProtocol::Http => Protocol::Http,
            WrittenProtocol::Http2 => Protocol::Http2,
            WrittenProtocol::Grpc => Protocol::Grpc,
            WrittenProtocol::Tcp => Protocol::Tcp,
            WrittenProtocol::Tls => Protocol::Tls,
        };
        ports.push(Port { number: *port, name, protocol, listen });
    }
    ports
}

fn endpoint(
    at: impl Fn() -> String,
    written: WrittenEndpoint,
    ports: &[Port],
    problems: &mut Problems,
) -> Option<Endpoint> {
    let WrittenEndpoint { address, ports: written_ports, locality, weight, health, labels: written_labels } = written;
    let address = match (address.parse::<IpAddr>(), HostName::new(&address)) {
        (Ok(ip), _) => Some(Address::Ip(ip)),
        // Digits and dots that are no address are a slip, not a host name.
        (Err(_), Ok(host)) if address.contains(|c: char| c.is_ascii_alphabetic()) => Some(Address::Host(host)),
        (Err(_), _) => {
            let remedy =
                "write an IP address, or a host name that Envoy resolves; the port goes into `ports`".to_owned();
            problems.add("invalid-value", format!("{}.address", at()), format!("`{address}` is no address"), remedy);
            None
        }
    };
    let mut own_ports = BTreeMap::new();
    for (name, number) in written_ports.0 {
        match ports.iter().find(|port| port.name.as_str() == name) {
            Some(port) => drop(own_ports.insert(port.name.clone(), number)),
            None => {
                let message = format!("the service has no port called `{name}`");
                let remedy = did_you_mean(&name, ports.iter().map(|port| port.name.as_str()));
                problems.add("unknown-port", format!("{}.ports.{name}", at()), message, remedy);
            }
        }
    }
    let WrittenLocality { region, zone, subzone } = locality;
    Some(Endpoint {
        address: address?,
        ports: own_ports,
        locality: Locality::new(&region, &zone, &subzone),
        weight: weight.unwrap_or(NonZeroU32::MIN),
        health: match health {
            WrittenHealth::Healthy => Health::Healthy,
            WrittenHealth::Unhealthy => Health::Unhealthy,
            WrittenHealth::Draining => Health::Draining,
        },
        labels: labels(written_labels),
    })
}

fn labels(written: UniqueMap<String, String>) -> Labels {
    written.0.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// One address and port twice within a port of the service; two instances on one host with different ports are fine.
fn check_addresses(at: &str, endpoints: &[Endpoint], ports: &[Port], problems: &mut Problems) {
    for port in ports {
        let mut seen: BTreeMap<(&Address, u16), usize> = BTreeMap::new();
        for (index, endpoint) in endpoints.iter().enumerate() {
            let number = endpoint.port_for(port).get();
            if let Some(first) = seen.insert((&endpoint.address, number), index) {
                let message = format!("{}:{number} stands twice for port `{}`", endpoint.address, port.name);
                let path = format!("{at}.endpoints[{index}].address");
                problems.twice(path, format!("{at}.endpoints[{first}].address"), message, "remove one of the two");
                return;
            }
        }
    }
}

/// A name or host that two services claim, case aside.
fn check_claims(services: &[ReadService], problems: &mut Problems) {
    let mut claims: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for ReadService { service, index, .. } in services {
        let mut own = BTreeSet::new();
        let names = std::iter::once((service.name.as_str(), format!("services[{index}].name")));
        let hosts = service.hosts.iter().map(|host| (host.as_str(), format!("services[{index}].hosts")));
        for (name, path) in names.chain(hosts) {
            let key = name.to_ascii_lowercase();
            if !own.insert(key.clone()) {
                continue;
            }
            match claims.get(&key) {
                None => drop(claims.insert(key, (*index, path))),
                Some((_, first)) => {
                    let message = format!("`{name}` is claimed by two services");
                    problems.twice(path, first.clone(), message, "rename one, or remove the host from one");
                }
            }
        }
    }
}
